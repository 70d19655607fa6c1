//! What the engine says of itself and of its databases.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::contact::{Attempt, ContactError, ServerError};

/// What the `sp_server_diagnostics` stream brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DiagnosticsReport {
    /// One result set.
    Report(Diagnostics),
    /// The engine can't or may not run it (2812, 297, 300 ...): absent, not failed.
    Unavailable(ServerError),
    /// The stream broke or went silent.
    Failed(Attempt),
}

/// One result set of `sp_server_diagnostics`. Each field is absent where the engine left it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics {
    /// Component `system`: spinlocks, access violations, dumps, non-yielding tasks.
    pub system: Option<ComponentState>,
    /// Component `resource`: memory.
    pub resource: Option<ComponentState>,
    /// Component `query_processing`: workers, schedulers, deadlocks.
    pub query_processing: Option<ComponentState>,
    /// Component `io_subsystem`; never a cause for a restart.
    pub io_subsystem: Option<ComponentState>,
    /// `queryProcessing/@tasksCompletedWithinInterval`.
    pub tasks_completed: Option<u64>,
    /// `queryProcessing/@pendingTasks`.
    pub pending_tasks: Option<u64>,
    /// `queryProcessing/@maxWorkers`.
    pub max_workers: Option<u64>,
    /// `queryProcessing/@workersCreated`.
    pub workers_created: Option<u64>,
    /// `queryProcessing/@workersIdle`.
    pub workers_idle: Option<u64>,
    /// `queryProcessing/@hasDeadlockedSchedulersOccurred`.
    pub deadlocked_schedulers: Option<bool>,
    /// `system/@nonYieldingTasksReported`.
    pub non_yielding_tasks: Option<u64>,
    /// `system/@totalDumpRequests`.
    pub dump_requests: Option<u64>,
    /// `resource/@outOfMemoryExceptions`.
    pub out_of_memory_exceptions: Option<u64>,
    /// `ioSubsystem/@totalLongIos`.
    pub long_ios: Option<u64>,
}

/// A directory in which files of databases lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineDirectory {
    /// The directory, as the engine names it.
    pub directory: PathBuf,
    /// Writes to the files there that were done since the engine started.
    pub writes: u64,
}

/// State of a component of `sp_server_diagnostics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ComponentState {
    /// 0, or a value not documented.
    Unknown,
    /// 1.
    Clean,
    /// 2.
    Warning,
    /// 3.
    Error,
}

/// What `sys.databases` said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabasesReport {
    /// Its rows.
    Listed(DatabaseList),
    /// It could not be read.
    Failed(ContactError),
}

/// Rows of `sys.databases`, ordered by `database_id`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseList {
    /// The rows kept.
    pub databases: Vec<Database>,
    /// How many more there were than the supervisor keeps.
    pub left_out: u32,
}

/// One row of `sys.databases`, with its recovery where one is under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// `name`.
    pub name: String,
    /// `state`.
    pub state: DatabaseState,
    /// `is_read_only`.
    pub read_only: bool,
    /// Recovery: `sys.dm_exec_requests.percent_complete` of its `DB STARTUP`, 0 to 100.
    pub recovery_percent: Option<f64>,
    /// Recovery: `estimated_completion_time`.
    pub recovery_remaining: Option<Duration>,
}

/// `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseState {
    /// 0.
    Online,
    /// 1.
    Restoring,
    /// 2.
    Recovering,
    /// 3.
    RecoveryPending,
    /// 4.
    Suspect,
    /// 5.
    Emergency,
    /// 6.
    Offline,
    /// 7, 10, or a value not documented.
    Other(u8),
}

/// Until when the certificates of the engine's TLS are valid, in seconds since 1970. Nothing is decided
/// by it: a time of the calendar is for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// The one that the engine shows to clients; none where TLS 1.3 hides it, or there is no TLS.
    pub server_expiry: Option<i64>,
    /// The earliest of the CA file; none where there is no such file.
    pub ca_expiry: Option<i64>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerProperties {
    /// `SERVERPROPERTY('ProductVersion')`.
    pub version: String,
    /// `SERVERPROPERTY('Edition')`.
    pub edition: String,
    /// `SERVERPROPERTY('EngineEdition')`; 9 is Azure SQL Edge.
    pub engine_edition: i32,
    /// `SERVERPROPERTY('IsSingleUser')`: one connection is all that the engine takes. Absent where it
    /// was not read.
    pub single_user: Option<bool>,
}
