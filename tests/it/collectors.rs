//! The collectors that are built in, on both products, with and without permissions, up to a thousand databases.

mod exposition;
mod names;

use std::collections::BTreeMap;

use crate::shared::supervisor::Supervisor;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{Cells, Database, Patch, Product, Script, View};
use crate::support::{Scratch, standin_with, supervise, unique_name};
use exposition::Exposition;

/// How the collectors call themselves to the engine.
const APPLICATION: &str = "sql-edge-supervisor/collect";
const ALL_PROFILES: (&str, &str) = ("metrics-profiles", "alloy,own,sql-exporter,awaragi");
/// Each collector with what it is on a healthy Edge.
const COLLECTORS: [&str; 15] = [
    "server",
    "counters",
    "memory",
    "schedulers",
    "waits",
    "sessions",
    "requests",
    "databases",
    "io",
    "files",
    "tempdb",
    "backups",
    "jobs",
    "data_retention",
    "streaming",
];

/// A supervisor on a stand-in with this script.
struct Pod {
    supervisor: Supervisor,
    engine: StandIn,
    _scratch: Scratch,
}

async fn pod(script: Script, settings: &[(&str, &str)]) -> Pod {
    let scratch = Scratch::new();
    let name = unique_name();
    let engine = standin_with(&scratch, &name, |options| options.script(script)).await;
    // The collectors' thread has the least weight: on a busy machine its login takes its time.
    let mut more = vec![("login-timeout", "30s"), ("unresponsive-after", "60s")];
    more.extend(settings);
    let supervisor = supervise(&engine, &name, &more).await;
    Pod {
        supervisor,
        engine,
        _scratch: scratch,
    }
}

/// Waits until each collector has had its first turn, be it before what was awaited last; the reasons of those that
/// failed.
pub async fn first_turns(supervisor: &mut Supervisor) -> BTreeMap<String, String> {
    let mut waiting = COLLECTORS.to_vec();
    let mut failed = BTreeMap::new();
    let before = supervisor.log.clone();
    let mut before = before
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    while !waiting.is_empty() {
        let event = match before.next() {
            Some(event) => event,
            None => supervisor.event(|_| true).await,
        };
        let collector = event["collector"].as_str().unwrap_or_default();
        match event["message"].as_str() {
            Some("collects") => {}
            Some("does not collect") => {
                let reason = event["reason"].as_str().unwrap_or_default();
                failed.insert(collector.to_owned(), reason.to_owned());
            }
            _ => continue,
        }
        waiting.retain(|name| *name != collector);
    }
    failed
}

impl Pod {
    async fn collected(&mut self) -> BTreeMap<String, String> {
        first_turns(&mut self.supervisor).await
    }

