//! The names of three exporters, held against what is exposed: a drop-in has every one of them with the same type, unit
//! and labels, or says here why not.

use std::collections::BTreeSet;

use sql_edge_supervisor::collect::{DIFFERENCES, Differing};

use super::{ALL_PROFILES, edge, pod};

use Exporter::{Alloy, Awaragi, Standard};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exporter {
    /// awaragi/prometheus-mssql-exporter 1.3.0
    Awaragi,
    /// burningalchemist/sql_exporter, mssql_standard.collector.yml
    Standard,
    /// Grafana Alloy, prometheus.exporter.mssql
    Alloy,
}

impl Exporter {
    fn profile(self) -> &'static str {
        match self {
            Self::Awaragi => "awaragi",
            Self::Standard => "sql-exporter",
            Self::Alloy => "alloy",
        }
    }
}

/// What a metric of an exporter is: exporter, name, type, unit, labels.
type Metric = (
    Exporter,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const METRICS: &[Metric] = &[
    (Awaragi, "mssql_up", "gauge", "0 or 1", &[]),
    (Awaragi, "mssql_product_version", "gauge", "major.minor", &[]),
    (Awaragi, "mssql_instance_local_time", "gauge", "unix seconds", &[]),
    (Awaragi, "mssql_connections", "gauge", "count", &["database", "state"]),
    (Awaragi, "mssql_client_connections", "gauge", "count", &["client", "database"]),
    (Awaragi, "mssql_deadlocks", "gauge", "count", &[]),
    (Awaragi, "mssql_user_errors", "gauge", "count", &[]),
    (Awaragi, "mssql_kill_connection_errors", "gauge", "count", &[]),
    (Awaragi, "mssql_database_state", "gauge", "state number", &["database"]),
    (Awaragi, "mssql_log_growths", "gauge", "count", &["database"]),
    (Awaragi, "mssql_database_filesize", "gauge", "KB", &["database", "filename", "logicalname", "type"]),
    (Awaragi, "mssql_page_read_total", "gauge", "pages", &[]),
    (Awaragi, "mssql_page_write_total", "gauge", "pages", &[]),
    (Awaragi, "mssql_page_life_expectancy", "gauge", "seconds", &[]),
    (Awaragi, "mssql_lazy_write_total", "gauge", "pages", &[]),
    (Awaragi, "mssql_page_checkpoint_total", "gauge", "pages", &[]),
    (Awaragi, "mssql_io_stall", "gauge", "ms", &["database", "type"]),
    (Awaragi, "mssql_io_stall_total", "gauge", "ms", &["database"]),
    (Awaragi, "mssql_batch_requests", "gauge", "count", &[]),
    (Awaragi, "mssql_transactions", "gauge", "count", &["database"]),
    (Awaragi, "mssql_page_fault_count", "gauge", "count", &[]),
    (Awaragi, "mssql_memory_utilization_percentage", "gauge", "percent", &[]),
    (Awaragi, "mssql_total_physical_memory_kb", "gauge", "KB", &[]),
    (Awaragi, "mssql_available_physical_memory_kb", "gauge", "KB", &[]),
    (Awaragi, "mssql_total_page_file_kb", "gauge", "KB", &[]),
    (Awaragi, "mssql_available_page_file_kb", "gauge", "KB", &[]),
    (Standard, "mssql_local_time_seconds", "gauge", "unix seconds", &[]),
    (Standard, "mssql_connections", "gauge", "count", &["db"]),
    (Standard, "mssql_deadlocks", "counter", "count", &[]),
    (Standard, "mssql_user_errors", "counter", "count", &[]),
    (Standard, "mssql_kill_connection_errors", "counter", "count", &[]),
    (Standard, "mssql_page_life_expectancy_seconds", "gauge", "seconds", &[]),
    (Standard, "mssql_batch_requests", "counter", "count", &[]),
    (Standard, "mssql_log_growths", "counter", "count", &["db"]),
    (Standard, "mssql_buffer_cache_hit_ratio", "gauge", "hits, not divided by anything", &[]),
    (Standard, "mssql_checkpoint_pages_sec", "gauge", "pages", &[]),
    (Standard, "mssql_io_stall_seconds", "counter", "seconds", &["db", "operation"]),
    (Standard, "mssql_io_stall_total_seconds", "counter", "seconds", &["db"]),
    (Standard, "mssql_resident_memory_bytes", "gauge", "bytes", &[]),
    (Standard, "mssql_virtual_memory_bytes", "gauge", "bytes", &[]),
    (Standard, "mssql_memory_utilization_percentage", "gauge", "percent", &[]),
    (Standard, "mssql_page_fault_count", "counter", "count", &[]),
    (Standard, "mssql_os_memory", "gauge", "bytes", &["state"]),
    (Standard, "mssql_os_page_file", "gauge", "bytes", &["state"]),
    (Alloy, "mssql_local_time_seconds", "gauge", "unix seconds", &[]),
    (Alloy, "mssql_connections", "gauge", "count", &["db"]),
    (Alloy, "mssql_deadlocks_total", "counter", "count", &[]),
    (Alloy, "mssql_user_errors_total", "counter", "count", &[]),
    (Alloy, "mssql_kill_connection_errors_total", "counter", "count", &[]),
    (Alloy, "mssql_page_life_expectancy_seconds", "gauge", "seconds", &[]),
    (Alloy, "mssql_batch_requests_total", "counter", "count", &[]),
    (Alloy, "mssql_log_growths_total", "counter", "count", &["db"]),
    (Alloy, "mssql_buffer_cache_hit_ratio", "gauge", "percent", &[]),
    (Alloy, "mssql_checkpoint_pages_sec", "gauge", "pages", &[]),
    (Alloy, "mssql_io_stall_seconds_total", "counter", "seconds", &["db", "operation"]),
    (Alloy, "mssql_resident_memory_bytes", "gauge", "bytes", &[]),
    (Alloy, "mssql_virtual_memory_bytes", "gauge", "bytes", &[]),
    (Alloy, "mssql_available_commit_memory_bytes", "gauge", "bytes", &[]),
    (Alloy, "mssql_memory_utilization_percentage", "gauge", "percent", &[]),
    (Alloy, "mssql_page_fault_count_total", "counter", "count", &[]),
    (Alloy, "mssql_server_total_memory_bytes", "gauge", "bytes", &[]),
    (Alloy, "mssql_server_target_memory_bytes", "gauge", "bytes", &[]),
    (Alloy, "mssql_os_memory", "gauge", "bytes", &["state"]),
    (Alloy, "mssql_os_page_file", "gauge", "bytes", &["state"]),
];

#[tokio::test]
async fn every_name_is_there_as_its_exporter_has_it_or_the_difference_is_known() {
    let mut pod = pod(edge(), &[ALL_PROFILES]).await;
    assert!(pod.collected().await.is_empty());
    let exposition = pod.exposition().await;
    let mut found = Vec::new();
    for (exporter, name, kind, _, labels) in METRICS {
        let exposed = exposition.kinds.get(*name);
        let exposed = exposed.unwrap_or_else(|| panic!("{name} of {exporter:?} is missing"));
        if exposed != kind {
            found.push((exporter.profile(), *name, Differing::Type));
        }
        let labels: BTreeSet<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let exposed = exposition.labels(name);
        assert!(
            exposed.is_superset(&labels),
            "{name} of {exporter:?}: {exposed:?}"
        );
        if exposed != labels {
            found.push((exporter.profile(), *name, Differing::Labels));
        }
    }
    let said: Vec<_> = DIFFERENCES
        .iter()
        .map(|known| (known.profile, known.name, known.differing))
        .collect();
    for difference in &found {
        assert!(said.contains(difference), "{difference:?} is not said");
    }
    for difference in &said {
        let (profile, name, differing) = *difference;
        let is_this = |metric: &Metric| (metric.0.profile(), metric.1) == (profile, name);
        assert!(METRICS.iter().any(is_this), "{name} of {profile}");
        if differing != Differing::Value {
            assert!(
                found.contains(difference),
                "{name} of {profile} is the same"
            );
        }
    }
    // Nothing foreign beyond what the exporters have.
    for name in exposition
        .kinds
        .keys()
        .filter(|name| name.starts_with("mssql_"))
    {
        assert!(
            METRICS.iter().any(|metric| metric.1 == name),
            "{name} is nobody's"
        );
    }
}

/// Units are in the values: what the stand-in says in kilobytes and milliseconds, in each exporter's own unit.
#[tokio::test]
async fn each_exporter_has_its_own_units() {
    let mut pod = pod(edge(), &[ALL_PROFILES]).await;
    assert!(pod.collected().await.is_empty());
    let exposition = pod.exposition().await;
    let value = |name: &str, labels: &[(&str, &str)]| exposition.value(name, labels).expect(name);
    let total = value("mssql_total_physical_memory_kb", &[]);
    let available = value("mssql_available_physical_memory_kb", &[]);
    assert_eq!(
        value("mssql_os_memory", &[("state", "available")]),
        available * 1024.0
    );
    assert_eq!(
        value("mssql_os_memory", &[("state", "used")]),
        (total - available) * 1024.0
    );
    let orders = [("database", "orders")];
    let longest = value("mssql_io_stall", &[orders[0], ("type", "read")]);
    // Two files, each with the same stall.
    let sum = value(
        "mssql_io_stall_seconds_total",
        &[("db", "orders"), ("operation", "read")],
    );
    assert_eq!(sum, 2.0 * longest / 1000.0);
    assert_eq!(
        value(
            "mssql_io_stall_seconds",
            &[("db", "orders"), ("operation", "read")]
        ),
        sum
    );
    let both = value("mssql_io_stall_total_seconds", &[("db", "orders")]);
    assert_eq!(both, 2.0 * value("mssql_io_stall_total", &orders) / 1000.0);
    let file = [
        orders[0],
        ("logicalname", "orders"),
        ("filename", "/var/opt/mssql/data/orders.mdf"),
        ("type", "ROWS"),
    ];
    assert_eq!(value("mssql_database_filesize", &file), 8192.0);
    assert_eq!(value("mssql_buffer_cache_hit_ratio", &[]), 98.5);
    assert_eq!(value("sql_edge_buffer_cache_hit_ratio", &[]), 0.985);
}
