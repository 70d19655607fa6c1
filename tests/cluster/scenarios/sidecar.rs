//! The supervisor ends by a fault, again and again. The engine is healthy all the time, and has to stay in its Service.
//!
//! Kubernetes takes a pod out of its Services while a native sidecar's container does not run, whatever its probes say.
//! So the first process of that container starts the supervisor anew, and the container goes on.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{restarts, running, uid};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const RANDOM: &str = "sidecar killed";
pub const LOOP: &str = "sidecar in a crash loop";
const LOOP_FOR: Duration = Duration::from_secs(75);
/// The kubelet starts a container again at once where that has not failed before.
const CONTAINER: Duration = Duration::from_secs(10);

/// Killed once, in the midst of things; then its container.
pub fn at_random() {
    let namespace = Namespace::new("sidecar");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let id = running(&pod, "supervisor").expect("it runs");
    let began = Instant::now();
    let killed = crash(&id);
    host::until("the next supervisor", || {
        supervisor_of(&id).filter(|pid| Some(*pid) != killed)
    });
    table::time(RANDOM, "SIGKILL, until it runs again", began.elapsed());
    // Longer than a probe of the kubelet's takes to fail for good.
    std::thread::sleep(CONTAINER);
    let away = namespace.pods.not_ready_since(began, true);
    judge(&release, &pod, RANDOM, away, &client);

    let began = Instant::now();
    host::signal(host::first_of(&id).expect("it runs"), Signal::SIGKILL);
    release.until("the sidecar runs again", PATIENCE, |pod| {
        (restarts(pod, "supervisor") >= 1 && running(pod, "supervisor").is_some()).then_some(())
    });
    release.ready();
    let away = namespace.pods.not_ready_since(began, true);
    table::time(
        RANDOM,
        "its container ended, out of the Service as Kubernetes has it",
        away,
    );
    assert!(away < CONTAINER, "{away:?}");
    client.writes_and_lost_nothing();
}

/// Killed whenever it runs.
pub fn in_a_crash_loop() {
    let namespace = Namespace::new("sidecar-loop");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    let kills = crash_for(&pod, LOOP_FOR);
    let away = namespace.pods.not_ready_since(began, true);
    table::note(
        LOOP,
        "kills",
        &format!("{kills} in {} s", began.elapsed().as_secs()),
    );
    judge(&release, &pod, LOOP, away, &client);
}

fn judge(
    release: &Release<'_>,
    pod: &Pod,
    name: &'static str,
    away: Duration,
    client: &Client<'_>,
) {
    table::time(name, "a healthy engine out of its Service", away);
    let now = release.until("the same pod", 1, |now| {
        (uid(now) == uid(pod)).then(|| now.clone())
    });
    assert_eq!(
        restarts(&now, "sql"),
        0,
        "a dead supervisor cost a database"
    );
    assert_eq!(
        restarts(&now, "supervisor"),
        0,
        "the sidecar's container ended with the supervisor"
    );
    assert!(
        away.is_zero(),
        "a healthy engine was out of its Service for {away:?}"
    );
    client.writes_and_lost_nothing();
}

/// Kills the supervisor whenever it runs, for so long; how often that was.
pub fn crash_for(pod: &Pod, time: Duration) -> u32 {
    let id = running(pod, "supervisor").expect("it runs");
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < time {
        kills += u32::from(crash(&id).is_some());
        std::thread::sleep(BETWEEN);
    }
    assert!(kills > 0, "there was no supervisor to kill");
    kills
}

/// A supervisor that was started anew gets this far.
const BETWEEN: Duration = Duration::from_millis(300);

/// Kills the supervisor in its container, whose first process is its parent.
fn crash(id: &str) -> Option<i32> {
    let supervisor = supervisor_of(id)?;
    host::signal(supervisor, Signal::SIGKILL);
    Some(supervisor)
}

fn supervisor_of(id: &str) -> Option<i32> {
    let first = host::first_of(id)?;
    let child = |pid: &i32| host::state_and_parent(*pid).is_some_and(|(_, parent)| parent == first);
    host::of_container(id).into_iter().find(child)
}
