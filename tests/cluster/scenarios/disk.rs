//! The claim is exhausted, and made larger by hand; its file system turns read-only.

use std::fs;
use std::io::Write as _;
use std::time::Instant;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use crate::client::Client;
use crate::cluster::{get, run, script};
use crate::namespace::Namespace;
use crate::pods::{ready, restarts, running};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const FULL: &str = "claim exhausted";
pub const READ_ONLY: &str = "volume read-only";

fn on_volume<'a>(namespace: &'a Namespace, name: &str) -> Release<'a> {
    let values = json!({"persistence": {"storageClass": name, "size": "40Mi"}});
    let release = Release::install(namespace, "sql", &values);
    release.ready();
    let line = format!(
        "--namespace {} get pvc {}-data",
        namespace.name,
        release.object()
    );
    let claim: PersistentVolumeClaim = get(&line);
    let volume = claim.spec.and_then(|spec| spec.volume_name);
    assert_eq!(volume.as_deref(), Some(name));
    release
}

fn not_ready(release: &Release<'_>) -> Pod {
    release.until("not ready any more", PATIENCE, |pod| {
        (!ready(pod)).then(|| pod.clone())
    })
}

pub fn full() {
    let namespace = Namespace::new("full");
    let release = on_volume(&namespace, "growing");
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    client.writes_and_lost_nothing();
    let (_, engine) = host::engine_of(&running(&pod, "sql").expect("it runs"));
    let began = Instant::now();
    let mut filler =
        fs::File::create(format!("/proc/{engine}/root/var/opt/mssql/filler")).expect("root may");
    while filler.write_all(&[0; 1 << 16]).is_ok() {}
    while filler.write_all(&[0; 512]).is_ok() {}
    drop(filler);
    let full = not_ready(&release);
    table::time(FULL, "filled, until not ready", began.elapsed());
    let why = release.try_supervisor(&full, "probe ready --verbose");
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("DiskFull"), "{why}");

    let began = Instant::now();
    run(script("volume").arg("grow"), "");
    let pod = release.ready();
    table::time(
        FULL,
        "made larger under the running engine, until ready",
        began.elapsed(),
    );
    assert_eq!(
        restarts(&pod, "sql"),
        0,
        "a full disk is no reason to restart"
    );
    client.writes_and_lost_nothing();
}

pub fn read_only() {
    let namespace = Namespace::new("read-only");
    let release = on_volume(&namespace, "breaking");
    let client = Client::start(&namespace, &release.service());
    client.writes_and_lost_nothing();
    let began = Instant::now();
    run(script("volume").arg("break"), "");
    let pod = not_ready(&release);
    table::time(
        READ_ONLY,
        "an error of ext4, until not ready",
        began.elapsed(),
    );
    let why = release.try_supervisor(&pod, "probe ready --verbose");
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("ReadOnly"), "{why}");
    std::thread::sleep(std::time::Duration::from_secs(30));
    let pod = not_ready(&release);
    assert_eq!(
        restarts(&pod, "sql"),
        0,
        "a broken disk is no reason to restart"
    );
}
