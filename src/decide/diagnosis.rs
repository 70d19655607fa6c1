//! The diagnosis of a log by itself, with no engine to ask, for the subcommand `diagnose`.

use serde::Serialize;

use super::faults::cause::{Cause, Facts, cause, quote};
use super::faults::{Fault, Rank};
use super::findings::seconds;
use super::observation::{EngineLog, LoggedMessage, LoggedRecovery, LoggedStop};
use super::reason::{Outcome, Reason};

/// The stage that the engine had reached when the log was copied, by the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LogStage {
    /// The log does not show the stage.
    Unknown,
    /// The engine is starting.
    Starting,
    /// The start of the engine is over.
    Started,
    /// A stop on purpose is under way.
    Stopping,
    /// The engine was stopped on purpose.
    Stopped,
    /// The start of the engine failed.
    FailedStart,
    /// The engine took logins (17126) and ended before its start was over (3408).
    EndedAfterReady,
    /// The engine had started, and ended by itself.
    Ended,
}

/// The diagnosis of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The stage that the engine had reached.
    pub stage: LogStage,
    /// The findings, the most important one first. Empty where nothing is wrong.
    pub findings: Vec<Diagnosed>,
}

/// A finding of a log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosed {
    /// The reason of the catalogue that was found.
    pub reason: Reason,
    /// The outcome that the reason asks for.
    pub outcome: Outcome,
    /// The quoted log, and its meaning.
    pub evidence: String,
    /// The advice for an operator.
    pub advice: &'static str,
    /// Whether a restart alone can help.
    pub restart_helps: bool,
}

impl Diagnosis {
    /// Whether the engine ended by itself, or anything was found that does not pass by itself.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        let ended = matches!(
            self.stage,
            LogStage::FailedStart | LogStage::EndedAfterReady | LogStage::Ended
        );
        let waits = |found: &Diagnosed| found.outcome == Outcome::Wait;
        ended || !self.findings.iter().all(waits)
    }
}

/// Diagnoses a log; `facts` is what is known beside it, of the host for example.
#[must_use]
pub fn diagnose(log: &EngineLog, facts: &Facts) -> Diagnosis {
    let why = cause(log, facts).filter(|cause| ended(log, cause));
    let stage = stage(log, why.is_some());
    let mut findings: Vec<Diagnosed> = why.iter().map(of_cause).collect();
    let troubles = log.messages.iter().filter_map(|message| {
        let fault = message.fault?;
        matters(log, fault, why.as_ref()).then(|| of_message(message, fault))
    });
    for trouble in troubles {
        if findings.iter().all(|found| found.reason != trouble.reason) {
            findings.push(trouble);
        }
    }
    if why.is_none()
        && let Some(under_way) = under_way(log, findings.is_empty())
    {
        // It knows more of it than a login that was refused meanwhile.
        findings.retain(|found| found.reason != under_way.reason);
        findings.push(under_way);
    }
    // The cause stays first; of the rest what needs somebody, in the order of the log.
    let first = usize::from(why.is_some());
    if let Some(rest) = findings.get_mut(first..) {
        rest.sort_by_key(|found| std::cmp::Reverse(weight(found.outcome)));
    }
    Diagnosis { stage, findings }
}

fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Restart | Outcome::Recreate | Outcome::Operator => 2,
        Outcome::Notice => 1,
        Outcome::Wait => 0,
    }
}

/// Whether the log shows that the engine ended by itself, which `cause` explains.
fn ended(log: &EngineLog, cause: &Cause) -> bool {
    let by_itself = log.ending && log.stop.is_none();
    by_itself || cause.ends || log.crash.is_some()
}

fn stage(log: &EngineLog, failed: bool) -> LogStage {
    let LoggedProgress { begun, over } = progress(log);
    match (failed, log.stop) {
        (true, _) if over => LogStage::Ended,
        (true, _) if log.start.ready => LogStage::EndedAfterReady,
        (true, _) if begun || log.engine.is_some() => LogStage::FailedStart,
        (true, _) => LogStage::Ended,
        (false, Some(_)) if log.ending => LogStage::Stopped,
        (false, Some(_)) => LogStage::Stopping,
        (false, None) if over => LogStage::Started,
        (false, None) if begun => LogStage::Starting,
        (false, None) => LogStage::Unknown,
    }
}

