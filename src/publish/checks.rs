//! The lines of `?verbose` and of `/healthz`: each is one check, with its age.

use std::time::Duration;

use super::seconds::Seconds;
use super::view::{DecisionAge, View};
use super::words;
use crate::decide::observation::{
    AttemptResult, DatabaseState, ProcessReport, RunState, WriteCheck,
};
use crate::decide::snapshot::{Contact, VolumeState};
use crate::decide::time::Time;
use crate::summary::units;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// The check passed: `[+]`.
    Ok,
    /// The check failed: `[-]`.
    Failed,
    /// Nothing is known, which fails nothing: `[ ]`.
    Unknown,
}

/// A check, shown as one line.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The name of what was checked.
    pub name: &'static str,
    /// The result of the check.
    pub mark: Mark,
    /// The result in words, on one line.
    pub message: String,
    /// The age of the knowledge that the check rests on.
    #[serde(rename = "ageSeconds", skip_serializing_if = "Option::is_none")]
    pub age: Option<Seconds>,
}

impl Check {
    fn new(name: &'static str, good: bool, message: impl AsRef<str>, age: Duration) -> Self {
        Self {
            name,
            mark: if good { Mark::Ok } else { Mark::Failed },
            message: words::one_line(message.as_ref()),
            age: Some(Seconds(age)),
        }
    }

    fn unknown(name: &'static str, message: &str) -> Self {
        Self {
            name,
            mark: Mark::Unknown,
            message: message.to_owned(),
            age: None,
        }
    }

    /// Returns the check as a line of text, in the manner of kube-apiserver's health endpoints.
    #[must_use]
    pub fn line(&self) -> String {
        let (mark, word) = match self.mark {
            Mark::Ok => ("[+]", "ok"),
            Mark::Failed => ("[-]", "failed"),
            Mark::Unknown => ("[ ]", "unknown"),
        };
        let age = self
            .age
            .map_or_else(String::new, |age| format!(" ({} ago)", units::span(age.0)));
        format!("{mark}{} {word}: {}{age}\n", self.name, self.message)
    }
}

/// Returns a check for the last observation of each observer.
#[must_use]
pub fn observations(view: &View) -> Vec<Check> {
    let snapshot = &view.published.snapshot;
    let mut checks = vec![
        process(view),
        contact(view, "ping", &snapshot.ping),
        contact(view, "login", &snapshot.login),
        diagnostics(view),
        databases(view),
    ];
    match snapshot.volumes.is_empty() {
        true => checks.push(Check::unknown("volume", "not observed yet")),
        false => checks.extend(snapshot.volumes.iter().map(|state| volume(view, state))),
    }
    checks.push(cgroup(view));
    checks
}

fn process(view: &View) -> Check {
    let Some(seen) = &view.published.snapshot.process else {
        return Check::unknown("process", "not observed yet");
    };
    let alive = matches!(&seen.value, ProcessReport::Running(running)
        if running.state != RunState::Zombie);
    Check::new(
        "process",
        alive,
        words::process(&seen.value),
        view.ago(seen.at),
    )
}

fn contact(view: &View, name: &'static str, contact: &Contact) -> Check {
    let Some(last) = &contact.last else {
        return Check::unknown(name, "not observed yet");
    };
    let answered = matches!(last.value.result, AttemptResult::Answered { .. });
    let mut message = words::attempt(&last.value);
    if let (false, Some(success)) = (answered, contact.last_success) {
        message += &format!(
            " ({} in a row), last success {} ago",
            contact.failures,
            units::span(view.ago(success))
        );
    }
    Check::new(name, answered, message, view.ago(last.at))
}

fn diagnostics(view: &View) -> Check {
    let diagnostics = &view.published.snapshot.diagnostics;
    if let Some(error) = &diagnostics.unavailable {
        let message = format!("not available: {}", words::server_error(error));
        return Check::unknown("diagnostics", &message);
    }
    let Some(last) = &diagnostics.last else {
        return Check::unknown("diagnostics", "not observed yet");
    };
    let errors = [
        ("system", diagnostics.system_errors),
        ("resource", diagnostics.resource_errors),
        ("query_processing", diagnostics.query_processing_errors),
    ];
    let failed: Vec<_> = errors
        .iter()
        .filter(|(_, reports)| *reports > 0)
        .map(|(component, reports)| format!("{component} in error in {reports} reports"))
        .collect();
    let message = if failed.is_empty() {
        "no component in error".to_owned()
    } else {
        failed.join(", ")
    };
    Check::new("diagnostics", failed.is_empty(), message, view.ago(last.at))
}

fn databases(view: &View) -> Check {
    let snapshot = &view.published.snapshot;
    if let Some(error) = &snapshot.databases_error {
        let message = words::contact_error(&error.value);
        return Check::new("databases", false, message, view.ago(error.at));
    }
    let Some(seen) = &snapshot.databases else {
        return Check::unknown("databases", "not observed yet");
    };
    let all = &seen.value.databases;
    let not_online: Vec<_> = all
        .iter()
        .filter(|database| database.state != DatabaseState::Online)
        .map(|database| {
            format!(
                "{} {}",
                database.name,
                words::database_state(database.state)
            )
        })
        .collect();
    let mut message = format!("{} listed", all.len());
    if !not_online.is_empty() {
        message += ": ";
        message += &not_online.join(", ");
    }
    Check::new(
        "databases",
        not_online.is_empty(),
        message,
        view.ago(seen.at),
    )
}

