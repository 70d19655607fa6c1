//! The restart-accuracy benchmark: does a probe restart an engine when that helps, only then, and at once?
//!
//! `cargo run --release --example accuracy` plays every scenario of [`scenarios`] with every contestant of
//! [`contestant`], with real processes, sockets and file systems, prints what became of each, and exits 1
//! where this supervisor restarted without need, did not restart in need, was late, gave another reason
//! than the right one, or where its check costs more than a fiftieth of (c)'s. What the others do wrong is
//! shown and changes nothing. It takes about six minutes, root (it mounts) and Debian's `freetds-bin` and
//! `bindfs`. After `--` may stand
//!
//! - names of scenarios, to play these only;
//! - `--quick`: a smoke test, a few scenarios in less than a minute; the cost is not judged;
//! - `--contestant NAME`: this one only: `none tcp exec diagnostics supervisor`;
//! - `--seed N`: the random numbers, which are where in its period each probe begins and when each fault;
//! - `--jobs N`: places for rigs that run side by side;
//! - `--markdown`: prints the table for docs/evidence.md;
//! - `--pictures DIRECTORY`: draws each scenario over time, as those of docs/pictures are;
//! - `--verbose`: prints what the supervisor said in what went wrong.
//!
//! All durations are divided by one factor, the same for all: [`scale`].
//!
//! Only loopback is used, only processes that were started here are signalled, and what was mounted
//! is unmounted, also when something fails.

#![allow(clippy::print_stdout, clippy::print_stderr)] // it is there to print

mod arguments;
mod check;
mod client_program;
mod container;
mod contestant;
mod cost;
mod floor;
#[allow(dead_code, reason = "the benchmark of the limits uses more of it")]
#[path = "../bench/fuse.rs"]
mod fuse;
mod judge;
mod kubelet;
#[path = "../bench/leftovers.rs"]
mod leftovers;
mod neighbour;
mod picture;
mod random;
mod report;
mod rig;
mod scale;
mod scenario;
mod scenarios;
#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;
mod steps;
mod suite;
mod summary;
mod supervisor;
mod timeline;
mod tracer;
mod volume;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use arguments::{Arguments, USAGE};

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_deref().and_then(|path| path.file_name()) {
        Some(name) if name == OsStr::new(rig::ENGINE) => standin::main(std::env::args_os()),
        Some(name) if name == OsStr::new(supervisor::SCALED) => supervisor::be(true),
        Some(name) if name == OsStr::new(supervisor::UNSCALED) => supervisor::be(false),
        Some(name) if name == OsStr::new(tracer::DUMPER) => tracer::be_dumper(),
        _ => benchmark(),
    }
}

fn benchmark() -> ExitCode {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    leftovers::remove_on_panic();
    let played = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")
        .and_then(|runtime| {
            let local = tokio::task::LocalSet::new();
            let played = local.block_on(&runtime, async {
                tokio::select! {
                    played = suite::play(&arguments) => played.map(Some),
                    _ = tokio::signal::ctrl_c() => Ok(None),
                }
            });
            drop(local);
            runtime.shutdown_background();
            played
        });
    // What a scenario that was cut short had in its hands.
    leftovers::remove();
    match played {
        Ok(Some(report)) => {
            println!("{report}");
            ExitCode::from(u8::from(report.failed()))
        }
        Ok(None) => ExitCode::from(130),
        Err(error) => {
            eprintln!("the benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
