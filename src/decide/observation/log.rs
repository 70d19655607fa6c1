//! The engine's logs: its errorlog and its standard output.

use core::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decide::faults::{self, Fault};

/// A log of the engine, as far as it was written by the present start of the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineLog {
    /// The size of the file, bytes: that it grows is progress.
    pub bytes: u64,
    /// The product and the build that the log's banner names.
    pub engine: Option<EngineBuild>,
    /// The progress of the start.
    pub start: LoggedStart,
    /// The recovery that was reported last, until the log shows that recovery is complete (3408).
    pub recovery: Option<LoggedRecovery>,
    /// The upgrade step that was reported last, until the log shows that recovery is complete (3408).
    pub upgrade: Option<LoggedUpgrade>,
    /// Whether upgrade scripts run: the log names one, and no complete recovery (3408) since.
    pub upgrading: bool,
    /// The stop on purpose that has begun by the log, if one has.
    pub stop: Option<LoggedStop>,
    /// Whether the log shows that the engine ends or has ended, whoever wanted it.
    pub ending: bool,
    /// The addresses on which the engine listens by its log, in the order of the log.
    pub listening: Vec<ListenAddress>,
    /// The state of the dedicated administrator connection, if the log shows it.
    pub dac: Option<LoggedDac>,
    /// The errors by number, in the order of their first appearance.
    pub errors: Vec<LoggedError>,
    /// The messages that may explain an end or a trouble, in the order of their first appearance.
    pub messages: Vec<LoggedMessage>,
    /// The fatal error that the platform layer below the engine reported: its fields on one line.
    pub crash: Option<String>,
    /// The number of entries that were read, by who wrote them.
    pub lines: LoggedLines,
    /// The last line that holds any text, bounded.
    pub last_line: String,
}

/// The number of entries of a log, by who wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedLines {
    /// The entries of the engine: date and time stand before them.
    pub dated: u64,
    /// The entries of a launcher, of the platform layer, or of an unknown writer.
    pub undated: u64,
}

/// The progress of a start, by the log alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedStart {
    /// Whether the log has the beginning of this start and is in a language whose "ready" is known: that
    /// "ready" was not written can be relied on.
    pub begun: bool,
    /// Whether "SQL Server is now ready for client connections" (17126) was written: logins are taken.
    /// Upgrades, msdb and tempdb may still follow, and may fail.
    pub ready: bool,
    /// Whether "Recovery is complete" (3408) was written: the start is over.
    pub complete: bool,
    /// Whether the system databases are being rebuilt for another collation (`MSSQL_COLLATION`): the port
    /// may be refused meanwhile, also after 17126.
    pub collation_rebuild: bool,
    /// The number of databases that were started, upgrade steps, and indexes that were rebuilt so far.
    pub steps: u32,
}

/// The product and the build of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineBuild {
    /// Whether the product is Azure SQL Edge.
    pub edge: bool,
    /// The year in the product's name; absent for Azure SQL Edge.
    pub year: Option<u16>,
    /// The major version, minor version, build and revision: 16.0.4105.2.
    pub version: Option<[u16; 4]>,
}

/// The progress of a recovery, message 3450.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRecovery {
    /// The database that is recovered.
    pub database: String,
    /// The share that is done, percent, 0 to 100.
    pub percent: u8,
    /// The time that the engine expects to be left.
    pub remaining: Option<Duration>,
    /// The phase of the recovery: 1 analysis, 2 redo, 3 undo.
    pub phase: Option<u8>,
}

/// A step of an upgrade of the system databases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedUpgrade {
    /// The database that is upgraded.
    pub database: String,
    /// The script, or the version that the step leads to.
    pub step: String,
}

/// A line of the log that shows that a stop on purpose has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoggedStop {
    /// Message 17148: the answer to SIGTERM.
    StopRequest,
    /// Message 17147: `SHUTDOWN`, or the machine goes down.
    SystemShutdown,
    /// Message 6006: `SHUTDOWN` by a login.
    Statement,
    /// The availability manager goes offline because the engine shuts down; the first line of a stop.
    AvailabilityManager,
}

/// An address on which the engine listens by its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenAddress {
    /// The IP address; absent for `'any'`.
    pub address: Option<IpAddr>,
    /// Whether it is an address of IPv6.
    pub ipv6: bool,
    /// The port.
    pub port: u16,
}

/// The state of the dedicated administrator connection, as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoggedDac {
    /// The engine listens for it on this port.
    Port(u16),
    /// The edition has no such connection (Express, without trace flag 7806).
    Disabled,
}

/// An error that the engine wrote into its log: `Error: 17113, Severity: 16, State: 1.`, or an
/// informational message that is known by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedError {
    /// The message number, as in `sys.messages`.
    pub number: u32,
    /// The state of the last of these errors.
    pub state: u8,
    /// The severity of the last of these errors.
    pub class: u8,
    /// The number of times that the error was written.
    pub count: u32,
}

/// A message of the log that may explain why the engine ends, or what troubles it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedMessage {
    /// The message number; absent where none stands in the log.
    pub number: Option<u32>,
    /// The state of the message.
    pub state: u8,
    /// The severity of the message.
    pub severity: u8,
    /// The error of the operating system that the message names, by the numbers of Windows.
    pub os_error: Option<u32>,
    /// The text of the message, on one line and bounded.
    pub text: String,
    /// Whether the message came before the start was complete.
    pub in_start: bool,
    /// The number of times that the message came.
    pub count: u32,
    /// The row of the table of faults that the message fits.
    #[serde(skip)]
    pub fault: Option<&'static Fault>,
}

/// The crash dumps below the engine's `log` directory: `core.sqlservr.*` and `SQLDump*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dumps {
    /// The number of dumps: a core with its companions counts once.
    pub count: u32,
    /// The size of all dumps together, bytes.
    pub bytes: u64,
    /// The size of the dumps that are not finished (`core.sqlservr.PID.temp`), bytes; absent where there is
    /// none.
    pub writing_bytes: Option<u64>,
}

impl EngineLog {
    /// Finds the rows of the table of faults anew, for a log that has come from another process: the rows
    /// themselves are not written.
    pub fn recognize(&mut self) {
        for message in &mut self.messages {
            message.fault = faults::find(&faults::Message {
                number: message.number,
                os_error: message.os_error,
                text: &message.text,
            });
        }
    }
}
