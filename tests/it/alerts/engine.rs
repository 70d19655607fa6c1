//! The alerts on what the engine says of itself, by the collectors' readings of its answers.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{DAY, obeys};
use crate::shared::alerts::Scrape;
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{Cells, Database, Patch, Script, View};
use crate::standin::tds::datetime::DateTime;
use crate::support::{Scratch, standin_with, supervise, unique_name};

/// Six databases are exposed, and two more appear.
const SETTINGS: [(&str, &str); 3] = [
    ("metrics-interval", "2s"),
    ("metrics-timeout", "2s"),
    ("metrics-max-databases", "6"),
];

fn cells(pairs: &[(&str, Value)]) -> Cells {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn patch(of: &[(&str, Value)], set: &[(&str, Value)]) -> Patch {
    Patch {
        of: cells(of),
        set: cells(set),
    }
}

/// A moment so long ago, as a column of type datetime has it.
fn ago(age: Duration) -> Value {
    json!(DateTime::from(SystemTime::now() - age).to_string())
}

async fn shows(standin: &StandIn, name: &str, view: View) {
    let name = name.to_owned();
    obeys(standin, Command::SetView { name, view }).await;
}

async fn patched(standin: &StandIn, name: &str, patches: Vec<Patch>) {
    let view = View {
        patches,
        ..View::default()
    };
    shows(standin, name, view).await;
}

async fn rows(standin: &StandIn, name: &str, rows: Vec<Cells>) {
    let view = View {
        rows: Some(rows),
        ..View::default()
    };
    shows(standin, name, view).await;
}

fn shop() -> Database {
    Database {
        recovery_model: 1,
        ..Database::online("shop")
    }
}

async fn engine() -> (StandIn, Scratch, String) {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut script = Script::default();
    script.databases.push(shop());
    let standin = standin_with(&scratch, &name, |options| options.script(script)).await;
    (standin, scratch, name)
}

/// A row of the performance counters: a counter, its instance, and its value from now on.
fn counter(name: &str, instance: &str, value: i64) -> Patch {
    let of = [
        ("counter_name", json!(name)),
        ("instance_name", json!(instance)),
    ];
    patch(&of, &[("cntr_value", json!(value))])
}

async fn counters_change(standin: &StandIn) {
    let changed = vec![
        counter("Number of Deadlocks/sec", "_Total", 200),
        counter("Errors/sec", "Kill Connection Errors", 3),
        counter("Memory Grants Pending", "", 3),
        counter("Longest Transaction Running Time", "", 4000),
        counter("Log File(s) Used Size (KB)", "shop", 1900),
    ];
    patched(standin, "sys.dm_os_performance_counters", changed).await;
}

async fn files_change(standin: &StandIn) {
    let of = |file: i64| [("database_id", json!(5)), ("file_id", json!(file))];
    // A tenth of a second each, and more than a second each.
    let reads = [
        ("num_of_reads", json!(10_000)),
        ("io_stall_read_ms", json!(1_000_000)),
    ];
    let writes = [
        ("num_of_writes", json!(1000)),
        ("io_stall_write_ms", json!(1_500_000)),
    ];
    let stalls = vec![patch(&of(1), &reads), patch(&of(2), &writes)];
    patched(standin, "sys.dm_io_virtual_file_stats", stalls).await;
}

async fn memory_and_workers_change(standin: &StandIn) {
    let low = patch(&[], &[("process_physical_memory_low", json!(true))]);
    patched(standin, "sys.dm_os_process_memory", vec![low]).await;
    let visible = [("status", json!("VISIBLE ONLINE"))];
    let taken = patch(&visible, &[("current_workers_count", json!(250))]);
    patched(standin, "sys.dm_os_schedulers", vec![taken]).await;
    // 3.2 GB of 4 GB.
    let versions = [("version_store_reserved_page_count", json!(400_000))];
    let versions = vec![patch(&[], &versions)];
    patched(standin, "sys.dm_db_file_space_usage", versions).await;
}

/// A session waits for another. The supervisor's own sessions, which the collectors leave out, are
/// numbered from 51: they don't come to 20,000.
async fn requests_change(standin: &StandIn) {
    let request = [
        ("session_id", json!(20_061)),
        ("blocking_session_id", json!(20_060)),
        ("status", json!("suspended")),
        ("command", json!("UPDATE")),
        ("database_id", json!(5)),
        ("wait_time", json!(400_000)),
        ("total_elapsed_time", json!(400_000)),
    ];
    rows(standin, "sys.dm_exec_requests", vec![cells(&request)]).await;
    let session = |id: i64| {
        cells(&[
            ("session_id", json!(id)),
            ("is_user_process", json!(1)),
            ("status", json!("running")),
            ("database_id", json!(5)),
        ])
    };
    let sessions = vec![session(20_060), session(20_061)];
    rows(standin, "sys.dm_exec_sessions", sessions).await;
}

/// What is asked for seldom: backups, files, jobs.
async fn what_lasts_is_bad(standin: &StandIn) {
    let backup = |id: i64, kind: &str, age: Duration| {
        cells(&[
            ("backup_set_id", json!(id)),
            ("database_name", json!("shop")),
            ("type", json!(kind)),
            ("backup_start_date", ago(age)),
            ("backup_finish_date", ago(age)),
            ("backup_size", json!(4096)),
        ])
    };
    let sets = vec![
        backup(1, "D", 10 * DAY),
        backup(2, "L", Duration::from_secs(4 * 3600)),
    ];
    rows(standin, "msdb.dbo.backupset", sets).await;
    let of = [("job_id", json!("00000000-0000-0000-0000-000000000002"))];
    let failed = patch(&of, &[("last_run_outcome", json!(0))]);
    patched(standin, "msdb.dbo.sysjobservers", vec![failed]).await;
    let name = "sys.external_streaming_jobs";
    let failed = [("name", json!("forward")), ("status", json!(6))];
    rows(standin, name, vec![cells(&failed)]).await;
    let file = [("database_id", json!(5)), ("file_id", json!(1))];
    let nearly = [("size", json!(1000)), ("max_size", json!(1024))];
    patched(standin, "sys.master_files", vec![patch(&file, &nearly)]).await;
    let database = Database::online("fresh");
    obeys(standin, Command::SetDatabase { database }).await;
    let made = [("create_date", ago(2 * DAY))];
    let made = vec![patch(&[("name", json!("fresh"))], &made)];
    patched(standin, "sys.databases", made).await;
}

/// More databases than are exposed, a log that is not backed up, and a view that may not be read.
async fn databases_change(standin: &StandIn) {
    for name in ["others_1", "others_2"] {
        let database = Database::online(name);
        obeys(standin, Command::SetDatabase { database }).await;
    }
    let database = Database {
        log_reuse_wait_desc: "LOG_BACKUP".to_owned(),
        ..shop()
    };
    obeys(standin, Command::SetDatabase { database }).await;
    let refused = View {
        error: Some(SqlError::new(229)),
        ..View::default()
    };
    shows(standin, "sys.dm_os_wait_stats", refused).await;
}

/// An alert, a series of its, and what that is once the engine has changed.
type Raised = (&'static str, &'static str, fn(f64) -> bool);

const HOLDS: &[Raised] = &[
    (
        "SqlEdgeCollectorFailing",
        "sql_edge_collector_success{collector=\"waits\"}",
        |value| value == 0.0,
    ),
    (
        "SqlEdgeLogNotReused",
        "sql_edge_database_log_reuse_wait{database=\"shop\",reason=\"log_backup\"}",
        |value| value == 1.0,
    ),
    ("SqlEdgeBlocked", "sql_edge_blocked_seconds", |value| {
        value == 400.0
    }),
    (
        "SqlEdgeWorkersRunningOut",
        "sql_edge_workers{state=\"idle\"}",
        |value| value > 400.0,
    ),
    (
        "SqlEdgeMemoryGrantsPending",
        "sql_edge_memory_grants_pending",
        |value| value == 3.0,
    ),
    (
        "SqlEdgeMemoryLow",
        "sql_edge_memory_low{kind=\"physical\"}",
        |value| value == 1.0,
    ),
    (
        "SqlEdgeSevereErrors",
        "sql_edge_errors_total{type=\"kill_connection\"}",
        |value| value == 3.0,
    ),
    (
        "SqlEdgeVersionStoreLarge",
        "sql_edge_tempdb_bytes{use=\"version_store\"}",
        |value| value > 3e9,
    ),
    (
        "SqlEdgeLongTransaction",
        "sql_edge_longest_transaction_seconds",
        |value| value == 4000.0,
    ),
    (
        "SqlEdgeSeriesLeftOut",
        "sql_edge_collector_series_left_out{collector=\"databases\"}",
        |value| value > 0.0,
    ),
];

const SELDOM: &[Raised] = &[
    (
        "SqlEdgeBackupOld",
        "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"full\"}",
        is_days_ago,
    ),
    (
        "SqlEdgeLogBackupOld",
        "sql_edge_backup_last_finish_timestamp_seconds{database=\"shop\",type=\"log\"}",
        |_| true,
    ),
    (
        "SqlEdgeNeverBackedUp",
        "sql_edge_database_created_timestamp_seconds{database=\"fresh\"}",
        is_days_ago,
    ),
    (
        "SqlEdgeAgentJobFailed",
        "sql_edge_agent_job_last_run_succeeded{job_name=\"nightly backup\"}",
        |value| value == 0.0,
    ),
    (
        "SqlEdgeStreamingJobFailed",
        "sql_edge_streaming_jobs{database=\"shop\",status=\"failed\"}",
        |value| value == 1.0,
    ),
    (
        "SqlEdgeFileNearMaxSize",
        "sql_edge_file_size_bytes{database=\"shop\",file=\"shop\",type=\"rows\"}",
        |value| value == 8_192_000.0,
    ),
];

const GROWS: &[Raised] = &[
    ("SqlEdgeDeadlocks", "sql_edge_deadlocks_total", |value| {
        value == 200.0
    }),
    (
        "SqlEdgeFileIoSlow",
        "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop\",operation=\"read\"}",
        |value| value == 10_000.0,
    ),
    (
        "SqlEdgeFileIoStalled",
        "sql_edge_file_io_operations_total{database=\"shop\",file=\"shop_log\",operation=\"write\"}",
        |value| value == 1000.0,
    ),
    (
        "MSSQLHighNumberOfDeadlocks",
        "mssql_deadlocks_total",
        |value| value == 200.0,
    ),
    ("MSSQLModerateReadStallTime", READ, |value| value > 900.0),
    ("MSSQLHighReadStallTime", READ, |value| value > 900.0),
    ("MSSQLModerateWriteStallTime", WRITE, |value| value > 900.0),
    ("MSSQLHighWriteStallTime", WRITE, |value| value > 900.0),
];

const READ: &str = "mssql_io_stall_seconds_total{db=\"shop\",operation=\"read\"}";
const WRITE: &str = "mssql_io_stall_seconds_total{db=\"shop\",operation=\"write\"}";

fn is_days_ago(moment: f64) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.is_ok_and(|now| now.as_secs_f64() - moment > DAY.as_secs_f64())
}

