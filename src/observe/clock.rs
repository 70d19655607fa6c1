//! The supervised clock of the observers, and the observer of the supervisor itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Sink;
use crate::decide::observation::Observation;
use crate::decide::time::{SupervisedClock, Time};

/// A [`SupervisedClock`] fed from CLOCK_MONOTONIC, shared by the observers.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    clock: SupervisedClock,
    /// A stall that no one has fetched yet.
    stall: Option<Duration>,
}

impl Clock {
    /// Starts at zero, now.
    #[must_use]
    pub fn start(stall_after: Duration) -> Self {
        Self {
            origin: Instant::now(),
            inner: Arc::new(Mutex::new(Inner {
                clock: SupervisedClock::new(stall_after),
                stall: None,
            })),
        }
    }

    /// The present moment. Whoever asks first after a stall makes the clock leave it out.
    #[must_use]
    pub fn now(&self) -> Time {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, stall) = inner.clock.advance(self.origin.elapsed());
        if let Some(gap) = stall {
            inner.stall = Some(inner.stall.unwrap_or_default() + gap);
        }
        now
    }

    /// The present moment for another thread: it must not end a stall of the one that decides, which
    /// would never be seen then.
    #[must_use]
    pub fn peek(&self) -> Time {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock.peek(self.origin.elapsed())
    }

    /// The moment at which `tokio`'s clock will show `at`, if no stall comes between.
    #[must_use]
    pub fn instant(&self, at: Time) -> Instant {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.origin + inner.clock.lost() + at.elapsed()
    }

    fn take_stall(&self) -> Option<Duration> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stall
            .take()
    }
}

/// Reads the clock at each tick, so that a gap between two readings is a stall, and reports those.
/// Ends never; drop it to end it.
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
