//! `/metrics`, in Prometheus' text format 0.0.4.
//!
//! What happens (a query is answered, a process ends, a verdict changes) is counted as it happens,
//! by [`Metrics::record`] and [`Metrics::decided`] in the deciding loop. What holds (verdicts,
//! sizes, the kernel's own counters) is taken from the last [`super::Published`] at each scrape,
//! through the same [`View`] as every other answer: a stalled loop can't leave a verdict standing
//! here that the probes have already withdrawn.

mod catalogue;
mod collectors;
mod families;
mod instruments;
mod mirror;
mod own;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::TextEncoder;

pub use catalogue::{names, reference};

use super::view::View;
use super::{new_fence, new_restart, restart_by, words};
use crate::decide::decision::{Decision, Probe};
use crate::decide::observation::{
    Attempt, AttemptResult, ContactError, ExitStatus, Observation, Observed, ProcessExit,
    ProcessId, ProcessReport, ProcessRole, VolumeEvent, VolumeReport, WriteCheck,
};
use crate::decide::snapshot::Snapshot;
use crate::decide::sql_error;
use families::Families;
use instruments::{Contact, Instruments};
use own::OwnProcess;

/// All metrics of the supervisor. Shared by the deciding loop, which counts, and the HTTP thread,
/// which exposes.
#[derive(Debug)]
pub struct Metrics {
    instruments: Instruments,
    own: OwnProcess,
    /// The `sqlservr` process seen last, by which a restart is noticed.
    process: Mutex<Option<ProcessId>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Makes the metrics, with every counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            instruments: Instruments::new(),
            own: OwnProcess::default(),
            process: Mutex::new(None),
        }
    }

    /// Counts an observation. Called once for each, before it is decided upon.
    pub fn record(&self, observed: &Observed<Observation>) {
        let to = &self.instruments;
        match &observed.value {
            Observation::Ping(attempt) => record_attempt(&to.ping, attempt),
            Observation::Login(attempt) => {
                record_attempt(&to.login, attempt);
                if let AttemptResult::Failed(ContactError::Server(error)) = &attempt.result {
                    // Only numbers of the table: an engine could send any, and each is a series.
                    let known = sql_error::classify(error.number).map(|row| row.number);
                    let label = known.map_or_else(|| "other".to_owned(), |n| n.to_string());
                    to.login_errors.with_label_values(&[&label]).inc();
                }
            }
            Observation::Process(ProcessReport::Exited(exit)) => {
                let role = match exit.role {
                    ProcessRole::Parent => "parent",
                    ProcessRole::Engine => "engine",
                };
                let cause = exit_cause(exit);
                to.process_exits.with_label_values(&[cause, role]).inc();
            }
            Observation::Volume(report) => self.record_volume(report),
            Observation::Action(report) => {
                let step = words::restart_step(&report.step);
                to.restart_steps.with_label_values(&[step]).inc();
            }
            Observation::Stall(length) => {
                to.stalls.inc();
                to.stalled.inc_by(length.as_secs_f64());
            }
            Observation::Process(_)
            | Observation::Layout(_)
            | Observation::Files(_)
            | Observation::Diagnostics(_)
            | Observation::Databases(_)
            | Observation::Cgroup(_)
            | Observation::RestartsInPlace(_)
            | Observation::AgentLog(_)
            | Observation::Lease(_)
            | Observation::AgentLease(_)
            | Observation::Server(_)
            | Observation::Certificates(_)
            | Observation::Dac(_)
            | Observation::Kernel(_)
            | Observation::Listeners(_)
            | Observation::Host(_)
            | Observation::Link(_)
            | Observation::Operator(_) => {}
        }
    }

    fn record_volume(&self, report: &VolumeReport) {
        let to = &self.instruments;
        let volume = report.volume.name.as_str();
        let VolumeEvent::Checked(check) = &report.event else {
            return to.knows_volume(volume);
        };
        match check.write {
            WriteCheck::Written(latency) => {
                let durations = to.volume_write.with_label_values(&[volume]);
                durations.observe(latency.as_secs_f64());
            }
            WriteCheck::Failed(fault) => {
                let kind = words::volume_fault_kind(fault);
                to.volume_failures.with_label_values(&[kind, volume]).inc();
            }
            WriteCheck::Skipped => {}
        }
    }

    /// Counts a decision and the answers that it changed. Called once for each.
    pub fn decided(&self, previous: Option<&Decision>, current: &Decision, snapshot: &Snapshot) {
        self.instruments.decisions.inc();
        for probe in Probe::ALL {
            let verdict = current.answer(probe).verdict;
            if previous.is_some_and(|previous| previous.answer(probe).verdict != verdict) {
                let labels = [probe.name(), words::verdict(verdict)];
                self.instruments
                    .transitions
                    .with_label_values(&labels)
                    .inc();
            }
        }
        if let Some(last) = new_restart(previous, current) {
            for reason in &last.reasons {
                let labels = [restart_by(last.by), reason.code()];
                self.instruments.restarts.with_label_values(&labels).inc();
            }
        }
        if let Some(fence) = new_fence(previous, current) {
            for reason in &fence.reasons {
                let fences = &self.instruments.fences;
                fences.with_label_values(&[reason.code()]).inc();
            }
        }
        let running = snapshot
            .process
            .as_ref()
            .and_then(|seen| match &seen.value {
                ProcessReport::Running(running) => Some(running.parent),
                ProcessReport::NotFound | ProcessReport::Exited(_) => None,
            });
        if let Some(id) = running {
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            if process.replace(id).is_some_and(|before| before != id) {
                self.instruments.process_restarts.inc();
            }
        }
    }

    /// Reads the supervisor's own process, at most every five seconds. `now` counts from any fixed
    /// moment.
    pub fn refresh(&self, now: Duration) {
        self.own.refresh(now);
    }

    /// Returns the exposition. Reads nothing but memory.
    #[must_use]
    pub fn expose(&self, view: &View) -> String {
        let mut mirrored = Families::default();
        let build = [std::env::consts::ARCH, env!("CARGO_PKG_VERSION")];
        mirrored.sample(&catalogue::BUILD_INFO, &build, 1.0);
        mirror::expose(&mut mirrored, view);
        collectors::expose(&mut mirrored, view);
        self.own.expose(&mut mirrored);
        let mut families = self.instruments.gather();
        families.append(&mut mirrored.into_vec());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "metrics are incomplete");
        }
        text
    }
}

fn record_attempt(contact: &Contact, attempt: &Attempt) {
    match &attempt.result {
        AttemptResult::Answered { round_trip } => {
            contact.duration.observe(round_trip.as_secs_f64());
        }
        AttemptResult::Failed(error) => {
            let kind = words::contact_error_kind(error);
            contact.failures.with_label_values(&[kind]).inc();
        }
    }
}

/// Returns the cause of a process's end, from a closed set. Signal numbers are Linux's, the same on
/// amd64 and arm64.
fn exit_cause(exit: &ProcessExit) -> &'static str {
    match exit.status {
        _ if exit.oom_killed => "oom_kill",
        Some(ExitStatus::Code(0)) => "code_0",
        Some(ExitStatus::Code(_)) => "code_other",
        Some(ExitStatus::Signal(6)) => "sigabrt",
        Some(ExitStatus::Signal(7)) => "sigbus",
        Some(ExitStatus::Signal(9)) => "sigkill",
        Some(ExitStatus::Signal(11)) => "sigsegv",
        Some(ExitStatus::Signal(15)) => "sigterm",
        Some(ExitStatus::Signal(_)) => "signal_other",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests;
