//! The rules: each file turns one kind of evidence into findings.
//!
//! | file | evidence | reasons |
//! | --- | --- | --- |
//! | `host` | the control group, the supervisor's own stalls, an operator's `pause` | `CgroupFrozen`, `CpuThrottled`, `SupervisorStalled`, `Maintenance` |
//! | `process` | the processes and their exits, dumps, a stop on purpose | `ProcessExited`, `ProcessKilled`, `OomKilled`, `ProcessMissing`, `ProcessZombie`, `DumpInProgress`, `Stopping`, `NotYetObserved` |
//! | `start` | progress of a start, and the log of one that failed | `Starting`, `StartupStalled`, `Recovering`, `StartFailed`, and the causes in `faults` |
//! | `errorlog` | troubles in the log of a running engine | those of `troubles`, all notices |
//! | `volume` | each volume's check: mount, write, room | `Volume...`, `DiskFull`, `DiskLow`, `StorageUnsupported`, `SideVolumeFault`, `NotOnVolume` |
//! | `identity` | the judgement of the volumes' identities | `VolumeUnidentified`, `VolumeForeign`, `VolumeEmpty`, `VolumeIdentityRefused`, `VolumeNotMounted` |
//! | `lease` | the state of the lease | `Lease...` |
//! | `contact` | pings, logins, listeners | `EngineUnresponsive`, `EngineBusy`, `BusyLimitExceeded`, `ListenerLost`, `ListeningElsewhere`, `NoFreshAnswer`, `OutOfMemory`, and the reasons of error numbers |
//! | `diagnostics` | reports of `sp_server_diagnostics` | `SystemError`, `ResourceError`, `SchedulersDeadlocked`, `DiagnosticsUnavailable` |
//! | `databases` | `sys.databases` | `Database...`, `Recovering`, `RecoveryStalled`, `PermissionMissing`, `NotYetObserved` |
//!
//! Of the reasons of the whole, [`super::restart`] adds `Restarting` and `RestartFailed`, [`super::fence`] adds
//! `Fencing` and `FenceFailed`, and [`super::engine`] adds `RestartBudgetExhausted` and `Settling`.
//!
//! A rule sees everything through [`View`], writes into [`Findings`], and remembers nothing but
//! since when a condition has lasted ([`Timers`]).

mod contact;
mod databases;
mod diagnostics;
mod errorlog;
mod host;
mod identity;
mod lease;
mod process;
mod seen;
mod start;
mod volume;

use std::collections::BTreeMap;
use std::time::Duration;

use super::decision::LastRestart;
use super::findings::Findings;
use super::first_mounts::FirstMounts;
use super::identity::set::JudgedVolumes;
use super::incarnation::Incarnation;
use super::memory::Tenant;
use super::policy::Policy;
use super::snapshot::Snapshot;
use super::time::Time;
use super::troubles::Troubles;

/// All that a rule may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The thresholds.
    pub policy: &'a Policy,
    /// The last observation of each observer.
    pub snapshot: &'a Snapshot,
    /// The process that the decision is about, and how far it has come.
    pub engine: &'a Incarnation,
    /// The moment of the decision.
    pub now: Time,
    /// Whether the engine advanced over the span of [`Policy::unresponsive_after`]; absent if unknown.
    pub advanced: Option<bool>,
    /// The moment at which the engine was last seen to have an excuse for its silence.
    pub excused: Time,
    /// The troubles that the engine's log has shown lately.
    pub troubles: &'a Troubles,
    /// The mounts that the engine was first seen with, by the volumes' names.
    pub mounts: &'a BTreeMap<String, FirstMounts>,
    /// Whether a core under the engine's `log` directory grows.
    pub dump_grows: bool,
    /// The last restart that was asked for.
    pub last_restart: Option<&'a LastRestart>,
    /// The judgement of the volumes' identities.
    pub identities: &'a JudgedVolumes,
    /// The epoch of the lease under which the engine's process came.
    pub tenant: Option<Tenant>,
    /// Whether the engine advanced, in any way at all, over [`Policy::startup_stalled_after`]; absent if
    /// unknown.
    pub start_advanced: Option<bool>,
}

/// A condition whose age a rule needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A process of the engine is a zombie.
    Zombie,
    /// A core dump is being written.
    Dump,
    /// A stop has begun, whether or not it shows still.
    Stopping,
    /// The log of an engine that has not served yet shows a stop.
    StopLogged,
    /// The start is known to be over: a query was answered, or the log shows it.
    StartOver,
    /// A required database recovers in an engine that serves others.
    Recovering,
    /// The engine reports that memory ran out.
    OutOfMemory,
}

/// The moments since which conditions have lasted without a break.
#[derive(Clone, Debug, Default)]
pub struct Timers(BTreeMap<Condition, Time>);

impl Timers {
    /// Returns the moment since which a `condition` that does not end by itself has been there, once it was
    /// seen (`holds`). It is forgotten after `limit`, unless it shows still.
    pub fn latched(
        &mut self,
        condition: Condition,
        holds: bool,
        limit: Duration,
        now: Time,
    ) -> Option<Time> {
        let since = self.0.get(&condition).copied();
        let lasts = since.is_some_and(|since| now.since(since) < limit);
        self.lasting(condition, holds || lasts, now)
    }

    /// Returns the moment since which `condition` has lasted.
    #[must_use]
    pub fn since(&self, condition: Condition) -> Option<Time> {
        self.0.get(&condition).copied()
    }

    /// Takes in whether `condition` holds, and returns the moment since which it does.
    pub fn lasting(&mut self, condition: Condition, holds: bool, now: Time) -> Option<Time> {
        if holds {
            Some(*self.0.entry(condition).or_insert(now))
        } else {
            self.0.remove(&condition);
            None
        }
    }
}

/// Applies all rules. Returns whether the volumes' directories are the volumes, as far as their checks
/// show: only then may an identity be written there.
pub fn apply(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) -> bool {
    host::rule(view, findings);
    process::rule(view, timers, findings);
    start::rule(view, findings);
    errorlog::rule(view, findings);
    volume::rule(view, findings);
    let no_volume = findings.reasons(|reason| reason.info().no_volume);
    identity::rule(view, findings);
    lease::rule(view, findings);
    contact::rule(view, timers, findings);
    diagnostics::rule(view, findings);
    databases::rule(view, timers, findings);
    contact::freshness(view, findings);
    no_volume.is_empty()
}

impl View<'_> {
    /// Returns the timeout `span`, stretched where the engine's container is throttled: it has had less
    /// time of its own than that.
    #[must_use]
    pub fn stretched(&self, span: Duration) -> Duration {
        if self.throttled() {
            span * self.policy.throttled_stretch
        } else {
            span
        }
    }

    /// Whether the container is throttled by its cpu limit.
    #[must_use]
    pub fn throttled(&self) -> bool {
        let ratio = self.cgroup().and_then(|cgroup| cgroup.throttled_ratio);
        ratio.is_some_and(|ratio| ratio >= self.policy.throttled_ratio)
    }

    /// Whether `database` has to be online for readiness.
    #[must_use]
    pub fn required(&self, database: &str) -> bool {
        // Names compare without case, as in the engine's usual collations.
        database.eq_ignore_ascii_case("master")
            || self
                .policy
                .required_databases
                .iter()
                .any(|required| required.eq_ignore_ascii_case(database))
    }
}
