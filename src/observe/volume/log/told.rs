//! What the lines of a log say: a pure fold from lines to an [`EngineLog`].
//!
//! Errors are told apart by number: `Error: 17113, Severity: 16, State: 1.`, with the message in the
//! line below. Where the engine prints no number, its fixed English text has to do: it is that of
//! the platform layer below the engine, which has no other language, or of an informational message
//! (`MSSQL_LCID` other than 1033 translates the latter; then neither recovery nor readiness is read).
//! The wording is that of logs which people published; beside each stands where.
//!
//! **Architecture invariant:** of the log's text nothing gets into an observation but the name of a
//! database that recovers.

use std::time::Duration;

use crate::decide::observation::{
    EngineLog, FileFault, LoggedError, LoggedRecovery, LoggedStop, StartFault,
};

/// Numbers that are kept; a log has a handful, and each is a line of `/status`.
const MAX_NUMBERS: usize = 32;

/// Characters of a database's name; `sysname` has no more.
const MAX_NAME_CHARS: usize = 128;

/// 17126; and what `sp_cycle_errorlog` writes, of an engine that has long been ready.
const READY: [&str; 2] = [
    "SQL Server is now ready for client connections",
    "The error log has been reinitialized",
];

/// 17104, at the beginning of each log. Where it stands in English so will 17126.
const BEGUN: &str = "Server process ID is ";

/// 17148, 17147 and 6006.
const STOPS: [(&str, LoggedStop); 3] = [
    (
        "SQL Server is terminating in response to a 'stop' request",
        LoggedStop::StopRequest,
    ),
    (
        "SQL Server is terminating because of a system shutdown",
        LoggedStop::SystemShutdown,
    ),
    (
        "Server shut down by request from login ",
        LoggedStop::Statement,
    ),
];

/// What the lines so far have said.
#[derive(Debug, Default)]
pub(super) struct Told {
    log: EngineLog,
    /// The start is over: a file that can't be opened from now on is not why it failed.
    ready: bool,
    /// The start fault is the cause itself. One that is not gives way to one that is.
    conclusive: bool,
    /// The number in the line before this one.
    number: Option<u32>,
}

impl Told {
    /// All of it, for a file of that size.
    pub(super) fn log(&self, bytes: u64) -> EngineLog {
        EngineLog {
            bytes,
            ..self.log.clone()
        }
    }

    /// Lines were left out: they may have ended what was under way.
    pub(super) fn gap(&mut self) {
        self.log.recovery = None;
        self.log.start_fault = None;
        self.log.upgrading = false;
        self.log.start.begun = false;
        self.number = None;
    }

    /// Takes a line in.
    pub(super) fn line(&mut self, line: &str) {
        let text = message(line);
        if let Some(edge) = start(text) {
            *self = Self::default();
            self.log.edge = Some(edge);
        } else if let Some(error) = numbered(text) {
            self.count(error);
            self.number = Some(error.number);
            self.blame(fault_of_number(error.number, text));
        } else {
            let number = self.number.take();
            self.blame(number.and_then(|number| fault_of_number(number, text)));
            self.blame(fault_of_text(text).map(|fault| (fault, true)));
            self.recovery(text);
            self.log.start.begun |= text.starts_with(BEGUN);
            if READY.iter().any(|ready| text.starts_with(ready)) {
                self.ready = true;
                self.log.start_fault = None;
                self.log.start.ready = true;
            }
            let stop = STOPS.iter().find(|(begins, _)| text.starts_with(begins));
            self.log.stop = self.log.stop.or(stop.map(|(_, stop)| *stop));
            self.log.upgrading |=
                text.starts_with("Database '") && text.contains("' is upgrading script '");
        }
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

    fn blame(&mut self, found: Option<(StartFault, bool)>) {
        use StartFault::SystemDatabaseUnreadable as Unreadable;
        let Some((fault, conclusive)) = found.filter(|_| !self.ready) else {
            return;
        };
        let better = match (self.log.start_fault, fault) {
            (None, _) => true,
            // The line below the number says which OS error it was.
            (Some(Unreadable(FileFault::Other)), Unreadable(_)) => true,
            _ => conclusive && !self.conclusive,
        };
        if better {
            self.log.start_fault = Some(fault);
            self.conclusive |= conclusive;
        }
    }

    fn recovery(&mut self, text: &str) {
        if let Some(recovery) = recovery(text) {
            self.log.recovery = Some(recovery);
        } else if text.starts_with("Recovery is complete.") {
            // 3408
            self.log.recovery = None;
            self.log.start.ready = true;
            self.log.start.complete = true;
            self.log.upgrading = false;
        } else if let Some(database) = recovered(text)
            && let Some(recovery) = &self.log.recovery
            && recovery.database == database
        {
            self.log.recovery = None;
        }
    }
}

/// The message of a line: `2026-11-23 04:51:00.12 spid9s      message`, or all of it where the
/// platform layer wrote it.
fn message(line: &str) -> &str {
    let blank = |c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}';
    let line = line.trim_matches(blank);
    let dated = line.starts_with(|c: char| c.is_ascii_digit()) && line.get(4..5) == Some("-");
    if !dated {
        return line;
    }
    let mut rest = line;
    for _ in ["date", "time", "source"] {
        rest = rest
            .split_once(' ')
            .map_or("", |(_, rest)| rest.trim_start());
    }
    rest
}

