//! The reports of the engine on itself and on its databases.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::contact::{Attempt, ContactError, ServerError};

/// A report of the `sp_server_diagnostics` stream, or its failure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DiagnosticsReport {
    /// A result set arrived.
    Report(Diagnostics),
    /// The procedure can't or may not be run (2812, 297, 300 ...): the report is absent, not failed.
    Unavailable(ServerError),
    /// The stream broke or went silent.
    Failed(Attempt),
}

/// A result set of `sp_server_diagnostics`. Each field is absent where the engine left it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics {
    /// The state of component `system`: spinlocks, access violations, dumps, non-yielding tasks.
    pub system: Option<ComponentState>,
    /// The state of component `resource`: memory.
    pub resource: Option<ComponentState>,
    /// The state of component `query_processing`: workers, schedulers, deadlocks.
    pub query_processing: Option<ComponentState>,
    /// The state of component `io_subsystem`; never a cause for a restart.
    pub io_subsystem: Option<ComponentState>,
    /// The tasks completed within the interval, `queryProcessing/@tasksCompletedWithinInterval`.
    pub tasks_completed: Option<u64>,
    /// The number of pending tasks, `queryProcessing/@pendingTasks`.
    pub pending_tasks: Option<u64>,
    /// The highest number of workers, `queryProcessing/@maxWorkers`.
    pub max_workers: Option<u64>,
    /// The number of workers created, `queryProcessing/@workersCreated`.
    pub workers_created: Option<u64>,
    /// The number of idle workers, `queryProcessing/@workersIdle`.
    pub workers_idle: Option<u64>,
    /// Whether schedulers deadlocked, `queryProcessing/@hasDeadlockedSchedulersOccurred`.
    pub deadlocked_schedulers: Option<bool>,
    /// The number of non-yielding tasks, `system/@nonYieldingTasksReported`.
    pub non_yielding_tasks: Option<u64>,
    /// The number of requested dumps, `system/@totalDumpRequests`.
    pub dump_requests: Option<u64>,
    /// The number of out-of-memory exceptions, `resource/@outOfMemoryExceptions`.
    pub out_of_memory_exceptions: Option<u64>,
    /// The number of long inputs and outputs, `ioSubsystem/@totalLongIos`.
    pub long_ios: Option<u64>,
}

/// A directory in which files of databases lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineDirectory {
    /// The directory, as the engine names it.
    pub directory: PathBuf,
    /// The number of writes to the files there that were done since the engine started.
    pub writes: u64,
}

/// The state of a component of `sp_server_diagnostics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ComponentState {
    /// The state is not known: 0, or a value that is not documented.
    Unknown,
    /// The component is clean: 1.
    Clean,
    /// The component has a warning: 2.
    Warning,
    /// The component is in error: 3.
    Error,
}

/// The result of reading `sys.databases`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabasesReport {
    /// The rows of `sys.databases`.
    Listed(DatabaseList),
    /// The view could not be read.
    Failed(ContactError),
}

/// The rows of `sys.databases`, ordered by `database_id`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseList {
    /// The rows that were kept.
    pub databases: Vec<Database>,
    /// The number of rows beyond those that the supervisor keeps.
    pub left_out: u32,
}

/// A row of `sys.databases`, with its recovery where one is under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// The name of the database.
    pub name: String,
    /// The state of the database.
    pub state: DatabaseState,
    /// Whether the database is read-only, `is_read_only`.
    pub read_only: bool,
    /// The progress of its recovery, `sys.dm_exec_requests.percent_complete` of its `DB STARTUP`, 0 to 100.
    pub recovery_percent: Option<f64>,
    /// The time that its recovery is expected to take still, `estimated_completion_time`.
    pub recovery_remaining: Option<Duration>,
}

/// The state of a database, `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseState {
    /// The database is online: 0.
    Online,
    /// The database is being restored: 1.
    Restoring,
    /// The database is being recovered: 2.
    Recovering,
    /// The recovery of the database is pending: 3.
    RecoveryPending,
    /// The database is suspect: 4.
    Suspect,
    /// The database is in emergency mode: 5.
    Emergency,
    /// The database is offline: 6.
    Offline,
    /// The database is in another state: 7, 10, or a value that is not documented.
    Other(u8),
}

/// The times until which the certificates of the engine's TLS are valid, in seconds since 1970. Nothing is
/// decided by them: a time of the calendar is for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// The expiry of the certificate that the engine shows to clients; absent where TLS 1.3 hides it, or
    /// there is no TLS.
    pub server_expiry: Option<i64>,
    /// The earliest expiry in the CA file; absent where there is no such file.
    pub ca_expiry: Option<i64>,
}

/// The properties that the engine reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerProperties {
    /// The version of the product, `SERVERPROPERTY('ProductVersion')`.
    pub version: String,
    /// The name of the edition, `SERVERPROPERTY('Edition')`.
    pub edition: String,
    /// The number of the edition, `SERVERPROPERTY('EngineEdition')`; 9 is Azure SQL Edge.
    pub engine_edition: i32,
    /// Whether one connection is all that the engine takes, `SERVERPROPERTY('IsSingleUser')`. Absent where
    /// it was not read.
    pub single_user: Option<bool>,
}
