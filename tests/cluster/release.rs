//! The chart as it is installed, with what a test changes of its values.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::cluster::{helm, kubectl, outcome, own, root, run};
use crate::images::{STANDIN, SUPERVISOR};
use crate::namespace::Namespace;
use crate::pods;

/// Of `sa`, in the pods of the chart and for the client.
pub const PASSWORD: &str = "Stand-in_1";
/// Much more than any start here takes.
pub const PATIENCE: u64 = 90;
/// The node that nothing is done to.
pub const QUIET: &str = "node-1";

/// What a test always sets: images that are on the nodes already, little memory, and a password that is known.
fn values() -> Value {
    let mut values = json!({
        "acceptEula": true,
        "sql": {
            "image": {"repository": STANDIN.0, "tag": STANDIN.1, "pullPolicy": "Never"},
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        },
        "supervisor": {"image": {"repository": SUPERVISOR.0, "tag": SUPERVISOR.1, "pullPolicy": "Never"}},
        "auth": {"password": PASSWORD},
        "service": {"type": "ClusterIP"},
    });
    if own() {
        values["nodeSelector"] = json!({"kubernetes.io/hostname": QUIET});
    }
    values
}

/// `more` takes the place of what is there, maps are joined; null takes away.
fn join(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                if value.is_null() {
                    into.remove(key);
                } else {
                    join(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// An installed release.
pub struct Release<'a> {
    pub namespace: &'a Namespace,
    pub name: String,
    values: Value,
}

impl<'a> Release<'a> {
    /// `helm install`; it does not wait.
    pub fn install(namespace: &'a Namespace, name: &str, more: &Value) -> Self {
        let mut values = values();
        join(&mut values, more);
        let release = Self {
            namespace,
            name: name.to_owned(),
            values,
        };
        release.helm(&["install", name, "charts/azure-sql-edge", "--values", "-"]);
        release
    }

    /// `helm upgrade` with other values; it does not wait.
    pub fn upgrade(&mut self, more: &Value) {
        join(&mut self.values, more);
        self.helm(&[
            "upgrade",
            &self.name,
            "charts/azure-sql-edge",
            "--values",
            "-",
        ]);
    }

    pub fn helm(&self, arguments: &[&str]) -> String {
        let mut helm = helm();
        helm.current_dir(root())
            .args(arguments)
            .args(["--namespace", &self.namespace.name]);
        run(&mut helm, &self.values.to_string())
    }

    /// The name of its objects.
    pub fn object(&self) -> String {
        format!("{}-azure-sql-edge", self.name)
    }

    pub fn service(&self) -> String {
        format!("{}:1433", self.object())
    }

    fn owns(&self, pod: &Pod) -> bool {
        let labels = pod.metadata.labels.as_ref();
        let instance = labels.and_then(|labels| labels.get("app.kubernetes.io/instance"));
        pods::app(pod) == "azure-sql-edge"
            && instance.is_some_and(|instance| *instance == self.name)
    }

    /// Waits until a pod of it is as wanted.
    pub fn until<T>(&self, what: &str, seconds: u64, found: impl Fn(&Pod) -> Option<T>) -> T {
        self.namespace.pods.until(what, seconds, |pods| {
            pods.iter()
                .filter(|pod| self.owns(pod))
                .find_map(|pod| found(pod))
        })
    }

    /// Waits until a pod of it is ready; that pod.
    pub fn ready(&self) -> Pod {
        self.until("a ready pod", PATIENCE, |pod| {
            pods::ready(pod).then(|| pod.clone())
        })
    }

    /// Waits until another pod than `old` is ready.
    pub fn ready_after(&self, old: &Pod, seconds: u64) -> Pod {
        self.until("the next pod is ready", seconds, |pod| {
            (pods::uid(pod) != pods::uid(old) && pods::ready(pod)).then(|| pod.clone())
        })
    }

    /// Waits until its engine has been started again so many times and is ready.
    pub fn ready_again(&self, restarts: i32, seconds: u64) -> Pod {
        self.until(
            &format!("ready after {restarts} restarts"),
            seconds,
            |pod| (pods::restarts(pod, "sql") >= restarts && pods::ready(pod)).then(|| pod.clone()),
        )
    }

    /// Runs the supervisor's program in its container of a pod.
    pub fn supervisor(&self, pod: &Pod, line: &str) -> String {
        let output = self.try_supervisor(pod, line);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn try_supervisor(&self, pod: &Pod, line: &str) -> std::process::Output {
        let start = format!(
            "--namespace {} exec {} --container=supervisor -- /sql-edge-supervisor {line}",
            self.namespace.name,
            pods::pod_name(pod)
        );
        outcome(&mut kubectl(start.split(' ')), "")
    }

    /// The history on the volume, as JSON lines.
    pub fn history(&self, pod: &Pod) -> Vec<Value> {
        let text = self.supervisor(pod, "history --json");
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

/// How long something takes.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = run();
    (value, began.elapsed())
}
