//! The agent of the SQL container: a child of [`crate::launch`], which is PID 1 there.
//!
//! It holds the lease on the volume, observes what only this container sees, is linked with the
//! supervisor, carries out its commands, and answers the kubelet. It may end at any moment, by a panic, a
//! kill or for want of memory: PID 1 starts another one, which goes on from what is in [`memory`].
//! Neither the engine nor the lease takes notice, but for a renewal that comes later.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`pid1`] | this end of the channel to PID 1 |
//! | [`lease`] | holds the lease, and reports to PID 1 until when the engine may run |
//! | [`gate`] | when PID 1 may start the command |
//! | [`again`] | whether PID 1 may start it again, after the engine's end |
//! | [`engine`] | which processes are the engine's, and where they listen |
//! | [`volumes`] | the mounts of this container, and an errorlog that lies on none of them |
//! | [`link`] | the link to the supervisor, [`crate::link`] |
//! | [`commands`] | carries out what the supervisor commands |
//! | [`http`], [`ready`] | the kubelet's probes |
//! | [`memory`] | what outlives an agent |
//! | [`end`] | the last work, and the container's termination message |
//!
//! | thread | what runs on it | why it is apart |
//! | --- | --- | --- |
//! | main | everything else | |
//! | `lease` | the lease | a write to a stalled volume may block for ever |
//! | `volume` | the volume's checks, only while the gate waits without a supervisor | the same |

pub mod again;
pub mod commands;
pub mod end;
pub mod engine;
pub mod gate;
pub mod http;
pub mod lease;
pub mod link;
pub mod memory;
pub mod pid1;
pub mod ready;
pub mod volumes;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::act::holder::LeaseHolder;
use crate::act::restart::Restarter;
use crate::act::restart::termination::TerminationLog;
use crate::config::Config;
use crate::decide;
use crate::decide::observation::{ActionReport, ActionStep, Observation};
use crate::launch::channel::{BEAT, FromAgent, InitStep, ToAgent};
use crate::launch::{take_signals_back, termination};
use crate::memory::give_back_regularly;
use crate::observe::clock::Clock;
use crate::observe::process::EnginePid;
use crate::observe::{Sink, cgroup, listeners, process};
use crate::parts::part;
use end::End;
use engine::Engines;
use gate::Gate;
use lease::Lease;
use link::{Link, LinkState, Request};
use memory::Memory;
use pid1::{Pid1, Start};
use ready::Readiness;

/// The number of messages that may wait for the link.
const QUEUE: usize = 16;

/// Works until PID 1 reports that everything has ended, or is gone.
///
/// # Errors
///
/// Standard input is not PID 1's channel, or the system has no descriptor, handler or thread left.
pub fn run(config: Config, memory: decide::memory::Memory) -> anyhow::Result<()> {
    take_signals_back().context("PID 1's signals can't be undone")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")?;
    runtime.spawn(give_back_regularly());
    let result = runtime.block_on(work(config, memory));
    // Neither a stalled volume nor a stalled termination message may delay the end.
    runtime.shutdown_background();
    result
}

async fn work(mut config: Config, remembered: decide::memory::Memory) -> anyhow::Result<()> {
    let (pid1, start) = Pid1::open()
        .context("this is no command for people: `launch` starts it, with a channel of its own")?;
    // The volume as this container has it.
    config.volume.data_dir = config.volume.engine_data_dir.clone();
    config
        .termination_log
        .get_or_insert_with(|| PathBuf::from(termination::DEFAULT_PATH));
    info!(step = ?start.step, "the agent of the SQL container works");
    let mut agent = Agent::start(config, remembered, pid1, start);
    while let Some(message) = agent.pid1.receive().await {
        if agent.take(message).await {
            break;
        }
    }
    // Without PID 1 everything else has ended, or is somebody else's.
    agent.tasks.shutdown().await;
    Ok(())
}

/// The running agent.
struct Agent {
    config: Config,
    pid1: Arc<Pid1>,
    sink: Sink,
    state: watch::Receiver<LinkState>,
    request: mpsc::Sender<Request>,
    holder: watch::Receiver<Option<LeaseHolder>>,
    end: Option<End>,
    memory: Memory,
    /// The gate, with what it is judged by.
    judged: Gate,
    /// The task that waits for the gate.
    gate: Option<AbortHandle>,
    /// Whether the observers of the command run.
    observes: bool,
    log: TerminationLog,
    /// Whether the container was asked to stop.
    stopping: bool,
    tasks: JoinSet<()>,
}

impl Agent {
    fn start(
        config: Config,
        remembered: decide::memory::Memory,
        pid1: Arc<Pid1>,
        start: Start,
    ) -> Self {
        let memory = Memory::open(start.memory);
        let (sink, observations) = Sink::new(Clock::start(config.http.decision_stale_after));
        let (seen, reported) = mpsc::channel(QUEUE);
        let (request, requests) = mpsc::channel(QUEUE);
        let (publish, state) = watch::channel(LinkState::default());
        let mut tasks = JoinSet::new();
        let engines = Engines::new(&config.process, Arc::clone(&pid1));
        let (engine, exits) = (engines.watch(), engines.exits());
        tasks.spawn(part("agent.engines", engines.follow(observations, seen)));
        let volumes = volumes::watch(config.volume.clone(), request.clone());
        tasks.spawn(part("agent.volumes", volumes));
        let link = Link::new(config.launch.socket.clone(), requests, reported, publish);
        tasks.spawn(part("agent.link", link.keep(Arc::clone(&pid1))));
        let lease = Lease::new(
            &config,
            Arc::clone(&pid1),
            memory.clone(),
            state.clone(),
            engine.clone(),
        );
        let (reports, holder) = (lease.reports(), lease.holder());
        tasks.spawn(part("agent.lease", lease.hold(request.clone())));
        let again = again::follow(state.clone(), memory.clone());
        tasks.spawn(part("agent.again", again));
        let readiness = Readiness::new(&config, state.clone(), engine, memory.clone());
        tasks.spawn(part("agent.readiness", readiness.clone().probe()));
        let answers = http::Answers::new(state.clone(), readiness);
        let serves = http::serve(config.launch.listen, start.listener, answers);
        tasks.spawn(part("agent.http", serves));
        tasks.spawn(part("agent.beat", beat(Arc::clone(&pid1))));
        let shut = watch::Sender::default();
        let end = End::new(
            &config,
            exits,
            state.clone(),
            shut.subscribe(),
            reports.clone(),
            memory.clone(),
        );
        let mut agent = Self {
            judged: Gate {
                config: config.clone(),
                memory: remembered,
                state: state.clone(),
                reports,
                shut,
            },
            log: TerminationLog::new(&config),
            config,
            pid1,
            sink,
            state,
            request,
            holder,
            end: Some(end),
            memory,
            gate: None,
            observes: false,
            stopping: start.stop != 0,
            tasks,
        };
        agent.go_on(start.step, start.stop);
        agent
    }

