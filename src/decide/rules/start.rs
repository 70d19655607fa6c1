//! The start of the engine: its progress, its standstill, and the cause of its failure.

use super::super::decision::Phase;
use super::super::diagnosis::describe;
use super::super::faults::cause::{Cause, Facts, cause};
use super::super::findings::{Findings, seconds};
use super::super::observation::{
    ContactError, EngineBuild, EngineLog, ExitStatus, ListenersReport, WriteCheck,
};
use super::super::reason::Reason;
use super::super::snapshot::{Contact, VolumeState};
use super::super::sql_error::{SqlErrorClass, classify};
use super::View;
use super::process::ended_by_supervisor;

/// The value of `SERVERPROPERTY('EngineEdition')` of Azure SQL Edge.
const EDGE_ENGINE_EDITION: i32 = 9;

/// The ends that somebody else wanted: exit code 0, SIGKILL and SIGTERM.
const WANTED: [ExitStatus; 3] = [
    ExitStatus::Code(0),
    ExitStatus::Signal(9),
    ExitStatus::Signal(15),
];

/// The reasons in an engine's log about its volume that a write and fsync on the volume test as well.
const OF_THE_VOLUME: [Reason; 3] = [
    Reason::VolumeReadOnly,
    Reason::VolumeIoError,
    Reason::VolumeDisconnected,
];

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    match view.engine.phase {
        Phase::Starting => {
            recovery(view, findings);
            starting(view, findings);
        }
        Phase::Gone => ended(view, findings),
        Phase::Unseen | Phase::Running | Phase::Stopping => {}
    }
}

fn starting(view: &View<'_>, findings: &mut Findings) {
    let since = view.engine.since;
    let lasted = seconds(view.now.since(since));
    let limit = view.stretched(view.policy.startup_stalled_after);
    let stands_still =
        findings.due(since.max(view.excused), limit) && view.start_advanced == Some(false);
    let under_way = under_way(view);
    if stands_still && under_way {
        let evidence = format!(
            "started {lasted} ago; no cpu, io or errorlog progress for {}",
            seconds(view.policy.startup_stalled_after)
        );
        findings.add(Reason::StartupStalled, evidence);
    }
    let contact = match view.snapshot.ping.error() {
        None => "not asked yet",
        Some(ContactError::Refused) => "the port is refused",
        Some(ContactError::Closed) => "connections are closed",
        Some(ContactError::TimedOut(_)) => "no answer",
        Some(ContactError::Server(error)) => &format!(
            "error {} ({})",
            error.number,
            classify(error.number).map_or("not in the table", |row| row.name)
        ),
        Some(_) => "it can't be asked",
    };
    let unknown = match stands_still && !under_way {
        true => "; nothing advances, and whether the start is over can't be seen",
        false => "",
    };
    findings.add(
        Reason::Starting,
        format!("for {lasted}; {contact}{unknown}"),
    );
}

/// Whether it is *known* that the start goes on. That nobody got an answer proves nothing of it: the
/// supervisor may have no password, or another address.
fn under_way(view: &View<'_>) -> bool {
    if says_starting(&view.snapshot.ping) || says_starting(&view.snapshot.login) {
        return true;
    }
    match view.listeners().and_then(ListenersReport::listens) {
        Some(listens) => !listens,
        None => {
            let ready = view.logs().any(|(_, log)| log.start.ready);
            !ready && view.logs().any(|(_, log)| log.start.begun)
        }
    }
}

/// Whether the engine itself reports that it is not ready yet (17187).
fn says_starting(contact: &Contact) -> bool {
    contact.error().and_then(ContactError::class) == Some(SqlErrorClass::Starting)
}

/// Adds a finding for a recovery in the log: while `master` recovers nothing listens, and only the log
/// shows it.
fn recovery(view: &View<'_>, findings: &mut Findings) {
    let logged = view
        .logs()
        .find_map(|(name, log)| Some((name, log.recovery.as_ref()?)));
    if let Some((name, recovery)) = logged {
        let evidence = format!("{} ({name})", describe(recovery));
        findings.add(Reason::Recovering, evidence);
    }
}

/// Adds a finding for the cause for which the engine ended, which its logs or its exit status show.
fn ended(view: &View<'_>, findings: &mut Findings) {
    let seen = view.snapshot.last_exit.as_ref();
    // One that the supervisor ended did not end for what its log says last.
    let by_supervisor = seen.is_some_and(|exit| ended_by_supervisor(exit, view).is_some());
    let exit = seen.map(|exit| &exit.value);
    if exit.is_some_and(|exit| exit.oom_killed) {
        return; // that is its own reason
    }
    let status = exit.and_then(|exit| exit.status);
    // READY is not the end of a start: tempdb and upgrades may fail after it.
    let unfinished = |log: &EngineLog| log.start.ready && !log.start.complete;
    let unfinished = view.snapshot.logs().any(|(_, log)| unfinished(log));
    let failed = !by_supervisor && (view.engine.failed_start || unfinished);
    let wanted = status.is_some_and(|status| WANTED.contains(&status));
    if wanted && !view.engine.failed_start {
        return;
    }
    let facts = facts(view, status, !failed);
    let mut best: Option<(&str, Cause)> = None;
    for (name, log) in view.snapshot.logs() {
        let found = cause(log, &facts);
        let better = |found: &Cause| match &best {
            None => true,
            Some((_, best)) => found.rank > best.rank,
        };
        if let Some(found) = found.filter(better) {
            best = Some((name, found));
        }
    }
    if best.is_none() && view.snapshot.logs().next().is_none() {
        best = cause(&EngineLog::default(), &facts).map(|found| ("exit status", found));
    }
    match (best, status) {
        (Some((name, found)), _) => {
            let evidence = describe_cause(name, &found);
            if has_healed(view, found.reason) {
                let evidence = format!("{evidence} The volume has passed a check since.");
                findings.add_past(found.reason, evidence);
            } else {
                findings.add(found.reason, evidence);
            }
        }
        (_, Some(status)) if failed => findings.add(
            Reason::StartFailed,
            format!("{}; nothing that it wrote can be read", how(status)),
        ),
        _ => {}
    }
}

/// Whether the fault of the volume that ended the engine has passed: a write and fsync on each volume have
/// succeeded since. One that fails is found by the volume's own rule.
fn has_healed(view: &View<'_>, reason: Reason) -> bool {
    let passed = |state: &VolumeState| {
        let written = state.check().map(|check| check.write);
        matches!(written, Some(WriteCheck::Written(_)))
            && state.looked() > Some(view.engine.phase_since)
    };
    let volumes = &view.snapshot.volumes;
    let mut binding = volumes.iter().filter(|state| state.volume.binds());
    OF_THE_VOLUME.contains(&reason) && !volumes.is_empty() && binding.all(passed)
}

fn facts(view: &View<'_>, status: Option<ExitStatus>, started: bool) -> Facts {
    let server = view.snapshot.server.as_ref();
    let edge = server.is_some_and(|seen| seen.value.engine_edition == EDGE_ENGINE_EDITION);
    Facts {
        kernel: view.snapshot.kernel,
        host: view.snapshot.host,
        engine: edge.then(|| EngineBuild {
            edge,
            ..EngineBuild::default()
        }),
        status,
        started,
    }
}

fn describe_cause(log: &str, cause: &Cause) -> String {
    let mut evidence = format!("{} ({log})", cause.evidence);
    if let Some(fault) = cause.fault {
        evidence.push_str(". ");
        evidence.push_str(fault.help);
    }
    evidence
}

fn how(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
    }
}
