//! What the engine says of itself where nobody asks it: its errorlog and its standard output.

use core::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decide::faults::{self, Fault};

/// One of the engine's logs, as far as it was written by the present start of the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineLog {
    /// Size of the file, bytes: that it grows is progress.
    pub bytes: u64,
    /// The product and the build that the log's banner names.
    pub engine: Option<EngineBuild>,
    /// How far the start has come.
    pub start: LoggedStart,
    /// The recovery that was reported last, until the log says that recovery is complete (3408).
    pub recovery: Option<LoggedRecovery>,
    /// The upgrade step that was reported last, until the log says that recovery is complete (3408).
    pub upgrade: Option<LoggedUpgrade>,
    /// Upgrade scripts run: the log names one, and has not said that recovery is complete (3408) since.
    pub upgrading: bool,
    /// A stop on purpose that the log has seen to begin.
    pub stop: Option<LoggedStop>,
    /// The log says that the engine ends or has ended, whoever wanted it.
    pub ending: bool,
    /// The addresses that the engine says it listens on, in the order of the log.
    pub listening: Vec<ListenAddress>,
    /// What the log says of the dedicated administrator connection.
    pub dac: Option<LoggedDac>,
    /// Errors by number, in the order of their first appearance.
    pub errors: Vec<LoggedError>,
    /// Messages that may explain an end or a trouble, in the order of their first appearance.
    pub messages: Vec<LoggedMessage>,
    /// The fatal error that the platform layer below the engine reported: its fields on one line.
    pub crash: Option<String>,
    /// How many entries were read, by who wrote them.
    pub lines: LoggedLines,
    /// The last line that holds any text, bounded.
    pub last_line: String,
}

/// Entries of a log by who wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedLines {
    /// The engine: date and time stand before them.
    pub dated: u64,
    /// A launcher, the platform layer, or nobody knows.
    pub undated: u64,
}

/// How far a start has come, by the log alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedStart {
    /// The log has the beginning of this start and is in a language whose "ready" is known: that it was
    /// not written can be relied on.
    pub begun: bool,
    /// "SQL Server is now ready for client connections" (17126): logins are taken. Upgrades, msdb and
    /// tempdb may still follow, and may fail.
    pub ready: bool,
    /// "Recovery is complete" (3408): the start is over.
    pub complete: bool,
    /// The system databases are being rebuilt for another collation (`MSSQL_COLLATION`): the port may
    /// be refused meanwhile, also after 17126.
    pub collation_rebuild: bool,
    /// Databases that were started, upgrade steps and indexes that were rebuilt so far.
    pub steps: u32,
}

/// The product and the build of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineBuild {
    /// It is Azure SQL Edge.
    pub edge: bool,
    /// The year in the product's name; absent for Azure SQL Edge.
    pub year: Option<u16>,
    /// Major version, minor version, build and revision: 16.0.4105.2.
    pub version: Option<[u16; 4]>,
}

/// Progress of a recovery, message 3450.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRecovery {
    /// The database.
    pub database: String,
    /// 0 to 100.
    pub percent: u8,
    /// What the engine expects to be left.
    pub remaining: Option<Duration>,
    /// 1 analysis, 2 redo, 3 undo.
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

/// A line by which the log says that a stop on purpose has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoggedStop {
    /// 17148: the answer to SIGTERM.
    StopRequest,
    /// 17147: `SHUTDOWN`, or the machine goes down.
    SystemShutdown,
    /// 6006: `SHUTDOWN` by a login.
    Statement,
    /// The availability manager goes offline because the engine shuts down; the first line of a stop.
    AvailabilityManager,
}

/// An address on which the engine says that it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenAddress {
    /// The address; absent for `'any'`.
    pub address: Option<IpAddr>,
    /// It is an address of IPv6.
    pub ipv6: bool,
    /// The port.
    pub port: u16,
}

/// What the log says of the dedicated administrator connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoggedDac {
    /// It is listened for on this port.
    Port(u16),
    /// The edition has none (Express, without trace flag 7806).
    Disabled,
}

/// An error that the engine wrote into its log: `Error: 17113, Severity: 16, State: 1.`, or an
/// informational message that is known by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedError {
    /// Message number, as in `sys.messages`.
    pub number: u32,
    /// State of the last one.
    pub state: u8,
    /// Severity of the last one.
    pub class: u8,
    /// How often.
    pub count: u32,
}

/// A message of the log that may explain why the engine ends, or what troubles it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedMessage {
    /// Message number; absent where none stands in the log.
    pub number: Option<u32>,
    /// State.
    pub state: u8,
    /// Severity.
    pub severity: u8,
    /// The error of the operating system that it tells, by the numbers of Windows.
    pub os_error: Option<u32>,
    /// The text, on one line and bounded.
    pub text: String,
    /// It came before the start was complete.
    pub in_start: bool,
    /// How often it came.
    pub count: u32,
    /// The row of the table of faults that it fits.
    #[serde(skip)]
    pub fault: Option<&'static Fault>,
}

/// Crash dumps below the engine's `log` directory: `core.sqlservr.*` and `SQLDump*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dumps {
    /// How many: a core with its companions counts once.
    pub count: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of those that are not finished (`core.sqlservr.PID.temp`); absent where there is none.
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
