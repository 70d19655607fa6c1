//! One validated configuration, from flags, environment and an optional file.
//!
//! Everything below `Config` is plain values that the rest of the program may read. How they come
//! to be: [`sources`] gathers what was given (the only part that touches the world), [`mod@parse`] turns
//! it into a [`Config`] or into every mistake at once, by the one table in [`settings`].

pub mod endpoint;
pub mod file;
pub mod id;
pub mod kind;
pub mod metrics;
pub mod mistake;
pub mod parse;
pub mod raw;
pub mod refusals;
pub mod relations;
pub mod secret;
pub mod settings;
pub mod show;
pub mod sources;
pub mod text;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::decide::policy::Policy;
use endpoint::Endpoint;
use refusals::Refusals;
use secret::PasswordSource;

pub use metrics::MetricsConfig;
pub use mistake::ConfigErrors;
pub use parse::{Effective, parse};
pub use show::{effective_yaml, reference};
pub use sources::{Environment, Flags, Sources};

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where HTTP is served.
    pub http: HttpConfig,
    /// How the engine is reached.
    pub sql: SqlConfig,
    /// What is collected of it for `/metrics`.
    pub metrics: MetricsConfig,
    /// Which processes are watched.
    pub process: ProcessConfig,
    /// The data volume.
    pub volume: VolumeConfig,
    /// How often the control group is read.
    pub cgroup_interval: Duration,
    /// The thresholds of the decision.
    pub policy: Policy,
    /// A stop on purpose.
    pub stop: StopConfig,
    /// Who this pod is, and how it contends for its volume.
    pub lease: LeaseConfig,
    /// Logging.
    pub log: LogConfig,
    /// The SQL container's termination message, where it can be reached by a path of its own.
    pub termination_log: Option<PathBuf>,
    /// The directory of what outlives the supervisor, and of the control socket unless that is given.
    pub state_dir: PathBuf,
    /// The Unix socket for what changes something, mode 0600.
    pub control_socket: PathBuf,
    /// The first process of the SQL container, and the way to it.
    pub launch: LaunchConfig,
    /// Events on the pod.
    pub events: EventsConfig,
}

/// Kubernetes Events on the pod, and the API server that takes them.
#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// Whether any are written.
    pub enabled: bool,
    /// The pod's name; there where they are written.
    pub pod_name: Option<String>,
    /// The directory of the ServiceAccount's files.
    pub account: PathBuf,
    /// The API server's host; there where Events are written.
    pub host: Option<String>,
    /// The API server's TCP port.
    pub port: u16,
}

/// `launch`, and the way between it and the supervisor.
#[derive(Clone, Debug)]
pub struct LaunchConfig {
    /// Where the agent answers the kubelet's probes.
    pub listen: SocketAddr,
    /// How long a supervisor's last pass of readiness stands while it is away.
    pub ready_hold: Duration,
    /// The Unix socket that the supervisor listens on for `launch`, mode 0600.
    pub socket: PathBuf,
    /// How long `launch` waits for a supervisor that can't be reached before it starts the engine.
    pub gate_patience: Duration,
    /// What follows on the end of an engine that had served.
    pub engine_restart: EngineRestart,
}

/// What follows on the end of an engine that had served and was not stopped on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineRestart {
    /// The container ends with it, and the kubelet starts it anew.
    #[default]
    Container,
    /// `launch` starts the command anew in the same container, while the restart budget lasts.
    InPlace,
}

/// The HTTP server and its limits.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Open connections at most; more are closed at once.
    pub max_connections: usize,
    /// Time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Bytes of a request's head.
    pub max_header_bytes: usize,
    /// A decision older than this is not served as one.
    pub decision_stale_after: Duration,
    /// How long open requests may take to end after SIGTERM.
    pub drain_timeout: Duration,
}

