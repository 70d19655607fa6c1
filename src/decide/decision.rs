//! What the engine says.

use std::time::Duration;

use serde::Serialize;

use super::identity::set::IdentityWrite;
use super::observation::ProcessId;
use super::policy::RestartBy;
use super::reason::Reason;
use super::time::Time;

/// The answer to one question of the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// 503.
    Fail,
    /// 200.
    Pass,
}

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// `/startupz`: has the engine started, so that the other probes may begin?
    Startup,
    /// `/livez`: is there no reason to restart it?
    Live,
    /// `/readyz`: may clients be sent to it?
    Ready,
    /// `/gatez`: may the engine be started on this volume?
    Gate,
}

impl Probe {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Startup, Self::Live, Self::Ready, Self::Gate];

    /// As used in labels and on the command line.
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

/// Where in its life the engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Nothing was seen of it yet.
    #[default]
    Unseen,
    /// It runs and has not answered a query yet.
    Starting,
    /// It has answered.
    Running,
    /// It is being stopped.
    Stopping,
    /// It ended, and no other has taken its place.
    Gone,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unseen,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Gone,
    ];

    /// As used in labels.
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

/// A reason that holds now, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which one.
    pub reason: Reason,
    /// What it rests on, in a line for people. Holds no secret; where it quotes the engine, it is bounded
    /// and on one line.
    pub evidence: String,
    /// Since when it holds without a break.
    pub since: Time,
}

/// The answer to one question, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeAnswer {
    /// The answer.
    pub verdict: Verdict,
    /// The reasons for which it fails; empty when it passes.
    pub reasons: Vec<Reason>,
    /// Since when it is so.
    pub since: Time,
}

/// What the supervisor is to do now. The same action is asked for in each decision until its end is
/// observed; whoever carries it out does so once for each [`Restart::parent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// End the engine's processes, so that the container ends and is started anew.
    Restart(Restart),
    /// Kill them at once: they may not write this volume. Asked for again for each process that comes
    /// while that is so.
    Fence(Restart),
}

/// A restart of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// The outer `sqlservr`: to be signalled after its identity is confirmed.
    pub parent: ProcessId,
    /// The engine below it, if there is one.
    pub engine: Option<ProcessId>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Why; [`Reason::Stopping`] alone is a stop on purpose.
    pub reasons: Vec<Reason>,
}

impl Restart {
    /// It is the end of a stop that somebody ordered.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.reasons == [Reason::Stopping]
    }
}

/// The last restart of the engine that was asked for, by the probes or by an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRestart {
    /// When it was asked for.
    pub at: Time,
    /// How long before the supervisor's start that was, if it was another run that asked for it; `at`
    /// is that start then.
    pub before_start: Duration,
    /// Who was to carry it out.
    pub by: RestartBy,
    /// The parent process that was to end.
    pub process: Option<ProcessId>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// All the answers at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The moment.
    pub at: Time,
    /// Where the engine is.
    pub phase: Phase,
    /// `/startupz`.
    pub startup: ProbeAnswer,
    /// `/livez`.
    pub live: ProbeAnswer,
    /// `/readyz`.
    pub ready: ProbeAnswer,
    /// `/gatez`.
    pub gate: ProbeAnswer,
    /// Everything found, in the order of the catalogue; what only informs included.
    pub findings: Vec<Finding>,
    /// What the supervisor is to do about it.
    pub action: Option<Action>,
    /// The last restart that was asked for.
    pub last_restart: Option<LastRestart>,
    /// How often the engine was started again in its container, see [`super::snapshot::Snapshot`].
    pub restarts_in_place: u32,
    /// Whether an identity may be written: the volumes are volumes, and the lease is held.
    pub may_identify: bool,
    /// Identities that are to be written.
    pub identity_writes: Vec<IdentityWrite>,
    /// When to decide again even if nothing new is observed.
    pub recheck_at: Option<Time>,
}

impl LastRestart {
    /// How long ago it was asked for.
    #[must_use]
    pub fn ago(&self, now: Time) -> Duration {
        self.before_start.saturating_add(now.since(self.at))
    }
}

impl Decision {
    /// The answer to `probe`.
    #[must_use]
    pub fn answer(&self, probe: Probe) -> &ProbeAnswer {
        match probe {
            Probe::Startup => &self.startup,
            Probe::Live => &self.live,
            Probe::Ready => &self.ready,
            Probe::Gate => &self.gate,
        }
    }

    /// The finding of `reason`, if it holds.
    #[must_use]
    pub fn finding(&self, reason: Reason) -> Option<&Finding> {
        self.findings.iter().find(|f| f.reason == reason)
    }
}
