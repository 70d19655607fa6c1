//! The start: how far it is, that it stands still, why it failed.

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{
    ContactError, ExitStatus, FileFault, KernelVersion, ListenersReport, LoggedRecovery, StartFault,
};
use super::super::reason::Reason;
use super::super::snapshot::Contact;
use super::super::sql_error::{SqlErrorClass, classify};
use super::View;

/// The first kernel on which SQL Edge crashes at its start (microsoft/mssql-docker, issue 893).
const FIRST_UNSUPPORTED_KERNEL: KernelVersion = KernelVersion { major: 6, minor: 7 };

/// `SERVERPROPERTY('EngineEdition')` of Azure SQL Edge.
const EDGE_ENGINE_EDITION: i32 = 9;

/// SIGILL, SIGABRT, SIGBUS and SIGSEGV, also as a shell or the image's own scripts tell them.
const CRASH_SIGNALS: [i32; 4] = [4, 6, 7, 11];

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    match view.engine.phase {
        Phase::Starting => {
            recovery(view, findings);
            starting(view, findings);
        }
        Phase::Gone if view.engine.failed_start => failed(view, findings),
        Phase::Unseen | Phase::Running | Phase::Stopping | Phase::Gone => {}
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

/// Whether it is *known* that the start goes on. That nobody got an answer says nothing of it: the
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

/// The engine itself says that it is not ready yet (17187).
fn says_starting(contact: &Contact) -> bool {
    let Some(ContactError::Server(error)) = contact.error() else {
        return false;
    };
    classify(error.number).is_some_and(|row| row.class == SqlErrorClass::Starting)
}

/// While `master` recovers nothing listens: only the log tells.
fn recovery(view: &View<'_>, findings: &mut Findings) {
    let logged = view
        .logs()
        .find_map(|(name, log)| Some((name, log.recovery.as_ref()?)));
    if let Some((name, recovery)) = logged {
        findings.add(Reason::Recovering, describe(name, recovery));
    }
}

fn describe(log: &str, recovery: &LoggedRecovery) -> String {
    let mut text = format!("{}, {} %", recovery.database, recovery.percent);
    if let Some(phase) = recovery.phase {
        text.push_str(&format!(" of phase {phase}"));
    }
    if let Some(remaining) = recovery.remaining {
        text.push_str(&format!(", about {} left", seconds(remaining)));
    }
    text.push_str(&format!(" ({log})"));
    text
}

/// It ended before it had started: for a reason that it told, or one that can be told from outside.
fn failed(view: &View<'_>, findings: &mut Findings) {
    let mut named = false;
    for (name, log) in view.snapshot.logs() {
        if let Some(fault) = log.start_fault {
            let (reason, evidence) = reason_of(fault);
            findings.add(reason, format!("{evidence} ({name})"));
            named = true;
        }
    }
    let status = view
        .snapshot
        .last_exit
        .as_ref()
        .and_then(|exit| exit.value.status);
    let oom = view
        .snapshot
        .last_exit
        .as_ref()
        .is_some_and(|exit| exit.value.oom_killed);
    let Some(status) = status.filter(|_| !named && !oom) else {
        return;
    };
    match view.snapshot.kernel {
        Some(kernel) if kernel >= FIRST_UNSUPPORTED_KERNEL && crashed(status) && is_edge(view) => {
            let evidence = format!("Linux {}.{}", kernel.major, kernel.minor);
            findings.add(Reason::KernelUnsupported, evidence);
        }
        _ => {
            let how = match status {
                ExitStatus::Code(code) => format!("exit code {code}"),
                ExitStatus::Signal(signal) => format!("signal {signal}"),
            };
            findings.add(Reason::StartFailed, how);
        }
    }
}

fn crashed(status: ExitStatus) -> bool {
    match status {
        ExitStatus::Signal(signal) => CRASH_SIGNALS.contains(&signal),
        // 255: the image's own crash handler (microsoft/mssql-docker, issue 776)
        ExitStatus::Code(code) => code == 255 || CRASH_SIGNALS.contains(&(code - 128)),
    }
}

fn is_edge(view: &View<'_>) -> bool {
    let server = view.snapshot.server.as_ref();
    let asked = server.is_some_and(|seen| seen.value.engine_edition == EDGE_ENGINE_EDITION);
    asked || view.snapshot.logs().any(|(_, log)| log.edge == Some(true))
}

fn reason_of(fault: StartFault) -> (Reason, &'static str) {
    match fault {
        StartFault::EvaluationExpired => (Reason::EvaluationExpired, "error 17051"),
        StartFault::EulaNotAccepted => (Reason::EulaNotAccepted, "it asks for ACCEPT_EULA"),
        StartFault::PasswordRejected => (Reason::SaPasswordRejected, "it says so"),
        StartFault::MasterUnrecoverable => (Reason::MasterUnrecoverable, "error 3417"),
        StartFault::DataDirectoryDenied => (
            Reason::DataDirectoryDenied,
            "it may not make or open its own files",
        ),
        StartFault::MemoryTooSmall => (Reason::MemoryTooSmall, "it says so"),
        StartFault::ListenFailed => (Reason::ListenFailed, "error 17182, 17826 or 17120"),
        StartFault::SystemDatabaseUnreadable(FileFault::NoSpace) => {
            (Reason::DiskFull, "a system database found no room")
        }
        StartFault::SystemDatabaseUnreadable(fault) => (
            Reason::SystemDatabaseUnreadable,
            match fault {
                FileFault::Missing => "OS error 2: there is no such file",
                FileFault::Denied => "OS error 5: access is denied",
                FileFault::NoSpace | FileFault::Other => "an OS error",
            },
        ),
    }
}
