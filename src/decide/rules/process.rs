//! The processes: gone, dead, being dumped, being stopped.

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{
    ContactError, ExitStatus, Observed, ProcessExit, ProcessReport, RunState,
};
use super::super::policy::RestartBy;
use super::super::reason::Reason;
use super::super::snapshot::Contact;
use super::super::sql_error::SqlErrorClass;
use super::super::time::Time;
use super::{Condition, Timers, View};

/// The number of SIGKILL.
const KILL: i32 = 9;

pub fn rule(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    if view.engine.phase == Phase::Gone {
        gone(view, findings);
    }
    zombie(view, timers, findings);
    dump(view, timers, findings);
    stopping(view, timers, findings);
    if view.engine.phase == Phase::Unseen {
        findings.add(Reason::NotYetObserved, unseen(view));
    }
}

fn unseen(view: &View<'_>) -> String {
    match view.snapshot.process.as_ref().map(|seen| &seen.value) {
        None if view.snapshot.is_blind() => {
            "launch has not said anything of the processes yet".to_owned()
        }
        Some(ProcessReport::NotFound) => "no sqlservr is visible here and none answered".to_owned(),
        _ => "no observation of the processes yet".to_owned(),
    }
}

fn gone(view: &View<'_>, findings: &mut Findings) {
    if let Some(exit) = &view.snapshot.last_exit {
        let (reason, mut evidence) = describe(exit, view);
        if let Some(cause) = ended_by_supervisor(exit, view) {
            evidence.push_str(&cause);
        }
        findings.add(reason, evidence);
    }
    let engine = view.process().and_then(|process| process.engine);
    let absent = engine.is_none();
    let seen = view.snapshot.absent_since;
    let since = seen.map_or(view.engine.phase_since, |seen| {
        seen.max(view.engine.phase_since)
    });
    let since = unanswered(view, since);
    let looked = view.watches();
    if absent && looked && findings.due(since, view.policy.process_missing_after) {
        let what = match view.snapshot.running() {
            None => "no sqlservr",
            Some(_) => "the parent has had no engine",
        };
        let evidence = format!("{what} for {}", seconds(view.now.since(since)));
        findings.add(Reason::ProcessMissing, evidence);
    } else if view.snapshot.last_exit.is_none() {
        findings.add(
            Reason::NotYetObserved,
            "sqlservr is gone; how it ended was not seen",
        );
    }
}

/// Returns the reasons as text, where the supervisor itself ended the process.
pub(super) fn ended_by_supervisor(exit: &Observed<ProcessExit>, view: &View<'_>) -> Option<String> {
    let last = view.last_restart?;
    let ours = last.by == RestartBy::Supervisor
        && last.before_start.is_zero()
        && (view.engine.since..=exit.at).contains(&last.at);
    let codes: Vec<_> = last.reasons.iter().map(|reason| reason.code()).collect();
    ours.then(|| format!(", by the supervisor for {}", codes.join(", ")))
}

/// Returns the reason for an exit, with its evidence.
fn describe(exit: &Observed<ProcessExit>, view: &View<'_>) -> (Reason, String) {
    let pid = exit.value.process.pid;
    let ago = seconds(view.now.since(exit.at));
    match exit.value.status {
        _ if exit.value.oom_killed => (
            Reason::OomKilled,
            format!("pid {pid} was killed {ago} ago and the oom_kill counter rose"),
        ),
        Some(ExitStatus::Signal(KILL)) => (
            Reason::ProcessKilled,
            format!("pid {pid} ended by signal 9 (SIGKILL) {ago} ago"),
        ),
        Some(ExitStatus::Signal(signal)) => (
            Reason::ProcessKilled,
            format!("pid {pid} ended by signal {signal} {ago} ago"),
        ),
        Some(ExitStatus::Code(code)) => (
            Reason::ProcessExited,
            format!("pid {pid} ended with exit code {code} {ago} ago"),
        ),
        None => (
            Reason::ProcessExited,
            format!("pid {pid} ended {ago} ago; this kernel does not tell how"),
        ),
    }
}

