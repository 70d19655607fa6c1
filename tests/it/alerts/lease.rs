//! The alerts on the lease, by claims on real volumes.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command as Process;

use super::{pair, without_engine};
use crate::filesystems::rig::Rig;
use crate::lease::claimed;
use crate::shared::alerts::Scrape;
use crate::shared::supervisor::Supervisor;
use crate::shared::volumes::{Image, Kind};
use crate::standin::handle::StandIn;
use crate::support::{Scratch, binary, fast, standin, supervise, unique_name};

/// `nobody` of most systems: may look at the engine's processes, and not signal them.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn no_lease_at_all() {
    let (supervisor, _standin, _scratch) = pair(&[("lease", "off")]).await;
    supervisor.raises("LeaseOff").await;
}

#[tokio::test]
async fn a_new_volume_that_somebody_has_claimed() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    claimed(&standin.data_dir(), 7);
    let more = [("lease-renew", "100ms"), ("lease-stale", "1h")];
    let supervisor = supervise(&standin, &name, &more).await;
    supervisor.raises("LeaseNotHeld").await;
    supervisor.raises("VolumeUnidentified").await;
}

#[tokio::test]
async fn a_volume_of_another_pod() {
    let scratch = Scratch::new();
    let lasting = |uid, state| {
        [
            ("lease-renew", "100ms"),
            ("lease-stale", "1h"),
            ("pod-uid", uid),
            ("state-dir", state),
        ]
    };
    let states = ["one", "two"].map(|name| scratch.path().join(name).display().to_string());
    let mut holder = without_engine(&scratch, "", &lasting("pod-a", &states[0])).await;
    holder.passes("gate").await;
    let second = without_engine(&scratch, "", &lasting("pod-b", &states[1])).await;
    second.raises("LeaseHeldElsewhere").await;
}

#[tokio::test]
async fn a_lease_that_cant_be_renewed() {
    let short = [
        ("lease-renew", "100ms"),
        ("lease-fence", "1s"),
        ("lease-stale", "2s"),
        ("volume-timeout", "500ms"),
    ];
    let make = |scratch: &Path, at: &Path| Image::mounted(Kind::Ext4, scratch, at);
    let rig = Rig::with(&short, make).await;
    rig.volume.freeze();
    rig.supervisor.raises("LeaseNotRenewed").await;
    let is_late = |series: &'static str| move |scrape: &Scrape| scrape.value(series) >= Some(1.0);
    let renewal = is_late("sql_edge_supervisor_lease_renewal_age_seconds");
    rig.supervisor
        .raises_by_growth("SqlEdgeLeaseRenewalLate", renewal)
        .await;
    let seen = is_late("sql_edge_supervisor_observation_age_seconds{observer=\"lease\"}");
    rig.supervisor
        .raises_by_growth("SqlEdgeObserverSilent", seen)
        .await;
    rig.volume.thaw();
}

/// A supervisor that may write the volume, and not signal the engine.
async fn powerless(scratch: &Scratch, standin: &StandIn, name: &str) -> Supervisor {
    let program = scratch.path().join("supervisor");
    std::fs::copy(binary(), &program).expect("there is room");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    let own = scratch.path().join("own");
    std::fs::create_dir(&own).expect("writable");
    for path in [own.as_path(), &standin.data_dir()] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("this test needs root");
    }
    let mut settings = fast(&own, name, standin.port(), &standin.data_dir());
    let lasting = [("lease-renew", "100ms"), ("lease-stale", "1h")];
    settings.extend(lasting.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let mut command = Process::new(&program);
    command.uid(NOBODY).gid(NOBODY);
    let environment = [("MSSQL_SA_PASSWORD", standin.password())];
    Supervisor::start_with(command, &settings, &environment).await
}

#[tokio::test]
async fn an_engine_that_may_not_write_and_cant_be_killed() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = powerless(&scratch, &standin, &name).await;
    let status = supervisor
        .status_with(|status| {
            status["process"]["state"] == "running" && status["lease"]["state"] == "held"
        })
        .await;
    let epoch = status["lease"]["epoch"].as_u64().expect("a number");
    supervisor.keeps_a_scrape().await;
    claimed(&standin.data_dir(), epoch + 1);
    for reason in ["LeaseLost", "Fencing", "FenceFailed"] {
        supervisor.raises(reason).await;
    }
    let is_fenced = |scrape: &Scrape| scrape.sum("sql_edge_supervisor_engine_fences_total") >= 1.0;
    supervisor.raises_when("SqlEdgeFenced", is_fenced).await;
}
