//! An operator's `adopt`: the volumes are accepted as they are, one after the other.
//!
//! The main volume is written anew first, because its id is the mark of the others; each of the others
//! once its identity was seen to have changed. It is over when all have.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::identity::IdentityFile;
use super::identity::set::{IdentityWrite, Seen, Set, adoption};
use super::observation::LinkReport;
use super::reason::Reason;
use super::snapshot::Snapshot;

/// The volumes that are left, each with the identity that it had when the operator said so.
#[derive(Clone, Debug, Default)]
pub struct Adopting(BTreeMap<String, IdentityFile>);

impl Adopting {
    /// Begins with all volumes that were looked at.
    pub fn begin(&mut self, volumes: &[Seen<'_>]) {
        let binding = volumes.iter().filter(|seen| seen.volume.binds());
        let seen = binding.filter_map(|seen| {
            let facts = seen.facts?;
            Some((seen.volume.name.clone(), facts.file.clone()))
        });
        self.0 = seen.collect();
    }

    /// What is to be written now: for the adoption while it lasts, else what is missing.
    pub fn writes(&mut self, volumes: &[Seen<'_>], identities: &mut Set) -> Vec<IdentityWrite> {
        for seen in volumes {
            let before = self.0.get(&seen.volume.name);
            let file = seen.facts.map(|facts| &facts.file);
            if before.is_some() && before != file {
                self.0.remove(&seen.volume.name);
            }
        }
        if self.0.is_empty() {
            return std::mem::take(&mut identities.writes);
        }
        let left: Vec<String> = self.0.keys().cloned().collect();
        adoption(volumes, &left)
    }
}

/// Whether the volumes are this pod's to write.
#[must_use]
pub fn holds_lease(snapshot: &Snapshot, findings: &Findings) -> bool {
    // What an agent held that is away is not known to be held still.
    let linked = snapshot.link.as_ref().map(|link| link.value) == Some(LinkReport::Linked);
    if snapshot.lease_by_agent && !(linked && snapshot.epoch().is_some()) {
        return false;
    }
    use Reason::{LeaseHeldElsewhere, LeaseLost, LeaseNotHeld};
    [LeaseNotHeld, LeaseHeldElsewhere, LeaseLost]
        .iter()
        .all(|reason| !findings.has(*reason))
}
