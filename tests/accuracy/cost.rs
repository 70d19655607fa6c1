//! What one check costs in processor time, user and system together, of every process that has a part
//! in it: the client that is started, the supervisor, the engine. Measured apart from the scenarios, one
//! contestant after the other, on one engine at the product's own pace.
//!
//! All of them run on one processor, so that their work is counted and not what it costs this machine to
//! wake another processor: in a virtual machine that is as much again, and varies threefold.
//!
//! Not in it is the prober, which stands for the kubelet and its container runtime. On a node these took
//! 97 ms for an exec of `/bin/true` and 3 ms for an httpGet, beside which ours is nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::check::Check;
use crate::client_program;
use crate::rig::{ENGINE, link_to_self};
use crate::shared::ports::free_port;
use crate::shared::scratch::Scratch;
use crate::standin::handle::{StandIn, StandInOptions};
use crate::supervisor::{Setup, Supervisor, UNSCALED};
use crate::timeline::Timeline;

/// From one check of a contestant to the next, as the table of its whole cost has it: each of (b) to (d)
/// asks about so often.
pub const PERIOD: Duration = Duration::from_secs(10);
/// See [`each`].
const BATCHES: u32 = 10;
/// The procedure's own waits are none of its cost.
const NO_WAIT: f64 = 0.001;

/// The figures.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    pub tcp: Duration,
    pub exec: Duration,
    pub diagnostics: Duration,
    pub http: Duration,
    /// The supervisor with all its observing, and its part of the engine, over [`PERIOD`].
    pub observing: Duration,
}

impl Costs {
    /// How many checks of ours one of (c) is worth.
    pub fn ratio(&self) -> f64 {
        self.exec.as_secs_f64() / self.http.as_secs_f64().max(1e-9)
    }
}

pub async fn measure(quick: bool) -> anyhow::Result<Costs> {
    // What is started from here on inherits it.
    let processors = sched_getaffinity(None).context("the processors")?;
    let one = (0..CpuSet::MAX_CPU).find(|cpu| processors.is_set(*cpu));
    let mut alone = CpuSet::new();
    alone.set(one.context("no processor")?);
    sched_setaffinity(None, &alone).context("taking one processor")?;
    let measured = measure_here(quick).await;
    sched_setaffinity(None, &processors).context("taking all processors")?;
    measured
}

async fn measure_here(quick: bool) -> anyhow::Result<Costs> {
    let few = |count: u32| if quick { count / 10 } else { count };
    let scratch = Scratch::new();
    let binary = link_to_self(&scratch, ENGINE)?;
    let supervisor = link_to_self(&scratch, UNSCALED)?;
    let port = free_port()?;
    let mut options = StandInOptions::new(binary, scratch.path().join("pod"));
    let comm = format!("sql-{port}");
    options
        .environment
        .push(("STANDIN_NAME".into(), comm.clone().into()));
    options.port = port;
    options.script.diagnostics.time_scale = NO_WAIT;
    let mut engine = StandIn::start(options).await?;
    let password = engine.password().to_owned();
    let processes = [engine.parent_pid(), engine.child_pid()];

    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let tcp = each(few(2000), &processes, || {
        TcpStream::connect(address)?;
        Ok(())
    })?;
    let exec = each(few(200), &processes, || {
        let answered = client_program::select_one_blocking(port, &password, PERIOD)?;
        ensure!(answered, "the SQL client got no answer");
        Ok(())
    })?;
    let diagnostics = diagnostics(few(100), &processes, port, &password).await?;

    // At the pace of reality from here on.
    engine
        .restart_with(crate::standin::script::Script::default())
        .await?;
    let processes = [engine.parent_pid(), engine.child_pid()];
    let timeline = Timeline::new(Instant::now());
    let setup = Setup {
        binary: &supervisor,
        comm: &comm,
        port,
        password: &password,
        data_dir: &engine.data_dir(),
        state_dir: scratch.path().join("state"),
        settings: &[("require-mount", "false")],
    };
    let supervisor = Supervisor::start(setup, &timeline).await?;
    until_ready(supervisor.address).await?;
    let pid = u32::try_from(supervisor.pid().as_raw_pid()).context("a pid")?;
    let all = [processes[0], processes[1], pid];
    let observing = background(&all, if quick { PERIOD / 2 } else { PERIOD * 2 }).await?;
    let count = few(4000);
    let began = Instant::now();
    let checks = each(count, &all, || get(supervisor.address, "/livez").map(drop))?;
    // Of the time the checks took, what would have been spent without them.
    let share = began.elapsed().as_secs_f64() / PERIOD.as_secs_f64() / f64::from(count.max(1));
    let http = checks.saturating_sub(observing.mul_f64(share));
    Ok(Costs {
        tcp,
        exec,
        diagnostics,
        http,
        observing,
    })
}

/// What `check` costs, which must not fail, by `count` of them: the least of [`BATCHES`] means, which is
/// the work itself. What a virtual machine's host adds to it comes and goes, for all contestants alike.
fn each(
    count: u32,
    processes: &[u32],
    mut check: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    // The first one warms up.
    check()?;
    let share = (count / BATCHES).max(1);
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let before = spent(processes)?;
        for _ in 0..share {
            check()?;
        }
        batches.push((spent(processes)? - before) / share);
    }
    batches.into_iter().min().context("no batch")
}

async fn diagnostics(
    count: u32,
    processes: &[u32],
    port: u16,
    password: &str,
) -> anyhow::Result<Duration> {
    let check = Check::Diagnostics {
        port,
        password: password.to_owned(),
    };
    let timeline = Timeline::new(Instant::now());
    // The client is in this process.
    let spent = || anyhow::Ok(spent(processes)? + own()?);
    let mut before = Duration::ZERO;
    for round in 0..=count {
        if round == 1 {
            before = spent()?;
        }
        ensure!(
            check.passes(PERIOD, &timeline).await,
            "sp_server_diagnostics was not answered"
        );
    }
    Ok((spent()? - before) / count.max(1))
}

/// What is spent over [`PERIOD`] while nobody asks, measured over `span`. The prober sleeps meanwhile.
async fn background(processes: &[u32], span: Duration) -> anyhow::Result<Duration> {
    let before = spent_by(processes)?;
    tokio::time::sleep(span).await;
    let spent = spent_by(processes)? - before;
    Ok(spent.mul_f64(PERIOD.as_secs_f64() / span.as_secs_f64()))
}

fn own() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// Of this process' children that have ended, and of `processes`.
fn spent(processes: &[u32]) -> anyhow::Result<Duration> {
    let children = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    let children = micros(children.user_time()) + micros(children.system_time());
    Ok(children + spent_by(processes)?)
}

fn spent_by(processes: &[u32]) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for pid in processes {
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(*pid)?))?;
        total += Duration::from(clock_gettime(clock)?);
    }
    Ok(total)
}

/// A GET on a connection of its own, on this thread: no runtime is measured along.
fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PERIOD))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    Ok(answer)
}

async fn until_ready(address: SocketAddr) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let began = Instant::now();
    while get(address, "/readyz").is_err() {
        ensure!(began.elapsed() < PATIENCE, "the supervisor is not ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
