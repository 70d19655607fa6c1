//! The supervisor's side of the link to the SQL container's agent: whose observations count, what is sent,
//! and what is done about what is received.
//!
//! **Whose observations count.** Once an agent was linked in this run, what the supervisor itself sees of the
//! processes and of their control group means nothing: in a PID namespace of its own it sees none, in a
//! shared one the same ones twice. [`watch_here`] is the one place that decides it. The same holds for what
//! is to be done: a command names processes as the agent sees them.
//!
//! **Who holds the lease.** The agent, from the first moment on in which one is linked that holds it: see
//! [`super::lease`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::act::holder::LeaseHolder;
use crate::act::link::LinkEvent;
use crate::act::restart::termination;
use crate::config::{Config, SqlConfig, VolumeConfig};
use crate::decide::decision::{Action, Decision, Restart, Verdict};
use crate::decide::observation::{EngineMount, LinkReport, Observation, ProcessId};
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::link::{
    AGENT_HOLDS_LEASE, AgentMessage, Command, CommandKind, ProbeVerdict, ReadyVerdict,
    SupervisorMessage, Verdicts,
};
use crate::observe::process::EnginePid;
use crate::observe::process::volume::WatchedVolume;
use crate::observe::volume as observe_volume;
use crate::observe::{Sink, cgroup, listeners, process};
use crate::publish::{Published, Reader};

/// The time for mssql.conf to be read.
const LOOKUP: Duration = Duration::from_secs(2);

/// The time that a run waits for the agent that an earlier run was linked with before it observes the
/// processes itself: longer than the kubelet's longest pause between two starts of a container, 5 minutes.
pub const LINK_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Reasons for which a supervisor that has just started is not ready to judge, rather than the engine not
/// ready to serve.
const NOT_YET_ASKED: [Reason; 7] = [
    Reason::NotYetObserved,
    Reason::NoFreshAnswer,
    Reason::Settling,
    Reason::Starting,
    Reason::VolumeUnchecked,
    Reason::VolumeUnidentified,
    Reason::LeaseNotHeld,
];

/// The link to the agent. Its clones share the state.
#[derive(Clone, Debug)]
pub struct AgentLink {
    /// Whether an agent was linked in this run.
    linked: watch::Sender<bool>,
    engine: EnginePid,
    /// The directory whose mount `launch` reports.
    engine_data_dir: PathBuf,
    sink: Sink,
    holder: LeaseHolder,
}

impl AgentLink {
    /// Returns a link that no agent is connected to. With an agent that holds the lease, `holder` does not.
    #[must_use]
    pub fn new(engine: EnginePid, volume: &VolumeConfig, sink: Sink, holder: LeaseHolder) -> Self {
        Self {
            linked: watch::Sender::new(false),
            engine,
            engine_data_dir: volume.engine_data_dir.clone(),
            sink,
            holder,
        }
    }

    /// Whether the agent carries out what is decided.
    #[must_use]
    pub fn acts(&self) -> bool {
        *self.linked.borrow()
    }

    /// Waits until an agent is linked.
    pub async fn linked(&self) {
        // Its sender is `self`.
        let _ = self.linked.subscribe().wait_for(|linked| *linked).await;
    }

    /// Returns the mounts that the agent sees, by the directories' names here: its data directory is the one
    /// that is watched, whatever it is called.
    fn named(&self, seen: Vec<(PathBuf, Option<EngineMount>)>) -> BTreeMap<PathBuf, EngineMount> {
        let mut seen = seen.into_iter();
        let first = seen
            .next()
            .map(|(_, mount)| (self.engine_data_dir.clone(), mount));
        let all = first.into_iter().chain(seen);
        all.filter_map(|(at, mount)| Some((at, mount?))).collect()
    }

