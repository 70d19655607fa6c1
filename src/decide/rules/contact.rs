//! Whether the engine answers: starting, busy, hanging, refusing.

use std::time::Duration;

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{ContactError, Diagnostics, Observed, ServerError};
use super::super::reason::{ReadyEffect, Reason};
use super::super::snapshot::Contact;
use super::super::sql_error::{SqlErrorClass, classify};
use super::super::time::Time;
use super::{Condition, Timers, View};

/// Fresh logins in a row that got no answer, from which the engine counts as busy although the
/// standing connection answers: a single slow login takes no endpoint away.
const SILENT_LOGINS: u32 = 2;

pub fn rule(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    out_of_memory(view, timers, findings);
    for (name, contact) in [
        ("ping", &view.snapshot.ping),
        ("login", &view.snapshot.login),
    ] {
        if let Some(error) = contact.error() {
            refused_by_name(name, error, findings);
        }
    }
    match view.engine.phase {
        Phase::Running => {
            hang(view, findings);
            listener(view, findings);
            silent_logins(view, findings);
        }
        // What a start may answer is for the rule of the start.
        Phase::Unseen | Phase::Starting | Phase::Stopping | Phase::Gone => {}
    }
}

/// Errors that say by themselves what is wrong.
fn refused_by_name(contact: &str, error: &ContactError, findings: &mut Findings) {
    match error {
        ContactError::Server(error) => answered_with(contact, *error, findings),
        ContactError::Tls(detail) => {
            findings.add(Reason::TlsFailed, format!("{contact}: {detail}"));
        }
        ContactError::Credentials(detail) => {
            findings.add(Reason::CredentialsUnreadable, detail.as_str());
        }
        ContactError::Unreachable(detail) | ContactError::Protocol(detail) => {
            findings.add(Reason::EngineUnreachable, format!("{contact}: {detail}"));
        }
        ContactError::Refused | ContactError::Closed | ContactError::TimedOut(_) => {}
    }
}

fn answered_with(contact: &str, error: ServerError, findings: &mut Findings) {
    let row = classify(error.number);
    if row.is_some_and(|row| row.class == SqlErrorClass::Stopping) {
        return; // the rule of the processes bounds how long a stop may take
    }
    let name = row.map_or("not in the table", |row| row.name);
    let evidence = format!(
        "{contact}: error {}, state {}, severity {} ({name})",
        error.number, error.state, error.class
    );
    findings.add(
        row.map_or(Reason::QueryRefused, |row| reason_of(row.class)),
        evidence,
    );
}

/// The reason that stands for a class of errors.
fn reason_of(class: SqlErrorClass) -> Reason {
    match class {
        SqlErrorClass::Starting => Reason::Starting,
        SqlErrorClass::Recovering => Reason::Recovering,
        SqlErrorClass::ScriptUpgrade => Reason::ScriptUpgrade,
        SqlErrorClass::Stopping => Reason::Stopping,
        SqlErrorClass::Paused => Reason::Paused,
        SqlErrorClass::AdministratorsOnly => Reason::AdministratorsOnly,
        SqlErrorClass::LoginFailed => Reason::LoginFailed,
        SqlErrorClass::LoginDisabled => Reason::LoginDisabled,
        SqlErrorClass::PasswordExpired => Reason::PasswordExpired,
        SqlErrorClass::PermissionMissing => Reason::PermissionMissing,
        SqlErrorClass::ConnectionsExhausted => Reason::ConnectionsExhausted,
        SqlErrorClass::WorkersExhausted => Reason::WorkersExhausted,
        // One query that found no memory is load; that it lasts is another rule's.
        SqlErrorClass::OutOfMemory | SqlErrorClass::Busy => Reason::EngineBusy,
        SqlErrorClass::LogFull => Reason::LogFull,
        SqlErrorClass::DiskFull => Reason::DiskFull,
        SqlErrorClass::DataCorruption => Reason::DataCorruption,
        SqlErrorClass::DatabaseUnavailable
        | SqlErrorClass::VolumeError
        | SqlErrorClass::EngineFault
        | SqlErrorClass::Unsupported => Reason::QueryRefused,
    }
}

/// Nothing was answered: a hang where nothing advances either, else hard work.
fn hang(view: &View<'_>, findings: &mut Findings) {
    let Some(owed) = view.snapshot.answers.owed_since else {
        return;
    };
    if view.snapshot.ping.refused_since.is_some() {
        return; // nobody is there to answer: that is the listener's rule
    }
    let counted = owed.max(view.excused);
    if !findings.due(counted, view.stretched(view.policy.unresponsive_after)) {
        return;
    }
    let silent = seconds(view.now.since(owed));
    match view.advanced {
        Some(false) => findings.add(
            Reason::EngineUnresponsive,
            format!("no answer for {silent}, and neither cpu nor io advance"),
        ),
        Some(true) => findings.add(
            Reason::EngineBusy,
            format!("no answer for {silent}, but cpu or io advance"),
        ),
        None => findings.add(
            Reason::NoFreshAnswer,
            format!("no answer for {silent}; whether it advances can't be seen"),
        ),
    }
}