fn volume(view: &View, state: &VolumeState) -> Check {
    let snapshot = &view.published.snapshot;
    let pending = state.pending.map(|since| {
        format!(
            ", a check is in flight for {}",
            units::span(view.ago(since))
        )
    });
    let pending = pending.unwrap_or_default();
    let name = &state.volume.name;
    let Some(seen) = &state.checked else {
        let message = snapshot.named(name, format!("not observed yet{pending}"));
        return Check::unknown("volume", &message);
    };
    let good = !matches!(seen.value.write, WriteCheck::Failed(_));
    let message = snapshot.named(name, words::volume(&seen.value) + &pending);
    Check::new("volume", good, message, view.ago(seen.at))
}

fn cgroup(view: &View) -> Check {
    let Some(seen) = &view.published.snapshot.cgroup else {
        return Check::unknown("cgroup", "not observed yet");
    };
    let report = &seen.value;
    let memory = match (report.memory_bytes, report.memory_limit_bytes) {
        (Some(used), Some(limit)) => {
            format!("memory {} of {}", units::bytes(used), units::bytes(limit))
        }
        (Some(used), None) => format!("memory {}", units::bytes(used)),
        (None, _) => "memory unknown".to_owned(),
    };
    let throttled = report.throttled_ratio.map_or_else(String::new, |ratio| {
        format!(", throttled in {:.0} % of periods", ratio * 100.0)
    });
    let frozen = report.frozen == Some(true);
    let message = memory + &throttled + if frozen { ", frozen" } else { "" };
    Check::new("cgroup", !frozen, message, view.ago(seen.at))
}

/// Returns the checks of the supervisor's own work: `/healthz`.
#[must_use]
pub fn supervisor(view: &View) -> Vec<Check> {
    let snapshot = &view.published.snapshot;
    let bounds = &view.limits.observers;
    let contact = |contact: &Contact| contact.last.as_ref().map(|seen| seen.at);
    let databases = snapshot.databases.as_ref().map(|seen| seen.at);
    let databases_error = snapshot.databases_error.as_ref().map(|seen| seen.at);
    let watched = [
        (
            "process",
            snapshot.process.as_ref().map(|seen| seen.at),
            bounds.process,
            match snapshot.link {
                // Over a link, nothing is reported before `launch` has connected.
                Some(_) => Silence::CountsOnceItSpoke,
                None => Silence::Counts,
            },
        ),
        (
            "ping",
            contact(&snapshot.ping),
            bounds.ping,
            Silence::Counts,
        ),
        (
            "login",
            contact(&snapshot.login),
            bounds.login,
            Silence::Counts,
        ),
        (
            "databases",
            databases.max(databases_error),
            bounds.databases,
            Silence::CountsOnceItSpoke,
        ),
        (
            "cgroup",
            snapshot.cgroup.as_ref().map(|seen| seen.at),
            bounds.cgroup,
            Silence::CountsOnceItSpoke,
        ),
    ];
    let mut checks = vec![deciding(view)];
    checks.extend(
        watched
            .into_iter()
            .map(|(name, last, bound, silence)| observer(view, name, last, bound, silence)),
    );
    let volumes = &snapshot.volumes;
    match volumes.is_empty() {
        true => checks.push(Check::unknown("volume", "not observed yet")),
        false => checks.extend(volumes.iter().map(|state| volume_thread(view, state))),
    }
    checks
}

/// The meaning of the silence of an observer that has not reported anything yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// The observer is dead once its bound has passed.
    Counts,
    /// The silence means nothing: there may be nothing for the observer to see.
    CountsOnceItSpoke,
}

fn deciding(view: &View) -> Check {
    let good = view.age <= view.limits.stale_after;
    let message = match view.decision_age() {
        DecisionAge::Undecided if good => {
            return Check::unknown("deciding", "nothing was decided yet");
        }
        DecisionAge::Undecided => "nothing was decided yet".to_owned(),
        DecisionAge::Current | DecisionAge::Stale => {
            format!("decision {}", view.published.sequence)
        }
    };
    Check::new("deciding", good, message, view.age)
}

fn observer(
    view: &View,
    name: &'static str,
    last: Option<Time>,
    bound: Duration,
    silence: Silence,
) -> Check {
    // While nothing is decided, observations reach nobody: their age shows nothing of the observer.
    let deciding = view.decision_age() == DecisionAge::Current;
    match last {
        Some(at) if !deciding => {
            let mut check =
                Check::unknown(name, "no decision is current, so its age proves nothing");
            check.age = Some(Seconds(view.ago(at)));
            check
        }
        Some(at) => {
            let age = view.ago(at);
            let message = format!("silence allowed: {}", units::span(bound));
            Check::new(name, age <= bound, message, age)
        }
        None if deciding && silence == Silence::Counts && view.now().elapsed() > bound => {
            Check::new(name, false, "never observed", view.now().elapsed())
        }
        None => Check::unknown(name, "not observed yet"),
    }
}

fn volume_thread(view: &View, state: &VolumeState) -> Check {
    let named = |message: &str| {
        let snapshot = &view.published.snapshot;
        snapshot.named(&state.volume.name, message.to_owned())
    };
    match (state.pending, &state.checked) {
        (Some(since), _) => Check::new(
            "volume",
            true,
            named("a check is running; /healthz does not judge how long"),
            view.ago(since),
        ),
        (None, Some(seen)) => Check::new("volume", true, named("idle"), view.ago(seen.at)),
        (None, None) => Check::unknown("volume", &named("not observed yet")),
    }
}
