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
    /// The age at that moment, with the time for which the supervisor has not run since.
    pub age: Duration,
    /// The time for which the supervisor did not run in all, as far as the age takes it in.
    left_out: Duration,
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
        self.left_out = self.left_out.saturating_add(value);
        self.age_renewal();
        self.stall = Some(Observed { at, value });
    }

    /// Adds the time for which the supervisor did not run after the lease's report was made: for the others
    /// on the volume it has passed. A stall may be reported after a renewal that came after it.
    fn age_renewal(&mut self) {
        if let Some(renewed) = &mut self.lease_renewed {
            let more = self.left_out.saturating_sub(renewed.left_out);
            renewed.age = renewed.age.saturating_add(more);
            renewed.left_out = renewed.left_out.max(self.left_out);
        }
    }

    pub(super) fn apply_lease(&mut self, at: Time, value: LeaseReport, by_agent: bool) {
        self.lease_by_agent = by_agent;
        self.lease_renewed = match value.state {
            LeaseState::Held { age, .. } if !by_agent => Some(Aged {
                at,
                age,
                left_out: value.left_out,
            }),
            _ => None,
        };
        self.age_renewal();
        self.lease = Some(Observed { at, value });
    }
}
