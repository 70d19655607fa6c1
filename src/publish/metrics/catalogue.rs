//! The catalogue of metrics: name, type, labels and help of each stand here and nowhere else.
//!
//! `sql_edge_supervisor_` begins the names of what the supervisor does and concludes, `sql_edge_`
//! of what it observes of the engine, and `process_` of its own process, named as in all Prometheus
//! clients.

use std::fmt::Write as _;

/// The types of metrics in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only grows, and starts anew with the process it belongs to.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations, counted in buckets.
    Histogram,
}

/// A metric of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The metric's name, with its base unit.
    pub name: &'static str,
    /// The metric's type.
    pub kind: Kind,
    /// The metric's labels in alphabetical order. Each has a closed set of values, or one value at
    /// a time.
    pub labels: &'static [&'static str],
    /// The metric's help text.
    pub help: &'static str,
}

macro_rules! metrics {
    ($( $id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal; )+) => {
        $(
            #[doc = $help]
            pub const $id: Row = Row {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// All metrics, in the order of the reference.
        pub const ALL: &[Row] = &[ $( $id, )+ ];
    };
}

metrics! {
    PROBE_VERDICT: Gauge "sql_edge_supervisor_probe_verdict" ["probe"]
        "Whether the probe passes (1) or fails (0), as it is answered now.";
    REASON_ACTIVE: Gauge "sql_edge_supervisor_reason_active" ["reason"]
        "Whether the reason holds (1) or not (0); every reason of the catalogue is there.";
    PHASE: Gauge "sql_edge_supervisor_phase" ["phase"]
        "1 for the phase that the engine is in, 0 for the others.";
    TRANSITIONS: Counter "sql_edge_supervisor_transitions_total" ["probe", "verdict"]
        "Changes of a probe's decided verdict, by what it became.";
    RESTARTS: Counter "sql_edge_supervisor_engine_restarts_total" ["by", "reason"]
        "Restarts of the engine that were asked for, by who was to carry them out; one with several reasons counts for each.";
    RESTARTS_IN_PLACE: Counter "sql_edge_supervisor_engine_restarts_in_place_total" []
        "Starts of the engine anew in its container, whatever had ended it (`engine-restart: in-place`); a new container counts from 0.";
    RESTART_STEPS: Counter "sql_edge_supervisor_engine_restart_steps_total" ["step"]
        "How far the supervisor's own restarts came; `failed` means that the kubelet was asked.";
    LAST_RESTART_AGE: Gauge "sql_edge_supervisor_engine_last_restart_age_seconds" []
        "Time since a restart of the engine was last asked for, by an earlier run of the supervisor too; absent where none is known.";
    FENCES: Counter "sql_edge_supervisor_engine_fences_total" ["reason"]
        "Fences: engines that were to be killed at once because they may not write the volume; one with several reasons counts for each.";
    LEASE_HELD: Gauge "sql_edge_supervisor_lease_held" []
        "Whether the volume's lease is held (1) or not (0); absent where there is none.";
    LEASE_EPOCH: Gauge "sql_edge_supervisor_lease_epoch" []
        "The epoch of the lease that is held; absent while none is.";
    LEASE_RENEWAL_AGE: Gauge "sql_edge_supervisor_lease_renewal_age_seconds" []
        "Time since the last successful renewal of the lease that is held began; absent while none is.";
    DECISIONS: Counter "sql_edge_supervisor_decisions_total" []
        "Decisions made.";
    DECISION_AGE: Gauge "sql_edge_supervisor_decision_age_seconds" []
        "Time since the last decision; time in which the supervisor did not run is left out.";
    OBSERVATION_AGE: Gauge "sql_edge_supervisor_observation_age_seconds" ["observer"]
        "Time since the observer's last observation.";
    STALLS: Counter "sql_edge_supervisor_stalls_total" []
        "Stalls of the supervisor: it did not run, and counts that time for nothing.";
    STALLED: Counter "sql_edge_supervisor_stalled_seconds_total" []
        "Time in which the supervisor did not run.";
    PING_DURATION: Histogram "sql_edge_supervisor_ping_duration_seconds" []
        "Round trip of answered queries on the standing connection.";
    PING_FAILURES: Counter "sql_edge_supervisor_ping_failures_total" ["kind"]
        "Queries on the standing connection that were not answered with a result.";
    LOGIN_DURATION: Histogram "sql_edge_supervisor_login_duration_seconds" []
        "Duration of fresh logins that were answered: TCP, TLS, login and query.";
    LOGIN_FAILURES: Counter "sql_edge_supervisor_login_failures_total" ["kind"]
        "Fresh logins that did not end in a query's result.";
    LOGIN_ERRORS: Counter "sql_edge_supervisor_login_errors_total" ["number"]
        "Fresh logins that the engine answered with an error, by its number; `other` where the supervisor's table lacks it.";
    VOLUME_WRITE_DURATION: Histogram "sql_edge_supervisor_volume_write_duration_seconds" ["volume"]
        "Duration of write, fsync and read back on the volume.";
    VOLUME_WRITE_FAILURES: Counter "sql_edge_supervisor_volume_write_failures_total" ["kind", "volume"]
        "Writes to the volume that failed.";
    BUILD_INFO: Gauge "sql_edge_supervisor_build_info" ["arch", "version"]
        "1, with the supervisor's version.";
    ENGINE_INFO: Gauge "sql_edge_info" ["edition", "engine_edition", "version"]
        "1, with what the engine says of itself.";
    CERTIFICATE_EXPIRY: Gauge "sql_edge_tls_certificate_expiry_timestamp_seconds" ["certificate"]
        "When the certificate expires, in seconds since 1970: `server` is the one that the engine shows to clients (absent where TLS 1.3 hides it, or without TLS), `ca` the earliest of `sql-tls-ca`.";
    PROCESS_RUNNING: Gauge "sql_edge_process_running" []
        "Whether a sqlservr process runs (1) or not (0); a zombie does not.";
    PROCESS_RESTARTS: Counter "sql_edge_process_restarts_total" []
        "Times that another sqlservr took the place of one seen before.";
    PROCESS_EXITS: Counter "sql_edge_process_exits_total" ["cause", "role"]
        "Ends of sqlservr processes seen, parent and engine each for itself.";
    PROCESS_CPU: Counter "sql_edge_process_cpu_seconds_total" []
        "Processor time of sqlservr, parent and engine, user and system.";
    PROCESS_IO: Counter "sql_edge_process_io_bytes_total" []
        "Bytes that sqlservr read from and wrote to storage.";
    PROCESS_RESIDENT: Gauge "sql_edge_process_resident_memory_bytes" []
        "Resident memory of sqlservr, parent and engine.";
    PROCESS_FDS: Gauge "sql_edge_process_open_fds" []
        "Open file descriptors of sqlservr, parent and engine.";
    PROCESS_THREADS: Gauge "sql_edge_process_threads" []
        "Threads of sqlservr, parent and engine.";
    VOLUME_USE: Gauge "sql_edge_volume_use" ["use", "volume"]
        "1 for each thing that the engine keeps on the volume: master, data, log, system, errorlog, tempdb, backup, dump, other.";
    VOLUME_SIZE: Gauge "sql_edge_volume_size_bytes" ["volume"]
        "Size of the volume.";
    VOLUME_FREE: Gauge "sql_edge_volume_free_bytes" ["volume"]
        "Bytes free for a process without privileges.";
    VOLUME_INODES: Gauge "sql_edge_volume_inodes" ["volume"]
        "Inodes of the volume; 0 where the file system has no such limit.";
    VOLUME_INODES_FREE: Gauge "sql_edge_volume_inodes_free" ["volume"]
        "Free inodes of the volume.";
    VOLUME_READ_ONLY: Gauge "sql_edge_volume_read_only" ["volume"]
        "Whether the volume is mounted read-only (1) or not (0).";
    VOLUME_CHECK_PENDING: Gauge "sql_edge_volume_check_pending_seconds" ["volume"]
        "For how long the present check of the volume has been under way; 0 where none is.";
    ERRORLOG_SIZE: Gauge "sql_edge_errorlog_size_bytes" []
        "Size of the engine's errorlog.";
    ERRORLOG_ERRORS: Counter "sql_edge_errorlog_errors_total" ["number"]
        "Errors in the present errorlog, by number; `other` where the supervisor's table lacks it.";
    DUMPS: Gauge "sql_edge_dumps" []
        "Crash dumps beside the errorlog; a core and its companions are one.";
    DUMPS_SIZE: Gauge "sql_edge_dumps_size_bytes" []
        "Size of the crash dumps.";
    DATABASES: Gauge "sql_edge_databases" ["state"]
        "Databases by their state.";
    DATABASES_LEFT_OUT: Gauge "sql_edge_databases_left_out" []
        "Databases beyond those that the supervisor keeps.";
    COLLECTOR_SUCCESS: Gauge "sql_edge_collector_success" ["collector"]
        "Whether the collector's last run succeeded (1) or not (0); absent before the first.";
    COLLECTOR_FAILURE: Gauge "sql_edge_collector_failure" ["collector", "reason"]
        "1 for the reason for which the collector's last run failed.";
    COLLECTOR_DURATION: Gauge "sql_edge_collector_duration_seconds" ["collector"]
        "Duration of the collector's last run: the engine's answer, and what was made of it.";
    COLLECTOR_RUNS: Counter "sql_edge_collector_runs_total" ["collector"]
        "Runs of the collector that asked the engine, each with one batch.";
    COLLECTOR_SUCCESS_AGE: Gauge "sql_edge_collector_last_success_age_seconds" ["collector"]
        "Time since the collector's last success; what that showed is withdrawn after three missed turns.";
    COLLECTOR_SERIES: Gauge "sql_edge_collector_series" ["collector"]
        "Series that the collector's last success exposes.";
    COLLECTOR_LEFT_OUT: Gauge "sql_edge_collector_series_left_out" ["collector"]
        "Series of the collector's last success that are not exposed: beyond the cap of databases or bytes, or there twice.";
    RECOVERY_PROGRESS: Gauge "sql_edge_recovery_progress_ratio" []
        "Progress of the recovery that is least advanced, 0 to 1; absent while none is known.";
    CGROUP_MEMORY: Gauge "sql_edge_cgroup_memory_bytes" []
        "Memory charged to the engine's control group.";
    CGROUP_MEMORY_LIMIT: Gauge "sql_edge_cgroup_memory_limit_bytes" []
        "Memory limit of the control group; absent where there is none.";
    CGROUP_OOM_KILLS: Counter "sql_edge_cgroup_oom_kills_total" []
        "Processes of the control group that were killed for want of memory.";
    CGROUP_CPU: Counter "sql_edge_cgroup_cpu_seconds_total" []
        "Processor time of the control group; absent where it is not the engine's alone.";
    CGROUP_IO: Counter "sql_edge_cgroup_io_bytes_total" []
        "Bytes that the control group read from and wrote to storage; absent where it is not the engine's alone.";
    CGROUP_PERIODS: Counter "sql_edge_cgroup_cpu_periods_total" []
        "Periods of the cpu limit that have passed.";
    CGROUP_THROTTLED_PERIODS: Counter "sql_edge_cgroup_cpu_throttled_periods_total" []
        "Periods in which the control group was throttled.";
    CGROUP_THROTTLED: Counter "sql_edge_cgroup_cpu_throttled_seconds_total" []
        "Time for which the control group was throttled.";
    CGROUP_PRESSURE: Gauge "sql_edge_cgroup_pressure_ratio" ["resource"]
        "Share of the last 10 s in which some task waited for the resource (PSI some avg10), 0 to 1.";
    CGROUP_FROZEN: Gauge "sql_edge_cgroup_frozen" []
        "Whether the control group is frozen (1) or not (0).";
    OWN_CPU: Counter "process_cpu_seconds_total" []
        "Total user and system CPU time of the supervisor spent in seconds.";
    OWN_RESIDENT: Gauge "process_resident_memory_bytes" []
        "Resident memory size of the supervisor in bytes.";
    OWN_VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Virtual memory size of the supervisor in bytes.";
    OWN_FDS: Gauge "process_open_fds" []
        "Number of open file descriptors of the supervisor.";
    OWN_MAX_FDS: Gauge "process_max_fds" []
        "Maximum number of open file descriptors of the supervisor.";
    OWN_START_TIME: Gauge "process_start_time_seconds" []
        "Start time of the supervisor since unix epoch in seconds.";
    OWN_THREADS: Gauge "process_threads" []
        "Number of OS threads of the supervisor.";
}

/// Returns the names of all metrics, and of the series that a histogram's name leads to.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for row in ALL {
        names.push(row.name.to_owned());
        if row.kind == Kind::Histogram {
            let parts = ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", row.name));
            names.extend(parts);
        }
    }
    names
}

/// Returns the table for docs/metrics.md, between `<!-- metrics:begin -->` and
/// `<!-- metrics:end -->`.
#[must_use]
pub fn reference() -> String {
    let mut table =
        String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for row in ALL {
        let kind = match row.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = row.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String can't fail.
        let _ = writeln!(
            table,
            "| `{}` | {kind} | {} | {} |",
            row.name,
            labels.join(", "),
            row.help
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for row in ALL {
            assert!(names.insert(row.name), "{} twice", row.name);
            assert_eq!(
                row.kind == Kind::Counter,
                row.name.ends_with("_total"),
                "{}",
                row.name
            );
            assert!(row.labels.is_sorted(), "{}", row.name);
            assert!(row.help.ends_with('.'), "{}", row.name);
            assert!(
                ["sql_edge_", "process_"]
                    .iter()
                    .any(|p| row.name.starts_with(p)),
                "{}",
                row.name
            );
        }
    }
}
