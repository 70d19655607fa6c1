//! The choice of what is worth an event: pure, from one decision to the next.
//!
//! | what changes | reason of the event | type |
//! | --- | --- | --- |
//! | a reason begins | the reason's code | `Normal` if it passes by itself or only informs, else `Warning` |
//! | a reason that had an event ends | `ReasonEnded` | `Normal` |
//! | a restart of the engine is asked for | `EngineRestart` | `Warning` |
//! | the engine is started again in its container | `EngineRestartedInPlace` | `Warning` |
//! | the engine is fenced | `EngineFenced` | `Warning` |
//! | the pod becomes ready, or not ready | `Ready`, `NotReady` | `Normal`, `Warning` |
//! | the gate opens | `GateOpened` | `Normal` |
//!
//! A reason that begins again within [`REPEAT_WINDOW`] of its last event is counted, and the count
//! stands in its next event. `Bucket` bounds the rest, and keeps a share for restarts, fences, and
//! readiness.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::decision::{Decision, Finding, Verdict};
use crate::decide::reason::{Outcome, Reason};
use crate::decide::time::Time;
use crate::publish::{new_fence, new_restart, restart_by};

/// The time after an event of a reason within which the same reason gets no other one.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(600);
/// The greatest number of events that may come at once.
const BURST: u32 = 25;
/// The time after which one more event may come; a tenth of client-go's spam filter's, whose burst
/// is the same.
const REFILL: Duration = Duration::from_secs(30);
/// The number of events of the burst that are kept for restarts, fences, and readiness.
const RESERVED: u32 = 8;

/// Reasons without an event of their own: they come with every start, or repeat what another event
/// reports.
const SILENT: [Reason; 3] = [Reason::NotYetObserved, Reason::Restarting, Reason::Settling];

/// The type of an event: whether it reports something that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The event reports something that is as it should be: `Normal`.
    Normal,
    /// The event reports something that is not as it should be: `Warning`.
    Warning,
}

impl Kind {
    /// Returns the type's name in the Kubernetes API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// The content of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The event's type.
    pub kind: Kind,
    /// The event's reason, a word in CamelCase: why the action was taken.
    pub reason: &'static str,
    /// The event's action, a word in CamelCase: what was done.
    pub action: &'static str,
    /// The description of what was found, for people.
    pub text: String,
    /// Whether the event takes from the reserved share.
    urgent: bool,
}

/// The events that were made of one reason.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// The time of the last event; none where none was made yet.
    at: Option<Time>,
    /// The number of times that the reason has begun since then without an event of its own.
    since: u32,
    /// The time since which the reason holds, where an event was made of that.
    open: Option<Time>,
}

/// The memory from one decision to the next. Its size is bounded by the catalogue of reasons.
#[derive(Debug, Default)]
pub struct Journal {
    before: Option<Decision>,
    said: BTreeMap<Reason, Said>,
    bucket: Bucket,
}

impl Journal {
    /// Takes in `decision` and returns what is worth an event, oldest first.
    pub fn see(&mut self, decision: &Decision) -> Vec<Note> {
        let mut notes = self.ended(decision);
        notes.extend(self.begun(decision));
        notes.extend(restarts(self.before.as_ref(), decision));
        notes.extend(answers(self.before.as_ref(), decision));
        self.before = Some(decision.clone());
        let bucket = &mut self.bucket;
        notes.retain(|note| bucket.take(decision.at, note.urgent));
        notes
    }

    fn ended(&mut self, decision: &Decision) -> Vec<Note> {
        let mut notes = Vec::new();
        for (reason, said) in &mut self.said {
            let Some(open) = said.open.filter(|_| decision.finding(*reason).is_none()) else {
                continue;
            };
            said.open = None;
            let held = Duration::from_secs(decision.at.since(open).as_secs());
            notes.push(Note {
                kind: Kind::Normal,
                reason: "ReasonEnded",
                action: "Observe",
                text: format!(
                    "{} ended after {}.",
                    reason.code(),
                    humantime::format_duration(held)
                ),
                urgent: false,
            });
        }
        notes
    }

    fn begun(&mut self, decision: &Decision) -> Vec<Note> {
        let before = self.before.as_ref();
        let new = |finding: &&Finding| {
            let known = before.is_some_and(|before| before.finding(finding.reason).is_some());
            !known && !SILENT.contains(&finding.reason)
        };
        let mut notes = Vec::new();
        for finding in decision.findings.iter().filter(new) {
            let said = self.said.entry(finding.reason).or_default();
            let recent = said
                .at
                .is_some_and(|at| decision.at.since(at) < REPEAT_WINDOW);
            if recent {
                said.since = said.since.saturating_add(1);
                continue;
            }
            notes.push(found(finding, said.since));
            *said = Said {
                at: Some(decision.at),
                since: 0,
                open: Some(decision.at),
            };
        }
        notes
    }
}

