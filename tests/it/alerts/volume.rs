//! The alerts on the volume that no other test reaches, on real file systems.

use std::path::Path;
use std::process::Command as Process;

use rustix::process::Signal;

use super::{pair, without_engine};
use crate::filesystems::rig::Rig;
use crate::shared::alerts::Scrape;
use crate::shared::supervisor::Supervisor;
use crate::shared::volumes::{Bind, Image, Kind, run};
use crate::shared::writer::Writer;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, binary, fast, standin_with, supervise, unique_name};
use crate::volume::Fuse;

#[tokio::test]
async fn a_volume_with_less_room_than_is_wanted() {
    let (supervisor, _standin, _scratch) = pair(&[("disk-low-ratio", "1")]).await;
    supervisor.raises("DiskLow").await;
}

#[tokio::test]
async fn a_volume_that_is_no_mount() {
    let scratch = Scratch::new();
    let supervisor = without_engine(&scratch, "", &[("require-mount", "true")]).await;
    supervisor.raises("VolumeNotMounted").await;
}

#[tokio::test]
async fn a_volume_that_is_empty_or_not_to_be_understood() {
    let scratch = Scratch::new();
    let never = [("volume-init", "never")];
    std::fs::create_dir(scratch.path().join("mssql")).expect("writable");
    let supervisor = without_engine(&scratch, "mssql", &never).await;
    supervisor.raises("VolumeEmpty").await;
    drop(supervisor);
    let folder = scratch.path().join("mssql/.sql-edge-supervisor");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("identity"), "torn").expect("writable");
    let supervisor = without_engine(&scratch, "mssql", &[]).await;
    supervisor.raises("VolumeIdentityRefused").await;
}

#[tokio::test]
async fn a_volume_whose_first_check_does_not_end() {
    let scratch = Scratch::new();
    let image = Image::mounted(Kind::Ext4, scratch.path(), &scratch.path().join("mssql"));
    image.freeze();
    // Whoever waits for a frozen volume can't end: the first to be dropped is the volume.
    let held = (
        image,
        without_engine(&scratch, "mssql", &[("volume-timeout", "1h")]).await,
    );
    held.1.raises("VolumeUnchecked").await;
    held.0.thaw();
}

/// An engine, and a supervisor that sees its volume through a daemon of its own. The first to be dropped is the
/// daemon: whoever waits for it can't end.
async fn through_a_daemon(more: &[(&str, &str)]) -> (Scratch, StandIn, (Fuse, Supervisor)) {
    let (scratch, name) = (Scratch::new(), unique_name());
    let source = scratch.path().join("pod/mssql");
    let fuse = Fuse::over(&source, &scratch.path().join("volume"));
    let standin = standin_with(&scratch, &name, |options| options).await;
    let path = scratch.path().join("volume").display().to_string();
    let mut settings = vec![("data-dir", path.as_str()), ("lease", "off")];
    settings.extend(more);
    let mut held = (fuse, supervise(&standin, &name, &settings).await);
    held.1.passes("ready").await;
    held.1.keeps_a_scrape().await;
    (scratch, standin, held)
}

#[tokio::test]
async fn a_volume_that_only_the_supervisor_waits_for() {
    let (_scratch, standin, held) = through_a_daemon(&[
        ("engine-data-dir", "/var/opt/mssql"),
        ("volume-timeout", "2s"),
    ])
    .await;
    let writer = Writer::to(standin.port(), standin.password());
    writer.acknowledges(20).await;
    held.0.signal(Signal::STOP);
    held.1.raises("VolumeSlow").await;
    held.0.signal(Signal::CONT);
}

/// The first scrape that is `wanted`.
async fn scraped(supervisor: &Supervisor, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
    let seen = async {
        loop {
            let scrape = supervisor.scrape().await;
            if wanted(&scrape) {
                return scrape;
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), seen).await;
    found.expect("it is scraped in time")
}

#[tokio::test]
async fn a_write_that_takes_its_time() {
    let (_scratch, _standin, held) = through_a_daemon(&[("volume-timeout", "10s")]).await;
    let name = "sql_edge_supervisor_volume_write_duration_seconds_bucket";
    let counted = |scrape: &Scrape, le: &str| {
        let series = format!("{name}{{volume=\"volume\",le=\"{le}\"}}");
        scrape.value(&series).unwrap_or_default()
    };
    let is_slow = |scrape: &Scrape| counted(scrape, "+Inf") > counted(scrape, "1");
    let pending = |scrape: &Scrape| scrape.sum("sql_edge_volume_check_pending_seconds");
    // A check that stood still before its write, as it read something, wrote fast: then the next one.
    loop {
        held.0.signal(Signal::STOP);
        scraped(&held.1, |scrape| pending(scrape) >= 1.5).await;
        held.0.signal(Signal::CONT);
        let over = scraped(&held.1, |scrape| pending(scrape) < 1.5).await;
        if is_slow(&over) {
            break;
        }
    }
    held.1
        .raises_by_growth("SqlEdgeVolumeWritesSlow", is_slow)
        .await;
}

#[tokio::test]
async fn another_volume_than_the_engines() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let at = scratch.path().join("pod/mssql");
    let _engines = Image::mounted(Kind::Ext4, scratch.path(), &at);
    let other = scratch.path().join("other");
    std::fs::create_dir(&other).expect("writable");
    let standin = standin_with(&scratch, &name, |options| options).await;
    let settings = fast(scratch.path(), &name, standin.port(), &at);
    let environment = [("MSSQL_SA_PASSWORD", standin.password())];
    let mut command = Process::new("unshare");
    command.arg("--mount").arg(binary());
    let mut supervisor = Supervisor::start_with(command, &settings, &environment).await;
    supervisor.passes("ready").await;
    supervisor.keeps_a_scrape().await;
    // In the supervisor's mount namespace alone.
    let pid = supervisor.pid().as_raw_nonzero().to_string();
    let mut mount = Process::new("nsenter");
    mount.args(["--target", &pid, "--mount", "mount", "--bind"]);
    run(mount.args([&other, &at]));
    supervisor.raises("VolumeMismatch").await;
}

#[tokio::test]
async fn a_volume_of_backups_that_is_read_only() {
    let make = |scratch: &Path, at: &Path| {
        let volume = Image::mounted(Kind::Ext4, scratch, at);
        let backup = at.join("backup");
        std::fs::create_dir_all(&backup).expect("writable");
        let own = scratch.join("backups");
        std::fs::create_dir(&own).expect("writable");
        (Bind::over(&own, &backup), volume)
    };
    let rig = Rig::on(make).await;
    let aside = rig.scratch.path().join("aside");
    std::fs::create_dir(&aside).expect("writable");
    let _over = Bind::read_only_over(rig.volume.0.path(), &aside);
    rig.supervisor.raises("SideVolumeFault").await;
}
