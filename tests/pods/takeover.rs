//! Two pods on one volume: one writes, and the other one only once the first is gone.

use crate::journal;
use crate::life::has_all;
use crate::manifest::Mode;
use crate::pod::{Pod, SQL, Volume};
use crate::shared::container::until;

/// Rows that show that a client is served.
const ROWS: u64 = 20;
/// The reason that is expected.
const HELD: &str = "LeaseHeldElsewhere";

#[tokio::test]
async fn a_second_pod_with_launch_waits_for_the_first() {
    let volume = Volume::new();
    let (first, mut second) = (
        serving(Mode::Launch, &volume).await,
        Pod::play(Mode::Launch, &volume),
    );
    second.runs().await;
    second.fails("gate", HELD).await;
    let log = until(|| Some(second.logs(SQL)).filter(|log| log.contains(HELD))).await;
    assert!(!log.contains("the command runs"), "{log}");
    takes_over(&volume, first, second).await;
}

#[tokio::test]
async fn a_second_pod_with_an_ordinary_sidecar_waits_in_its_gate() {
    waits_in_its_gate(Mode::Classic).await;
}

#[tokio::test]
async fn a_second_pod_with_a_shared_pid_namespace_waits_in_its_gate() {
    waits_in_its_gate(Mode::Attach).await;
}

async fn waits_in_its_gate(mode: Mode) {
    let volume = Volume::new();
    let (first, second) = (serving(mode, &volume).await, Pod::play(mode, &volume));
    until(|| second.logs("gate").contains(HELD).then_some(())).await;
    takes_over(&volume, first, second).await;
}

async fn serving(mode: Mode, volume: &Volume) -> Pod {
    let mut pod = Pod::play(mode, volume);
    pod.runs().await;
    pod.passes("ready").await;
    pod
}

/// The first pod writes on, and is lost with its node; then the second one writes, and nothing is lost.
async fn takes_over(volume: &Volume, first: Pod, mut second: Pod) {
    let epoch = first.epoch().await;
    let writer = first.writer(1).await;
    writer.acknowledges(ROWS).await;
    assert!(second.engine().is_empty(), "two engines on one volume");
    first.is_lost();
    second.runs().await;
    second.passes("ready").await;
    let written = writer.written();
    let there = has_all(volume, &written.acknowledged);
    assert!(
        second.epoch().await > epoch,
        "who takes over begins an epoch"
    );
    drop((writer, first));

    let next = i64::try_from(written.attempted()).expect("few rows") + 1;
    let writer = second.writer(next).await;
    writer.acknowledges(ROWS).await;
    let mut all = written.acknowledged;
    all.extend(writer.written().acknowledged);
    assert!(has_all(volume, &all) > there);
    let rows = journal::read(&volume.path()).expect("the table");
    let in_order = rows.is_sorted_by_key(|(id, epoch)| (*epoch, *id));
    assert!(in_order, "the first pod wrote after the second one");
}