fn found(finding: &Finding, repeated: u32) -> Note {
    let info = finding.reason.info();
    let kind = match info.outcome {
        Outcome::Notice | Outcome::Wait => Kind::Normal,
        Outcome::Operator | Outcome::Recreate | Outcome::Restart => Kind::Warning,
    };
    let again = match repeated {
        0 => String::new(),
        times => format!(" It has begun {times} more times since its last event."),
    };
    Note {
        kind,
        reason: info.code,
        action: "Observe",
        text: format!(
            "{} Evidence: {}.{again} {}",
            info.summary,
            finding.evidence.trim_end_matches('.'),
            info.action
        ),
        urgent: false,
    }
}

fn restarts(before: Option<&Decision>, now: &Decision) -> Vec<Note> {
    let codes = |reasons: &[Reason]| {
        let evidence = |reason: &Reason| {
            let found = now.finding(*reason);
            let evidence = found.map_or("", |finding| finding.evidence.as_str());
            format!("{}: {evidence}", reason.code())
        };
        reasons.iter().map(evidence).collect::<Vec<_>>().join("; ")
    };
    let mut notes = Vec::new();
    if let Some(restart) = new_restart(before, now) {
        notes.push(Note {
            kind: Kind::Warning,
            reason: "EngineRestart",
            action: "Restart",
            text: format!(
                "The engine is restarted by the {}. {}.",
                restart_by(restart.by),
                codes(&restart.reasons)
            ),
            urgent: true,
        });
    }
    let known = before.map_or(now.restarts_in_place, |before| before.restarts_in_place);
    if now.restarts_in_place > known {
        notes.push(Note {
            kind: Kind::Warning,
            reason: "EngineRestartedInPlace",
            action: "Restart",
            text: format!(
                "The engine had ended and was started again in its container. Restarts of this kind so far: {}.",
                now.restarts_in_place
            ),
            urgent: true,
        });
    }
    if let Some(fence) = new_fence(before, now) {
        notes.push(Note {
            kind: Kind::Warning,
            reason: "EngineFenced",
            action: "Fence",
            text: format!(
                "The engine is killed because it may not write the volume. {}.",
                codes(&fence.reasons)
            ),
            urgent: true,
        });
    }
    notes
}

fn answers(before: Option<&Decision>, now: &Decision) -> Vec<Note> {
    let was = |answer: fn(&Decision) -> Verdict| before.map_or(Verdict::Fail, answer);
    let mut notes = Vec::new();
    if was(|decision| decision.gate.verdict) != now.gate.verdict
        && now.gate.verdict == Verdict::Pass
    {
        notes.push(Note {
            kind: Kind::Normal,
            reason: "GateOpened",
            action: "Start",
            text: "The volume is the right one and this pod holds it: the engine may start.".into(),
            urgent: false,
        });
    }
    let ready = now.ready.verdict;
    if was(|decision| decision.ready.verdict) != ready {
        let codes: Vec<_> = now.ready.reasons.iter().map(|r| r.code()).collect();
        let (kind, reason, text) = match ready {
            Verdict::Pass => (
                Kind::Normal,
                "Ready",
                "The engine answers; clients may be sent to it.".to_owned(),
            ),
            Verdict::Fail => (
                Kind::Warning,
                "NotReady",
                format!(
                    "Clients are kept away from the engine: {}.",
                    codes.join(", ")
                ),
            ),
        };
        notes.push(Note {
            kind,
            reason,
            action: "Publish",
            text,
            urgent: true,
        });
    }
    notes
}

/// A token bucket over the time of decisions.
#[derive(Debug)]
struct Bucket {
    tokens: u32,
    filled: Time,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            tokens: BURST,
            filled: Time::ZERO,
        }
    }
}

impl Bucket {
    /// Returns whether one more event may be made at `now`. An event that is not urgent leaves the
    /// reserved share alone.
    fn take(&mut self, now: Time, urgent: bool) -> bool {
        while self.tokens < BURST && now.since(self.filled) >= REFILL {
            self.tokens += 1;
            self.filled = self.filled.plus(REFILL);
        }
        if self.tokens >= BURST {
            self.filled = now;
        }
        let least = if urgent { 1 } else { RESERVED + 1 };
        let may = self.tokens >= least;
        if may {
            self.tokens -= 1;
        }
        may
    }
}

#[cfg(test)]
mod tests;