    /// Does what belongs to the step that PID 1 is at.
    fn go_on(&mut self, step: InitStep, stop: i32) {
        match step {
            InitStep::Waiting => self.wait_for_gate(),
            InitStep::Again => self.again(),
            InitStep::Running | InitStep::Ended => {
                // The agent before this one may have ended before it was sent that the command was started.
                again::count(&self.memory);
                self.observe();
                self.report_restarts();
            }
        }
        if stop != 0 && step != InitStep::Ended {
            // The link is not there yet. PID 1 has its own deadline for a stop that nobody takes on.
            let _ = self.request.try_send(Request::Stop(stop));
        }
    }

    fn wait_for_gate(&mut self) {
        let waiting = part(
            "agent.gate",
            self.judged.clone().watch(Arc::clone(&self.pid1)),
        );
        self.gate = Some(self.tasks.spawn(waiting));
    }

    /// Has the command started again where that is permitted: the engine has ended, and nothing of it is
    /// left.
    fn again(&mut self) {
        if self.gate.is_some() {
            return;
        }
        match again::permit(&self.memory, self.config.policy.restart_budget) {
            Ok(()) => self.wait_for_gate(),
            Err(why) => {
                info!(why, "the container ends with the engine");
                self.pid1.send(FromAgent::Leave);
            }
        }
    }

    /// Takes in that the command was started.
    async fn begun(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        gate.abort();
        again::begun(&self.memory, &mut self.log).await;
        self.observe();
        self.report_restarts();
    }

    /// Reports to the supervisor how often the engine was started again in this container.
    fn report_restarts(&self) {
        let restarts = self.memory.get().restarts_in_all;
        if restarts > 0 {
            // The link says it again to each supervisor.
            let _ = self.request.try_send(Request::Restarts(restarts));
        }
    }

    /// Takes a message of PID 1's. Returns whether it was the last one.
    async fn take(&mut self, message: ToAgent) -> bool {
        match message {
            // The command was started.
            ToAgent::State {
                step: InitStep::Running,
                ..
            } => self.begun().await,
            ToAgent::State {
                step: InitStep::Again,
                ..
            } => self.again(),
            ToAgent::State { .. } => {}
            ToAgent::Stop(signal) => {
                self.stopping = true;
                self.ask_for_stop(signal);
            }
            ToAgent::Look => engine::look(&self.config.process, &self.pid1),
            ToAgent::Ended { pid, status } => {
                // The link says what the observer has not seen.
                let _ = self.request.try_send(Request::Ended(pid, status));
            }
            ToAgent::Finish { clear, status } => {
                // Before the start there is nothing that could go on in this pod.
                let stopping = self.stopping || status.is_none();
                if let Some(end) = self.end.take() {
                    end.finish(clear, stopping, status, &self.request, &self.holder)
                        .await;
                }
                return true;
            }
        }
        false
    }

    /// Asks the supervisor to carry a stop out, or reports to PID 1 that nobody does.
    fn ask_for_stop(&self, signal: i32) {
        let asked = self.request.try_send(Request::Stop(signal));
        if asked.is_err() || !self.state.borrow().is_linked() {
            self.pid1.send(FromAgent::Declined);
        }
    }

    /// Starts the observers, and what obeys the supervisor's commands, once the command runs.
    fn observe(&mut self) {
        if std::mem::replace(&mut self.observes, true) {
            return;
        }
        let (config, sink) = (&self.config, &self.sink);
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
        self.tasks.spawn(part("agent.process", process));
        let listeners = listeners::observe(config.process.proc_root.clone(), engine_pid.clone());
        self.tasks.spawn(part("agent.listeners", listeners));
        let network = engine::report_network(engine_pid.network(), self.request.clone());
        self.tasks.spawn(part("agent.network", network));
        let cgroup = cgroup::observe(config.cgroup_interval, engine_pid, sink.clone());
        self.tasks.spawn(part("agent.cgroup", cgroup));
        let (sink, pid1) = (sink.clone(), Arc::clone(&self.pid1));
        let restarter = Restarter::new(config, move |report: ActionReport| {
            if report.step == ActionStep::Terminated {
                pid1.send(FromAgent::Terminated);
            }
            let sink = sink.clone();
            async move { sink.send(Observation::Action(report)).await }
        });
        let obeys = commands::obey(self.state.clone(), restarter);
        self.tasks.spawn(part("agent.commands", obeys));
    }
}

/// Reports to PID 1 that this loop runs.
async fn beat(pid1: Arc<Pid1>) {
    let mut ticks = interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pid1.send(FromAgent::Beat);
    }
}
