//! A pod: the sidecar and the SQL container on the shared volume, and a kubelet that starts again what
//! ends.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::container::{Container, Events};
use crate::shared::ports::free_port;
use crate::shared::writer::Target;
use crate::standin::handle::DEFAULT_PASSWORD;

/// How often the kubelet looks after its containers.
const LOOK: Duration = Duration::from_millis(20);

/// The times of everything, a tenth of the defaults and less.
const SETTINGS: &[(&str, &str)] = &[
    ("log-format", "json"),
    ("disk-full-bytes", "1Mi"),
    ("disk-low-ratio", "0.0001"),
    ("process-interval", "100ms"),
    ("ping-interval", "100ms"),
    ("ping-timeout", "300ms"),
    ("login-interval", "300ms"),
    ("login-timeout", "1s"),
    ("databases-interval", "200ms"),
    ("databases-timeout", "500ms"),
    ("volume-interval", "200ms"),
    ("volume-timeout", "2s"),
    ("cgroup-interval", "500ms"),
    ("unresponsive-after", "2s"),
    ("unresponsive-grace", "200ms"),
    ("ready-freshness", "1500ms"),
    ("settle", "200ms"),
    ("restart-budget", "100"),
    ("stop-drain", "0s"),
    ("lease-renew", "300ms"),
    ("lease-fence", "2s"),
    ("lease-stale", "3s"),
];

/// What all pods of a run have in common.
#[derive(Clone, Debug)]
pub struct World {
    pub supervisor: PathBuf,
    pub engine: PathBuf,
    pub volume: PathBuf,
    pub directory: PathBuf,
    pub lease: &'static str,
    pub restart: &'static str,
}

/// The sidecar, or the engine's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Sidecar,
    Sql,
}

/// A pod that runs, or is frozen. Dropped, it is killed.
pub struct Pod {
    pub name: String,
    pub directory: PathBuf,
    pub target: Target,
    /// What the sidecar's log says.
    pub sidecar: Events,
    /// What `launch` says.
    pub launch: Events,
    containers: Arc<Containers>,
    kubelet: JoinHandle<()>,
}

struct Containers {
    world: World,
    name: String,
    directory: PathBuf,
    port: u16,
    sidecar: (Mutex<Option<Container>>, Events),
    sql: (Mutex<Option<Container>>, Events),
    stopping: Mutex<bool>,
}

impl Pod {
    /// Starts both containers.
    pub fn start(world: &World, number: u32) -> anyhow::Result<Self> {
        let name = format!("pod-{number}");
        let directory = world.directory.join(&name);
        for each in ["state", "mssql"] {
            std::fs::create_dir_all(directory.join(each)).context("a pod's directory")?;
        }
        let (sidecar, launch) = (Events::default(), Events::default());
        let port = free_port()?;
        let containers = Arc::new(Containers {
            world: world.clone(),
            name: name.clone(),
            directory: directory.clone(),
            port,
            sidecar: (Mutex::default(), sidecar.clone()),
            sql: (Mutex::default(), launch.clone()),
            stopping: Mutex::default(),
        });
        let kubelet = tokio::spawn(keep(Arc::clone(&containers)));
        Ok(Self {
            name,
            directory,
            target: Target {
                port,
                password: DEFAULT_PASSWORD.to_owned(),
            },
            sidecar,
            launch,
            containers,
            kubelet,
        })
    }

    /// For the first process of a container: SIGKILL ends all of it.
    pub fn signal(&self, which: Which, signal: Signal) -> bool {
        let container = self.containers.lock(which);
        container.as_ref().is_some_and(|found| found.signal(signal))
    }

    /// The engine's processes, the outer one first.
    pub fn engine(&self) -> Vec<i32> {
        let container = self.containers.lock(Which::Sql);
        container
            .as_ref()
            .map(Container::engine)
            .unwrap_or_default()
    }

    /// The first process of the SQL container: another one is another container.
    pub fn container(&self) -> Option<i32> {
        self.containers.lock(Which::Sql).as_ref()?.first()
    }

    /// The agent of `launch`; none while there is none.
    pub fn agent(&self) -> Option<i32> {
        self.containers.lock(Which::Sql).as_ref()?.agent()
    }

