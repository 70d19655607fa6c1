//! `/status`: one JSON document, version 1.
//!
//! Names are camelCase, ages and spans are in seconds, sizes in bytes. Within a version fields are
//! only ever added. What is not known is left out.

use serde::Serialize;
use serde_json::Value;

use super::Transition;
use super::checks::{self, Check, Mark};
use super::seconds::Seconds;
use super::view::{Answer, Found, View};
use crate::decide::decision::{Phase, Probe, Verdict};
use crate::decide::reason::{Outcome, Reason};

mod lease;
mod parts;
mod restart;
mod volume;

use lease::Lease;
use parts::{Cgroup, DatabaseView, Process, Sql};
use restart::LastRestart;
use volume::Volume;

/// The version of the documents.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    supervisor: Supervisor,
    phase: Phase,
    verdicts: Verdicts<'a>,
    findings: Vec<FindingView<'a>>,
    /// The last observation of each observer.
    observers: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_restart: Option<LastRestart<'a>>,
    sql: Sql<'a>,
    databases: Vec<DatabaseView<'a>>,
    databases_left_out: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<Volume<'a>>,
    /// The volumes beside the main one, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_volumes: Vec<Volume<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Lease<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<Cgroup>,
    history: &'a [Transition],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Supervisor {
    version: &'static str,
    uptime_seconds: Seconds,
    pid: u32,
    /// Whether `/healthz` passes.
    healthy: bool,
    decisions: u64,
    decision_age_seconds: Seconds,
}

#[derive(Serialize)]
struct Verdicts<'a> {
    startup: AnswerView<'a>,
    live: AnswerView<'a>,
    ready: AnswerView<'a>,
    gate: AnswerView<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerView<'a> {
    verdict: Verdict,
    reasons: std::borrow::Cow<'a, [Reason]>,
    since_seconds: Seconds,
}

impl<'a> From<Answer<'a>> for AnswerView<'a> {
    fn from(answer: Answer<'a>) -> Self {
        Self {
            verdict: answer.verdict,
            reasons: answer.reasons,
            since_seconds: Seconds(answer.lasting),
        }
    }
}

/// A reason that holds, with what to do about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FindingView<'a> {
    reason: Reason,
    outcome: Outcome,
    evidence: std::borrow::Cow<'a, str>,
    since_seconds: Seconds,
    restart_helps: bool,
    summary: &'static str,
    action: &'static str,
}

impl<'a> From<Found<'a>> for FindingView<'a> {
    fn from(found: Found<'a>) -> Self {
        let info = found.reason.info();
        Self {
            reason: found.reason,
            outcome: info.outcome,
            evidence: found.evidence,
            since_seconds: Seconds(found.lasting),
            restart_helps: found.reason.restart_helps(),
            summary: info.summary,
            action: info.action,
        }
    }
}

/// Returns the document as JSON text.
#[must_use]
pub fn json(view: &View) -> Vec<u8> {
    encode(&document(view))
}

/// Returns the document for those who read it here.
#[must_use]
pub fn value(view: &View) -> Value {
    // As `encode`: it has nothing that can't be serialised.
    serde_json::to_value(document(view)).unwrap_or_default()
}

fn document(view: &View) -> Document<'_> {
    let listed = view.published.snapshot.databases.as_ref();
    let listed = listed.map(|seen| &seen.value);
    let answer = |probe| AnswerView::from(view.answer(probe));
    Document {
        version: VERSION,
        supervisor: Supervisor {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: Seconds(view.uptime),
            pid: std::process::id(),
            healthy: checks::supervisor(view)
                .iter()
                .all(|check| check.mark != Mark::Failed),
            decisions: view.published.sequence,
            decision_age_seconds: Seconds(view.age),
        },
        phase: view.decision().map_or(Phase::Unseen, |d| d.phase),
        verdicts: Verdicts {
            startup: answer(Probe::Startup),
            live: answer(Probe::Live),
            ready: answer(Probe::Ready),
            gate: answer(Probe::Gate),
        },
        findings: view.findings().map(FindingView::from).collect(),
        observers: checks::observations(view),
        process: Process::of(view),
        last_restart: LastRestart::of(view),
        sql: Sql::of(view),
        databases: listed.map_or_else(Vec::new, |list| {
            list.databases.iter().map(DatabaseView::from).collect()
        }),
        databases_left_out: listed.map_or(0, |list| list.left_out),
        volume: Volume::main(view),
        other_volumes: Volume::others(view),
        lease: Lease::of(view),
        cgroup: Cgroup::of(view),
        history: &view.published.history,
    }
}

