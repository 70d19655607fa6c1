//! Command line and environment.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::failure::FailStart;
use super::tds::prelogin::Encryption;

/// The variable in which whoever starts the engine passes it the epoch of the volume's lease.
pub const EPOCH: &str = "SQL_EDGE_SUPERVISOR_EPOCH";

#[derive(Clone, Debug)]
pub struct Options {
    pub data_dir: PathBuf,
    pub listen_address: Ipv4Addr,
    /// The port; 0 is any free one, which the announcement has.
    pub port: u16,
    /// The port of the administrator connection; without it there is none.
    pub dac_port: Option<u16>,
    pub fail_start: Option<FailStart>,
    pub control: Option<PathBuf>,
    pub announce: Option<PathBuf>,
    pub script: Option<PathBuf>,
    pub encryption: Encryption,
    /// Whether it is TDS 8, in which TLS comes first.
    pub strict: bool,
    pub certificate: Option<(PathBuf, PathBuf)>,
    pub utf16_errorlog: bool,
    pub max_connections: usize,
    /// The epoch of the lease under which this engine was started; the default of the journal's column
    /// `epoch`.
    pub epoch: i64,
    /// The password of `sa`, never in the arguments, where every process could read it.
    pub sa_password: Option<Secret>,
}

/// A password that does not show in `Debug`.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    command().try_get_matches_from(arguments).map(options)
}

fn path_flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("PATH")
        .help(help)
        .value_parser(value_parser!(PathBuf))
}

fn command() -> Command {
    Command::new("sqlservr")
        .about("A stand-in for SQL Server's engine process, for tests and the demo")
        .arg(path_flag("data-dir", "The volume, /var/opt/mssql in the image").required(true))
        .arg(
            Arg::new("listen-address")
                .long("listen-address")
                .default_value("127.0.0.1")
                .value_parser(value_parser!(Ipv4Addr)),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .default_value("0")
                .help("0 takes any free port")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            Arg::new("dac-port")
                .long("dac-port")
                .help("The administrator connection; 0 takes any free port")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            Arg::new("fail-start")
                .long("fail-start")
                .help("Say why the start fails, and exit")
                .value_parser(FailStart::NAMES),
        )
        .arg(path_flag("control", "Unix socket for commands"))
        .arg(path_flag(
            "announce",
            "File or FIFO for the line that tells pids and port; standard output otherwise",
        ))
        .arg(path_flag("script", "Initial script, JSON"))
        .arg(
            Arg::new("encryption")
                .long("encryption")
                .default_value("off")
                .value_parser(["off", "on", "required", "not-supported", "strict"]),
        )
        .arg(
            path_flag("tls-cert", "Certificate chain, PEM; self-signed otherwise")
                .requires("tls-key"),
        )
        .arg(path_flag("tls-key", "Its key, PEM").requires("tls-cert"))
        .arg(
            Arg::new("errorlog-utf16")
                .long("errorlog-utf16")
                .action(ArgAction::SetTrue)
                .help("Write the errorlog in UTF-16LE, as the builds of 2017 did"),
        )
        .arg(
            Arg::new("max-connections")
                .long("max-connections")
                .default_value("512")
                .value_parser(value_parser!(u16).range(1..)),
        )
}

fn options(matches: ArgMatches) -> Options {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let number = |name: &str| matches.get_one::<u16>(name).copied().unwrap_or_default();
    let encryption = match matches.get_one::<String>("encryption").map(String::as_str) {
        Some("on") => Encryption::On,
        Some("required" | "strict") => Encryption::Required,
        Some("not-supported") => Encryption::NotSupported,
        _ => Encryption::Off,
    };
    let strict = matches
        .get_one::<String>("encryption")
        .is_some_and(|mode| mode == "strict");
    Options {
        data_dir: path("data-dir").unwrap_or_default(),
        listen_address: matches
            .get_one::<Ipv4Addr>("listen-address")
            .copied()
            .unwrap_or(Ipv4Addr::LOCALHOST),
        port: number("port"),
        dac_port: matches.get_one::<u16>("dac-port").copied(),
        fail_start: matches
            .get_one::<String>("fail-start")
            .and_then(|name| FailStart::by_name(name)),
        control: path("control"),
        announce: path("announce"),
        script: path("script"),
        encryption,
        strict,
        certificate: path("tls-cert").zip(path("tls-key")),
        utf16_errorlog: matches.get_flag("errorlog-utf16"),
        max_connections: usize::from(number("max-connections")),
        epoch: std::env::var(EPOCH)
            .ok()
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or(0),
        sa_password: ["MSSQL_SA_PASSWORD", "SA_PASSWORD"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok())
            .map(Secret),
    }
}
