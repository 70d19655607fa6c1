//! The supervised clock of the observers, and the observer of the supervisor itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Sink;
use crate::decide::observation::Observation;
use crate::decide::time::{SupervisedClock, Time};

/// A [`SupervisedClock`] fed from CLOCK_MONOTONIC, shared by the observers. A suspend of the machine, which
/// that clock does not count, is noticed by CLOCK_BOOTTIME, which does.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    /// The time by which CLOCK_BOOTTIME was ahead at the origin.
    ahead: Duration,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    clock: SupervisedClock,
    /// The stall that no one has fetched yet.
    stall: Option<Duration>,
}

impl Clock {
    /// Starts a clock at zero, now.
    #[must_use]
    pub fn start(stall_after: Duration) -> Self {
        Self {
            origin: Instant::now(),
            // The best of a few: one that is held up between its readings would show as a suspend later.
            ahead: (0..3).map(|_| boottime_ahead()).max().unwrap_or_default(),
            inner: Arc::new(Mutex::new(Inner {
                clock: SupervisedClock::new(stall_after),
                stall: None,
            })),
        }
    }

    /// Returns the present moment. The first reading after a stall makes the clock leave the stall out.
    #[must_use]
    pub fn now(&self) -> Time {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let suspended = boottime_ahead().saturating_sub(self.ahead);
        let suspended = inner.clock.suspended(suspended);
        let (now, stall) = inner.clock.advance(self.origin.elapsed());
        for gap in [stall, suspended].into_iter().flatten() {
            inner.stall = Some(inner.stall.unwrap_or_default() + gap);
        }
        now
    }

    /// Returns the present moment to another thread, which must not end a stall of the deciding one: that
    /// stall would never be seen then.
    #[must_use]
    pub fn peek(&self) -> Time {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock.peek(self.origin.elapsed())
    }

    /// Returns all the time for which the supervisor has not run, suspends of the machine included: what was
    /// reported of it by [`Self::take_stall`], and what is yet to be.
    #[must_use]
    pub fn left_out(&self) -> Duration {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let suspended = boottime_ahead().saturating_sub(self.ahead);
        inner.clock.left_out(self.origin.elapsed(), suspended)
    }

    /// Returns the moment at which `tokio`'s clock will show `at`, if no stall comes between.
    #[must_use]
    pub fn instant(&self, at: Time) -> Instant {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.origin + inner.clock.lost() + at.elapsed()
    }

    /// Returns the stall that ended with a reading since the last call, a suspend of the machine included.
    /// The deciding thread calls it right after its own reading, before it decides anything.
    #[must_use]
    pub fn take_stall(&self) -> Option<Duration> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stall
            .take()
    }
}

/// Returns the time by which CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC, for which the machine has been
/// suspended. Where the thread is held up between the two readings it is less by that time, never more.
fn boottime_ahead() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let boottime = read(ClockId::Boottime);
    boottime.saturating_sub(read(ClockId::Monotonic))
}

/// Reads the clock at each tick, so that a gap between two readings is a stall, and reports those. Never
/// ends; drop the future to end it.
pub async fn observe(sink: Sink) {
    let mut ticks = tokio::time::interval(SupervisedClock::TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let _ = sink.clock().now();
        if let Some(stall) = sink.clock().take_stall() {
            sink.send(Observation::Stall(stall)).await;
        }
    }
}
