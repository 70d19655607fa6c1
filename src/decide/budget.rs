//! The restart budget: restarts that do not help end.

use std::collections::VecDeque;
use std::time::Duration;

use super::decision::Verdict;
use super::policy::Policy;
use super::time::Time;

/// Readiness for this long is a success: the restarts before it helped.
const SUCCESS_AFTER: Duration = Duration::from_secs(60);

/// Counts the restarts that this engine asked for.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// When each of them took place: a new process after a failed liveness.
    restarts: VecDeque<Time>,
    /// Liveness fails for the present process.
    asked: bool,
    /// The budget was used up.
    held: bool,
    released: Option<Time>,
}

impl Budget {
    /// A new process has come. If a restart had been asked for, this is it.
    pub fn new_process(&mut self, policy: &Policy, now: Time) {
        if std::mem::take(&mut self.asked) {
            self.restarts.push_back(now);
        }
        while self
            .restarts
            .front()
            .is_some_and(|first| now.since(*first) > policy.restart_window)
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= policy.restart_budget as usize {
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

    /// The answers of this decision.
    pub fn see(&mut self, live: Verdict, ready: Verdict, ready_since: Time, now: Time) {
        self.asked |= live == Verdict::Fail;
        if ready == Verdict::Pass && now.since(ready_since) >= SUCCESS_AFTER {
            self.clear();
        }
    }

    /// Restarts counted, if they have used the budget up.
    #[must_use]
    pub fn exhausted(&self) -> Option<usize> {
        self.held.then_some(self.restarts.len())
    }

    fn clear(&mut self) {
        self.restarts.clear();
        self.held = false;
        self.asked = false;
    }
}
