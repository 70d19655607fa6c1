//! `kubectl drain`, with the PodDisruptionBudget that forbids it and with one that allows it.

use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::cluster::{self, kubectl, outcome};
use crate::namespace::Namespace;
use crate::node::{OTHER, Other, preferred};
use crate::release::{PATIENCE, Release};
use crate::table;

pub const NAME: &str = "drain";

pub fn run() {
    let _other = Other::alone();
    let namespace = Namespace::new(NAME);
    let mut values = preferred();
    values["podDisruptionBudget"] = json!({"enabled": true, "maxUnavailable": 0});
    let mut release = Release::install(&namespace, "sql", &values);
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let drain = |timeout: &str| {
        kubectl([
            "drain",
            OTHER,
            "--pod-selector=app.kubernetes.io/name=azure-sql-edge",
            "--delete-emptydir-data",
            timeout,
        ])
    };
    let refused = outcome(&mut drain("--timeout=6s"), "");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("disruption budget"),
        "{said}"
    );
    table::note(
        NAME,
        "with `maxUnavailable: 0`",
        "refused, the engine goes on",
    );
    assert_eq!(
        client.writes_and_lost_nothing().away().as_secs(),
        0,
        "nothing happened"
    );

    release.upgrade(&json!({"podDisruptionBudget": {"maxUnavailable": 1}}));
    let began = Instant::now();
    cluster::run(&mut drain("--timeout=60s"), "");
    release.ready_after(&pod, PATIENCE);
    table::time(
        NAME,
        "with `maxUnavailable: 1`, until ready on the other node",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
}
