//! What the supervisor itself costs: every observer on, at the default pace, a hundred databases,
//! asked as a kubelet and a Prometheus ask.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use procfs::process::Process;
use tokio::time::interval;

use crate::Plan;
use crate::client::{Client, get_once};
use crate::report::{Report, mib};
use crate::rig::{DATABASES, Rig, Setup, blocking, many_databases};

const RSS_LIMIT: u64 = 7 << 20;
const CPU_LIMIT_MILLICORES: f64 = 5.0;
const READY: Duration = Duration::from_secs(2);
const LIVE: Duration = Duration::from_secs(5);
const SCRAPE: Duration = Duration::from_secs(15);

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let setup = Setup {
        script: many_databases(),
        ..Setup::default()
    };
    let rig = Rig::start(plan, setup).await?;
    let process = Process::new(rig.supervisor.pid().as_raw_pid())?;
    let length = match plan.minutes {
        Some(minutes) => Duration::from_secs(minutes * 60),
        None => Duration::from_secs(plan.scale(60, 5)),
    };
    ask(rig.address, rig.address, length).await?;

    // Its start counts: the whole life of the process until now.
    let lived = rig.started.elapsed();
    let (stat, status) = (process.stat()?, process.status()?);
    let ticks = (stat.utime + stat.stime) as f64;
    let millicores = ticks / procfs::ticks_per_second() as f64 / lived.as_secs_f64() * 1e3;
    let rss = status.vmrss.context("no VmRSS")? * 1024;
    let peak = status.vmhwm.context("no VmHWM")? * 1024;
    let rollup = process.smaps_rollup()?.memory_map_rollup.0;
    let part = |name| {
        let map = rollup.first()?;
        map.extension.map.get(name).copied()
    };
    report.judge(
        &format!(
            "resident memory after {} s, {DATABASES} databases",
            lived.as_secs()
        ),
        "≤ 7 MiB",
        format!(
            "{} (peak {}, anonymous {}, proportional {})",
            mib(rss),
            mib(peak),
            mib(part("Anonymous").context("no Anonymous")?),
            mib(part("Pss").context("no Pss")?),
        ),
        rss <= RSS_LIMIT,
    );
    report.judge(
        "processor time over that span, start included",
        "≤ 5 millicores",
        format!("{millicores:.2} millicores"),
        millicores <= CPU_LIMIT_MILLICORES,
    );
    report.note(
        "threads and open descriptors",
        format!("{} and {}", stat.num_threads, process.fd_count()?),
    );
    Ok(())
}

/// Asks as a kubelet (on new connections, at `address`) and a Prometheus (on one that it keeps, at
/// `metrics`) for `length`.
pub async fn ask(address: SocketAddr, metrics: SocketAddr, length: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + length;
    let mut prometheus = Client::connect(metrics)?;
    let (mut ready, mut live, mut scrape) = (interval(READY), interval(LIVE), interval(SCRAPE));
    while Instant::now() < end {
        tokio::select! {
            _ = ready.tick() => blocking(move || Ok(get_once(address, "/readyz")?)).await?,
            _ = live.tick() => blocking(move || Ok(get_once(address, "/livez")?)).await?,
            // A scrape takes a millisecond, and its connection is not to be had on another thread.
            _ = scrape.tick() => match prometheus.get("/metrics") {
                Ok(answer) => answer,
                // Prometheus connects anew too when its idle connection was closed.
                Err(_) => {
                    prometheus = Client::connect(metrics)?;
                    prometheus.get("/metrics")?
                }
            },
        };
    }
    Ok(())
}
