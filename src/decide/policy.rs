//! The thresholds by which the engine decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::VolumeInit;
use super::lease::LeaseMode;

/// Every threshold of a decision. Durations count on the supervised clock.
///
/// [`crate::config`] builds it and checks the relations between its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Which failures justify a restart, after SQL Server's failure-condition level: 0 none, 1 the
    /// process or its listener is lost, 2 it does not answer, 3 also a system error, 4 also a
    /// resource error, 5 also a query processing error.
    pub failure_condition_level: u8,
    /// No answer to anything and no progress for this long: the engine hangs.
    pub unresponsive_after: Duration,
    /// Port refused by a live, started process for this long: the listener is lost.
    pub listener_lost_after: Duration,
    /// No `sqlservr` for this long after one was there.
    pub process_missing_after: Duration,
    /// A zombie that nobody reaps for this long.
    pub zombie_after: Duration,
    /// A start without any progress for this long.
    pub startup_stalled_after: Duration,
    /// The age up to which an answered query still proves readiness.
    pub ready_freshness: Duration,
    /// Hysteresis: how long evidence must stay good before a probe that failed passes again.
    pub settle: Duration,
    /// A volume check in flight for this long: the volume stalls.
    pub volume_stalled_after: Duration,
    /// How long a dump may hold liveness.
    pub dump_limit: Duration,
    /// How long a stop on purpose may hold liveness.
    pub stopping_limit: Duration,
    /// How many `sp_server_diagnostics` reports in a row must show an error.
    pub diagnostics_reports: u32,
    /// Processor time per second, as a share of one core, from which an engine counts as advancing.
    pub progress_cpu: f64,
    /// Storage bytes per second from which an engine counts as advancing.
    pub progress_io: u64,
    /// Share of throttled cgroup periods from which timeouts are stretched.
    pub throttled_ratio: f64,
    /// By how much they are stretched then.
    pub throttled_stretch: u32,
    /// Databases without which the instance is not ready; `master` always is one of them.
    pub required_databases: Vec<String>,
    /// The data directory has to be a mount of its own.
    pub require_mount: bool,
    /// That mount may be one that goes with the pod or the container.
    pub allow_ephemeral: bool,
    /// Free bytes below which the volume counts as full.
    pub disk_full_bytes: u64,
    /// Share of free bytes or inodes below which a warning is given, 0 to 1.
    pub disk_low_ratio: f64,
    /// The engine reports that memory ran out for this long.
    pub out_of_memory_after: Duration,
    /// Who restarts the engine.
    pub restart_by: RestartBy,
    /// From SIGTERM to SIGKILL, for an engine that still answers or works.
    pub restart_grace: Duration,
    /// The same for one that does neither: it can't shut down either.
    pub unresponsive_grace: Duration,
    /// So many restarts that did not help, however far apart, end the restarting.
    pub restart_budget: u32,
    /// An engine that answers nothing for this long is restarted though it uses processor time; zero:
    /// never.
    pub busy_limit: Duration,
    /// How old an observation may be for a rule to use it.
    pub ages: Ages,
    /// How strongly the lease on the volume binds.
    pub lease: LeaseMode,
    /// A renewal of the lease counts for this long from its start.
    pub lease_fence: Duration,
    /// Whether a volume without an identity may be taken into use.
    pub volume_init: VolumeInit,
}

/// The age up to which an observation counts. An older one is absent: whoever took it may have stopped,
/// and the engine may have changed since. [`crate::config`] makes them from the observers' paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ages {
    /// Of the processes.
    pub process: Duration,
    /// Of the engine's listeners.
    pub listeners: Duration,
    /// Of an attempt to be answered, where a restart would rest on it.
    pub contact: Duration,
    /// Of a report of `sp_server_diagnostics`.
    pub diagnostics: Duration,
    /// Of the list of databases.
    pub databases: Duration,
    /// Of the control group.
    pub cgroup: Duration,
}

impl Default for Ages {
    fn default() -> Self {
        let age = Duration::from_secs(30);
        Self {
            process: Duration::from_secs(10),
            listeners: age,
            contact: Duration::from_secs(35),
            diagnostics: age,
            databases: age,
            cgroup: Duration::from_secs(15),
        }
    }
}

/// Who carries a restart out. Never both for one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestartBy {
    /// `/livez` fails; the kubelet restarts the container by the pod's own rules.
    Kubelet,
    /// The supervisor signals `sqlservr`, so that the container ends and is started anew. `/livez` fails
    /// only where that can't be done.
    Supervisor,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failure_condition_level: 3,
            unresponsive_after: Duration::from_secs(30),
            listener_lost_after: Duration::from_secs(30),
            process_missing_after: Duration::from_secs(15),
            zombie_after: Duration::from_secs(5),
            startup_stalled_after: Duration::from_secs(15 * 60),
            ready_freshness: Duration::from_secs(10),
            settle: Duration::from_secs(3),
            volume_stalled_after: Duration::from_secs(10),
            dump_limit: Duration::from_secs(15 * 60),
            stopping_limit: Duration::from_secs(30 * 60),
            diagnostics_reports: 2,
            progress_cpu: 0.05,
            progress_io: 16 * 1024,
            throttled_ratio: 0.5,
            throttled_stretch: 4,
            required_databases: Vec::new(),
            require_mount: true,
            allow_ephemeral: false,
            disk_full_bytes: 64 * 1024 * 1024,
            disk_low_ratio: 0.1,
            out_of_memory_after: Duration::from_secs(60),
            restart_by: RestartBy::Supervisor,
            restart_grace: Duration::from_secs(10),
            unresponsive_grace: Duration::from_millis(500),
            restart_budget: 3,
            busy_limit: Duration::ZERO,
            ages: Ages::default(),
            lease: LeaseMode::Advisory,
            lease_fence: Duration::from_secs(20),
            volume_init: VolumeInit::Once,
        }
    }
}
