//! The lease holder: the thread that holds the lease on the volume with `master.mdf`, and writes the
//! history there.
//!
//! Any of its calls may wait for a device that does not answer, so that nobody waits for this thread without
//! a deadline of its own. A thread that hangs is noticed by its silence: the receiver of
//! [`LeaseReport::run_until`] ends the engine then, and [`crate::decide`] judges the age of the last renewal.
//!
//! It decides nothing of its own. The steps of the lease come from [`crate::decide::lease::LeaseMachine`]; it
//! carries them out through [`crate::records`].
//!
//! Every moment is one of CLOCK_BOOTTIME, and the first thing after a suspend is a look at that clock
//! (`wait`).

mod identity;
mod wait;
mod work;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::config::Config;
use crate::decide::lease::release::EngineGone;
use crate::decide::lease::{LeaseMode, Terms};
use crate::decide::observation::{LeaseReport, ProcessId};
pub use crate::records::claims::lock::Keep;
pub use identity::is_of_this_pod;
use wait::{Wait, Waker};
use work::Work;

/// The thread's name, as `/proc/PID/task/TID/comm` shows it.
pub const THREAD_NAME: &str = "lease";
/// The thread's stack, bytes.
const STACK_BYTES: usize = 256 * 1024;
/// The pause between two looks at another holder's claim, or at a volume without identity. A holder that died
/// is followed at most this much later than its claim is stale.
pub const LOOK: Duration = Duration::from_millis(500);

/// The settings of the lease holder.
#[derive(Clone, Debug)]
pub struct HolderConfig {
    /// The engine's data directory, as this process sees it.
    pub data_dir: PathBuf,
    /// The mode of the lease: how strongly it binds.
    pub mode: LeaseMode,
    /// The pause between two renewals.
    pub renew: Duration,
    /// The time after which an unchanged claim is nobody's.
    pub stale: Duration,
    /// The time for which a renewal counts.
    pub fence: Duration,
    /// The pod's uid; without it the pid namespace identifies the holder.
    pub pod_uid: Option<String>,
    /// The name of the node, for people.
    pub node: Option<String>,
    /// The directory for what may outlive the supervisor and not its pod; it keeps the id of the run before.
    pub state_dir: PathBuf,
    /// Whether the holder contends for the lease from the start, see [`LeaseHolder::contend`].
    pub contends: bool,
}

impl HolderConfig {
    /// Returns the lease holder's part of the settings.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            data_dir: config.volume.data_dir.clone(),
            mode: config.policy.lease,
            renew: config.lease.renew,
            stale: config.lease.stale,
            fence: config.policy.lease_fence,
            pod_uid: config.lease.pod_uid.clone(),
            node: config.lease.node.clone(),
            state_dir: config.state_dir.clone(),
            contends: true,
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            strict: self.mode == LeaseMode::Strict,
            renew: self.renew,
            stale: self.stale,
            fence: self.fence,
            look: LOOK.min(self.renew),
        }
    }
}

/// A command to the lease holder's thread.
enum Command {
    Contend(bool),
    SeeEngine(Option<ProcessId>),
    Run(Box<dyn FnOnce(&Path) + Send>),
    Release(SyncSender<()>),
}

/// The handle of the running thread. Its clones share the thread. When the last one is dropped, the thread
/// ends after its present step and keeps the lease, which is stale after a while, or taken over at once by
/// the next run in the same pod.
#[derive(Clone, Debug)]
pub struct LeaseHolder {
    // Dropped before the waker is, which has the thread look at it.
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

/// Starts the thread. `place` finds the directory of the volume with `master.mdf`, and may wait for it.
/// `keep` keeps the lock beside the claim for as long as the engine can run; without it there is none.
/// `report` takes the lease's state, at each change and with each renewal, and may wait.
///
/// # Errors
///
/// The system has no thread or descriptor left.
pub fn spawn<P, R>(
    mut config: HolderConfig,
    place: P,
    keep: Option<Keep>,
    report: R,
) -> io::Result<LeaseHolder>
where
    P: FnOnce() -> PathBuf + Send + 'static,
    R: Fn(LeaseReport) + Send + 'static,
{
    let (commands, theirs) = channel();
    let (wait, waker) = Wait::new()?;
    if config.mode == LeaseMode::Off {
        warn!("there is no lease (`lease` is off): nothing keeps two pods from writing one volume");
    }
    thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            config.data_dir = place();
            Work::new(config, wait, keep, report).run(&theirs);
        })?;
    Ok(LeaseHolder { commands, waker })
}

impl LeaseHolder {
    /// Sets whether this thread contends for the lease. Where it does not, another process of the same pod
    /// does so.
    pub fn contend(&self, contends: bool) {
        self.send(Command::Contend(contends));
    }

    /// Reports which engine runs under the lease, by its outer process as this pid namespace shows it: a
    /// later run recognizes the claim as its own by it. Returns at once.
    pub fn see_engine(&self, engine: Option<ProcessId>) {
        self.send(Command::SeeEngine(engine));
    }

    /// Runs a job on the volume, which is given its data directory, in the thread. Returns at once.
    pub fn run(&self, job: impl FnOnce(&Path) + Send + 'static) {
        self.send(Command::Run(Box::new(job)));
    }

    /// Waits until all earlier commands are done. Returns whether that was within `patience`.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        self.run(move |_| {
            // Nobody waits any more where it took too long.
            let _ = done.send(());
        });
        flushed.recv_timeout(patience).is_ok()
    }

    /// Gives the lease up, so that another pod need not wait. Returns whether that was done within
    /// `patience`.
    #[must_use]
    pub fn release(&self, _proof: EngineGone, patience: Duration) -> bool {
        let (done, released) = sync_channel(1);
        self.send(Command::Release(done));
        released.recv_timeout(patience).is_ok()
    }

    fn send(&self, command: Command) {
        // The thread ends only when this is dropped.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests;
