//! The findings that the rules write, and the moments at which the rules want to be applied again.

use std::time::Duration;

use super::reason::Reason;
use super::time::Time;

/// The findings of one decision.
#[derive(Debug)]
pub struct Findings {
    now: Time,
    list: Vec<(Reason, String)>,
    /// The reasons in `list` that leave the gate open here, whatever the catalogue says of them.
    leave_gate: Vec<Reason>,
    recheck_at: Option<Time>,
}

impl Findings {
    /// Creates an empty list of findings for the decision at `now`.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            now,
            list: Vec::new(),
            leave_gate: Vec::new(),
            recheck_at: None,
        }
    }

    /// Adds a finding. Of two findings with the same reason the first one's evidence stays.
    pub fn add(&mut self, reason: Reason, evidence: impl Into<String>) {
        self.leave_gate.retain(|leaves| *leaves != reason);
        if !self.has(reason) {
            self.list.push((reason, evidence.into()));
        }
    }

    /// Adds the reason for which an engine ended, where its cause was looked for since and is gone. The gate
    /// stays open: one that an engine's last words keep shut would never open, and the next one waits for it.
    pub fn add_past(&mut self, reason: Reason, evidence: impl Into<String>) {
        if !self.has(reason) {
            self.list.push((reason, evidence.into()));
            self.leave_gate.push(reason);
        }
    }

    /// Whether `reason` leaves the gate open here: it was found only of an engine that has ended, or of a
    /// volume that the gate does not require.
    #[must_use]
    pub fn leaves_gate(&self, reason: Reason) -> bool {
        self.leave_gate.contains(&reason)
    }

    /// Adds a finding on a volume that the gate does not require, as [`Self::add_another`] does.
    pub fn add_beside_gate(&mut self, reason: Reason, evidence: String) {
        let leaves = !self.has(reason) || self.leaves_gate(reason);
        self.add_another(reason, evidence);
        if leaves {
            self.leave_gate.push(reason);
        }
    }

    /// Adds a finding whose evidence stands beside that of the same reason for another volume.
    pub fn add_another(&mut self, reason: Reason, evidence: String) {
        self.leave_gate.retain(|leaves| *leaves != reason);
        match self.list.iter_mut().find(|(found, _)| *found == reason) {
            Some((_, before)) => {
                before.push_str("; ");
                before.push_str(&evidence);
            }
            None => self.list.push((reason, evidence)),
        }
    }

    /// Whether `reason` was found.
    #[must_use]
    pub fn has(&self, reason: Reason) -> bool {
        self.list.iter().any(|(found, _)| *found == reason)
    }

    /// Whether something that began at `since` has lasted for `span`. If not, the next decision is made no
    /// later than the moment at which it will have: no threshold is met late.
    pub fn due(&mut self, since: Time, span: Duration) -> bool {
        let at = since.plus(span);
        if self.now >= at {
            return true;
        }
        self.recheck_at = Some(self.recheck_at.map_or(at, |before| before.min(at)));
        false
    }

    /// Returns the reasons found that satisfy `wanted`, in the order of the catalogue.
    pub fn reasons(&self, wanted: impl Fn(Reason) -> bool) -> Vec<Reason> {
        let mut reasons: Vec<_> = self.list.iter().map(|(reason, _)| *reason).collect();
        reasons.retain(|reason| wanted(*reason));
        reasons.sort_unstable();
        reasons
    }

    /// Returns the moment at which to decide again, if a threshold lies ahead.
    #[must_use]
    pub fn recheck_at(&self) -> Option<Time> {
        self.recheck_at
    }

    /// Returns the findings themselves, in the order of the catalogue.
    #[must_use]
    pub fn into_list(mut self) -> Vec<(Reason, String)> {
        self.list.sort_by_key(|(reason, _)| *reason);
        self.list
    }
}

/// Formats a duration for people: whole seconds from ten seconds on, one decimal below.
#[must_use]
pub fn seconds(span: Duration) -> String {
    if span >= Duration::from_secs(10) {
        format!("{} s", span.as_secs())
    } else {
        format!("{:.1} s", span.as_secs_f64())
    }
}
