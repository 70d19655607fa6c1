//! When a child that has ended is started anew: at once at first, and later with each child that did not live
//! long.

use std::time::{Duration, Instant};

/// The pause between the first end and the next start.
const FIRST: Duration = Duration::from_millis(10);
/// The time after which the end of a child does not count as one of a row of failures.
const LIVED: Duration = Duration::from_secs(5);

/// The pauses between the starts of one child, each twice as long as the one before.
#[derive(Debug)]
pub struct Backoff {
    longest: Duration,
    pause: Duration,
    started: Instant,
    next: Instant,
}

impl Backoff {
    /// Returns a back-off whose pauses are `longest` at most. The first start is due at once.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        let now = Instant::now();
        Self {
            longest,
            pause: FIRST,
            started: now,
            next: now,
        }
    }

    /// Returns when the next start is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.next
    }

    /// Notes that the child is started at `now`.
    pub fn starts(&mut self, now: Instant) {
        self.started = now;
    }

    /// Notes that the child has ended at `now`, or could not be started.
    pub fn ended(&mut self, now: Instant) {
        if now.duration_since(self.started) >= LIVED {
            self.pause = FIRST;
        }
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_long_life() {
        let mut backoff = Backoff::new(Duration::from_millis(50));
        let mut now = backoff.due();
        let mut pauses = Vec::new();
        for life in [0, 0, 0, 0, 4_999, 5_000, 0] {
            backoff.starts(now);
            now += Duration::from_millis(life);
            backoff.ended(now);
            pauses.push((backoff.due() - now).as_millis());
            now = backoff.due();
        }
        assert_eq!(pauses, [10, 20, 40, 50, 50, 10, 20]);
    }
}