/// How the engine is reached.
#[derive(Clone, Debug)]
pub struct SqlConfig {
    /// Host name or address; none where it is to be found out.
    pub host: Option<String>,
    /// TCP port; none where it is to be found out.
    pub port: Option<u16>,
    /// TCP port of the dedicated administrator connection; zero where that is never asked, none where it is
    /// to be found out.
    pub dac_port: Option<u16>,
    /// What was found out of these, shared by all clones of this.
    pub endpoint: Endpoint,
    /// The login that the engine refused last, shared by all clones of this.
    pub refusals: Refusals,
    /// Login.
    pub user: String,
    /// Where its password is read, at each login.
    pub password: PasswordSource,
    /// Who makes that login where the engine does not know it.
    pub bootstrap: BootstrapConfig,
    /// Whether and how TLS is used.
    pub tls: TlsMode,
    /// CA certificates (PEM) to trust instead of trusting any certificate.
    pub tls_ca: Option<PathBuf>,
    /// The name that the engine's certificate has to be for; none for the host's.
    pub tls_server_name: Option<String>,
    /// Ping: pace and deadline.
    pub ping: Pace,
    /// Fresh login: pace and deadline (TCP, TLS, login and query together).
    pub login: Pace,
    /// `sys.databases`: pace and deadline.
    pub databases: Pace,
    /// `sp_server_diagnostics`: repeat interval, and HealthCheckTimeout as deadline.
    pub diagnostics: Pace,
    /// Databases kept from `sys.databases` at most.
    pub max_databases: usize,
}

/// An administrator's login, used once: to make the supervisor's own.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// Its name; none where nothing is to be made.
    pub user: Option<String>,
    /// Where its password is read.
    pub password: PasswordSource,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            user: None,
            password: PasswordSource::Missing,
        }
    }
}

/// How often, and for how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one start to the next.
    pub interval: Duration,
    /// For one run.
    pub deadline: Duration,
}

/// Encryption of the connection to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// The whole connection is encrypted, or there is none.
    Required,
    /// Only the login packet is encrypted, unless the engine insists on more.
    Login,
    /// TDS 8: TLS first.
    Strict,
    /// Clear text, unless the engine insists.
    Off,
}

/// Which processes are watched.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The kernel's `comm` of the engine, at most 15 bytes.
    pub name: String,
    /// How often `/proc` is read.
    pub interval: Duration,
    /// The root of procfs; `/proc` but in tests.
    pub proc_root: PathBuf,
}

/// The lease on the volume; how strongly it binds stands in the policy.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// From one renewal to the next.
    pub renew: Duration,
    /// A claim that nobody renews for this long is free.
    pub stale: Duration,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The node's name.
    pub node: Option<String>,
}

/// The data volume.
#[derive(Clone, Debug)]
pub struct VolumeConfig {
    /// The engine's data directory.
    pub data_dir: PathBuf,
    /// The same directory as sqlservr's container names it, if different.
    pub engine_data_dir: PathBuf,
    /// Where the engine keeps what it does not keep at the image's own places, as far as that is set.
    pub places: PlacesConfig,
    /// The file that sqlservr's standard output is also written to, if any.
    pub engine_output: Option<PathBuf>,
    /// How often it is checked.
    pub interval: Duration,
    /// The id that the volume has to have.
    pub expected_id: Option<String>,
    /// A file that holds it.
    pub expected_id_file: Option<PathBuf>,
}

/// Directories and files of the engine, as its container names them. What is not given here is given by
/// mssql.conf, and else is the image's default.
#[derive(Clone, Debug, Default)]
pub struct PlacesConfig {
    /// `master.mdf`.
    pub master: Option<PathBuf>,
    /// `mastlog.ldf`.
    pub master_log: Option<PathBuf>,
    /// The directory of new data files.
    pub data: Option<PathBuf>,
    /// The directory of new transaction logs.
    pub log: Option<PathBuf>,
    /// The directory of backups.
    pub backup: Option<PathBuf>,
    /// The directory of crash dumps.
    pub dump: Option<PathBuf>,
    /// The errorlog.
    pub errorlog: Option<PathBuf>,
}

/// A stop on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopConfig {
    /// The pod's terminationGracePeriodSeconds: at its end the kubelet kills.
    pub pod_grace: Duration,
    /// For the whole of a stop.
    pub grace: Duration,
    /// How long the endpoints may take to notice that the engine is not ready.
    pub drain: Duration,
}

/// Logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Lines for people or JSON.
    pub format: LogFormat,
    /// The least level that is written.
    pub level: tracing::Level,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
