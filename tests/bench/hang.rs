//! From the moment that the policy names to the first `/livez` that fails with `EngineUnresponsive`.
//!
//! **Definition.** A hang is found `unresponsive-after` after the *first question that got no
//! answer* was asked: no earlier, for nothing was amiss before it, and no later, whatever was asked
//! after it. The engine is frozen by SIGSTOP, so that this question is the first that any observer
//! asks from then on (or one in flight at that moment, which was asked less than a round trip
//! before). The supervisor tells when that was: `sql.answerOwedSeconds` of `/status` is its age. It is
//! read in the moment in which `/livez` fails, so that both clocks are compared directly:
//!
//! ```text
//! late = first failing answer - (reading of /status - answerOwedSeconds) - unresponsive-after
//! ```
//!
//! The reading lies between the request for `/status` and its answer. The earlier end is used where
//! lateness is judged, the later one where earliness is, so that the error of the measurement counts
//! against the supervisor, not for it. Apart from that clock, and without any trust in it, the failure
//! must not come before SIGSTOP + `unresponsive-after`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::Plan;
use crate::client::{Client, sleep_until};
use crate::report::{Report, Samples, millis};
use crate::rig::{FAST, Rig, Setup, blocking};

const LIMIT: Duration = Duration::from_millis(250);
/// The pace at which `/livez` is asked, and so the resolution.
const POLL: Duration = Duration::from_millis(1);
/// No question is asked later than this after SIGSTOP, at the default paces.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one hang showed.
struct Hang {
    /// After SIGSTOP.
    after_stop: Duration,
    /// Age of the first unanswered question at the failure, the longest and the shortest it can be.
    owed: (Duration, Duration),
}

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let rounds = plan.scale(10, 2);
    rounds_of(plan, report, FAST, Duration::from_secs(2), rounds).await?;
    if !plan.quick {
        rounds_of(plan, report, &[], Duration::from_secs(30), 1).await?;
    }
    Ok(())
}

async fn rounds_of(
    plan: &Plan,
    report: &mut Report,
    settings: &[(&str, &str)],
    policy: Duration,
    rounds: u32,
) -> anyhow::Result<()> {
    let setup = Setup {
        settings,
        ..Setup::default()
    };
    let mut rig = Rig::start(plan, setup).await?;
    let mut late = Samples::default();
    let mut early: Option<Duration> = None;
    let mut after_stop = Samples::default();
    for round in 1..=rounds {
        let hang = hang(&mut rig, policy)
            .await
            .with_context(|| format!("hang {round}"))?;
        late.push(hang.owed.0.saturating_sub(policy));
        after_stop.push(hang.after_stop);
        let shortest = hang.owed.1.min(hang.after_stop);
        early = early.max(policy.checked_sub(shortest).filter(|early| *early > POLL));
    }
    let seconds = policy.as_secs();
    let figure = format!("hang, `unresponsive-after` {seconds} s: found after the policy's moment");
    report.judge(&figure, "max ≤ 250 ms", &late, late.max() <= LIMIT);
    let figure = format!("hang, `unresponsive-after` {seconds} s: found before it");
    let earliest = early.map_or("never".to_owned(), |early| format!("{} ms", millis(early)));
    report.judge(&figure, "never", earliest, early.is_none());
    let figure = format!("hang, `unresponsive-after` {seconds} s: SIGSTOP until `/livez` fails");
    report.note(&figure, &after_stop);
    Ok(())
}

async fn hang(rig: &mut Rig, policy: Duration) -> anyhow::Result<Hang> {
    let address = rig.address;
    let stopped = Instant::now();
    rig.engine.signal_child(Signal::STOP)?;
    let found = blocking(move || first_failure(address, stopped, policy + PATIENCE)).await;
    rig.engine.signal_child(Signal::CONT)?;
    let hang = found?;
    rig.supervisor.passes("live").await;
    rig.supervisor.passes("ready").await;
    Ok(hang)
}

fn first_failure(address: SocketAddr, stopped: Instant, limit: Duration) -> anyhow::Result<Hang> {
    let mut client = Client::connect(address)?;
    while stopped.elapsed() < limit {
        let answer = client.get("/livez")?;
        if answer.status == 200 {
            sleep_until(answer.at + POLL);
            continue;
        }
        let asked = Instant::now();
        let status = client.get("/status")?;
        ensure!(
            answer.body.contains("EngineUnresponsive"),
            "another failure: {}",
            answer.body
        );
        let document: serde_json::Value = serde_json::from_str(&status.body)?;
        let owed = document["sql"]["answerOwedSeconds"].as_f64();
        let owed = Duration::from_secs_f64(owed.context("no answer is owed")?);
        // `owed` was true somewhere between these two moments, and the failure came before both.
        let longest = owed.saturating_sub(asked.duration_since(answer.at));
        let shortest = owed.saturating_sub(status.at.duration_since(answer.at));
        return Ok(Hang {
            after_stop: answer.at.duration_since(stopped),
            owed: (longest, shortest),
        });
    }
    anyhow::bail!("the hang was not found")
}
