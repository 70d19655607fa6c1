//! Observations in plain words, for the lines of checks. Nothing parses them.

use crate::decide::decision::Verdict;
use crate::decide::observation::{
    ActionStep, Attempt, AttemptResult, AttemptStage, ContactError, DatabaseState, ExitStatus,
    ProcessExit, ProcessReport, ProcessRole, RunState, ServerError, VolumeCheck, VolumeFault,
    WriteCheck,
};
use crate::decide::sql_error;
use crate::summary::units;

/// Returns `text` on one line: what can't be printed becomes a space, so that a name taken from
/// outside can't forge a line of its own.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

pub const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
    }
}

/// Returns the step as it is used in labels and documents.
pub const fn restart_step(step: &ActionStep) -> &'static str {
    match step {
        ActionStep::Terminated => "terminated",
        ActionStep::Killed => "killed",
        ActionStep::Done => "done",
        ActionStep::Failed(_) => "failed",
    }
}

pub fn attempt(attempt: &Attempt) -> String {
    match &attempt.result {
        AttemptResult::Answered { round_trip } => {
            format!("answered in {}", units::span(*round_trip))
        }
        AttemptResult::Failed(error) => contact_error(error),
    }
}

pub fn contact_error(error: &ContactError) -> String {
    match error {
        ContactError::Refused => "connection refused".to_owned(),
        ContactError::Closed => "connection closed by the engine".to_owned(),
        ContactError::TimedOut(AttemptStage::Connect) => "timed out connecting".to_owned(),
        ContactError::TimedOut(AttemptStage::Prelogin) => {
            "timed out before the prelogin was answered".to_owned()
        }
        ContactError::TimedOut(AttemptStage::Login) => "timed out logging in".to_owned(),
        ContactError::TimedOut(AttemptStage::Query) => "timed out in the query".to_owned(),
        ContactError::Unreachable(why) => format!("unreachable: {why}"),
        ContactError::Server(error) => server_error(error),
        ContactError::Tls(why) => format!("TLS: {why}"),
        ContactError::Protocol(why) => format!("not TDS as expected: {why}"),
        ContactError::Credentials(why) => format!("no usable credentials: {why}"),
    }
}

/// Returns the kind of failure, from a closed set fit for a metric's label.
pub const fn contact_error_kind(error: &ContactError) -> &'static str {
    match error {
        ContactError::Refused => "refused",
        ContactError::Closed => "closed",
        ContactError::TimedOut(AttemptStage::Connect) => "connect_timeout",
        ContactError::TimedOut(AttemptStage::Prelogin | AttemptStage::Login) => "login_timeout",
        ContactError::TimedOut(AttemptStage::Query) => "query_timeout",
        ContactError::Unreachable(_) => "unreachable",
        ContactError::Server(_) => "server",
        ContactError::Tls(_) => "tls",
        ContactError::Protocol(_) => "protocol",
        ContactError::Credentials(_) => "credentials",
    }
}

pub fn server_error(error: &ServerError) -> String {
    let name = sql_error::classify(error.number).map_or("not in the table", |row| row.name);
    format!("error {} ({name}), state {}", error.number, error.state)
}

pub fn process(report: &ProcessReport) -> String {
    match report {
        ProcessReport::NotFound => "no process found".to_owned(),
        ProcessReport::Exited(exit) => self::exit(exit),
        ProcessReport::Running(running) => {
            let engine = running.engine.map_or_else(
                || "no engine yet".to_owned(),
                |engine| format!("engine {}", engine.pid),
            );
            format!(
                "parent {}, {engine}, {}",
                running.parent.pid,
                run_state(running.state)
            )
        }
    }
}

pub const fn run_state(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Sleeping => "sleeping",
        RunState::DiskSleep => "waiting for storage",
        RunState::Stopped => "stopped",
        RunState::Traced => "traced",
        RunState::Zombie => "zombie",
        RunState::Other => "in an unknown state",
    }
}

pub fn exit(exit: &ProcessExit) -> String {
    let role = match exit.role {
        ProcessRole::Parent => "parent",
        ProcessRole::Engine => "engine",
    };
    let how = match exit.status {
        _ if exit.oom_killed => "was killed for want of memory".to_owned(),
        Some(ExitStatus::Code(code)) => format!("exited with code {code}"),
        Some(ExitStatus::Signal(signal)) => format!("was ended by signal {signal}"),
        None => "ended, the kernel does not say how".to_owned(),
    };
    format!("{role} {} {how}", exit.process.pid)
}

pub fn volume(check: &VolumeCheck) -> String {
    let write = match check.write {
        WriteCheck::Written(latency) => format!("written in {}", units::span(latency)),
        WriteCheck::Failed(fault) => format!("write failed: {}", volume_fault(fault)),
        WriteCheck::Skipped => "write not tried".to_owned(),
    };
    match &check.space {
        Some(space) => format!(
            "{write}, {} of {} free",
            units::bytes(space.free_bytes),
            units::bytes(space.total_bytes)
        ),
        None => write,
    }
}

pub fn volume_fault(fault: VolumeFault) -> String {
    match fault {
        VolumeFault::ReadOnly => "read-only file system".to_owned(),
        VolumeFault::NoSpace => "no space left".to_owned(),
        VolumeFault::Quota => "quota used up".to_owned(),
        VolumeFault::Io => "input/output error".to_owned(),
        VolumeFault::PermissionDenied => "permission denied".to_owned(),
        VolumeFault::Missing => "directory missing".to_owned(),
        VolumeFault::Stale => "stale mount".to_owned(),
        VolumeFault::NotConnected => "nobody behind the mount".to_owned(),
        VolumeFault::Mismatch => "read back something else".to_owned(),
        VolumeFault::NoDirectIo => "no direct I/O".to_owned(),
        VolumeFault::Other(errno) => format!("errno {errno}"),
    }
}

/// Returns the kind of fault, from a closed set fit for a metric's label.
pub const fn volume_fault_kind(fault: VolumeFault) -> &'static str {
    match fault {
        VolumeFault::ReadOnly => "read_only",
        VolumeFault::NoSpace => "no_space",
        VolumeFault::Quota => "quota",
        VolumeFault::Io => "io",
        VolumeFault::PermissionDenied => "permission_denied",
        VolumeFault::Missing => "missing",
        VolumeFault::Stale => "stale",
        VolumeFault::NotConnected => "not_connected",
        VolumeFault::Mismatch => "mismatch",
        VolumeFault::NoDirectIo => "no_direct_io",
        VolumeFault::Other(_) => "other",
    }
}

/// Returns the state as `sys.databases.state_desc` spells it, in lower case; fit for a metric's
/// label.
pub const fn database_state(state: DatabaseState) -> &'static str {
    match state {
        DatabaseState::Online => "online",
        DatabaseState::Restoring => "restoring",
        DatabaseState::Recovering => "recovering",
        DatabaseState::RecoveryPending => "recovery_pending",
        DatabaseState::Suspect => "suspect",
        DatabaseState::Emergency => "emergency",
        DatabaseState::Offline => "offline",
        DatabaseState::Other(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line("a\r\n[+]b\u{85}c\td"), "a  [+]b c d");
    }
}
