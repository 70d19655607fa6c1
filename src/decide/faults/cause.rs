//! The search for the message of a log that explains the end of an engine.

use super::{End, Fault, HostSign, Rank, all};
use crate::decide::observation::{
    EngineBuild, EngineLog, ExitStatus, HostFacts, KernelVersion, LoggedMessage,
};
use crate::decide::reason::Reason;

/// The number of SIGILL.
const ILLEGAL_INSTRUCTION: i32 = 4;

/// The numbers of SIGABRT, SIGBUS and SIGSEGV, which a shell or the image's own scripts report as well.
const CRASH_SIGNALS: [i32; 3] = [6, 7, 11];

/// The exit status of the image's own crash handler (microsoft/mssql-docker, issue 776).
const CRASH_HANDLED: i32 = 255;

/// The severity from which on an error is the engine's own trouble, and no user's.
const SEVERE: u8 = 17;

/// The exit status of a shell whose command can't be executed.
const NOT_EXECUTABLE: i32 = 126;

/// The facts that are known beside the logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// The version of the kernel.
    pub kernel: Option<KernelVersion>,
    /// The properties of the node.
    pub host: Option<HostFacts>,
    /// The engine's product and build, where the log does not name them.
    pub engine: Option<EngineBuild>,
    /// The exit status of the process, where its end was seen.
    pub status: Option<ExitStatus>,
    /// Whether the engine had started, as its answers have shown, whatever the log has of it.
    pub started: bool,
}

/// The cause that explains the end of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The reason of the catalogue.
    pub reason: Reason,
    /// The measure of how much the cause explains; absent where no row of the table fits.
    pub rank: Option<Rank>,
    /// Whether the log shows, here or later, that the engine ends or can't go on.
    pub ends: bool,
    /// The quoted log, and its meaning.
    pub evidence: String,
    /// The row of the table, where one fits.
    pub fault: Option<&'static Fault>,
}

impl Cause {
    /// Returns the advice for an operator.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.fault
            .map_or(self.reason.info().action, |fault| fault.help)
    }

    /// Whether a restart alone can help.
    #[must_use]
    pub fn restart_helps(&self) -> bool {
        self.fault.is_some_and(|fault| fault.restart_helps)
    }
}

/// Returns the cause for which the engine that wrote `log` ended, if one is found.
///
/// A message that shows why the engine can't go on counts before all others. Where the log shows only that
/// the engine ends, the first error before that which explains it is the cause: later ones are its
/// consequences. In a start any error that may be the cause is taken; of an engine that had started, only
/// one after which the log shows the end, since others are somebody's daily trouble. Where no row fits a
/// start, the engine's last error stands for itself.
#[must_use]
pub fn cause(log: &EngineLog, facts: &Facts) -> Option<Cause> {
    let engine = log.engine.or(facts.engine);
    let starting = !log.start.complete && !facts.started;
    let candidates: Vec<_> = log
        .messages
        .iter()
        .filter(|message| message.in_start != log.start.complete)
        .filter_map(|message| Some((message, message.fault?)))
        .filter(|(_, fault)| applies(fault, engine, facts))
        .collect();
    let first = |rank: Rank| candidates.iter().find(|(_, fault)| fault.rank == rank);
    let ends = first(Rank::Final);
    let chosen = first(Rank::Root)
        .or_else(|| first(Rank::Contributing).filter(|_| ends.is_some() || starting))
        .or(ends);
    let found = chosen.map(|(message, fault)| {
        let ends = fault.rank == Rank::Root || ends.is_some();
        named(message, fault, log, ends)
    });
    let certain = |cause: &Cause| cause.rank >= Some(Rank::Final);
    match found {
        Some(cause) if certain(&cause) => Some(cause),
        // A crash that the table knows explains more than an error before it, another one less.
        found => known_crash(log, engine, facts, found.is_some())
            .or(found)
            .or_else(|| unknown_crash(log))
            .or_else(|| starting.then(|| by_end(engine, facts)).flatten())
            .or_else(|| starting.then(|| unnamed(log)).flatten()),
    }
}

/// Whether nothing that is known of the engine and the host speaks against the row.
fn applies(fault: &Fault, engine: Option<EngineBuild>, facts: &Facts) -> bool {
    fault.engines.include(engine) != Some(false)
        && fault.host.holds(facts.kernel, facts.host) != Some(false)
}

/// Returns the cause that a row of the table names; `ends` is whether the log shows the end.
fn named(message: &LoggedMessage, fault: &'static Fault, log: &EngineLog, ends: bool) -> Cause {
    let mut evidence = format!("{}: {}", fault.meaning, quote(message));
    // A script that failed names the error; its text is the line before.
    let before = log
        .messages
        .iter()
        .take_while(|other| !std::ptr::eq(*other, message))
        .find(|other| other.in_start == message.in_start && other.severity >= 16);
    if let Some(before) = before {
        evidence.push_str("; first: ");
        evidence.push_str(&quote(before));
    }
    Cause {
        reason: fault.reason,
        rank: Some(fault.rank),
        ends,
        evidence,
        fault: Some(fault),
    }
}

