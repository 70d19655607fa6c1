//! What the supervisor finds and does, as Events on the pod.

use std::collections::BTreeSet;
use std::time::Instant;

use k8s_openapi::api::core::v1::Event;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cluster::get;
use crate::namespace::Namespace;
use crate::pods::{running, uid};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const NAME: &str = "events";
/// By which the supervisor's Events are found among the kubelet's.
const CONTROLLER: &str = "sql-edge-supervisor";
/// What `kubectl get events` has to name after an engine was killed.
const WANTED: [&str; 5] = [
    "GateOpened",
    "Ready",
    "ProcessKilled",
    "NotReady",
    "ReasonEnded",
];

pub fn run() {
    let namespace = Namespace::restricted(NAME);
    let values = json!({"kubernetesEvents": {"enabled": true}});
    let release = Release::install(&namespace, "sql", &values);
    let pod = release.ready();
    let began = Instant::now();
    host::signal(
        host::engine_of(&running(&pod, "sql").expect("it runs")).1,
        Signal::SIGKILL,
    );
    release.ready_again(1, PATIENCE);
    let line = format!("--namespace {} get events", namespace.name);
    let mut seen = BTreeSet::new();
    host::until("the Events of a killed engine", || {
        let mut events: Value = get(&line);
        let events: Vec<Event> =
            serde_json::from_value(events["items"].take()).expect("a list of Events");
        let ours = events.into_iter().filter(|event| {
            event.reporting_component.as_deref() == Some(CONTROLLER)
                && event.involved_object.uid.as_deref() == Some(uid(&pod))
        });
        seen = ours.filter_map(|event| event.reason).collect();
        let lacking: Vec<_> = WANTED
            .iter()
            .filter(|reason| !seen.contains(**reason))
            .collect();
        eprintln!("{NAME}: {seen:?}, without {lacking:?}");
        lacking.is_empty().then_some(())
    });
    table::time(
        NAME,
        "SIGKILL, until `kubectl get events` tells all of it",
        began.elapsed(),
    );
    let seen: Vec<_> = seen
        .into_iter()
        .map(|reason| format!("`{reason}`"))
        .collect();
    table::note(NAME, "Events on the pod", &seen.join(", "));
}
