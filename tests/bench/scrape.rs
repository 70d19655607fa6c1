//! What the metrics of the engine cost: round trips, memory, bytes and time for 1, 10, 100 and 1,000
//! databases, with every collector of the default profiles, and what fifty scrapes a second do to
//! `/livez`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use procfs::process::Process;

use crate::Plan;
use crate::client::Client;
use crate::load::compressed_scrapes;
use crate::probes::{SCRAPES_A_SECOND, WINDOWS, add, quiet};
use crate::report::{Report, Samples, Verdict, mib, millis};
use crate::rig::{Rig, Setup, blocking, databases};

/// User databases, and the resident memory that is allowed with so many.
const SIZES: [(usize, Option<u64>); 4] = [
    (1, None),
    (10, None),
    (100, Some(8 << 20)),
    (1000, Some(16 << 20)),
];
/// Less than the default, so that several collections are seen.
const PACE: &[(&str, &str)] = &[("metrics-interval", "5s"), ("metrics-timeout", "5s")];
/// Collections after which memory is measured: what the first one leaves behind is reused.
const TURNS: u64 = 4;
/// No collection takes this long.
const PATIENCE: Duration = Duration::from_secs(300);
/// How the collectors' connection names itself.
const APPLICATION: &str = "sql-edge-supervisor/collect";

/// What one scrape tells of the collectors.
struct Told {
    collectors: usize,
    failed: usize,
    runs: u64,
    /// Of the collector that has run most often; none while one has not run at all.
    turns: Option<u64>,
    series: u64,
    left_out: u64,
    /// Of all collectors' last runs together.
    collecting: Duration,
    bytes: usize,
}

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut before: Option<(usize, usize)> = None;
    let sizes = SIZES.into_iter().take(plan.scale(SIZES.len(), 2));
    for (count, limit) in sizes {
        let setup = Setup {
            settings: PACE,
            script: databases(count),
            ..Setup::default()
        };
        let rig = Rig::start(plan, setup).await?;
        let turns = plan.scale(TURNS, 1);
        let told = collected(rig.address, turns).await?;
        ensure!(told.collectors > 0, "no collector is registered");
        let what = format!("{count} databases");
        round_trips(&rig, report, &what, turns).await?;
        let packed = scrape_times(plan, &rig, report, &what).await?;
        report.note(
            &format!("{what}: what a scrape has"),
            format!(
                "{} series of {} collectors ({} failed, {} left out), {} bytes, {packed} compressed",
                told.series, told.collectors, told.failed, told.left_out, told.bytes
            ),
        );
        report.note(
            &format!("{what}: one turn of all collectors, asking and rendering"),
            format!("{} ms", millis(told.collecting)),
        );
        if let Some((fewer, bytes)) = before.replace((count, told.bytes)) {
            let each = told.bytes.saturating_sub(bytes) / (count - fewer);
            report.note(
                &format!("{what}: growth"),
                format!("{each} bytes a database"),
            );
        }
        memory(&rig, report, &what, limit)?;
        if count == 1000 || plan.quick {
            beside_probes(plan, &rig, report, &what).await?;
        }
    }
    Ok(())
}

/// Waits until each collector has had a turn, and the quickest of them so many.
async fn collected(address: SocketAddr, turns: u64) -> anyhow::Result<Told> {
    blocking(move || {
        let end = Instant::now() + PATIENCE;
        let mut client = Client::connect(address)?;
        loop {
            let told = read(&client.get("/metrics")?.body);
            if told.collectors > 0 && told.turns.is_some_and(|had| had >= turns) {
                return Ok(told);
            }
            ensure!(Instant::now() < end, "the collectors do not get on");
            crate::client::sleep_until(Instant::now() + Duration::from_millis(250));
        }
    })
    .await
}

