//! The fold of a log's lines into an [`EngineLog`].
//!
//! **Architecture invariant:** of the log's text nothing gets into an observation that is not
//! bounded and on one line: names of databases, and messages that may explain an end or a trouble.

use super::entry::{Entry, entries};
use super::event::{Event, event};
use super::header::header;
use super::os_error::os_error;
use super::plain::one_line;
use crate::decide::faults::{self, Fault, Message, Rank};
use crate::decide::observation::{EngineLog, LoggedError, LoggedMessage, LoggedStart, LoggedStop};

/// The greatest number of error numbers that are kept; a log has a handful, each a line of `/status`.
pub const MAX_NUMBERS: usize = 32;

/// The greatest number of different messages that are kept. The last place is always the last error's.
pub const MAX_MESSAGES: usize = 24;

/// The greatest number of characters of a message that are kept.
pub const MAX_TEXT_CHARS: usize = 300;

/// The greatest number of addresses that are kept.
const MAX_ADDRESSES: usize = 16;

/// The greatest number of others' entries between the number of an error and its text.
const MAX_BETWEEN: u32 = 8;

/// The lowest severity of an error that may explain anything without a row in the table.
const ERROR_SEVERITY: u8 = 16;

/// The numbers of refused logins: everyday, and never why an engine ends.
const LOGINS: core::ops::RangeInclusive<u32> = 18_400..=18_499;

/// The line with which the platform layer begins its report of a fatal error.
const CRASH: &str = "This program has encountered a fatal error";

/// Fields of that report that describe what happened; the others are addresses and paths.
const CRASH_FIELDS: [&str; 5] = ["Reason:", "Status:", "Signal:", "Message:", "[0] 0x"];

/// Words of a line by which a launcher or the platform layer reports an error.
const ERROR_WORDS: [&str; 11] = [
    "error",
    "fatal",
    "failed",
    "failure",
    "denied",
    "not permitted",
    "unsupported",
    "invalid",
    "cannot",
    "could not",
    "unable to",
];

/// Texts in which such words stand though nothing is wrong.
const HARMLESS: [&str; 8] = [
    // Written by every 2022 without certificate authorities of its own.
    "Error searching first file in",
    "Logging SQL Server messages in file",
    "[launchpadd]",
    "Failed to connect to SQL because",
    "This is an informational message",
    "informational message only",
    // The shell's last word on a command that was not executed: the line before has the error.
    ": Success",
    "errno text:",
];

/// The reader of a log, with what its lines so far have reported.
#[derive(Debug, Default)]
pub struct Reader {
    log: EngineLog,
    /// The error whose text has not come yet.
    pending: Option<Pending>,
    /// Whether the platform layer's report of a fatal error is being written, or was.
    crashed: bool,
}

#[derive(Debug)]
struct Pending {
    error: LoggedError,
    source: String,
    /// The index of its message, where that is kept.
    index: Option<usize>,
    /// The number of others' entries since.
    between: u32,
}

impl Reader {
    /// Returns what was read so far, for a file of that size.
    #[must_use]
    pub fn log(&self, bytes: u64) -> EngineLog {
        EngineLog {
            bytes,
            ..self.log.clone()
        }
    }

    /// Records that lines were left out: they may have ended what was under way.
    pub fn gap(&mut self) {
        self.log.recovery = None;
        self.log.upgrade = None;
        self.log.upgrading = false;
        self.log.start.begun = false;
        self.log.messages.clear();
        self.pending = None;
    }

    /// Takes a line in.
    pub fn line(&mut self, line: &str) {
        // What goes on from the line before, as the banner does, is indented.
        let continued = line.starts_with('\t');
        entries(line, |entry| {
            match entry.dated {
                true => self.log.lines.dated += 1,
                false if continued => {}
                false => self.log.lines.undated += 1,
            }
            self.entry(entry);
        });
    }

