//! The observers: each turns one part of the world into plain [`Observation`]s, at its own pace,
//! under its own deadline.
//!
//! **Architecture invariant:** an observer never judges, and never waits for another one. It sends
//! what it saw into the [`Sink`] and goes on.

pub mod cgroup;
pub mod clock;
pub mod kernel;
pub mod listeners;
pub mod mssql_conf;
pub mod process;
pub mod sql;
#[cfg(test)]
mod testing;
pub mod volume;

use tokio::sync::mpsc;

use crate::decide::observation::{Observation, Observed};
use clock::Clock;

/// The number of observations that may wait for the deciding loop. It takes microseconds for each, so that a
/// full queue means that the loop itself does not run.
pub const QUEUE: usize = 256;

/// The sink into which observers send what they saw.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: mpsc::Sender<Observed<Observation>>,
    clock: Clock,
}

impl Sink {
    /// Returns a sink with its receiving end.
    #[must_use]
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Observed<Observation>>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (Self { queue, clock }, receiver)
    }

    /// Returns the clock by which observations are stamped.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends an observation, stamped with the present moment. Waits while the queue is full.
    /// Where nobody receives any more the observation is dropped: the supervisor is ending.
    pub async fn send(&self, value: Observation) {
        let at = self.clock.now();
        let _ = self.queue.send(Observed { at, value }).await;
    }

    /// Sends an observation from a thread outside the runtime, stamped with the present moment.
    pub fn send_blocking(&self, value: Observation) {
        let at = self.clock.peek();
        let _ = self.queue.blocking_send(Observed { at, value });
    }
}
