//! A Prometheus in the cluster that scrapes pods of the chart as the operator would by the chart's PodMonitor, and
//! evaluates the chart's rules. A scenario says at its end which alerts what it did must have raised.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::cluster::{helm, kubectl, outcome, own, root, run};
use crate::images::PROMETHEUS;
use crate::namespace::Namespace;
use crate::pods::running;
use crate::release::{PATIENCE, QUIET};

/// From one scrape and one evaluation to the next. The chart's default is 15 s, which a test would only wait for.
const INTERVAL: &str = "3s";
/// A few scrapes, evaluations, and a busy machine.
const RAISED_IN: Duration = Duration::from_secs(60);

static NAMESPACE: OnceLock<String> = OnceLock::new();
static MONITOR: OnceLock<Value> = OnceLock::new();

/// The running Prometheus.
pub struct Prometheus {
    _namespace: Namespace,
}

impl Prometheus {
    pub fn start() -> Self {
        let namespace = Namespace::new("prometheus");
        let objects = rendered();
        let configuration = configuration(&objects).to_string();
        let mut files = json!({"prometheus.yml": configuration});
        for rules in objects
            .iter()
            .filter(|object| object["kind"] == "PrometheusRule")
        {
            let name = rules["metadata"]["name"].as_str().expect("a name");
            files[format!("{name}.rules")] = json!(rules["spec"].to_string());
        }
        namespace.apply(&json!({
            "apiVersion": "v1", "kind": "List", "items": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": files},
                pod(),
            ],
        }));
        namespace.pods.until("Prometheus runs", PATIENCE, |pods| {
            running(pods.first()?, "prometheus")
        });
        MONITOR
            .set(monitor(&objects).clone())
            .expect("it is started once");
        NAMESPACE
            .set(namespace.name.clone())
            .expect("it is started once");
        Self {
            _namespace: namespace,
        }
    }
}

/// The chart's objects for monitoring.
fn rendered() -> Vec<Value> {
    let mut template = helm();
    template.current_dir(root()).args([
        "template",
        "sql",
        "charts/azure-sql-edge",
        "--kube-version",
        "1.36.0",
        "--set",
        "acceptEula=true",
        "--set",
        "metrics.podMonitor.enabled=true",
        "--set",
        "metrics.rules.enabled=true",
        "--set",
        &format!(
            "metrics.podMonitor.interval={INTERVAL},metrics.podMonitor.scrapeTimeout={INTERVAL}"
        ),
    ]);
    let text = run(&mut template, "");
    let documents = text
        .split("\n---\n")
        .map(|text| serde_saphyr::from_str(text).expect("YAML"));
    documents.collect()
}

/// What the Prometheus operator makes of a PodMonitor, but for the discovery: Debian's Prometheus is built without that
/// of Kubernetes, so [`Namespace::discover`] does it, by the same selector and port.
fn configuration(objects: &[Value]) -> Value {
    let endpoint = &monitor(objects)["spec"]["podMetricsEndpoints"][0];
    json!({
        "global": {"evaluation_interval": INTERVAL},
        "rule_files": ["/etc/prometheus/*.rules"],
        "scrape_configs": [{
            "job_name": "sql",
            "metrics_path": endpoint["path"],
            "scrape_interval": endpoint["interval"],
            "scrape_timeout": endpoint["scrapeTimeout"],
            "file_sd_configs": [{"files": ["/data/targets/*.json"]}],
        }],
    })
}

fn monitor(objects: &[Value]) -> &Value {
    let is = |object: &&Value| object["kind"] == "PodMonitor";
    objects.iter().find(is).expect("a PodMonitor")
}

