//! Which metrics there are, with their labels.

use std::collections::{BTreeMap, BTreeSet};

use super::promql::{Reads, Series, reads};

/// The supervisor's exposition, as its own test holds it.
const GOLDEN: &str = include_str!("../../src/publish/metrics/golden.prom");

/// Labels that Prometheus puts on every series of a target, in Kubernetes and without.
const TARGET: [&str; 8] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "cluster",
    "container",
    "endpoint",
    "node",
];

/// Labels of the supervisor's metrics whose values are open, or not all in its golden exposition.
const OPEN: [&str; 4] = ["number", "version", "reason", "le"];

/// A metric's labels, each with the values that it is known to have.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Names and labels.
pub struct Known(BTreeMap<String, Labels>);

impl Known {
    /// What the supervisor exposes, every profile on, and what Prometheus adds.
    pub fn exposed() -> Self {
        let mut known = Self(BTreeMap::new());
        known.read(GOLDEN);
        for (name, labels) in ENGINE {
            known.add(name, labels.iter().copied());
        }
        for (name, labels) in &known.0 {
            for label in labels.keys() {
                assert!(
                    !TARGET.contains(&label.as_str()),
                    "{name}: Prometheus would rename its label {label} to exported_{label}"
                );
            }
        }
        known.add("up", []);
        known.add("ALERTS", ["alertname", "alertstate", "severity"]);
        known
    }

    /// Takes in an exposition.
    fn read(&mut self, exposition: &str) {
        for line in exposition.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').expect("a name and a type");
                if kind != "histogram" {
                    self.add(name, []);
                }
            } else if !line.starts_with('#') && !line.is_empty() {
                let (series, _) = line.rsplit_once(' ').expect("a series and a value");
                for series in reads(series).series {
                    let known = self.0.entry(series.name).or_default();
                    for (label, value) in series.matchers {
                        known.entry(label).or_default().insert(value);
                    }
                }
            }
        }
    }

    pub fn add<'a>(&mut self, name: &str, labels: impl IntoIterator<Item = &'a str>) {
        let known = self.0.entry(name.to_owned()).or_default();
        for label in labels {
            known.entry(label.to_owned()).or_default();
        }
    }

    /// The labels of a metric; none where there is no such metric.
    pub fn labels(&self, name: &str) -> Vec<String> {
        let labels = self.0.get(name).into_iter().flat_map(Labels::keys);
        labels.cloned().collect()
    }

    /// What is wrong with an expression: metrics that do not exist, labels that they do not have, values
    /// that these never have.
    pub fn mistakes(&self, reads: &Reads, legend: &[String]) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut all: BTreeSet<&str> = TARGET.into();
        for Series { name, matchers } in &reads.series {
            let Some(labels) = self.0.get(name) else {
                mistakes.push(format!("there is no metric {name}"));
                continue;
            };
            all.extend(labels.keys().map(String::as_str));
            for (label, pattern) in matchers {
                match labels.get(label) {
                    None if TARGET.contains(&label.as_str()) => {}
                    None => mistakes.push(format!("{name} has no label {label}")),
                    Some(values) if values.is_empty() || OPEN.contains(&label.as_str()) => {}
                    Some(values) => {
                        let strange = pattern.split('|').filter(|value| !values.contains(*value));
                        mistakes.extend(strange.map(|v| format!("{name}: {label} is never {v}")));
                    }
                }
            }
        }
        for label in reads.grouping.iter().chain(legend) {
            if !all.contains(label.as_str()) {
                mistakes.push(format!("no series has the label {label}"));
            }
        }
        mistakes
    }
}

