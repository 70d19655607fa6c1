//! The cluster: the scripts beside this file, and kubectl and helm by way of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the nodes are this machine's own, which can be made to fail.
pub fn own() -> bool {
    std::env::var_os("CLUSTER_KUBECONFIG").is_none()
}

/// Where the cluster that is our own writes.
pub fn state() -> PathBuf {
    let given = std::env::var_os("CLUSTER_STATE");
    given.map_or_else(
        || "/var/tmp/sql-edge-supervisor-cluster".into(),
        PathBuf::from,
    )
}

/// A cluster for the time of the run.
pub struct Running {
    ends: bool,
}

impl Running {
    pub fn start() -> Self {
        let keep = std::env::var_os("CLUSTER_KEEP").is_some();
        let up = own() && !(keep && state().join("kubeconfig").exists());
        if up {
            run(script("up").arg("2"), "");
        }
        Self {
            ends: own() && !keep,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ends {
            run(&mut script("down"), "");
        }
    }
}

/// One of the scripts beside this file.
pub fn script(name: &str) -> Command {
    Command::new(root().join("tests/cluster").join(name))
}

/// What it prints; standard error goes to ours where it fails.
pub fn run(command: &mut Command, input: &str) -> String {
    let output = outcome(command, input);
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What comes of it, also where that is an error.
pub fn outcome(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    // Who reads nothing may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

pub fn kubectl<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = script("kubectl");
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    command
}

/// The words of a line, for kubectl.
pub fn ask(line: &str) -> String {
    run(&mut kubectl(line.split(' ')), "")
}

/// An object as the API has it.
pub fn get<T: DeserializeOwned>(line: &str) -> T {
    let text = run(&mut kubectl(line.split(' ').chain(["--output=json"])), "");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

/// helm, which `tests/run` builds.
pub fn helm() -> Command {
    let built = root().join("target/tools/helm");
    let mut command = script("with");
    command.arg(if built.exists() { built } else { "helm".into() });
    command
}