fn listener(view: &View<'_>, findings: &mut Findings) {
    let refused = |contact: &Contact| contact.refused_since;
    let since = refused(&view.snapshot.ping).or(refused(&view.snapshot.login));
    // What was refused in the start was refused by right: a contact may still stand where it stood then.
    let Some(since) = since.map(|since| since.max(view.engine.phase_since)) else {
        return;
    };
    let lasted = seconds(view.now.since(since));
    let limit = view.stretched(view.policy.listener_lost_after);
    // Without a view of the process a refused port may just as well be a restart under way.
    if view.snapshot.running().is_some() && findings.due(since, limit) {
        let evidence = format!("the port has been refused for {lasted}");
        findings.add(Reason::ListenerLost, evidence);
    }
}

/// Clients that connect get no answer, whatever the standing connection says.
fn silent_logins(view: &View<'_>, findings: &mut Findings) {
    let login = &view.snapshot.login;
    let silent = login
        .last
        .as_ref()
        .is_some_and(|last| last.value.result.owes_answer());
    // Where the standing connection is silent too there is no sign of life to call it busy.
    let life = view.snapshot.ping.last_success.is_some() && view.snapshot.ping.error().is_none();
    if silent && life && login.failures >= SILENT_LOGINS {
        let evidence = format!("{} fresh logins in a row got no answer", login.failures);
        findings.add(Reason::EngineBusy, evidence);
    }
}

/// Readiness needs an answer that is fresh. This rule comes last: it speaks only where no other one
/// has named what is wrong.
pub fn freshness(view: &View<'_>, findings: &mut Findings) {
    if view.engine.phase != Phase::Running {
        return;
    }
    let (ping, login) = (&view.snapshot.ping, &view.snapshot.login);
    let success = ping.last_success.max(login.last_success);
    let fresh = success.is_some_and(|at| !findings.due(at, view.policy.ready_freshness));
    let named = |effect| move |reason: Reason| reason.info().ready == effect;
    // A login that is refused by name proves that the engine lives; what it proved before stands.
    let answered_by_name = view.snapshot.answers.owed_since.is_none()
        && ping.refused_since.is_none()
        && !findings.reasons(named(ReadyEffect::AsProven)).is_empty();
    let failed_by_name = !findings.reasons(named(ReadyEffect::Fails)).is_empty();
    if fresh || answered_by_name || failed_by_name {
        return;
    }
    let age = success.map(|at| seconds(view.now.since(at)));
    match age {
        None => findings.add(Reason::NoFreshAnswer, "no query has been answered yet"),
        Some(age) if answered_lately(view, view.policy.unresponsive_after) => findings.add(
            Reason::EngineBusy,
            format!(
                "the last query was answered {age} ago; {}",
                sign_of_life(view)
            ),
        ),
        Some(age) => findings.add(
            Reason::NoFreshAnswer,
            format!("the last query was answered {age} ago"),
        ),
    }
}

fn answered_lately(view: &View<'_>, within: Duration) -> bool {
    let diagnostics = view.snapshot.diagnostics.last.as_ref().map(|seen| seen.at);
    let last: Option<Time> = diagnostics.max(view.snapshot.dac.last_success);
    last.is_some_and(|at| view.now.since(at) < within)
}

/// What shows that an engine lives that answers no query.
fn sign_of_life(view: &View<'_>) -> String {
    let administrator = view.snapshot.dac.last_success;
    let arrived = |report: &&Observed<Diagnostics>| Some(report.at) >= administrator;
    let Some(last) = view.snapshot.diagnostics.last.as_ref().filter(arrived) else {
        return "the administrator connection answers".to_owned();
    };
    match last.value.tasks_completed {
        Some(tasks) => {
            format!("diagnostics arrive, with {tasks} tasks completed in the last interval")
        }
        None => "diagnostics arrive".to_owned(),
    }
}

/// 701, 802, 17803 and their like, and nothing else for a while.
fn out_of_memory(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    let exhausted = |contact: &Contact| match contact.error() {
        Some(ContactError::Server(error)) => {
            classify(error.number).is_some_and(|row| row.class == SqlErrorClass::OutOfMemory)
        }
        _ => false,
    };
    let holds = exhausted(&view.snapshot.ping) || exhausted(&view.snapshot.login);
    let since = timers.lasting(Condition::OutOfMemory, holds, view.now);
    if let Some(since) = since
        && findings.due(since, view.policy.out_of_memory_after)
    {
        let evidence = format!("for {}", seconds(view.now.since(since)));
        findings.add(Reason::OutOfMemory, evidence);
    }
}
