//! Manifests as people post them (tests/field), injected and played: each comes up, is stopped cleanly, and the next
//! pod has everything. The image is the stand-in as of SQL Server since 2022 CU18, whose launcher and setup script
//! are in place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::life::{has_all_in, history};
use crate::manifest::{Field, Mode};
use crate::pod::{Pod, SQL, SUPERVISOR, Volume};
use crate::shared::scratch::Scratch;

/// Rows that show that a client is served.
const ROWS: u64 = 20;

/// The engine's directory as it is put together from the volumes.
fn engine_directory(field: Field, volume: &Volume, scratch: &Scratch) -> PathBuf {
    let data = match field {
        Field::DataOnly => volume.path(),
        Field::Split => volume.path_of_template("data"),
        Field::Hooks | Field::Setup | Field::Assigned => return volume.path(),
    };
    let link = scratch.path().join("data");
    let _ = fs::remove_file(&link);
    symlink(data, &link).expect("writable");
    scratch.path().to_owned()
}

/// Where what the containers write beside the databases lies.
fn top(field: Field, volume: &Volume) -> PathBuf {
    match field {
        Field::Split => volume.path_of_template("root"),
        _ => volume.path(),
    }
}

fn lines(field: Field, volume: &Volume, name: &str) -> usize {
    let text = fs::read_to_string(top(field, volume).join(name));
    text.unwrap_or_default().lines().count()
}

/// Ready, written to, stopped as the kubelet does; twice, on the same volumes.
async fn life(field: Field) -> Volume {
    let volume = Volume::new();
    let scratch = Scratch::new();
    let mut acknowledged: Vec<i64> = Vec::new();
    let mut next = 1;
    let mut epoch = 0;
    for _ in 0..2 {
        let mut pod = Pod::play(Mode::Field(field), &volume);
        pod.runs().await;
        pod.passes("ready").await;
        let failed = pod.asked_by_the_kubelet().await;
        assert!(failed.is_empty(), "{failed:?}");
        let held = pod.epoch().await;
        assert!(held > epoch, "another pod, another epoch");
        epoch = held;
        let writer = pod.writer(next).await;
        writer.acknowledges(ROWS).await;
        let hook = pod.stop_hook();
        let said = String::from_utf8_lossy(&hook.stderr).into_owned();
        // A hook that ends the engine ends its own container, and itself with it.
        assert!(field == Field::Hooks || hook.status.success(), "{said}");
        assert_eq!(pod.ends(SQL).await, 0, "{said}{}", pod.logs(SQL));
        let written = writer.written();
        next += i64::try_from(written.attempted()).expect("few rows");
        acknowledged.extend(written.acknowledged);
        let last = history(&pod);
        assert!(!last.is_empty());
        pod.terminate(SUPERVISOR);
        assert_eq!(pod.ends(SUPERVISOR).await, 0);
        has_all_in(&engine_directory(field, &volume, &scratch), &acknowledged);
    }
    volume
}

#[tokio::test]
async fn a_claim_for_the_data_directory_alone() {
    life(Field::DataOnly).await;
}

#[tokio::test]
async fn a_claim_for_each_directory() {
    life(Field::Split).await;
}

#[tokio::test]
async fn a_hook_that_shuts_the_engine_down_itself() {
    let volume = life(Field::Hooks).await;
    assert_eq!(
        lines(Field::Hooks, &volume, "sqlcmd-calls"),
        2,
        "once a stop"
    );
}

#[tokio::test]
async fn scripts_for_the_images_launcher_run_once() {
    let volume = life(Field::Setup).await;
    assert_eq!(lines(Field::Setup, &volume, "setup-runs"), 1);
}

#[tokio::test]
async fn a_user_that_the_cluster_assigns() {
    life(Field::Assigned).await;
}
