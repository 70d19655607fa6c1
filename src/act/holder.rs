//! The holder: the thread that holds the lease, gives the volume its identity, and writes what else the
//! supervisor records there.
//!
//! Any of its calls may wait for a device that does not answer, so that nobody waits for this thread
//! without a deadline of its own. Where it hangs, its silence tells: [`crate::decide`] judges the age of
//! the last renewal, and in strict mode fences without it.
//!
//! It decides nothing of its own. The steps of the lease come from [`LeaseMachine`], what may be done to
//! the identity from [`crate::decide::identity`]; it carries them out through [`crate::records`].

mod identity;
mod volume;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracing::{info, warn};

use crate::config::Config;
use crate::decide::identity::VolumeInit;
use crate::decide::lease::{LeaseMachine, LeaseMode, LeaseState, LeaseStep, Terms};
use crate::decide::observation::LeaseReport;
use crate::records::claims::Claims;
use crate::records::identity::{Expected, random};
use volume::Identification;

/// The thread's name, as `/proc/PID/task/TID/comm` shows it.
pub const THREAD_NAME: &str = "lease";
/// The thread's stack, bytes.
const STACK_BYTES: usize = 256 * 1024;
/// From one look at another's claim, or at a volume without identity, to the next. A holder that died
/// is followed this much later than its claim is stale.
pub const LOOK: Duration = Duration::from_millis(500);

/// What the holder works with.
#[derive(Clone, Debug)]
pub struct HolderConfig {
    /// The engine's data directory, as this process sees it.
    pub data_dir: PathBuf,
    /// How strongly the lease binds.
    pub mode: LeaseMode,
    /// From one renewal to the next.
    pub renew: Duration,
    /// A claim unchanged for this long is nobody's.
    pub stale: Duration,
    /// A renewal counts for this long.
    pub fence: Duration,
    /// The pod's uid; without it a random name is kept in [`Self::state_dir`].
    pub pod_uid: Option<String>,
    /// The node, for people.
    pub node: Option<String>,
    /// What outlives the supervisor and not its pod.
    pub state_dir: PathBuf,
    /// Whether a volume without identity may be taken into use.
    pub volume_init: VolumeInit,
    /// Which volume is expected.
    pub expected: Expected,
    /// The id of the volume that this pod used before.
    pub remembered: Option<String>,
}

impl HolderConfig {
    /// By the settings. `remembered` is the id of the volume that this pod used before.
    #[must_use]
    pub fn of(config: &Config, remembered: Option<String>) -> Self {
        Self {
            data_dir: config.volume.data_dir.clone(),
            mode: config.policy.lease,
            renew: config.lease.renew,
            stale: config.lease.stale,
            fence: config.policy.lease_fence,
            pod_uid: config.lease.pod_uid.clone(),
            node: config.lease.node.clone(),
            state_dir: config.state_dir.clone(),
            volume_init: config.policy.volume_init,
            expected: Expected {
                id: config.volume.expected_id.clone(),
                file: config.volume.expected_id_file.clone(),
            },
            remembered,
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

/// What the holder may be told.
enum Order {
    Adopt,
    Run(Box<dyn FnOnce(&Path) + Send>),
    Release(SyncSender<()>),
}

/// The running thread. A clone is the same one. With the last one dropped, it ends after its present step and keeps the lease, which is stale after
/// a while, or taken over at once by the next run in the same pod.
#[derive(Clone, Debug)]
pub struct LeaseHolder {
    orders: Sender<Order>,
}

/// Starts the thread. `usable` says whether what lies at the data directory is the volume, as far as its
/// checks tell: nothing is made or accepted as a volume's identity before. `report` takes how it stands
/// with the lease, at each change and with each renewal, and may wait.
///
/// # Errors
///
/// The system has no thread left.
pub fn spawn<U, R>(config: HolderConfig, usable: U, report: R) -> io::Result<LeaseHolder>
where
    U: Fn() -> bool + Send + 'static,
    R: Fn(LeaseReport) + Send + 'static,
{
    let (orders, theirs) = channel();
    if config.mode == LeaseMode::Off {
        warn!("there is no lease (`lease` is off): nothing keeps two pods from writing one volume");
    }
    thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || Work::new(config, usable, report).run(&theirs))?;
    Ok(LeaseHolder { orders })
}

impl LeaseHolder {
    /// Has the volume accepted as it is now: its identity is kept aside, and a new one written. Returns
    /// at once; what comes of it is logged, and seen by the next check of the volume.
    pub fn adopt(&self) {
        self.tell(Order::Adopt);
    }

    /// Has something else done on the volume, by its data directory. Returns at once.
    pub fn run(&self, job: impl FnOnce(&Path) + Send + 'static) {
        self.tell(Order::Run(Box::new(job)));
    }

    /// Waits until all that was ordered before is done. Returns whether it was within `patience`.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        self.run(move |_| {
            // Nobody waits any more where it took too long.
            let _ = done.send(());
        });
        flushed.recv_timeout(patience).is_ok()
    }

    /// Gives the lease up, so that another pod need not wait. Only where the engine is known to be gone.
    /// Returns whether that was done within `patience`.
    #[must_use]
    pub fn release(&self, patience: Duration) -> bool {
        let (done, released) = sync_channel(1);
        self.tell(Order::Release(done));
        released.recv_timeout(patience).is_ok()
    }

    fn tell(&self, order: Order) {
        // It ends only when this is dropped.
        let _ = self.orders.send(order);
    }
}

