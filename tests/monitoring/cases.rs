//! Unit tests of the alerts that are written by hand: for each a scene in which it fires, the moment
//! before that, and a scene close by in which it must not. They hold the thresholds, the moments and the
//! words of an alert; that the product's own series reach it is held by `scrapes`.

use std::fmt::Write as _;

use super::rules::{Rule, alerts};

/// A series and its values, a minute apart, as promtool writes them. `$T` stands for [`TARGET`].
type Series = (&'static str, &'static str);

/// The labels that Prometheus gives to the series of one pod.
const TARGET: [(&str, &str); 4] = [
    ("job", "sql-edge"),
    ("instance", "10.0.0.1:9433"),
    ("namespace", "db"),
    ("pod", "sql-0"),
];

/// A test of one alert.
pub struct Case {
    pub alert: &'static str,
    /// With these it fires ...
    fires: &'static [Series],
    /// ... at this minute ...
    at: u32,
    /// ... and not yet at this one.
    not_yet: Option<u32>,
    /// Labels besides the target's.
    labels: &'static [(&'static str, &'static str)],
    /// Labels of the target that aggregation has removed.
    lost: &'static [&'static str],
    /// The summary after who it is.
    says: &'static str,
    /// With these it does not fire at that minute.
    silent: &'static [Series],
}

/// What most cases have in common.
const USUAL: Case = Case {
    alert: "",
    fires: &[],
    at: 0,
    not_yet: None,
    labels: &[],
    lost: &[],
    says: "",
    silent: &[],
};

/// Each file of unit tests.
pub const FILES: &[(&str, &[Case])] = &[
    ("supervisor.yaml", SUPERVISOR),
    ("engine.yaml", ENGINE),
    ("mixin.yaml", MIXIN),
];

