//! What `inject` makes of the manifest of Microsoft's tutorial, by its own images' names.

use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::cluster::{root, run};
use crate::images::{EDGE, SUPERVISOR};
use crate::namespace::Namespace;
use crate::pods::{ready, restarts, running};
use crate::release::{PASSWORD, PATIENCE};
use crate::{host, table};

pub const LAUNCH: &str = "inject";
pub const ATTACH: &str = "inject --attach";
pub const CLASSIC: &str = "inject --classic";
pub const CONTAINER: &str = "azuresqledge";

pub fn launch() {
    lives(LAUNCH, "inject-launch", None);
}

pub fn attach() {
    lives(ATTACH, "inject-attach", Some("--attach"));
}

pub fn classic() {
    lives(CLASSIC, "inject-classic", Some("--classic"));
}

/// The tutorial's manifest, with an image and a disk that are here.
fn tutorial() -> String {
    let path = root().join("tests/inject/given/tutorial.yaml");
    let text = std::fs::read_to_string(path).expect("it is there");
    // A storage class of another time, whose provisioner is nobody's any more: the cluster's default is used.
    let (_, text) = text
        .split_once("\n---\n")
        .expect("the storage class is the first");
    // Of `latest` the kubelet would ask a registry.
    let text = text.replace("mcr.microsoft.com/azure-sql-edge:latest", EDGE);
    let annotation = "  annotations:\n    volume.beta.kubernetes.io/storage-class: azure-disk\n";
    assert!(text.contains(annotation), "{text}");
    text.replace(annotation, "")
}

/// What `inject` makes of it.
pub fn manifest(mode: Option<&str>) -> String {
    let image = format!("{}:{}", SUPERVISOR.0, SUPERVISOR.1);
    let mut inject = Command::new(env!("CARGO_BIN_EXE_sql-edge-supervisor"));
    inject
        .args(["inject", "--image", &image])
        .args(["--container", CONTAINER, "--file", "-"])
        .args(mode);
    run(&mut inject, &tutorial())
}

/// The Secret that the manifest names.
pub fn secret(namespace: &Namespace) {
    namespace.ask(&format!(
        "create secret generic mssql --from-literal=SA_PASSWORD={PASSWORD}"
    ));
}

fn lives(name: &'static str, label: &str, mode: Option<&str>) {
    let namespace = Namespace::new(label);
    secret(&namespace);
    let manifest = manifest(mode);
    let began = Instant::now();
    namespace.apply_text(&manifest);
    let is = |what: &str, restarted: i32| {
        namespace.pods.until(what, PATIENCE, |pods| {
            let pod = pods
                .iter()
                .find(|pod| ready(pod) && restarts(pod, CONTAINER) == restarted)?;
            running(pod, CONTAINER)
        })
    };
    let id = is("a ready pod", 0);
    table::time(
        name,
        "the tutorial's manifest, applied until ready",
        began.elapsed(),
    );
    let client = Client::start(&namespace, "sqledge-deployment:1433");
    client.writes_and_lost_nothing();
    let began = Instant::now();
    host::signal(host::engine_of(&id).1, Signal::SIGKILL);
    is("ready again", 1);
    table::time(
        name,
        "the engine is killed, until ready again",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
}
