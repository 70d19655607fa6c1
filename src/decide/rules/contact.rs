//! Whether the engine answers: starting, busy, hanging, refusing.

use std::time::Duration;

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{
    ContactError, Diagnostics, ListenersReport, Observed, ServerError,
};
use super::super::reason::{ReadyEffect, Reason};
use super::super::snapshot::Contact;
use super::super::sql_error::{SqlErrorClass, classify};
use super::super::time::Time;
use super::{Condition, Timers, View};

/// The number of fresh logins in a row without an answer from which the engine counts as busy although the
/// standing connection answers: a single slow login takes no endpoint away.
const SILENT_LOGINS: u32 = 2;

pub fn rule(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    out_of_memory(view, timers, findings);
    for (name, contact) in [
        ("ping", &view.snapshot.ping),
        ("login", &view.snapshot.login),
    ] {
        if let Some(error) = contact.error() {
            refused_by_name(view, name, error, findings);
        }
    }
    elsewhere(view, findings);
    turned_away(view, findings);
    let over = view.engine.proven || complete(view);
    let over = timers.lasting(Condition::StartOver, over, view.now);
    match view.engine.phase {
        Phase::Running => {
            hang(view, findings);
            listener(view, over, findings);
            deaf(view, findings);
            busy_for_too_long(view, findings);
        }
        // What a start may answer is for the rule of the start.
        Phase::Unseen | Phase::Starting | Phase::Stopping | Phase::Gone => {}
    }
}

/// Adds a finding for an error that shows by itself what is wrong.
fn refused_by_name(view: &View<'_>, contact: &str, error: &ContactError, findings: &mut Findings) {
    match error {
        ContactError::Server(error) => answered_with(contact, *error, findings),
        ContactError::Tls(detail) => {
            findings.add(Reason::TlsFailed, format!("{contact}: {detail}"));
        }
        ContactError::Credentials(detail) => {
            let evidence = match nobody_asks(view) {
                true => format!("{detail}; nobody asks the engine"),
                false => detail.clone(),
            };
            findings.add(Reason::CredentialsUnreadable, evidence);
        }
        ContactError::Unreachable(detail) | ContactError::Protocol(detail) => {
            findings.add(Reason::EngineUnreachable, format!("{contact}: {detail}"));
        }
        ContactError::Refused | ContactError::Closed | ContactError::TimedOut(_) => {}
    }
}

/// Whether neither way in has sent the engine anything, for want of a password.
fn nobody_asks(view: &View<'_>) -> bool {
    let unasked = |contact: &Contact| {
        matches!(contact.error(), Some(ContactError::Credentials(_))) || contact.last.is_none()
    };
    unasked(&view.snapshot.ping) && unasked(&view.snapshot.login)
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
        row.map_or(Reason::QueryRefused, |row| row.class.reason()),
        evidence,
    );
}

