//! The state of the lease at one moment, read from the state machine without a step.

use std::time::Duration;

use super::machine::LeaseMachine;
use super::sight::Relation;
use super::stage::{Loss, Tenure, Watch};
use super::{LeaseState, Record};

impl LeaseMachine {
    /// Whether this holder's engine may write at this moment.
    #[must_use]
    pub fn holds(&self, now: Duration) -> bool {
        let in_time = |tenure: &Tenure| {
            !self.terms.strict || now.saturating_sub(tenure.renewed) < self.terms.fence
        };
        self.tenure.as_ref().is_some_and(in_time)
    }

    /// Returns the moment until which the engine may run, CLOCK_BOOTTIME, where the lease is strict and
    /// held: whoever ends the engine then, without asking anybody, keeps the bound of the protocol. Absent
    /// where there is no such limit, or nothing is held: the limit that was returned before stands then.
    #[must_use]
    pub fn run_until(&self) -> Option<Duration> {
        let tenure = self.tenure.as_ref().filter(|_| self.terms.strict)?;
        Some(tenure.renewed.saturating_add(self.terms.fence))
    }

    fn relation(&self, watch: &Watch) -> Relation {
        match &watch.record {
            Record::Claim(claim) => {
                let details = watch.details.as_ref();
                self.me.relation(claim, details, watch.renewed)
            }
            Record::Torn(_) => Relation::Other,
        }
    }

    /// Returns the state of the lease at this moment.
    #[must_use]
    pub fn state(&self, now: Duration) -> LeaseState {
        match (&self.tenure, &self.lost, &self.watch) {
            (Some(tenure), _, _) if self.holds(now) => LeaseState::Held {
                epoch: tenure.claim.epoch,
                first: tenure.claim.first,
                age: now.saturating_sub(tenure.renewed),
            },
            (Some(tenure), _, _) => LeaseState::Lost {
                epoch: tenure.claim.epoch,
                by: None,
                holder: None,
            },
            (None, _, _) if self.releasing => LeaseState::Released,
            (None, lost, Some(watch)) => self.watched(lost.as_ref(), watch),
            (None, Some(lost), None) => LeaseState::Lost {
                epoch: lost.epoch,
                by: lost.by,
                holder: None,
            },
            (None, None, None) => LeaseState::Unknown,
        }
    }

    /// Returns the state of a lease of which another claim is watched.
    fn watched(&self, lost: Option<&Loss>, watch: &Watch) -> LeaseState {
        let (epoch, holder) = (watch.epoch, watch.record.holder().cloned());
        let unchanged = watch.until.saturating_sub(watch.since);
        match (self.relation(watch), lost, holder) {
            // The same pod has it: its engine may go on.
            (Relation::Own, _, holder) => LeaseState::Elsewhere {
                epoch,
                holder,
                own_pod: true,
                unchanged,
            },
            (_, Some(lost), holder) => LeaseState::Lost {
                epoch: lost.epoch,
                by: lost.by,
                holder,
            },
            (Relation::Uncertain, None, Some(holder)) => LeaseState::Watched {
                epoch,
                holder,
                unchanged,
            },
            (_, None, holder) => LeaseState::Elsewhere {
                epoch,
                holder,
                own_pod: false,
                unchanged,
            },
        }
    }
}

#[cfg(test)]
mod tests;
