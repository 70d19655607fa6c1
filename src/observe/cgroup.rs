//! The control group that the engine runs in: memory, oom kills, throttling, freezing, pressure.
//!
//! Version 1, version 2 and hybrids of both. What may not be read, or what a version does not have
//! (version 1 has no pressure per group), is absent. Only the group itself is read: a tighter limit
//! of a group above it, the pod's for one, cannot be seen from inside a container.
//!
//! The files are opened once for each group and read with pread(2) from then on: a round costs one
//! system call a file, walks no path through the container's root file system, which may lie on a
//! disk that hangs, and can still read the oom counter of a group in the moment it is taken down.

mod files;
mod group;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Sink;
use super::process::{EnginePid, PROC_ROOT};
use crate::decide::observation::{CgroupReport, Observation};
pub(super) use group::OomCounter;
use group::{Files, Membership};

/// Reads the control group of `engine_pid` each `interval` and reports it; without an engine, a report in
/// which everything is absent, so that nothing of a former engine is taken for present. Never ends; drop the
/// future to end it.
pub async fn observe(interval: Duration, engine_pid: EnginePid, sink: Sink) {
    let mut meter = Meter::new(PROC_ROOT);
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let report = meter.read(engine_pid.get());
        sink.send(Observation::Cgroup(report)).await;
    }
}

/// The control group of one process, kept open from one reading to the next.
#[derive(Debug)]
struct Meter {
    proc_root: PathBuf,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    pid: i32,
    /// `/proc/PID/cgroup` as it was when the files were opened.
    membership: String,
    files: Files,
    /// The periods and the throttled periods at the reading before.
    before: Option<(u64, u64)>,
}

impl Meter {
    fn new(proc_root: impl AsRef<Path>) -> Self {
        Self {
            proc_root: proc_root.as_ref().to_owned(),
            current: None,
        }
    }

    fn read(&mut self, pid: Option<i32>) -> CgroupReport {
        let Some((pid, membership)) = pid.and_then(|pid| {
            let text = Membership::text(&self.proc_root, pid)?;
            Some((pid, text))
        }) else {
            self.current = None;
            return CgroupReport::default();
        };
        if !matches!(&self.current, Some(c) if c.pid == pid && c.membership == membership) {
            let files = Membership::parse(&self.proc_root, pid, &membership)
                .map(|group| Files::open(&group))
                .unwrap_or_default();
            self.current = Some(Current {
                pid,
                membership,
                files,
                before: None,
            });
        }
        self.current.as_mut().map(Current::read).unwrap_or_default()
    }
}

impl Current {
    fn read(&mut self) -> CgroupReport {
        let mut report = self.files.read();
        let now = report.cpu_periods.zip(report.cpu_throttled_periods);
        report.throttled_ratio = self
            .before
            .zip(now)
            .and_then(|(before, now)| throttled_ratio(before, now));
        self.before = now;
        report
    }
}

/// Returns the share of periods throttled between two readings of (periods, throttled periods), 0 to 1;
/// absent where the group has no quota, and so no periods, or where the counters went backwards.
fn throttled_ratio(before: (u64, u64), now: (u64, u64)) -> Option<f64> {
    let periods = now.0.checked_sub(before.0)?;
    let throttled = now.1.checked_sub(before.1)?;
    if now.0 == 0 {
        return None;
    }
    if periods == 0 {
        return Some(0.0);
    }
    #[allow(clippy::cast_precision_loss)] // a ratio needs no 53 bits
    let ratio = throttled as f64 / periods as f64;
    Some(ratio.min(1.0))
}

#[cfg(test)]
mod tests;
