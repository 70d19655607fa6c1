//! What was seen, held against the truth.

use serde_json::Value;

use crate::contestant::Contestant;
use crate::scenario::{Restart, Scenario, Told};
use crate::timeline::{Cause, Line, Seen};

/// How long before the end of a span readiness is looked at, real seconds.
const BEFORE_END: f64 = 0.5;
/// Spans in which the readiness at the end says nothing yet: shorter than a probe's threshold may take.
const SHORT_SPAN: f64 = 10.0;
/// After a restart the supervisor may yet say what it was for.
const AFTERWARDS: f64 = 10.0;

/// How one contestant did in one scenario.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub false_restarts: usize,
    pub missed: bool,
    /// Ours: later than its threshold and a second allow.
    pub late: bool,
    /// From the moment at which a restart becomes right to the restart.
    pub time_to_restart: Option<f64>,
    /// Seconds for which the engine could have served and was not ready.
    pub unready: f64,
    /// Seconds for which it was ready and could not serve.
    pub wrongly_ready: f64,
    /// Spans at whose end it was ready, or unready, and should not have been.
    pub ready_at_end: usize,
    pub unready_at_end: usize,
    /// Ours: what it should have said and did not.
    pub wrong_reason: Option<String>,
    pub notes: Vec<String>,
}

impl Verdict {
    /// Neither a restart too many nor one too few.
    pub fn restarts_right(&self) -> bool {
        self.false_restarts == 0 && !self.missed
    }

    pub fn readiness_right(&self) -> bool {
        self.ready_at_end == 0 && self.unready_at_end == 0
    }
}

/// Judges. `allowance` is what the machine's scheduling may have added to a restart of ours.
pub fn judge(scenario: &Scenario, contestant: Contestant, seen: &Seen, allowance: f64) -> Verdict {
    let mut verdict = Verdict {
        notes: seen.notes.clone(),
        ..Verdict::default()
    };
    restarts(scenario, seen, allowance, &mut verdict);
    for restart in &seen.restarts {
        if let Cause::Failed(why) = &restart.cause {
            let why = why.lines().next().unwrap_or_default();
            verdict
                .notes
                .push(format!("{:.1} s: a start failed: {why}", restart.at));
        }
    }
    readiness(scenario, seen, &mut verdict);
    verdict.wrongly_ready += ready_while_dead(scenario, seen);
    if contestant == Contestant::Supervisor {
        verdict.wrong_reason = reason(scenario, seen).err();
    } else {
        verdict.late = false;
    }
    verdict
}

fn readiness(scenario: &Scenario, seen: &Seen, verdict: &mut Verdict) {
    // Whoever restarts, rightly or not, has another engine, of which the fault may not be true.
    let restarted = seen.restarted_after(scenario.fault());
    for span in &scenario.spans {
        let to = match restarted {
            Some(at) if !span.serves => span.to.min(at),
            _ => span.to,
        };
        if to <= span.from {
            continue;
        }
        let wrong = seen.seconds_ready(span.from, to, !span.serves);
        match span.serves {
            true => verdict.unready += wrong,
            false => verdict.wrongly_ready += wrong,
        }
        if span.to - span.from >= SHORT_SPAN {
            match (span.serves, seen.ready_before(to - BEFORE_END)) {
                (true, false) => verdict.unready_at_end += 1,
                (false, true) => verdict.ready_at_end += 1,
                _ => {}
            }
        }
    }
}

/// For how long it was called ready from the moment on in which only a restart helps.
fn ready_while_dead(scenario: &Scenario, seen: &Seen) -> f64 {
    let Restart::Once { from, .. } = scenario.restart else {
        return 0.0;
    };
    let until = seen.restarted_after(from).unwrap_or(scenario.length);
    seen.seconds_ready(from, until, true)
}

fn restarts(scenario: &Scenario, seen: &Seen, allowance: f64, verdict: &mut Verdict) {
    let times: Vec<f64> = seen.restarts.iter().map(|restart| restart.at).collect();
    let first_within =
        |from: f64, to: f64| times.iter().copied().find(|at| (from..=to).contains(at));
    match scenario.restart {
        Restart::Never => verdict.false_restarts = times.len(),
        Restart::Once { from, to, ours } => {
            let hit = first_within(from, to);
            // One that came too early is wrong for that, and has mended what was to be mended.
            verdict.missed = !times.iter().any(|at| *at <= to);
            verdict.late = hit.is_some_and(|at| at > ours + allowance);
            verdict.time_to_restart = hit.map(|at| at - from);
            verdict.false_restarts = times.len() - usize::from(hit.is_some());
        }
        Restart::Some { from, to, most } => {
            let hit = first_within(from, to);
            let early = times.iter().filter(|at| **at < from).count();
            verdict.missed = hit.is_none();
            verdict.time_to_restart = hit.map(|at| at - from);
            verdict.false_restarts = early + (times.len() - early).saturating_sub(most);
        }
    }
}

/// Whether the supervisor said what it had to, and for that alone failed its answers.
fn reason(scenario: &Scenario, seen: &Seen) -> Result<(), String> {
    let begin = scenario.fault() - BEFORE_END;
    // Where a restart does not help there is more to say after it.
    let first = match scenario.restart {
        Restart::Some { .. } => None,
        Restart::Never | Restart::Once { .. } => seen.restarts.first(),
    };
    let end = first.map_or(f64::INFINITY, |restart| restart.at + AFTERWARDS);
    let lines: Vec<&Line> = seen
        .log
        .iter()
        .filter(|line| (begin..=end).contains(&line.at))
        .collect();
    let found = |code: &str| lines.iter().any(|line| is_finding(&line.event, code));
    let fails = |probe: &str| -> Vec<&str> {
        lines
            .iter()
            .filter(|line| line.event["message"] == "fails" && line.event["probe"] == probe)
            .filter_map(|line| line.event["reasons"].as_str())
            .collect()
    };
    let names = |reasons: &str, code: &str| reasons.split(',').any(|reason| reason == code);
    let (live, ready) = (fails("live"), fails("ready"));
    let live_codes: &[&str] = match scenario.told {
        Told::Live(ref code) => std::slice::from_ref(code),
        _ => &[],
    };
    if let Some(other) = live
        .iter()
        .find(|reasons| !live_codes.iter().any(|code| names(reasons, code)))
    {
        return Err(format!("/livez failed for {other}"));
    }
    match scenario.told {
        Told::Anything => Ok(()),
        Told::Nothing => match ready.first() {
            Some(reasons) => Err(format!("/readyz failed for {reasons}")),
            None => Ok(()),
        },
        Told::Found(code) | Told::Live(code) => match found(code) {
            true => Ok(()),
            false => Err(format!("{code} was not found")),
        },
        Told::Ready(codes) => match ready.first() {
            None => Err(format!("/readyz did not fail for {}", codes.join(" or "))),
            Some(first) if !codes.iter().any(|code| names(first, code)) => {
                Err(format!("/readyz failed for {first}"))
            }
            Some(_) if !codes.iter().any(|code| found(code)) => {
                Err(format!("{} was not found", codes.join(" or ")))
            }
            Some(_) => Ok(()),
        },
    }
}

fn is_finding(event: &Value, code: &str) -> bool {
    event["code"] == code && event["evidence"].is_string()
}
