//! The supervisor as a process of its own: this program under another name, which parses the ordinary
//! flags, scales the durations of the configuration that came of them, and runs the crate's `app`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sql_edge_supervisor::cli::{self, Invocation};
use sql_edge_supervisor::config::{self, Config, Environment, Pace, Sources};
use sql_edge_supervisor::{app, telemetry};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use crate::scale::FACTOR;
use crate::timeline::Timeline;

/// This program's name when it is the supervisor ...
pub const SCALED: &str = "sql-edge-supervisor";
/// ... and when its durations are to stay what they are.
pub const UNSCALED: &str = "supervisor-real";

/// No start takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// `sp_server_diagnostics` takes no repeat interval below five seconds: a scaled supervisor asks for five,
/// where an unscaled one asks for ten. The stand-in's clock for the procedure makes up for it.
pub const DIAGNOSTICS_TIME_SCALE: f64 = 0.2;

/// The life of the supervisor's process.
pub fn be(scaled: bool) -> ExitCode {
    match supervise(scaled) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the supervisor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(scaled: bool) -> anyhow::Result<()> {
    let Invocation::Run(flags) = cli::parse(std::env::args_os())? else {
        bail!("only `run` is of use here");
    };
    let sources = Sources::load(flags, Environment::capture());
    let effective = config::parse(&sources).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let mut config = effective.config;
    if scaled {
        scale(&mut config);
    }
    telemetry::init(config.log);
    app::run(config)
}

/// Divides each duration that is about the engine. Those about the supervisor itself (HTTP, the age of
/// a decision) stay: by them it judges how this machine schedules it, which is not scaled.
fn scale(config: &mut Config) {
    let pace = |pace: &mut Pace| {
        pace.interval /= FACTOR;
        pace.deadline /= FACTOR;
    };
    let sql = &mut config.sql;
    for each in [
        &mut sql.ping,
        &mut sql.login,
        &mut sql.databases,
        &mut sql.diagnostics,
    ] {
        pace(each);
    }
    let policy = &mut config.policy;
    for span in [
        &mut config.process.interval,
        &mut config.volume.interval,
        &mut config.cgroup_interval,
        &mut policy.unresponsive_after,
        &mut policy.listener_lost_after,
        &mut policy.process_missing_after,
        &mut policy.zombie_after,
        &mut policy.startup_stalled_after,
        &mut policy.ready_freshness,
        &mut policy.settle,
        &mut policy.volume_stalled_after,
        &mut policy.dump_limit,
        &mut policy.stopping_limit,
        &mut policy.out_of_memory_after,
        &mut policy.restart_grace,
        &mut policy.unresponsive_grace,
        &mut policy.busy_limit,
        &mut policy.ages.process,
        &mut policy.ages.listeners,
        &mut policy.ages.contact,
        &mut policy.ages.diagnostics,
        &mut policy.ages.databases,
        &mut policy.ages.cgroup,
    ] {
        *span /= FACTOR;
    }
}

/// How a supervisor is started.
pub struct Setup<'a> {
    pub binary: &'a Path,
    pub comm: &'a str,
    pub port: u16,
    pub password: &'a str,
    pub data_dir: &'a Path,
    pub state_dir: PathBuf,
    pub settings: &'a [(&'static str, &'static str)],
}

/// A running supervisor. Dropped, it is gone.
pub struct Supervisor {
    child: Child,
    pub address: std::net::SocketAddr,
}

impl Supervisor {
    /// Returns once it supervises; its log goes to `timeline` from then on.
    pub async fn start(setup: Setup<'_>, timeline: &Timeline) -> anyhow::Result<Self> {
        let mut child = command(&setup).spawn().context("starting the supervisor")?;
        let stderr = child.stderr.take().context("its log")?;
        let stderr = pipe::Receiver::from_owned_fd(OwnedFd::from(stderr)).context("its log")?;
        let mut supervisor = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let mut lines = BufReader::new(stderr).lines();
        let supervising = async {
            let mut before = String::new();
            while let Some(line) = lines.next_line().await? {
                let event: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                if event["message"] == "supervising" {
                    return anyhow::Ok(event["address"].as_str().unwrap_or_default().parse()?);
                }
                before.push_str(&line);
            }
            bail!("the supervisor ended: {before}");
        };
        supervisor.address = tokio::time::timeout(PATIENCE, supervising)
            .await
            .context("the supervisor did not start in time")??;
        let timeline = timeline.clone();
        // It ends with the log.
        tokio::task::spawn_local(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(event) => timeline.log(event),
                    Err(_) => timeline.note(format!("the supervisor: {line}")),
                }
            }
        });
        Ok(supervisor)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// It is our child and not reaped: the number is its own.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(setup: &Setup<'_>) -> Command {
    let mut command = Command::new(setup.binary);
    command.arg("run").env_clear();
    let settings = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("log-format", "json".to_owned()),
        ("process-name", setup.comm.to_owned()),
        ("sql-port", setup.port.to_string()),
        ("data-dir", setup.data_dir.display().to_string()),
        ("state-dir", setup.state_dir.display().to_string()),
        // Most scenarios have their volume in memory: no disk's latency is measured along.
        ("allow-ephemeral", "true".to_owned()),
    ];
    // A scenario's own setting takes the place of the rig's.
    let given = |key: &str| setup.settings.iter().any(|(own, _)| *own == key);
    for (key, value) in settings.into_iter().filter(|(key, _)| !given(key)) {
        command.arg(format!("--{key}")).arg(value);
    }
    for (key, value) in setup.settings {
        command.arg(format!("--{key}")).arg(value);
    }
    command
        .env("MSSQL_SA_PASSWORD", setup.password)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
