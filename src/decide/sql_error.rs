//! The engine's error numbers, classified in one table.

use serde::Serialize;

use super::reason::Reason;

/// The class of an error number: what it shows of the engine, as far as a decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SqlErrorClass {
    /// The engine is not ready yet, and will be.
    Starting,
    /// A database is being recovered.
    Recovering,
    /// Upgrade scripts run; a restart would begin them anew.
    ScriptUpgrade,
    /// The engine is shutting down.
    Stopping,
    /// The engine was paused by an administrator.
    Paused,
    /// Only administrators may log in: while the engine starts, or stops.
    AdministratorsOnly,
    /// The engine runs in single-user mode.
    SingleUser,
    /// A logon trigger refused the login.
    LogonTrigger,
    /// The user or the password is wrong.
    LoginFailed,
    /// The login is disabled or locked out; more attempts prolong a lock.
    LoginDisabled,
    /// The password expired or must be changed.
    PasswordExpired,
    /// The login may not do what was asked.
    PermissionMissing,
    /// A database can't be opened for the reason that `sys.databases` names.
    DatabaseUnavailable,
    /// The engine has no more connections.
    ConnectionsExhausted,
    /// The engine has no more workers, threads or system tasks.
    WorkersExhausted,
    /// The engine has no more memory.
    OutOfMemory,
    /// The engine is loaded: a timeout, a lock, a memory grant.
    Busy,
    /// The transaction log is full.
    LogFull,
    /// A data file or the disk is full.
    DiskFull,
    /// A file could not be opened or read: the volume's fault.
    VolumeError,
    /// The data that was read from storage is wrong.
    DataCorruption,
    /// The engine's own fault: assertion, access violation, schedulers.
    EngineFault,
    /// The request itself is wrong or not supported by this engine.
    Unsupported,
}

impl SqlErrorClass {
    /// Returns the reason that stands for the class, where the engine answers with such an error.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Starting => Reason::Starting,
            Self::Recovering => Reason::Recovering,
            Self::ScriptUpgrade => Reason::ScriptUpgrade,
            Self::Stopping => Reason::Stopping,
            Self::Paused => Reason::Paused,
            Self::AdministratorsOnly => Reason::AdministratorsOnly,
            Self::SingleUser => Reason::SingleUser,
            Self::LogonTrigger => Reason::LogonTriggerRefuses,
            Self::LoginFailed => Reason::LoginFailed,
            Self::LoginDisabled => Reason::LoginDisabled,
            Self::PasswordExpired => Reason::PasswordExpired,
            Self::PermissionMissing => Reason::PermissionMissing,
            Self::ConnectionsExhausted => Reason::ConnectionsExhausted,
            Self::WorkersExhausted => Reason::WorkersExhausted,
            // One query that found no memory is load; that it lasts is another rule's.
            Self::OutOfMemory | Self::Busy => Reason::EngineBusy,
            Self::LogFull => Reason::LogFull,
            Self::DiskFull => Reason::DiskFull,
            Self::DataCorruption => Reason::DataCorruption,
            Self::DatabaseUnavailable
            | Self::VolumeError
            | Self::EngineFault
            | Self::Unsupported => Reason::QueryRefused,
        }
    }
}

/// A row of the table of error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SqlError {
    /// The message number, as in `sys.messages`.
    pub number: u32,
    /// A short name, stable, fit for a metric's label.
    pub name: &'static str,
    /// The class of the error.
    pub class: SqlErrorClass,
    /// The documentation of the error.
    pub source: &'static str,
}

/// Returns the row of `number`, if the table has one.
#[must_use]
pub fn classify(number: u32) -> Option<&'static SqlError> {
    TABLE
        .binary_search_by_key(&number, |row| row.number)
        .ok()
        .and_then(|index| TABLE.get(index))
}

const DOC: &str = "Microsoft Learn: Database Engine events and errors";
const DOC_2025: &str = "Microsoft Learn: Database Engine events and errors, SQL Server 2025";
const DIAGNOSTICS: &str = "Microsoft Learn: sp_server_diagnostics (Transact-SQL)";
/// The source of errors that only Azure SQL sends; here because a supervised endpoint may be such a one.
const AZURE: &str = "Microsoft Learn: Azure SQL Database resource limit errors";

