//! What the pod's two containers cost, as the chart sets them up: `launch` and its agent in the SQL
//! container, and beside it a supervisor that checks four volumes. All at the default pace, with an
//! engine of a hundred databases, asked as a kubelet and a Prometheus ask.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use procfs::process::Process;
use serde_json::Value;

use crate::Plan;
use crate::footprint::ask;
use crate::report::{Report, mib};
use crate::rig::{DATABASES, ENGINE, link_to_self, many_databases};
use crate::shared::container::{Container, fifo, until};
use crate::shared::ports::free_port;
use crate::shared::scratch::Scratch;
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::DEFAULT_PASSWORD;

/// Of `launch` and its agent together.
const CONTAINER_RSS_LIMIT: u64 = 4 << 20;
const CONTAINER_CPU_LIMIT_MILLICORES: f64 = 2.0;
const RSS_LIMIT: u64 = 7 << 20;
const CPU_LIMIT_MILLICORES: f64 = 5.0;
/// Install, supervisor and gate together, on an idle machine.
const START_LIMIT: Duration = Duration::from_millis(500);
/// No start takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Volumes besides the one with the system databases: the setting, and the directory.
const MORE_VOLUMES: [(&str, &str); 3] = [
    ("default-data-dir", "userdata"),
    ("default-log-dir", "userlog"),
    ("default-backup-dir", "backup"),
];

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let pod = Pod::begin(plan).await?;
    let supervisor = pod.supervisor.address.parse()?;
    let (first, agent) = pod.launch_and_agent()?;
    let start = pod.start()?;
    report.judge(
        "both containers' start until the engine's command is started: the supervisor, the agent, and the gate",
        "≤ 0.5 s",
        format!("{:.2} s", start.as_secs_f64()),
        start <= START_LIMIT,
    );
    let sidecar = pod.supervisor.pid().as_raw_pid();
    // What the start cost is over once it is ready: what is measured is a pod that runs.
    let before = [spent(first)? + spent(agent)?, spent(sidecar)?];
    let began = Instant::now();
    let length = Duration::from_secs(plan.scale(75, 5));
    ask(pod.probes()?, supervisor, length).await?;
    let lived = began.elapsed().as_secs_f64();
    let after = [spent(first)? + spent(agent)?, spent(sidecar)?];
    let cpu = [0, 1].map(|at| (after[at] - before[at]).as_secs_f64() / lived * 1e3);

    let (one, other) = (Memory::of(first)?, Memory::of(agent)?);
    report.judge(
        "`launch` and `agent` in the SQL container: resident memory",
        "≤ 4 MiB together",
        format!("{one} and {other}"),
        one.rss + other.rss <= CONTAINER_RSS_LIMIT,
    );
    report.judge(
        "`launch` and `agent`: processor time",
        "≤ 2 millicores",
        format!("{:.2} millicores", cpu[0]),
        cpu[0] <= CONTAINER_CPU_LIMIT_MILLICORES,
    );
    let volumes = MORE_VOLUMES.len() + 1;
    let memory = Memory::of(sidecar)?;
    report.judge(
        &format!("the supervisor with {volumes} volumes, {DATABASES} databases: resident memory"),
        "≤ 7 MiB",
        &memory,
        memory.rss <= RSS_LIMIT,
    );
    report.judge(
        &format!("the supervisor with {volumes} volumes: processor time"),
        "≤ 5 millicores",
        format!("{:.2} millicores", cpu[1]),
        cpu[1] <= CPU_LIMIT_MILLICORES,
    );
    Ok(())
}

/// Of a process, bytes.
struct Memory {
    rss: u64,
    anonymous: u64,
    proportional: u64,
}

impl Memory {
    fn of(pid: i32) -> anyhow::Result<Self> {
        let process = Process::new(pid)?;
        let rollup = process.smaps_rollup()?.memory_map_rollup.0;
        let part = |name: &str| {
            let map = rollup.first()?;
            map.extension.map.get(name).copied()
        };
        Ok(Self {
            rss: part("Rss").context("no Rss")?,
            anonymous: part("Anonymous").context("no Anonymous")?,
            proportional: part("Pss").context("no Pss")?,
        })
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            rss,
            anonymous,
            proportional,
        } = *self;
        write!(
            f,
            "{} (anonymous {}, proportional {})",
            mib(rss),
            mib(anonymous),
            mib(proportional)
        )
    }
}

/// The processor time of a process so far.
fn spent(pid: i32) -> anyhow::Result<Duration> {
    let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(pid))?;
    Ok(clock_gettime(clock)?.into())
}

/// Both containers. Dropped, they are gone, and so are the mounts.
struct Pod {
    began: SystemTime,
    supervisor: Supervisor,
    container: Container,
    log: PathBuf,
    _volumes: Vec<Mounted>,
    _scratch: Scratch,
}

