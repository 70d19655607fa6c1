//! From SIGKILL of the engine to the first `/readyz` that says so.
//!
//! The clock starts before kill(2) is called and stops when the last byte of the first 503 has
//! arrived at a client that polls as fast as it can on one connection. All paces are the defaults;
//! the stand-in's parent reaps the dead engine, as the image's does, and both are started again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::Plan;
use crate::client::{Answer, Client};
use crate::report::{Report, Samples};
use crate::rig::{Rig, Setup, blocking};

const LIMIT: Duration = Duration::from_millis(10);
/// No death takes this long to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::start(plan, Setup::default()).await?;
    let mut seen = Samples::default();
    for round in 1..=plan.scale(200, 20) {
        let latency = kill(&mut rig)
            .await
            .with_context(|| format!("kill {round}"))?;
        seen.push(latency);
        rig.engine.restart().await?;
        rig.supervisor.passes("ready").await;
    }
    let holds = seen.p99() <= LIMIT;
    let figure = "SIGKILL of the engine until `/readyz` fails with `ProcessKilled`";
    report.judge(figure, "p99 ≤ 10 ms", &seen, holds);
    Ok(())
}

async fn kill(rig: &mut Rig) -> anyhow::Result<Duration> {
    let address = rig.address;
    let (polls, polling) = tokio::sync::oneshot::channel();
    let poller = tokio::spawn(blocking(move || {
        first_failure(address, || {
            // Nobody waits any more only where the benchmark is being ended.
            let _ = polls.send(());
        })
    }));
    polling.await.context("the polling client")?;
    let killed = Instant::now();
    rig.engine.signal_child(Signal::KILL)?;
    let answer = poller.await.context("the polling client")??;
    ensure!(
        answer.body.contains("ProcessKilled"),
        "the first failure was another one: {}",
        answer.body
    );
    rig.supervisor.fails("ready").await;
    Ok(answer.at.duration_since(killed))
}

/// Polls until `/readyz` fails; calls `polls` once it has passed a few times.
fn first_failure(address: SocketAddr, polls: impl FnOnce()) -> anyhow::Result<Answer> {
    /// Polls before the engine is killed: the connection is warm then.
    const WARM_UP: u32 = 20;
    let mut client = Client::connect(address)?;
    for _ in 0..WARM_UP {
        ensure!(
            client.get("/readyz")?.status == 200,
            "not ready before the kill"
        );
    }
    polls();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let answer = client.get("/readyz")?;
        if answer.status != 200 {
            return Ok(answer);
        }
    }
    anyhow::bail!("the death was not seen")
}
