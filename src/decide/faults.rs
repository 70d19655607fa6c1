//! The table of faults: what the engine, its launchers and the platform layer below it write when
//! something is wrong, what that means, and what helps.
//!
//! A fault is data: its [`Sign`]s, its meaning, the advice, and the [`Reason`] of the catalogue that it is.
//! The reader of the logs looks each message up ([`find`]); [`cause`](cause::cause) chooses, among all
//! messages of a log, the one that explains the end of an engine. Nothing else knows a message of the
//! engine by its text.

pub mod cause;
mod host;
mod running;
mod start;
mod storage;

use serde::Serialize;

use super::observation::{EngineBuild, HostFacts, KernelVersion};
use super::reason::Reason;

/// The first kernel on which the platform layer of older builds crashes at its start
/// (microsoft/mssql-docker, issues 868 and 893).
pub const FIRST_UNSUPPORTED_KERNEL: KernelVersion = KernelVersion { major: 6, minor: 7 };

/// The first build of SQL Server 2022 that starts on such a kernel: CU11.
const FIRST_BUILD_FOR_NEW_KERNELS: [u16; 4] = [16, 0, 4105, 2];

/// The major version of SQL Server 2025.
const FIRST_MAJOR_OF_2025: u16 = 17;

/// The page size that the engine is built for, bytes.
const PAGE_BYTES: u64 = 4096;

/// A row of the table of faults.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The row's stable name.
    pub name: &'static str,
    /// The reason that the row is an instance of.
    pub reason: Reason,
    /// The rank: how much the row explains.
    pub rank: Rank,
    /// The meaning of the message, as a clause without a full stop.
    pub meaning: &'static str,
    /// The advice for an operator.
    pub help: &'static str,
    /// Whether a restart alone can help.
    pub restart_helps: bool,
    /// The engines that the fault is known of.
    pub engines: Engines,
    /// The property that the host has to have.
    pub host: HostSign,
    /// The number under which the message is counted where the log has none: messages of severity 10
    /// stand there by their text alone.
    pub number: Option<u32>,
    /// The signs that the fault is recognized by; any of them is enough.
    pub signs: &'static [Sign],
}

/// The measure of how much a row explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Rank {
    /// The fault troubles a running engine, and ends none.
    Problem,
    /// The fault may be the cause if the engine ends.
    Contributing,
    /// The message shows that the engine ends, and seldom why: an error before it is the cause.
    Final,
    /// The message shows why the engine can't go on.
    Root,
}

/// The engines that a row is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Engines {
    /// All engines.
    All,
    /// Azure SQL Edge, SQL Server 2017 and 2019, and 2022 before CU11.
    BeforeNewKernels,
    /// SQL Server 2025 and later.
    Since2025,
}

/// A property of the host that a row depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HostSign {
    /// No property is required.
    Any,
    /// Linux 6.7 or later.
    NewKernel,
    /// Memory pages of another size than 4 KiB.
    OtherPages,
    /// A processor without SSE4.2 or AVX, as an emulated one may be.
    LackingCpu,
    /// No limit of the stack's size.
    UnlimitedStack,
}

/// A sign by which a message or an end is recognized: everything that is given has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The numbers, one of which the message has; with none given, only a message without a number fits:
    /// whoever may raise an error may write any text beside a number of his own.
    numbers: &'static [u32],
    /// The errors of the operating system, one of which the message names.
    os_errors: &'static [u32],
    /// The parts of the text, all of which the message has, compared without the case of ASCII letters.
    parts: &'static [&'static str],
    /// The parts of the text that the message must not have.
    without: &'static [&'static str],
    /// The ends of the process, one of which is seen instead of a message: the engine wrote nothing of it.
    ends: &'static [End],
}

/// An end of the process that a row may be recognized by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGABRT, SIGBUS or SIGSEGV, or an exit status that stands for one of them.
    Crash,
    /// SIGILL, or an exit status that stands for it.
    IllegalInstruction,
    /// Exit status 126: the command can't be executed.
    NotExecutable,
}

const NOTHING: Sign = Sign {
    numbers: &[],
    os_errors: &[],
    parts: &[],
    without: &[],
    ends: &[],
};

/// Returns the sign of a message with one of these numbers.
const fn number(numbers: &'static [u32]) -> Sign {
    Sign { numbers, ..NOTHING }
}