const fn row(
    number: u32,
    name: &'static str,
    class: SqlErrorClass,
    source: &'static str,
) -> SqlError {
    SqlError {
        number,
        name,
        class,
        source,
    }
}

use SqlErrorClass::{
    AdministratorsOnly, Busy, ConnectionsExhausted, DataCorruption, DatabaseUnavailable, DiskFull,
    EngineFault, LogFull, LoginDisabled, LoginFailed, LogonTrigger, OutOfMemory, PasswordExpired,
    Paused, PermissionMissing, Recovering, ScriptUpgrade, SingleUser, Starting, Stopping,
    Unsupported, VolumeError, WorkersExhausted,
};

/// The table of error numbers, ordered by number; a test checks the order.
///
/// Numbers that the engine only writes into its log (17883, 3408 ...) are here as well, so that one table
/// serves whoever reads the log. Left out are messages that show neither a fault nor a phase: backups done
/// (18264, 18265) and waking up from idle (17158, 17159, 17404 to 17406).
#[rustfmt::skip]
pub const TABLE: &[SqlError] = &[
    row(102, "incorrect_syntax", Unsupported, DOC),
    row(207, "invalid_column_name", Unsupported, DOC),
    row(208, "invalid_object_name", Unsupported, DOC),
    row(229, "permission_denied_on_object", PermissionMissing, DOC),
    row(297, "no_permission_for_action", PermissionMissing, DOC),
    row(300, "view_server_state_denied", PermissionMissing, DOC),
    row(605, "wrong_allocation_unit", DataCorruption, DOC),
    row(701, "out_of_memory", OutOfMemory, DOC),
    row(802, "buffer_pool_out_of_memory", OutOfMemory, DOC),
    row(823, "io_error", DataCorruption, DOC),
    row(824, "page_inconsistent", DataCorruption, DOC),
    row(825, "read_retried", DataCorruption, DOC),
    row(829, "page_restore_pending", DataCorruption, DOC),
    row(832, "constant_page_changed", DataCorruption, DOC),
    row(833, "io_slow", Busy, DOC),
    row(845, "buffer_latch_timeout", Busy, DOC),
    row(846, "latch_timeout", Busy, DOC),
    row(847, "latch_wait_timeout", Busy, DOC),
    row(904, "autostart_during_shutdown_or_startup", Starting, DOC),
    row(912, "upgrade_script_failed", DatabaseUnavailable, DOC),
    row(913, "database_not_activated", Starting, DOC),
    row(916, "database_access_denied", PermissionMissing, DOC),
    row(921, "database_not_recovered", Recovering, DOC),
    row(922, "database_recovering", Recovering, DOC),
    row(923, "database_restricted", DatabaseUnavailable, DOC),
    row(924, "database_single_user", DatabaseUnavailable, DOC),
    row(926, "database_suspect", DatabaseUnavailable, DOC),
    row(927, "database_restoring", DatabaseUnavailable, DOC),
    row(942, "database_offline", DatabaseUnavailable, DOC),
    row(945, "database_files_inaccessible", DatabaseUnavailable, DOC),
    row(946, "database_version_unsupported", DatabaseUnavailable, DOC),
    row(948, "database_version_newer", DatabaseUnavailable, DOC),
    row(949, "tempdb_skipped", DatabaseUnavailable, DOC),
    row(951, "database_upgrade_step", ScriptUpgrade, DOC),
    row(952, "database_in_transition", DatabaseUnavailable, DOC),
    row(954, "database_mirror", DatabaseUnavailable, DOC),
    row(955, "database_mirror_without_quorum", DatabaseUnavailable, DOC),
    row(976, "replica_not_readable", DatabaseUnavailable, DOC),
    row(978, "replica_read_intent_only", DatabaseUnavailable, DOC),
    row(983, "replica_role_not_readable", DatabaseUnavailable, DOC),
    row(1101, "data_page_not_allocated", DiskFull, DOC),
    row(1105, "filegroup_full", DiskFull, DOC),
    row(1203, "lock_not_owned", EngineFault, DOC),
    row(1204, "lock_resources_exhausted", Busy, DOC),
    row(1205, "deadlock_victim", Busy, DOC),
    row(1222, "lock_timeout", Busy, DOC),
    row(1619, "tempdb_not_opened", DatabaseUnavailable, DOC),
    row(1814, "tempdb_not_created", DatabaseUnavailable, DOC),
    row(2812, "procedure_not_found", Unsupported, DOC),
    row(3041, "backup_failed", VolumeError, DOC),
    row(3201, "backup_device_not_opened", VolumeError, DOC),
    row(3202, "backup_write_failed", VolumeError, DOC),
    row(3313, "redo_failed", DataCorruption, DOC),
    row(3314, "undo_failed", DataCorruption, DOC),
    row(3408, "recovery_complete", Recovering, DOC),
    row(3414, "recovery_failed", DatabaseUnavailable, DOC),
    row(3417, "master_not_recovered", DatabaseUnavailable, DOC),
    row(3434, "collation_change_failed", EngineFault, DOC),
    row(3456, "redo_log_record_failed", DataCorruption, DOC),
    row(3619, "checkpoint_log_full", LogFull, DOC),
    row(3624, "assertion_failed", EngineFault, DOC),
    row(3906, "database_read_only", DatabaseUnavailable, DOC),
    row(4060, "database_not_opened", DatabaseUnavailable, DOC),
    row(4063, "requested_database_not_opened", DatabaseUnavailable, DOC),
    row(4064, "default_database_not_opened", DatabaseUnavailable, DOC),
    row(5120, "physical_file_not_opened", VolumeError, DOC),
    row(5123, "create_file_os_error", VolumeError, DOC),
    row(5133, "directory_lookup_failed", VolumeError, DOC),
    row(5144, "file_growth_cancelled", Busy, DOC),
    row(5145, "file_growth_slow", Busy, DOC),
    row(5149, "modify_file_os_error", VolumeError, DOC),
    row(5178, "sector_size_changed", VolumeError, DOC),
    row(5179, "sector_size_unsupported", VolumeError, DOC),
    row(5180, "file_control_block_invalid", DataCorruption, DOC),
    row(6001, "shutdown_waiting", Stopping, DOC),
    row(6005, "shutdown_in_progress", Stopping, DOC),
    row(8623, "no_query_plan", Busy, DOC),
    row(8628, "optimization_timeout", Busy, DOC),
    row(8631, "stack_limit", Busy, DOC),
    row(8645, "memory_grant_timeout", Busy, DOC),
    row(8651, "memory_grant_refused", Busy, DOC),
    row(9001, "log_unavailable", VolumeError, DOC),
    row(9002, "log_full", LogFull, DOC),
    row(9003, "log_sequence_number_invalid", DataCorruption, DOC),
    row(9004, "log_processing_error", DataCorruption, DOC),
    row(9012, "misaligned_log_io", VolumeError, DOC),
    row(10928, "resource_limit", ConnectionsExhausted, AZURE),
    row(10929, "resource_minimum", WorkersExhausted, AZURE),
    row(17051, "evaluation_expired", EngineFault, DOC),
    row(17053, "os_error", VolumeError, DOC),
    row(17058, "errorlog_not_opened", VolumeError, DOC),
    row(17065, "assertion_reported", EngineFault, DOC),
    row(17066, "assertion_with_expression", EngineFault, DOC),
    row(17073, "diagnostics_in_insert_exec", Unsupported, DIAGNOSTICS),
    row(17076, "system_health_thread_failed", EngineFault, DOC_2025),
    row(17077, "heartbeat_thread_failed", EngineFault, DOC_2025),
    row(17113, "master_file_not_opened", VolumeError, DOC),
    row(17114, "master_file_configuration_error", VolumeError, DOC),
    row(17120, "thread_spawn_failed", EngineFault, DOC),
    row(17126, "ready_for_connections", Starting, DOC),
    row(17137, "starting_up_database", Starting, DOC),
    row(17142, "paused", Paused, DOC),
    row(17147, "terminating_system_shutdown", Stopping, DOC),
    row(17148, "terminating_stop_request", Stopping, DOC),
    row(17182, "network_library_init_failed", EngineFault, DOC),
    row(17187, "not_ready", Starting, DOC),
    row(17188, "shutting_down", Stopping, DOC),
    row(17189, "login_thread_failed", WorkersExhausted, DOC),
    row(17190, "fallback_certificate_failed", EngineFault, DOC),
    row(17194, "ssl_provider_failed", EngineFault, DOC),
    row(17197, "login_timeout_under_load", Busy, DOC),
    row(17204, "file_not_opened", VolumeError, DOC),
    row(17207, "file_os_error", VolumeError, DOC),
    row(17300, "system_task_failed", WorkersExhausted, DOC),
    row(17308, "access_violation", EngineFault, DOC),
    row(17310, "fatal_session_exception", EngineFault, DOC),
    row(17311, "fatal_exception", EngineFault, DOC),
    row(17803, "connection_out_of_memory", OutOfMemory, DOC),
    row(17809, "user_connections_exhausted", ConnectionsExhausted, DOC),
    row(17810, "admin_connection_in_use", ConnectionsExhausted, DOC),
    row(17826, "network_start_failed", EngineFault, DOC),
    row(17830, "connection_network_error", Busy, DOC),
    row(17883, "worker_non_yielding", EngineFault, DOC),
    row(17884, "schedulers_deadlocked", EngineFault, DOC),
    row(17887, "io_completion_non_yielding", EngineFault, DOC),
    row(17888, "all_schedulers_deadlocked", EngineFault, DOC),
    row(17890, "memory_paged_out", OutOfMemory, DOC),
    row(17891, "resource_monitor_non_yielding", EngineFault, DOC),
    row(17892, "logon_trigger_failed", LogonTrigger, DOC),
    row(17894, "dispatcher_non_yielding", EngineFault, DOC),
    row(18204, "backup_device_error", VolumeError, DOC),
    row(18210, "backup_media_error", VolumeError, DOC),
    row(18401, "script_upgrade", ScriptUpgrade, DOC),
    row(18451, "administrators_only", AdministratorsOnly, DOC),
    row(18452, "untrusted_domain", LoginFailed, DOC),
    row(18456, "login_failed", LoginFailed, DOC),
    row(18461, "single_user_mode", SingleUser, DOC),
    row(18462, "password_change_too_early", PasswordExpired, DOC),
    row(18463, "password_change_not_usable", PasswordExpired, DOC),
    row(18464, "password_change_too_short", PasswordExpired, DOC),
    row(18465, "password_change_too_long", PasswordExpired, DOC),
    row(18466, "password_change_not_complex", PasswordExpired, DOC),
    row(18467, "password_change_filter_refused", PasswordExpired, DOC),
    row(18468, "password_change_failed", PasswordExpired, DOC),
    row(18470, "account_disabled", LoginDisabled, DOC),
    row(18471, "password_change_no_permission", PasswordExpired, DOC),
    row(18486, "account_locked_out", LoginDisabled, DOC),
    row(18487, "password_expired", PasswordExpired, DOC),
    row(18488, "password_must_be_changed", PasswordExpired, DOC),
    row(26023, "port_in_use", EngineFault, DOC),
    row(26024, "listen_failed", EngineFault, DOC),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_numbers_are_unique() {
        assert!(TABLE.is_sorted_by(|a, b| a.number < b.number));
    }

    #[test]
    fn names_are_unique_and_fit_for_a_label() {
        let names: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for name in names {
            assert!(name.len() <= 40, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn every_row_is_found_and_nothing_else() {
        for row in TABLE {
            assert_eq!(classify(row.number), Some(row));
        }
        for number in [0, 1, 18457, 50_000, u32::MAX] {
            assert_eq!(classify(number), None);
        }
    }

    #[test]
    fn what_decisions_rest_on_is_classified_as_the_design_says() {
        let class = |number| classify(number).map(|row| row.class);
        for (numbers, expected) in [
            (&[17187][..], Starting),
            (&[921, 922], Recovering),
            (&[18401], ScriptUpgrade),
            (&[6005, 17147, 17148, 17188], Stopping),
            (&[17142], Paused),
            (&[18451], AdministratorsOnly),
            (&[18461], SingleUser),
            (&[17892], LogonTrigger),
            (&[18456], LoginFailed),
            (&[18470, 18486], LoginDisabled),
            (&[18487, 18488], PasswordExpired),
            (&[229, 297, 300], PermissionMissing),
            (&[102, 207, 208, 2812], Unsupported),
            (&[17809, 10928], ConnectionsExhausted),
            (&[17300, 10929], WorkersExhausted),
            (&[9002], LogFull),
            (&[1101, 1105], DiskFull),
            (&[823, 824, 825], DataCorruption),
        ] {
            for number in numbers {
                assert_eq!(class(*number), Some(expected), "{number}");
            }
        }
    }
}
