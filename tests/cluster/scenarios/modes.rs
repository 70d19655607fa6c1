//! The two other ways to watch an engine: installed, killed once, deleted once.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::running;
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const ATTACH: &str = "attach";
pub const CLASSIC: &str = "classic";

pub fn attach() {
    lives(ATTACH, &json!({"supervisor": {"mode": "attach"}}));
}

pub fn classic() {
    lives(CLASSIC, &json!({"supervisor": {"sidecar": "classic"}}));
}

fn lives(name: &'static str, values: &Value) {
    let namespace = Namespace::restricted(name);
    let began = Instant::now();
    let release = Release::install(&namespace, "sql", values);
    let pod = release.ready();
    table::time(
        name,
        "`helm install` until ready, `restricted` enforced",
        began.elapsed(),
    );
    let client = Client::start(&namespace, &release.service());

    let began = Instant::now();
    host::signal(
        host::engine_of(&running(&pod, "sql").expect("it runs")).1,
        Signal::SIGKILL,
    );
    let pod = release.ready_again(1, PATIENCE);
    table::time(
        name,
        "the engine is killed, until ready again",
        began.elapsed(),
    );

    let began = Instant::now();
    namespace.ask("delete pod --selector=app.kubernetes.io/name=azure-sql-edge --wait=false");
    release.ready_after(&pod, PATIENCE);
    table::time(
        name,
        "`kubectl delete pod` until the next one is ready",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
}
