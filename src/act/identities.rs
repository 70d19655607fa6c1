//! Writes the identities of volumes, as it was decided.
//!
//! Nothing is judged here. What is written over is what the decision was made by: where another file is
//! there by now, nothing is written, and the next check of the volume tells the difference.

use std::io;

use tracing::{info, warn};

use crate::decide::identity::Identity;
use crate::decide::identity::set::IdentityWrite;
use crate::records::identity;

/// Who writes them.
#[derive(Debug, Default)]
pub struct Identities {
    /// The last write failed, and that was logged.
    failing: bool,
}

impl Identities {
    /// Writes what is wanted, one after the other. May wait for as long as a volume does.
    pub fn write(&mut self, wanted: &[IdentityWrite]) {
        for write in wanted {
            let written = self::write(write);
            match written {
                Ok(true) => self.failing = false,
                Ok(false) => {}
                Err(error) if !std::mem::replace(&mut self.failing, true) => {
                    let volume = &write.volume;
                    warn!(volume, %error, "the volume's identity can't be written");
                }
                Err(_) => {}
            }
        }
    }
}

/// Writes one. Returns whether it did: what is there is not what was there any more, otherwise.
fn write(wanted: &IdentityWrite) -> io::Result<bool> {
    if identity::read(&wanted.path) != wanted.before {
        return Ok(false);
    }
    if wanted.keep_aside {
        let aside = identity::keep_aside(&wanted.path)?;
        info!(
            volume = wanted.volume,
            kept_as = aside,
            "the volume is adopted as it is"
        );
    }
    let identity = complete(&wanted.identity);
    identity::write(&wanted.path, &identity)?;
    info!(
        volume = wanted.volume,
        id = identity.volume_id,
        instance = identity.instance_id,
        why = wanted.why,
        "the volume's identity is written"
    );
    Ok(true)
}

/// With a new id and the date of today where it has none.
fn complete(wanted: &Identity) -> Identity {
    let mut identity = wanted.clone();
    if identity.volume_id.is_empty() {
        identity.volume_id = identity::random_id();
    }
    if identity.created.is_empty() {
        identity.created = identity::today();
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::identity::IdentityFile;
    use crate::records::atomic::tests::Scratch;

    fn first_use(scratch: &Scratch) -> IdentityWrite {
        IdentityWrite {
            volume: "mssql".to_owned(),
            path: scratch.0.clone(),
            before: IdentityFile::Absent,
            identity: Identity::default(),
            keep_aside: false,
            why: "first use",
        }
    }

    fn known(scratch: &Scratch) -> Identity {
        match identity::read(&scratch.0) {
            IdentityFile::Known(identity) => identity,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_first_use_draws_an_id_and_the_same_order_again_changes_nothing() {
        let scratch = Scratch::new();
        let mut identities = Identities::default();
        identities.write(&[first_use(&scratch)]);
        let written = known(&scratch);
        assert!(identity::is_id(&written.volume_id) && !written.created.is_empty());
        identities.write(&[first_use(&scratch)]);
        assert_eq!(known(&scratch), written, "it is not absent any more");
    }

    #[test]
    fn what_is_adopted_is_kept_aside_and_its_id_kept() {
        let scratch = Scratch::new();
        Identities::default().write(&[first_use(&scratch)]);
        let before = known(&scratch);
        let adopt = IdentityWrite {
            before: IdentityFile::Known(before.clone()),
            identity: Identity {
                volume_id: before.volume_id.clone(),
                instance_id: Some("I-1".to_owned()),
                ..Identity::default()
            },
            keep_aside: true,
            ..first_use(&scratch)
        };
        Identities::default().write(&[adopt]);
        let after = known(&scratch);
        assert_eq!(after.volume_id, before.volume_id);
        assert_eq!(after.instance_id.as_deref(), Some("I-1"));
        let names = std::fs::read_dir(scratch.0.join(crate::records::FOLDER)).unwrap();
        let aside = names.flatten().filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with("identity.refused-")
        });
        assert_eq!(aside.count(), 1);
    }
}
