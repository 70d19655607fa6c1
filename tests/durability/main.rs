//! The durability test: nothing that was acknowledged is ever lost, and one pod at a time writes.
//!
//! `cargo run --release --example durability` plays 200 rounds. A client inserts numbered rows over TDS
//! and notes each one that is acknowledged, while in each round something fails at a random moment: the
//! engine's processes, `launch`, its agent, the sidecar or the whole pod are killed, the pod is stopped, the
//! engine hangs and is restarted by verdict, a second pod takes over from a frozen one, which thaws
//! later. Pods are real processes in mount and PID namespaces of their own, on one ext4 on a loop device. After
//! each round every acknowledged row has to be there once, and in each epoch of the lease the engines of
//! one pod alone were started. Exits 1 at the first promise that is broken, and says with which seed.
//!
//! It takes root, and about a quarter of an hour. After `--` may stand
//!
//! - `--rounds N`, `--quick` for one of each kind;
//! - `--seed N`: the random numbers;
//! - `--lease strict` or `advisory`, strict without it;
//! - `--restart container` or `in-place`: what follows on the end of an engine that had served, container
//!   without it. In place, an engine that ends alone has to come back in its container.

#![allow(clippy::print_stdout, clippy::print_stderr)] // it is there to print

mod container;
mod faults;
mod history;
mod journal;
mod pod;
#[allow(dead_code, reason = "the accuracy benchmark uses more of it")]
#[path = "../accuracy/random.rs"]
mod random;
mod run;
#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use sql_edge_supervisor::{cli, command};

use faults::Fault;
use run::{Plan, Summary};
use shared::scratch::Scratch;

const SUPERVISOR: &str = "sql-edge-supervisor";
const ROUNDS: usize = 200;
const USAGE: &str = "usage: durability [--rounds N | --quick] [--seed N] [--lease strict|advisory] \
                     [--restart container|in-place]";

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_deref().and_then(|path| path.file_name()) {
        Some(name) if name == OsStr::new(container::ENGINE) => standin::main(std::env::args_os()),
        Some(name) if name == OsStr::new(SUPERVISOR) => supervise(),
        // `launch` starts its agent by the path of its own program, which is this one's.
        _ if std::env::args_os()
            .nth(1)
            .is_some_and(|word| word == container::AGENT) =>
        {
            supervise()
        }
        _ => test(),
    }
}

/// As the shipped binary does.
fn supervise() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(invocation) => command::execute(invocation).into(),
        Err(error) => command::usage(&error).into(),
    }
}

fn test() -> ExitCode {
    let Some(mut plan) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let scratch = Scratch::new();
    plan.scratch = scratch.path().to_owned();
    plan.programs = scratch.path().join("programs");
    println!(
        "seed {}, {} rounds, lease {}, restart {}",
        plan.seed, plan.rounds, plan.lease, plan.restart
    );
    let played = programs(&plan).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime can't be built")?;
        runtime.block_on(async {
            tokio::select! {
                played = run::play(&plan) => played,
                _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            }
        })
    });
    match played {
        Ok(summary) => {
            print(&summary);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("FAILED with seed {}: {error:#}", plan.seed);
            eprintln!("what the pods said is kept in {}", keep(&scratch));
            ExitCode::FAILURE
        }
    }
}

/// This program under the two names that it is called by. The supervisor's is a copy: `launch` starts
/// its agent, and the command, by the file that it is itself, and a link is none.
fn programs(plan: &Plan) -> anyhow::Result<()> {
    std::fs::create_dir_all(&plan.programs).context("a directory for programs")?;
    let own = std::env::current_exe().context("finding the own executable")?;
    symlink(&own, plan.programs.join(container::ENGINE)).context("a link to the own executable")?;
    std::fs::copy(&own, plan.programs.join(SUPERVISOR)).context("a copy of the own executable")?;
    Ok(())
}

fn arguments() -> Option<Plan> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut plan = Plan {
        rounds: ROUNDS,
        seed: clock.map_or(0, |now| now.as_secs()),
        lease: "strict",
        restart: "container",
        programs: PathBuf::new(),
        scratch: PathBuf::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => plan.rounds = Fault::ALL.len(),
            "--rounds" => plan.rounds = words.next()?.parse().ok()?,
            "--seed" => plan.seed = words.next()?.parse().ok()?,
            "--lease" => plan.lease = one_of(["strict", "advisory"], &words.next()?)?,
            "--restart" => plan.restart = one_of(["container", "in-place"], &words.next()?)?,
            _ => return None,
        }
    }
    Some(plan)
}

fn one_of(known: [&'static str; 2], given: &str) -> Option<&'static str> {
    known.into_iter().find(|known| *known == given)
}

fn print(summary: &Summary) {
    let longest = |spans: &[Duration]| spans.iter().max().map_or(0.0, Duration::as_secs_f64);
    println!(
        "\n{:<14} {:>6} {:>8} {:>8}",
        "fault", "rounds", "median", "longest"
    );
    for (fault, spans) in &summary.rounds {
        let mut sorted = spans.clone();
        sorted.sort_unstable();
        println!(
            "{:<14} {:>6} {:>6.1} s {:>6.1} s",
            format!("{fault:?}"),
            spans.len(),
            sorted[sorted.len() / 2].as_secs_f64(),
            longest(spans)
        );
    }
    println!(
        "\n{} rows acknowledged, all there; {} epochs with rows, each of one pod; {} rows were late",
        summary.acknowledged, summary.found.epochs, summary.found.late
    );
    println!(
        "{} of the engine's starts were in a container that went on",
        summary.in_place
    );
    println!(
        "a lost pod's successor writes after {:.1} s at most; a thawed engine was there for {:.3} s at most",
        longest(&summary.takeovers),
        longest(&summary.fences)
    );
}

/// The logs in a place that stays.
fn keep(scratch: &Scratch) -> String {
    let kept = std::env::temp_dir().join(format!("durability-{}", std::process::id()));
    let copied = std::fs::create_dir_all(&kept).and_then(|()| {
        for pod in std::fs::read_dir(scratch.path())?.flatten() {
            for log in ["sidecar.log", "sql.log"] {
                let name = pod.file_name().to_string_lossy().into_owned();
                // Not every entry is a pod.
                let _ = std::fs::copy(pod.path().join(log), kept.join(format!("{name}-{log}")));
            }
        }
        Ok(())
    });
    match copied {
        Ok(()) => kept.display().to_string(),
        Err(error) => format!("no place: {error}"),
    }
}