/// Judges an engine that answers nothing: it hangs where nothing advances either, else it works hard.
fn hang(view: &View<'_>, findings: &mut Findings) {
    let Some(owed) = view.snapshot.answers.owed_since else {
        return;
    };
    if view.snapshot.ping.refused_since.is_some() {
        return; // nobody is there to answer: that is the listener's rule
    }
    let open = left_open(view).filter(|_| view.engine.started);
    let Some(open) = open else {
        return; // no evidence: the engine never answered, is not asked now, or the questions go to another peer
    };
    let counted = owed.max(open).max(view.excused);
    if !findings.due(counted, view.stretched(view.policy.unresponsive_after)) {
        return;
    }
    let silent = seconds(view.now.since(owed));
    if view.advanced != Some(true) && greeted(view) {
        let evidence = format!("no answer for {silent}, but the listener takes connections up");
        findings.add(Reason::EngineBusy, evidence);
        return;
    }
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

/// Returns the moment since which questions to the engine itself have been left open, the last of them
/// lately. Absent where none was: an attempt that sent nothing (no password, no route) is no question.
fn left_open(view: &View<'_>) -> Option<Time> {
    let open = |contact: &Contact| contact.silent_since.filter(|_| view.tried_lately(contact));
    let contacts = [&view.snapshot.ping, &view.snapshot.login];
    let since = contacts.into_iter().filter_map(open).min();
    since.filter(|_| view.asks_the_engine())
}

/// Whether connections were taken up lately, though nothing was answered on them: the workers are
/// exhausted, and the listener's own threads run.
fn greeted(view: &View<'_>) -> bool {
    let greeted = view.snapshot.answers.greeted;
    greeted.is_some_and(|at| view.now.since(at) < view.policy.unresponsive_after)
}

/// Judges a refused port. `over`: the moment since which it is known that the start is over.
fn listener(view: &View<'_>, over: Option<Time>, findings: &mut Findings) {
    let refused = |contact: &Contact| match view.tried_lately(contact) {
        true => contact.refused_since,
        false => None,
    };
    let since = refused(&view.snapshot.ping).or(refused(&view.snapshot.login));
    // A refusal during the start is normal; the contact may not have been tried since, so count from the
    // phase's beginning.
    let Some(since) = since else { return };
    let since = since.max(view.engine.phase_since).max(view.excused);
    let since = since.max(view.snapshot.not_listening_since.unwrap_or(Time::ZERO));
    // The start logs that it is over in the moment in which it opens the port, and the log is read first.
    let since = since.max(over.unwrap_or(Time::ZERO));
    // Without a view of the process a refused port may just as well be a restart under way.
    if view.process().is_none() {
        return;
    }
    let Some(limit) = patience_with_a_refusal(view, over.is_some()) else {
        return;
    };
    if findings.due(since, view.stretched(limit)) {
        let lasted = seconds(view.now.since(since));
        let evidence = format!("the port has been refused for {lasted}");
        findings.add(Reason::ListenerLost, evidence);
    }
}

/// Returns the time for which a refused port is borne; absent, for ever, where it may not be the engine's.
fn patience_with_a_refusal(view: &View<'_>, over: bool) -> Option<Duration> {
    let snapshot = view.snapshot;
    let answered = snapshot.ping.last_success.max(snapshot.login.last_success);
    match view.listeners().and_then(ListenersReport::listens) {
        // It listens: what is refused is not its port, or will be taken in a moment.
        Some(true) => None,
        Some(false) if over => Some(view.policy.listener_lost_after),
        // A first start closes the port once more, after it has refused logins by name: it rebuilds the
        // system databases for another collation.
        Some(false) if view.start_advanced == Some(false) => {
            Some(view.policy.startup_stalled_after)
        }
        Some(false) => None,
        // The very port has answered a query in this run.
        None => answered.map(|_| view.policy.listener_lost_after),
    }
}

/// Whether the log shows that the start is over, and nothing of it has begun anew.
fn complete(view: &View<'_>) -> bool {
    view.logs()
        .any(|(_, log)| log.start.complete && !log.start.collation_rebuild)
}

/// Adds a finding where the engine listens on another address than the one that is configured.
fn elsewhere(view: &View<'_>, findings: &mut Findings) {
    let Some(listeners) = view.listeners() else {
        return;
    };
    let (Some(listening), Some(configured)) = (&listeners.listening, listeners.configured) else {
        return;
    };
    if listening.is_empty() || listeners.serves(configured) == Some(true) {
        return;
    }
    let list: Vec<_> = listening.iter().map(ToString::to_string).collect();
    let asked = match listeners.asked {
        Some(asked) if listeners.serves(asked) == Some(true) => format!("asked at {asked}"),
        _ => "not asked there".to_owned(),
    };
    let evidence = format!(
        "it listens on {}, configured is {configured}; {asked}",
        list.join(", ")
    );
    findings.add(Reason::ListeningElsewhere, evidence);
}

/// Adds findings for what turns an ordinary client away though the supervisor's own login passes, by the
/// engine's own reports.
fn turned_away(view: &View<'_>, findings: &mut Findings) {
    let server = view.snapshot.server.as_ref();
    let single = server.filter(|seen| seen.at >= view.engine.since);
    if single.is_some_and(|seen| seen.value.single_user == Some(true)) {
        findings.add(Reason::SingleUser, "IsSingleUser is 1");
    }
    if view.logs().any(|(_, log)| log.upgrading) && view.engine.phase == Phase::Running {
        let evidence = "the errorlog names a script, and not that recovery is complete";
        findings.add(Reason::ScriptUpgrade, evidence);
    }
}

/// Returns the number of fresh logins in a row that got no answer, where they are enough to count.
fn silent_logins(view: &View<'_>) -> Option<u32> {
    let login = &view.snapshot.login;
    let last = login.last.as_ref()?;
    let silent = last.value.result.owes_answer() && login.failures >= SILENT_LOGINS;
    silent.then_some(login.failures)
}

/// Adds a finding where clients that connect get no answer, while the standing connection does.
fn deaf(view: &View<'_>, findings: &mut Findings) {
    // Where that one is silent too there is no sign of life to call the engine busy.
    let life = view.snapshot.ping.last_success.is_some() && view.snapshot.ping.error().is_none();
    if let Some(failures) = silent_logins(view).filter(|_| life) {
        let evidence = format!("{failures} fresh logins in a row got no answer");
        findings.add(Reason::EngineBusy, evidence);
    }
}

/// Adds a finding for an engine that works and answers nothing, or takes no new client in, for longer than
/// the configured limit.
fn busy_for_too_long(view: &View<'_>, findings: &mut Findings) {
    let limit = view.policy.busy_limit;
    if limit.is_zero() || view.process().is_none() || !view.engine.started {
        return;
    }
    let Some(open) = left_open(view) else { return };
    let snapshot = view.snapshot;
    let refused = snapshot.ping.refused_since.is_some();
    let mut lasted = |since: Option<Time>| {
        let since = since?.max(view.excused);
        let due = findings.due(since, view.stretched(limit));
        due.then(|| seconds(view.now.since(since)))
    };
    let owed = snapshot.answers.owed_since.filter(|_| !refused);
    if let Some(lasted) = lasted(owed.map(|owed| owed.max(open))) {
        let evidence = format!("no answer of any kind for {lasted}");
        findings.add(Reason::BusyLimitExceeded, evidence);
    } else if let Some(lasted) = lasted(snapshot.login.silent_since) {
        let evidence = format!("no fresh login was answered for {lasted}");
        findings.add(Reason::BusyLimitExceeded, evidence);
    }
}

/// Adds a finding where the answer that readiness needs is not fresh. This rule comes last: it adds one
/// only where no other rule has named what is wrong.
pub fn freshness(view: &View<'_>, findings: &mut Findings) {
    if view.engine.phase != Phase::Running {
        return;
    }
    let (ping, login) = (&view.snapshot.ping, &view.snapshot.login);
    let success = ping.last_success.max(login.last_success);
    let fresh = success.is_some_and(|at| !findings.due(at, view.policy.ready_freshness));
    // An answer of a moment ago counts no more where neither way in has given one since.
    let silent = silent_logins(view).filter(|_| ping.error().is_some());
    let named = |effect| move |reason: Reason| reason.info().ready == effect;
    // What the engine has proven stands where it answers by name (a refused login), and where nobody can ask
    // it (no password): a Secret that is missing says nothing of the engine. It falls with any sign that the
    // engine takes no clients: an answer that it owes, a refused port, or no socket that listens.
    let listens = view.listeners().and_then(ListenersReport::listens);
    let as_proven = view.snapshot.answers.owed_since.is_none()
        && ping.refused_since.is_none()
        && listens != Some(false)
        && !findings.reasons(named(ReadyEffect::AsProven)).is_empty();
    let failed_by_name = !findings.reasons(named(ReadyEffect::Fails)).is_empty();
    let good = silent.is_none() && (fresh || as_proven);
    if good || failed_by_name {
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

/// Describes the sign of life of an engine that answers no query.
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

/// Adds a finding where errors of missing memory (701, 802, 17803 and their like) were all that came for a
/// while.
fn out_of_memory(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    let exhausted = |contact: &Contact| {
        let class = contact.error().and_then(ContactError::class);
        class == Some(SqlErrorClass::OutOfMemory) && view.tried_lately(contact)
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
