//! The engine's error numbers, classified in one table.

use serde::Serialize;

/// What an error number says about the engine, as far as a decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SqlErrorClass {
    /// Not ready yet; it will be.
    Starting,
    /// A database is being recovered.
    Recovering,
    /// Upgrade scripts run; a restart would begin them anew.
    ScriptUpgrade,
    /// It is shutting down.
    Stopping,
    /// It was paused by an administrator.
    Paused,
    /// Only administrators may log in (single user, minimal start).
    AdministratorsOnly,
    /// Wrong user or password.
    LoginFailed,
    /// The login is disabled or locked out; more attempts prolong a lock.
    LoginDisabled,
    /// The password expired or must be changed.
    PasswordExpired,
    /// The login may not do what was asked.
    PermissionMissing,
    /// A database can't be opened for the reason that `sys.databases` names.
    DatabaseUnavailable,
    /// No more connections.
    ConnectionsExhausted,
    /// No more workers, threads or system tasks.
    WorkersExhausted,
    /// Memory ran out.
    OutOfMemory,
    /// Loaded: a timeout, a lock, a memory grant.
    Busy,
    /// The transaction log is full.
    LogFull,
    /// A data file or the disk is full.
    DiskFull,
    /// A file could not be opened or read: the volume's fault.
    VolumeError,
    /// What was read from storage is wrong.
    DataCorruption,
    /// The engine's own fault: assertion, access violation, schedulers.
    EngineFault,
    /// The request itself is wrong or not supported by this engine.
    Unsupported,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SqlError {
    /// Message number, as in `sys.messages`.
    pub number: u32,
    /// A short name, stable, fit for a metric's label.
    pub name: &'static str,
    /// What it says.
    pub class: SqlErrorClass,
    /// Where that is documented.
    pub source: &'static str,
}

/// The row of `number`, if the table has one.
#[must_use]
pub fn classify(number: u32) -> Option<&'static SqlError> {
    TABLE
        .binary_search_by_key(&number, |row| row.number)
        .ok()
        .and_then(|index| TABLE.get(index))
}

const DOC: &str = "Microsoft Learn: Database Engine events and errors";

/// Ordered by number; a test checks it.
pub const TABLE: &[SqlError] = &[SqlError {
    number: 18456,
    name: "login_failed",
    class: SqlErrorClass::LoginFailed,
    source: DOC,
}];
