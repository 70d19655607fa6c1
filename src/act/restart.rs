//! The restart of the engine: SIGTERM to its parent process, a grace, SIGKILL to what is left.
//!
//! A container ends with its first process, and the runtime starts it anew. No more than that is done here:
//! nothing is started, and nothing is signalled but the processes that the decision names, after their
//! identity was confirmed.
//!
//! | step | bounded by | reported as |
//! | --- | --- | --- |
//! | pidfds of parent and engine, then their identities | nothing waits | |
//! | the reason into the container's termination message | [`termination::WAIT`] | |
//! | SIGTERM to the parent, which passes it on to the engine | nothing waits | [`ActionStep::Terminated`] |
//! | wait for both to end | [`Restart::grace`] | [`ActionStep::Done`] |
//! | SIGKILL to the engine and the parent | nothing waits | [`ActionStep::Killed`] |
//! | wait for both to end | [`GONE_AFTER`] | [`ActionStep::Done`], else [`ActionStep::Failed`] |
//!
//! A fence ([`Restarter::fence`]) sends SIGKILL to the engine at once, writes its reason, and sends SIGKILL
//! to the parent; then it waits as above.
//!
//! A stopped process does not die of SIGTERM, it dies of SIGKILL. When the future is dropped in the midst of
//! a restart, nothing more is signalled.

mod target;
pub mod termination;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::config::Config;
use crate::decide::decision::Restart;
use crate::decide::observation::{ActionReport, ActionStep, ProcessId};
use crate::decide::restart::HANDOVER_AFTER;
use target::Target;
use termination::TerminationLog;

/// The time after SIGKILL past which a process that is still there can't die at present.
pub const GONE_AFTER: Duration = Duration::from_secs(5);

// The decision waits for that long after the grace before it gives up: what is told here comes first.
const _: () =
    assert!(GONE_AFTER.as_millis() + termination::WAIT.as_millis() < HANDOVER_AFTER.as_millis());

/// The reason why a restart can't be carried out, or had no effect.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(
        "pid {0} is never signalled: it holds this PID namespace together, or is the supervisor"
    )]
    Untouchable(i32),
    #[error("pid {pid} can't be held by a pidfd: {error}")]
    Pidfd { pid: i32, error: std::io::Error },
    #[error("who pid {pid} is can't be read: {error}")]
    Unknown { pid: i32, error: procfs::ProcError },
    #[error("pid {pid} is called {found:?} by now, not {wanted:?}")]
    Renamed {
        pid: i32,
        found: String,
        wanted: String,
    },
    #[error(
        "not permitted to signal pid {0}: run the supervisor with the uid of sqlservr (10001 in Microsoft's images)"
    )]
    NotPermitted(i32),
    #[error("pid {pid} can't be signalled: {error}")]
    Signal { pid: i32, error: Errno },
    #[error(
        "pid {0} is still there {seconds} s after SIGKILL: it waits for what can't be interrupted, as a rule for storage",
        seconds = GONE_AFTER.as_secs()
    )]
    StillThere(i32),
}

/// Carries restarts out, one at a time, each once.
#[derive(Debug)]
pub struct Restarter<R> {
    name: String,
    proc_root: PathBuf,
    log: TerminationLog,
    report: R,
    /// The parent process of the last restart that was begun.
    begun: Option<ProcessId>,
    /// The processes of the last fence.
    fenced: Option<(ProcessId, Option<ProcessId>)>,
}

