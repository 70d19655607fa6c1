//! What the collectors cost the engine, as the stand-in counts it: round trips, statements, and the time from a
//! request's arrival to the end of its answer. A scrape costs nothing: it asks nobody.
//!
//! Beside it stands how many queries the exporters make for each scrape: one for each group of metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use crate::Plan;
use crate::report::Report;
use crate::rig::{Rig, Setup};
use crate::standin::command::{Command, Requests};
use crate::standin::script::Database;

const APPLICATION: &str = "sql-edge-supervisor/collect";

/// Groups of metrics of awaragi/prometheus-mssql-exporter 1.3.0, each with a query of its own.
const AWARAGI_QUERIES: u64 = 18;
/// Queries of sql_exporter's mssql_standard.collector.yml: what has a `query_ref` in common is asked for once.
const SQL_EXPORTER_QUERIES: u64 = 13;
/// Prometheus' usual pace.
const SCRAPES_A_MINUTE: u64 = 4;

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for (name, queries) in [
        ("awaragi/prometheus-mssql-exporter", AWARAGI_QUERIES),
        ("sql_exporter with mssql_standard", SQL_EXPORTER_QUERIES),
    ] {
        let a_minute = queries * SCRAPES_A_MINUTE;
        report.note(
            &format!("queries of {name}"),
            format!("{queries} a scrape, {a_minute} a minute at a scrape each 15 s"),
        );
    }
    let counts = plan.scale(&[1, 100, 1000][..], &[1, 10][..]);
    let mut round_trips = BTreeSet::new();
    for count in counts {
        let turn = one_turn(plan, report, *count).await?;
        round_trips.insert(turn.batches);
    }
    report.judge(
        "round trips of a turn, whatever the number of databases",
        "the same",
        format!("{round_trips:?}"),
        round_trips.len() == 1,
    );
    a_minute(plan, report).await
}

/// The first turn of every collector, all profiles on.
async fn one_turn(plan: &Plan, report: &mut Report, count: usize) -> anyhow::Result<Requests> {
    let settings = [
        ("metrics-profiles", "alloy,own,sql-exporter,awaragi"),
        ("metrics-max-databases", "1100"),
        ("metrics-interval", "10m"),
        ("metrics-timeout", "1m"),
    ];
    let mut rig = rig(plan, count, &settings).await?;
    let collectors = collected(&mut rig).await;
    let statistics = rig.engine.statistics().await?;
    let cost = statistics.requests_of(APPLICATION);
    report.note(
        &format!("a turn of all {collectors} collectors, every profile, {count} databases"),
        format!(
            "{} round trips with the one that sets the connection up, {} statements, {:.1} ms of the stand-in, {} KiB",
            cost.batches,
            statistics.statements_of(APPLICATION),
            cost.busy_us as f64 / 1e3,
            cost.bytes >> 10
        ),
    );
    Ok(cost)
}

/// The default pace and profiles over some minutes.
async fn a_minute(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    const DATABASES: usize = 100;
    let mut rig = rig(plan, DATABASES, &[]).await?;
    collected(&mut rig).await;
    rig.engine.command(Command::ResetStatistics).await?;
    let minutes = plan.scale(3, 1);
    let span = Duration::from_secs(60) * minutes;
    sleep(plan.scale(span, Duration::from_secs(5))).await;
    let statistics = rig.engine.statistics().await?;
    let cost = statistics.requests_of(APPLICATION);
    let minutes = f64::from(minutes);
    let a_minute = cost.batches as f64 / minutes;
    let ms = cost.busy_us as f64 / 1e3 / minutes;
    let share = ms / 60_000.0 * 100.0;
    report.judge(
        &format!("the collectors at the default pace, {DATABASES} databases"),
        "≤ 30 round trips a minute",
        format!("{a_minute:.1} a minute, {ms:.1} ms of the stand-in a minute ({share:.3} % of a processor)"),
        a_minute <= 30.0,
    );
    Ok(())
}

async fn rig(plan: &Plan, count: usize, settings: &[(&str, &str)]) -> anyhow::Result<Rig> {
    let mut setup = Setup {
        settings,
        ..Setup::default()
    };
    let names = (1..=count).map(|number| format!("db_{number:04}"));
    let databases = names.map(|name| Database {
        data_retention: true,
        ..Database::online(&name)
    });
    setup.script.databases.extend(databases);
    Rig::start(plan, setup).await
}

/// Waits until each collector has collected once; how many there are.
async fn collected(rig: &mut Rig) -> usize {
    let all = rig.supervisor.get("/metrics").await.1;
    let all = all
        .lines()
        .filter(|line| line.starts_with("sql_edge_collector_runs_total{"))
        .count();
    let mut seen: BTreeSet<String> = rig
        .supervisor
        .log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|event| collector(&event))
        .collect();
    while seen.len() < all {
        let event = rig
            .supervisor
            .event(|event| collector(event).is_some())
            .await;
        seen.extend(collector(&event));
    }
    seen.len()
}

/// The collector whose success an event tells of.
fn collector(event: &serde_json::Value) -> Option<String> {
    (event["message"] == "collects").then(|| event["collector"].as_str().map(str::to_owned))?
}