/// Returns `since`, or the last answer if that is later. An engine that answers is alive, whatever is seen of
/// the processes: the look may be of another pid namespace, or of a moment ago.
fn unanswered(view: &View<'_>, since: Time) -> Time {
    let answered = view.snapshot.answers.last;
    answered.map_or(since, |answered| answered.max(since))
}

fn zombie(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    let dead = view.process().filter(|process| {
        process.state == RunState::Zombie || process.parent_state == RunState::Zombie
    });
    let since = timers.lasting(Condition::Zombie, dead.is_some(), view.now);
    if let (Some(process), Some(since)) = (dead, since) {
        let pid = process.engine.unwrap_or(process.parent).pid;
        let since = unanswered(view, since);
        if findings.due(since, view.policy.zombie_after) {
            let evidence = format!(
                "pid {pid} has been a zombie for {}",
                seconds(view.now.since(since))
            );
            findings.add(Reason::ProcessZombie, evidence);
        } else {
            findings.add(Reason::ProcessExited, format!("pid {pid} is a zombie"));
        }
    }
}

/// Adds a finding for a dump, which stops the engine by ptrace. A stop by signal alone is no dump: nothing
/// would end it.
fn dump(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    let process = view.process();
    let traced = process.is_some_and(|process| process.state == RunState::Traced);
    let dumper = process.and_then(|process| process.dumper);
    // One that grows beside an engine that answers stops nothing.
    let core = view.dump_grows && view.snapshot.answers.owed_since.is_some();
    let dumping = traced || dumper.is_some() || core;
    let Some(since) = timers.lasting(Condition::Dump, dumping, view.now) else {
        return;
    };
    if findings.due(since, view.policy.dump_limit) {
        return;
    }
    let lasted = seconds(view.now.since(since));
    let evidence = match dumper {
        Some(pid) => format!("paldumper (pid {pid}) has run for {lasted}"),
        None if traced => format!("the engine has been stopped by a tracer for {lasted}"),
        None => format!("a core under log/ has grown for {lasted}"),
    };
    findings.add(Reason::DumpInProgress, evidence);
}

/// Whether the engine itself reports that it shuts down (17188, 6005); or lets nobody in but administrators,
/// and had served before (18451): that is how a shutdown meets new logins.
fn says_stopping(contact: &Contact, view: &View<'_>) -> bool {
    match contact.error().and_then(ContactError::class) {
        Some(SqlErrorClass::Stopping) => true,
        Some(SqlErrorClass::AdministratorsOnly) => view.engine.proven,
        _ => false,
    }
}

/// Whether a log that was read at `since` or later shows that a stop on purpose has begun.
fn logs_stop(view: &View<'_>, since: Time) -> bool {
    let mut logs = view.snapshot.logs_since(since);
    logs.any(|(_, log)| log.stop.is_some())
}

fn stopping(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    let limit = view.policy.stopping_limit;
    // In a shutdown the listener closes first, and the checkpoint of each database follows: that the
    // stop has begun is all that is seen of it.
    let stopping = view.engine.phase == Phase::Stopping
        || says_stopping(&view.snapshot.ping, view)
        || says_stopping(&view.snapshot.login, view)
        || (view.engine.proven && logs_stop(view, view.engine.proven_since));
    if view.engine.phase == Phase::Gone {
        timers.lasting(Condition::Stopping, false, view.now); // it has come to its end
        return;
    }
    let since = timers.latched(Condition::Stopping, stopping, limit, view.now);
    // An engine that has not served yet may not have begun its own log: the line may be of the engine
    // before, and counts only while it is read.
    let unsure = view.engine.phase != Phase::Unseen && !view.engine.proven;
    let read = unsure && logs_stop(view, view.engine.since);
    let read = timers.lasting(Condition::StopLogged, read, view.now);
    let since = since.or(read);
    let commanded = view.engine.stop;
    if let Some(since) = since
        // The limit of a command passes last where the engine itself spoke of a stop before.
        && !findings.due(commanded.unwrap_or(since), limit)
    {
        let evidence = format!("for {}", seconds(view.now.since(since)));
        findings.add(Reason::Stopping, evidence);
    }
}
