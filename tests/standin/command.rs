//! The control protocol: one JSON object a line, one answer a line.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::FailStart;
use super::script::{
    Accept, Answer, Dac, Database, Diagnostics, Fault, Load, LoginAnswer, Phase, Product, Script,
    StartPhase, View,
};
use super::sql::Kind;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Answers [`Reply::Status`].
    Status,
    /// Answers [`Reply::Statistics`].
    Statistics,
    ResetStatistics,
    /// Answers [`Reply::Script`].
    Script,
    /// Replaces the whole script; `start` is played only by `start_phases` or at the next start.
    SetScript {
        script: Box<Script>,
    },
    /// Goes back to the healthy default; a start sequence that still runs ends in ready.
    Reset,
    /// Plays phases now, then ready again.
    StartPhases {
        phases: Vec<StartPhase>,
    },
    /// Ends the current phase.
    NextPhase,
    Accept {
        accept: Accept,
    },
    Dac {
        dac: Dac,
    },
    Login {
        login: LoginAnswer,
    },
    /// Adds a login or changes its password; `sa` overrides the environment.
    SetLogin {
        user: String,
        password: String,
    },
    /// Replaces all faults; an empty list heals everything that hangs by a fault.
    Faults {
        faults: Vec<Fault>,
    },
    /// Replaces all scripted answers.
    Answers {
        answers: Vec<Answer>,
    },
    Databases {
        databases: Vec<Database>,
    },
    /// Adds a database or replaces the one of that name.
    SetDatabase {
        database: Database,
    },
    RemoveDatabase {
        name: String,
    },
    /// Sets the system's databases and so many more, `db_0001` and on; at most 1,000.
    ManyDatabases {
        count: usize,
    },
    /// Replaces what is scripted of a view.
    SetView {
        name: String,
        view: View,
    },
    /// Takes back what is scripted of a view.
    ForgetView {
        name: String,
    },
    /// Sets another product: SQL Server in place of Azure SQL Edge.
    Product {
        product: Product,
    },
    Diagnostics {
        diagnostics: Diagnostics,
    },
    ViewServerState {
        granted: bool,
    },
    Paused {
        paused: bool,
    },
    IgnoreSigterm {
        ignore: bool,
    },
    WriteErrorlog {
        write: bool,
    },
    /// Appends a line to the errorlog, as the engine itself would.
    LogLine {
        source: String,
        text: String,
    },
    ShutdownMs {
        ms: u64,
    },
    Load {
        load: Load,
    },
    /// Ends every client's connection, in order or by RST.
    CloseConnections {
        reset: bool,
    },
    /// Asks for the PEM of the certificate in use; answers [`Reply::Certificate`].
    Certificate,
    /// The engine process exits with this status, without a clean shutdown.
    Exit {
        status: u8,
    },
    /// The start fails for this reason: the engine process reports it and exits.
    FailStart {
        why: FailStart,
    },
    /// The engine process dies by this signal number, without a core.
    Die {
        signal: i32,
    },
    /// The engine process exits and its parent does not reap it.
    Zombie,
    /// The watchdog makes the first stage of a dump: it stops the engine by SIGSTOP for so long and writes
    /// the image's words; no program called paldumper runs.
    Dump {
        ms: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Done,
    Refused { reason: String },
    Status(Status),
    Statistics(Statistics),
    Script { script: Box<Script> },
    Certificate { pem: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub phase: Phase,
    /// Recovery progress while recovering.
    pub percent: Option<f64>,
    pub listening: bool,
    pub connections: usize,
    /// Rows in the journal that are on disk for certain.
    pub journal_rows: u64,
}

/// Counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// TCP connections accepted.
    pub accepted: u64,
    /// TCP connections accepted at the administrator's port.
    #[serde(default)]
    pub administrators: u64,
    pub logins: u64,
    /// Refused logins by error number (as text, since JSON has no other keys).
    pub refused: BTreeMap<String, u64>,
    /// Completed attention requests.
    pub attentions: u64,
    /// Application name to statement kind to count. At most [`MAX_APPLICATIONS`] names; the rest is counted
    /// as `other`.
    pub statements: BTreeMap<String, BTreeMap<Kind, u64>>,
    /// Application name to the cost of its requests; names as above.
    #[serde(default)]
    pub requests: BTreeMap<String, Requests>,
}

/// The cost of one application's requests for the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Round trips: batches and procedure calls.
    pub batches: u64,
    /// Time from a request's arrival to the end of its answer.
    pub busy_us: u64,
    /// Bytes of the answers.
    pub bytes: u64,
}

pub const MAX_APPLICATIONS: usize = 64;

/// Returns the entry of an application; one for the rest where there are too many.
fn entry<'a, T: Default>(of: &'a mut BTreeMap<String, T>, application: &str) -> &'a mut T {
    let full = of.len() >= MAX_APPLICATIONS && !of.contains_key(application);
    let name = if full { "other" } else { application };
    of.entry(name.to_owned()).or_default()
}

impl Statistics {
    pub fn count(&mut self, application: &str, kind: Kind) {
        let kinds = entry(&mut self.statements, application);
        *kinds.entry(kind).or_default() += 1;
    }

    pub fn count_request(&mut self, application: &str, busy: Duration, bytes: usize) {
        let requests = entry(&mut self.requests, application);
        requests.batches += 1;
        requests.busy_us += u64::try_from(busy.as_micros()).unwrap_or(u64::MAX);
        requests.bytes += bytes as u64;
    }

    pub fn requests_of(&self, application: &str) -> Requests {
        self.requests.get(application).copied().unwrap_or_default()
    }

    pub fn refused_with(&self, number: i32) -> u64 {
        self.refused.get(&number.to_string()).copied().unwrap_or(0)
    }

    pub fn statements_of(&self, application: &str) -> u64 {
        self.statements
            .get(application)
            .map_or(0, |kinds| kinds.values().sum())
    }

    pub fn statements_by_kind(&self, kind: Kind) -> u64 {
        self.statements
            .values()
            .filter_map(|kinds| kinds.get(&kind))
            .sum()
    }
}
