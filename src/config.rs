//! One validated configuration, from flags, environment and an optional file.
//!
//! Everything below [`Config`] is plain values that the rest of the program may read, but for [`endpoint`] and
//! [`refusals`]: these two are shared, so that what one observer learns of the engine's address or of a refused
//! login holds for all. The values are made in two steps: [`sources`] gathers what was given (the only one of
//! the two that does I/O), and [`mod@parse`] turns it into a [`Config`], or into every mistake at once, by
//! the one table in [`settings`].

pub mod endpoint;
pub mod file;
pub mod id;
pub mod kind;
pub mod metrics;
pub mod mistake;
pub mod mssql_conf;
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

/// The effective configuration of the supervisor and of `launch`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP server: its address and its limits.
    pub http: HttpConfig,
    /// The connections to the engine: address, login, encryption and paces.
    pub sql: SqlConfig,
    /// The collectors of the engine's metrics for `/metrics`.
    pub metrics: MetricsConfig,
    /// The processes that are watched.
    pub process: ProcessConfig,
    /// The engine's data volume, and the checks of it.
    pub volume: VolumeConfig,
    /// The interval between two readings of the control group.
    pub cgroup_interval: Duration,
    /// The thresholds of the decision.
    pub policy: Policy,
    /// The time limits of a stop on purpose.
    pub stop: StopConfig,
    /// The lease on the volume, and the pod that takes it.
    pub lease: LeaseConfig,
    /// The format and the level of log lines.
    pub log: LogConfig,
    /// The path at which the supervisor reaches the SQL container's termination message, where one was given.
    pub termination_log: Option<PathBuf>,
    /// The directory of the state that outlives the supervisor, and of the control socket unless its path is
    /// given.
    pub state_dir: PathBuf,
    /// The Unix socket, mode 0600, over which commands are given.
    pub control_socket: PathBuf,
    /// `launch`, the first process of the SQL container, and the link to it.
    pub launch: LaunchConfig,
    /// The Kubernetes Events that are written on the pod.
    pub events: EventsConfig,
}

/// The Kubernetes Events that are written on the pod, and the API server that takes them.
#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// Whether Events are written.
    pub enabled: bool,
    /// The pod's name; always given where Events are written.
    pub pod_name: Option<String>,
    /// The directory of the ServiceAccount's files.
    pub account: PathBuf,
    /// The API server's host; always given where Events are written.
    pub host: Option<String>,
    /// The API server's TCP port.
    pub port: u16,
}

/// Settings of `launch`, and of the link between it and the supervisor.
#[derive(Clone, Debug)]
pub struct LaunchConfig {
    /// The address and port on which the agent answers the kubelet's probes.
    pub listen: SocketAddr,
    /// The time for which a supervisor's last pass of readiness stands while the supervisor is away.
    pub ready_hold: Duration,
    /// The Unix socket that the supervisor listens on for `launch`, mode 0600.
    pub socket: PathBuf,
    /// The time that `launch` waits for a supervisor that can't be reached before it starts the engine.
    pub gate_patience: Duration,
    /// The reaction to the end of an engine that had served.
    pub engine_restart: EngineRestart,
}

/// The reaction to the end of an engine that had served and was not stopped on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineRestart {
    /// The container ends with the engine, and the kubelet starts the container anew.
    #[default]
    Container,
    /// `launch` starts the command anew in the same container, while the restart budget lasts.
    InPlace,
}

/// The HTTP server and its limits.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address and port that HTTP is served on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The limit of open connections; more are closed at once.
    pub max_connections: usize,
    /// The time limit for a request's head to arrive.
    pub header_timeout: Duration,
    /// The limit of a request's head, in bytes.
    pub max_header_bytes: u64,
    /// The age above which a decision is no longer served.
    pub decision_stale_after: Duration,
    /// The time that open requests have to end after SIGTERM.
    pub drain_timeout: Duration,
}

