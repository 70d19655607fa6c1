//! The supervisor's own container dies, again and again. The engine is healthy all the time, and has to stay in its
//! Service.

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

/// Killed once, in the midst of things.
pub fn at_random() {
    let namespace = Namespace::new("sidecar");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    kill(&release, &pod, 0);
    release.until("the sidecar runs again", PATIENCE, |pod| {
        (restarts(pod, "supervisor") >= 1 && running(pod, "supervisor").is_some()).then_some(())
    });
    table::time(RANDOM, "SIGKILL, until it runs again", began.elapsed());
    release.ready();
    let away = namespace.pods.not_ready_since(began, true);
    judge(&release, &pod, RANDOM, away, &client);
}

/// Killed whenever it runs.
pub fn in_a_crash_loop() {
    let namespace = Namespace::new("sidecar-loop");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    let mut kills = 0;
    while began.elapsed() < LOOP_FOR {
        kill(&release, &pod, kills);
        kills += 1;
    }
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
    assert!(
        away.is_zero(),
        "a healthy engine was out of its Service for {away:?}"
    );
    client.writes_and_lost_nothing();
}

/// Kills the sidecar once it has been restarted so many times and runs, which may take the kubelet's back-off.
pub fn kill(release: &Release<'_>, pod: &Pod, restarted: i32) {
    let id = release.until("a sidecar to kill", 120, |now| {
        let same = uid(now) == uid(pod) && restarts(now, "supervisor") >= restarted;
        same.then(|| running(now, "supervisor")).flatten()
    });
    if let Some(first) = host::first_of(&id) {
        host::signal(first, Signal::SIGKILL);
    }
}