    fn entry(&mut self, entry: Entry<'_>) {
        self.log.last_line = one_line(entry.text, MAX_TEXT_CHARS);
        if let Some(error) = header(entry.text) {
            self.announced(error, entry.source);
            return;
        }
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.is_of(&entry))
        {
            self.text_of_announced(entry.text);
            return;
        }
        if let Some(pending) = &mut self.pending {
            pending.between += 1;
            if pending.between > MAX_BETWEEN {
                self.pending = None;
            }
        }
        match event(entry.text) {
            Some(event) => self.event(event, entry),
            None if self.crash(entry) => {}
            None => self.unnumbered(entry),
        }
    }

    /// Takes in the line with an error's number.
    fn announced(&mut self, error: LoggedError, source: &str) {
        self.count(error);
        let index = self.keep(Some(error), "");
        self.pending = Some(Pending {
            error,
            source: source.to_owned(),
            index,
            between: 0,
        });
    }

    /// Takes in the text of the error that was announced.
    fn text_of_announced(&mut self, text: &str) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        // What was kept without its text is kept anew: the text may show which row of the table it is.
        if let Some(index) = pending.index
            && index + 1 == self.log.messages.len()
        {
            self.log.messages.pop();
        }
        self.keep(Some(pending.error), text);
        if let Some(event) = event(text) {
            self.event_of_start(event);
        }
    }

    /// Takes in a message without a number.
    fn unnumbered(&mut self, entry: Entry<'_>) {
        if self.crashed && !entry.dated {
            return; // the crash handler's own trouble
        }
        let fault = faults::find(&Message {
            number: None,
            os_error: os_error(entry.text),
            text: entry.text,
        });
        let known = fault.filter(|fault| self.may_be(fault, entry));
        if let Some(fault) = known {
            if let Some(number) = fault.number {
                self.count(LoggedError {
                    number,
                    state: 1,
                    class: 10,
                    count: 1,
                });
            }
            self.keep(None, entry.text);
        } else if fault.is_none() && !self.log.start.complete && is_error(entry.text) {
            self.keep(None, entry.text);
        }
    }

    /// Whether a line of this kind may report this fault: after the start, a container's output holds
    /// not only the engine's lines.
    fn may_be(&self, fault: &Fault, entry: Entry<'_>) -> bool {
        entry.dated || !self.log.start.complete || fault.rank != Rank::Root
    }

    /// Keeps a message that may explain something. Returns its index.
    fn keep(&mut self, error: Option<LoggedError>, text: &str) -> Option<usize> {
        let number = error.map(|error| error.number);
        let os_error = os_error(text);
        let fault = faults::find(&Message {
            number,
            os_error,
            text,
        });
        let (severity, state) = error.map_or((0, 0), |error| (error.class, error.state));
        let login = number.is_some_and(|number| LOGINS.contains(&number));
        let counts = number.is_none() || severity >= ERROR_SEVERITY && !login;
        if fault.is_none() && !counts {
            return None;
        }
        let message = LoggedMessage {
            number,
            state,
            severity,
            os_error,
            text: one_line(text, MAX_TEXT_CHARS),
            in_start: !self.log.start.complete,
            count: 1,
            fault,
        };
        let messages = &mut self.log.messages;
        let known = messages.iter().position(|other| is_like(other, &message));
        if let Some(index) = known {
            messages[index].count = messages[index].count.saturating_add(1);
            return None;
        }
        if messages.len() == MAX_MESSAGES {
            messages.pop();
        }
        messages.push(message);
        Some(messages.len() - 1)
    }

    fn count(&mut self, error: LoggedError) {
        let errors = &mut self.log.errors;
        if let Some(one) = errors.iter_mut().find(|one| one.number == error.number) {
            let count = one.count.saturating_add(1);
            *one = LoggedError { count, ..error };
        } else if errors.len() < MAX_NUMBERS {
            errors.push(error);
        }
    }

    /// Whether the line belongs to the report of a fatal error.
    fn crash(&mut self, entry: Entry<'_>) -> bool {
        if entry.text.starts_with(CRASH) {
            self.crashed = true;
            self.log.ending = true;
            self.log.crash = Some("fatal error".to_owned());
            return true;
        }
        let field = CRASH_FIELDS
            .iter()
            .any(|field| entry.text.starts_with(field));
        if !(self.crashed && !entry.dated && field) {
            return false;
        }
        if let Some(crash) = &mut self.log.crash {
            let separator = match crash.contains(':') {
                true => ", ",
                false => ": ",
            };
            *crash = one_line(&format!("{crash}{separator}{}", entry.text), MAX_TEXT_CHARS);
        }
        true
    }

    fn event(&mut self, event: Event, entry: Entry<'_>) {
        match event {
            Event::Begins(engine) => {
                // The image's own words come before the banner: it is the same start.
                let before = self.log.engine.filter(|engine| engine.version.is_none());
                let anew = before.is_none() || engine.version.is_none();
                if anew {
                    *self = Self::default();
                }
                self.log.engine = Some(engine);
                self.log.last_line = one_line(entry.text, MAX_TEXT_CHARS);
            }
            Event::Recovery(recovery) => self.log.recovery = Some(recovery),
            Event::Recovered(database) => {
                self.step();
                if self
                    .log
                    .recovery
                    .as_ref()
                    .is_some_and(|one| one.database == database)
                {
                    self.log.recovery = None;
                }
            }
            Event::Upgrade(upgrade) => {
                self.step();
                // The steps of a file's version are short; scripts run for minutes.
                self.log.upgrading |= upgrade.step.ends_with(".sql");
                self.log.upgrade = Some(upgrade);
            }
            Event::Listening(address) => {
                let listening = &mut self.log.listening;
                if listening.len() < MAX_ADDRESSES && !listening.contains(&address) {
                    listening.push(address);
                }
            }
            Event::Dac(dac) => self.log.dac = Some(dac),
            Event::Stops(stop) => {
                // The first line that shows who wanted it.
                let vague = self.log.stop == Some(LoggedStop::AvailabilityManager);
                if self.log.stop.is_none() || vague {
                    self.log.stop = Some(stop);
                }
            }
            Event::Ends => {
                self.log.ending = true;
                self.unnumbered(entry);
            }
            other => self.event_of_start(other),
        }
    }

    fn event_of_start(&mut self, event: Event) {
        match event {
            Event::Begun => self.log.start.begun = true,
            Event::Ready => self.log.start.ready = true,
            Event::Complete => {
                self.log.start = LoggedStart {
                    ready: true,
                    complete: true,
                    collation_rebuild: false,
                    ..self.log.start
                };
                self.log.upgrading = false;
                self.log.recovery = None;
                self.log.upgrade = None;
            }
            Event::Step => self.step(),
            Event::CollationBegins => self.log.start.collation_rebuild = true,
            Event::CollationChanged => self.log.start.collation_rebuild = false,
            _ => {}
        }
    }

    fn step(&mut self) {
        self.log.start.steps = self.log.start.steps.saturating_add(1);
    }
}

impl Pending {
    /// Whether the entry is the text of this error: it comes from the same source.
    fn is_of(&self, entry: &Entry<'_>) -> bool {
        self.source == entry.source
    }
}

/// Whether the two are the same message: of what is no error of a file the first one's text stands for all.
fn is_like(one: &LoggedMessage, other: &LoggedMessage) -> bool {
    one.number == other.number
        && one.in_start == other.in_start
        && one.os_error == other.os_error
        && one.fault == other.fault
        && (one.number.is_some() || one.fault.is_some() || one.text == other.text)
        // One that waits for its text is like none that has it.
        && (one.text.is_empty() == other.text.is_empty())
}

fn is_error(text: &str) -> bool {
    // A path of the errorlog, as each start names it, is a sign of no error.
    let lower = text.to_ascii_lowercase().replace("errorlog", "");
    ERROR_WORDS.iter().any(|word| lower.contains(word))
        && !HARMLESS.iter().any(|harmless| text.contains(harmless))
}

#[cfg(test)]
mod tests;