    /// Takes in an event. Returns the answer, if there is one. `stop` begins a stop that is asked for, and
    /// returns the time within which it commands the engine's end, if it can.
    pub async fn receive(
        self,
        event: LinkEvent,
        stop: impl FnOnce() -> Option<Duration>,
    ) -> Option<SupervisorMessage> {
        let observation = match event {
            LinkEvent::Linked(version) => {
                self.linked.send_replace(true);
                self.engine.set_mounts(BTreeMap::new());
                self.engine.set_network(None);
                if version < AGENT_HOLDS_LEASE {
                    warn!(
                        version,
                        "launch is of an older version: the supervisor holds the lease, and the engine is not ready while the supervisor is away"
                    );
                } else {
                    self.holder.contend(false);
                }
                Observation::Link(LinkReport::Linked)
            }
            LinkEvent::Lost => {
                self.engine.set_mounts(BTreeMap::new());
                self.engine.set_network(None);
                Observation::Link(LinkReport::Lost)
            }
            LinkEvent::Message(message) => match *message {
                AgentMessage::Process(report) => Observation::Process(report),
                AgentMessage::Cgroup(report) => Observation::Cgroup(*report),
                AgentMessage::Action(report) => Observation::Action(report),
                AgentMessage::Lease(report) => Observation::AgentLease(*report),
                AgentMessage::Restarts(count) => Observation::RestartsInPlace(count),
                AgentMessage::Log(log) => Observation::AgentLog(log),
                AgentMessage::Mount(mount) => {
                    let mounts = mount.map(|mount| (self.engine_data_dir.clone(), mount));
                    self.engine.set_mounts(mounts.into_iter().collect());
                    return None;
                }
                AgentMessage::Mounts(mounts) => {
                    self.engine.set_mounts(self.named(mounts));
                    return None;
                }
                AgentMessage::Network(seen) => {
                    self.engine.set_network(seen);
                    return None;
                }
                AgentMessage::StopRequested(signal) => {
                    info!(signal, "the SQL container is asked to stop");
                    return stop().map(SupervisorMessage::StopAccepted);
                }
                AgentMessage::Hello(_) | AgentMessage::Beat => return None,
            },
        };
        self.sink.send(observation).await;
        None
    }
}

/// Turns each decision into the verdicts for the agent. Ends when nothing is decided any more.
pub async fn send_verdicts(
    config: Config,
    mut decisions: Reader,
    verdicts: watch::Sender<Option<Verdicts>>,
) {
    let mut composer = Composer::new(&config);
    while decisions.changed().await.is_ok() {
        let published = Arc::clone(&decisions.borrow_and_update());
        if let Some(composed) = composer.verdicts(&published) {
            verdicts.send_replace(Some(composed));
        }
    }
}

/// Observes the processes from here until an agent does; with `expected`, not before the agent had its time
/// to come. Ends then.
pub async fn watch_here(config: Config, link: AgentLink, expected: bool) {
    let mut linked = link.linked.subscribe();
    if expected {
        // Its sender is in `link`. Whether it came is asked again below.
        let _ = timeout(LINK_PATIENCE, linked.wait_for(|linked| *linked)).await;
    }
    let (engine, sink) = (link.engine.clone(), link.sink.clone());
    let watch = async {
        let (own, engine_dir) = main_directories(&config.volume).await;
        let proc_root = config.process.proc_root.clone();
        let volume = WatchedVolume::following(proc_root, own, engine_dir).await;
        tokio::join!(
            listeners::observe(config.process.proc_root.clone(), engine.clone()),
            process::observe(config.process, volume, engine.clone(), sink.clone()),
            cgroup::observe(config.cgroup_interval, engine.clone(), sink),
        )
    };
    tokio::select! {
        biased;
        _ = linked.wait_for(|linked| *linked) => {}
        _ = watch => {}
    }
    link.engine.set(None);
    link.engine.set_network(None);
}

/// Returns the directory of the volume with `master.mdf`, as the supervisor and as the engine's container
/// name it. Where the volume with mssql.conf does not answer in time, it is the data directory.
async fn main_directories(volume: &VolumeConfig) -> (PathBuf, PathBuf) {
    let config = volume.clone();
    let look = spawn_blocking(move || observe_volume::main_directories(&config));
    match timeout(LOOKUP, look).await {
        Ok(Ok(found)) => found,
        _ => (volume.data_dir.clone(), volume.engine_data_dir.clone()),
    }
}

