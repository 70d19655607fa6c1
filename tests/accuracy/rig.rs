//! One scenario with one contestant: an engine of its own on a volume of its own, a container's runtime,
//! a kubelet, the contestant's probes, and what happens.

use std::cell::RefCell;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::container::{self, Shared};
use crate::contestant::{Contestant, Target};
use crate::kubelet::{self, Container, Kind, Node};
use crate::neighbour::Neighbour;
use crate::random::Random;
use crate::scale::scaled;
use crate::scenario::Scenario;
use crate::shared::ports::free_port;
use crate::shared::scratch::Scratch;
use crate::standin::handle::{DEFAULT_PASSWORD, StandInOptions};
use crate::steps::Stage;
use crate::supervisor::{DIAGNOSTICS_TIME_SCALE, SCALED, Setup, Supervisor};
use crate::timeline::{Seen, Timeline};
use crate::tracer::DUMPER;
use crate::volume::Mounted;

/// This program's name when it is the engine.
pub const ENGINE: &str = "sqlservr";

/// No start takes longer, but for one on a volume that stalls.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// Plays `scenario` to its end; what was seen.
pub async fn play(
    scenario: &Scenario,
    contestant: Contestant,
    random: &mut Random,
) -> anyhow::Result<Seen> {
    let scratch = Scratch::new();
    for name in [ENGINE, SCALED, DUMPER] {
        link_to_self(&scratch, name)?;
    }
    let port = free_port()?;
    let comm = comm(port);
    let options = engine(scenario, contestant, &scratch, port, &comm);
    let volume = Mounted::over(scenario.volume, &options.data_dir(), scratch.path()).await?;
    let timeline = Timeline::new(Instant::now());
    let neighbour = Neighbour::beside(scenario, &scratch, &comm, &options.data_dir()).await?;
    let supervisor = supervised(scenario, contestant, &options, &scratch, &timeline).await?;
    // Zero is the engine's first start, which is now.
    timeline.begin(Instant::now());
    let shared = Shared {
        script: Rc::new(RefCell::new(options.script.clone())),
        grip: watch::Sender::new(None),
        container: watch::Sender::new(Container::default()),
        over: watch::Sender::new(false),
        timeline: timeline.clone(),
    };
    let target = Target {
        port,
        password: DEFAULT_PASSWORD,
        supervisor: supervisor.as_ref().map(|supervisor| supervisor.address),
    };
    let mut tasks = JoinSet::new();
    let (kill, kills) = mpsc::channel(4);
    start_probes(&mut tasks, contestant, &target, &shared, kill, random);
    let runtime = tokio::task::spawn_local(container::run(options, shared.clone(), kills));
    let stage = Stage {
        shared,
        volume: Rc::new(volume),
        neighbour: neighbour.clone(),
        supervisor: supervisor.clone(),
        dumper: scratch.path().join(DUMPER),
        tracer: Rc::default(),
    };
    tasks.spawn_local(crate::steps::play(stage.clone(), scenario.steps.clone()));
    tasks.spawn_local(crate::steps::play_each_start(
        stage.clone(),
        scenario.each_start.clone(),
    ));
    tokio::time::sleep_until((timeline.began() + scaled(scenario.length)).into()).await;
    let seen = timeline.take();
    // First what keeps others from ending.
    tasks.shutdown().await;
    stage.release();
    stage.shared.over.send_replace(true);
    runtime.await.context("the container's runtime")?;
    drop((stage, supervisor));
    neighbour.lives().await?;
    Ok(seen)
}

/// The supervisor, where it is the contestant. It has the engine's name in common with [`engine`].
async fn supervised(
    scenario: &Scenario,
    contestant: Contestant,
    options: &StandInOptions,
    scratch: &Scratch,
    timeline: &Timeline,
) -> anyhow::Result<Option<Rc<Supervisor>>> {
    if contestant != Contestant::Supervisor {
        return Ok(None);
    }
    let setup = Setup {
        binary: &scratch.path().join(SCALED),
        comm: &comm(options.port),
        port: options.port,
        password: DEFAULT_PASSWORD,
        data_dir: &options.data_dir(),
        state_dir: scratch.path().join("state"),
        settings: scenario.settings,
    };
    Ok(Some(Rc::new(Supervisor::start(setup, timeline).await?)))
}

/// The kernel's name of the engine's processes.
fn comm(port: u16) -> String {
    format!("sql-{port}")
}

fn engine(
    scenario: &Scenario,
    contestant: Contestant,
    scratch: &Scratch,
    port: u16,
    comm: &str,
) -> StandInOptions {
    let directory = scratch.path().join("pod");
    let mut options = StandInOptions::new(scratch.path().join(ENGINE), directory);
    options
        .environment
        .push(("STANDIN_NAME".into(), comm.into()));
    options.port = port;
    options.start_timeout = START_PATIENCE;
    options.script = scenario.script.clone();
    options.script.diagnostics.time_scale = match contestant {
        Contestant::Supervisor => DIAGNOSTICS_TIME_SCALE,
        _ => scaled(1.0).as_secs_f64(),
    };
    options
}

fn start_probes(
    tasks: &mut JoinSet<()>,
    contestant: Contestant,
    target: &Target<'_>,
    shared: &Shared,
    kill: mpsc::Sender<kubelet::Kill>,
    random: &mut Random,
) {
    let probes = contestant.probes(target);
    let node = Node::new(
        &probes,
        contestant.grace(),
        shared.container.subscribe(),
        kill,
        shared.timeline.clone(),
    );
    if probes.iter().any(|probe| probe.kind == Kind::Readiness) {
        tasks.spawn_local(kubelet::unready_without_container(node.clone()));
    } else {
        tasks.spawn_local(kubelet::without_readiness(node.clone()));
    }
    for probe in probes {
        tasks.spawn_local(kubelet::work(probe, node.clone(), random.share()));
    }
}

/// This program under another name.
pub fn link_to_self(scratch: &Scratch, name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the benchmark's own path")?;
    let link = scratch.path().join(name);
    symlink(program, &link).context("a link to the benchmark")?;
    Ok(link)
}