/// Whether a start begins here, and then whether it is that of Azure SQL Edge.
///
/// The banner, `Microsoft Azure SQL Database Edge Developer (CTP) - 15.0.2000.1331 (X64)`
/// (MicrosoftDocs/azure-docs, issue 53146) or `Microsoft SQL Server 2017 (RTM-CU12) (KB4464082) -
/// 14.0.3045.24 (X64)` (bitwarden/server, issue 476). Before it, on standard output only, `Azure SQL
/// Edge will run as non-root by default.` (orbstack, issue 1071).
fn start(text: &str) -> Option<bool> {
    let banner = text.starts_with("Microsoft ") && text.contains("SQL ") && text.contains(") - ");
    let script = text.ends_with("SQL Edge will run as non-root by default.")
        || (text.starts_with("SQL Server ") && text.ends_with("will run as non-root by default."));
    (banner || script).then(|| text.contains("Azure SQL"))
}

/// `Error: 17113, Severity: 16, State: 1.`
fn numbered(text: &str) -> Option<LoggedError> {
    let mut fields = text.strip_prefix("Error: ")?.split(", ");
    let number = fields.next()?.parse().ok()?;
    let class = fields.next()?.strip_prefix("Severity: ")?.parse().ok()?;
    let state = fields.next()?.strip_prefix("State: ")?;
    // A state may have up to three digits; a text in brackets may follow (17806 and its like).
    let digits = state.len() - state.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let state = state.get(..digits)?.parse().ok()?;
    Some(LoggedError {
        number,
        state,
        class,
        count: 1,
    })
}

/// What a number says of the start, and whether it is the cause itself; `text` may hold an OS error.
fn fault_of_number(number: u32, text: &str) -> Option<(StartFault, bool)> {
    let file = || StartFault::SystemDatabaseUnreadable(os_error(text));
    Some(match number {
        17_051 => (StartFault::EvaluationExpired, true),
        // `Error 5(Access is denied.) occurred while opening file '/var/opt/mssql/data/master.mdf'
        // to obtain configuration information at startup.` (bitwarden/desktop, issue 282)
        17_113 | 17_114 => (file(), true),
        // `initerrlog: Could not open error log file ''. Operating system error = 5(Access ...).`
        17_058 => (denied(text), true),
        // microsoft/mssql-docker, issue 382
        17_120 | 17_182 | 17_826 => (StartFault::ListenFailed, true),
        // A consequence where a file of master could not be opened before.
        3417 => (StartFault::MasterUnrecoverable, false),
        // bitwarden/server, issue 712. Not by themselves the end: a user's database does not keep
        // the engine from starting.
        5120 | 5123 | 5149 | 17_204 | 17_207 => (file(), false),
        _ => return None,
    })
}