fn is(series: &'static str, wanted: fn(f64) -> bool) -> impl Fn(&Scrape) -> bool {
    move |scrape| scrape.value(series).is_some_and(wanted)
}

#[tokio::test]
async fn an_engine_in_every_trouble_that_its_metrics_tell() {
    let (standin, _scratch, name) = engine().await;
    let mut supervisor = supervise(&standin, &name, &SETTINGS).await;
    supervisor.passes("ready").await;
    crate::collectors::first_turns(&mut supervisor).await;
    supervisor.keeps_a_scrape().await;
    counters_change(&standin).await;
    files_change(&standin).await;
    memory_and_workers_change(&standin).await;
    requests_change(&standin).await;
    databases_change(&standin).await;
    for (alert, series, wanted) in GROWS {
        let wanted = is(series, *wanted);
        supervisor.raises_by_growth(alert, wanted).await;
    }
    for (alert, series, wanted) in HOLDS {
        supervisor.raises_when(alert, is(series, *wanted)).await;
    }
}

#[tokio::test]
async fn an_engine_without_backups_whose_jobs_fail() {
    let (standin, _scratch, name) = engine().await;
    what_lasts_is_bad(&standin).await;
    let supervisor = supervise(&standin, &name, &SETTINGS).await;
    for (alert, series, wanted) in SELDOM {
        supervisor.raises_when(alert, is(series, *wanted)).await;
    }
}
