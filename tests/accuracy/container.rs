//! The container's runtime: starts the engine, tells when it runs, ends it when it is told to, and
//! starts it again after each end.
//!
//! There is no CrashLoopBackOff: a start follows an end after the same short time for everybody. That
//! favours whoever restarts often.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::{mpsc, watch};

use crate::kubelet::{Container, Kill};
use crate::scale::scaled;
use crate::standin::handle::{StandIn, StandInOptions};
use crate::standin::script::Script;
use crate::timeline::{Cause, Timeline};

/// From the end of a container to the start of the next, real seconds: the least that was measured on
/// a node.
const RESTART_DELAY: f64 = 1.0;

/// The present engine, for whoever does something to it.
#[derive(Clone)]
pub struct Grip {
    pub number: u32,
    pub since: Instant,
    pub control: std::path::PathBuf,
    pub child_pid: u32,
    parent: Rc<OwnedFd>,
    child: Rc<OwnedFd>,
}

impl Grip {
    fn of(engine: &StandIn, number: u32, since: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            number,
            since,
            control: engine.control(),
            child_pid: engine.child_pid(),
            parent: Rc::new(pidfd(engine.parent_pid())?),
            child: Rc::new(pidfd(engine.child_pid())?),
        })
    }

    /// It may have ended: then nothing happens.
    pub fn signal_child(&self, signal: Signal) {
        let _ = pidfd_send_signal(&*self.child, signal);
    }

    pub fn signal_parent(&self, signal: Signal) {
        let _ = pidfd_send_signal(&*self.parent, signal);
    }
}

/// Its parent lives and has not reaped it: the number is its own.
fn pidfd(pid: u32) -> anyhow::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pidfd_open(pid.context("no such pid")?, PidfdFlags::empty()).context("opening a pidfd")
}

/// What the runtime and the scenario share.
#[derive(Clone)]
pub struct Shared {
    /// Of the next start.
    pub script: Rc<RefCell<Script>>,
    pub grip: watch::Sender<Option<Grip>>,
    pub container: watch::Sender<Container>,
    /// The scenario is.
    pub over: watch::Sender<bool>,
    pub timeline: Timeline,
}

/// Runs containers until the scenario is over; ends the last one then.
pub async fn run(options: StandInOptions, shared: Shared, mut kills: mpsc::Receiver<Kill>) {
    let mut over = shared.over.subscribe();
    for number in 1.. {
        let began = Instant::now();
        shared.container.send_replace(Container {
            number,
            running: Some(began),
        });
        let mut options = options.clone();
        options.script = shared.script.borrow().clone();
        // A start is never given up: its process would be lost. It has a deadline of its own.
        let ended = match StandIn::start(options).await {
            Ok(mut engine) => {
                match Grip::of(&engine, number, began) {
                    Ok(grip) => drop(shared.grip.send_replace(Some(grip))),
                    Err(error) => shared.timeline.note(format!("{error:#}")),
                }
                let ended = tokio::select! {
                    ended = live(&mut engine, &mut kills, number) => Some(ended),
                    // The sender is in `shared`.
                    _ = over.wait_for(|over| *over) => None,
                };
                end(engine).await;
                ended
            }
            Err(error) => Some(Ended::by(Cause::Failed(format!("{error:#}")))),
        };
        shared.grip.send_replace(None);
        shared.container.send_replace(Container {
            number,
            running: None,
        });
        if let Some(ended) = ended {
            shared.timeline.restarted(ended.at, ended.cause);
        }
        tokio::select! {
            () = tokio::time::sleep(scaled(RESTART_DELAY)) => {}
            _ = over.wait_for(|over| *over) => return,
        }
    }
}

struct Ended {
    at: Instant,
    cause: Cause,
}

impl Ended {
    fn by(cause: Cause) -> Self {
        let at = Instant::now();
        Self { at, cause }
    }
}

/// Until it ends, or is ended: SIGTERM for its first process, and time to follow it.
async fn live(engine: &mut StandIn, kills: &mut mpsc::Receiver<Kill>, number: u32) -> Ended {
    let kill = tokio::select! {
        _ = engine.wait() => return Ended::by(Cause::Itself),
        kill = told(kills, number) => kill,
    };
    let ended = Ended::by(Cause::Kubelet);
    // It may have ended in this moment.
    let _ = engine.signal_parent(Signal::TERM);
    let _ = tokio::time::timeout(scaled(kill.grace), engine.wait()).await;
    ended
}

/// Waits for an order that concerns container `number`.
async fn told(kills: &mut mpsc::Receiver<Kill>, number: u32) -> Kill {
    loop {
        match kills.recv().await {
            Some(kill) if kill.number == number => return kill,
            Some(_) => {}
            // Nobody can give one any more.
            None => std::future::pending().await,
        }
    }
}

/// SIGKILL for what is left, on a thread of its own: the kernel may take its time.
async fn end(engine: StandIn) {
    let _ = tokio::task::spawn_blocking(move || drop(engine)).await;
}