/// Returns a message as evidence quotes it.
#[must_use]
pub fn quote(message: &LoggedMessage) -> String {
    match message.number {
        None => message.text.clone(),
        Some(number) if message.text.is_empty() => {
            format!("error {number}, state {}", message.state)
        }
        Some(number) => format!("error {number}, state {}: {}", message.state, message.text),
    }
}

/// Returns the row of a fatal error that the platform layer reported in a start. After another `error` a
/// row counts only where it is known to fit the host.
fn known_crash(
    log: &EngineLog,
    engine: Option<EngineBuild>,
    facts: &Facts,
    error: bool,
) -> Option<Cause> {
    let crash = log.crash.as_ref()?;
    // One that came after the start has its own causes: what the table knows are those of a start.
    if log.start.complete {
        return None;
    }
    let message = super::Message {
        number: None,
        os_error: None,
        text: crash,
    };
    let fits = |fault: &&Fault| fault.signs.iter().any(|sign| sign.fits(&message));
    let known = |fault: &&Fault| fault.host.holds(facts.kernel, facts.host) == Some(true);
    let mut rows = all().filter(|fault| fits(fault) && applies(fault, engine, facts));
    let fault = rows.find(|fault| !error || known(fault))?;
    Some(Cause {
        reason: fault.reason,
        rank: Some(Rank::Root),
        ends: true,
        evidence: format!("{}: {crash}", with_host(fault, facts)),
        fault: Some(fault),
    })
}

/// Returns the cause for a fatal error that the platform layer reported and the table does not know.
fn unknown_crash(log: &EngineLog) -> Option<Cause> {
    let crash = log.crash.as_ref()?;
    Some(Cause {
        // Without a beginning the log does not tell when it was.
        reason: match log.engine.is_some() && !log.start.complete {
            true => Reason::StartFailed,
            false => Reason::EngineFault,
        },
        rank: None,
        ends: true,
        evidence: format!("the platform layer crashed: {crash}"),
        fault: None,
    })
}

/// Returns the cause of an end without a message that a property of the host explains.
fn by_end(engine: Option<EngineBuild>, facts: &Facts) -> Option<Cause> {
    let end = end_of(facts.status?)?;
    let fault = all().find(|fault| {
        fault.signs.iter().any(|sign| sign.ends.contains(&end))
            && fault.engines.include(engine) == Some(true)
            && fault.host.holds(facts.kernel, facts.host) == Some(true)
    })?;
    Some(Cause {
        reason: fault.reason,
        rank: Some(Rank::Root),
        ends: true,
        evidence: with_host(fault, facts),
        fault: Some(fault),
    })
}

fn end_of(status: ExitStatus) -> Option<End> {
    match status {
        ExitStatus::Signal(ILLEGAL_INSTRUCTION) => Some(End::IllegalInstruction),
        ExitStatus::Signal(signal) if CRASH_SIGNALS.contains(&signal) => Some(End::Crash),
        ExitStatus::Code(CRASH_HANDLED) => Some(End::Crash),
        ExitStatus::Code(NOT_EXECUTABLE) => Some(End::NotExecutable),
        ExitStatus::Code(code) if code == 128 + ILLEGAL_INSTRUCTION => {
            Some(End::IllegalInstruction)
        }
        ExitStatus::Code(code) if CRASH_SIGNALS.contains(&(code - 128)) => Some(End::Crash),
        ExitStatus::Signal(_) | ExitStatus::Code(_) => None,
    }
}

/// Returns the row's meaning, with the property of the host that it depends on.
fn with_host(fault: &Fault, facts: &Facts) -> String {
    match (fault.host, facts.kernel, facts.host) {
        (HostSign::NewKernel, Some(kernel), _) => {
            format!(
                "{}; this is Linux {}.{}",
                fault.meaning, kernel.major, kernel.minor
            )
        }
        (
            HostSign::OtherPages,
            _,
            Some(HostFacts {
                page_bytes: Some(bytes),
                ..
            }),
        ) => format!("{}; they are of {bytes} bytes", fault.meaning),
        _ => fault.meaning.to_owned(),
    }
}

/// Returns the engine's last error as the cause, in its own words; where it has none, its last line.
fn unnamed(log: &EngineLog) -> Option<Cause> {
    let problem = |message: &LoggedMessage| {
        message
            .fault
            .is_some_and(|fault| fault.rank == Rank::Problem)
    };
    // A number says more than a launcher's words; a severe one also where it ends no other engine.
    let numbered = |message: &&LoggedMessage| {
        message.number.is_some() && (message.severity >= SEVERE || !problem(message))
    };
    let last = log.messages.iter().rfind(numbered);
    let last = last.or_else(|| log.messages.iter().rfind(|message| !problem(message)));
    let fault = last.and_then(|message| message.fault);
    let evidence = match last {
        Some(message) => format!("its last error is {}", quote(message)),
        None if log.last_line.is_empty() => return None,
        None => format!("its last line is: {}", log.last_line),
    };
    Some(Cause {
        reason: Reason::StartFailed,
        rank: None,
        ends: false,
        evidence,
        fault,
    })
}
