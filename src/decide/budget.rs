//! The restart budget: after a number of restarts that did not help, no more are asked for.

use std::time::Duration;

use super::decision::Verdict;
use super::memory::RememberedBudget;
use super::policy::Policy;
use super::time::Time;

/// The time of readiness that counts as a success: the restarts before it helped.
pub const SUCCESS_AFTER: Duration = Duration::from_secs(60);

/// The number of restarts that were asked for, held against [`Policy::restart_budget`].
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// The number of restarts since the last success, however far apart: a hang that comes back after an
    /// hour was not helped by the restart before it. A new process counts if a restart was asked for.
    failures: u32,
    /// Whether a restart is asked for and has not taken place.
    asked: bool,
    /// Whether the budget is used up, until a success or an operator's `release`.
    held: bool,
    released: Option<Time>,
}

impl Budget {
    /// Takes in that a new process has come. If a restart had been asked for, this is it.
    pub fn new_process(&mut self, policy: &Policy) {
        if std::mem::take(&mut self.asked) {
            self.failures = self.failures.saturating_add(1);
        }
        self.held |= self.failures >= policy.restart_budget;
    }

    /// Takes in the moment of the last `release` of an operator, if there was one; a new one clears the
    /// count.
    pub fn release(&mut self, released: Option<Time>) {
        if released > self.released {
            self.released = released;
            self.clear();
        }
    }

    /// Takes in the answers of this decision: whether it asks for a restart, and the verdict of readiness.
    pub fn see(&mut self, asks: bool, ready: Verdict, ready_since: Time, now: Time) {
        self.asked |= asks;
        if ready == Verdict::Pass && now.since(ready_since) >= SUCCESS_AFTER {
            self.clear();
        }
    }

    /// Returns the number of restarts, if they have used the budget up.
    #[must_use]
    pub fn exhausted(&self) -> Option<u32> {
        self.held.then_some(self.failures)
    }

    /// Returns the state of the budget that a later run of the supervisor needs.
    #[must_use]
    pub fn memory(&self) -> RememberedBudget {
        RememberedBudget {
            failures: self.failures,
            asked: self.asked,
            held: self.held,
        }
    }

    /// Creates the budget from the state that an earlier run of the supervisor remembered.
    #[must_use]
    pub fn recall(remembered: RememberedBudget) -> Self {
        Self {
            failures: remembered.failures,
            asked: remembered.asked,
            held: remembered.held,
            released: None,
        }
    }

    fn clear(&mut self) {
        self.failures = 0;
        self.held = false;
        self.asked = false;
    }
}
