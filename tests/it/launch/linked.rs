//! With a supervisor in another PID namespace, which sees nothing of the engine but what `launch`
//! tells.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::rig::{Site, is_clean, kill, stop};
use crate::shared::alerts::Scrape;
use crate::shared::container::{Container, until};
use crate::shared::http::get;
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;
use crate::standin::handle::send;
use crate::standin::script::{Fault, Load};
use crate::standin::sql::Kind;

/// A container whose engine is ready, and its supervisor.
pub async fn linked(site: &mut Site, more: &[(&str, &str)]) -> (Supervisor, Container) {
    // The port is known once the engine has run.
    let mut first = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    stop(&mut first).await;
    std::fs::remove_file(site.path("launch.log")).expect("it was written");
    let mut supervisor = site.supervisor(more).await;
    let container = site.launch_waiting("1h", &site.shell());
    site.announced().await;
    supervisor.passes("ready").await;
    sees_it(&supervisor).await;
    (supervisor, container)
}

/// Waits until the supervisor knows the processes, and has had an answer of them since: it may be
/// ready by an answer from before.
pub async fn sees_it(supervisor: &Supervisor) {
    supervisor
        .status_with(|status| {
            status["process"]["state"] == "running" && status["phase"] == "running"
        })
        .await;
}

/// The inner engine process.
pub async fn engine(site: &Site, container: &Container) -> Pid {
    let outer = container.finds(&site.name, |_| true).await.pid;
    let inner = container.finds(&site.name, |p| p.parent == outer).await;
    Pid::from_raw(inner.pid).expect("a pid")
}

#[tokio::test]
async fn a_hung_engine_is_ended_through_the_link() {
    let mut site = Site::new();
    std::fs::write(site.path("termination-log"), "").expect("writable");
    let (mut supervisor, mut container) = linked(&mut site, &[]).await;
    let status = supervisor.status().await;
    assert!(status["process"]["parent"]["pid"].is_number(), "{status:#}");
    let hung = engine(&site, &container).await;
    kill_process(hung, Signal::STOP).expect("it runs");
    supervisor
        .event(|event| event["message"] == "the engine is to be restarted")
        .await;
    assert_eq!(container.ends().await.code(), Some(137), "{}", site.log());
    let word = std::fs::read_to_string(site.path("termination-log")).expect("readable");
    assert!(
        word.contains("restart by the supervisor for EngineUnresponsive ("),
        "{word}"
    );
    supervisor
        .event(|event| event["code"] == "ProcessKilled" && event["evidence"].is_string())
        .await;
    assert!(
        supervisor
            .log
            .contains("by the supervisor for EngineUnresponsive"),
        "{}",
        supervisor.log
    );
    // The runtime starts it anew.
    let mut container = site.launch_waiting("1h", &site.shell());
    site.announced().await;
    supervisor.passes("ready").await;
    let status = supervisor.status().await;
    assert_eq!(status["lastRestart"]["by"], "supervisor", "{status:#}");
    assert_eq!(status["lastRestart"]["step"], "done", "{status:#}");
    assert_eq!(stop(&mut container).await.code(), Some(0));
}

#[tokio::test]
async fn how_it_ended_goes_over_the_link() {
    let mut site = Site::new();
    let (mut supervisor, mut container) = linked(&mut site, &[]).await;
    let _ = send(&site.path("control.sock"), &Command::Exit { status: 7 }).await;
    let evidence = supervisor.finds("ProcessExited").await;
    assert!(evidence.contains("with exit code 7"), "{evidence}");
    assert_eq!(container.ends().await.code(), Some(7));
    supervisor
        .event(|event| {
            event["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("the link to launch is lost"))
        })
        .await;
    // Nobody sees a process, and none is missing.
    let status = supervisor.status().await;
    assert_eq!(status["phase"], "gone", "{status:#}");
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_stop_is_the_supervisors_and_clean() {
    let mut site = Site::new();
    let (mut supervisor, mut container) = linked(&mut site, &[]).await;
    site.command(Command::ShutdownMs { ms: 60_000 }).await;
    container.signal(Signal::TERM);
    supervisor.finds("Stopping").await;
    site.says("the supervisor sees to the stop").await;
    site.says("restart: SIGTERM sent").await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    site.command(Command::ShutdownMs { ms: 0 }).await;
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
    assert!(
        site.events("passed on to the engine").is_empty(),
        "one SIGTERM is enough"
    );
    // The next engine is not the one that was to stop.
    let mut container = site.launch_waiting("1h", &site.shell());
    site.announced().await;
    supervisor.passes("ready").await;
    assert_eq!(supervisor.status().await["phase"], "running");
    container.signal(Signal::TERM);
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
}

#[tokio::test]
async fn an_agent_that_is_replaced_does_not_cut_a_stop_short() {
    let mut site = Site::new();
    let (supervisor, container) = linked(&mut site, &[]).await;
    supervisor.observes("databases").await;
    // The supervisor takes the stop on, and its checkpoints last as long as they may.
    let faults = vec![Fault::hang(Kind::Checkpoint)];
    site.command(Command::Faults { faults }).await;
    container.signal(Signal::TERM);
    let accepted = "the supervisor sees to the stop";
    site.says(accepted).await;
    let agent = site.agent(&container).await;
    kill_process(agent, Signal::KILL).expect("it runs");
    until(|| (site.events(accepted).len() == 2).then_some(())).await;
    assert!(
        site.events("passed on to the engine").is_empty(),
        "{}",
        site.log()
    );
}

#[tokio::test]
async fn a_supervisor_that_hangs_does_not_hold_up_the_stop() {
    let mut site = Site::new();
    let (supervisor, mut container) = linked(&mut site, &[]).await;
    let inner = crate::shared::container::all_processes();
    let unshare = supervisor.pid().as_raw_nonzero().get();
    let inner = inner
        .into_iter()
        .find(|p| p.parent == unshare)
        .expect("it runs");
    let inner = Pid::from_raw(inner.pid).expect("a pid");
    kill_process(inner, Signal::STOP).expect("it runs");
    container.signal(Signal::TERM);
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()));
    kill_process(inner, Signal::CONT).expect("it runs");
}

