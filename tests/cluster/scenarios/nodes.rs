//! A node fails under the engine: it stands still and comes back, it is gone, it is cut off.
//!
//! The cluster notices a lost node in 12 s here instead of 50, and the pod leaves it after 5 s instead of 60.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::node::{OTHER, Other, preferred};
use crate::pods::{pod_name, running, uid};
use crate::release::Release;
use crate::{engines, host, table};

use super::shared::volume;

pub const FROZEN: &str = "node frozen and thawed";
pub const KILLED: &str = "node killed";
pub const CUT: &str = "node's link cut";
/// Notice, toleration, `lease-stale`, a start, and a slow machine.
const PATIENCE: u64 = 150;
/// What a fence may take from the moment at which it can run: a look every 50 ms.
pub const FENCE: usize = 20;

fn on_other(pod: &Pod) {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    assert_eq!(node, Some(OTHER), "the pod is where the node fails");
}

pub fn frozen() {
    let other = Other::alone();
    let namespace = Namespace::new("frozen");
    let release = Release::install(&namespace, "sql", &preferred());
    let pod = release.ready();
    on_other(&pod);
    let client = Client::start(&namespace, &release.service());
    let volume = volume(&pod);
    client.writes_and_lost_nothing();

    let began = Instant::now();
    other.fail("freeze");
    let next = release.ready_after(&pod, PATIENCE);
    table::time(
        FROZEN,
        "frozen, until the next pod is ready on the other node",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
    let thawed = Instant::now();
    other.heal();
    host::until("the old engine's end", || {
        let all = engines::running();
        (all.get(&volume).map_or(0, Vec::len) == 1).then_some(())
    });
    table::time(
        FROZEN,
        "thawed, until the old engine is fenced (the look included)",
        thawed.elapsed(),
    );
    let running: usize = engines::overlaps(&volume)
        .iter()
        .map(|overlap| overlap.running)
        .sum();
    table::note(
        FROZEN,
        "looks, every 50 ms, at which both could run",
        &running.to_string(),
    );
    assert!(running <= FENCE, "{:?}", engines::overlaps(&volume));
    client.writes_and_lost_nothing();
    assert_eq!(uid(&release.ready()), uid(&next), "the new one goes on");
}

pub fn killed() {
    let other = Other::alone();
    let namespace = Namespace::new("lost");
    let release = Release::install(&namespace, "sql", &preferred());
    let pod = release.ready();
    on_other(&pod);
    let client = Client::start(&namespace, &release.service());
    client.writes_and_lost_nothing();
    let began = Instant::now();
    other.fail("kill");
    release.ready_after(&pod, PATIENCE);
    table::time(
        KILLED,
        "power off, until the next pod is ready on the other node",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
    let began = Instant::now();
    other.heal();
    table::time(KILLED, "power on, until the node is ready", began.elapsed());
}

pub fn cut() {
    let other = Other::alone();
    let namespace = Namespace::new("cut");
    let release = Release::install(&namespace, "sql", &preferred());
    let pod = release.ready();
    on_other(&pod);
    let client = Client::start(&namespace, &release.service());
    let volume = volume(&pod);
    client.writes_and_lost_nothing();
    let began = Instant::now();
    other.fail("cut");
    // Its storage is reached by another network, as with a SAN: its engine goes on, and holds the lease.
    let waits = namespace.pods.until("the next pod", PATIENCE, |pods| {
        let next = pods
            .iter()
            .find(|next| uid(next) != uid(&pod) && running(next, "supervisor").is_some());
        next.map(|next| pod_name(next).to_owned())
    });
    table::time(
        CUT,
        "cut, until the next pod waits at the gate",
        began.elapsed(),
    );
    std::thread::sleep(Duration::from_secs(40));
    assert!(
        engines::overlaps(&volume).is_empty(),
        "{waits} did not wait"
    );
    let began = Instant::now();
    other.heal();
    release.ready_after(&pod, PATIENCE);
    table::time(
        CUT,
        "linked again, until the next pod has taken over and is ready",
        began.elapsed(),
    );
    assert!(
        engines::overlaps(&volume).is_empty(),
        "two engines ran on one volume"
    );
    client.writes_and_lost_nothing();
}
