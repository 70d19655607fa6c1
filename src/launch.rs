//! `launch [-- COMMAND...]`: the first process of the SQL container.
//!
//! It waits for the gate, starts the image's own command, passes signals on to the real `sqlservr`
//! below the image's shell, reaps everything, stays until the engine is gone and ends with its status.
//! So a stop is a shutdown and not a crash, and the container's end tells how the engine ended.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`init`] | the first process's duties; needs nothing of the others |
//! | [`children`], [`engine`], [`signals`] | what it does them with |
//! | [`image`] | what is started where no command is given |
//! | [`gate`], [`lease`] | when the command is started |
//! | [`partner`], [`sidecar`] | the link to the supervisor, [`crate::link`] |
//! | [`act`] | what the supervisor orders, carried out here: no shared PID namespace is needed |
//! | [`livez`] | the kubelet's liveness probe |
//!
//! Beside them run the supervisor's own observers of the processes and of the control group, whose
//! words go over the link.
//!
//! **Architecture invariant:** [`init`] waits for nobody. A supervisor that is dead, an observer that
//! fails, a port that is taken leave it what it is: a correct first process.
//!
//! Everything runs on one thread.

pub mod act;
pub mod children;
pub mod engine;
pub mod gate;
pub mod image;
pub mod init;
pub mod lease;
pub mod livez;
pub mod partner;
pub mod sidecar;
pub mod signals;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, set_child_subreaper};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::act::restart::Restarter;
use crate::config::{Config, VolumeConfig};
use crate::decide::observation::{ActionReport, ActionStep, Observation};
use crate::observe::clock::Clock;
use crate::observe::process::EnginePid;
use crate::observe::{Sink, cgroup, process, volume};
use children::Children;
use gate::Leave;
use init::Init;
use lease::Claims;
use partner::{Partner, Request, State, Told};
use sidecar::Link;
use signals::Signals;

/// The kubelet's default `terminationMessagePath`, in this container.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The exit code where there is nothing to start, as the shells have it.
const NO_SUCH_COMMAND: u8 = 127;

/// The first process of a PID namespace.
const INIT: i32 = 1;

/// Starts `command`, or what the image starts by itself where that is empty, when the gate is open, and stays
/// until it and its engine are gone; the exit code.
///
/// # Errors
///
/// The system has no descriptor or handler left.
pub fn run(config: Config, command: Vec<OsString>) -> anyhow::Result<u8> {
    let command = match command.is_empty() {
        true => match image::command(Path::new("/")) {
            Ok(image) => {
                info!(command = ?image.words, image = image.kind, "no command is given: the image's own start");
                image.words
            }
            Err(error) => {
                error!("{error}");
                return Ok(NO_SUCH_COMMAND);
            }
        },
        false => command,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")?;
    let result = runtime.block_on(launch(config, &command));
    // A termination message whose file stalls must not delay the end.
    runtime.shutdown_background();
    result
}

async fn launch(mut config: Config, command: &[OsString]) -> anyhow::Result<u8> {
    let mut signals = Signals::listen().context("signals can't be caught")?;
    let own = init::own_pid();
    info!(pid = own, version = env!("CARGO_PKG_VERSION"), "launches");
    if own != INIT {
        adopt_orphans(own);
    }
    config
        .termination_log
        .get_or_insert_with(|| PathBuf::from(TERMINATION_LOG));
    let (sink, observations) = Sink::new(Clock::start(config.http.decision_stale_after));
    let (partner, ends) = Partner::new();
    let requests = partner.requests();
    let told = ends.told.clone();
    let mut tasks = JoinSet::new();
    // Before the gate: the supervisor wants to know that the volume is mounted here as well.
    tasks.spawn(watch_mount(config.volume.clone(), requests));
    tasks.spawn(livez::serve(config.launch.listen, partner.state()));
    tasks.spawn(Link::new(config.launch.socket.clone(), ends, observations).keep());

    let patience = config.launch.gate_patience;
    let gate = gate::wait(partner.state(), patience, Claims::new(&config));
    tokio::pin!(gate);
    let leave = loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::CHILD => children::reap_strangers(),
                signal if signals::ends(signal) => {
                    info!(?signal, "asked to stop before the engine was started");
                    return Ok(signals::exit_code(signal));
                }
                signal => info!(?signal, "there is nobody to pass it on to yet"),
            },
            leave = &mut gate => break leave,
        }
    };
    let epoch = match leave {
        Leave::Given(epoch) => epoch,
        Leave::Taken => None,
    };
    let children = match Children::start(command, epoch) {
        Ok(children) => children,
        Err(error) => {
            error!("{error}");
            return Ok(error.exit_code());
        }
    };
    info!(
        pid = children.command_pid(),
        ?command,
        epoch,
        "the command runs"
    );
    help(&config, &mut tasks, &sink, partner.state(), told);
    Ok(Init::new(&config.process, signals, children, partner)
        .run()
        .await)
}

/// What runs beside the first process's duties once there is something to observe.
fn help(
    config: &Config,
    tasks: &mut JoinSet<()>,
    sink: &Sink,
    state: watch::Receiver<State>,
    told: mpsc::Sender<Told>,
) {
    let engine_pid = EnginePid::default();
    // What is in this container is its engine's, unless the pod shares its process namespace.
    let volume = process::volume::WatchedVolume::new(
        config.process.proc_root.clone(),
        config.volume.engine_data_dir.clone(),
        config.volume.engine_data_dir.clone(),
    );
    let process = process::observe(
        config.process.clone(),
        volume,
        engine_pid.clone(),
        sink.clone(),
    );
    tasks.spawn(process);
    let cgroup = cgroup::observe(config.cgroup_interval, engine_pid, sink.clone());
    tasks.spawn(cgroup);
    let sink = sink.clone();
    let restarter = Restarter::new(config, move |report: ActionReport| {
        if report.step == ActionStep::Terminated {
            // Where it does not arrive, the engine may get the signal once more.
            let _ = told.try_send(Told::Terminated);
        }
        let sink = sink.clone();
        async move { sink.send(Observation::Action(report)).await }
    });
    tasks.spawn(act::obey(state, restarter));
}

/// Tells what this container has at the engine's data directory.
async fn watch_mount(config: VolumeConfig, requests: mpsc::Sender<Request>) {
    let mut ticks = interval(config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mount = volume::mount_seen_by(init::own_pid(), &config.engine_data_dir);
        if requests.send(Request::Mount(mount)).await.is_err() {
            return;
        }
    }
}

/// Not the first process of its PID namespace: what loses its parent below it becomes its child all
/// the same (PR_SET_CHILD_SUBREAPER in prctl(2)).
fn adopt_orphans(own: i32) {
    if let Err(error) = set_child_subreaper(Pid::from_raw(own)) {
        warn!(%error, "orphans can't be adopted: they may outlive the engine");
    }
}
