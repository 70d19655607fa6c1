//! The lease in the snapshot: the age of its renewal goes on while the supervisor does not run.

use std::time::Duration;

use super::Snapshot;
use crate::decide::lease::{Epoch, LeaseState};
use crate::decide::observation::{LeaseReport, Observed};
use crate::decide::time::Time;

/// An age at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// The moment at which the age was taken.
    pub at: Time,
    /// The age at that moment.
    pub age: Duration,
}

impl Aged {
    /// Returns the age at `now`.
    #[must_use]
    pub fn now(&self, now: Time) -> Duration {
        self.age.saturating_add(now.since(self.at))
    }
}

impl Snapshot {
    /// Returns the epoch of the lease, while it is held.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match self.lease.as_ref()?.value.state {
            LeaseState::Held { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    pub(super) fn apply_stall(&mut self, at: Time, value: Duration) {
        // For the others on the volume this time has passed.
        if let Some(renewed) = &mut self.lease_renewed {
            renewed.age = renewed.age.saturating_add(value);
        }
        self.stall = Some(Observed { at, value });
    }

    pub(super) fn apply_lease(&mut self, at: Time, value: LeaseReport, by_agent: bool) {
        self.lease_by_agent = by_agent;
        self.lease_renewed = match value.state {
            LeaseState::Held { age, .. } if !by_agent => Some(Aged { at, age }),
            _ => None,
        };
        self.lease = Some(Observed { at, value });
    }
}
