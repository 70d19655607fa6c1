//! docker/compose.yaml, played by podman-compose in a network namespace of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::images;
use crate::podman::podman;
use crate::shared::container::{all_processes, process, until};
use crate::standin::handle::DEFAULT_PASSWORD;

const SQL: &str = "sql-edge_sql_1";
const SUPERVISOR: &str = "sql-edge_supervisor_1";

/// What `up` has made; dropped, it is gone with its volumes and networks.
struct Compose {
    /// It keeps the namespace.
    holder: Child,
}

impl Compose {
    fn up() -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn();
        let compose = Self {
            holder: holder.expect("unshare runs: the tests need root and util-linux"),
        };
        // Before unshare has become `sleep`, its namespace is the one that all have.
        let holder = i32::try_from(compose.holder.id()).expect("a pid");
        while process(holder).is_none_or(|process| process.name != "sleep") {
            std::thread::yield_now();
        }
        compose.succeeds("ip", &["link", "set", "lo", "up"]);
        compose.compose(&["up", "-d", "--no-build"]);
        compose
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        let namespace = format!("--net=/proc/{}/ns/net", self.holder.id());
        let mut command = Command::new("nsenter");
        command.arg(namespace).arg(program).args(words);
        command.current_dir(images::root());
        for (key, value) in podman().command([""; 0]).get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
            .env("SUPERVISOR_IMAGE", images::supervisor())
            .env("SQL_IMAGE", images::standin())
            .env("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD)
            .stdin(Stdio::null());
        command
            .output()
            .expect("nsenter runs: the tests need util-linux")
    }

    fn succeeds(&self, program: &str, words: &[&str]) -> String {
        let output = self.run(program, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {words:?}: {said}; tests/run installs what is needed"
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn compose(&self, words: &[&str]) -> String {
        let program = podman_compose().display().to_string();
        let mut line = vec!["--file", "docker/compose.yaml"];
        line.extend(words);
        self.succeeds(&program, &line)
    }

    /// What HEALTHCHECK finds now.
    fn is_healthy(&self) -> bool {
        let checked = self.run("podman", &["healthcheck", "run", SQL]);
        checked.status.success()
    }

    async fn becomes_healthy(&self) {
        until(|| self.is_healthy().then_some(())).await;
    }

    /// Waits for the end of the SQL container; its exit code.
    fn ended(&self) -> String {
        self.succeeds("timeout", &["60", "podman", "wait", SQL])
    }

    fn history(&self) -> Vec<Value> {
        let words = [
            "exec",
            SUPERVISOR,
            "/sql-edge-supervisor",
            "history",
            "--json",
        ];
        let text = self.succeeds("podman", &words);
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The engine's inner process; none while there is no engine.
    fn engine(&self) -> Option<i32> {
        let words = ["container", "inspect", "--format={{.State.Pid}}", SQL];
        let first: i32 = self.succeeds("podman", &words).parse().expect("a pid");
        let all = all_processes();
        let child_of = |parent: i32| all.iter().filter(move |process| process.parent == parent);
        let is_engine = |pid: i32| all.iter().any(|p| p.pid == pid && p.name == "sqlservr");
        // Below launch are its agent and the image's shell, below that the outer process and what runs beside it.
        let mut outer = child_of(first).flat_map(|shell| child_of(shell.pid));
        let outer = outer.find(|process| first > 0 && is_engine(process.pid))?;
        let inner = child_of(outer.pid).next();
        inner.map(|process| process.pid)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let program = podman_compose().display().to_string();
        self.run(
            &program,
            &["--file", "docker/compose.yaml", "down", "--volumes"],
        );
        // Whatever that left.
        self.run(
            "podman",
            &[
                "rm",
                "--all",
                "--force",
                "--filter=label=io.podman.compose.project=sql-edge",
            ],
        );
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Where tests/run installs it, or where it is found.
fn podman_compose() -> PathBuf {
    let installed = images::root().join("target/clients/bin/podman-compose");
    match installed.exists() {
        true => installed,
        false => "podman-compose".into(),
    }
}

#[tokio::test]
async fn compose_brings_it_up_and_stops_it_cleanly() {
    let compose = Compose::up();
    compose.becomes_healthy().await;
    let first = compose.engine().expect("it answers");
    crate::pod::kill(first);
    assert_eq!(compose.ended(), "137");
    // Docker's restart policy would: podman's gives up over services that are done, such as `install`.
    compose.succeeds("podman", &["start", SQL]);
    compose.becomes_healthy().await;

    compose.compose(&["stop", "sql"]);
    assert_eq!(compose.ended(), "0");
    let history = compose.history();
    let count = |event: &str| {
        history
            .iter()
            .filter(|entry| entry["event"] == event)
            .count()
    };
    assert_eq!(count("started"), 2, "{history:?}");
    let clean = |entry: &&Value| entry["event"] == "stopped" && entry["clean"] == true;
    assert!(history.iter().any(|entry| clean(&entry)), "{history:?}");
}
