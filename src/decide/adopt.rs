//! An operator's command `adopt`: the volumes are accepted as they are, and their identities written anew.
//!
//! The main volume's identity is written first, because its id is the mark of the others; theirs once it
//! was seen to have changed. The adoption is over when the identities of all volumes have changed.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::identity::IdentityFile;
use super::identity::set::{IdentityWrite, JudgedVolumes, Seen, adoption};
use super::observation::LinkReport;
use super::reason::Reason;
use super::snapshot::Snapshot;

/// The volumes that are left to adopt, each with the identity that it had when the command came.
#[derive(Clone, Debug, Default)]
pub struct Adopting(BTreeMap<String, IdentityFile>);

impl Adopting {
    /// Begins the adoption of all volumes that the gate requires and whose identity was looked at.
    pub fn begin(&mut self, volumes: &[Seen<'_>]) {
        let binding = volumes.iter().filter(|seen| seen.volume.binds());
        let seen = binding.filter_map(|seen| {
            let facts = seen.facts?;
            Some((seen.volume.name.clone(), facts.file.clone()))
        });
        self.0 = seen.collect();
    }

    /// Returns the identities to write now: those of the adoption while it lasts, else those that are
    /// missing from the record.
    pub fn writes(
        &mut self,
        volumes: &[Seen<'_>],
        identities: &mut JudgedVolumes,
    ) -> Vec<IdentityWrite> {
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

/// Whether this pod may write the volumes, as far as the lease is concerned.
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