const SUPERVISOR: &[Case] = &[
    Case {
        alert: "SqlEdgeSupervisorDown",
        fires: &[
            ("up{$T}", "1x4 0x20"),
            (
                "sql_edge_supervisor_build_info{version=\"1\",$T}",
                "1x4 stale",
            ),
        ],
        at: 7,
        not_yet: Some(6),
        says: "the supervisor can't be scraped.",
        // Another job's target was never a supervisor.
        silent: &[("up{$T}", "0x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeSupervisorGone",
        fires: &[(
            "sql_edge_supervisor_build_info{version=\"1\",$T}",
            "1x4 stale",
        )],
        at: 15,
        not_yet: Some(14),
        lost: &["instance", "pod"],
        says: "no supervisor is left, and there was one within the hour.",
        silent: &[
            (
                "sql_edge_supervisor_build_info{version=\"1\",$T}",
                "1x4 stale",
            ),
            (
                "sql_edge_supervisor_build_info{version=\"1\",job=\"sql-edge\",namespace=\"db\",pod=\"sql-1\"}",
                "_x6 1x20",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeSupervisorNotDeciding",
        fires: &[("sql_edge_supervisor_decision_age_seconds{$T}", "0x3 15x10")],
        at: 5,
        not_yet: Some(4),
        says: "the supervisor's last decision is 15s old.",
        silent: &[("sql_edge_supervisor_decision_age_seconds{$T}", "4x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeSupervisorStarved",
        fires: &[("sql_edge_supervisor_stalled_seconds_total{$T}", "0+12x40")],
        at: 25,
        says: "the supervisor did not run for 20% of the time.",
        silent: &[("sql_edge_supervisor_stalled_seconds_total{$T}", "0+3x40")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeObserverSilent",
        fires: &[(
            "sql_edge_supervisor_observation_age_seconds{observer=\"ping\",$T}",
            "200x10",
        )],
        at: 2,
        not_yet: Some(1),
        labels: &[("observer", "ping")],
        says: "nothing observed by ping for 3m 20s.",
        silent: &[
            (
                "sql_edge_supervisor_observation_age_seconds{observer=\"dac\",$T}",
                "900x10",
            ),
            (
                "sql_edge_supervisor_observation_age_seconds{observer=\"login\",$T}",
                "65x10",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeNotReady",
        fires: &[(
            "sql_edge_supervisor_probe_verdict{probe=\"ready\",$T}",
            "0x30",
        )],
        at: 15,
        not_yet: Some(14),
        labels: &[("probe", "ready")],
        says: "not ready for 15 minutes.",
        silent: &[
            (
                "sql_edge_supervisor_probe_verdict{probe=\"ready\",$T}",
                "0x9 1x1 0x20",
            ),
            (
                "sql_edge_supervisor_probe_verdict{probe=\"startup\",$T}",
                "0x30",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeGateShut",
        fires: &[(
            "sql_edge_supervisor_probe_verdict{probe=\"gate\",$T}",
            "0x30",
        )],
        at: 7,
        not_yet: Some(6),
        labels: &[("probe", "gate")],
        says: "the gate is shut: no engine is started on this volume.",
        silent: &[(
            "sql_edge_supervisor_probe_verdict{probe=\"gate\",$T}",
            "0x5 1x20",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeFlapping",
        fires: &[(
            "sql_edge_supervisor_transitions_total{probe=\"ready\",verdict=\"fail\",$T}",
            "0x10 3x20 6x60",
        )],
        at: 60,
        not_yet: Some(20),
        labels: &[("probe", "ready"), ("verdict", "fail")],
        says: "lost readiness 6 times within the hour.",
        silent: &[
            (
                "sql_edge_supervisor_transitions_total{probe=\"ready\",verdict=\"fail\",$T}",
                "0x10 2x60",
            ),
            (
                "sql_edge_supervisor_transitions_total{probe=\"ready\",verdict=\"pass\",$T}",
                "0x10 9x60",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeRestarted",
        fires: &[(
            "sql_edge_supervisor_engine_restarts_total{by=\"supervisor\",reason=\"EngineUnresponsive\",$T}",
            "0x5 1x30",
        )],
        at: 15,
        not_yet: Some(4),
        labels: &[("by", "supervisor"), ("reason", "EngineUnresponsive")],
        says: "restarted for EngineUnresponsive by the supervisor.",
        silent: &[(
            "sql_edge_supervisor_engine_restarts_total{by=\"supervisor\",reason=\"EngineUnresponsive\",$T}",
            "3x30",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeRestartStorm",
        fires: &[("sql_edge_process_restarts_total{$T}", "0x10 1x10 2x10 3x60")],
        at: 60,
        not_yet: Some(30),
        says: "sqlservr began anew 3 times within the hour.",
        silent: &[("sql_edge_process_restarts_total{$T}", "0x10 1x10 2x60")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeFenced",
        fires: &[(
            "sql_edge_supervisor_engine_fences_total{reason=\"LeaseLost\",$T}",
            "0x10 1x60",
        )],
        at: 30,
        not_yet: Some(10),
        labels: &[("reason", "LeaseLost")],
        says: "the engine was killed to protect the volume (LeaseLost).",
        silent: &[(
            "sql_edge_supervisor_engine_fences_total{reason=\"LeaseLost\",$T}",
            "1x60",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeOutOfMemoryKill",
        fires: &[("sql_edge_cgroup_oom_kills_total{$T}", "0x10 1x60")],
        at: 30,
        not_yet: Some(10),
        says: "the kernel killed a process of the SQL container for want of memory.",
        silent: &[("sql_edge_cgroup_oom_kills_total{$T}", "5x60")],
        ..USUAL
    },
    // Where the group's counter went with its container.
    Case {
        alert: "SqlEdgeOutOfMemoryKill",
        fires: &[
            ("sql_edge_cgroup_oom_kills_total{$T}", "0x10 stale"),
            (
                "sql_edge_process_exits_total{cause=\"oom_kill\",role=\"engine\",$T}",
                "0x10 1x120",
            ),
        ],
        at: 65,
        labels: &[("cause", "oom_kill"), ("role", "engine")],
        says: "the kernel killed a process of the SQL container for want of memory.",
        silent: &[(
            "sql_edge_process_exits_total{cause=\"sigkill\",role=\"engine\",$T}",
            "0x10 1x120",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeCrashDumps",
        fires: &[("sql_edge_dumps{$T}", "1x10 3x60")],
        at: 60,
        not_yet: Some(10),
        says: "2 new crash dumps within the hour.",
        silent: &[("sql_edge_dumps{$T}", "3x10 1x60")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeRecoveryNotAdvancing",
        fires: &[
            ("sql_edge_recovery_progress_ratio{$T}", "0.4x60"),
            (
                "sql_edge_supervisor_reason_active{reason=\"Recovering\",$T}",
                "1x60",
            ),
        ],
        at: 30,
        not_yet: Some(15),
        says: "the recovery's percentage has not moved for half an hour.",
        silent: &[
            ("sql_edge_recovery_progress_ratio{$T}", "0.4+0.001x60"),
            (
                "sql_edge_supervisor_reason_active{reason=\"Recovering\",$T}",
                "1x60",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeDatabaseNotOnline",
        fires: &[("sql_edge_databases{state=\"suspect\",$T}", "0x3 2x20")],
        at: 9,
        not_yet: Some(8),
        labels: &[("state", "suspect")],
        says: "2 databases are suspect.",
        silent: &[("sql_edge_databases{state=\"restoring\",$T}", "2x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeVolumeFilling",
        fires: &[
            ("sql_edge_volume_size_bytes{volume=\"data\",$T}", "1000x500"),
            (
                "sql_edge_volume_free_bytes{volume=\"data\",$T}",
                "400-0.5x500",
            ),
        ],
        at: 400,
        not_yet: Some(300),
        labels: &[("volume", "data")],
        says: "the volume data is 20% free and full within four days at this rate.",
        silent: &[
            ("sql_edge_volume_size_bytes{volume=\"data\",$T}", "1000x500"),
            ("sql_edge_volume_free_bytes{volume=\"data\",$T}", "200x500"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeVolumeFillingFast",
        fires: &[
            ("sql_edge_volume_size_bytes{volume=\"data\",$T}", "1000x200"),
            (
                "sql_edge_volume_free_bytes{volume=\"data\",$T}",
                "200-1x200",
            ),
        ],
        at: 100,
        not_yet: Some(50),
        labels: &[("volume", "data")],
        says: "the volume data is 10% free and full within four hours at this rate.",
        silent: &[
            ("sql_edge_volume_size_bytes{volume=\"data\",$T}", "1000x200"),
            (
                "sql_edge_volume_free_bytes{volume=\"data\",$T}",
                "110-0.1x200",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeInodesLow",
        fires: &[
            ("sql_edge_volume_inodes{volume=\"data\",$T}", "1000x40"),
            ("sql_edge_volume_inodes_free{volume=\"data\",$T}", "40x40"),
        ],
        at: 15,
        not_yet: Some(14),
        labels: &[("volume", "data")],
        says: "4% of the inodes of the volume data are free.",
        // No limit of inodes.
        silent: &[
            ("sql_edge_volume_inodes{volume=\"data\",$T}", "0x40"),
            ("sql_edge_volume_inodes_free{volume=\"data\",$T}", "0x40"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeVolumeWritesSlow",
        fires: &[
            (
                "sql_edge_supervisor_volume_write_duration_seconds_bucket{volume=\"data\",le=\"1\",$T}",
                "0x40",
            ),
            (
                "sql_edge_supervisor_volume_write_duration_seconds_bucket{volume=\"data\",le=\"2.5\",$T}",
                "0+12x40",
            ),
            (
                "sql_edge_supervisor_volume_write_duration_seconds_bucket{volume=\"data\",le=\"+Inf\",$T}",
                "0+12x40",
            ),
        ],
        at: 20,
        not_yet: Some(10),
        labels: &[("volume", "data")],
        says: "a small write to the volume data takes 2.485s (p99).",
        silent: &[
            (
                "sql_edge_supervisor_volume_write_duration_seconds_bucket{volume=\"data\",le=\"1\",$T}",
                "0+12x40",
            ),
            (
                "sql_edge_supervisor_volume_write_duration_seconds_bucket{volume=\"data\",le=\"+Inf\",$T}",
                "0+12x40",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeVolumeWriteFailing",
        fires: &[(
            "sql_edge_supervisor_volume_write_failures_total{volume=\"data\",kind=\"io\",$T}",
            "0x5 1x30",
        )],
        at: 10,
        not_yet: Some(5),
        labels: &[("kind", "io"), ("volume", "data")],
        says: "writes to the volume data failed (io).",
        silent: &[(
            "sql_edge_supervisor_volume_write_failures_total{volume=\"data\",kind=\"io\",$T}",
            "4x30",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeIoOver15Seconds",
        fires: &[(
            "sql_edge_errorlog_errors_total{number=\"833\",$T}",
            "_x10 1x30",
        )],
        at: 20,
        not_yet: Some(9),
        labels: &[("number", "833")],
        says: "the engine waited longer than 15 seconds for an I/O (833).",
        silent: &[
            ("sql_edge_errorlog_errors_total{number=\"833\",$T}", "1x40"),
            (
                "sql_edge_errorlog_errors_total{number=\"17883\",$T}",
                "_x10 1x30",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeLeaseRenewalLate",
        fires: &[(
            "sql_edge_supervisor_lease_renewal_age_seconds{$T}",
            "3 12x5",
        )],
        at: 2,
        not_yet: Some(1),
        says: "the volume's lease was last renewed 12s ago.",
        silent: &[("sql_edge_supervisor_lease_renewal_age_seconds{$T}", "6x5")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeMemoryNearLimit",
        fires: &[
            ("sql_edge_process_resident_memory_bytes{$T}", "950x40"),
            ("sql_edge_cgroup_memory_limit_bytes{$T}", "1000x40"),
        ],
        at: 15,
        not_yet: Some(14),
        says: "sqlservr has 95% of the container's memory limit.",
        // The charge with the page cache may well be at the limit.
        silent: &[
            ("sql_edge_process_resident_memory_bytes{$T}", "800x40"),
            ("sql_edge_cgroup_memory_bytes{$T}", "999x40"),
            ("sql_edge_cgroup_memory_limit_bytes{$T}", "1000x40"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeCpuThrottlingHigh",
        fires: &[
            (
                "sql_edge_cgroup_cpu_throttled_periods_total{$T}",
                "0+300x40",
            ),
            ("sql_edge_cgroup_cpu_periods_total{$T}", "0+600x40"),
        ],
        at: 20,
        not_yet: Some(10),
        says: "throttled in 50% of the cpu limit's periods.",
        silent: &[
            ("sql_edge_cgroup_cpu_throttled_periods_total{$T}", "0+60x40"),
            ("sql_edge_cgroup_cpu_periods_total{$T}", "0+600x40"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeIoPressure",
        fires: &[(
            "sql_edge_cgroup_pressure_ratio{resource=\"io\",$T}",
            "0.7x40",
        )],
        at: 15,
        not_yet: Some(14),
        labels: &[("resource", "io")],
        says: "some task waited for storage in 70% of the time.",
        silent: &[
            (
                "sql_edge_cgroup_pressure_ratio{resource=\"io\",$T}",
                "0.4x40",
            ),
            (
                "sql_edge_cgroup_pressure_ratio{resource=\"cpu\",$T}",
                "0.9x40",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgePingSlow",
        fires: &[
            (
                "sql_edge_supervisor_ping_duration_seconds_bucket{le=\"0.5\",$T}",
                "0x40",
            ),
            (
                "sql_edge_supervisor_ping_duration_seconds_bucket{le=\"1\",$T}",
                "0+30x40",
            ),
            (
                "sql_edge_supervisor_ping_duration_seconds_bucket{le=\"+Inf\",$T}",
                "0+30x40",
            ),
        ],
        at: 20,
        not_yet: Some(10),
        says: "the simplest query takes 995ms (p99).",
        silent: &[
            (
                "sql_edge_supervisor_ping_duration_seconds_bucket{le=\"0.5\",$T}",
                "0+30x40",
            ),
            (
                "sql_edge_supervisor_ping_duration_seconds_bucket{le=\"+Inf\",$T}",
                "0+30x40",
            ),
        ],
        ..USUAL
    },
    // Time begins at zero in these tests: 864000 is in ten days.
    Case {
        alert: "SqlEdgeCertificateExpiring",
        fires: &[(
            "sql_edge_tls_certificate_expiry_timestamp_seconds{certificate=\"server\",$T}",
            "864000x100",
        )],
        at: 60,
        not_yet: Some(59),
        labels: &[("certificate", "server")],
        says: "the server certificate expires in 9d 23h 0m 0s.",
        silent: &[(
            "sql_edge_tls_certificate_expiry_timestamp_seconds{certificate=\"server\",$T}",
            "2000000x100",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeCertificateExpired",
        fires: &[(
            "sql_edge_tls_certificate_expiry_timestamp_seconds{certificate=\"ca\",$T}",
            "86400x100",
        )],
        at: 5,
        not_yet: Some(4),
        labels: &[("certificate", "ca")],
        says: "the ca certificate expires in 23h 55m 0s, or has.",
        silent: &[(
            "sql_edge_tls_certificate_expiry_timestamp_seconds{certificate=\"ca\",$T}",
            "864000x100",
        )],
        ..USUAL
    },
];

const ENGINE: &[Case] = &[
    Case {
        alert: "SqlEdgeCollectorFailing",
        fires: &[
            ("sql_edge_collector_success{collector=\"io\",$T}", "0x30"),
            (
                "sql_edge_collector_failure{collector=\"io\",reason=\"denied\",$T}",
                "1x30",
            ),
            (
                "sql_edge_supervisor_probe_verdict{probe=\"ready\",$T}",
                "1x30",
            ),
        ],
        at: 15,
        not_yet: Some(14),
        labels: &[("collector", "io")],
        says: "the collector io has nothing to show.",
        silent: &[
            ("sql_edge_collector_success{collector=\"io\",$T}", "0x30"),
            (
                "sql_edge_collector_failure{collector=\"io\",reason=\"unsupported\",$T}",
                "1x30",
            ),
            (
                "sql_edge_supervisor_probe_verdict{probe=\"ready\",$T}",
                "1x30",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeDeadlocks",
        fires: &[("sql_edge_deadlocks_total{$T}", "0+5x30")],
        at: 12,
        not_yet: Some(5),
        says: "25 deadlocks in five minutes.",
        silent: &[("sql_edge_deadlocks_total{$T}", "0+1x30")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeFileIoSlow",
        fires: &[
            (
                "sql_edge_file_io_stall_seconds_total{database=\"shop\",file=\"shop_data\",operation=\"read\",$T}",
                "0+15x40",
            ),
            (
                "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop_data\",operation=\"read\",$T}",
                "0+120x40",
            ),
        ],
        at: 20,
        not_yet: Some(10),
        labels: &[
            ("database", "shop"),
            ("file", "shop_data"),
            ("operation", "read"),
        ],
        says: "a read on shop/shop_data takes 125ms.",
        // As slow, and hardly used.
        silent: &[
            (
                "sql_edge_file_io_stall_seconds_total{database=\"shop\",file=\"shop_data\",operation=\"read\",$T}",
                "0+3x40",
            ),
            (
                "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop_data\",operation=\"read\",$T}",
                "0+24x40",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeFileIoStalled",
        fires: &[
            (
                "sql_edge_file_io_stall_seconds_total{database=\"shop\",file=\"shop_log\",operation=\"write\",$T}",
                "0+60x20",
            ),
            (
                "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop_log\",operation=\"write\",$T}",
                "0+60x20",
            ),
        ],
        at: 10,
        not_yet: Some(5),
        labels: &[
            ("database", "shop"),
            ("file", "shop_log"),
            ("operation", "write"),
        ],
        says: "a write on shop/shop_log takes 1s.",
        silent: &[
            (
                "sql_edge_file_io_stall_seconds_total{database=\"shop\",file=\"shop_log\",operation=\"write\",$T}",
                "0+15x20",
            ),
            (
                "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop_log\",operation=\"write\",$T}",
                "0+60x20",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeBackupOld",
        fires: &[(
            "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"full\",$T}",
            "-700000x100",
        )],
        at: 60,
        not_yet: Some(59),
        labels: &[("database", "shop")],
        says: "the last backup of shop is 8d 3h 26m 40s old.",
        silent: &[
            (
                "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"full\",$T}",
                "-900000x100",
            ),
            (
                "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"differential\",$T}",
                "-9000x100",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeNeverBackedUp",
        fires: &[
            (
                "sql_edge_database_created_timestamp_seconds{database=\"shop\",$T}",
                "-100000x100",
            ),
            (
                "sql_edge_database_created_timestamp_seconds{database=\"tempdb\",$T}",
                "-100000x100",
            ),
            (
                "sql_edge_collector_success{collector=\"backups\",$T}",
                "1x100",
            ),
        ],
        at: 60,
        not_yet: Some(59),
        labels: &[("database", "shop")],
        says: "shop has never been backed up.",
        silent: &[
            (
                "sql_edge_database_created_timestamp_seconds{database=\"shop\",$T}",
                "-100000x100",
            ),
            (
                "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"full\",$T}",
                "-50000x100",
            ),
            (
                "sql_edge_collector_success{collector=\"backups\",$T}",
                "1x100",
            ),
        ],
        ..USUAL
    },
    // What msdb would say is not known while its collector fails.
    Case {
        alert: "SqlEdgeNeverBackedUp",
        fires: &[(
            "sql_edge_database_created_timestamp_seconds{database=\"shop\",$T}",
            "-100000x100",
        )],
        at: 60,
        labels: &[("database", "shop")],
        says: "shop has never been backed up.",
        silent: &[
            (
                "sql_edge_database_created_timestamp_seconds{database=\"shop\",$T}",
                "-100000x100",
            ),
            (
                "sql_edge_collector_success{collector=\"backups\",$T}",
                "0x100",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeLogBackupOld",
        fires: &[
            (
                "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"log\",$T}",
                "-10000x40",
            ),
            (
                "sql_edge_database_info{database=\"shop\",recovery_model=\"full\",$T}",
                "1x40",
            ),
        ],
        at: 15,
        not_yet: Some(14),
        labels: &[("database", "shop"), ("type", "log")],
        says: "the last log backup of shop is 3h 1m 40s old.",
        silent: &[
            (
                "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"log\",$T}",
                "-10000x40",
            ),
            (
                "sql_edge_database_info{database=\"shop\",recovery_model=\"simple\",$T}",
                "1x40",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeLogNotReused",
        fires: &[
            (
                "sql_edge_database_log_reuse_wait{database=\"shop\",reason=\"active_transaction\",$T}",
                "1x40",
            ),
            (
                "sql_edge_database_log_used_bytes{database=\"shop\",$T}",
                "90x40",
            ),
            (
                "sql_edge_database_log_size_bytes{database=\"shop\",$T}",
                "100x40",
            ),
        ],
        at: 15,
        not_yet: Some(14),
        labels: &[("database", "shop"), ("reason", "active_transaction")],
        says: "the log of shop is four fifths full and waits for active_transaction.",
        silent: &[
            (
                "sql_edge_database_log_reuse_wait{database=\"shop\",reason=\"nothing\",$T}",
                "1x40",
            ),
            (
                "sql_edge_database_log_used_bytes{database=\"shop\",$T}",
                "90x40",
            ),
            (
                "sql_edge_database_log_size_bytes{database=\"shop\",$T}",
                "100x40",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeBlocked",
        fires: &[("sql_edge_blocked_seconds{$T}", "200 400x10")],
        at: 2,
        not_yet: Some(1),
        says: "a request has been blocked for 6m 40s.",
        silent: &[("sql_edge_blocked_seconds{$T}", "200x10")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeWorkersRunningOut",
        fires: &[
            ("sql_edge_workers{state=\"active\",$T}", "90x10"),
            ("sql_edge_workers{state=\"idle\",$T}", "5x10"),
            ("sql_edge_workers_max{$T}", "100x10"),
        ],
        at: 5,
        not_yet: Some(4),
        says: "95% of the worker threads are taken.",
        silent: &[
            ("sql_edge_workers{state=\"active\",$T}", "80x10"),
            ("sql_edge_workers{state=\"idle\",$T}", "5x10"),
            ("sql_edge_workers_max{$T}", "100x10"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeMemoryGrantsPending",
        fires: &[("sql_edge_memory_grants_pending{$T}", "0 3x20")],
        at: 11,
        not_yet: Some(10),
        says: "3 queries wait for memory.",
        silent: &[("sql_edge_memory_grants_pending{$T}", "3x5 0 3x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeMemoryLow",
        fires: &[("sql_edge_memory_low{kind=\"physical\",$T}", "0 1x20")],
        at: 11,
        not_yet: Some(10),
        labels: &[("kind", "physical")],
        says: "the engine is short of physical memory.",
        silent: &[("sql_edge_memory_low{kind=\"physical\",$T}", "0x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeSevereErrors",
        fires: &[(
            "sql_edge_errors_total{type=\"kill_connection\",$T}",
            "0x5 2x20",
        )],
        at: 15,
        not_yet: Some(5),
        labels: &[("type", "kill_connection")],
        says: "2 errors ended their connection within a quarter of an hour.",
        silent: &[("sql_edge_errors_total{type=\"user\",$T}", "0x5 2x20")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeAgentJobFailed",
        fires: &[
            (
                "sql_edge_agent_job_last_run_succeeded{job_name=\"nightly\",$T}",
                "1 0x10",
            ),
            (
                "sql_edge_agent_job_enabled{job_name=\"nightly\",$T}",
                "1x11",
            ),
        ],
        at: 6,
        not_yet: Some(5),
        labels: &[("job_name", "nightly")],
        says: "the agent job nightly failed.",
        silent: &[
            (
                "sql_edge_agent_job_last_run_succeeded{job_name=\"nightly\",$T}",
                "1 0x10",
            ),
            (
                "sql_edge_agent_job_enabled{job_name=\"nightly\",$T}",
                "0x11",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeStreamingJobFailed",
        fires: &[(
            "sql_edge_streaming_jobs{database=\"shop\",status=\"failed\",$T}",
            "0 1x10",
        )],
        at: 6,
        not_yet: Some(5),
        labels: &[("database", "shop"), ("status", "failed")],
        says: "1 streaming jobs of shop are failed.",
        silent: &[(
            "sql_edge_streaming_jobs{database=\"shop\",status=\"stopped\",$T}",
            "1x11",
        )],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeFileNearMaxSize",
        fires: &[
            (
                "sql_edge_file_size_bytes{database=\"shop\",file=\"shop_data\",type=\"rows\",$T}",
                "97x20",
            ),
            (
                "sql_edge_file_max_size_bytes{database=\"shop\",file=\"shop_data\",type=\"rows\",$T}",
                "100x20",
            ),
        ],
        at: 15,
        not_yet: Some(14),
        labels: &[
            ("database", "shop"),
            ("file", "shop_data"),
            ("type", "rows"),
        ],
        says: "shop/shop_data has 97% of its largest size.",
        silent: &[
            (
                "sql_edge_file_size_bytes{database=\"shop\",file=\"shop_data\",type=\"rows\",$T}",
                "97x20",
            ),
            (
                "sql_edge_file_max_size_bytes{database=\"shop\",file=\"shop_data\",type=\"rows\",$T}",
                "200x20",
            ),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeVersionStoreLarge",
        fires: &[
            (
                "sql_edge_tempdb_bytes{use=\"version_store\",$T}",
                "3221225472x40",
            ),
            ("sql_edge_tempdb_bytes{use=\"free\",$T}", "1000000000x40"),
        ],
        at: 30,
        not_yet: Some(29),
        labels: &[("use", "version_store")],
        says: "tempdb holds 3GiB of row versions.",
        silent: &[
            (
                "sql_edge_tempdb_bytes{use=\"version_store\",$T}",
                "3221225472x40",
            ),
            ("sql_edge_tempdb_bytes{use=\"free\",$T}", "9000000000x40"),
        ],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeLongTransaction",
        fires: &[("sql_edge_longest_transaction_seconds{$T}", "60 4000x10")],
        at: 6,
        not_yet: Some(5),
        says: "a transaction has been open for 1h 6m 40s.",
        silent: &[("sql_edge_longest_transaction_seconds{$T}", "3000x11")],
        ..USUAL
    },
    Case {
        alert: "SqlEdgeSeriesLeftOut",
        fires: &[(
            "sql_edge_collector_series_left_out{collector=\"io\",$T}",
            "0 12x90",
        )],
        at: 61,
        not_yet: Some(60),
        labels: &[("collector", "io")],
        says: "12 series of the collector io are not exposed.",
        silent: &[(
            "sql_edge_collector_series_left_out{collector=\"io\",$T}",
            "0x90",
        )],
        ..USUAL
    },
];

const MIXIN: &[Case] = &[
    Case {
        alert: "MSSQLHighNumberOfDeadlocks",
        fires: &[("mssql_deadlocks_total{$T}", "0+5x30")],
        at: 12,
        not_yet: Some(5),
        says: "25 deadlocks in five minutes.",
        silent: &[("mssql_deadlocks_total{$T}", "0+1x30")],
        ..USUAL
    },
    Case {
        alert: "MSSQLModerateReadStallTime",
        fires: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"read\",$T}",
            "0+0.0625x30",
        )],
        at: 12,
        not_yet: Some(5),
        labels: &[("db", "shop"), ("operation", "read")],
        says: "reads of shop waited 312.5 ms within five minutes.",
        silent: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"write\",$T}",
            "0+0.0625x30",
        )],
        ..USUAL
    },
    Case {
        alert: "MSSQLHighReadStallTime",
        fires: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"read\",$T}",
            "0+0.125x30",
        )],
        at: 12,
        not_yet: Some(5),
        labels: &[("db", "shop"), ("operation", "read")],
        says: "reads of shop waited 625 ms within five minutes.",
        silent: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"read\",$T}",
            "0+0.0625x30",
        )],
        ..USUAL
    },
    Case {
        alert: "MSSQLModerateWriteStallTime",
        fires: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"write\",$T}",
            "0+0.0625x30",
        )],
        at: 12,
        not_yet: Some(5),
        labels: &[("db", "shop"), ("operation", "write")],
        says: "writes to shop waited 312.5 ms within five minutes.",
        silent: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"read\",$T}",
            "0+0.0625x30",
        )],
        ..USUAL
    },
    Case {
        alert: "MSSQLHighWriteStallTime",
        fires: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"write\",$T}",
            "0+0.125x30",
        )],
        at: 12,
        not_yet: Some(5),
        labels: &[("db", "shop"), ("operation", "write")],
        says: "writes to shop waited 625 ms within five minutes.",
        silent: &[(
            "mssql_io_stall_seconds_total{db=\"shop\",operation=\"write\",$T}",
            "0+0.0625x30",
        )],
        ..USUAL
    },
];

fn pairs(labels: &[(&str, &str)]) -> String {
    let pairs = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""));
    pairs.collect::<Vec<_>>().join(",")
}

/// The file of unit tests for the rules file of the same name.
pub fn render(file: &str, cases: &[Case]) -> String {
    let (tested, group) = match file {
        "mixin.yaml" => ("optional/mixin.yaml", "mssql-mixin"),
        "engine.yaml" => (file, "sql-edge-engine"),
        _ => (file, "sql-edge-supervisor"),
    };
    let mut text = format!(
        "# Unit tests for ../{tested}, by `promtool test rules`.\n\
         #\n\
         # Generated from tests/monitoring/cases.rs: change that, and run\n\
         # `UPDATE_GOLDEN=1 cargo test --test monitoring`.\n\
         rule_files:\n  - ../recording.yaml\n  - ../{tested}\n\
         evaluation_interval: 1m\n\
         group_eval_order: [sql-edge-recording, {group}]\n\
         tests:\n"
    );
    let rules = alerts(tested);
    for case in cases {
        let rule = rules.iter().find(|rule| rule.name() == case.alert);
        let rule = rule.unwrap_or_else(|| panic!("{file} has no alert {}", case.alert));
        fires(&mut text, case, rule);
        input(
            &mut text,
            &format!("{} does not fire", case.alert),
            case.silent,
        );
        silent(&mut text, case.at, case.alert);
    }
    text
}

fn fires(text: &mut String, case: &Case, rule: &Rule) {
    input(text, &format!("{} fires", case.alert), case.fires);
    if let Some(minute) = case.not_yet {
        silent(text, minute, case.alert);
    }
    let kept = TARGET.iter().filter(|(name, _)| !case.lost.contains(name));
    let severity = [("severity", rule.severity())];
    let labels = kept.chain(case.labels).chain(&severity);
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}: \"{value}\""))
        .collect();
    let who = match case.lost.contains(&"pod") {
        true => "db sql-edge",
        false => "sql-0",
    };
    let quoted = |text: &str| serde_json::to_string(text).expect("a string becomes JSON");
    let _ = write!(
        text,
        "      - eval_time: {}m\n        \
                 alertname: {}\n        \
                 exp_alerts:\n          \
                   - exp_labels: {{ {} }}\n            \
                     exp_annotations:\n              \
                       summary: {}\n              \
                       description: {}\n              \
                       runbook_url: {}\n",
        case.at,
        case.alert,
        labels.join(", "),
        quoted(&format!("{who}: {}", case.says)),
        quoted(rule.annotation("description")),
        quoted(rule.annotation("runbook_url")),
    );
}

fn input(text: &mut String, name: &str, series: &[Series]) {
    let _ = write!(
        text,
        "  - name: {name}\n    interval: 1m\n    input_series:\n"
    );
    for (series, values) in series {
        let series = series.replace("$T", &pairs(&TARGET));
        let _ = write!(
            text,
            "      - series: '{series}'\n        values: '{values}'\n"
        );
    }
    text.push_str("    alert_rule_test:\n");
}

fn silent(text: &mut String, minute: u32, alert: &str) {
    let _ = writeln!(
        text,
        "      - {{ eval_time: {minute}m, alertname: {alert}, exp_alerts: [] }}"
    );
}
