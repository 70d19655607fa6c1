//! The parts of `/status` that show what was observed.

use serde::Serialize;

use super::Seconds;
use crate::decide::observation::{
    AttemptResult, CgroupReport, ContactError, Database, Diagnostics, ExitStatus, ProcessExit,
    ProcessId, ProcessReport, ProcessRole, RunState, RunningProcess,
};
use crate::decide::snapshot;
use crate::decide::time::Time;
use crate::publish::view::View;
use crate::publish::words;

/// The `sqlservr` processes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    state: &'static str,
    age_seconds: Seconds,
    #[serde(flatten)]
    running: Option<Running>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_exit: Option<Exit>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pid {
    pid: i32,
    start_ticks: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    parent: Pid,
    engine: Option<Pid>,
    parent_state: RunState,
    engine_state: RunState,
    dumper_pid: Option<i32>,
    cpu_seconds: Option<Seconds>,
    io_bytes: Option<u64>,
    resident_bytes: Option<u64>,
    threads: Option<u64>,
    open_fds: Option<u64>,
    companions: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exit {
    pid: i32,
    role: ProcessRole,
    exit_code: Option<i32>,
    signal: Option<i32>,
    oom_killed: bool,
    age_seconds: Seconds,
}

impl From<ProcessId> for Pid {
    fn from(id: ProcessId) -> Self {
        Self {
            pid: id.pid,
            start_ticks: id.start_ticks,
        }
    }
}

impl Process {
    pub fn of(view: &View) -> Option<Self> {
        let snapshot = &view.published.snapshot;
        let seen = snapshot.process.as_ref()?;
        let (state, running) = match &seen.value {
            ProcessReport::NotFound => ("notFound", None),
            ProcessReport::Exited(_) => ("exited", None),
            ProcessReport::Running(running) => ("running", Some(Running::from(running))),
        };
        let last_exit = snapshot.last_exit.as_ref();
        Some(Self {
            state,
            age_seconds: Seconds(view.ago(seen.at)),
            running,
            last_exit: last_exit.map(|exit| Exit::of(&exit.value, Seconds(view.ago(exit.at)))),
        })
    }
}

impl From<&RunningProcess> for Running {
    fn from(running: &RunningProcess) -> Self {
        Self {
            parent: running.parent.into(),
            engine: running.engine.map(Pid::from),
            parent_state: running.parent_state,
            engine_state: running.state,
            dumper_pid: running.dumper,
            cpu_seconds: running.cpu.map(Seconds),
            io_bytes: running.io_bytes,
            resident_bytes: running.resident_bytes,
            threads: running.threads,
            open_fds: running.open_fds,
            companions: running.companions,
        }
    }
}

impl Exit {
    fn of(exit: &ProcessExit, age_seconds: Seconds) -> Self {
        let (exit_code, signal) = match exit.status {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            pid: exit.process.pid,
            role: exit.role,
            exit_code,
            signal,
            oom_killed: exit.oom_killed,
            age_seconds,
        }
    }
}

/// The engine as it is known over SQL: its version, the contacts with it, and its diagnostics.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sql<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_edition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_answer_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_owed_seconds: Option<Seconds>,
    ping: Contact,
    login: Contact,
    #[serde(skip_serializing_if = "Option::is_none")]
    dac: Option<Contact>,
    diagnostics: DiagnosticsPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    databases_error: Option<String>,
}

impl<'a> Sql<'a> {
    pub fn of(view: &'a View) -> Self {
        let snapshot = &view.published.snapshot;
        let server = snapshot.server.as_ref().map(|seen| &seen.value);
        let ago = |at: Option<Time>| at.map(|at| Seconds(view.ago(at)));
        Self {
            version: server.map(|server| server.version.as_str()),
            edition: server.map(|server| server.edition.as_str()),
            engine_edition: server.map(|server| server.engine_edition),
            last_answer_seconds: ago(snapshot.answers.last),
            answer_owed_seconds: ago(snapshot.answers.owed_since),
            ping: Contact::of(view, &snapshot.ping),
            login: Contact::of(view, &snapshot.login),
            dac: Some(&snapshot.dac)
                .filter(|dac| dac.last.is_some())
                .map(|dac| Contact::of(view, dac)),
            diagnostics: DiagnosticsPart {
                age_seconds: ago(snapshot.diagnostics.last.as_ref().map(|seen| seen.at)),
                unavailable_error: snapshot.diagnostics.unavailable.map(|error| error.number),
                report: snapshot.diagnostics.last.as_ref().map(|seen| &seen.value),
            },
            databases_error: snapshot
                .databases_error
                .as_ref()
                .map(|seen| words::contact_error(&seen.value)),
        }
    }
}