    /// For every process of the pod: SIGSTOP is a node that hangs, SIGCONT its return, SIGKILL its loss.
    pub fn signal_all(&self, signal: Signal) {
        for which in [Which::Sidecar, Which::Sql] {
            if let Some(container) = self.containers.lock(which).as_ref() {
                container.signal_all(signal);
            }
        }
    }

    /// From now on nothing is started again.
    pub fn is_deleted(&self) {
        *lock(&self.containers.stopping) = true;
    }

    /// Whether all of it has ended.
    pub fn is_gone(&self) -> bool {
        self.is_over(Which::Sidecar) && self.is_over(Which::Sql)
    }

    /// Whether this container has ended, and is not started again.
    pub fn is_over(&self, which: Which) -> bool {
        self.containers.lock(which).is_none()
    }

    /// The supervisor's command in the sidecar's place, as a preStop hook runs it; it goes on by itself.
    pub fn order(&self, words: &[&str]) -> anyhow::Result<std::process::Child> {
        Command::new(&self.containers.world.supervisor)
            .args(words)
            .arg("--state-dir")
            .arg(self.directory.join("state"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .context("a command for the supervisor")
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.is_deleted();
        self.kubelet.abort();
        for which in [Which::Sql, Which::Sidecar] {
            drop(self.containers.lock(which).take());
        }
    }
}

impl Containers {
    fn lock(&self, which: Which) -> MutexGuard<'_, Option<Container>> {
        match which {
            Which::Sidecar => lock(&self.sidecar.0),
            Which::Sql => lock(&self.sql.0),
        }
    }

    /// Starts what does not run.
    fn look(&self, which: Which) -> anyhow::Result<()> {
        let mut container = self.lock(which);
        if let Some(running) = container.as_mut()
            && running.ended()?.is_some()
        {
            *container = None;
        }
        if container.is_none() && !*lock(&self.stopping) {
            *container = Some(self.start(which)?);
        }
        Ok(())
    }

    fn start(&self, which: Which) -> anyhow::Result<Container> {
        let (command, events, log) = match which {
            Which::Sidecar => (self.sidecar_command(), &self.sidecar.1, "sidecar.log"),
            Which::Sql => (self.sql_command(), &self.sql.1, "sql.log"),
        };
        let environment = [
            ("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD.to_owned()),
            ("POD_UID", self.name.clone()),
        ];
        let mount = self.directory.join("mssql");
        let log = self.directory.join(log);
        let volume = (self.world.volume.as_path(), mount.as_path());
        Container::start(&command, &environment, volume, events, &log)
    }

    fn settings(&self) -> Vec<String> {
        let path = |name: &str| self.directory.join(name).display().to_string();
        let mut words: Vec<String> = Vec::new();
        let own = [
            ("listen", "127.0.0.1:0".to_owned()),
            ("launch-listen", "127.0.0.1:0".to_owned()),
            ("sql-port", self.port.to_string()),
            ("sql-dac-port", "0".to_owned()),
            ("state-dir", path("state")),
            ("data-dir", path("mssql")),
            ("lease", self.world.lease.to_owned()),
            ("engine-restart", self.world.restart.to_owned()),
        ];
        let rest = SETTINGS
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()));
        for (key, value) in own.into_iter().chain(rest) {
            words.extend([format!("--{key}"), value]);
        }
        words
    }

    fn sidecar_command(&self) -> Vec<String> {
        let mut command = vec![
            self.world.supervisor.display().to_string(),
            "run".to_owned(),
        ];
        command.extend(self.settings());
        command
    }

    /// A shell beside whose engine another process runs, as in SQL Edge's image.
    fn sql_command(&self) -> Vec<String> {
        let control = self.directory.join("control.sock").display().to_string();
        let engine = format!(
            "sleep 1000000 & {} --data-dir {} --port {} --control {control} --announce /dev/null",
            self.world.engine.display(),
            self.directory.join("mssql").display(),
            self.port
        );
        let mut command = vec![
            self.world.supervisor.display().to_string(),
            "launch".to_owned(),
        ];
        command.extend(self.settings());
        let shell = ["--", "sh", "-c", &engine];
        command.extend(shell.map(str::to_owned));
        command
    }
}

/// The kubelet's loop.
async fn keep(containers: Arc<Containers>) {
    loop {
        for which in [Which::Sidecar, Which::Sql] {
            if let Err(error) = containers.look(which) {
                eprintln!("the kubelet: {error:#}");
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
