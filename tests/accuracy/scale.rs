//! One factor for all durations, so that a suite of hours takes minutes. A scenario, a probe and the
//! supervisor's settings are written in seconds as they are in reality; what waits, waits a tenth of
//! them. What is printed is in real seconds again.
//!
//! Not scaled is what belongs to the machine and not to the contestants: what a check costs, and how
//! late a process is woken. A lateness of 10 ms is printed as 100 ms therefore. The floor that the
//! suite measures beside itself ([`crate::floor`]) says how much of that there was.

use std::time::Duration;

/// How much faster than in reality.
pub const FACTOR: u32 = 10;

/// No timeout is shorter on this machine, whoever's it is: below that its scheduling would decide.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(500);

/// `seconds` of reality, as long as they take here.
pub fn scaled(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0) / f64::from(FACTOR))
}

/// A timeout of so many real seconds.
pub fn timeout(seconds: f64) -> Duration {
    scaled(seconds).max(SHORTEST_TIMEOUT)
}

/// What took `span` here, in seconds of reality.
pub fn seconds(span: Duration) -> f64 {
    span.as_secs_f64() * f64::from(FACTOR)
}

/// Real seconds as milliseconds of this machine: for the stand-in's script.
pub fn scaled_ms(seconds: f64) -> u64 {
    u64::try_from(scaled(seconds).as_millis()).unwrap_or(u64::MAX)
}
