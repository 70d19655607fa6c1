//! The decision: the answers of all probes at one moment, their reasons, and the action that is due.

use std::time::Duration;

use serde::Serialize;

use super::identity::set::IdentityWrite;
use super::observation::ProcessId;
use super::policy::RestartBy;
use super::reason::Reason;
use super::time::Time;

/// The verdict of a probe: pass or fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The probe fails: HTTP status 503.
    Fail,
    /// The probe passes: HTTP status 200.
    Pass,
}

/// A probe: a question of the kubelet, with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// `/startupz`: has the engine started, so that the other probes may begin?
    Startup,
    /// `/livez`: is there no reason to restart the engine?
    Live,
    /// `/readyz`: may clients be sent to the engine?
    Ready,
    /// `/gatez`: may the engine be started on this volume?
    Gate,
}

impl Probe {
    /// All probes.
    pub const ALL: [Self; 4] = [Self::Startup, Self::Live, Self::Ready, Self::Gate];

    /// Returns the name of the probe, as used in labels and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Gate => "gate",
        }
    }
}

/// The phase of the engine's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The engine was not seen yet.
    #[default]
    Unseen,
    /// The engine runs, and no sign shows yet that its start is over.
    Starting,
    /// The start of the engine is over: it has answered, listens, or has logged that it is ready.
    Running,
    /// The engine is being stopped.
    Stopping,
    /// The engine ended, and no other one has taken its place.
    Gone,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 5] = [
        Self::Unseen,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Gone,
    ];

    /// Returns the name of the phase, as used in labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Gone => "gone",
        }
    }
}

/// A reason that holds now, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The reason that holds.
    pub reason: Reason,
    /// The evidence of the finding, as one line of text for people. It holds no secret; what it quotes of
    /// the engine is bounded and on one line.
    pub evidence: String,
    /// The moment since which the reason has held without a break.
    pub since: Time,
}

/// The answer of one probe, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeAnswer {
    /// Whether the probe passes.
    pub verdict: Verdict,
    /// The reasons for which the probe fails; empty when it passes.
    pub reasons: Vec<Reason>,
    /// The moment since which the verdict has been the same.
    pub since: Time,
}

/// An action that the supervisor is to take on the engine now. The same action is asked for in each
/// decision until its end is observed; it is executed once for each [`Restart::parent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// A restart: the engine's processes are ended, so that the container ends and is started anew.
    Restart(Restart),
    /// A fence: the engine's processes are killed at once, because they may not write this volume. It is
    /// asked for again for each process that comes while that is so.
    Fence(Restart),
}

/// The end of the engine's processes, for a restart, a stop or a fence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// The outer `sqlservr`, which is signalled after its identity is confirmed.
    pub parent: ProcessId,
    /// The engine's process below the outer one, if there is one.
    pub engine: Option<ProcessId>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The reasons for the end; [`Reason::Stopping`] alone is a stop on purpose.
    pub reasons: Vec<Reason>,
}

impl Restart {
    /// Whether this is the end of a stop that somebody ordered.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.reasons == [Reason::Stopping]
    }
}

/// The last restart of the engine that was asked for, by the probes or by an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRestart {
    /// The moment at which the restart was asked for.
    pub at: Time,
    /// The time from the request to the supervisor's start, if another run asked for the restart; `at` is
    /// that start then.
    pub before_start: Duration,
    /// The side that was to restart the engine.
    pub by: RestartBy,
    /// The parent process that was to end, if one was seen.
    pub process: Option<ProcessId>,
    /// The reasons for the restart.
    pub reasons: Vec<Reason>,
}

/// The answers of all probes at one moment, with what was found and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The moment of the decision.
    pub at: Time,
    /// The phase of the engine.
    pub phase: Phase,
    /// The answer of `/startupz`.
    pub startup: ProbeAnswer,
    /// The answer of `/livez`.
    pub live: ProbeAnswer,
    /// The answer of `/readyz`.
    pub ready: ProbeAnswer,
    /// The answer of `/gatez`.
    pub gate: ProbeAnswer,
    /// All findings, in the order of the catalogue, including those that only inform.
    pub findings: Vec<Finding>,
    /// The action that is due, if there is one.
    pub action: Option<Action>,
    /// The last restart that was asked for.
    pub last_restart: Option<LastRestart>,
    /// The number of times that the engine was started again in its container, see
    /// [`super::snapshot::Snapshot`].
    pub restarts_in_place: u32,
    /// Whether an identity may be written: the volumes are mounted as such, and the lease is held.
    pub may_identify: bool,
    /// The identities that are to be written.
    pub identity_writes: Vec<IdentityWrite>,
    /// The moment at which to decide again even if nothing new is observed.
    pub recheck_at: Option<Time>,
}

impl LastRestart {
    /// Returns the time since the restart was asked for.
    #[must_use]
    pub fn ago(&self, now: Time) -> Duration {
        self.before_start.saturating_add(now.since(self.at))
    }
}

impl Decision {
    /// Returns the answer of `probe`.
    #[must_use]
    pub fn answer(&self, probe: Probe) -> &ProbeAnswer {
        match probe {
            Probe::Startup => &self.startup,
            Probe::Live => &self.live,
            Probe::Ready => &self.ready,
            Probe::Gate => &self.gate,
        }
    }

    /// Returns the finding of `reason`, if it holds.
    #[must_use]
    pub fn finding(&self, reason: Reason) -> Option<&Finding> {
        self.findings.iter().find(|f| f.reason == reason)
    }
}
