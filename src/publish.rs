//! The answers that the kubelet, Prometheus and people read: all of them are made from the last
//! [`Published`] decision.
//!
//! **Architecture invariant:** nothing here does I/O on behalf of a request, and nothing here
//! changes a verdict. There is one writer of [`Published`], the loop in [`crate::app`].

pub mod server;
// In the order in which a request meets them.
pub mod connections;
pub mod routes;
pub mod view;
// The answers that it may get.
mod checks;
pub mod metrics;
mod page;
mod seconds;
pub mod status;
mod words;
// The events that are written to Kubernetes, for whoever looks there first.
pub mod events;

#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::decide::decision::{Action, Decision, LastRestart, Probe, Restart, Verdict};
use crate::decide::observation::ActionStep;
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::decide::snapshot::Snapshot;

/// The greatest number of transitions that are remembered.
pub const MAX_TRANSITIONS: usize = 64;

/// The last decision, with the snapshot that it was made from.
///
/// Its writer publishes after each decision, changed or not: the HTTP thread takes the time without
/// a new [`Self::sequence`] for the time in which nothing was decided.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The decision; none until the first one was made.
    pub decision: Option<Decision>,
    /// The snapshot that the decision was made from.
    pub snapshot: Snapshot,
    /// The last changes of an answer, oldest first, at most [`MAX_TRANSITIONS`].
    pub history: Vec<Transition>,
    /// The number of the publication. It counts up with each, so that a reader can tell a new one
    /// from the one before.
    pub sequence: u64,
}

impl Published {
    /// Returns why the supervisor could not restart this engine itself, if it tried.
    #[must_use]
    pub fn failed_restart(&self) -> Option<&str> {
        let report = &self.snapshot.action.as_ref()?.value;
        let last = self.decision.as_ref()?.last_restart.as_ref()?;
        match &report.step {
            ActionStep::Failed(why) if last.process == Some(report.process) => Some(why),
            _ => None,
        }
    }
}

/// A change of one answer.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The moment of the change by the wall clock; for people only.
    #[serde(with = "wall_clock")]
    pub at: SystemTime,
    /// The probe whose answer changed.
    pub probe: Probe,
    /// The new verdict.
    pub verdict: Verdict,
    /// The reasons why the probe fails; for a pass, the reasons that went away.
    pub reasons: Vec<Reason>,
}

/// Returns the restart that `now` asks for and the decision before did not.
#[must_use]
pub fn new_restart<'a>(before: Option<&Decision>, now: &'a Decision) -> Option<&'a LastRestart> {
    let known = before.and_then(|before| before.last_restart.as_ref());
    // A restart that an earlier run asked for is remembered, not asked for again.
    let last = now.last_restart.as_ref();
    last.filter(|last| last.before_start.is_zero() && known != Some(*last))
}

/// Returns the fence that `now` asks for and the decision before did not.
#[must_use]
pub fn new_fence<'a>(before: Option<&Decision>, now: &'a Decision) -> Option<&'a Restart> {
    let Some(Action::Fence(fence)) = &now.action else {
        return None;
    };
    let known = before.and_then(|before| before.action.as_ref());
    let same = matches!(known, Some(Action::Fence(known)) if known.parent == fence.parent);
    (!same).then_some(fence)
}

/// Returns the word for who restarts the engine.
#[must_use]
pub const fn restart_by(by: RestartBy) -> &'static str {
    match by {
        RestartBy::Supervisor => "supervisor",
        RestartBy::Kubelet => "kubelet",
    }
}

mod wall_clock {
    use super::SystemTime;

    pub fn serialize<S: serde::Serializer>(at: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&humantime::format_rfc3339_millis(*at))
    }
}

/// The receiving end of the channel of publications, held by the HTTP thread.
pub type Reader = watch::Receiver<Arc<Published>>;
