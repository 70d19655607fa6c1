//! A stand-in and the supervisor on it, as real processes.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::Plan;
use crate::fuse::Fuse;
use crate::shared::scratch::Scratch;
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::{StandIn, StandInOptions};
use crate::standin::script::{Database, Script};

/// This program's name when it is the engine.
pub const ENGINE: &str = "sqlservr";
/// This program's name when it is the supervisor.
pub const SUPERVISOR: &str = "sql-edge-supervisor";

/// Faster than the defaults where a default would only make the benchmark longer: a hang is found
/// after two seconds. Nothing that is measured depends on a longer pace.
pub const FAST: &[(&str, &str)] = &[
    ("process-interval", "200ms"),
    ("ping-interval", "500ms"),
    ("ping-timeout", "500ms"),
    ("login-interval", "1s"),
    ("login-timeout", "1s"),
    ("databases-interval", "1s"),
    ("databases-timeout", "1s"),
    ("volume-interval", "500ms"),
    ("volume-timeout", "1s"),
    ("unresponsive-after", "2s"),
    ("ready-freshness", "2s"),
    ("settle", "300ms"),
];

/// User databases of [`many_databases`].
pub const DATABASES: usize = 100;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The processes. Dropped, they are gone, and their directory with them.
pub struct Rig {
    pub supervisor: Supervisor,
    pub engine: StandIn,
    /// The volume, where it is one that can be stalled.
    pub fuse: Option<Fuse>,
    pub address: SocketAddr,
    /// When the supervisor was started.
    pub started: Instant,
    // the last to go
    _scratch: Scratch,
}

/// How a rig is set up.
#[derive(Default)]
pub struct Setup<'a> {
    /// Settings besides those that lead to the stand-in; what is not given is the default.
    pub settings: &'a [(&'a str, &'a str)],
    pub script: Script,
    /// The supervisor's volume is a FUSE mount.
    pub fuse: bool,
}

impl Rig {
    /// Starts both, and returns once the engine is ready.
    pub async fn start(plan: &Plan, setup: Setup<'_>) -> anyhow::Result<Self> {
        let scratch = Scratch::new();
        // The kernel's name of the engine: another `sqlservr` on this machine is not ours.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let comm = format!("sql{}-{count}", std::process::id() % 1_000_000);
        let binary = link_to_self(&scratch, ENGINE)?;
        let mut options = StandInOptions::new(binary, scratch.path().join("pod"));
        let name = ("STANDIN_NAME".into(), comm.clone().into());
        options.environment.push(name);
        let source = options.data_dir();
        let fuse = match setup.fuse {
            true => Some(Fuse::over(&source, &scratch.path().join("volume")).await?),
            false => None,
        };
        let engine = StandIn::start(options.script(setup.script)).await?;
        let data_dir = fuse.as_ref().map_or(source.as_path(), Fuse::path);
        let mut settings = vec![
            ("listen", "127.0.0.1:0".to_owned()),
            ("log-format", "json".to_owned()),
            ("process-name", comm),
            ("sql-port", engine.port().to_string()),
            ("data-dir", data_dir.display().to_string()),
            (
                "state-dir",
                scratch.path().join("state").display().to_string(),
            ),
            ("require-mount", "false".to_owned()),
            // What is measured is when `/livez` fails, and nothing is to end a hang but the benchmark.
            ("restart-by", "kubelet".to_owned()),
        ];
        let more = setup
            .settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()));
        settings.extend(more);
        let settings: Vec<_> = settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let environment = [("MSSQL_SA_PASSWORD", engine.password())];
        let started = Instant::now();
        let mut supervisor = Supervisor::start(&plan.supervisor, &settings, &environment).await;
        supervisor.passes("ready").await;
        let address = supervisor
            .address
            .parse()
            .context("the supervisor's address")?;
        Ok(Self {
            supervisor,
            engine,
            fuse,
            address,
            started,
            _scratch: scratch,
        })
    }
}

impl Rig {
    /// Stops the daemon of the volume, and returns once the stall was found out.
    ///
    /// Between two checks: a request that a daemon has taken and does not answer holds its thread
    /// where not even SIGKILL reaches it (fs/fuse/dev.c, `request_wait_answer`), so that no process
    /// that waits for one can end. One that the daemon has not taken is given up.
    pub async fn stall_volume(&mut self) -> anyhow::Result<()> {
        /// A check that ended so short a time ago is not followed by another one yet.
        const JUST_NOW_SECONDS: f64 = 0.1;
        const PATIENCE: Duration = Duration::from_secs(20);
        let fuse = self.fuse.as_ref().context("the volume can't stall")?;
        let began = Instant::now();
        loop {
            let volume = &self.supervisor.status().await["volume"];
            let age = volume["ageSeconds"].as_f64();
            let just_now = age.is_some_and(|age| age < JUST_NOW_SECONDS);
            // The lease holder uses the volume as well, at moments of its own.
            let between = just_now && volume["pendingSeconds"].is_null();
            if between && fuse.stop_between_requests(self.supervisor.pid())? {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "the volume is not checked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.supervisor.finds("VolumeStalled").await;
        Ok(())
    }

    /// Freezes the engine, and returns once a ping got no answer. What is made of that is not awaited:
    /// while the volume stalls, which excuses an engine, no reason is found.
    pub async fn hang_engine(&mut self) -> anyhow::Result<()> {
        const NONE_YET: &str =
            "sql_edge_supervisor_ping_failures_total{kind=\"query_timeout\"} 0\n";
        const PATIENCE: Duration = Duration::from_secs(20);
        self.engine.signal_child(Signal::STOP)?;
        let began = Instant::now();
        while self.supervisor.get("/metrics").await.1.contains(NONE_YET) {
            ensure!(began.elapsed() < PATIENCE, "the hang is not seen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// An engine that holds [`DATABASES`] beside its own.
pub fn many_databases() -> Script {
    databases(DATABASES)
}

/// An engine that holds so many beside its own.
pub fn databases(count: usize) -> Script {
    let mut script = Script::default();
    let more = (0..count).map(|number| Database::online(&format!("db{number:03}")));
    script.databases.extend(more);
    script
}

/// This program under another name.
pub fn link_to_self(scratch: &Scratch, name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the benchmark's own path")?;
    let link = scratch.path().join(name);
    symlink(program, &link).context("a link to the benchmark")?;
    Ok(link)
}

/// A copy of this program under another name, for one that starts itself by the file that it is.
pub fn copy_of_self(scratch: &Scratch, name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the benchmark's own path")?;
    let copy = scratch.path().join(name);
    std::fs::copy(program, &copy).context("a copy of the benchmark")?;
    Ok(copy)
}

/// Runs what blocks on a thread of its own; the runtime goes on.
pub async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(run)
        .await
        .context("a thread of the benchmark")?
}