struct LoggedProgress {
    begun: bool,
    over: bool,
}

fn progress(log: &EngineLog) -> LoggedProgress {
    let start = log.start;
    LoggedProgress {
        begun: start.begun
            || start.ready
            || start.steps > 0
            || start.collation_rebuild
            || log.recovery.is_some()
            || !log.listening.is_empty(),
        over: start.complete,
    }
}

/// Whether a message is worth a finding beside the cause of an end.
fn matters(log: &EngineLog, fault: &Fault, why: Option<&Cause>) -> bool {
    match why {
        // Its first error stands in the evidence already; what follows is its consequence.
        Some(_) => fault.rank == Rank::Problem && fault.reason.info().outcome != Outcome::Wait,
        None => !(log.stop.is_some() && fault.reason == Reason::AdministratorsOnly),
    }
}

fn of_cause(cause: &Cause) -> Diagnosed {
    Diagnosed {
        reason: cause.reason,
        outcome: cause.reason.info().outcome,
        evidence: cause.evidence.clone(),
        advice: cause.help(),
        restart_helps: cause.restart_helps(),
    }
}

fn of_message(message: &LoggedMessage, fault: &'static Fault) -> Diagnosed {
    let times = match message.count {
        1 => String::new(),
        count => format!(" ({count} times)"),
    };
    let quoted = match (message.number, fault.number) {
        (None, Some(number)) => format!("{number}: {}", message.text),
        _ => quote(message),
    };
    Diagnosed {
        reason: fault.reason,
        outcome: fault.reason.info().outcome,
        evidence: format!("{}{times}: {quoted}", fault.meaning),
        advice: fault.help,
        restart_helps: fault.restart_helps,
    }
}

/// Returns a finding of what is under way and passes by itself.
fn under_way(log: &EngineLog, nothing_else: bool) -> Option<Diagnosed> {
    let (reason, evidence) = if let Some(stop) = log.stop {
        (Reason::Stopping, stop_line(stop).to_owned())
    } else if let Some(recovery) = &log.recovery {
        (Reason::Recovering, describe(recovery))
    } else if log.start.collation_rebuild {
        let evidence = "the system databases are being rebuilt for another collation; the port may be refused meanwhile, also after \"ready\"";
        (Reason::Starting, evidence.to_owned())
    } else if let Some(upgrade) = &log.upgrade {
        let evidence = format!("{} is upgraded: {}", upgrade.database, upgrade.step);
        (Reason::ScriptUpgrade, evidence)
    } else if log.start.complete || !nothing_else || !progress(log).begun {
        return None;
    } else if log.start.ready {
        let evidence = "logins are taken (17126), but the start is not over: \"Recovery is complete\" (3408) has not come";
        (Reason::Starting, evidence.to_owned())
    } else {
        (
            Reason::Starting,
            "\"ready\" (17126) has not come yet".to_owned(),
        )
    };
    let info = reason.info();
    Some(Diagnosed {
        reason,
        outcome: info.outcome,
        evidence,
        advice: info.action,
        restart_helps: reason.restart_helps(),
    })
}

fn stop_line(stop: LoggedStop) -> &'static str {
    match stop {
        LoggedStop::StopRequest => "17148: it was asked to stop by SIGTERM",
        LoggedStop::SystemShutdown => "17147: SHUTDOWN, or the machine goes down",
        LoggedStop::Statement => "6006: a login said SHUTDOWN",
        LoggedStop::AvailabilityManager => "its availability manager goes offline for a shutdown",
    }
}

/// Describes a recovery in words.
#[must_use]
pub fn describe(recovery: &LoggedRecovery) -> String {
    let mut text = format!("{}, {} %", recovery.database, recovery.percent);
    if let Some(phase) = recovery.phase {
        text.push_str(&format!(" of phase {phase}"));
    }
    if let Some(remaining) = recovery.remaining {
        text.push_str(&format!(", about {} left", seconds(remaining)));
    }
    text
}