impl Pod {
    /// Returns once the engine is ready.
    async fn begin(plan: &Plan) -> anyhow::Result<Self> {
        let scratch = Scratch::new();
        let path = |name: &str| scratch.path().join(name);
        let engine = link_to_self(&scratch, ENGINE)?;
        let main = path("mssql");
        let mut volumes = vec![Mounted::at(&main)?];
        for (_, name) in MORE_VOLUMES {
            volumes.push(Mounted::at(&main.join(name))?);
        }
        let port = free_port()?;
        // The kernel's name of the engine: another `sqlservr` on this machine is not ours.
        let comm = format!("pod-{port}");
        let settings = settings(&scratch, &comm, port);
        std::fs::write(path("script"), serde_json::to_string(&many_databases())?)?;
        let mut announced = fifo(&path("announce"));
        let mut command = vec![plan.supervisor.display().to_string(), "launch".to_owned()];
        for (key, value) in &settings {
            command.extend([format!("--{key}"), value.clone()]);
        }
        let line = format!(
            "{} --data-dir {} --port {port} --control {} --announce {} --script {}",
            engine.display(),
            main.display(),
            path("control.sock").display(),
            path("announce").display(),
            path("script").display(),
        );
        command.extend(["--", "sh", "-c", &line].map(str::to_owned));
        let environment = [
            ("STANDIN_NAME", comm.as_str()),
            ("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD),
        ];
        let log = path("launch.log");
        let began = SystemTime::now();
        let container = Container::start(&command, &environment, &log);
        let mut supervisor =
            Supervisor::start(&plan.supervisor, &settings, &environment[1..]).await;
        let line = tokio::time::timeout(PATIENCE, announced.next_line()).await;
        ensure!(
            matches!(line, Ok(Ok(Some(_)))),
            "the engine does not start:\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        supervisor.passes("ready").await;
        let pod = Self {
            began,
            supervisor,
            container,
            log,
            _volumes: volumes,
            _scratch: scratch,
        };
        until(|| pod.probes().ok()).await;
        let metrics = pod.supervisor.get("/metrics").await.1;
        let sized = |line: &&str| line.starts_with("sql_edge_volume_size_bytes{");
        let checked = metrics.lines().filter(sized).count();
        ensure!(
            checked == MORE_VOLUMES.len() + 1,
            "{checked} volumes are checked"
        );
        Ok(pod)
    }

    /// From the start of both containers to that of the command.
    fn start(&self) -> anyhow::Result<Duration> {
        let said = self.said("the command runs")?;
        let at = said["timestamp"].as_str().context("no timestamp")?;
        Ok(humantime::parse_rfc3339(at)?.duration_since(self.began)?)
    }

    /// Where the agent answers the kubelet's probes.
    fn probes(&self) -> anyhow::Result<SocketAddr> {
        let said = self.said("answers the kubelet's probes")?;
        Ok(said["address"].as_str().context("no address")?.parse()?)
    }

    /// The last event of the SQL container's log that bears this message.
    fn said(&self, message: &str) -> anyhow::Result<Value> {
        let log = std::fs::read_to_string(&self.log)?;
        let mut events = log
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said = events.find(|event| event["message"] == message);
        said.with_context(|| format!("it was not said: {message}"))
    }

    fn launch_and_agent(&self) -> anyhow::Result<(i32, i32)> {
        let first = self.container.init();
        let is_agent = |pid: i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"agent")
        };
        let below = self.container.processes();
        let agent = below
            .iter()
            .find(|found| found.parent == first && is_agent(found.pid));
        Ok((first, agent.context("launch has no agent")?.pid))
    }
}

/// The same for both containers.
fn settings(scratch: &Scratch, comm: &str, port: u16) -> Vec<(String, String)> {
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let own = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("launch-listen", "127.0.0.1:0".to_owned()),
        ("log-format", "json".to_owned()),
        ("process-name", comm.to_owned()),
        ("sql-port", port.to_string()),
        ("data-dir", path("mssql")),
        ("state-dir", path("state")),
        // The volumes are memory.
        ("allow-ephemeral", "true".to_owned()),
    ];
    let more = MORE_VOLUMES.map(|(key, name)| (key, path(&format!("mssql/{name}"))));
    let all = own.into_iter().chain(more);
    all.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A file system in memory. Dropped, it is unmounted.
struct Mounted(PathBuf);

impl Mounted {
    fn at(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).context("a directory for a volume")?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m", "bench"])
            .arg(directory)
            .status()
            .context("mount")?;
        ensure!(status.success(), "mount: {status}; it takes root");
        Ok(Self(directory.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
