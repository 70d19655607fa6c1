//! A namespace for one scenario, and what is known of it where that fails.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::cluster::{self, ask, kubectl, outcome, run};
use crate::pods::Pods;

/// How much of a kubelet's log is shown where a scenario fails.
const KUBELET_LOG: usize = 16 * 1024;

pub struct Namespace {
    pub name: String,
    pub pods: Pods,
}

impl Namespace {
    /// Where any pod may be.
    pub fn new(scenario: &str) -> Self {
        Self::with_labels(scenario, &json!({}))
    }

    /// Where `restricted` is enforced.
    pub fn restricted(scenario: &str) -> Self {
        Self::with_labels(
            scenario,
            &json!({"pod-security.kubernetes.io/enforce": "restricted"}),
        )
    }

    fn with_labels(scenario: &str, labels: &Value) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{scenario}-{}-{count}", std::process::id());
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        });
        run(
            &mut kubectl(["create", "--filename=-"]),
            &object.to_string(),
        );
        let pods = Pods::watch(&name);
        Self { name, pods }
    }

    /// kubectl in this namespace.
    pub fn ask(&self, line: &str) -> String {
        ask(&format!("--namespace {} {line}", self.name))
    }

    pub fn apply(&self, object: &Value) {
        let line = ["--namespace", &self.name, "apply", "--filename=-"];
        run(&mut kubectl(line), &object.to_string());
    }

    pub fn apply_text(&self, yaml: &str) {
        run(
            &mut kubectl(["--namespace", &self.name, "apply", "--filename=-"]),
            yaml,
        );
    }

    fn explain(&self) {
        let name = &self.name;
        for line in [
            format!("--namespace {name} get pods --output=wide"),
            "describe nodes".to_owned(),
            format!("--namespace {name} get events --sort-by=.lastTimestamp"),
            format!(
                "--namespace {name} logs --selector=app.kubernetes.io/name=azure-sql-edge --container=supervisor --tail=60 --prefix"
            ),
            format!(
                "--namespace {name} logs --selector=app.kubernetes.io/name=azure-sql-edge --container=sql --tail=30 --prefix"
            ),
        ] {
            let output = outcome(&mut kubectl(line.split(' ')), "");
            eprintln!("--- {line}\n{}", String::from_utf8_lossy(&output.stdout));
        }
        for node in ["node-1", "node-2"] {
            let log = cluster::state().join(node).join("log/kubelet");
            // There is none of a cluster that is not our own.
            let Ok(log) = std::fs::read(&log) else {
                continue;
            };
            let end = &log[log.len().saturating_sub(KUBELET_LOG)..];
            eprintln!(
                "--- the kubelet of {node}\n{}",
                String::from_utf8_lossy(end)
            );
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.explain();
        }
        // Its pods take their time; nobody waits for them.
        let line = ["delete", "namespace", &self.name, "--wait=false"];
        outcome(&mut kubectl(line), "");
    }
}
