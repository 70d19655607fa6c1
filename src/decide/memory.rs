//! The memory that outlives the supervisor: a sidecar that is restarted must not forget that restarts did
//! not help, that a person asked it to hold still, or that the engine beside it has long started.

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
    /// The state of the restart budget.
    pub budget: RememberedBudget,
    /// The moment until which liveness is held.
    pub maintenance_until: Option<Time>,
    /// The last restart that was asked for.
    pub last_restart: Option<RememberedRestart>,
    /// Whether `launch` was linked: it will be again, and what the supervisor itself sees of the processes
    /// means nothing.
    #[serde(default)]
    pub linked: bool,
    /// Whether the agent of the SQL container held the lease: it will again, and the supervisor does not
    /// contend with it.
    #[serde(default)]
    pub agent: bool,
    /// The id of the main volume that was used.
    pub volume_id: Option<String>,
    /// The engine's process and the epoch of the lease under which it came.
    pub tenant: Option<Tenant>,
    /// The stop of that engine that was seen to begin.
    #[serde(default)]
    pub stopping: Option<RememberedStop>,
}

/// A stop that was seen to begin: what is left to see of it is a closed port and an idle process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedStop {
    /// The moment at which the stop began, or the start of the run if that was later.
    pub since: Time,
    /// The time that the stop had lasted before the start of the run that wrote the memory.
    pub before_start: Duration,
}

/// An engine's process and the lease under which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// The outer `sqlservr`.
    pub process: ProcessId,
    /// The epoch that was held when the process was first seen while one was held.
    pub epoch: Epoch,
}

/// An engine and what it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedEngine {
    /// The outer `sqlservr`.
    pub parent: ProcessId,
    /// The engine's process below the outer one.
    pub engine: Option<ProcessId>,
    /// Whether the engine has answered a query.
    pub proven: bool,
    /// Whether the engine has answered as only an engine that has started does.
    pub started: bool,
    /// Whether the engine has answered so, was seen to listen, or has logged that it is ready.
    #[serde(default)]
    pub up: bool,
    /// The address at which the engine answered.
    #[serde(default)]
    pub answered_at: Option<SocketAddr>,
}

/// The restart budget's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedBudget {
    /// The number of restarts that did not help so far.
    pub failures: u32,
    /// Whether a restart is asked for and has not taken place.
    pub asked: bool,
    /// Whether the budget was used up.
    pub held: bool,
}

/// A [`LastRestart`] in a form that a later version understands too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RememberedRestart {
    /// The moment at which the restart was asked for.
    pub at: Time,
    /// The time from the request to the start of the run that wrote the memory, if an earlier run asked for
    /// the restart.
    pub before_start: Duration,
    /// The side that was to restart the engine.
    pub by: RestartBy,
    /// The parent process that was to end.
    pub process: Option<ProcessId>,
    /// The codes of the reasons; one that this version does not know is left out.
    pub reasons: Vec<String>,
}

impl Memory {
    /// Returns this memory for a run that starts now: `written` is the moment of the earlier run at which
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
