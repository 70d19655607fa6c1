//! The volume's identity, as the holder sees to it.

use std::io;
use std::path::PathBuf;

use tracing::{info, warn};

use super::HolderConfig;
use crate::decide::identity::{
    ExpectedId, Identity, IdentityFacts, IdentityFile, Judgement, VolumeInit, judge,
};
use crate::records::identity::{self, Expected, facts};

/// Writes it when the volume is first used, and the instance when there is one.
#[derive(Debug)]
pub struct Identification {
    data_dir: PathBuf,
    expected: Expected,
    init: VolumeInit,
    /// The volume that this pod has used.
    known: Option<String>,
    settled: bool,
    /// The last write failed, and that was said.
    failing: bool,
}

impl Identification {
    pub fn new(config: &HolderConfig) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            expected: config.expected.clone(),
            init: config.volume_init,
            known: config.remembered.clone(),
            settled: false,
            failing: false,
        }
    }

    /// Whether there was nothing left to be written when it was last looked at.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Looks at it, and writes what is missing where that may be done.
    pub fn tend(&mut self, may_write: bool) {
        let facts = facts(&self.data_dir, &self.expected);
        let wanted = match judge(&facts, self.known.as_deref(), self.init) {
            Judgement::FirstUse => Some((identity::new(&facts.expected), "first use")),
            Judgement::Adopting => {
                let mut identity = identity::new(&facts.expected);
                identity.instance_id.clone_from(&facts.instance_id);
                Some((identity, "an engine was set up here before"))
            }
            Judgement::Established {
                volume_id,
                unrecorded,
            } => {
                if may_write {
                    self.known = Some(volume_id);
                }
                recorded(&facts, unrecorded)
            }
            _ => None,
        };
        self.settled = match wanted {
            Some((identity, why)) if may_write => self.write(&identity, why),
            Some(_) => false,
            // An engine that has not made its instance yet will; one that can't be judged may change.
            None => {
                matches!(&facts.file, IdentityFile::Known(known) if known.instance_id.is_some())
            }
        };
    }

    /// Accepts the volume as it is now.
    pub fn adopt(&mut self, may_write: bool) {
        if !may_write {
            warn!("the volume is not adopted: its lease is not held, or it is not mounted");
            return;
        }
        let facts = facts(&self.data_dir, &self.expected);
        let mut identity = identity::new(&facts.expected);
        if let (IdentityFile::Known(before), ExpectedId::Any) = (&facts.file, &facts.expected) {
            identity.volume_id.clone_from(&before.volume_id);
        }
        let has_master = facts.master_present == Some(true);
        identity.instance_id = facts.instance_id.filter(|_| has_master);
        match identity::keep_aside(&self.data_dir) {
            Ok(aside) => {
                info!(kept_as = aside, "the volume is adopted as it is");
                self.settled = self.write(&identity, "adopted");
            }
            Err(error) => {
                warn!(%error, "the volume is not adopted: its identity can't be kept aside");
            }
        }
    }

    fn write(&mut self, identity: &Identity, why: &str) -> bool {
        let written: io::Result<()> = identity::write(&self.data_dir, identity);
        match &written {
            Ok(()) => {
                info!(
                    volume = identity.volume_id,
                    instance = identity.instance_id,
                    why,
                    "the volume's identity is written"
                );
                self.known = Some(identity.volume_id.clone());
                self.failing = false;
            }
            Err(error) if !std::mem::replace(&mut self.failing, true) => {
                warn!(%error, "the volume's identity can't be written");
            }
            Err(_) => {}
        }
        written.is_ok() && identity.instance_id.is_some()
    }
}

/// The identity with the instance that it does not name yet.
fn recorded(facts: &IdentityFacts, unrecorded: Option<String>) -> Option<(Identity, &'static str)> {
    match (&facts.file, unrecorded) {
        (IdentityFile::Known(identity), Some(instance)) => {
            let mut identity = identity.clone();
            identity.instance_id = Some(instance);
            Some((identity, "the engine has set up its instance"))
        }
        _ => None,
    }
}
