//! The dashboard of one instance: what the supervisor decided and why, and what the engine does.

use super::dashboard::{Dashboard, Panel, query};
use super::fleet;

pub const UID: &str = "sql-edge-instance";

/// Every panel's series are of the instance that is chosen.
const SELECTOR: &str =
    r#"cluster=~"$cluster",namespace=~"$namespace",pod=~"$pod",instance="$instance""#;

const PASSES: &[(&str, &str, &str)] = &[("0", "fails", "red"), ("1", "passes", "green")];

pub fn dashboard() -> Dashboard {
    Dashboard::new(
        UID,
        "SQL Edge / instance",
        "One instance: verdicts and their reasons, restarts, recovery, volume, io, memory, waits, sessions, backups, collectors.",
        SELECTOR,
    )
    .variable("cluster", "", true)
    .variable("namespace", r#"{cluster=~"$cluster"}"#, true)
    .variable("pod", r#"{cluster=~"$cluster",namespace=~"$namespace"}"#, true)
    .variable(
        "instance",
        r#"{cluster=~"$cluster",namespace=~"$namespace",pod=~"$pod"}"#,
        false,
    )
    .link("SQL Edge / fleet", fleet::UID)
    .row("Verdict", verdict())
    .row("Restarts and recovery", restarts())
    .row("Connectivity", answers())
    .row("Volumes and lease", volume())
    .row("CPU and memory", resources())
    .row("Database I/O", io())
    .row("Load", load())
    .row("Waits and blocking", waits())
    .row("Databases and backups", databases())
    .row("Jobs", jobs())
    .row("The supervisor and its collectors", supervisor())
}

fn probe(title: &'static str, expression: &str, what: &'static str) -> Panel {
    Panel::stat(title, "short")
        .says(what)
        .texts(PASSES)
        .of([query(expression, "{{probe}}")])
}

fn verdict() -> Vec<Panel> {
    vec![
        probe(
            "Ready",
            r#"sql_edge_supervisor_probe_verdict{probe="ready",$S}"#,
            "Whether clients are routed to it.",
        ),
        probe(
            "Live",
            r#"sql_edge_supervisor_probe_verdict{probe="live",$S}"#,
            "Fails where the kubelet is to restart the container.",
        ),
        probe(
            "Startup",
            r#"sql_edge_supervisor_probe_verdict{probe="startup",$S}"#,
            "Passes once the engine has answered.",
        ),
        probe(
            "Gate",
            r#"sql_edge_supervisor_probe_verdict{probe="gate",$S}"#,
            "Passes where the volume is the right one and is held.",
        ),
        Panel::stat("Phase", "short")
            .says("Where in its life the engine is.")
            .size(4, 4)
            .of([query("sql_edge_supervisor_phase{$S} == 1", "{{phase}}")])
            .named(),
        Panel::stat("Ready, 24 h", "percentunit")
            .says("Share of the last day in which it was ready.")
            .size(4, 4)
            .steps(0.999, 0.99)
            .of([query(
                r#"avg_over_time(sql_edge_supervisor_probe_verdict{probe="ready",$S}[24h])"#,
                "ready",
            )]),
        Panel::stat("Time since the last restart", "s")
            .says("Time since a restart was last asked for; none where none is known.")
            .size(4, 4)
            .of([query(
                "sql_edge_supervisor_engine_last_restart_age_seconds{$S}",
                "last restart",
            )]),
        Panel::timeline("Verdicts")
            .says("Green passes, red fails.")
            .size(24, 6)
            .texts(PASSES)
            .of([query("sql_edge_supervisor_probe_verdict{$S}", "{{probe}}")]),
        Panel::timeline("Reasons")
            .says("Each reason while it holds. `sql-edge-supervisor reasons CODE` says what to do.")
            .size(24, 8)
            .texts(&[("1", "holds", "orange")])
            .of([query(
                "sql_edge_supervisor_reason_active{$S} == 1",
                "{{reason}}",
            )]),
    ]
}

fn restarts() -> Vec<Panel> {
    vec![
        Panel::bars("Restarts by reason", "short")
            .says("Restarts that the supervisor asked for, and who was to carry them out.")
            .of([query(
                "sum by (reason, by) (increase(sql_edge_supervisor_engine_restarts_total{$S}[$__rate_interval])) > 0",
                "{{reason}}, by the {{by}}",
            )]),
        Panel::bars("Process exits", "short")
            .says("How its processes ended, and how often another took their place.")
            .of([
                query(
                    "sum by (cause, role) (increase(sql_edge_process_exits_total{$S}[$__rate_interval])) > 0",
                    "{{role}}: {{cause}}",
                ),
                query(
                    "increase(sql_edge_process_restarts_total{$S}[$__rate_interval]) > 0",
                    "began anew",
                ),
            ]),
        Panel::bars("Restart steps, fences, and OOM kills", "short")
            .says("How far the supervisor's own restarts came, and what was killed.")
            .of([
                query(
                    "increase(sql_edge_supervisor_engine_restart_steps_total{$S}[$__rate_interval]) > 0",
                    "restart: {{step}}",
                ),
                query(
                    "increase(sql_edge_supervisor_engine_fences_total{$S}[$__rate_interval]) > 0",
                    "fence: {{reason}}",
                ),
                query(
                    "increase(sql_edge_cgroup_oom_kills_total{$S}[$__rate_interval]) > 0",
                    "OOM kill",
                ),
            ]),
        Panel::lines("Recovery", "percentunit")
            .says("Progress of the database that is least advanced. It does not move evenly; a restart begins anew.")
            .to(1.0)
            .of([query("sql_edge_recovery_progress_ratio{$S}", "least advanced")]),
        Panel::lines("Databases not online", "short")
            .says("By state; whether readiness heeds them is for `required-databases` to say.")
            .of([query(
                r#"sql_edge_databases{state!="online",$S} > 0"#,
                "{{state}}",
            )]),
        Panel::lines("Crash dumps", "bytes")
            .says("Bytes of the dumps under log/: they take the volume's room.")
            .of([query("sql_edge_dumps_size_bytes{$S}", "dumps")]),
    ]
}

fn answers() -> Vec<Panel> {
    vec![
        Panel::lines("Ping latency", "s")
            .says("Round trip of the simplest query on a standing connection.")
            .of([
                query(
                    "histogram_quantile(0.5, rate(sql_edge_supervisor_ping_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "median",
                ),
                query(
                    "histogram_quantile(0.99, rate(sql_edge_supervisor_ping_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "p99",
                ),
            ]),
        Panel::lines("Login latency", "s")
            .says("A fresh TCP connection, TLS, login and query: what a new client meets.")
            .of([
                query(
                    "histogram_quantile(0.5, rate(sql_edge_supervisor_login_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "median",
                ),
                query(
                    "histogram_quantile(0.99, rate(sql_edge_supervisor_login_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "p99",
                ),
            ]),
        Panel::bars("Ping and login failures", "short")
            .says("Pings and logins that were not answered with a result, by how far they came.")
            .of([
                query(
                    "increase(sql_edge_supervisor_ping_failures_total{$S}[$__rate_interval]) > 0",
                    "ping: {{kind}}",
                ),
                query(
                    "increase(sql_edge_supervisor_login_failures_total{$S}[$__rate_interval]) > 0",
                    "login: {{kind}}",
                ),
            ]),
        Panel::bars("Errorlog errors", "short")
            .says("By number; `other` where the supervisor's table lacks it.")
            .of([query(
                "increase(sql_edge_errorlog_errors_total{$S}[$__rate_interval]) > 0",
                "{{number}}",
            )]),
        Panel::bars("Login errors", "short")
            .says("Errors that the engine answered fresh logins of the supervisor with, by number.")
            .of([query(
                "increase(sql_edge_supervisor_login_errors_total{$S}[$__rate_interval]) > 0",
                "{{number}}",
            )]),
        Panel::lines("TLS certificates, time to expiry", "s")
            .says("Time until the engine's certificate, and the supervisor's CA, expire.")
            .of([query(
                "sql_edge_tls_certificate_expiry_timestamp_seconds{$S} - time()",
                "{{certificate}}",
            )]),
    ]
}

fn volume() -> Vec<Panel> {
    vec![
        Panel::lines("Free space", "bytes")
            .says("Size of each volume, what is free, and where the last six hours' trend leads within a day.")
            .of([
                query("sql_edge_volume_size_bytes{$S}", "{{volume}} size"),
                query("sql_edge_volume_free_bytes{$S}", "{{volume}} free"),
                query(
                    "clamp_min(predict_linear(sql_edge_volume_free_bytes{$S}[6h], 86400), 0)",
                    "{{volume}} free in a day",
                ),
            ]),
        Panel::lines("Inodes", "short")
            .says("None is shown where the file system has no limit.")
            .of([
                query("sql_edge_volume_inodes{$S} > 0", "{{volume}} inodes"),
                query(
                    "sql_edge_volume_inodes_free{$S} and sql_edge_volume_inodes{$S} > 0",
                    "{{volume}} free",
                ),
            ]),
        Panel::lines("Volume write latency", "s")
            .says("The supervisor's own small write: every commit waits about as long. Pending: the check that is under way.")
            .of([
                query(
                    "histogram_quantile(0.5, rate(sql_edge_supervisor_volume_write_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "{{volume}} median",
                ),
                query(
                    "histogram_quantile(0.99, rate(sql_edge_supervisor_volume_write_duration_seconds_bucket{$S}[$__rate_interval]))",
                    "{{volume}} p99",
                ),
                query("sql_edge_volume_check_pending_seconds{$S} > 1", "{{volume}} pending"),
            ]),
        Panel::bars("Volume write failures", "short")
            .says("By what the file system answered.")
            .of([query(
                "increase(sql_edge_supervisor_volume_write_failures_total{$S}[$__rate_interval]) > 0",
                "{{volume}} {{kind}}",
            )]),
        Panel::lines("Lease renewal age", "s")
            .says("It is renewed each `lease-renew` (5 s) and free for another pod after `lease-stale` (30 s).")
            .of([query(
                "sql_edge_supervisor_lease_renewal_age_seconds{$S}",
                "renewed",
            )]),
        Panel::lines("Lease epoch", "short")
            .says("It rises with each holder.")
            .of([query("sql_edge_supervisor_lease_epoch{$S}", "epoch")]),
    ]
}

fn resources() -> Vec<Panel> {
    vec![
        Panel::lines("CPU usage", "short")
            .says("Processors in use, by sqlservr and by the whole container.")
            .of([
                query(
                    "rate(sql_edge_process_cpu_seconds_total{$S}[$__rate_interval])",
                    "sqlservr",
                ),
                query(
                    "rate(sql_edge_cgroup_cpu_seconds_total{$S}[$__rate_interval])",
                    "container",
                ),
            ]),
        Panel::lines("CPU throttling and pressure", "percentunit")
            .says("Share of the cpu limit's periods that were throttled; share of time in which some task waited (PSI).")
            .to(1.0)
            .of([
                query(
                    "rate(sql_edge_cgroup_cpu_throttled_periods_total{$S}[$__rate_interval]) / (rate(sql_edge_cgroup_cpu_periods_total{$S}[$__rate_interval]) > 0)",
                    "throttled",
                ),
                query(
                    "sql_edge_cgroup_pressure_ratio{$S}",
                    "waiting for {{resource}}",
                ),
            ]),
        Panel::lines("Container memory", "bytes")
            .says("Resident memory is what the kernel can't take back; the container's charge includes the page cache.")
            .of([
                query("sql_edge_process_resident_memory_bytes{$S}", "sqlservr"),
                query("sql_edge_cgroup_memory_bytes{$S}", "container"),
                query("sql_edge_cgroup_memory_limit_bytes{$S}", "limit"),
            ]),
        Panel::lines("Engine memory", "bytes")
            .says("What it has committed, what it aims at, and what of it is its buffer pool. Aiming at less than before: it is under pressure.")
            .of([
                query("sql_edge_memory_committed_bytes{$S}", "committed"),
                query("sql_edge_memory_target_bytes{$S}", "target"),
                query("sql_edge_buffer_pool_bytes{$S}", "buffer pool"),
                query("sql_edge_memory_stolen_bytes{$S}", "stolen"),
            ]),
        Panel::lines("Memory grants", "short")
            .says("More than none for long: large sorts and hashes queue.")
            .of([
                query("sql_edge_memory_grants_pending{$S}", "waiting"),
                query("sql_edge_memory_grants_outstanding{$S}", "granted"),
            ]),
        Panel::lines("Threads and open files", "short")
            .says("Of sqlservr.")
            .of([
                query("sql_edge_process_threads{$S}", "threads"),
                query("sql_edge_process_open_fds{$S}", "open files"),
            ]),
    ]
}

fn io() -> Vec<Panel> {
    vec![
        Panel::lines("Read latency", "s")
            .says("On average, by file. Good for data files is below 20 ms.")
            .of([query(
                r#"rate(sql_edge_file_io_stall_seconds_total{operation="read",$S}[$__rate_interval]) / (rate(sql_edge_file_io_operations_total{operation="read",$S}[$__rate_interval]) > 0)"#,
                "{{database}}/{{file}}",
            )]),
        Panel::lines("Write latency", "s")
            .says("On average, by file. Good for logs is below 5 ms.")
            .of([query(
                r#"rate(sql_edge_file_io_stall_seconds_total{operation="write",$S}[$__rate_interval]) / (rate(sql_edge_file_io_operations_total{operation="write",$S}[$__rate_interval]) > 0)"#,
                "{{database}}/{{file}}",
            )]),
        Panel::lines("I/O throughput", "Bps")
            .says("Of the engine's files by its own count, and of the process by the kernel's.")
            .of([
                query(
                    "sum by (operation) (rate(sql_edge_file_io_bytes_total{$S}[$__rate_interval]))",
                    "{{operation}}",
                ),
                query(
                    "rate(sql_edge_process_io_bytes_total{$S}[$__rate_interval])",
                    "sqlservr, by the kernel",
                ),
            ]),
        Panel::lines("I/O operations", "iops")
            .says("By database.")
            .of([query(
                "sum by (database, operation) (rate(sql_edge_file_io_operations_total{$S}[$__rate_interval]))",
                "{{database}} {{operation}}",
            )]),
        Panel::lines("Buffer pool pages", "ops")
            .says("Between buffer pool and files. Many lazy writes: memory is short.")
            .of([
                query("rate(sql_edge_pages_read_total{$S}[$__rate_interval])", "read"),
                query(
                    "rate(sql_edge_pages_written_total{$S}[$__rate_interval])",
                    "written",
                ),
                query(
                    "rate(sql_edge_lazy_writes_total{$S}[$__rate_interval])",
                    "lazy writes",
                ),
                query(
                    "rate(sql_edge_checkpoint_pages_total{$S}[$__rate_interval])",
                    "by checkpoints",
                ),
            ]),
        Panel::lines("Page life expectancy", "s")
            .says("How long a page stays in memory. A sudden drop: something read much, or memory was taken away.")
            .of([query(
                "sql_edge_page_life_expectancy_seconds{$S}",
                "page life expectancy",
            )]),
    ]
}

fn load() -> Vec<Panel> {
    vec![
        Panel::lines("Batches and compilations", "ops")
            .says("Many compilations to a batch: plans are not reused.")
            .of([
                query(
                    "rate(sql_edge_batch_requests_total{$S}[$__rate_interval])",
                    "batches",
                ),
                query(
                    "rate(sql_edge_compilations_total{$S}[$__rate_interval])",
                    "compilations",
                ),
                query(
                    "rate(sql_edge_recompilations_total{$S}[$__rate_interval])",
                    "recompilations",
                ),
            ]),
        Panel::stacked("Sessions", "short")
            .says("Of clients, by status.")
            .of([query("sql_edge_sessions{$S}", "{{status}}")]),
        Panel::stacked("Requests", "short")
            .says("Under way, by status. Many runnable: the engine is short of processors.")
            .of([query("sql_edge_requests{$S}", "{{status}}")]),
        Panel::lines("Workers", "short")
            .says("At the limit nobody can log in any more.")
            .of([
                query("sql_edge_workers{$S}", "{{state}}"),
                query("sql_edge_workers_max{$S}", "limit"),
                query(
                    "sql_edge_runnable_tasks{$S}",
                    "tasks that wait for a processor",
                ),
                query(
                    "sql_edge_work_queue_tasks{$S}",
                    "tasks that wait for a worker",
                ),
            ]),
        Panel::lines("Transactions", "ops")
            .says("By database.")
            .of([query(
                "rate(sql_edge_database_transactions_total{$S}[$__rate_interval])",
                "{{database}}",
            )]),
        Panel::bars("Engine errors", "short")
            .says("By their kind; `kill_connection` is of severity 20 and above.")
            .of([query(
                "increase(sql_edge_errors_total{$S}[$__rate_interval]) > 0",
                "{{type}}",
            )]),
    ]
}

fn waits() -> Vec<Panel> {
    vec![
        Panel::stacked("Wait time", "s")
            .says("Seconds that tasks waited in each second, by category; idle waits are left out.")
            .size(16, 8)
            .of([query(
                "rate(sql_edge_wait_seconds_total{$S}[$__rate_interval])",
                "{{category}}",
            )]),
        Panel::lines("Signal wait time", "s")
            .says("Signal waits: the resource was there, a processor was not.")
            .of([query(
                "rate(sql_edge_wait_signal_seconds_total{$S}[$__rate_interval])",
                "{{category}}",
            )]),
        Panel::lines("Blocked requests", "short")
            .says("How many wait for a lock, for how many sessions, and the longest chain.")
            .of([
                query("sql_edge_requests_blocked{$S}", "blocked"),
                query("sql_edge_blocking_heads{$S}", "heads"),
                query("sql_edge_blocking_chain_length{$S}", "longest chain"),
            ]),
        Panel::lines("Longest requests and transactions", "s")
            .says("The longest time of a blocked request, of any request, and of an open transaction.")
            .of([
                query("sql_edge_blocked_seconds{$S}", "blocked"),
                query("sql_edge_longest_request_seconds{$S}", "request"),
                query("sql_edge_longest_transaction_seconds{$S}", "transaction"),
            ]),
        Panel::bars("Deadlocks and lock timeouts", "short")
            .says("Each deadlock costs a transaction.")
            .of([
                query(
                    "increase(sql_edge_deadlocks_total{$S}[$__rate_interval])",
                    "deadlocks",
                ),
                query(
                    "increase(sql_edge_lock_timeouts_total{$S}[$__rate_interval])",
                    "lock timeouts",
                ),
            ]),
    ]
}

fn databases() -> Vec<Panel> {
    vec![
        Panel::lines("Transaction log usage", "percentunit")
            .says("Of each log's present size.")
            .to(1.0)
            .of([query(
                "sql_edge_database_log_used_bytes{$S} / (sql_edge_database_log_size_bytes{$S} > 0)",
                "{{database}}",
            )]),
        Panel::table("Log reuse waits")
            .says("Databases whose log can't be reused, and what it waits for: log_reuse_wait_desc.")
            .size(8, 8)
            .of([query(
                "sum by (database, reason) (sql_edge_database_log_reuse_wait{reason!=\"nothing\",$S}) > 0",
                "{{database}}",
            )]),
        Panel::stacked("Database file size", "bytes")
            .says("Size by database and type.")
            .of([query(
                "sum by (database, type) (sql_edge_file_size_bytes{$S})",
                "{{database}} {{type}}",
            )]),
        Panel::stacked("tempdb", "bytes")
            .says("By its use. A growing version store: a long transaction under snapshot isolation.")
            .of([query("sql_edge_tempdb_bytes{$S}", "{{use}}")]),
        Panel::table("Time since the last backup")
            .says("By database and type, as msdb has it; snapshots of the volume leave no trace there.")
            .size(8, 8)
            .column("since", "s")
            .steps(2.0 * 86_400.0, 8.0 * 86_400.0)
            .of([query(
                "max by (database, type) (time() - sql_edge_backup_last_finish_timestamp_seconds{$S})",
                "{{database}} {{type}}",
            )]),
        Panel::table("Databases")
            .says("What each is set to.")
            .size(8, 8)
            .of([query(
                "sum by (database, state, recovery_model, compatibility_level, user_access) (sql_edge_database_info{$S})",
                "{{database}}",
            )]),
    ]
}

fn jobs() -> Vec<Panel> {
    vec![
        Panel::table("Agent jobs")
            .says("The outcome of each job's last run.")
            .column("last run", "short")
            .texts(&[("0", "failed", "red"), ("1", "succeeded", "green")])
            .of([query(
                "max by (job_name) (sql_edge_agent_job_last_run_succeeded{$S})",
                "{{job_name}}",
            )]),
        Panel::lines("Streaming jobs", "short")
            .says("Edge only: by database and status.")
            .size(12, 8)
            .of([query(
                "sql_edge_streaming_jobs{$S} > 0",
                "{{database}} {{status}}",
            )]),
    ]
}

fn supervisor() -> Vec<Panel> {
    vec![
        Panel::lines("Observation age", "s")
            .says("Each observer has its own pace; what is old counts as unknown.")
            .of([query(
                "sql_edge_supervisor_observation_age_seconds{$S}",
                "{{observer}}",
            )]),
        Panel::lines("Decision age", "s")
            .says("Beyond `decision-stale-after` (5 s) the supervisor itself counts as broken.")
            .of([query(
                "sql_edge_supervisor_decision_age_seconds{$S}",
                "decision",
            )]),
        Panel::lines("Supervisor stalls", "percentunit")
            .says("Starved of cpu, suspended or paused; that time counts for nothing.")
            .to(1.0)
            .of([query(
                "rate(sql_edge_supervisor_stalled_seconds_total{$S}[$__rate_interval])",
                "stalled",
            )]),
        Panel::timeline("Collectors")
            .says("Red: it has nothing to show; the table says why.")
            .size(16, 8)
            .texts(PASSES)
            .of([query("sql_edge_collector_success{$S}", "{{collector}}")]),
        Panel::table("Collector failures")
            .says("denied: run the output of `setup-sql`; unsupported: this edition does not have it.")
            .size(8, 8)
            .of([query(
                "sum by (collector, reason) (sql_edge_collector_failure{$S}) > 0",
                "{{collector}}",
            )]),
        Panel::lines("Collection duration", "s")
            .says("One round trip each, on a connection of their own.")
            .size(12, 8)
            .of([query(
                "sql_edge_collector_duration_seconds{$S}",
                "{{collector}}",
            )]),
        Panel::lines("Supervisor resource usage", "bytes")
            .says("Its resident memory.")
            .size(12, 8)
            .of([query("process_resident_memory_bytes{$S}", "resident")]),
    ]
}
