//! The thresholds of the decision engine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::VolumeInit;
use super::lease::LeaseMode;

/// All thresholds of a decision. Durations count on the supervised clock.
///
/// [`crate::config`] builds it and checks the relations between its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// The failures that justify a restart, after SQL Server's failure-condition level: 0 none, 1 the
    /// process or its listener is lost, 2 also an engine that does not answer, 3 also a system error, 4
    /// also a resource error, 5 also a query processing error.
    pub failure_condition_level: u8,
    /// The time without any answer and progress after which the engine counts as hung.
    pub unresponsive_after: Duration,
    /// The time for which a live, started process refuses the port until its listener counts as lost.
    pub listener_lost_after: Duration,
    /// The time without a `sqlservr`, after one was there, until the process counts as missing.
    pub process_missing_after: Duration,
    /// The time for which nobody reaps a zombie until that is found.
    pub zombie_after: Duration,
    /// The time without any progress after which a start counts as stalled.
    pub startup_stalled_after: Duration,
    /// The age up to which an answered query still proves readiness.
    pub ready_freshness: Duration,
    /// The hysteresis: the time for which evidence must stay good before a probe that failed passes again.
    pub settle: Duration,
    /// The time for which a check of a volume is in flight until the volume counts as stalled.
    pub volume_stalled_after: Duration,
    /// The time for which a dump may hold liveness.
    pub dump_limit: Duration,
    /// The time for which a stop on purpose may hold liveness.
    pub stopping_limit: Duration,
    /// The number of `sp_server_diagnostics` reports in a row that must show an error.
    pub diagnostics_reports: u32,
    /// The processor time per second, as a share of one core, from which an engine counts as advancing.
    pub progress_cpu: f64,
    /// The storage bytes per second from which an engine counts as advancing.
    pub progress_io: u64,
    /// The share of throttled cgroup periods from which timeouts are stretched.
    pub throttled_ratio: f64,
    /// The factor by which timeouts are stretched in a throttled cgroup.
    pub throttled_stretch: u32,
    /// The databases without which the instance is not ready; `master` always is one of them.
    pub required_databases: Vec<String>,
    /// Whether the data directory has to be a mount of its own.
    pub require_mount: bool,
    /// Whether that mount may be one that goes with the pod or the container.
    pub allow_ephemeral: bool,
    /// The free bytes below which the volume counts as full.
    pub disk_full_bytes: u64,
    /// The share of free bytes or inodes below which a warning is given, 0 to 1.
    pub disk_low_ratio: f64,
    /// The time for which the engine reports that memory ran out until that is a finding of its own.
    pub out_of_memory_after: Duration,
    /// The side that restarts the engine.
    pub restart_by: RestartBy,
    /// The time from SIGTERM to SIGKILL, for an engine that still answers or works.
    pub restart_grace: Duration,
    /// The time from SIGTERM to SIGKILL, for an engine that does neither: it can't shut down either.
    pub unresponsive_grace: Duration,
    /// The number of restarts that did not help, however far apart, which end the restarting.
    pub restart_budget: u32,
    /// The time after which an engine that answers nothing is restarted though it uses processor time;
    /// zero: never.
    pub busy_limit: Duration,
    /// The ages up to which a rule may use an observation.
    pub ages: Ages,
    /// The mode of the lease on the volume: how strongly it binds.
    pub lease: LeaseMode,
    /// The time for which a renewal of the lease counts, from its start.
    pub lease_fence: Duration,
    /// Whether a volume without an identity may be taken into use.
    pub volume_init: VolumeInit,
}

/// The ages up to which observations count. An older one is absent: its observer may have stopped, and the
/// engine may have changed since. [`crate::config`] makes them from the observers' paces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ages {
    /// The age of a report on the processes.
    pub process: Duration,
    /// The age of a report on the engine's listeners.
    pub listeners: Duration,
    /// The age of an attempt to be answered, where a restart would rest on it.
    pub contact: Duration,
    /// The age of a report of `sp_server_diagnostics`.
    pub diagnostics: Duration,
    /// The age of the list of databases.
    pub databases: Duration,
    /// The age of a report on the control group.
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

/// The side that restarts the engine. Never both for one incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestartBy {
    /// The kubelet: `/livez` fails, and the container is restarted by the pod's own rules.
    Kubelet,
    /// The supervisor: it signals `sqlservr`, so that the container ends and is started anew. `/livez`
    /// fails only where that can't be done.
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
