//! What a test may change while the stand-in runs. Every field has a default: a healthy engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::messages::SqlError;
use super::sql::Kind;
use super::tds::types::SqlType;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Phases of the next start, in order; afterwards the engine is ready.
    pub start: Vec<StartPhase>,
    pub accept: Accept,
    pub dac: Dac,
    pub login: LoginAnswer,
    /// Logins beside `sa`, name to password. An `sa` here replaces the password from the environment.
    pub logins: BTreeMap<String, String>,
    pub faults: Vec<Fault>,
    pub answers: Vec<Answer>,
    pub databases: Vec<Database>,
    /// Rows and errors of views in place of, or beside, what the stand-in makes up: by name,
    /// `sys.databases`, or by the full name, `orders.sys.tables`.
    pub views: Views,
    pub diagnostics: Diagnostics,
    /// `false`: error 300, then 297, for server-wide views and `sp_server_diagnostics`.
    pub view_server_state: bool,
    /// New logins get 17142.
    pub paused: bool,
    /// `SERVERPROPERTY('IsSingleUser')`; `sa` passes all the same.
    #[serde(default)]
    pub single_user: bool,
    pub ignore_sigterm: bool,
    /// `false`: the errorlog stands still.
    pub write_errorlog: bool,
    /// The time that a clean shutdown takes for the checkpoints; logins get 6005 and 18451 meanwhile.
    pub shutdown_ms: u64,
    pub load: Load,
    pub product: Product,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            start: Vec::new(),
            accept: Accept::Answer,
            dac: Dac::Answer,
            login: LoginAnswer::Check,
            logins: BTreeMap::new(),
            faults: Vec::new(),
            answers: Vec::new(),
            databases: ["master", "tempdb", "model", "msdb"]
                .map(Database::online)
                .to_vec(),
            views: Views::new(),
            diagnostics: Diagnostics::default(),
            view_server_state: true,
            paused: false,
            single_user: false,
            ignore_sigterm: false,
            write_errorlog: true,
            shutdown_ms: 0,
            load: Load::default(),
            product: Product::default(),
        }
    }
}

pub type Views = BTreeMap<String, View>;

/// A row's cells by the column's name.
pub type Cells = BTreeMap<String, Json>;

/// The scripted part of one view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// The error that the view answers: 208 where it does not exist, 229 or 916 where it may not be read.
    pub error: Option<SqlError>,
    /// All rows of the view; what a row leaves out is NULL.
    pub rows: Option<Vec<Cells>>,
    /// Changes of rows, in order.
    pub patches: Vec<Patch>,
}

/// Sets cells in each row that has these values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    #[serde(default)]
    pub of: Cells,
    pub set: Cells,
}

/// A phase and how long it lasts; without a length it lasts until the `next_phase` command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartPhase {
    #[serde(flatten)]
    pub phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nothing listens.
    Refusing,
    /// Connections are accepted and closed at once, as by a proxy before a closed port.
    ClosingAtAccept,
    /// Logins get 17187.
    NotReady,
    /// The databases recover from 0 to 100 percent over the phase's length, or stand at `percent`. With
    /// `master` among them nothing listens, as in the real engine; progress is then only in the errorlog.
    Recovering {
        databases: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<f64>,
    },
    /// Logins get 18401; with `administrators` set `sa` may pass, as sysadmins do in the real engine.
    Upgrading {
        #[serde(default)]
        administrators: bool,
    },
    /// The first start sets the password of `sa`: "ready" is written, logins get 18456 (state 7 in the log).
    SettingUp,
    /// The system databases are rebuilt for another collation: after "ready" the port is refused again.
    ChangingCollation,
    /// "Ready" is written and logins pass; tempdb is not there yet, and the start may fail for it.
    Finishing,
    #[default]
    Ready,
    /// After SIGTERM: logins get 6005 and 18451, requests 6005, 18456 and 596, and then the end.
    Stopping,
}

/// The treatment of a connection before its login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    #[default]
    Answer,
    /// The listener is closed; it opens again when this changes.
    Refuse,
    /// Accepted, then closed.
    Close,
    /// Accepted, then reset.
    Reset,
    /// The prelogin is never answered.
    Hang,
    /// Bytes that are no TLS, where the ServerHello belongs.
    TlsGarbage,
}

/// The treatment of the administrator connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dac {
    #[default]
    Answer,
    /// The listener is closed.
    Refuse,
    /// Accepted, and not answered until this changes.
    Hang,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginAnswer {
    /// Logins are checked by user and password.
    #[default]
    Check,
    /// Logins get these messages in this order, then the connection closes.
    Errors(Vec<SqlError>),
    /// No answer, until this changes.
    Hang,
}

/// Something that befalls requests. The first one that matches counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub on: Match,
    pub effect: Effect,
    /// The number of times after which the fault is gone; for ever without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Fault {
    /// Requests of this kind get no answer, until the fault is gone.
    pub fn hang(kind: Kind) -> Self {
        Self {
            on: Match {
                kind: Some(kind),
                ..Match::default()
            },
            effect: Effect::Hang,
            times: None,
        }
    }
}