/// What is told without a number.
fn fault_of_text(text: &str) -> Option<StartFault> {
    let has = |part| text.contains(part);
    // `Error: The evaluation period has expired.` (microsoft/mssql-docker, issue 793)
    if has("evaluation period has expired") {
        return Some(StartFault::EvaluationExpired);
    }
    // `The SQL Server End-User License Agreement (EULA) must be accepted before SQL` (issue 199;
    // of Azure SQL Edge, issue 743)
    if has("(EULA) must be accepted") {
        return Some(StartFault::EulaNotAccepted);
    }
    // `ERROR: Unable to set system administrator password: Password validation failed. The password
    // does not meet SQL Server password policy requirements because ...` (issue 776; of 2017, 46)
    if has("Unable to set system administrator password") || has("Password validation failed. The")
    {
        return Some(StartFault::PasswordRejected);
    }
    // `sqlservr: This program requires a machine with at least 2000 megabytes of memory.` (issue 452)
    if has("requires a machine with at least") {
        return Some(StartFault::MemoryTooSmall);
    }
    // `/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created. File:
    // LinuxDirectory.cpp:420 [Status: 0xC0000022 Access Denied errno = 0xD(13) Permission denied]`
    // (issue 735; of the secrets, bitwarden/server, issue 2343)
    if has("irectory [") && has("could not be created") {
        return Some(denied(text));
    }
    // `sqlservr: Unable to open /var/opt/mssql/.system/instance_id: Permission denied (13)`
    // (dotnet-architecture/eShopOnContainers, issue 1627; with `File: pal.cpp:574`, issue 1660)
    if has("Unable to open ") && has(".system/instance_id") {
        return Some(denied(text));
    }
    if has("initerrlog: ") {
        return Some(denied(text));
    }
    // `ERROR: Setup FAILED copying system data file 'C:\templatedata\master.mdf' to '...':
    // 5(Access is denied.)`, and below it `ERROR: BootstrapSystemDataDirectories() failure (HRESULT
    // 0x80070005)`, or that alone (microsoft/mssql-docker, issue 602)
    if has("Setup FAILED copying system data file") {
        return Some(StartFault::SystemDatabaseUnreadable(os_error(text)));
    }
    let (_, result) =
        text.split_once("BootstrapSystemDataDirectories() failure (HRESULT 0x8007")?;
    let code = result
        .get(..4)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    Some(StartFault::SystemDatabaseUnreadable(file_fault(code)))
}

/// The directory or the log can't be written; for want of room where an OS error says so: 28 of
/// Linux, 112 of Windows.
fn denied(text: &str) -> StartFault {
    if text.contains("(28)") || os_error(text) == FileFault::NoSpace {
        return StartFault::SystemDatabaseUnreadable(FileFault::NoSpace);
    }
    StartFault::DataDirectoryDenied
}

/// The first number before an opening bracket: `Error 5(Access is denied.)`, `OS error: 2(The ...`.
fn os_error(text: &str) -> FileFault {
    let before_brackets = text.match_indices('(').map(|(at, _)| &text[..at]);
    let number = before_brackets.filter_map(|before| {
        let digits = before.trim_end_matches(|c: char| c.is_ascii_digit());
        before.get(digits.len()..)?.parse().ok()
    });
    file_fault(number.into_iter().next())
}

/// Windows' numbers, which the platform layer makes of Linux's.
fn file_fault(code: Option<u32>) -> FileFault {
    match code {
        Some(2 | 3) => FileFault::Missing,
        Some(5) => FileFault::Denied,
        Some(112) => FileFault::NoSpace,
        _ => FileFault::Other,
    }
}

/// 3450: `Recovery of database 'sales' (9) is 12% complete (approximately 42 seconds remain). Phase
/// 2 of 3. This is ...` (am2.co, 2019-10, "Recovery of database is 0% complete"). A name may hold
/// anything, so it is what is left when the rest has been taken off from the end.
fn recovery(text: &str) -> Option<LoggedRecovery> {
    let text = text.strip_prefix("Recovery of database '")?;
    let (before, after) = text.rsplit_once("% complete (approximately ")?;
    let (name, percent) = before.rsplit_once(" is ")?;
    let (name, _) = name.rsplit_once("' (")?;
    let (seconds, phase) = after.split_once(" second")?;
    let phase = phase.split_once("Phase ").map(|(_, phase)| phase);
    Some(LoggedRecovery {
        database: bounded(name),
        percent: percent.parse::<u8>().ok()?.min(100),
        remaining: seconds.parse().ok().map(Duration::from_secs),
        phase: phase.and_then(|phase| phase.get(..1)?.parse().ok()),
    })
}

/// 3421: `Recovery completed for database sales (database ID 9) in 3 second(s) (analysis ...`
fn recovered(text: &str) -> Option<String> {
    let text = text.strip_prefix("Recovery completed for database ")?;
    let (name, _) = text.rsplit_once(" (database ID ")?;
    Some(bounded(name))
}

/// A name that is safe to show: no longer than a name is, and without control characters.
fn bounded(name: &str) -> String {
    let plain = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    name.chars().take(MAX_NAME_CHARS).map(plain).collect()
}

#[cfg(test)]
mod tests;
