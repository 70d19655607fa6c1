//! What a check costs: processor time of the second node, all of it (kubelet, runtime, the check and who answers it),
//! with a pod that is checked ten times a second, less that of the same pod without a check.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::images::CLIENT;
use crate::namespace::Namespace;
use crate::node::{OTHER, Other};
use crate::pods::running;
use crate::release::{PASSWORD, PATIENCE};
use crate::table;

use super::contestants::pod;

pub const NAME: &str = "cost of a check";
/// Until the pod's start is over.
const SETTLE: Duration = Duration::from_secs(5);
const SECONDS: u32 = 25;
/// Containers with two probes each, for the kubelet's shortest period is a second and one check costs little.
const CHECKED: u16 = 5;
/// Checks a second.
const CHECKS: f64 = 2.0 * CHECKED as f64;
/// Where the first of them answers HTTP.
const PORT: u16 = 9433;

pub fn run() {
    let _other = Other::alone();
    let namespace = Namespace::new("cost");
    let without = [(); 2].map(|()| measure(&namespace, "none", &json!({})));
    let noise = ((without[0] - without[1]) * 1000.0 / CHECKS).abs();
    let without = f64::midpoint(without[0], without[1]);
    let checks = [
        ("tcpSocket", "tcp", json!({"tcpSocket": {"port": 1433}})),
        (
            "httpGet",
            "http",
            json!({"httpGet": {"port": PORT, "path": "/"}}),
        ),
        (
            "exec, one login and `SELECT 1`",
            "exec",
            json!({"exec": {"command": ["/client", "check", "127.0.0.1:1433"]}}),
        ),
    ];
    table::note(
        NAME,
        "no check",
        &format!(
            "{:.1} ms of the node's cpu a second; between two measurements of it, a check's difference of {noise:.1} ms",
            without * 1000.0
        ),
    );
    for (title, name, mut check) in checks {
        check["periodSeconds"] = json!(1);
        check["timeoutSeconds"] = json!(1);
        check["failureThreshold"] = json!(1000);
        let checks = json!({"livenessProbe": check, "readinessProbe": check});
        let with = measure(&namespace, name, &checks);
        let each = (with - without) * 1000.0 / CHECKS;
        table::note(NAME, title, &format!("{each:.1} ms of cpu each"));
    }
}

/// Seconds of cpu a second.
fn measure(namespace: &Namespace, name: &str, probes: &Value) -> f64 {
    let mut object = pod(name, json!({}));
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Pod");
    object["metadata"]["name"] = json!(name);
    object["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": OTHER});
    object["spec"]["terminationGracePeriodSeconds"] = json!(1);
    let containers = object["spec"]["containers"].as_array_mut();
    let containers = containers.expect("containers");
    for port in (PORT..).take(usize::from(CHECKED)) {
        let mut container = json!({
            "name": format!("checked-{port}"), "image": CLIENT, "imagePullPolicy": "Never",
            "args": ["serve", format!("0.0.0.0:{port}")],
            "env": [{"name": "MSSQL_SA_PASSWORD", "value": PASSWORD}],
        });
        for (key, probe) in probes.as_object().into_iter().flatten() {
            container[key] = probe.clone();
        }
        containers.push(container);
    }
    namespace.apply(&object);
    namespace.pods.until("its engine runs", PATIENCE, |pods| {
        pods.iter()
            .find(|pod| crate::pods::pod_name(pod) == name)
            .and_then(|pod| running(pod, "sql"))
    });
    std::thread::sleep(SETTLE);
    let before = used();
    std::thread::sleep(Duration::from_secs(u64::from(SECONDS)));
    let used = used() - before;
    namespace.ask(&format!("delete pod {name} --wait=true"));
    used / f64::from(SECONDS)
}

/// Seconds of cpu of all that belongs to the node.
fn used() -> f64 {
    let group = format!("sql-edge-supervisor-cluster/{OTHER}");
    if let Ok(nanoseconds) =
        fs::read_to_string(format!("/sys/fs/cgroup/cpuacct/{group}/cpuacct.usage"))
    {
        return nanoseconds.trim().parse::<f64>().expect("a number") / 1e9;
    }
    let text = fs::read_to_string(format!("/sys/fs/cgroup/{group}/cpu.stat")).expect("cpu.stat");
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    field.expect("usage_usec").parse::<f64>().expect("a number") / 1e6
}