/// Returns the sign of a message whose text has all of these parts.
const fn text(parts: &'static [&'static str]) -> Sign {
    Sign { parts, ..NOTHING }
}

/// Returns the sign of an end of the process without a message.
const fn end(ends: &'static [End]) -> Sign {
    Sign { ends, ..NOTHING }
}

impl Sign {
    const fn os(self, os_errors: &'static [u32]) -> Self {
        Self { os_errors, ..self }
    }

    const fn parts(self, parts: &'static [&'static str]) -> Self {
        Self { parts, ..self }
    }

    const fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }

    fn fits(&self, message: &Message<'_>) -> bool {
        let number = |number: u32| self.numbers.contains(&number);
        let os_error = |error| self.os_errors.contains(&error);
        let has = |part: &&str| contains(message.text, part);
        self.ends.is_empty()
            && match message.number {
                None => self.numbers.is_empty(),
                Some(found) => number(found),
            }
            && (self.os_errors.is_empty() || message.os_error.is_some_and(os_error))
            && self.parts.iter().all(has)
            && !self.without.iter().any(has)
    }
}

/// Whether `text` contains `part`, without regard to the case of ASCII letters.
fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(first) = part.first() else {
        return true;
    };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let last = text.len().saturating_sub(part.len());
    text.len() >= part.len()
        && (0..=last).any(|at| {
            (text[at] == lower || text[at] == upper)
                && text[at..at + part.len()].eq_ignore_ascii_case(part)
        })
}

/// The values of a row where it gives no others.
const ROW: Fault = Fault {
    name: "",
    reason: Reason::StartFailed,
    rank: Rank::Root,
    meaning: "",
    help: "",
    restart_helps: false,
    engines: Engines::All,
    host: HostSign::Any,
    number: None,
    signs: &[],
};

/// The tables, in the order in which they are searched: the first row that fits counts, so that a
/// narrow one stands before a wide one.
pub const TABLES: [&[Fault]; 4] = [
    host::FAULTS,
    storage::FAULTS,
    start::FAULTS,
    running::FAULTS,
];

/// Returns all rows, in the order in which they are searched.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    TABLES.into_iter().flatten()
}

/// A message of a log, as the table compares it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The number of the message, where one stands in the log.
    pub number: Option<u32>,
    /// The error of the operating system that the text names.
    pub os_error: Option<u32>,
    /// The text of the message.
    pub text: &'a str,
}

/// Returns the row that `message` fits, if there is one.
#[must_use]
pub fn find(message: &Message<'_>) -> Option<&'static Fault> {
    all().find(|fault| fault.signs.iter().any(|sign| sign.fits(message)))
}

impl Engines {
    /// Whether `engine` is, or is likely to be, one of these engines; absent where nothing of its build is
    /// known.
    #[must_use]
    pub fn include(self, engine: Option<EngineBuild>) -> Option<bool> {
        match (self, engine) {
            (Self::All, _) => Some(true),
            (Self::BeforeNewKernels | Self::Since2025, None) => None,
            (Self::Since2025, Some(engine)) => match (engine.version, engine.year) {
                _ if engine.edge => Some(false),
                (Some([major, ..]), _) => Some(major >= FIRST_MAJOR_OF_2025),
                (None, Some(year)) => Some(year >= 2025),
                (None, None) => None,
            },
            (Self::BeforeNewKernels, Some(engine)) => match (engine.version, engine.year) {
                _ if engine.edge => Some(true),
                (Some(version), _) => Some(version < FIRST_BUILD_FOR_NEW_KERNELS),
                // Which update of 2022 it is, its year does not tell: where it has crashed on such a kernel,
                // an early one.
                (None, Some(year)) => Some(year <= 2022),
                (None, None) => None,
            },
        }
    }
}

impl HostSign {
    /// Whether the host has the property; absent where that is not known.
    #[must_use]
    pub fn holds(self, kernel: Option<KernelVersion>, host: Option<HostFacts>) -> Option<bool> {
        match self {
            Self::Any => Some(true),
            Self::NewKernel => kernel.map(|kernel| kernel >= FIRST_UNSUPPORTED_KERNEL),
            Self::OtherPages => host?.page_bytes.map(|bytes| bytes != PAGE_BYTES),
            Self::LackingCpu => host?.cpu_suffices.map(|suffices| !suffices),
            Self::UnlimitedStack => host?.stack_unlimited,
        }
    }
}

#[cfg(test)]
mod tests;
