//! The restart budget: restarts that do not help end.

use std::time::Duration;

use super::decision::Verdict;
use super::memory::RememberedBudget;
use super::policy::Policy;
use super::time::Time;

/// Readiness for this long is a success: the restarts before it helped.
pub const SUCCESS_AFTER: Duration = Duration::from_secs(60);

/// Counts the restarts that this engine asked for.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Restarts since the last success, however far apart: a hang that comes back after an hour is not
    /// helped by the restart before. A restart is a new process after one was asked for.
    failures: u32,
    /// One is asked for and has not taken place.
    asked: bool,
    /// The budget was used up.
    held: bool,
    released: Option<Time>,
}

impl Budget {
    /// A new process has come. If a restart had been asked for, this is it.
    pub fn new_process(&mut self, policy: &Policy) {
        if std::mem::take(&mut self.asked) {
            self.failures = self.failures.saturating_add(1);
        }
        self.held |= self.failures >= policy.restart_budget;
    }

    /// An operator's `release` at this moment, if there was one.
    pub fn release(&mut self, released: Option<Time>) {
        if released > self.released {
            self.released = released;
            self.clear();
        }
    }

    /// The answers of this decision: whether it asks for a restart, and readiness.
    pub fn see(&mut self, asks: bool, ready: Verdict, ready_since: Time, now: Time) {
        self.asked |= asks;
        if ready == Verdict::Pass && now.since(ready_since) >= SUCCESS_AFTER {
            self.clear();
        }
    }

    /// Restarts counted, if they have used the budget up.
    #[must_use]
    pub fn exhausted(&self) -> Option<u32> {
        self.held.then_some(self.failures)
    }

    /// What a later run has to know.
    #[must_use]
    pub fn memory(&self) -> RememberedBudget {
        RememberedBudget {
            failures: self.failures,
            asked: self.asked,
            held: self.held,
        }
    }

    /// What an earlier run knew.
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
