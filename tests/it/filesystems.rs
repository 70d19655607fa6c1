//! Faults of real file systems beneath an engine under load. Each has its own reason, none of them
//! restarts anything or stalls an answer, and where the fault goes away the supervisor notices.

pub mod rig;
mod split;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::shared::alerts::Scrape;
use crate::shared::supervisor::Supervisor;
use crate::shared::volumes::{Bind, Image, Kind, run};
use crate::support::{Scratch, binary, fast, standin_with, supervise, supervisor, unique_name};
use crate::volume::Fuse;
use rig::Rig;

#[tokio::test]
async fn an_ext4_that_an_error_made_read_only() {
    let mut rig = Rig::on(|scratch, at| Image::mounted(Kind::Ext4, scratch, at)).await;
    rig.volume.abort();
    let evidence = rig.finds("VolumeReadOnly").await;
    assert!(
        evidence.contains("EROFS") || evidence.contains("mounted ro"),
        "{evidence}"
    );
    let gate = "sql_edge_supervisor_probe_verdict{probe=\"gate\"}";
    let is_shut = |scrape: &Scrape| scrape.value(gate) == Some(0.0);
    rig.supervisor.raises_when("SqlEdgeGateShut", is_shut).await;
}

#[tokio::test]
async fn a_mount_that_turns_read_only_and_back() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let mut rig = Rig::on(|scratch, at| Image::mounted(kind, scratch, at)).await;
        // Files that are open for writing keep the mount itself from it, and not one over it.
        let aside = rig.scratch.path().join("aside");
        let over = Bind::read_only_over(rig.volume.path(), &aside);
        let evidence = rig.finds("VolumeReadOnly").await;
        assert!(evidence.contains(kind.name()), "{evidence}");
        over.uncover();
        std::mem::forget(over);
        rig.recovers().await;
    }
}

#[tokio::test]
async fn a_device_that_is_gone_is_an_input_output_error() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let mut rig = Rig::on(|scratch, at| Image::mounted(kind, scratch, at)).await;
        rig.volume.shut_down();
        let evidence = rig.finds("VolumeIoError").await;
        assert!(evidence.contains("EIO"), "{kind:?}: {evidence}");
        let has_failed =
            |scrape: &Scrape| scrape.sum("sql_edge_supervisor_volume_write_failures_total") >= 1.0;
        rig.supervisor
            .raises_when("SqlEdgeVolumeWriteFailing", has_failed)
            .await;
    }
}

#[tokio::test]
async fn a_volume_without_a_free_byte() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let mut rig = Rig::on(|scratch, at| Image::mounted(kind, scratch, at)).await;
        let filling = rig.volume.fill("backup.bak");
        let evidence = rig.finds_and_may_start("DiskFull").await;
        assert!(evidence.contains("bytes"), "{kind:?}: {evidence}");
        for alert in ["SqlEdgeVolumeFilling", "SqlEdgeVolumeFillingFast"] {
            let is_full = |scrape: &Scrape| {
                scrape.sum("sql_edge_volume_free_bytes") * 10.0
                    < scrape.sum("sql_edge_volume_size_bytes")
            };
            rig.supervisor.raises_when(alert, is_full).await;
        }
        std::fs::remove_file(filling).expect("it is ours");
        rig.is_ready_again().await;
    }
}

#[tokio::test]
async fn a_volume_without_a_free_inode() {
    // An xfs makes inodes for as long as it has blocks.
    let few = ["-N", "256"];
    let make = |scratch: &Path, at: &Path| Image::made_with(Kind::Ext4, &few, scratch, at);
    let mut rig = Rig::on(make).await;
    let filling = rig.volume.fill_with_names("names");
    let free = async || {
        rig.supervisor
            .scrape()
            .await
            .sum("sql_edge_volume_inodes_free")
    };
    // One that a check had in use meanwhile is free again.
    while free().await > 0.0 {
        rig.volume.fill_with_names("names");
    }
    let evidence = rig.finds_and_may_start("DiskFull").await;
    assert!(evidence.contains("no inode is free"), "{evidence}");
    let has_none = |scrape: &Scrape| scrape.sum("sql_edge_volume_inodes_free") == 0.0;
    rig.supervisor
        .raises_when("SqlEdgeInodesLow", has_none)
        .await;
    std::fs::remove_dir_all(filling).expect("it is ours");
    rig.is_ready_again().await;
}

