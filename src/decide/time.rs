//! Monotonic time, passed in: nothing under [`crate::decide`] reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on the supervised clock: time since the supervisor started, less the time in which it
/// did not run (paused, starved of cpu, suspended).
///
/// Every age that a rule computes is a difference of two such moments, so a pause of the supervisor
/// makes nothing look old, and a step of the wall clock is not seen at all.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(Duration);

impl Time {
    /// The moment at which the supervisor started.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Returns the moment `elapsed` after the supervisor's start.
    #[must_use]
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the time from the supervisor's start to this moment.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// Returns the time from `earlier` to this moment; zero where `earlier` lies after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns this moment plus `span`; the last moment that can be represented where the sum can't be.
    #[must_use]
    pub const fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// The clock that turns raw monotonic readings into supervised [`Time`] by leaving out the gaps in which
/// the supervisor did not run.
///
/// Its owner reads it at least each [`TICK`](Self::TICK). Two readings further apart than
/// `stall_after` mean that nothing ran in between: the whole gap is left out, and reported once. The raw
/// clock stops while the machine is suspended, so that this time is in no reading; it is reported all the
/// same ([`Self::suspended`]), because other machines went on.
#[derive(Clone, Debug)]
pub struct SupervisedClock {
    stall_after: Duration,
    last_raw: Duration,
    lost: Duration,
    suspended: Duration,
}

impl SupervisedClock {
    /// The longest time that the clock's owner lets pass between two readings.
    pub const TICK: Duration = Duration::from_millis(250);
    /// The shortest suspend that is reported.
    pub const LEAST_SUSPEND: Duration = Duration::from_millis(100);

    /// Creates a clock that starts at the raw reading zero. `stall_after` is raised to four ticks, below
    /// which an ordinary delay of the scheduler would count as a stall.
    #[must_use]
    pub fn new(stall_after: Duration) -> Self {
        Self {
            stall_after: stall_after.max(Self::TICK * 4),
            last_raw: Duration::ZERO,
            lost: Duration::ZERO,
            suspended: Duration::ZERO,
        }
    }

    /// Takes in the time for which the machine has been suspended in all, by how far CLOCK_BOOTTIME is ahead
    /// of CLOCK_MONOTONIC. Returns what is new of it, where that is more than the readings of two clocks may
    /// differ by.
    pub fn suspended(&mut self, total: Duration) -> Option<Duration> {
        let more = total.saturating_sub(self.suspended);
        (more >= Self::LEAST_SUSPEND).then(|| {
            self.suspended = total;
            more
        })
    }

    /// Takes in a raw reading. Returns the supervised moment and, if one ends here, the length of the
    /// stall. A reading that goes backwards counts as no time having passed.
    pub fn advance(&mut self, raw: Duration) -> (Time, Option<Duration>) {
        let gap = raw.saturating_sub(self.last_raw);
        self.last_raw = self.last_raw.max(raw);
        let stalled = (gap > self.stall_after).then_some(gap);
        if let Some(gap) = stalled {
            self.lost += gap;
        }
        (self.now(), stalled)
    }

    /// Returns the moment at a raw reading of somebody who does not own the clock. It ends no stall, and
    /// where the owner has not read for longer than a stall takes to be one, it stands still.
    #[must_use]
    pub fn peek(&self, raw: Duration) -> Time {
        let ahead = raw.saturating_sub(self.last_raw).min(self.stall_after);
        self.now().plus(ahead)
    }

    /// Returns the moment of the last reading, without a new one.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.last_raw.saturating_sub(self.lost))
    }

    /// Returns all the time in which the owner did not run by the raw reading `raw` of somebody else, and
    /// with the machine `suspended` for so long in all. Unlike [`Self::lost`] it takes in a gap that the
    /// owner has not ended yet, and what the machine was suspended for.
    #[must_use]
    pub fn left_out(&self, raw: Duration, suspended: Duration) -> Duration {
        let gap = raw.saturating_sub(self.last_raw);
        let open = if gap > self.stall_after {
            gap
        } else {
            Duration::ZERO
        };
        self.lost + open + suspended.max(self.suspended)
    }

