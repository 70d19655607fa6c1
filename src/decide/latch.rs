//! The hysteresis of a probe's answer.

use std::time::Duration;

use super::decision::{ProbeAnswer, Verdict};
use super::findings::Findings;
use super::reason::Reason;
use super::time::Time;

/// A latch holds the answer of one probe and decides when it may change.
///
/// Each answer has a safe side, to which it moves at once: for readiness that is *fail* (send no
/// client to a dead engine), for liveness *pass* (do not kill an engine that has come back). Away
/// from it, an answer that has already moved once waits out the window. So there is at most one
/// such transition in a window, and never a flapping faster than that.
#[derive(Clone, Debug)]
pub struct Latch {
    verdict: Verdict,
    since: Time,
    safe: Verdict,
    /// Whether the answer has been away from the safe side and come back.
    returned: bool,
    /// The moment since which the evidence has asked for the other side without a break.
    wanted_since: Option<Time>,
}

impl Latch {
    /// Creates the latch of an answer that is on its safe side from `now` on.
    #[must_use]
    pub fn new(safe: Verdict, now: Time) -> Self {
        Self {
            verdict: safe,
            since: now,
            safe,
            returned: false,
            wanted_since: None,
        }
    }

    /// Forgets what was, because another process is asked about now. The answer goes to its safe side.
    pub fn reset(&mut self, now: Time) {
        let before = (self.verdict, self.since);
        *self = Self::new(self.safe, now);
        if before.0 == self.verdict {
            self.since = before.1;
        }
    }

    /// Takes in the verdict that the evidence asks for.
    pub fn update(
        &mut self,
        target: Verdict,
        settle: Duration,
        now: Time,
        findings: &mut Findings,
    ) {
        if target == self.verdict {
            self.wanted_since = None;
            return;
        }
        if target == self.safe {
            self.returned = true;
        } else if self.returned {
            // Readiness has to be good for the whole window. Liveness only keeps its transitions
            // apart: its thresholds have already taken their time.
            let from = match self.safe {
                Verdict::Fail => *self.wanted_since.get_or_insert(now),
                Verdict::Pass => self.since,
            };
            if !findings.due(from, settle) {
                return;
            }
        }
        self.verdict = target;
        self.since = now;
        self.wanted_since = None;
    }

    /// Returns the present verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Returns the answer with the reasons for which it fails.
    #[must_use]
    pub fn answer(&self, reasons: Vec<Reason>) -> ProbeAnswer {
        ProbeAnswer {
            verdict: self.verdict,
            reasons: match self.verdict {
                Verdict::Fail => reasons,
                Verdict::Pass => Vec::new(),
            },
            since: self.since,
        }
    }

    /// Returns the moment since which the verdict has been the same.
    #[must_use]
    pub fn since(&self) -> Time {
        self.since
    }
}

/// The latch of the gate.
///
/// A gate that a fault of the volume has shut opens once the volume has been good for a while. A lease
/// that was not held yet is no such fault: its protocol has done the waiting already, and each start of
/// the SQL container begins without it.
#[derive(Clone, Debug)]
pub struct GateLatch {
    latch: Latch,
    /// Whether the gate is shut, and by more than a lease that was not held yet.
    faulted: bool,
}

impl GateLatch {
    /// Creates the latch of a gate that is shut from `now` on.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            latch: Latch::new(Verdict::Fail, now),
            faulted: false,
        }
    }

    /// Takes in the reasons for which the gate is to be shut.
    pub fn update(
        &mut self,
        shut: &[Reason],
        settle: Duration,
        now: Time,
        findings: &mut Findings,
    ) {
        self.faulted |= shut.iter().any(|reason| *reason != Reason::LeaseNotHeld);
        let settle = match self.faulted {
            true => settle,
            false => Duration::ZERO,
        };
        let target = match shut {
            [] => Verdict::Pass,
            _ => Verdict::Fail,
        };
        self.latch.update(target, settle, now, findings);
        self.faulted &= self.latch.verdict() == Verdict::Fail;
    }

    /// Returns the latch of the answer.
    #[must_use]
    pub fn latch(&self) -> &Latch {
        &self.latch
    }
}