/// Composes the verdicts of decisions. The termination messages bear the time of their first decision, so
/// that the same command is the same message.
#[derive(Debug)]
struct Composer {
    message: Option<(ProcessId, CommandKind, String)>,
    termination_message: Option<String>,
    sql: SqlConfig,
    /// The moment by which this run has had the time to ask the engine.
    asked_by: Instant,
    /// Whether this run has had a verdict on readiness of its own.
    has_judged: bool,
}

impl Composer {
    fn new(config: &Config) -> Self {
        let time_to_ask = config.policy.ready_freshness + config.policy.settle;
        Self {
            message: None,
            termination_message: None,
            sql: config.sql.clone(),
            asked_by: Instant::now() + time_to_ask,
            has_judged: false,
        }
    }

    fn verdicts(&mut self, published: &Published) -> Option<Verdicts> {
        let decision = published.decision.as_ref()?;
        let action = decision.action.as_ref();
        let command = action.map(|action| self.command(action, decision));
        self.leave(published, decision);
        Some(Verdicts {
            gate: ProbeVerdict::new(&decision.gate, decision),
            live: ProbeVerdict::new(&decision.live, decision),
            ready: self.ready(published, decision),
            epoch: published.snapshot.epoch(),
            command,
            termination_message: self.termination_message.clone(),
        })
    }

    /// Returns the verdict on readiness, once there is one: a supervisor that was started anew beside an
    /// engine that serves must not take it out of its Service because it has not asked yet.
    fn ready(&mut self, published: &Published, decision: &Decision) -> Option<ReadyVerdict> {
        let unasked = |reason: &Reason| NOT_YET_ASKED.contains(reason);
        let running = published.snapshot.running();
        // A pass from before the agent has named the processes is forgotten with its first report.
        self.has_judged |= Instant::now() >= self.asked_by
            || !decision.ready.reasons.iter().all(unasked)
            || (decision.ready.verdict == Verdict::Pass && running.is_some());
        self.has_judged.then(|| ReadyVerdict {
            verdict: ProbeVerdict::new(&decision.ready, decision),
            engine: running.map(|process| (process.parent, process.engine)),
            address: self.sql.targets().clients.to_string(),
        })
    }

    fn command(&mut self, action: &Action, decision: &Decision) -> Command {
        let (kind, restart) = match action {
            Action::Restart(restart) => (CommandKind::Restart, restart),
            Action::Fence(restart) => (CommandKind::Fence, restart),
        };
        let known = |(parent, as_kind, _): &&(ProcessId, CommandKind, String)| {
            (*parent, *as_kind) == (restart.parent, kind)
        };
        let message = match self.message.as_ref().filter(known) {
            Some((_, _, message)) => message.clone(),
            None => termination::before(restart, SystemTime::now(), decision),
        };
        self.message = Some((restart.parent, kind, message.clone()));
        command(kind, restart, message)
    }

    /// Keeps the termination message for a restart that is left to the kubelet, while it is.
    fn leave(&mut self, published: &Published, decision: &Decision) {
        let left = decision.live.verdict == Verdict::Fail && decision.action.is_none();
        match left {
            false => self.termination_message = None,
            true => {
                self.termination_message.get_or_insert_with(|| {
                    let (now, by) = (SystemTime::now(), RestartBy::Kubelet);
                    let reasons = &decision.live.reasons;
                    termination::message(now, by, reasons, decision, published.failed_restart())
                });
            }
        }
    }
}

fn command(kind: CommandKind, restart: &Restart, message: String) -> Command {
    let code = |reason: &Reason| reason.code().to_owned();
    Command {
        kind,
        parent: restart.parent,
        engine: restart.engine,
        grace: restart.grace,
        reasons: restart.reasons.iter().map(code).collect(),
        message,
    }
}