/// CLOCK_BOOTTIME, which counts the time in which the machine was suspended.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

struct Work<U, R> {
    config: HolderConfig,
    usable: U,
    report: R,
    /// None: there is no lease.
    machine: Option<LeaseMachine>,
    claims: Claims,
    identification: Identification,
    released: Option<SyncSender<()>>,
    logged: Option<LeaseState>,
}

impl<U: Fn() -> bool, R: Fn(LeaseReport)> Work<U, R> {
    fn new(config: HolderConfig, usable: U, report: R) -> Self {
        let machine = (config.mode != LeaseMode::Off).then(|| {
            let me = identity::this(&config);
            LeaseMachine::new(me, u64::from_ne_bytes(random()), config.terms())
        });
        Self {
            machine,
            claims: Claims::on(&config.data_dir),
            identification: Identification::new(&config),
            config,
            usable,
            report,
            released: None,
            logged: None,
        }
    }

    /// Until nobody can give orders any more.
    fn run(mut self, orders: &Receiver<Order>) {
        let mut step = LeaseStep::Rest(Duration::ZERO);
        loop {
            let reply = match &step {
                LeaseStep::Rest(span) => {
                    self.tell();
                    if !self.rest(*span, orders) {
                        return;
                    }
                    crate::decide::lease::LeaseReply::Done
                }
                step => self.claims.carry_out(step),
            };
            step = match &mut self.machine {
                Some(machine) => machine.next(reply, now()),
                None => LeaseStep::Rest(self.config.renew),
            };
        }
    }

    fn holds(&self) -> bool {
        let holds = |machine: &LeaseMachine| machine.holds(now());
        self.machine.as_ref().is_none_or(holds)
    }

    /// Reports how it stands, and answers who waits for the release.
    fn tell(&mut self) {
        let given_up = |machine: &LeaseMachine| machine.is_released();
        if self.machine.as_ref().is_none_or(given_up)
            && let Some(done) = self.released.take()
        {
            // Nobody waits any more where it took too long.
            let _ = done.send(());
        }
        let Some(machine) = &self.machine else {
            return;
        };
        let state = machine.state(now());
        let changed = self.logged.as_ref().map(std::mem::discriminant)
            != Some(std::mem::discriminant(&state));
        if changed {
            match &state {
                LeaseState::Held { epoch, first, .. } => {
                    info!(epoch, first, holder = machine.me.id, "the lease is held");
                }
                LeaseState::Released => info!("the lease is given up"),
                // What is in the way is logged with its reason.
                _ => {}
            }
            self.logged = Some(state.clone());
        }
        (self.report)(LeaseReport {
            state,
            failure: machine.failure.clone(),
        });
    }

    /// Rests for `span`, obeys, and sees to the identity. False where it is to end.
    fn rest(&mut self, span: Duration, orders: &Receiver<Order>) -> bool {
        let end = now().saturating_add(span);
        loop {
            let may_write = self.holds() && (self.usable)();
            self.identification.tend(may_write);
            let left = end.saturating_sub(now());
            let pause = match self.identification.is_settled() {
                true => left,
                false => left.min(LOOK),
            };
            match orders.recv_timeout(pause) {
                Ok(Order::Adopt) => {
                    let may_write = self.holds() && (self.usable)();
                    self.identification.adopt(may_write);
                }
                Ok(Order::Run(job)) => job(&self.config.data_dir),
                Ok(Order::Release(done)) => {
                    self.released = Some(done);
                    if let Some(machine) = &mut self.machine {
                        machine.release();
                    }
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            if now() >= end {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