/// The collectors' families.
const ENGINE: &[(&str, &[&str])] = &[
    ("sql_edge_batch_requests_total", &[]),
    ("sql_edge_compilations_total", &[]),
    ("sql_edge_recompilations_total", &[]),
    ("sql_edge_logins_total", &[]),
    ("sql_edge_logouts_total", &[]),
    ("sql_edge_user_connections", &[]),
    ("sql_edge_attentions_total", &[]),
    ("sql_edge_errors_total", &["type"]),
    ("sql_edge_deadlocks_total", &[]),
    ("sql_edge_lock_waits_total", &[]),
    ("sql_edge_lock_timeouts_total", &[]),
    ("sql_edge_lock_wait_seconds_total", &[]),
    ("sql_edge_latch_waits_total", &[]),
    ("sql_edge_page_life_expectancy_seconds", &[]),
    ("sql_edge_pages_read_total", &[]),
    ("sql_edge_pages_written_total", &[]),
    ("sql_edge_lazy_writes_total", &[]),
    ("sql_edge_checkpoint_pages_total", &[]),
    ("sql_edge_free_list_stalls_total", &[]),
    ("sql_edge_buffer_cache_hit_ratio", &[]),
    ("sql_edge_plan_cache_hit_ratio", &[]),
    ("sql_edge_buffer_pool_bytes", &[]),
    ("sql_edge_memory_grants_pending", &[]),
    ("sql_edge_memory_grants_outstanding", &[]),
    ("sql_edge_memory_stolen_bytes", &[]),
    ("sql_edge_memory_free_bytes", &[]),
    ("sql_edge_longest_transaction_seconds", &[]),
    ("sql_edge_database_transactions_total", &["database"]),
    ("sql_edge_database_write_transactions_total", &["database"]),
    ("sql_edge_database_active_transactions", &["database"]),
    ("sql_edge_database_log_flushes_total", &["database"]),
    ("sql_edge_database_log_flush_waits_total", &["database"]),
    ("sql_edge_database_log_flushed_bytes_total", &["database"]),
    ("sql_edge_database_log_growths_total", &["database"]),
    ("sql_edge_database_log_size_bytes", &["database"]),
    ("sql_edge_database_log_used_bytes", &["database"]),
    ("sql_edge_database_data_size_bytes", &["database"]),
    (
        "sql_edge_database_backup_restore_bytes_total",
        &["database"],
    ),
    (
        "sql_edge_file_io_operations_total",
        &["database", "file", "operation"],
    ),
    (
        "sql_edge_file_io_bytes_total",
        &["database", "file", "operation"],
    ),
    (
        "sql_edge_file_io_stall_seconds_total",
        &["database", "file", "operation"],
    ),
    ("sql_edge_waits_total", &["category"]),
    ("sql_edge_wait_seconds_total", &["category"]),
    ("sql_edge_wait_signal_seconds_total", &["category"]),
    ("sql_edge_schedulers", &[]),
    ("sql_edge_tasks", &[]),
    ("sql_edge_runnable_tasks", &[]),
    ("sql_edge_workers", &["state"]),
    ("sql_edge_workers_max", &[]),
    ("sql_edge_work_queue_tasks", &[]),
    ("sql_edge_pending_disk_ios", &[]),
    ("sql_edge_scheduler_yields_total", &[]),
    ("sql_edge_cpus", &[]),
    ("sql_edge_server_start_timestamp_seconds", &[]),
    ("sql_edge_memory_physical_bytes", &[]),
    ("sql_edge_memory_virtual_committed_bytes", &[]),
    ("sql_edge_memory_available_commit_bytes", &[]),
    ("sql_edge_memory_locked_pages_bytes", &[]),
    ("sql_edge_memory_page_faults_total", &[]),
    ("sql_edge_memory_utilization_ratio", &[]),
    ("sql_edge_memory_low", &["kind"]),
    ("sql_edge_memory_committed_bytes", &[]),
    ("sql_edge_memory_target_bytes", &[]),
    ("sql_edge_os_memory_bytes", &["state"]),
    ("sql_edge_os_page_file_bytes", &["state"]),
    ("sql_edge_sessions", &["status"]),
    ("sql_edge_system_sessions", &[]),
    ("sql_edge_sessions_with_open_transaction", &[]),
    ("sql_edge_database_sessions", &["database"]),
    ("sql_edge_requests", &["status"]),
    ("sql_edge_requests_blocked", &[]),
    ("sql_edge_blocking_heads", &[]),
    ("sql_edge_blocking_chain_length", &[]),
    ("sql_edge_blocked_seconds", &[]),
    ("sql_edge_longest_request_seconds", &[]),
    ("sql_edge_request_progress_ratio", &["command", "database"]),
    ("sql_edge_file_size_bytes", &["database", "file", "type"]),
    (
        "sql_edge_file_max_size_bytes",
        &["database", "file", "type"],
    ),
    ("sql_edge_file_growth_bytes", &["database", "file", "type"]),
    ("sql_edge_file_growth_ratio", &["database", "file", "type"]),
    ("sql_edge_tempdb_bytes", &["use"]),
    ("sql_edge_version_store_bytes", &["database"]),
    (
        "sql_edge_backup_last_finish_timestamp_seconds",
        &["database", "type"],
    ),
    ("sql_edge_backup_last_size_bytes", &["database", "type"]),
    (
        "sql_edge_backup_last_duration_seconds",
        &["database", "type"],
    ),
    (
        "sql_edge_database_info",
        &[
            "compatibility_level",
            "database",
            "page_verify",
            "query_store",
            "read_only",
            "recovery_model",
            "state",
            "user_access",
        ],
    ),
    ("sql_edge_database_online", &["database"]),
    ("sql_edge_database_created_timestamp_seconds", &["database"]),
    ("sql_edge_database_log_reuse_wait", &["database", "reason"]),
    ("sql_edge_agent_job_enabled", &["job_name"]),
    ("sql_edge_agent_job_last_run_succeeded", &["job_name"]),
    (
        "sql_edge_agent_job_last_run_timestamp_seconds",
        &["job_name"],
    ),
    (
        "sql_edge_agent_job_last_run_duration_seconds",
        &["job_name"],
    ),
    ("sql_edge_data_retention_enabled", &["database"]),
    ("sql_edge_data_retention_tables", &["database"]),
    ("sql_edge_streaming_jobs", &["database", "status"]),
    ("sql_edge_collector_success", &["collector"]),
    ("sql_edge_collector_failure", &["collector", "reason"]),
    ("sql_edge_collector_duration_seconds", &["collector"]),
    ("sql_edge_collector_series_left_out", &["collector"]),
    ("mssql_deadlocks_total", &[]),
    ("mssql_io_stall_seconds_total", &["db", "operation"]),
];
