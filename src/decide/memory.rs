//! What outlives the supervisor: a sidecar that is restarted must not forget that restarts did not
//! help, that a person asked it to hold still, or that the engine beside it has long started.

use core::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::LastRestart;
use super::lease::Epoch;
use super::observation::ProcessId;
use super::policy::RestartBy;
use super::reason::Reason;
use super::time::Time;

/// A supervisor's memory. Its moments are those of the run that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    /// The engine that was supervised.
    pub engine: Option<RememberedEngine>,
    /// The restart budget.
    pub budget: RememberedBudget,
    /// Until when liveness is held.
    pub maintenance_until: Option<Time>,
    /// The last restart that was asked for.
    pub last_restart: Option<RememberedRestart>,
    /// `launch` was linked: it will be again, and what the supervisor itself sees of the processes
    /// means nothing.
    #[serde(default)]
    pub linked: bool,
    /// The agent of the SQL container held the lease: it does so again, and the supervisor does not
    /// contend with it.
    #[serde(default)]
    pub agent: bool,
    /// The id of the volume that was used.
    pub volume_id: Option<String>,
    /// Under which epoch of the lease the engine came.
    pub tenant: Option<Tenant>,
    /// The stop of that engine that was seen to begin.
    #[serde(default)]
    pub stopping: Option<RememberedStop>,
}

/// A stop that was seen to begin: what is left to see of it is a closed port and an idle process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedStop {
    /// Since when.
    pub since: Time,
    /// How long it had lasted before the start of the run that wrote it.
    pub before_start: Duration,
}

/// An engine's process and the lease under which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// The outer process.
    pub process: ProcessId,
    /// The epoch that was held when it was first seen with one.
    pub epoch: Epoch,
}

/// An engine and what it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedEngine {
    /// The outer process.
    pub parent: ProcessId,
    /// The engine below it.
    pub engine: Option<ProcessId>,
    /// It has answered a query.
    pub proven: bool,
    /// It has answered as only an engine that has started does.
    pub started: bool,
    /// It has answered so, or it was seen to listen, or has written that it is ready.
    #[serde(default)]
    pub up: bool,
    /// The address at which it answered.
    #[serde(default)]
    pub answered_at: Option<SocketAddr>,
}

/// The restart budget's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedBudget {
    /// Restarts that did not help so far.
    pub failures: u32,
    /// A restart is asked for and has not taken place.
    pub asked: bool,
    /// It was used up.
    pub held: bool,
}

/// A [`LastRestart`] in words that a later version understands too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedRestart {
    /// When.
    pub at: Time,
    /// How long before the start of the run that wrote it.
    pub before_start: Duration,
    /// By whom.
    pub by: RestartBy,
    /// The parent process that was to end.
    pub process: Option<ProcessId>,
    /// Codes of the reasons; one that this version does not know is left out.
    pub reasons: Vec<String>,
}

impl Memory {
    /// The same memory for a run that starts now: `written` is the moment of the earlier run at which
    /// it was written, `passed` the time since then. A moment that lies ahead keeps its distance; the
    /// engine is another one where the machine was started anew (`same_boot` is false).
    #[must_use]
    pub fn carried_over(mut self, written: Time, passed: Duration, same_boot: bool) -> Self {
        let ahead = |at: Time| {
            let left = at.since(written).saturating_sub(passed);
            (!left.is_zero()).then(|| Time::from_start(left))
        };
        self.maintenance_until = self.maintenance_until.and_then(ahead);
        self.engine = self.engine.filter(|_| same_boot);
        self.tenant = self.tenant.filter(|_| same_boot);
        self.stopping = self.stopping.filter(|_| same_boot).map(|stop| {
            let lasted = written.since(stop.since).saturating_add(passed);
            RememberedStop {
                since: Time::ZERO,
                before_start: stop.before_start.saturating_add(lasted),
            }
        });
        if let Some(restart) = &mut self.last_restart {
            let since = written.since(restart.at).saturating_add(passed);
            restart.before_start = restart.before_start.saturating_add(since);
            restart.at = Time::ZERO;
        }
        self
    }
}

impl From<&LastRestart> for RememberedRestart {
    fn from(last: &LastRestart) -> Self {
        Self {
            at: last.at,
            before_start: last.before_start,
            by: last.by,
            process: last.process,
            reasons: last
                .reasons
                .iter()
                .map(|reason| reason.code().to_owned())
                .collect(),
        }
    }
}

impl From<RememberedRestart> for LastRestart {
    fn from(remembered: RememberedRestart) -> Self {
        Self {
            at: remembered.at,
            before_start: remembered.before_start,
            by: remembered.by,
            process: remembered.process,
            reasons: remembered
                .reasons
                .iter()
                .filter_map(|code| Reason::from_code(code))
                .collect(),
        }
    }
}