/// All that is given must hold; nothing given matches every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Part of the batch's text, case-insensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The client's application name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Delay {
        ms: u64,
    },
    /// No answer until this fault is gone.
    Hang,
    Error(SqlError),
    Close,
    /// The connection is closed by RST.
    Reset,
}

/// A scripted answer to every batch that contains the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub contains: String,
    #[serde(default)]
    pub results: Vec<ScriptedResult>,
    /// Sent after the results.
    #[serde(default)]
    pub errors: Vec<SqlError>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedResult {
    pub columns: Vec<ScriptedColumn>,
    pub rows: Vec<Vec<Json>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedColumn {
    pub name: String,
    #[serde(rename = "type")]
    pub sql_type: SqlType,
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

/// A row of sys.databases. Identifiers follow the position in the list, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub name: String,
    #[serde(default)]
    pub state: DatabaseState,
    /// 0 MULTI_USER, 1 SINGLE_USER, 2 RESTRICTED_USER.
    #[serde(default)]
    pub user_access: u8,
    #[serde(default)]
    pub is_read_only: bool,
    /// 1 FULL, 2 BULK_LOGGED, 3 SIMPLE.
    #[serde(default = "simple")]
    pub recovery_model: u8,
    #[serde(default = "nothing")]
    pub log_reuse_wait_desc: String,
    /// `false`: the login has no user in it, and gets 916.
    #[serde(default = "yes")]
    pub accessible: bool,
    /// Shown by Edge only.
    #[serde(default)]
    pub data_retention: bool,
}

fn simple() -> u8 {
    3
}

fn nothing() -> String {
    "NOTHING".to_owned()
}

impl Database {
    pub fn online(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: DatabaseState::Online,
            user_access: 0,
            is_read_only: false,
            recovery_model: simple(),
            log_reuse_wait_desc: nothing(),
            accessible: true,
            data_retention: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum DatabaseState {
    #[default]
    Online = 0,
    Restoring = 1,
    Recovering = 2,
    RecoveryPending = 3,
    Suspect = 4,
    Emergency = 5,
    Offline = 6,
}

impl DatabaseState {
    pub fn description(self) -> &'static str {
        match self {
            Self::Online => "ONLINE",
            Self::Restoring => "RESTORING",
            Self::Recovering => "RECOVERING",
            Self::RecoveryPending => "RECOVERY_PENDING",
            Self::Suspect => "SUSPECT",
            Self::Emergency => "EMERGENCY",
            Self::Offline => "OFFLINE",
        }
    }

    /// Returns the error of `USE` and of a login to such a database; `None` where it opens.
    pub fn refusal(self) -> Option<i32> {
        match self {
            Self::Online | Self::Emergency => None,
            Self::Restoring => Some(927),
            Self::Recovering => Some(922),
            Self::RecoveryPending => Some(945),
            Self::Suspect => Some(926),
            Self::Offline => Some(942),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diagnostics {
    /// Component to state: 0 unknown, 1 clean, 2 warning, 3 error. Missing ones are clean.
    pub states: BTreeMap<String, u8>,
    /// Component to attribute to value, in place of the healthy one.
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
    /// The stream stands still while this is set; the connection stays.
    pub silent: bool,
    /// The procedure does not exist: 2812.
    pub missing: bool,
    /// Real seconds are multiplied by this, so that tests need not wait.
    pub time_scale: f64,
}

impl Default for Diagnostics {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
            attributes: BTreeMap::new(),
            silent: false,
            missing: false,
            time_scale: 1.0,
        }
    }
}

/// Work the engine does beside its answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Threads that compute; at most [`MAX_CPU_THREADS`].
    pub cpu_threads: u8,
    /// Share of each such thread's time; 0 counts as 100.
    pub cpu_percent: u8,
    /// Synchronous 4 KiB writes into the data directory per second; at most [`MAX_IO_WRITES_PER_SECOND`].
    pub io_writes_per_second: u32,
    /// Memory held and touched; at most [`MAX_MEMORY_MIB`].
    pub memory_mib: u32,
}

pub const MAX_CPU_THREADS: u8 = 64;
pub const MAX_IO_WRITES_PER_SECOND: u32 = 10_000;
pub const MAX_MEMORY_MIB: u32 = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Product {
    pub version: String,
    pub level: String,
    pub edition: String,
    /// 9 is Azure SQL Edge.
    pub engine_edition: i32,
    pub server_name: String,
}

impl Default for Product {
    fn default() -> Self {
        Self {
            version: "15.0.2000.1559".to_owned(),
            level: "RTM".to_owned(),
            edition: "Azure SQL Edge Developer (64-bit)".to_owned(),
            engine_edition: 9,
            server_name: "standin".to_owned(),
        }
    }
}

impl Product {
    /// Major, minor and build, as PRELOGIN and LOGINACK carry them.
    pub fn wire_version(&self) -> [u8; 4] {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let major: u16 = parts.next().unwrap_or(0);
        let minor: u16 = parts.next().unwrap_or(0);
        let [build_high, build_low] = parts.next().unwrap_or(0).to_be_bytes();
        [major as u8, minor as u8, build_high, build_low]
    }
}