#[tokio::test]
async fn a_frozen_volume_stalls_nothing_but_its_own_thread() {
    let mut rig = Rig::on(|scratch, at| Image::mounted(Kind::Ext4, scratch, at)).await;
    rig.volume.freeze();
    rig.finds("VolumeStalled").await;
    // A hang on top of it is no reason to restart what could not come back.
    rig.standin.signal_child(Signal::STOP).expect("it runs");
    let silent_for = |status: serde_json::Value| status["sql"]["ping"]["failures"].as_u64();
    while silent_for(rig.supervisor.status().await) < Some(20) {
        rig.lives().await;
    }
    rig.standin.signal_child(Signal::CONT).expect("it runs");
    rig.volume.thaw();
    rig.recovers().await;
}

#[tokio::test]
async fn a_fuse_daemon_that_is_stopped_and_killed() {
    let make = |scratch: &Path, at: &Path| Fuse::over(&scratch.join("disk"), at);
    let mut rig = Rig::on(make).await;
    rig.volume.signal(Signal::STOP);
    rig.finds("VolumeStalled").await;
    rig.volume.signal(Signal::CONT);
    rig.recovers().await;
    rig.volume.signal(Signal::KILL);
    let evidence = rig.finds("VolumeDisconnected").await;
    assert!(evidence.contains("ENOTCONN"), "{evidence}");
    // The engine's files are gone with the daemon; one that starts on a new mount is well.
    rig.volume.unmount();
    let _again = Fuse::over(&rig.scratch.path().join("disk"), &rig.standin.data_dir());
    rig.finds("VolumeReplaced").await;
    rig.standin.restart().await.expect("it starts");
    rig.recovers().await;
}

#[tokio::test]
async fn a_bind_mount_swapped_beneath_the_engine() {
    let make = |scratch: &Path, at: &Path| {
        let (mine, other) = (scratch.join("mine"), scratch.join("other/data"));
        for directory in [&mine, &other] {
            std::fs::create_dir_all(directory).expect("writable");
        }
        std::fs::write(other.join("master.mdf"), "of another instance").expect("writable");
        Bind::over(&mine, at)
    };
    let mut rig = Rig::on(make).await;
    rig.volume.cover(&rig.scratch.path().join("other"));
    let evidence = rig.finds("VolumeReplaced").await;
    assert!(
        evidence.contains("/mine") && evidence.contains("/other now"),
        "{evidence}"
    );
    rig.volume.uncover();
    rig.recovers().await;
}

#[tokio::test]
async fn a_volume_unmounted_lazily_beneath_the_engine() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let mut rig = Rig::on(|scratch, at| Image::mounted(kind, scratch, at)).await;
        rig.volume.unmount_lazily();
        let evidence = rig.finds("VolumeNotMounted").await;
        assert!(evidence.contains("not mounted any more"), "{evidence}");
        rig.volume.mount();
        rig.recovers().await;
    }
}

#[tokio::test]
async fn an_owner_that_changes_beneath_the_supervisor() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let at = scratch.path().join("pod/mssql");
    let _volume = Image::mounted(Kind::Ext4, scratch.path(), &at);
    let give = |owner: &str| run(Command::new("chown").args(["-R", owner]).arg(&at));
    let standin = standin_with(&scratch, &name, |options| options).await;
    give("10001");
    let state = scratch.path().join("state");
    std::fs::create_dir(&state).expect("writable");
    run(Command::new("chown").arg("10001").arg(&state));
    let mut settings = fast(scratch.path(), &name, standin.port(), &at);
    settings.retain(|(key, _)| key != "require-mount");
    let environment = [("MSSQL_SA_PASSWORD", standin.password())];
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "10001", "--regid", "10001", "--clear-groups"])
        .arg(reachable_binary(&scratch));
    let mut supervisor = Supervisor::start_with(command, &settings, &environment).await;
    supervisor.passes_all(&["gate", "ready"]).await;
    // Not what is below: the checks of the volume make files and remove them meanwhile.
    let give = |owner: &str| {
        let folders = [at.clone(), at.join(".sql-edge-supervisor")];
        run(Command::new("chown").arg(owner).args(folders));
    };
    give("0:0");
    let evidence = supervisor.finds("VolumePermissionDenied").await;
    supervisor.raises("VolumePermissionDenied").await;
    assert!(evidence.contains("belongs to 0:0"), "{evidence}");
    assert!(evidence.contains("runs as 10001:10001"), "{evidence}");
    assert_eq!(supervisor.get("/gatez").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
    give("10001");
    supervisor.passes("gate").await;
}

