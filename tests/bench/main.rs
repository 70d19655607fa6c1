//! The benchmark: every figure of the README's limits, measured on real processes.
//!
//! `cargo run --release --example bench` builds the static binary as it is shipped, measures it on a
//! stand-in, prints a Markdown table, and exits 1 where a limit is missed. It takes about ten minutes
//! and wants a machine with nothing else to do. After `--` may stand
//!
//! - names of sections, to measure these only: `kill hang probes footprint pod size stop scrape cost`;
//! - `--quick`: a smoke test of the benchmark itself. Few rounds, nothing is judged, nothing is built:
//!   the supervisor is this program under another name, as in the demo;
//! - `--supervisor PATH`: measures this binary, and builds none;
//! - `--minutes N`: has `footprint` take so long instead of one minute: an hour shows what grows.
//!
//! | section | what is measured |
//! | --- | --- |
//! | [`kill`] | from SIGKILL to the answer that says so |
//! | [`hang`] | from the policy's moment to the answer that says so |
//! | [`probes`] | `/livez`, alone and with everything stalled around it |
//! | [`footprint`] | memory, processor time, threads, descriptors at the default pace |
//! | [`pod`] | the same of `launch` and its agent, and of a supervisor with four volumes |
//! | [`cost`] | what the collectors cost the engine, beside other exporters |
//! | [`size`] | the binary: its size, that it is static, that names resolve in it |
//! | [`scrape`] | the metrics of the engine: round trips, memory, bytes, time, and `/livez` beside scrapes |
//! | [`stop`] | from SIGTERM to the end, whatever hangs |
//!
//! Only loopback is used, only processes that were started here are signalled, and what was mounted
//! is unmounted, also when something fails.

#![allow(clippy::print_stdout, clippy::print_stderr)] // it is there to print

mod client;
mod cost;
mod floor;
mod footprint;
mod fuse;
mod hang;
mod kill;
mod leftovers;
mod load;
mod machine;
mod pod;
mod probes;
mod report;
mod rig;
mod scrape;
#[path = "../support/support.rs"]
mod shared;
mod size;
#[path = "../standin/standin.rs"]
mod standin;
mod stop;
mod subject;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use sql_edge_supervisor::{cli, command};

use report::Report;

const USAGE: &str = "usage: bench [--quick] [--minutes N] [--supervisor PATH] [SECTION ...]\n\
                     sections: kill hang probes footprint pod size stop scrape cost";

/// What the sections measure, and at which scale.
pub struct Plan {
    /// The binary under test.
    pub supervisor: PathBuf,
    /// A smoke test.
    pub quick: bool,
    /// The minutes after which the footprint is taken.
    pub minutes: Option<u64>,
}

impl Plan {
    /// `full`, or `quick` in a smoke test.
    pub fn scale<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_deref().and_then(|path| path.file_name()) {
        Some(name) if name == OsStr::new(rig::ENGINE) => standin::main(std::env::args_os()),
        Some(name) if name == OsStr::new(rig::SUPERVISOR) => {
            match cli::parse(std::env::args_os()) {
                Ok(invocation) => command::execute(invocation).into(),
                Err(error) => command::usage(&error).into(),
            }
        }
        _ => bench(),
    }
}

fn bench() -> ExitCode {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    leftovers::remove_on_panic();
    let measured = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")
        .and_then(|runtime| {
            runtime.block_on(async {
                tokio::select! {
                    measured = measure(&arguments) => measured.map(Some),
                    _ = tokio::signal::ctrl_c() => Ok(None),
                }
            })
        });
    match measured {
        Ok(Some(report)) => {
            println!("{report}");
            ExitCode::from(u8::from(report.missed()))
        }
        Ok(None) => ExitCode::from(130),
        Err(error) => {
            eprintln!("the benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    quick: bool,
    minutes: Option<u64>,
    supervisor: Option<PathBuf>,
    /// In the order of [`Section::ALL`].
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Size,
    Kill,
    Hang,
    Probes,
    Footprint,
    Pod,
    Cost,
    Stop,
    Scrape,
}

impl Section {
    const ALL: [(&str, Self); 9] = [
        ("size", Self::Size),
        ("kill", Self::Kill),
        ("hang", Self::Hang),
        ("probes", Self::Probes),
        ("footprint", Self::Footprint),
        ("pod", Self::Pod),
        ("cost", Self::Cost),
        ("stop", Self::Stop),
        ("scrape", Self::Scrape),
    ];
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Option<Self> {
        let (mut quick, mut minutes, mut supervisor) = (false, None, None);
        let mut named = Vec::new();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--quick" => quick = true,
                "--minutes" => minutes = Some(given.next()?.parse().ok()?),
                "--supervisor" => supervisor = Some(PathBuf::from(given.next()?)),
                name => named.push(Section::ALL.iter().find(|(known, _)| *known == name)?.1),
            }
        }
        let sections = Section::ALL
            .into_iter()
            .map(|(_, section)| section)
            .filter(|section| named.is_empty() || named.contains(section))
            .collect();
        Some(Self {
            quick,
            minutes,
            supervisor,
            sections,
        })
    }
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let links = shared::scratch::Scratch::new();
    let supervisor = match &arguments.supervisor {
        Some(path) => path.clone(),
        None if arguments.quick => rig::copy_of_self(&links, rig::SUPERVISOR)?,
        None => subject::build()?,
    };
    let plan = Plan {
        supervisor,
        quick: arguments.quick,
        minutes: arguments.minutes,
    };
    let mut report = Report::new(!plan.quick);
    let before = machine::usage()?;
    for section in &arguments.sections {
        eprintln!("measuring: {section:?}");
        let measured = match section {
            Section::Size => size::measure(&plan, &mut report).await,
            Section::Kill => kill::measure(&plan, &mut report).await,
            Section::Hang => hang::measure(&plan, &mut report).await,
            Section::Probes => probes::measure(&plan, &mut report).await,
            Section::Footprint => footprint::measure(&plan, &mut report).await,
            Section::Pod => pod::measure(&plan, &mut report).await,
            Section::Cost => cost::measure(&plan, &mut report).await,
            Section::Stop => stop::measure(&plan, &mut report).await,
            Section::Scrape => scrape::measure(&plan, &mut report).await,
        };
        if let Err(error) = measured {
            // The other figures were measured all the same.
            report.broke(&format!("{section:?}"), &format!("{error:#}"));
        }
    }
    report.note("the machine meanwhile", machine::since(before)?);
    Ok(report)
}