#[tokio::test]
async fn a_shut_gate_is_waited_for_and_says_why() {
    let mut site = Site::new();
    let shut = [("require-mount", "true")];
    let supervisor = site.supervisor(&shut).await;
    let mut container = site.launch_waiting("10ms", &site.shell());
    let said = site.says("the gate is shut").await;
    let codes: Vec<_> = site
        .events("the gate is shut")
        .iter()
        .map(|e| e["code"].clone())
        .collect();
    assert!(said["evidence"].is_string(), "{said}");
    until(|| site.log().contains("VolumeNotMounted").then_some(())).await;
    let address = site.probes().await;
    assert_eq!(get(&address, "/livez").await.0, 200);
    // A no that does not pass by itself stands when nobody is there to take it back.
    kill(supervisor).await;
    site.says(
        "the supervisor is gone, and its last verdict was a no that stands until it says otherwise",
    )
    .await;
    assert!(site.events("the command runs").is_empty(), "{codes:?}");
    let _supervisor = site.supervisor(&[]).await;
    site.announced().await;
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
}

#[tokio::test]
async fn what_launch_has_at_the_data_directory_counts() {
    let mut site = Site::new();
    // Another file system than the scratch directory's: the supervisor itself sees none there.
    let elsewhere = Elsewhere::new(&site.name);
    let (supervisor, mut container) = linked(&mut site, &[]).await;
    assert_eq!(stop(&mut container).await.code(), Some(0));
    site.settings.push((
        "engine-data-dir".to_owned(),
        elsewhere.0.display().to_string(),
    ));
    let mut container = site.launch_waiting("1h", &site.shell());
    site.announced().await;
    let seen = |status: &Value| status["volume"]["engineMount"]["mounted"]["fsType"] == "tmpfs";
    supervisor.status_with(seen).await;
    assert_eq!(stop(&mut container).await.code(), Some(0));
}

/// A directory on the tmpfs of shared memory, removed at the end.
struct Elsewhere(std::path::PathBuf);

impl Elsewhere {
    fn new(name: &str) -> Self {
        let directory = std::path::Path::new("/dev/shm").join(name);
        std::fs::create_dir(&directory).expect("shared memory is writable");
        Self(directory)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A control group with a memory limit, version 1 or 2; removed at the end.
struct Group(std::path::PathBuf);

impl Group {
    fn new(limit: &str) -> Self {
        let v1 = std::path::Path::new("/sys/fs/cgroup/memory");
        let (parent, file) = match v1.is_dir() {
            true => (v1, "memory.limit_in_bytes"),
            false => (std::path::Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let group = parent.join(format!("ses-launch-{}", std::process::id()));
        std::fs::create_dir(&group).expect("a control group can be made: the tests need root");
        let group = Self(group);
        std::fs::write(group.0.join(file), limit).expect("the memory controller is there");
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_kill_for_want_of_memory_goes_over_the_link() {
    let mut site = Site::new();
    let group = Group::new("256M");
    let (mut supervisor, mut container) = linked(&mut site, &[]).await;
    let inner = engine(&site, &container)
        .await
        .as_raw_nonzero()
        .get()
        .to_string();
    std::fs::write(group.0.join("cgroup.procs"), &inner).expect("it can be moved");
    assert_eq!(stop(&mut container).await.code(), Some(0));
    // The engine alone is in it, so that nobody else is chosen.
    let engine = site.engine();
    let procs = group.0.join("cgroup.procs");
    let script = format!("(echo 0 > {}; exec {engine})", procs.display());
    let command = ["sh", "-c", &script].map(str::to_owned);
    let mut container = site.launch_waiting("1h", &command);
    site.announced().await;
    supervisor.passes("ready").await;
    sees_it(&supervisor).await;
    let load = Load {
        memory_mib: 512,
        ..Load::default()
    };
    let _ = send(&site.path("control.sock"), &Command::Load { load }).await;
    let status = container.ends().await;
    assert_eq!(status.code(), Some(137), "{}", site.log());
    let evidence = supervisor.finds("OomKilled").await;
    assert!(evidence.contains("oom_kill counter rose"), "{evidence}");
    let killed = "sql_edge_process_exits_total{cause=\"oom_kill\",role=\"engine\"}";
    let was_killed = |scrape: &Scrape| scrape.value(killed) == Some(1.0);
    for alert in ["SqlEdgeOomKilled", "SqlEdgeOutOfMemoryKill"] {
        supervisor.raises_when(alert, was_killed).await;
    }
    drop(container);
    drop(group);
}
