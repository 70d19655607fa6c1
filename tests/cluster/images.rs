//! The images of the pods: the supervisor's as it is shipped, the stand-in's, and one of the client that writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{run, script};
use crate::podman::podman;
use crate::standins;

/// The repository and tag by which the pods name them.
pub const SUPERVISOR: (&str, &str) = ("localhost/sql-edge-supervisor", "test");
/// The same image by another name, for what a change of it does.
pub const NEXT_SUPERVISOR: (&str, &str) = ("localhost/sql-edge-supervisor", "next");
pub const STANDIN: (&str, &str) = ("localhost/sql-edge-standin", "test");
/// The stand-in by the name of SQL Edge's image, by which `inject` knows what it starts.
pub const EDGE: &str = "mcr.microsoft.com/azure-sql-edge:2.0.0";
pub const CLIENT: &str = "localhost/cluster-client:test";
pub const PROMETHEUS: &str = "localhost/prometheus:test";
/// A shell and iptables, as the init container of a service mesh has them.
pub const IPTABLES: &str = "localhost/iptables:test";

/// Builds them and brings them to all nodes.
pub fn load() {
    standins::supervisor();
    standins::standin();
    let next = format!("{}:{}", NEXT_SUPERVISOR.0, NEXT_SUPERVISOR.1);
    podman().run(["tag", standins::supervisor(), &next]);
    podman().run(["tag", standins::standin(), EDGE]);
    program(CLIENT, &built("cluster-client"), "/client", None);
    let prometheus = Path::new("/usr/bin/prometheus");
    program(PROMETHEUS, prometheus, "/prometheus", None);
    let iptables = fs::canonicalize("/usr/sbin/iptables").expect("tests/run installs iptables");
    let extensions = iptables_extensions();
    program(IPTABLES, &iptables, "/usr/bin/iptables", Some(&extensions));
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
        EDGE,
        CLIENT,
        PROMETHEUS,
        IPTABLES,
    ]);
    run(script("load").arg(&archive), "");
}

/// An example of this package, as cargo builds it beside this test.
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    let debug = own
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps");
    let path = debug.join("examples").join(name);
    assert!(path.exists(), "cargo build --example {name}");
    path
}

/// The folder from which iptables loads its matches and targets.
fn iptables_extensions() -> PathBuf {
    let machine = std::env::consts::ARCH;
    PathBuf::from(format!("/usr/lib/{machine}-linux-gnu/xtables"))
}

/// An image of one program of this machine, with a shell, what it is linked with, and a folder that it loads from.
fn program(name: &str, program: &Path, entrypoint: &str, folder: Option<&Path>) {
    let at = podman().home().join(name.replace(['/', ':'], "-"));
    standins::file_system(&at, program);
    if let Some(folder) = folder {
        let to = at.join(folder.strip_prefix("/").expect("an absolute path"));
        standins::succeed(Command::new("cp").arg("-r").arg(folder).arg(to));
    }
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