    /// What `/metrics` says once every collector's first turn is in it.
    async fn exposition(&self) -> Exposition {
        loop {
            let (code, text) = self.supervisor.get("/metrics").await;
            assert_eq!(code, 200);
            let exposition = Exposition::parse(&text);
            let is_there = |name: &&str| {
                exposition
                    .value("sql_edge_collector_success", &[("collector", name)])
                    .is_some()
            };
            if COLLECTORS.iter().all(is_there) {
                return exposition;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn cells(pairs: &[(&str, serde_json::Value)]) -> Cells {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn refused(number: i32) -> View {
    View {
        error: Some(SqlError::new(number)),
        ..View::default()
    }
}

/// An Edge with a database of its own, and blocking in it. The supervisor's own sessions, which the
/// collectors leave out, are numbered from 51: they don't come to 20,000.
fn edge() -> Script {
    let mut script = Script::default();
    script.databases.push(Database {
        recovery_model: 1,
        log_reuse_wait_desc: "LOG_BACKUP".to_owned(),
        data_retention: true,
        ..Database::online("orders")
    });
    let deadlocks = Patch {
        of: cells(&[
            ("counter_name", "Number of Deadlocks/sec".into()),
            ("instance_name", "_Total".into()),
        ]),
        set: cells(&[("cntr_value", 7.into())]),
    };
    let view = View {
        patches: vec![deadlocks],
        ..View::default()
    };
    script
        .views
        .insert("sys.dm_os_performance_counters".to_owned(), view);
    let request = |session: i32, blocker: i32| {
        cells(&[
            ("session_id", session.into()),
            ("blocking_session_id", blocker.into()),
            ("status", "suspended".into()),
            ("command", "UPDATE".into()),
            ("database_id", 5.into()),
            ("wait_time", 12_000.into()),
            ("total_elapsed_time", 15_000.into()),
        ])
    };
    let view = View {
        rows: Some(vec![request(20_061, 20_060), request(20_062, 20_061)]),
        ..View::default()
    };
    script.views.insert("sys.dm_exec_requests".to_owned(), view);
    let session = |id: i32| {
        cells(&[
            ("session_id", id.into()),
            ("is_user_process", 1.into()),
            ("status", "running".into()),
            ("host_name", "web-1".into()),
            ("database_id", 5.into()),
            ("open_transaction_count", 1.into()),
        ])
    };
    let view = View {
        rows: Some(vec![session(20_060), session(20_061), session(20_062)]),
        ..View::default()
    };
    script.views.insert("sys.dm_exec_sessions".to_owned(), view);
    script
}

const ORDERS: (&str, &str) = ("database", "orders");

type Sample = (&'static str, &'static [(&'static str, &'static str)], f64);

/// What [`edge`] gives.
const OF_EDGE: &[Sample] = &[
    ("mssql_up", &[], 1.0),
    ("mssql_deadlocks_total", &[], 7.0),
    ("sql_edge_deadlocks_total", &[], 7.0),
    ("mssql_product_version", &[], 15.0),
    ("mssql_buffer_cache_hit_ratio", &[], 98.5),
    ("sql_edge_requests_blocked", &[], 2.0),
    ("sql_edge_blocking_heads", &[], 1.0),
    ("sql_edge_blocking_chain_length", &[], 2.0),
    ("sql_edge_blocked_seconds", &[], 12.0),
    ("sql_edge_sessions_with_open_transaction", &[], 3.0),
    ("sql_edge_database_sessions", &[ORDERS], 3.0),
    ("sql_edge_database_online", &[ORDERS], 1.0),
    (
        "sql_edge_database_log_reuse_wait",
        &[ORDERS, ("reason", "log_backup")],
        1.0,
    ),
    (
        "sql_edge_database_log_size_bytes",
        &[ORDERS],
        2040.0 * 1024.0,
    ),
    (
        "sql_edge_file_size_bytes",
        &[ORDERS, ("file", "orders"), ("type", "rows")],
        8_388_608.0,
    ),
    (
        "sql_edge_file_growth_ratio",
        &[ORDERS, ("file", "orders_log"), ("type", "log")],
        0.1,
    ),
    (
        "sql_edge_backup_last_size_bytes",
        &[ORDERS, ("type", "log")],
        65_536.0,
    ),
    ("sql_edge_data_retention_enabled", &[ORDERS], 1.0),
    ("sql_edge_data_retention_tables", &[ORDERS], 1.0),
    (
        "sql_edge_streaming_jobs",
        &[ORDERS, ("status", "failed")],
        1.0,
    ),
    (
        "sql_edge_agent_job_last_run_succeeded",
        &[("job_name", "nightly backup")],
        1.0,
    ),
    (
        "sql_edge_agent_job_last_run_duration_seconds",
        &[("job_name", "nightly backup")],
        3723.0,
    ),
    // 2026-11-02 01:30:05, the stand-in's time being UTC
    (
        "sql_edge_agent_job_last_run_timestamp_seconds",
        &[("job_name", "nightly backup")],
        1_793_583_005.0,
    ),
    (
        "sql_edge_tempdb_bytes",
        &[("use", "version_store")],
        131_072.0,
    ),
    ("sql_edge_wait_seconds_total", &[("category", "lock")], 2.0),
    ("sql_edge_workers_max", &[], 512.0),
];

#[tokio::test]
async fn every_collector_collects_from_edge() {
    let mut pod = pod(edge(), &[ALL_PROFILES]).await;
    assert_eq!(pod.collected().await, BTreeMap::new());
    let exposition = pod.exposition().await;
    for (name, labels, value) in OF_EDGE {
        assert_eq!(
            exposition.value(name, labels),
            Some(*value),
            "{name} {labels:?}"
        );
    }
    let never_ran = [("job_name", "index maintenance")];
    assert_eq!(
        exposition.value("sql_edge_agent_job_last_run_succeeded", &never_ran),
        None
    );
    assert_eq!(
        exposition.value("sql_edge_agent_job_enabled", &never_ran),
        Some(1.0)
    );
    // The connections are the stand-in's real ones, and there are several.
    let master = [
        ("db", "master"),
        ("database", "master"),
        ("state", "current"),
    ];
    assert!(
        exposition
            .value("mssql_connections", &master)
            .is_some_and(|n| n >= 2.0)
    );
    let started = exposition.value("sql_edge_server_start_timestamp_seconds", &[]);
    let time = exposition.value("mssql_local_time_seconds", &[]);
    assert!(
        started
            .zip(time)
            .is_some_and(|(started, time)| (0.0..600.0).contains(&(time - started)))
    );
}

#[tokio::test]
async fn sql_server_has_all_but_what_is_edges_alone() {
    let script = Script {
        product: Product {
            version: "16.0.4195.2".to_owned(),
            edition: "Developer Edition (64-bit)".to_owned(),
            engine_edition: 3,
            ..Product::default()
        },
        ..Script::default()
    };
    let mut pod = pod(script, &[ALL_PROFILES]).await;
    let unsupported =
        ["data_retention", "streaming"].map(|name| (name.to_owned(), "unsupported".to_owned()));
    assert_eq!(pod.collected().await, BTreeMap::from(unsupported));
    let exposition = pod.exposition().await;
    assert_eq!(exposition.value("mssql_product_version", &[]), Some(16.0));
    let why = [("collector", "streaming"), ("reason", "unsupported")];
    assert_eq!(
        exposition.value("sql_edge_collector_success", &why[..1]),
        Some(0.0)
    );
    assert_eq!(
        exposition.value("sql_edge_collector_failure", &why),
        Some(1.0)
    );
    assert!(!exposition.has("sql_edge_streaming_jobs"));
    // A run is one that asked the engine.
    let runs = |name| exposition.value("sql_edge_collector_runs_total", &[("collector", name)]);
    assert_eq!(runs("streaming"), Some(0.0));
    assert!(runs("server") >= Some(1.0));
}

#[tokio::test]
async fn a_login_without_view_server_state_keeps_what_anybody_may_see() {
    let script = Script {
        view_server_state: false,
        ..Script::default()
    };
    let mut pod = pod(script, &[ALL_PROFILES]).await;
    let denied = [
        "counters",
        "memory",
        "schedulers",
        "waits",
        "sessions",
        "requests",
        "io",
        "tempdb",
    ];
    let denied = denied.map(|name| (name.to_owned(), "denied".to_owned()));
    assert_eq!(pod.collected().await, BTreeMap::from(denied));
    let exposition = pod.exposition().await;
    assert_eq!(exposition.value("mssql_up", &[]), Some(1.0));
    assert_eq!(
        exposition.value("sql_edge_database_online", &[("database", "msdb")]),
        Some(1.0)
    );
    // The own session alone is not taken for all there are.
    assert!(!exposition.has("mssql_connections"));
    assert!(!exposition.has("sql_edge_requests"));
}

#[tokio::test]
async fn what_needs_more_is_denied_by_name() {
    let mut script = edge();
    script
        .views
        .insert("msdb.dbo.backupset".to_owned(), refused(229));
    script
        .views
        .insert("msdb.dbo.sysjobs".to_owned(), refused(916));
    script.views.insert(
        "orders.sys.external_streaming_jobs".to_owned(),
        refused(208),
    );
    script.databases.push(Database {
        accessible: false,
        data_retention: true,
        ..Database::online("secret")
    });
    let mut pod = pod(script, &[]).await;
    let reasons = [
        ("backups", "denied"),
        ("jobs", "denied"),
        ("streaming", "unsupported"),
    ];
    let reasons = reasons.map(|(name, reason)| (name.to_owned(), reason.to_owned()));
    assert_eq!(pod.collected().await, BTreeMap::from(reasons));
    let exposition = pod.exposition().await;
    // A database that the login can't enter has no tables, and costs nobody else's.
    let tables =
        |database| exposition.value("sql_edge_data_retention_tables", &[("database", database)]);
    assert_eq!((tables("orders"), tables("secret")), (Some(1.0), None));
    let enabled = [("database", "secret")];
    assert_eq!(
        exposition.value("sql_edge_data_retention_enabled", &enabled),
        Some(1.0)
    );
    // The default profiles.
    assert!(exposition.has("mssql_deadlocks_total"));
    assert!(!exposition.has("mssql_up") && !exposition.has("mssql_deadlocks"));
}

#[tokio::test]
async fn a_thousand_databases_are_one_round_trip_for_each_collector() {
    for count in [1, 1000] {
        let mut script = Script::default();
        let names = (1..=count).map(|number| format!("db_{number:04}"));
        let retained = |name: String| Database {
            data_retention: true,
            ..Database::online(&name)
        };
        script.databases.extend(names.map(retained));
        let settings = [
            ALL_PROFILES,
            ("metrics-max-databases", "1100"),
            ("metrics-interval", "600s"),
            ("metrics-timeout", "60s"),
            // The stand-in takes its time for so many rows.
            ("databases-timeout", "10s"),
            ("databases-interval", "10s"),
        ];
        let mut pod = pod(script, &settings).await;
        assert_eq!(pod.collected().await, BTreeMap::new());
        let statistics = pod.engine.statistics().await.unwrap();
        // One for each, and one that sets the connection up.
        let requests = statistics.requests_of(APPLICATION);
        assert_eq!(
            requests.batches,
            COLLECTORS.len() as u64 + 1,
            "{count} databases"
        );
        let exposition = pod.exposition().await;
        let last = format!("db_{count:04}");
        for name in [
            "sql_edge_database_online",
            "sql_edge_data_retention_tables",
            "mssql_transactions",
        ] {
            let value = exposition.value(name, &[("database", &last)]);
            assert!(value.is_some(), "{name} of {last}");
        }
        let left_out = exposition.sum("sql_edge_collector_series_left_out");
        assert_eq!(left_out, 0.0, "{count} databases");
    }
}

#[tokio::test]
async fn databases_are_filtered_and_capped_and_what_is_left_out_is_counted() {
    let settings = [
        ALL_PROFILES,
        ("metrics-databases-include", "db_*,master"),
        ("metrics-databases-exclude", "db_0002"),
        ("metrics-max-databases", "5"),
    ];
    let mut script = Script::default();
    let names = (1..=20).map(|number| format!("db_{number:04}"));
    script
        .databases
        .extend(names.map(|name| Database::online(&name)));
    let mut pod = pod(script, &settings).await;
    assert_eq!(pod.collected().await, BTreeMap::new());
    let exposition = pod.exposition().await;
    for family in [
        "mssql_log_growths_total",
        "mssql_io_stall",
        "sql_edge_database_online",
        "sql_edge_file_size_bytes",
    ] {
        let shown = exposition.databases(family);
        assert!(shown.len() <= 5 && !shown.is_empty(), "{family}: {shown:?}");
        assert!(
            shown
                .iter()
                .all(|name| name == "master" || name.starts_with("db_")),
            "{shown:?}"
        );
        assert!(!shown.contains("db_0002"), "{family}");
    }
    // All collectors show the same ones.
    assert_eq!(exposition.databases("sql_edge_database_online").len(), 5);
    let of = |family| exposition.databases(family);
    assert_eq!(
        of("mssql_log_growths_total"),
        of("sql_edge_database_online")
    );
    assert!(exposition.sum("sql_edge_collector_series_left_out") > 0.0);
}

#[tokio::test]
async fn an_engine_that_is_gone_is_down_at_once() {
    let mut pod = pod(
        Script::default(),
        &[
            ALL_PROFILES,
            ("metrics-interval", "5s"),
            ("metrics-timeout", "5s"),
        ],
    )
    .await;
    assert_eq!(pod.collected().await, BTreeMap::new());
    assert_eq!(pod.exposition().await.value("mssql_up", &[]), Some(1.0));
    pod.engine
        .signal_parent(rustix::process::Signal::KILL)
        .unwrap();
    loop {
        let exposition = pod.exposition().await;
        if exposition.value("mssql_up", &[]) == Some(0.0) {
            assert!(!exposition.has("mssql_local_time_seconds"));
            return;
        }
        tokio::task::yield_now().await;
    }
}