/// Returns `value` as JSON with a newline at its end.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Serialising fails for maps whose keys are no strings, and for an implementation that refuses:
    // the documents here have neither. Should one ever, an empty object is better than a panic in a
    // supervisor.
    let mut json = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::fixture;

    fn parsed(view: &View) -> Value {
        serde_json::from_slice(&json(view)).unwrap()
    }

    #[test]
    fn every_state_gives_a_document_of_version_1() {
        for (name, view) in fixture::views() {
            let json = parsed(&view);
            assert_eq!(json["version"], 1, "{name}");
            for probe in Probe::ALL {
                let answer = &json["verdicts"][probe.name()];
                let passes = view.answer(probe).verdict == Verdict::Pass;
                assert_eq!(answer["verdict"] == "pass", passes, "{name} {probe:?}");
                assert!(answer["sinceSeconds"].is_f64(), "{name} {probe:?}");
            }
        }
    }

    #[test]
    fn what_was_seen_is_there_in_base_units() {
        let json = parsed(&fixture::view("ready"));
        assert_eq!(json["phase"], "running");
        assert_eq!(json["process"]["state"], "running");
        assert_eq!(json["process"]["engine"]["pid"], 13);
        assert_eq!(json["process"]["cpuSeconds"], 12.5);
        assert_eq!(json["sql"]["engineEdition"], 9);
        assert_eq!(json["sql"]["ping"]["roundTripSeconds"], 0.0012);
        assert_eq!(json["sql"]["ping"]["ageSeconds"], 0.5);
        assert_eq!(json["sql"]["diagnostics"]["system"], "clean");
        assert_eq!(json["databases"][0]["name"], "master");
        assert_eq!(json["volume"]["writeSeconds"], 0.003);
        assert_eq!(json["volume"]["mount"]["fsType"], "ext4");
        assert_eq!(json["volume"]["identity"]["volumeId"], "v-1");
        assert_eq!(json["lease"]["state"], "held");
        assert_eq!(json["lease"]["epoch"], 7);
        assert_eq!(json["lease"]["renewedSeconds"], 1.5);
        assert_eq!(json["volume"]["dumps"]["count"], 2);
        assert_eq!(json["volume"]["errorlogErrors"][0]["number"], 9002);
        assert_eq!(json["cgroup"]["cpuUsedSeconds"], 90.0);
        assert_eq!(json["cgroup"]["memoryLimitBytes"], 2_147_483_648_u64);
        assert_eq!(json["history"][0]["probe"], "ready");
        assert_eq!(json["history"][0]["at"], "2026-11-23T05:00:00.000Z");
    }

    #[test]
    fn a_failure_says_why_and_what_to_do() {
        let json = parsed(&fixture::view("killed"));
        let finding = &json["findings"][0];
        assert_eq!(finding["reason"], "ProcessKilled");
        assert_eq!(finding["outcome"], "wait");
        assert_eq!(finding["restartHelps"], false);
        assert_eq!(finding["action"], Reason::ProcessKilled.info().action);
        assert_eq!(json["process"]["lastExit"]["signal"], 9);
        let last = &json["lastRestart"];
        assert_eq!(last["ageSeconds"], 20.0);
        assert_eq!(last["by"], "supervisor");
        assert_eq!(last["reasons"][0], "EngineUnresponsive");
        assert_eq!(last["process"]["pid"], 12);
        assert_eq!(last["underWay"], false);
        assert_eq!(json["sql"]["ping"]["error"], "connection refused");
        assert_eq!(json["sql"]["login"]["errorNumber"], 18456);
    }

    #[test]
    fn a_hostile_name_stays_one_string() {
        let json = parsed(&fixture::view("hostile"));
        assert_eq!(json["databases"][1]["name"], fixture::HOSTILE);
    }
}
