//! The moment until which the engine may run, in CLOCK_BOOTTIME.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::channel::{FENCE, NO_LIMIT};
use super::log::{Log, Value};

/// A moment, and a timer that becomes readable when the moment has come, at once after a suspend.
#[derive(Debug)]
pub struct Deadline {
    timer: TimerFd,
    until: u64,
    log: Log,
}

impl Deadline {
    /// Returns a deadline that never comes.
    ///
    /// # Errors
    ///
    /// The kernel has no such timer, or no descriptor left.
    pub fn none(log: Log) -> nix::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self {
            timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?,
            until: NO_LIMIT,
            log,
        })
    }

    /// Returns the descriptor that becomes readable when the deadline has come; none where the deadline is
    /// not set, or has passed already, so that it does not wake the loop for nothing.
    #[must_use]
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        let ahead = self.until != NO_LIMIT && !self.is_over();
        ahead.then(|| self.timer.as_fd())
    }

    /// Sets the deadline to these nanoseconds since the machine's start.
    pub fn set(&mut self, until: u64) {
        self.until = until;
        let set = match until {
            NO_LIMIT => self.timer.unset(),
            until => {
                // Zero would unset it.
                let at = TimeSpec::from_duration(Duration::from_nanos(until.max(1)));
                let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
                self.timer.set(Expiration::OneShot(at), absolute)
            }
        };
        if let Err(error) = set {
            // It is looked at in each turn all the same, which the agent's silence causes at the latest.
            let fields = [("error", Value::Text(&error))];
            self.log.warn("the lease's timer can't be set", &fields);
        }
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.until == FENCE || self.until <= now()
    }
}

/// Returns the nanoseconds of CLOCK_BOOTTIME. They suffice for 584 years.
#[must_use]
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let span = Duration::try_from(now).unwrap_or_default();
    u64::try_from(span.as_nanos()).unwrap_or(NO_LIMIT)
}
