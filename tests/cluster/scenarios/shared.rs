//! Two Deployments on one claim, which is what an interrupted failover comes to. The sidecar of the first one is in a
//! crash loop, so that nobody but its own SQL container can say that it still holds the volume.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{restarts, running, uid};
use crate::release::{PATIENCE, Release};
use crate::{engines, host, table};

use super::sidecar;

pub const ADVISORY: &str = "two on one claim, advisory";
pub const STRICT: &str = "two on one claim, strict";
const WATCHED_FOR: Duration = Duration::from_secs(75);

pub fn advisory() {
    two(ADVISORY, "advisory");
}

pub fn strict() {
    two(STRICT, "strict");
}

fn two(name: &'static str, lease: &str) {
    let namespace = Namespace::new(&format!("shared-{lease}"));
    // One node lets two pods mount a claim that is ReadWriteOnce; the chart wants `strict` where several nodes can.
    let mode = match lease {
        "strict" => "ReadWriteMany",
        _ => "ReadWriteOnce",
    };
    // The logins are the volume's: the engine that comes second knows the password that the first one was given.
    let login = "supervisor-login";
    namespace.apply(&json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": login},
        "stringData": {"password": "Supervisor_1"},
    }));
    // Shorter than the kubelet's back-off, as the defaults are once that has grown.
    let values = json!({
        "persistence": {"accessMode": mode},
        "volume": {"lease": lease},
        "supervisor": {"login": {"existingSecret": login}, "settings": {"lease-renew": "1s", "lease-fence": "5s", "lease-stale": "8s"}},
    });
    let first = Release::install(&namespace, "first", &values);
    let pod = first.ready();
    let client = Client::start(&namespace, &first.service());
    let volume = volume(&pod);

    let mut other: Value = values;
    other["persistence"]["existingClaim"] = json!(format!("{}-data", first.object()));
    let second = Release::install(&namespace, "second", &other);
    second.until("the second one's sidecar", PATIENCE, |pod| {
        running(pod, "supervisor")
    });
    let began = Instant::now();
    sidecar::crash_for(&pod, WATCHED_FOR);
    let overlaps = engines::overlaps(&volume);
    let both = overlaps
        .iter()
        .map(|overlap| overlap.until.duration_since(overlap.from))
        .max();
    table::time(
        name,
        "two engines on the volume, sidecar of the first killed whenever it runs",
        both.unwrap_or_default(),
    );
    assert!(
        overlaps.is_empty(),
        "two engines ran on one volume: {overlaps:?}"
    );
    let now = first.until("the same pod", 1, |now| {
        (uid(now) == uid(&pod)).then(|| now.clone())
    });
    assert_eq!(
        restarts(&now, "sql"),
        0,
        "the first one's engine was restarted"
    );
    let away = namespace.pods.not_ready_since(began, true);
    table::time(name, "the first one, healthy, out of its Service", away);
    assert!(
        away.is_zero(),
        "a healthy engine was out of its Service for {away:?}"
    );
    client.writes_and_lost_nothing();

    let began = Instant::now();
    first.helm(&["uninstall", "first"]);
    second.ready();
    table::time(
        name,
        "the first one is uninstalled, until the second is ready",
        began.elapsed(),
    );
    assert!(
        engines::overlaps(&volume).is_empty(),
        "two engines ran on one volume"
    );
}

/// As the watcher names it.
pub fn volume(pod: &Pod) -> String {
    let (_, engine) = host::engine_of(&running(pod, "sql").expect("it runs"));
    engines::volume(engine).expect("its volume is mounted")
}
