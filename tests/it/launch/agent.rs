//! An agent that dies, hangs or is alone: what it costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

use super::linked::sees_it;
use super::rig::{Site, kill, stop};
use crate::shared::container::{Container, until};
use crate::shared::http::{get, try_get};
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;

/// The agent closes a connection whose request has not come after this time: it was this test that had no
/// processor for so long.
pub const WAITING: Duration = Duration::from_secs(5);

/// Kills of the short version; `LAUNCH_AGENT_KILLS` gives another number.
const KILLS: u64 = 12;

fn kills() -> u64 {
    let given = std::env::var("LAUNCH_AGENT_KILLS").ok();
    given.map_or(KILLS, |text| text.parse().expect("a number of kills"))
}

/// How soon an engine has to answer is not what the probers test.
pub const PATIENT: [(&str, &str); 2] = [("ready-freshness", "20s"), ("unresponsive-after", "60s")];

/// A container whose engine is ready in the agent's answer, and its supervisor.
pub async fn ready(site: &mut Site) -> (Supervisor, Container, String) {
    let mut first = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    stop(&mut first).await;
    std::fs::remove_file(site.path("launch.log")).expect("it was written");
    let supervisor = site.supervisor(&[]).await;
    let container = site.launch_waiting("1h", &site.shell());
    site.announced().await;
    let address = site.probes().await;
    // What it says of an engine that it has not seen is not kept.
    sees_it(&supervisor).await;
    until_ready(&address).await;
    (supervisor, container, address)
}

async fn until_ready(address: &str) {
    while get(address, "/readyz").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks both probes without a pause; what was not a 200, and how many were. A request that is under way at
/// the very moment of an agent's death is cut off with it, and on a busy machine the next agent may serve
/// before its first look at the processes has come to an end: these are counted apart.
pub struct Prober {
    task: JoinHandle<Option<String>>,
    asked: Arc<AtomicU64>,
    cut: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Prober {
    pub fn start(address: &str) -> Self {
        let (asked, cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let ends = Arc::new(AtomicBool::new(false));
        let (count, dead, end) = (Arc::clone(&asked), Arc::clone(&cut), Arc::clone(&ends));
        let address = address.to_owned();
        let task = tokio::spawn(async move {
            while !end.load(Ordering::Relaxed) {
                for path in ["/livez", "/readyz"] {
                    let begun = Instant::now();
                    match try_get(&address, path).await {
                        Ok((200, _)) => count.fetch_add(1, Ordering::Relaxed),
                        Ok((503, text)) if text.contains("no engine process is seen") => {
                            dead.fetch_add(1, Ordering::Relaxed)
                        }
                        Ok((status, text)) => return Some(format!("{path}: {status} {text}")),
                        Err(_) if begun.elapsed() >= WAITING => continue,
                        Err(_) => dead.fetch_add(1, Ordering::Relaxed),
                    };
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            None
        });
        Self {
            task,
            asked,
            cut,
            ends,
        }
    }

    /// How many answers there were, all of them 200, and how many requests were cut off.
    pub async fn end(self) -> (u64, u64) {
        self.ends.store(true, Ordering::Relaxed);
        assert_eq!(self.task.await.expect("it ends"), None);
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (count(&self.asked), count(&self.cut))
    }
}

async fn engine(site: &Site, container: &Container) -> i32 {
    container.finds(&site.name, |_| true).await.pid
}

fn epochs(site: &Site) -> Vec<u64> {
    let held = site.events("the lease is held");
    held.iter()
        .filter_map(|event| event["epoch"].as_u64())
        .collect()
}

#[tokio::test]
async fn an_agent_that_is_killed_costs_nothing() {
    let mut site = Site::new();
    site.set(&[("lease", "strict"), ("lease-renew", "500ms")]);
    site.set(&PATIENT);
    let (supervisor, mut container, address) = ready(&mut site).await;
    let outer = engine(&site, &container).await;
    let prober = Prober::start(&address);
    let mut supervisor = Some(supervisor);
    for round in 0..kills() {
        let agent = site.agent(&container).await;
        // What a panic ends with, and what a person or the kernel does.
        let signal = [Signal::KILL, Signal::ABORT][(round % 2) as usize];
        kill_process(agent, signal).expect("it runs");
        // With the supervisor there, with it just gone, and without.
        if round % 4 == 1
            && let Some(supervisor) = supervisor.take()
        {
            kill(supervisor).await;
        }
        if round % 4 == 3 {
            supervisor = Some(site.supervisor(&[]).await);
        }
        tokio::time::sleep(Duration::from_millis(137 * (round % 7))).await;
        until(|| (site.agent_now(&container) != Some(agent)).then_some(())).await;
    }
    let (asked, cut) = prober.end().await;
    println!(
        "{} kills, {asked} answers, all 200, {cut} requests cut off",
        kills()
    );
    assert!(
        cut <= kills(),
        "a request of each agent's last moment at most"
    );
    assert_eq!(engine(&site, &container).await, outer, "{}", site.log());
    assert!(!site.log().contains("fence: SIGKILL"), "{}", site.log());
    let epochs = epochs(&site);
    assert!(
        epochs.len() as u64 > kills() / 2,
        "each agent claims anew: {epochs:?}"
    );
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
}

#[tokio::test]
async fn a_lease_is_given_up_though_the_agent_ends_with_the_engine() {
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    site.says("the lease is held").await;
    site.command(Command::ShutdownMs { ms: 60_000 }).await;
    container.signal(Signal::TERM);
    site.says("passed on to the engine").await;
    // Each one that ends early makes the pause before the next one longer.
    for _ in 0..6 {
        let agent = site.agent(&container).await;
        kill_process(agent, Signal::KILL).expect("it runs");
        until(|| (site.agent_now(&container) != Some(agent)).then_some(())).await;
    }
    site.command(Command::ShutdownMs { ms: 0 }).await;
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
    assert_eq!(
        site.events("the lease is given up").len(),
        1,
        "{}",
        site.log()
    );
}

#[tokio::test]
async fn a_pass_stands_while_the_same_engine_answers() {
    let mut site = Site::new();
    let (supervisor, mut container, address) = ready(&mut site).await;
    kill(supervisor).await;
    let (status, text) = get(&address, "/readyz").await;
    assert_eq!(status, 200, "{text}");
    until(|| {
        site.log()
            .contains("its last pass stands while the engine answers")
            .then_some(())
    })
    .await;
    let (_, text) = get(&address, "/readyz").await;
    assert!(text.contains("SupervisorAway"), "{text}");
    // Longer than an answer counts: it passes only where the engine is asked meanwhile.
    tokio::time::sleep(Duration::from_secs(3)).await;
    until_ready(&address).await;
    // It hangs.
    let outer = engine(&site, &container).await;
    let inner = container.finds(&site.name, |p| p.parent == outer).await.pid;
    let inner = Pid::from_raw(inner).expect("a pid");
    kill_process(inner, Signal::STOP).expect("it runs");
    let refused = async {
        loop {
            let (status, text) = get(&address, "/readyz").await;
            if status != 200 {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let text = refused.await;
    assert!(text.contains("the engine last answered"), "{text}");
    kill_process(inner, Signal::CONT).expect("it is there");
    until_ready(&address).await;
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    // Nobody has called the next one ready.
    std::fs::remove_file(site.path("launch.log")).expect("it was written");
    let mut container = site.launch(&site.shell());
    site.announced().await;
    let (status, text) = get(&site.probes().await, "/readyz").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(stop(&mut container).await.code(), Some(0));
}