impl<R, F> Restarter<R>
where
    R: Fn(ActionReport) -> F,
    F: Future<Output = ()>,
{
    /// Returns a restarter that hands each step to `report`, and goes on once that has taken it.
    pub fn new(config: &Config, report: R) -> Self {
        Self {
            name: config.process.name.clone(),
            proc_root: config.process.proc_root.clone(),
            log: TerminationLog::new(config),
            report,
            begun: None,
            fenced: None,
        }
    }

    /// Whether `restart` was not begun yet.
    #[must_use]
    pub fn is_new(&self, restart: &Restart) -> bool {
        self.begun != Some(restart.parent)
    }

    /// Carries `restart` out; `message` goes to the container's termination message before the first
    /// signal. Does nothing where a restart of the same parent process was begun before.
    pub async fn restart(&mut self, restart: &Restart, message: String) {
        if !self.is_new(restart) {
            return;
        }
        self.begun = Some(restart.parent);
        let pid = restart.parent.pid;
        let step = match self.climb(restart, message).await {
            Ok(()) => {
                info!(pid, "restart: the engine's processes are gone");
                ActionStep::Done
            }
            Err(obstacle) => {
                let why = obstacle.to_string();
                warn!(pid, why, "restart: the supervisor can't carry it out");
                ActionStep::Failed(why)
            }
        };
        self.tell(restart, step).await;
    }

    /// Kills the processes of `fence` at once, each pair of them once, whatever else was begun; `message`
    /// goes to the container's termination message.
    pub async fn fence(&mut self, fence: &Restart, message: String) {
        let both = (fence.parent, fence.engine);
        if self.fenced.replace(both) == Some(both) {
            return;
        }
        let pid = fence.parent.pid;
        let step = match self.kill(fence, message).await {
            Ok(()) => {
                info!(pid, "fence: the engine's processes are gone");
                ActionStep::Done
            }
            Err(obstacle) => {
                let why = obstacle.to_string();
                warn!(pid, why, "fence: the engine can't be killed");
                ActionStep::Failed(why)
            }
        };
        self.tell(fence, step).await;
    }

    async fn kill(&mut self, fence: &Restart, message: String) -> Result<(), Obstacle> {
        let confirm = |id| Target::confirm(&self.proc_root, &self.name, id);
        // Each by itself: an engine may outlive its parent, and must not go on writing.
        let engine = fence.engine.map_or(Ok(None), confirm);
        let killed = engine.and_then(|engine| match engine {
            Some(engine) => engine.signal(Signal::KILL).map(|()| Some(engine)),
            None => Ok(None),
        });
        let parent = confirm(fence.parent)?;
        if let Some(parent) = &parent {
            // The engine, which writes, is dead or dying: this has its little time.
            self.log.write(Some(parent.id.pid), message).await;
            parent.signal(Signal::KILL)?;
        }
        let engine = killed?;
        warn!(
            pid = fence.parent.pid,
            engine = engine.as_ref().map(|engine| engine.id.pid),
            "fence: SIGKILL sent"
        );
        self.tell(fence, ActionStep::Killed).await;
        for left in [engine, parent].into_iter().flatten() {
            if timeout(GONE_AFTER, left.ended()).await.is_err() {
                return Err(Obstacle::StillThere(left.id.pid));
            }
        }
        Ok(())
    }

    /// Writes the termination message of the container of `parent`, for a restart that is left to
    /// somebody else.
    pub async fn leave_message(&mut self, parent: Option<i32>, message: String) {
        self.log.write(parent, message).await;
    }

    async fn climb(&mut self, restart: &Restart, message: String) -> Result<(), Obstacle> {
        let confirm = |id| Target::confirm(&self.proc_root, &self.name, id);
        // One that has ended by itself is what was wanted.
        let Some(parent) = confirm(restart.parent)? else {
            return Ok(());
        };
        // One that can't be confirmed is not signalled: it ends with its parent, or its container.
        let engine = restart.engine.and_then(|id| confirm(id).ok().flatten());
        // A stop has no message: what is written already stays.
        if !message.is_empty() {
            self.log.write(Some(parent.id.pid), message).await;
        }

        parent.signal(Signal::TERM)?;
        info!(pid = parent.id.pid, grace = ?restart.grace, "restart: SIGTERM sent");
        self.tell(restart, ActionStep::Terminated).await;
        if gone_within(restart.grace, &parent, engine.as_ref()).await {
            return Ok(());
        }
        let engine_killed = engine
            .as_ref()
            .map_or(Ok(()), |engine| engine.signal(Signal::KILL));
        parent.signal(Signal::KILL)?;
        engine_killed?;
        let engine_pid = engine.as_ref().map(|engine| engine.id.pid);
        warn!(
            pid = parent.id.pid,
            engine = engine_pid,
            "restart: SIGKILL sent"
        );
        self.tell(restart, ActionStep::Killed).await;
        match gone_within(GONE_AFTER, &parent, engine.as_ref()).await {
            true => Ok(()),
            false => {
                let left = engine.as_ref().filter(|engine| !engine.is_dead());
                Err(Obstacle::StillThere(left.unwrap_or(&parent).id.pid))
            }
        }
    }

    async fn tell(&self, restart: &Restart, step: ActionStep) {
        let process = restart.parent;
        (self.report)(ActionReport { process, step }).await;
    }
}

/// Whether parent and engine end within `limit`.
async fn gone_within(limit: Duration, parent: &Target, engine: Option<&Target>) -> bool {
    let both = async {
        parent.ended().await;
        if let Some(engine) = engine {
            engine.ended().await;
        }
    };
    timeout(limit, both).await.is_ok()
}

#[cfg(test)]
mod tests;
