//! The processes of the engine: seen by the process observer, and handed on to PID 1.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use procfs::process::Process;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::link::Request;
use super::memory::Engine;
use super::pid1::Pid1;
use crate::config::ProcessConfig;
use crate::decide::observation::{
    EngineNetwork, Observation, Observed, ProcessExit, ProcessId, ProcessReport, ProcessRole,
};
use crate::launch::channel::FromAgent;
use crate::observe::process;

/// The reports of the process observer, on their way to the link.
#[derive(Debug)]
pub struct Engines {
    proc_root: PathBuf,
    pid1: Arc<Pid1>,
    /// The engine that runs, if one does; none before the first look.
    seen: watch::Sender<Option<Option<Engine>>>,
    exit: watch::Sender<Option<ProcessExit>>,
    /// The engine that was handed on to PID 1.
    handed: Option<Engine>,
}

impl Engines {
    /// Returns a receiver of reports that has seen nothing yet.
    #[must_use]
    pub fn new(config: &ProcessConfig, pid1: Arc<Pid1>) -> Self {
        Self {
            proc_root: config.proc_root.clone(),
            pid1,
            seen: watch::Sender::new(None),
            exit: watch::Sender::new(None),
            handed: None,
        }
    }

    /// Returns the engine that runs, if one does; none before the first look.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Option<Engine>>> {
        self.seen.subscribe()
    }

    /// Returns the last end of an engine that was seen.
    #[must_use]
    pub fn exits(&self) -> watch::Receiver<Option<ProcessExit>> {
        self.exit.subscribe()
    }

    /// Receives what the observers report and passes it on. Ends with them.
    pub async fn follow(
        mut self,
        mut observations: mpsc::Receiver<Observed<Observation>>,
        link: mpsc::Sender<Observation>,
    ) {
        while let Some(Observed { value, .. }) = observations.recv().await {
            if let Observation::Process(report) = &value {
                self.see(report);
            }
            if link.send(value).await.is_err() {
                return;
            }
        }
    }

    fn see(&mut self, report: &ProcessReport) {
        let engine = match report {
            ProcessReport::Running(process) => Some((process.parent, process.engine)),
            ProcessReport::NotFound => None,
            ProcessReport::Exited(exit) => {
                let known = self
                    .exit
                    .borrow()
                    .filter(|known| known.process == exit.process);
                // The engine below ends first, and its end is the cause.
                if known.is_none() || exit.role == ProcessRole::Engine {
                    self.exit.send_replace(Some(*exit));
                }
                None
            }
        };
        self.seen.send_if_modified(|seen| {
            let changed = *seen != Some(engine);
            *seen = Some(engine);
            changed
        });
        if let Some(engine) = engine
            && self.handed != Some(engine)
            && hand(&self.proc_root, engine, &self.pid1)
        {
            self.handed = Some(engine);
        }
    }
}

/// Reports to the supervisor where the engine listens, now and at each change. Ends with either channel.
pub async fn report_network(
    mut network: watch::Receiver<Option<EngineNetwork>>,
    requests: mpsc::Sender<Request>,
) {
    loop {
        let seen = network.borrow_and_update().clone();
        let sent = requests.send(Request::Network(seen)).await;
        if sent.is_err() || network.changed().await.is_err() {
            return;
        }
    }
}

/// Answers PID 1 whether there is an engine.
pub fn look(config: &ProcessConfig, pid1: &Pid1) {
    let below = std::os::unix::process::parent_id().cast_signed();
    let found = process::outermost_below(&config.proc_root, &config.name, below);
    let handed = found.is_some_and(|parent| hand(&config.proc_root, (parent, None), pid1));
    if !handed {
        pid1.send(FromAgent::NoEngine);
    }
}

/// Hands the engine's pidfds to PID 1. Returns false where the engine is gone, or PID 1 does not take them.
fn hand(proc_root: &std::path::Path, (parent, engine): Engine, pid1: &Pid1) -> bool {
    let message = FromAgent::Engine(parent.pid);
    let inner = engine.and_then(|id| pidfd(proc_root, id).ok());
    match pidfd(proc_root, parent) {
        Ok(outer) => {
            let both = [Some(&outer), inner.as_ref()].into_iter().flatten();
            let both: Vec<_> = both.map(OwnedFd::as_fd).collect();
            pid1.send_with(message, &both)
        }
        Err(Errno::SRCH) => false,
        Err(error) => {
            warn!(%error, "no pidfd: the engine's end is seen a moment later, and its status may stay unknown");
            pid1.send(message)
        }
    }
}

/// Returns the pidfd of exactly the process `id`.
fn pidfd(proc_root: &std::path::Path, id: ProcessId) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(id.pid).ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // Read after the pidfd was opened, so that both are of one process.
    let process = Process::new_with_root(proc_root.join(id.pid.to_string()));
    let stat = process.and_then(|process| process.stat());
    match stat {
        Ok(stat) if stat.starttime == id.start_ticks => Ok(pidfd),
        _ => Err(Errno::SRCH),
    }
}
