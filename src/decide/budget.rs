//! The restart budget: restarts that do not help end.

use std::collections::VecDeque;
use std::time::Duration;

use super::decision::Verdict;
use super::memory::RememberedBudget;
use super::policy::Policy;
use super::time::Time;

/// Readiness for this long is a success: the restarts before it helped.
const SUCCESS_AFTER: Duration = Duration::from_secs(60);

/// Counts the restarts that this engine asked for.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// When each of them ceases to count. A restart is a new process after one was asked for.
    expiries: VecDeque<Time>,
    /// One is asked for and has not taken place.
    asked: bool,
    /// The budget was used up.
    held: bool,
    released: Option<Time>,
}

impl Budget {
    /// A new process has come. If a restart had been asked for, this is it.
    pub fn new_process(&mut self, policy: &Policy, now: Time) {
        if std::mem::take(&mut self.asked) {
            self.expiries.push_back(now.plus(policy.restart_window));
        }
        while self.expiries.front().is_some_and(|end| *end < now) {
            self.expiries.pop_front();
        }
        if self.expiries.len() >= policy.restart_budget as usize {
            self.held = true;
        }
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
    pub fn exhausted(&self) -> Option<usize> {
        self.held.then_some(self.expiries.len())
    }

    /// What a later run has to know.
    #[must_use]
    pub fn memory(&self) -> RememberedBudget {
        RememberedBudget {
            expiries: self.expiries.iter().copied().collect(),
            asked: self.asked,
            held: self.held,
        }
    }

    /// What an earlier run knew.
    #[must_use]
    pub fn recall(remembered: RememberedBudget) -> Self {
        Self {
            expiries: remembered.expiries.into(),
            asked: remembered.asked,
            held: remembered.held,
            released: None,
        }
    }

    fn clear(&mut self) {
        self.expiries.clear();
        self.held = false;
        self.asked = false;
    }
}
