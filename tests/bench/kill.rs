//! From SIGKILL of the engine to the first `/readyz` that says so.
//!
//! The clock starts before kill(2) is called and stops when the last byte of the first 503 has
//! arrived at a client that polls on one connection, four times a millisecond: a client that never
//! pauses would take one of the machine's cores from the process that is to die. All paces are the
//! defaults; the stand-in's parent reaps the dead engine, as the image's does, and both are started
//! again.
//!
//! The engine is at rest when it is killed: a thread in the midst of a write ends only when the disk has
//! answered, which says nothing of who watches.
//!
//! The floor is how long a bare thread that waits for the same death by a pidfd takes to see it: the
//! kernel's share, and the machine's. Where that comes near the limit nothing is shown by the whole; what is
//! shown then is the supervisor's own share: from the moment at which the bare thread saw this death
//! to the answer. A machine whose processors are taken away for milliseconds (a virtual one, as a rule)
//! lets any process of this size die late: a loop of fork, SIGKILL and poll in C shows it as well.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::Plan;
use crate::client::{Answer, Client};
use crate::report::{Report, Samples, Verdict};
use crate::rig::{Rig, Setup, blocking};

const LIMIT: Duration = Duration::from_millis(10);
/// From which p99 of the floor on a missed limit may be the machine's: half of the limit.
const NOISY: Duration = Duration::from_millis(5);
/// Between two polls; adds as much to what is measured at the most.
const POLL_PAUSE: Duration = Duration::from_micros(250);
/// So many looks in a row, this far apart, at a resting engine ...
const LOOKS_AT_REST: u32 = 5;
/// ... out of so many.
const LOOKS: u32 = 1000;
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// No death takes this long to be seen.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_OF_POLL: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// What one kill showed.
struct Seen {
    /// Until the first failing answer.
    answer: Duration,
    /// It names the cause.
    named: bool,
    /// Until a bare thread saw the death.
    floor: Duration,
}

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::start(plan, Setup::default()).await?;
    let mut answers = Samples::default();
    let mut floor = Samples::default();
    let mut share = Samples::default();
    let rounds = plan.scale(200, 20);
    let mut named = 0;
    for round in 1..=rounds {
        let seen = kill(&mut rig)
            .await
            .with_context(|| format!("kill {round}"))?;
        answers.push(seen.answer);
        floor.push(seen.floor);
        // Where the answer came first, the bare thread was the slower one.
        share.push(seen.answer.saturating_sub(seen.floor));
        named += u32::from(seen.named);
        rig.engine.restart().await?;
        rig.supervisor.passes("ready").await;
    }
    let verdict = match answers.p99() <= LIMIT {
        false if floor.p99() > NOISY => Verdict::Unknown,
        holds => Verdict::of(holds),
    };
    let figure = "SIGKILL of the engine until `/readyz` fails";
    report.conclude(figure, "p99 ≤ 10 ms", &answers, verdict);
    let figure = "floor: a bare thread with a pidfd, the same kills";
    report.note(figure, &floor);
    let figure = "the supervisor's share: from there to the failing answer";
    let verdict = Verdict::of(share.p99() <= LIMIT);
    report.conclude(figure, "p99 ≤ 10 ms", &share, verdict);
    let figure = "the first failing answer names `ProcessKilled`";
    let measured = format!("{named} of {rounds}");
    report.judge(figure, "always", measured, named == rounds);
    Ok(())
}

async fn kill(rig: &mut Rig) -> anyhow::Result<Seen> {
    let address = rig.address;
    at_rest(rig.engine.child_pid()).await?;
    let engine = i32::try_from(rig.engine.child_pid())
        .ok()
        .and_then(Pid::from_raw)
        .context("the engine has no pid")?;
    let engine = pidfd_open(engine, PidfdFlags::empty())?;
    let (polls, polling) = tokio::sync::oneshot::channel();
    let bare = tokio::spawn(blocking(move || end_of(&engine)));
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
    let ended = bare.await.context("the bare thread")??;
    rig.supervisor.fails("ready").await;
    Ok(Seen {
        answer: answer.at.duration_since(killed),
        named: answer.body.contains("ProcessKilled"),
        floor: ended.duration_since(killed),
    })
}

/// Waits until no thread of the process runs, or waits for a disk.
async fn at_rest(pid: u32) -> anyhow::Result<()> {
    let mut resting = 0;
    for _ in 0..LOOKS {
        resting = match threads_sleep(pid)? {
            true => resting + 1,
            false => 0,
        };
        if resting == LOOKS_AT_REST {
            return Ok(());
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    anyhow::bail!("the engine is never at rest")
}

/// Whether all threads are in state S, field 3 of `/proc/PID/task/TID/stat`.
fn threads_sleep(pid: u32) -> anyhow::Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(thread?.path().join("stat"))?;
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.chars().nth(1));
        if state != Some('S') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the process of this pidfd has ended.
fn end_of(process: &OwnedFd) -> anyhow::Result<Instant> {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&PATIENCE_OF_POLL))?;
    let at = Instant::now();
    ensure!(ready == 1, "the engine did not end");
    Ok(at)
}

/// Polls until `/readyz` fails; calls `polls` once it has passed a few times.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own that polls: there is nothing to await"
)]
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
        std::thread::sleep(POLL_PAUSE);
    }
    anyhow::bail!("the death was not seen")
}
