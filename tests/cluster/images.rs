//! The images of the pods: the supervisor's as it is shipped, the stand-in's, and one of the client that writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cluster::{run, script};
use crate::podman::podman;
use crate::standins;

/// The repository and tag by which the pods name them.
pub const SUPERVISOR: (&str, &str) = ("localhost/sql-edge-supervisor", "test");
/// The same image by another name, for what a change of it does.
pub const NEXT_SUPERVISOR: (&str, &str) = ("localhost/sql-edge-supervisor", "next");
pub const STANDIN: (&str, &str) = ("localhost/sql-edge-standin", "test");
pub const CLIENT: &str = "localhost/cluster-client:test";
pub const PROMETHEUS: &str = "localhost/prometheus:test";

/// Builds them and brings them to all nodes.
pub fn load() {
    standins::supervisor();
    standins::standin();
    let next = format!("{}:{}", NEXT_SUPERVISOR.0, NEXT_SUPERVISOR.1);
    podman().run(["tag", standins::supervisor(), &next]);
    program(CLIENT, &built("cluster-client"), "/client");
    program(PROMETHEUS, Path::new("/usr/bin/prometheus"), "/prometheus");
    let archive = podman().home().join("images.tar");
    let _ = fs::remove_file(&archive);
    podman().run([
        "save",
        "--quiet",
        "--multi-image-archive",
        "--output",
        &archive.display().to_string(),
        standins::supervisor(),
        &next,
        standins::standin(),
        CLIENT,
        PROMETHEUS,
    ]);
    run(script("load").arg(&archive), "");
}

/// An example of this package, as cargo builds it beside this test.
fn built(name: &str) -> std::path::PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    let debug = own
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps");
    let path = debug.join("examples").join(name);
    assert!(path.exists(), "cargo build --example {name}");
    path
}

/// An image of one program of this machine, with a shell and what it is linked with.
fn program(name: &str, program: &Path, entrypoint: &str) {
    let at = podman().home().join(name.replace(['/', ':'], "-"));
    standins::file_system(&at, program);
    fs::copy(program, at.join(entrypoint.trim_start_matches('/'))).expect("writable");
    let archive = at.with_extension("tar");
    standins::succeed(
        Command::new("tar")
            .arg("-C")
            .arg(&at)
            .arg("-cf")
            .arg(&archive)
            .args(["--owner=0", "--group=0", "."]),
    );
    let entrypoint = format!("ENTRYPOINT [\"{entrypoint}\"]");
    podman().run([
        "import",
        "--quiet",
        "--change",
        &entrypoint,
        &archive.display().to_string(),
        name,
    ]);
}