/// The targets that a PodMonitor selects among pods: those with its labels and a port of its name.
fn targets(monitor: &Value, pods: &[&Pod]) -> Value {
    let labels = monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .expect("labels");
    let port = monitor["spec"]["podMetricsEndpoints"][0]["port"]
        .as_str()
        .expect("a port's name");
    let mut targets = Vec::new();
    for pod in pods {
        let has = pod.metadata.labels.clone().unwrap_or_default();
        let selected = labels
            .iter()
            .all(|(label, value)| has.get(label).map(String::as_str) == value.as_str());
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        let (true, Some(address), Some(spec)) = (selected, address, &pod.spec) else {
            continue;
        };
        for container in spec
            .init_containers
            .iter()
            .flatten()
            .chain(&spec.containers)
        {
            for named in container
                .ports
                .iter()
                .flatten()
                .filter(|p| p.name.as_deref() == Some(port))
            {
                targets.push(json!({
                    "targets": [format!("{address}:{}", named.container_port)],
                    "labels": {
                        "namespace": pod.metadata.namespace, "pod": pod.metadata.name, "container": container.name,
                    },
                }));
            }
        }
    }
    Value::from(targets)
}

fn pod() -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prometheus"},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsUser": 10001, "runAsNonRoot": true, "fsGroup": 10001},
            "containers": [{
                "name": "prometheus", "image": PROMETHEUS, "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", "install -d /data/targets && exec /prometheus \"$@\"", "sh"],
                "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data/series", "--log.level=warn"],
                "volumeMounts": [{"name": "configuration", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [
                {"name": "configuration", "configMap": {"name": "prometheus"}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    });
    if own() {
        // The node that nothing is done to.
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": QUIET});
    }
    pod
}

/// The series of an expression.
fn query(expression: &str) -> Vec<Value> {
    let namespace = NAMESPACE.get().expect("it runs");
    let escaped: String = expression
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/prometheus:9090/proxy/api/v1/query?query={escaped}"
    );
    let output = outcome(&mut kubectl(["get", "--raw", &path]), "");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    answer["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

impl Namespace {
    /// Tells Prometheus of the pods that are here now.
    fn discover(&self) {
        let monitor = MONITOR.get().expect("it runs");
        let targets = self
            .pods
            .until("its pods", 1, |pods| Some(targets(monitor, pods)));
        let write = format!("printf '%s' \"$1\" >/data/targets/{}.json", self.name);
        let namespace = NAMESPACE.get().expect("it runs");
        let line = [
            "--namespace",
            namespace,
            "exec",
            "prometheus",
            "--",
            "/bin/sh",
            "-c",
        ];
        let line = line.into_iter().chain([write.as_str(), "sh"]);
        run(kubectl(line).arg(targets.to_string()), "");
    }

    /// What was done here has to have raised these alerts, and no others that fire.
    pub fn alerts(&self, wanted: &[&str]) {
        self.discover();
        let began = Instant::now();
        loop {
            let raised = query(&format!(
                "max by (alertname) (max_over_time(ALERTS{{alertstate=\"firing\",namespace=\"{}\"}}[30m]))",
                self.name
            ));
            let name = |series: &Value| series["metric"]["alertname"].as_str().map(str::to_owned);
            let mut raised: Vec<String> = raised.iter().filter_map(name).collect();
            raised.sort();
            let other: Vec<_> = raised
                .iter()
                .filter(|alert| !wanted.contains(&alert.as_str()))
                .collect();
            assert!(
                other.is_empty(),
                "these fire too, for nothing that was done: {other:?}"
            );
            let lacking: Vec<_> = wanted
                .iter()
                .filter(|alert| !raised.iter().any(|r| r == *alert))
                .collect();
            if lacking.is_empty() {
                return;
            }
            assert!(began.elapsed() < RAISED_IN, "these never fire: {lacking:?}");
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Its pods are scraped.
    pub fn is_scraped(&self) {
        self.discover();
        let began = Instant::now();
        while query(&format!(
            "sql_edge_supervisor_build_info{{namespace=\"{}\"}}",
            self.name
        ))
        .is_empty()
        {
            assert!(began.elapsed() < RAISED_IN, "its pods are not scraped");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
