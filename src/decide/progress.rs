//! The progress of the engine, which distinguishes a hang from hard work.

use std::collections::VecDeque;
use std::time::Duration;

use super::observation::{CgroupReport, Observed, RunningProcess};
use super::time::Time;

/// The number of samples kept per window: with the two windows of [`super::engine::State`] a few kilobytes.
const SAMPLES: u32 = 32;

/// The values of the counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: Time,
    /// The processor time so far, seconds.
    cpu: Counter,
    /// The bytes read and written so far; absent where nobody may read them.
    io: Option<Counter>,
}

/// The value of a counter. The values of two sources can't be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counter {
    source: Source,
    /// The moment at which it was read: a report that is looked at again has no new value.
    at: Time,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Process,
    Cgroup,
}

/// The rates from which on the engine counts as advancing. An idle engine is never quite still: its
/// background threads use some processor time even when no query is answered any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// The processor time per second, as a share of one core.
    pub cpu: f64,
    /// The storage bytes per second.
    pub io: u64,
}

/// A trailing window over the counters of the engine's processes.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    samples: VecDeque<Sample>,
    latest: Option<Sample>,
}

impl Window {
    /// Creates a window that looks back over `span`.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        Self {
            span,
            samples: VecDeque::new(),
            latest: None,
        }
    }

    /// Forgets everything: another process has taken the place of the one that was measured.
    pub fn reset(&mut self) {
        self.samples.clear();
        self.latest = None;
    }

    /// Takes in an observation. One that is not younger than the last changes nothing. Where the counters of
    /// the process may not be read, those of its control group count.
    pub fn push(
        &mut self,
        at: Time,
        process: &RunningProcess,
        cgroup: Option<&Observed<CgroupReport>>,
    ) {
        let of_process = |value| Counter {
            source: Source::Process,
            at,
            value,
        };
        let of_cgroup = |read: fn(&CgroupReport) -> Option<f64>| {
            let seen = cgroup?;
            Some(Counter {
                source: Source::Cgroup,
                at: seen.at,
                value: read(&seen.value)?,
            })
        };
        let cpu = process.cpu.map(|cpu| of_process(cpu.as_secs_f64()));
        let cpu = cpu.or_else(|| of_cgroup(|cgroup| Some(cgroup.cpu_used?.as_secs_f64())));
        let Some(cpu) = cpu else { return };
        let io = process.io_bytes.map(|bytes| of_process(bytes as f64));
        let io = io.or_else(|| of_cgroup(|cgroup| Some(cgroup.io_bytes? as f64)));
        let sample = Sample { at, cpu, io };
        if self.latest.is_some_and(|latest| latest.at >= sample.at) {
            return;
        }
        self.latest = Some(sample);
        let spacing = self.span / SAMPLES;
        if self
            .samples
            .back()
            .is_none_or(|last| sample.at.since(last.at) >= spacing)
        {
            self.samples.push_back(sample);
        }
        while self
            .samples
            .front()
            .is_some_and(|first| sample.at.since(first.at) > self.span * 2)
        {
            self.samples.pop_front();
        }
    }

    /// Whether the counters advanced by more than `floor` over the span that ends at `now`; absent
    /// while that is not known: the counters may not be read, or the samples are too few or too old.
    #[must_use]
    pub fn advanced(&self, now: Time, floor: Floor) -> Option<bool> {
        let samples = self.samples.iter().copied().chain(self.latest);
        let samples = samples.filter(|sample| now.since(sample.at) <= self.span);
        let cpu = self.rate(samples.clone().map(|sample| sample.cpu));
        let io = samples.filter_map(|sample| sample.io);
        let io = match io.clone().next() {
            // Nobody may read it: the processor time alone counts.
            None => Some(0.0),
            Some(_) => self.rate(io),
        };
        let reached = |rate: Option<f64>, floor: f64| rate.map(|rate| rate >= floor);
        match (reached(cpu, floor.cpu), reached(io, floor.io as f64)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    /// Returns the rate of a counter per second; absent where too little of the span is covered by values
    /// of the source that the last one has.
    fn rate(&self, values: impl Iterator<Item = Counter> + Clone) -> Option<f64> {
        let last = values.clone().last()?;
        let first = values
            .clone()
            .find(|counter| counter.source == last.source)?;
        let covered = last.at.since(first.at);
        let enough = covered >= self.span.mul_f64(0.75);
        enough.then(|| (last.value - first.value) / covered.as_secs_f64())
    }
}

/// The last moment at which a value moved that stands still unless work goes on: the size of the errorlog,
/// the percentage of a recovery, a growing core.
#[derive(Clone, Debug)]
pub struct Mark<T> {
    last: Option<T>,
    moved: Option<Time>,
}

impl<T> Default for Mark<T> {
    fn default() -> Self {
        Self {
            last: None,
            moved: None,
        }
    }
}

impl<T: PartialEq> Mark<T> {
    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes in the present value; absent where it can't be had now.
    pub fn see(&mut self, value: Option<T>, now: Time) {
        let Some(value) = value else { return };
        if self.last.as_ref().is_some_and(|last| *last != value) {
            self.moved = Some(now);
        }
        self.last = Some(value);
    }

    /// Takes in the present value of what counts: less than before is a new beginning, and no movement.
    pub fn rise(&mut self, value: T, now: Time)
    where
        T: PartialOrd,
    {
        if self.last.as_ref().is_some_and(|last| value > *last) {
            self.moved = Some(now);
        }
        self.last = Some(value);
    }

    /// Returns the moment at which the value last moved.
    #[must_use]
    pub fn moved(&self) -> Option<Time> {
        self.moved
    }

    /// Whether the value moved within `span` before `now`.
    #[must_use]
    pub fn moved_within(&self, span: Duration, now: Time) -> bool {
        self.moved.is_some_and(|moved| now.since(moved) < span)
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::{ProcessId, RunState};
    use super::*;

    #[test]
    fn a_window_stays_small_whatever_the_pace_of_the_observations() {
        let process = RunningProcess {
            parent: ProcessId {
                pid: 99,
                start_ticks: 1,
            },
            engine: None,
            parent_state: RunState::Sleeping,
            state: RunState::Sleeping,
            dumper: None,
            cpu: Some(Duration::ZERO),
            io_bytes: None,
            resident_bytes: None,
            threads: None,
            open_fds: None,
            companions: 0,
        };
        for pace in [1, 97, 1250, 5000] {
            let pace = Duration::from_millis(pace);
            let mut window = Window::new(Duration::from_secs(40));
            for step in 0..100_000_u32 {
                window.push(Time::from_start(pace * step), &process, None);
            }
            // Two spans at a thirty-second of one each, and the edges.
            let count = window.samples.len();
            assert!(count <= 66, "{count} samples at a pace of {pace:?}");
        }
    }
}
