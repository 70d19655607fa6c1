//! The four probes and `/healthz`, as text and as JSON.

use serde::Serialize;

use super::{JSON, Reply, TEXT};
use crate::decide::decision::{Probe, Verdict};
use crate::decide::reason::Reason;
use crate::publish::checks::{self, Check, Mark};
use crate::publish::seconds::Seconds;
use crate::publish::status::{self, FindingView, VERSION};
use crate::publish::view::{Answer, View};
use crate::publish::words;
use crate::summary::units;

/// Returns `ok`, or a line for each reason and the verdict; with `verbose` also the line of every
/// check.
pub fn text(view: &View, probe: Probe, verbose: bool) -> Reply {
    let answer = view.answer(probe);
    let passes = answer.verdict == Verdict::Pass;
    if passes && answer.reasons.is_empty() && !verbose {
        return Reply::new(true, TEXT, &b"ok\n"[..]);
    }
    let mut body = String::new();
    if verbose {
        for check in checks::observations(view) {
            body += &check.line();
        }
        verbose_findings(&mut body, view, &answer);
    } else {
        for reason in answer.reasons.iter() {
            let mark = if passes { "[ ]" } else { "[-]" };
            let evidence = evidence(view, *reason);
            body += &format!("{mark} {}: {evidence}\n", reason.code());
        }
    }
    if passes && !verbose {
        body += "ok\n";
    } else {
        body += &verdict_line(&format!("{}z", probe.name()), passes);
    }
    Reply::new(passes, TEXT, body)
}

fn verbose_findings(body: &mut String, view: &View, answer: &Answer<'_>) {
    for found in view.findings() {
        let fails = answer.verdict == Verdict::Fail && answer.reasons.contains(&found.reason);
        let (mark, word) = if fails {
            ("[-]", "failed")
        } else {
            ("[ ]", "noted")
        };
        *body += &format!(
            "{mark}{} {word}: {} (for {})\n",
            found.reason.code(),
            words::one_line(&found.evidence),
            units::span(found.lasting)
        );
    }
}

/// Returns the evidence of the reason; its summary where the finding has gone since.
fn evidence(view: &View, reason: Reason) -> String {
    view.findings()
        .find(|found| found.reason == reason)
        .map_or_else(
            || reason.info().summary.to_owned(),
            |found| words::one_line(&found.evidence),
        )
}

/// Returns the last line of an answer, worded as kube-apiserver words it.
fn verdict_line(name: &str, passes: bool) -> String {
    let word = if passes { "passed" } else { "failed" };
    format!("{name} check {word}\n")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProbeDocument<'a> {
    version: u32,
    probe: Probe,
    verdict: Verdict,
    reasons: &'a [Reason],
    since_seconds: Seconds,
    findings: Vec<FindingView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
}

/// Returns the verdict with the findings behind it; with `verbose` all findings, and every check.
pub fn json(view: &View, probe: Probe, verbose: bool) -> Reply {
    let answer = view.answer(probe);
    let document = ProbeDocument {
        version: VERSION,
        probe,
        verdict: answer.verdict,
        reasons: &answer.reasons,
        since_seconds: Seconds(answer.lasting),
        findings: view
            .findings()
            .filter(|found| verbose || answer.reasons.contains(&found.reason))
            .map(FindingView::from)
            .collect(),
        checks: verbose.then(|| checks::observations(view)),
    };
    Reply::new(
        answer.verdict == Verdict::Pass,
        JSON,
        status::encode(&document),
    )
}

fn healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.mark != Mark::Failed)
}

/// Returns the health of the supervisor itself: `ok`, or the checks that failed; with `verbose`
/// every check.
pub fn health_text(view: &View, verbose: bool) -> Reply {
    let checks = checks::supervisor(view);
    let passes = healthy(&checks);
    if passes && !verbose {
        return Reply::new(true, TEXT, &b"ok\n"[..]);
    }
    let mut body: String = checks
        .iter()
        .filter(|check| verbose || check.mark == Mark::Failed)
        .map(Check::line)
        .collect();
    body += &verdict_line("healthz", passes);
    Reply::new(passes, TEXT, body)
}

#[derive(Serialize)]
struct HealthDocument {
    version: u32,
    verdict: Verdict,
    checks: Vec<Check>,
}

/// Returns the health of the supervisor itself as JSON; always with every check, for there are few.
pub fn health_json(view: &View) -> Reply {
    let checks = checks::supervisor(view);
    let passes = healthy(&checks);
    let document = HealthDocument {
        version: VERSION,
        verdict: if passes { Verdict::Pass } else { Verdict::Fail },
        checks,
    };
    Reply::new(passes, JSON, status::encode(&document))
}