fn read(text: &str) -> Told {
    let values = |family: &str| -> Vec<(String, f64)> {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
        let of = |line: &str| {
            let (labels, value) = line.split_once("} ")?;
            let name = labels.split('"').nth(1)?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        lines.filter_map(of).collect()
    };
    let sum = |family: &str| values(family).iter().map(|(_, value)| value).sum::<f64>();
    let success = values("sql_edge_collector_success");
    let runs = values("sql_edge_collector_runs_total");
    let most = runs.iter().map(|(_, runs)| *runs as u64).max();
    Told {
        collectors: runs.len(),
        failed: success.iter().filter(|(_, value)| *value == 0.0).count(),
        runs: runs.iter().map(|(_, runs)| *runs as u64).sum(),
        turns: most.filter(|_| success.len() == runs.len()),
        series: sum("sql_edge_collector_series") as u64,
        left_out: sum("sql_edge_collector_series_left_out") as u64,
        collecting: Duration::from_secs_f64(sum("sql_edge_collector_duration_seconds")),
        bytes: text.len(),
    }
}

/// Runs of collectors and round trips seen by the engine over the same time: they have to be the same,
/// whatever the number of databases.
async fn round_trips(rig: &Rig, report: &mut Report, what: &str, turns: u64) -> anyhow::Result<()> {
    let asked = async || {
        let statistics = rig.engine.statistics().await?;
        anyhow::Ok(statistics.requests_of(APPLICATION))
    };
    let (first, requests) = (collected(rig.address, turns).await?, asked().await?);
    let more = first.turns.unwrap_or(turns) + 2;
    let (last, later) = (collected(rig.address, more).await?, asked().await?);
    let runs = last.runs - first.runs;
    let batches = later.batches - requests.batches;
    let busy = Duration::from_micros(later.busy_us - requests.busy_us);
    // A run may end between the two readings at either end.
    let holds = batches.abs_diff(runs) <= 2 && runs > 0;
    report.judge(
        &format!("{what}: round trips a run of a collector"),
        "1",
        format!("{batches} in {runs} runs"),
        holds,
    );
    report.note(
        &format!("{what}: the engine's part of a run"),
        format!(
            "{} ms, {} bytes",
            millis(busy / u32::try_from(batches.max(1)).unwrap_or(1)),
            (later.bytes - requests.bytes) / batches.max(1)
        ),
    );
    Ok(())
}

/// Returns the bytes of a compressed scrape.
async fn scrape_times(
    plan: &Plan,
    rig: &Rig,
    report: &mut Report,
    what: &str,
) -> anyhow::Result<usize> {
    let (address, rounds) = (rig.address, plan.scale(100, 5));
    let (plain, packed, bytes) = blocking(move || {
        let mut client = Client::connect(address)?;
        let (mut plain, mut packed, mut bytes) = (Samples::default(), Samples::default(), 0);
        for _ in 0..rounds {
            let began = Instant::now();
            plain.push(client.get("/metrics")?.at.duration_since(began));
            let began = Instant::now();
            let answer = client.get_compressed("/metrics")?;
            packed.push(answer.at.duration_since(began));
            bytes = answer.bytes;
        }
        Ok((plain, packed, bytes))
    })
    .await?;
    report.note(&format!("{what}: a scrape"), plain);
    report.note(&format!("{what}: a scrape, compressed"), packed);
    Ok(bytes)
}

fn memory(rig: &Rig, report: &mut Report, what: &str, limit: Option<u64>) -> anyhow::Result<()> {
    let status = Process::new(rig.supervisor.pid().as_raw_pid())?.status()?;
    let rss = status.vmrss.context("no VmRSS")? * 1024;
    let peak = status.vmhwm.context("no VmHWM")? * 1024;
    let figure = format!("{what}: resident memory");
    let measured = format!("{} (peak {})", mib(rss), mib(peak));
    match limit {
        Some(limit) => {
            let words = format!("≤ {} MiB", limit >> 20);
            report.conclude(&figure, &words, measured, Verdict::of(rss <= limit));
        }
        None => report.note(&figure, measured),
    }
    Ok(())
}

/// `/livez` while Prometheus and its likes scrape fifty times a second.
async fn beside_probes(
    plan: &Plan,
    rig: &Rig,
    report: &mut Report,
    what: &str,
) -> anyhow::Result<()> {
    let load = compressed_scrapes(rig.address, SCRAPES_A_SECOND)?;
    let times = quiet(rig.address, plan.scale(1000, 50), plan.scale(WINDOWS, 1)).await?;
    load.end()?;
    add(
        report,
        &format!("{what}, 50 scrapes a second"),
        true,
        &times,
    );
    Ok(())
}
