//! What the engine says of itself where nobody asks it: its errorlog and its standard output.

use std::time::Duration;

use serde::Serialize;

/// One of the engine's logs, as far as it was written by the present start of the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineLog {
    /// Size of the file, bytes: that it grows is progress.
    pub bytes: u64,
    /// The recovery that it last told of, until it says that recovery is complete (3408).
    pub recovery: Option<LoggedRecovery>,
    /// Whether its banner names Azure SQL Edge; absent where there is no banner.
    pub edge: Option<bool>,
    /// Why the start failed, where it says so.
    pub start_fault: Option<StartFault>,
    /// Errors by number, in the order of their first appearance.
    pub errors: Vec<LoggedError>,
    /// How far the start has come.
    pub start: LoggedStart,
    /// A stop on purpose that the log has seen to begin.
    pub stop: Option<LoggedStop>,
    /// Upgrade scripts run: the log names one, and has not said that recovery is complete (3408) since.
    pub upgrading: bool,
}

/// How far a start has come, by the log alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedStart {
    /// The log has the beginning of this start and is in a language whose "ready" is known: that it was
    /// not written can be relied on.
    pub begun: bool,
    /// "SQL Server is now ready for client connections" (17126), or a new log that the engine has begun
    /// since (`sp_cycle_errorlog`): logins are taken. Upgrades, msdb and tempdb may still follow.
    pub ready: bool,
    /// "Recovery is complete" (3408): the start is over.
    pub complete: bool,
}

/// A line by which the log says that a stop on purpose has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LoggedStop {
    /// 17148: the answer to SIGTERM.
    StopRequest,
    /// 17147: the machine goes down.
    SystemShutdown,
    /// 6006: `SHUTDOWN` by a login.
    Statement,
}

/// Progress of a recovery, message 3450.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRecovery {
    /// The database.
    pub database: String,
    /// 0 to 100.
    pub percent: u8,
    /// What the engine expects to be left.
    pub remaining: Option<Duration>,
    /// 1 analysis, 2 redo, 3 undo.
    pub phase: Option<u8>,
}

/// An error that the engine wrote into its log: `Error: 17113, Severity: 16, State: 1.`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedError {
    /// Message number, as in `sys.messages`.
    pub number: u32,
    /// State of the last one.
    pub state: u8,
    /// Severity of the last one.
    pub class: u8,
    /// How often.
    pub count: u32,
}

/// Why the engine can't start, as it says itself. None of these is mended by another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StartFault {
    /// The evaluation period has expired (17051).
    EvaluationExpired,
    /// The licence terms were not accepted: `ACCEPT_EULA` is missing.
    EulaNotAccepted,
    /// The password given for `sa` is too weak, or was not given.
    PasswordRejected,
    /// `master` can't be opened, or a system database can't be set up (17113, 5120): with this errno.
    SystemDatabaseUnreadable(FileFault),
    /// `master` can't be recovered (3417).
    MasterUnrecoverable,
    /// The data directory can't be written: `/.system`, `instance_id`, the errorlog.
    DataDirectoryDenied,
    /// The machine, or the container, has less memory than the engine asks for.
    MemoryTooSmall,
    /// It can't listen: the port is taken, or its certificate can't be used (17182, 17826, 17120).
    ListenFailed,
}

/// What is wrong with a file, as the engine's `OS error` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FileFault {
    /// 2, 3: there is no such file or directory.
    Missing,
    /// 5: access is denied.
    Denied,
    /// 112: there is no room.
    NoSpace,
    /// Anything else.
    Other,
}

/// Crash dumps below the engine's `log` directory: `core.sqlservr.*` and `SQLDump*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dumps {
    /// How many: a core with its companions counts once.
    pub count: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of those that are not finished (`core.sqlservr.PID.temp`); absent where there is none.
    pub writing_bytes: Option<u64>,
}
