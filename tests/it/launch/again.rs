//! An engine that has ended, started again in its container (`engine-restart: in-place`).

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::linked::{engine, linked, sees_it};
use super::rig::{Site, is_clean, stop};
use crate::client::order;
use crate::shared::container::Container;
use crate::shared::http::get;
use crate::shared::supervisor::Supervisor;

/// A container whose engine is ready and is started again in it, `budget` times without a success.
async fn in_place(budget: &str) -> (Site, Supervisor, Container) {
    let mut site = Site::new();
    std::fs::write(site.path("termination-log"), "").expect("writable");
    site.set(&[("engine-restart", "in-place"), ("restart-budget", budget)]);
    let (supervisor, container) = linked(&mut site, &[]).await;
    agent_knows(&site).await;
    (site, supervisor, container)
}

/// Waits until the agent has heard that the engine is ready: one that it knows nothing of is a failed start.
async fn agent_knows(site: &Site) {
    let address = site.probes().await;
    while get(&address, "/readyz").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Kills the engine below the outer process.
async fn kill_engine(site: &Site, container: &Container) -> Pid {
    let inner = engine(site, container).await;
    kill_process(inner, Signal::KILL).expect("it runs");
    inner
}

fn termination_message(site: &Site) -> String {
    std::fs::read_to_string(site.path("termination-log")).expect("readable")
}

#[tokio::test]
async fn a_killed_engine_is_started_again_in_the_same_container() {
    let (mut site, mut supervisor, mut container) = in_place("3").await;
    let first = container.init();
    kill_engine(&site, &container).await;
    supervisor.fails("ready").await;
    site.announced().await;
    supervisor.passes("ready").await;
    assert_eq!(container.init(), first);
    assert!(container.runs(), "{}", site.log());
    // The lease was held throughout, and nothing of the first command is left but the second's.
    assert_eq!(site.events("the lease is held").len(), 1, "{}", site.log());
    let companions = container.processes().into_iter();
    let companions = companions.filter(|process| process.name == "sleep");
    assert_eq!(companions.count(), 2);
    let (_, metrics) = supervisor.get("/metrics").await;
    let counted = "sql_edge_supervisor_engine_restarts_in_place_total 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(termination_message(&site), "");
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()));
    let message = termination_message(&site);
    assert!(
        message.contains("started again in this container 1 times"),
        "{message}"
    );
}

#[tokio::test]
async fn a_hang_is_restarted_in_place_by_verdict() {
    let (mut site, mut supervisor, mut container) = in_place("3").await;
    let hung = engine(&site, &container).await;
    kill_process(hung, Signal::STOP).expect("it runs");
    supervisor
        .event(|event| event["message"] == "the engine is to be restarted")
        .await;
    site.announced().await;
    supervisor.passes("ready").await;
    let status = supervisor.status().await;
    assert_eq!(status["lastRestart"]["step"], "done", "{status:#}");
    assert_eq!(termination_message(&site), "", "the container goes on");
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
}

#[tokio::test]
async fn an_endless_crash_uses_the_budget_up_and_ends_the_container() {
    let (mut site, mut supervisor, mut container) = in_place("2").await;
    for _ in 0..2 {
        kill_engine(&site, &container).await;
        supervisor.fails("ready").await;
        site.announced().await;
        supervisor.passes("ready").await;
        agent_knows(&site).await;
    }
    kill_engine(&site, &container).await;
    assert_eq!(container.ends().await.code(), Some(137), "{}", site.log());
    assert!(site.log().contains("restart-budget 2"), "{}", site.log());
    let message = termination_message(&site);
    assert!(
        message.contains("started again in this container 2 times"),
        "{message}"
    );
}

#[tokio::test]
async fn a_start_that_fails_ends_the_container() {
    let mut site = Site::new();
    site.set(&[("engine-restart", "in-place")]);
    let mut first = site.launch(&site.shell());
    site.announced().await;
    stop(&mut first).await;
    let mut supervisor = site.supervisor(&[]).await;
    let flag = site.path("started-once").display().to_string();
    let script = format!("test -e {flag} && exit 3; touch {flag}; {}", site.engine());
    let command = ["sh", "-c", &script].map(str::to_owned);
    let mut container = site.launch_waiting("1h", &command);
    site.announced().await;
    supervisor.passes("ready").await;
    sees_it(&supervisor).await;
    agent_knows(&site).await;
    kill_engine(&site, &container).await;
    assert_eq!(container.ends().await.code(), Some(3), "{}", site.log());
}

#[tokio::test]
async fn a_stop_that_somebody_ordered_ends_the_container() {
    let (site, _supervisor, mut container) = in_place("3").await;
    let (code, out, err) = order("stop --grace 20s", &site.path("state/control.sock")).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
    assert!(site.log().contains("stopped on purpose"), "{}", site.log());
}
