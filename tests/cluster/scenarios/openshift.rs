//! The uid and groups that OpenShift gives to a pod.

use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::release::{PATIENCE, Release};
use crate::table;

pub const NAME: &str = "OpenShift's uid";
const UID: u64 = 1_003_350_000;

pub fn run() {
    let namespace = Namespace::restricted("openshift");
    let values = json!({"podSecurityContext": {"runAsUser": UID, "runAsGroup": 0, "fsGroup": UID}});
    let began = Instant::now();
    let release = Release::install(&namespace, "sql", &values);
    let pod = release.ready();
    table::time(NAME, "`helm install` until ready", began.elapsed());
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    namespace.ask("delete pod --selector=app.kubernetes.io/name=azure-sql-edge --wait=false");
    release.ready_after(&pod, PATIENCE);
    table::time(
        NAME,
        "`kubectl delete pod` until the next one is ready",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
}