/// The binary where any user may run it.
fn reachable_binary(scratch: &Scratch) -> PathBuf {
    let copy = scratch.path().join("sql-edge-supervisor");
    std::fs::copy(binary(), &copy).expect("there is room for it");
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&copy, everybody).expect("it is ours");
    copy
}

#[tokio::test]
async fn an_overlay_in_the_place_of_a_volume() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    for name in ["lower", "upper/var/opt/mssql", "work", "root", "state"] {
        std::fs::create_dir_all(path(name)).expect("writable");
    }
    let folder = binary().parent().expect("a binary lies in a folder");
    // A container's root file system: an overlay, with what the binary needs to run in it.
    let script = format!(
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin; set -e; root={}; \
         mount -t overlay overlay -o lowerdir={},upperdir={},workdir={} $root; \
         for each in /usr /lib /lib64 /bin {} {}; do \
           [ -e $each ] || continue; mkdir -p $root$each; mount --bind $each $root$each; \
         done; \
         mkdir -p $root/proc; mount -t proc proc $root/proc; \
         exec chroot $root \"$0\" \"$@\"",
        path("root"),
        path("lower"),
        path("upper"),
        path("work"),
        path("state"),
        folder.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(binary());
    let mut settings = fast(
        scratch.path(),
        &unique_name(),
        1,
        Path::new("/var/opt/mssql"),
    );
    settings.retain(|(key, _)| key != "require-mount");
    let environment = [("MSSQL_SA_PASSWORD", "x")];
    let mut supervisor = Supervisor::start_with(command, &settings, &environment).await;
    let evidence = supervisor.finds("VolumeNotMounted").await;
    assert!(
        evidence.contains("container's own file system"),
        "{evidence}"
    );
    assert_eq!(supervisor.get("/gatez").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

#[tokio::test]
async fn an_empty_dir_is_no_volume_unless_allowed_by_name() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let kubelets = "pods/7f0e/volumes/kubernetes.io~empty-dir/data";
    let source = scratch.path().join(kubelets);
    std::fs::create_dir_all(&source).expect("writable");
    let bind = Bind::over(&source, &scratch.path().join("pod/mssql"));
    let mut settings = fast(scratch.path(), &name, 1, bind.path());
    settings.retain(|(key, _)| key != "require-mount");
    let environment = [("MSSQL_SA_PASSWORD", "x")];
    let mut shut = supervisor(&settings, &environment).await;
    let evidence = shut.finds("VolumeEphemeral").await;
    shut.raises("VolumeEphemeral").await;
    assert!(evidence.contains("an emptyDir"), "{evidence}");
    let (status, body) = shut.get("/gatez").await;
    assert_eq!(status, 503);
    assert!(body.contains("VolumeEphemeral"), "{body}");
    assert_eq!(shut.get("/livez").await.0, 200);
    drop(shut);
    settings.push(("allow-ephemeral".to_owned(), "true".to_owned()));
    let mut open = supervisor(&settings, &environment).await;
    open.passes("gate").await;
}

#[tokio::test]
async fn an_engine_that_runs_in_memory_is_told_of_and_left_alone() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let at = scratch.path().join("pod/mssql");
    std::fs::create_dir_all(&at).expect("writable");
    run(Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
        .arg(&at));
    // Dropped, it takes all that is mounted there away.
    let _unmounts = Bind::over(&at, &at);
    let standin = standin_with(&scratch, &name, |options| options).await;
    let mut supervisor = supervise(&standin, &name, &[("require-mount", "true")]).await;
    let evidence = supervisor.finds("VolumeEphemeral").await;
    assert!(evidence.contains("tmpfs"), "{evidence}");
    // Silence is a hang only of an engine that has answered.
    while supervisor.status().await["sql"]["ping"]["result"] != "answered" {
        assert_eq!(supervisor.get("/livez").await.0, 200);
    }
    standin.signal_child(Signal::STOP).expect("it runs");
    supervisor.finds("EngineUnresponsive").await;
    assert_eq!(
        supervisor.get("/livez").await.0,
        200,
        "it could not start again"
    );
    standin.signal_child(Signal::CONT).expect("it runs");
}