    /// Returns all the time that was left out so far.
    #[must_use]
    pub fn lost(&self) -> Duration {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_left_out_and_reported_once() {
        let mut clock = SupervisedClock::new(Duration::from_secs(2));
        assert_eq!(clock.advance(Duration::from_secs(1)).1, None);
        let (at, stall) = clock.advance(Duration::from_secs(61));
        assert_eq!(at, Time::from_start(Duration::from_secs(1)));
        assert_eq!(stall, Some(Duration::from_secs(60)));
        let (at, stall) = clock.advance(Duration::from_secs(62));
        assert_eq!(at, Time::from_start(Duration::from_secs(2)));
        assert_eq!(stall, None);
        assert_eq!(clock.lost(), Duration::from_secs(60));
    }

    #[test]
    fn a_suspend_is_reported_once_and_moves_no_reading() {
        let mut clock = SupervisedClock::new(Duration::from_secs(2));
        let before = clock.advance(Duration::from_secs(1)).0;
        assert_eq!(clock.suspended(Duration::from_millis(99)), None);
        let suspended = Duration::from_secs(3600);
        assert_eq!(clock.suspended(suspended), Some(suspended));
        assert_eq!(clock.suspended(suspended + Duration::from_millis(99)), None);
        assert_eq!(clock.suspended(Duration::ZERO), None);
        assert_eq!(clock.suspended(suspended * 2), Some(suspended));
        assert_eq!(clock.advance(Duration::from_secs(1)), (before, None));
    }

    #[test]
    fn who_only_peeks_neither_ends_a_stall_nor_runs_ahead_of_it() {
        let mut clock = SupervisedClock::new(Duration::from_secs(2));
        clock.advance(Duration::from_secs(1));
        let peek = |seconds| clock.peek(Duration::from_secs(seconds));
        assert_eq!(peek(2), Time::from_start(Duration::from_secs(2)));
        assert_eq!(peek(60), Time::from_start(Duration::from_secs(3)));
        let (_, stall) = clock.advance(Duration::from_secs(61));
        assert_eq!(stall, Some(Duration::from_secs(60)));
    }

    #[test]
    fn what_is_left_out_takes_in_a_gap_that_has_not_ended_and_a_suspend() {
        let at = Duration::from_secs;
        let mut clock = SupervisedClock::new(at(2));
        clock.advance(at(1));
        assert_eq!(clock.left_out(at(3), Duration::ZERO), Duration::ZERO);
        assert_eq!(clock.left_out(at(61), Duration::ZERO), at(60));
        clock.advance(at(61));
        assert_eq!(clock.left_out(at(62), Duration::ZERO), at(60));
        assert_eq!(clock.left_out(at(62), at(7)), at(67), "not reported yet");
        assert_eq!(clock.suspended(at(7)), Some(at(7)));
        assert_eq!(clock.left_out(at(62), Duration::ZERO), at(67));
    }

    #[test]
    fn a_reading_that_goes_backwards_moves_nothing() {
        let mut clock = SupervisedClock::new(Duration::from_secs(2));
        clock.advance(Duration::from_millis(900));
        let (at, stall) = clock.advance(Duration::from_millis(100));
        assert_eq!(
            (at, stall),
            (Time::from_start(Duration::from_millis(900)), None)
        );
        let (at, _) = clock.advance(Duration::from_millis(1000));
        assert_eq!(at, Time::from_start(Duration::from_millis(1000)));
    }

    #[test]
    fn differences_saturate() {
        let late = Time::from_start(Duration::from_secs(5));
        assert_eq!(Time::ZERO.since(late), Duration::ZERO);
        assert_eq!(late.plus(Duration::MAX), Time::from_start(Duration::MAX));
    }
}