/// The connections to the engine: address, login, encryption and paces.
#[derive(Clone, Debug)]
pub struct SqlConfig {
    /// The engine's host name or address; none where it is to be found out.
    pub host: Option<String>,
    /// The engine's TCP port; none where it is to be found out.
    pub port: Option<u16>,
    /// The TCP port of the dedicated administrator connection; zero where that is never asked, none where the
    /// port is to be found out.
    pub dac_port: Option<u16>,
    /// The targets that were found out for host and ports, shared by all clones of this configuration.
    pub endpoint: Endpoint,
    /// The login that the engine refused last, shared by all clones of this configuration.
    pub refusals: Refusals,
    /// The name of the supervisor's login.
    pub user: String,
    /// The source of the login's password, which is read at each login.
    pub password: PasswordSource,
    /// The administrator's login, which makes the supervisor's login where the engine does not know it.
    pub bootstrap: BootstrapConfig,
    /// The encryption of the connections.
    pub tls: TlsMode,
    /// The CA certificates (PEM) to trust, instead of trusting any certificate.
    pub tls_ca: Option<PathBuf>,
    /// The name that the engine's certificate has to be for; none means the host's name.
    pub tls_server_name: Option<String>,
    /// The pace and the deadline of a ping.
    pub ping: Pace,
    /// The pace and the deadline of a fresh login (TCP, TLS, login and query together).
    pub login: Pace,
    /// The pace and the deadline of reading `sys.databases`.
    pub databases: Pace,
    /// The repeat interval of `sp_server_diagnostics`, with HealthCheckTimeout as its deadline.
    pub diagnostics: Pace,
    /// The limit of databases that are kept from `sys.databases`.
    pub max_databases: usize,
}

/// An administrator's login, used once: to make the supervisor's own login.
#[derive(Clone, Debug)]
pub struct BootstrapConfig {
    /// The administrator's login name; none where no login is to be made.
    pub user: Option<String>,
    /// The source of the administrator's password.
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

/// The pace of something that is repeated, and the deadline of each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time from the start of one run to the start of the next.
    pub interval: Duration,
    /// The time limit of one run.
    pub deadline: Duration,
}

/// The encryption of the connection to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// The whole connection is encrypted, or no connection is made.
    Required,
    /// Only the login packet is encrypted, unless the engine insists on more.
    Login,
    /// The TLS handshake comes before any other message, as in TDS 8.
    Strict,
    /// The connection is in clear text, unless the engine insists on encryption.
    Off,
}

/// The processes that are watched.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The name of the engine's processes, as the kernel has it in `comm`: at most 15 bytes.
    pub name: String,
    /// The interval between two readings of `/proc`.
    pub interval: Duration,
    /// The root of procfs: `/proc`, except in tests.
    pub proc_root: PathBuf,
}

/// The times of the lease on the volume, and the pod that takes it; the lease's mode is part of the policy.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// The time from one renewal to the next.
    pub renew: Duration,
    /// The time without a renewal after which a lease is free for another pod.
    pub stale: Duration,
    /// The pod's uid, where it is known.
    pub pod_uid: Option<String>,
    /// The node's name, where it is known.
    pub node: Option<String>,
}

/// The engine's data volume, and the checks of it.
#[derive(Clone, Debug)]
pub struct VolumeConfig {
    /// The engine's data directory, as the supervisor sees it.
    pub data_dir: PathBuf,
    /// The data directory as sqlservr's container names it; by default as the supervisor does.
    pub engine_data_dir: PathBuf,
    /// The engine's directories and files that are set to other places than the image's own.
    pub places: PlacesConfig,
    /// The file that sqlservr's standard output is also written to, if any.
    pub engine_output: Option<PathBuf>,
    /// The interval between two checks of the volume.
    pub interval: Duration,
    /// The id that the volume has to have, where one is expected.
    pub expected_id: Option<String>,
    /// The file that holds the expected id.
    pub expected_id_file: Option<PathBuf>,
}

/// Directories and files of the engine, as its container names them. A place that is not given here is given
/// by mssql.conf, and else is the image's default.
#[derive(Clone, Debug, Default)]
pub struct PlacesConfig {
    /// The file `master.mdf`.
    pub master: Option<PathBuf>,
    /// The file `mastlog.ldf`.
    pub master_log: Option<PathBuf>,
    /// The directory of new data files.
    pub data: Option<PathBuf>,
    /// The directory of new transaction logs.
    pub log: Option<PathBuf>,
    /// The directory of backups.
    pub backup: Option<PathBuf>,
    /// The directory of crash dumps.
    pub dump: Option<PathBuf>,
    /// The errorlog file.
    pub errorlog: Option<PathBuf>,
}

/// The time limits of a stop on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopConfig {
    /// The pod's terminationGracePeriodSeconds, at whose end the kubelet kills what is left.
    pub pod_grace: Duration,
    /// The time limit of a whole stop.
    pub grace: Duration,
    /// The time that the endpoints have to notice that the engine is not ready.
    pub drain: Duration,
}

/// The format and the level of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The format of log lines.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: tracing::Level,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines of text for people.
    Text,
    /// A JSON object on each line.
    Json,
}