/// The last contact of one kind with the engine.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contact {
    /// The result: `answered`, `failed` or `unknown`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_seconds: Option<Seconds>,
    failures: u32,
}

impl Contact {
    fn of(view: &View, contact: &snapshot::Contact) -> Self {
        let mut part = Self {
            result: "unknown",
            age_seconds: None,
            round_trip_seconds: None,
            error: None,
            error_kind: None,
            error_number: None,
            last_success_seconds: contact.last_success.map(|at| Seconds(view.ago(at))),
            failures: contact.failures,
        };
        let Some(last) = &contact.last else {
            return part;
        };
        part.age_seconds = Some(Seconds(view.ago(last.at)));
        match &last.value.result {
            AttemptResult::Answered { round_trip } => {
                part.result = "answered";
                part.round_trip_seconds = Some(Seconds(*round_trip));
            }
            AttemptResult::Failed(error) => {
                part.result = "failed";
                part.error = Some(words::contact_error(error));
                part.error_kind = Some(words::contact_error_kind(error));
                if let ContactError::Server(error) = error {
                    part.error_number = Some(error.number);
                }
            }
        }
        part
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiagnosticsPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_error: Option<u32>,
    #[serde(flatten)]
    report: Option<&'a Diagnostics>,
}

/// A database.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseView<'a> {
    name: &'a str,
    /// The state as `sys.databases.state_desc` spells it, in lower case; the metrics' label is the
    /// same.
    state: &'static str,
    read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_remaining_seconds: Option<Seconds>,
}

impl<'a> From<&'a Database> for DatabaseView<'a> {
    fn from(database: &'a Database) -> Self {
        Self {
            name: &database.name,
            state: words::database_state(database.state),
            read_only: database.read_only,
            recovery_percent: database.recovery_percent,
            recovery_remaining_seconds: database.recovery_remaining.map(Seconds),
        }
    }
}

/// The control group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    age_seconds: Seconds,
    memory_limit_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    oom_kills: Option<u64>,
    cpu_used_seconds: Option<Seconds>,
    io_bytes: Option<u64>,
    cpu_periods: Option<u64>,
    cpu_throttled_periods: Option<u64>,
    cpu_throttled_seconds: Option<Seconds>,
    throttled_ratio: Option<f64>,
    frozen: Option<bool>,
    pressure_cpu_percent: Option<f64>,
    pressure_memory_percent: Option<f64>,
    pressure_io_percent: Option<f64>,
}

impl Cgroup {
    pub fn of(view: &View) -> Option<Self> {
        let seen = view.published.snapshot.cgroup.as_ref()?;
        let report: &CgroupReport = &seen.value;
        Some(Self {
            age_seconds: Seconds(view.ago(seen.at)),
            memory_limit_bytes: report.memory_limit_bytes,
            memory_bytes: report.memory_bytes,
            oom_kills: report.oom_kills,
            cpu_used_seconds: report.cpu_used.map(Seconds),
            io_bytes: report.io_bytes,
            cpu_periods: report.cpu_periods,
            cpu_throttled_periods: report.cpu_throttled_periods,
            cpu_throttled_seconds: report.cpu_throttled.map(Seconds),
            throttled_ratio: report.throttled_ratio,
            frozen: report.frozen,
            pressure_cpu_percent: report.pressure_cpu,
            pressure_memory_percent: report.pressure_memory,
            pressure_io_percent: report.pressure_io,
        })
    }
}
