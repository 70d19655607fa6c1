//! Writes the identities of volumes, as the decisions want them.
//!
//! Nothing is judged here. A file is replaced only where it is still the one that the decision was based on:
//! where another one is there by now, nothing is written, and the next check of the volume shows the
//! difference.

use std::io;

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{info, warn};

use crate::decide::identity::Identity;
use crate::decide::identity::set::IdentityWrite;
use crate::records::identity;

/// Writes batches of identities on a thread of their own, one batch at a time: a volume may make the thread
/// wait, and nothing else waits for it.
#[derive(Debug, Default)]
pub struct IdentityBatches {
    /// The batch that is being written; what comes of it is whether its last write failed.
    writing: Option<JoinHandle<bool>>,
    /// Whether the last write failed, which was logged.
    failing: bool,
}

impl IdentityBatches {
    /// Begins to write the wanted identities, unless a batch is still being written: a decision that is still
    /// not met asks again. Waits for nothing.
    pub async fn offer(&mut self, wanted: &[IdentityWrite]) {
        if let Some(done) = self.writing.take_if(|writing| writing.is_finished()) {
            // It is finished: nothing is waited for.
            self.failing = done.await.unwrap_or(false);
        }
        if wanted.is_empty() || self.writing.is_some() {
            return;
        }
        let (wanted, failing) = (wanted.to_vec(), self.failing);
        self.writing = Some(spawn_blocking(move || write_all(&wanted, failing)));
    }
}

/// Writes the wanted identities, one after the other; may wait for as long as a volume does. A failure is
/// logged unless the write before has failed (`failing`). Returns whether the last one failed.
fn write_all(wanted: &[IdentityWrite], mut failing: bool) -> bool {
    for wanted in wanted {
        match write(wanted) {
            Ok(true) => failing = false,
            Ok(false) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    let volume = &wanted.volume;
                    warn!(volume, %error, "the volume's identity can't be written");
                }
            }
        }
    }
    failing
}

/// Writes one identity. Returns whether it did: it does not where the file has changed since the decision.
fn write(wanted: &IdentityWrite) -> io::Result<bool> {
    if identity::read(&wanted.path) != wanted.before {
        return Ok(false);
    }
    if wanted.keep_aside {
        let aside = identity::keep_copy(&wanted.path)?;
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

/// Returns `wanted`, with a new id and the date of today where it has none.
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
        assert!(!write_all(&[first_use(&scratch)], false));
        let written = known(&scratch);
        assert!(identity::is_id(&written.volume_id) && !written.created.is_empty());
        assert!(!write_all(&[first_use(&scratch)], false));
        assert_eq!(known(&scratch), written, "it is not absent any more");
    }

    #[tokio::test]
    async fn a_batch_is_written_apart_and_the_next_one_after_it() {
        let (one, two) = (Scratch::new(), Scratch::new());
        let mut batches = IdentityBatches::default();
        batches.offer(&[]).await;
        assert!(batches.writing.is_none(), "nothing is wanted");
        // Asked for again and again, as a decision does that is not met.
        for scratch in [&one, &two] {
            while identity::read(&scratch.0) == IdentityFile::Absent {
                batches.offer(&[first_use(scratch)]).await;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        assert_ne!(known(&one).volume_id, known(&two).volume_id);
    }

    fn adoption(scratch: &Scratch, before: &Identity) -> IdentityWrite {
        IdentityWrite {
            before: IdentityFile::Known(before.clone()),
            identity: Identity {
                volume_id: before.volume_id.clone(),
                instance_id: Some("I-1".to_owned()),
                ..Identity::default()
            },
            keep_aside: true,
            ..first_use(scratch)
        }
    }

    #[test]
    fn an_adoption_that_is_cut_short_leaves_the_identity_before() {
        let scratch = Scratch::new();
        write(&first_use(&scratch)).unwrap();
        let before = known(&scratch);
        // In the way of the new file.
        let new = scratch.0.join(crate::records::FOLDER).join("identity.new");
        std::fs::create_dir(&new).unwrap();
        write(&adoption(&scratch, &before)).unwrap_err();
        assert_eq!(known(&scratch), before);
        std::fs::remove_dir(&new).unwrap();
        write(&adoption(&scratch, &before)).unwrap();
        assert_eq!(known(&scratch).volume_id, before.volume_id);
    }

    #[test]
    fn what_is_adopted_is_kept_aside_and_its_id_kept() {
        let scratch = Scratch::new();
        write(&first_use(&scratch)).unwrap();
        let before = known(&scratch);
        write(&adoption(&scratch, &before)).unwrap();
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
