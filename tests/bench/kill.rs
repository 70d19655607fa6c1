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
    let rounds = plan.scale(200, 20);
    let mut named = 0;
    for round in 1..=rounds {
        let (latency, killed) = kill(&mut rig)
            .await
            .with_context(|| format!("kill {round}"))?;
        seen.push(latency);
        named += u32::from(killed);
        rig.engine.restart().await?;
        rig.supervisor.passes("ready").await;
    }
    let holds = seen.p99() <= LIMIT;
    let figure = "SIGKILL of the engine until `/readyz` fails";
    report.judge(figure, "p99 ≤ 10 ms", &seen, holds);
    let figure = "the first failing answer names `ProcessKilled`";
    let measured = format!("{named} of {rounds}");
    report.judge(figure, "always", measured, named == rounds);
    Ok(())
}

/// One kill: how long until the first failure, and whether that names the cause.
async fn kill(rig: &mut Rig) -> anyhow::Result<(Duration, bool)> {
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
    rig.supervisor.fails("ready").await;
    let named = answer.body.contains("ProcessKilled");
    Ok((answer.at.duration_since(killed), named))
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
