//! A real Prometheus on a real supervisor on the stand-in: what it scrapes, and what the rules and
//! dashboards make of that.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lint;
use crate::promql::reads;
use crate::rules;
use crate::shared::http::{get, get_with};
use crate::shared::ports::free_port;
use crate::shared::scratch::Scratch;
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::{StandIn, StandInOptions};
use crate::standin::script::{Database, Script};

/// Nothing takes this long; what would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two questions to Prometheus, which has no way to tell when it is done.
const POLL: Duration = Duration::from_millis(200);

/// Metrics that a healthy engine without limits does not have, each with the reason.
const ABSENT: &[(&str, &str)] = &[
    (
        "sql_edge_recovery_progress_ratio",
        "nothing is being recovered",
    ),
    (
        "sql_edge_supervisor_engine_last_restart_age_seconds",
        "nothing was restarted",
    ),
    (
        "sql_edge_cgroup_",
        "what the control group has depends on the machine",
    ),
    ("sql_edge_volume_inodes", "some file systems have no limit"),
    (
        "sql_edge_process_io_bytes_total",
        "/proc/PID/io may be denied",
    ),
    ("instance:sql_edge_memory_resident", "as its limit"),
    ("instance:sql_edge_cpu_throttled", "as its limit"),
    (
        "instance_file:sql_edge_file_io_stall",
        "the stand-in's files stand still",
    ),
    ("sql_edge_collector_failure", "none fails"),
    ("ALERTS", "none fires"),
];

/// Collectors that are built in.
const COLLECTORS: usize = 15;

/// Alerts that are raised in this test, pending ones included, each with the reason.
const EXPECTED: &[(&str, &str)] = &[("SqlEdgeStreamingJobFailed", "the stand-in has one")];

/// Alerts that depend on the machine: whether its disk is full, and how busy it is.
const OF_THE_MACHINE: [&str; 6] = [
    "SqlEdgeVolume",
    "SqlEdgeIoPressure",
    "SqlEdgePingSlow",
    "SqlEdgeCpuThrottl",
    "SqlEdgeMemoryNearLimit",
    "SqlEdgeSupervisorStarved",
];

/// A Prometheus of our own.
struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Scrapes `target` each second, and evaluates every rules file as often.
    async fn start(folder: &Path, target: &str) -> Self {
        let files = rules::FILES.map(|file| rules::folder("rules").join(file));
        let config = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": files,
            "scrape_configs": [{
                "job_name": "sql-edge",
                "static_configs": [{
                    "targets": [target],
                    "labels": { "namespace": "db", "pod": "sql-0", "cluster": "test" },
                }],
            }],
        });
        let file = folder.join("prometheus.json");
        std::fs::write(&file, config.to_string()).expect("the scratch directory is writable");
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus is needed: Debian's package prometheus");
        let mut prometheus = Self { child, address };
        prometheus.ready().await;
        prometheus
    }

    async fn ready(&mut self) {
        let address = self.address.clone();
        let ready = async {
            while tokio::net::TcpStream::connect(&address).await.is_err()
                || get(&address, "/-/ready").await.0 != 200
            {
                let ended = self.child.try_wait().expect("it is our child");
                assert_eq!(ended, None, "prometheus ended");
                tokio::time::sleep(POLL).await;
            }
        };
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        ready.expect("it is ready within its patience");
    }

    /// The `data` of an answer of its API.
    async fn api(&self, path: &str) -> Value {
        let (status, body) = get(&self.address, path).await;
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (status, &answer["status"]),
            (200, &"success".into()),
            "{path}: {body}"
        );
        answer["data"].clone()
    }

    /// The series that an expression gives now.
    async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self
            .api(&format!("/api/v1/query?query={}", encoded(expression)))
            .await;
        assert_eq!(data["resultType"], "vector", "{expression}");
        data["result"].as_array().expect("a vector").clone()
    }

    /// Waits until an expression gives something.
    async fn awaits(&self, expression: &str) {
        let found = async {
            while self.query(expression).await.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{expression} stays without data"));
    }

    /// The alerts that are pending or fire, but those of the machine.
    async fn raised(&self) -> BTreeSet<String> {
        let data = self.api("/api/v1/alerts").await;
        let alerts = data["alerts"].as_array().expect("alerts").iter();
        let names = alerts.map(|alert| alert["labels"]["alertname"].as_str().expect("a name"));
        let of_the_machine =
            |name: &str| OF_THE_MACHINE.iter().any(|begin| name.starts_with(begin));
        let names = names.filter(|name| !of_the_machine(name));
        names.map(str::to_owned).collect()
    }

    /// Waits until each rule was evaluated; those that could not be.
    async fn broken_rules(&self) -> Vec<String> {
        let evaluated = async {
            loop {
                let data = self.api("/api/v1/rules").await;
                let groups = data["groups"].as_array().expect("groups").clone();
                let all: Vec<Value> = groups
                    .iter()
                    .flat_map(|group| group["rules"].as_array().expect("rules").clone())
                    .collect();
                assert!(all.len() >= 100, "the rules were not loaded");
                if all.iter().all(|rule| rule["health"] != "unknown") {
                    let broken = all.iter().filter(|rule| rule["health"] != "ok");
                    return broken.map(Value::to_string).collect();
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, evaluated)
            .await
            .expect("rules are evaluated each second")
    }
}

/// An address that nothing listens on. Whoever takes it in between makes the test fail, not pass.
fn free_address() -> String {
    format!("127.0.0.1:{}", free_port().expect("a free port"))
}

/// Percent-encoded for a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn may_be_absent(metric: &str) -> bool {
    ABSENT.iter().any(|(prefix, _)| metric.starts_with(prefix))
}

/// A stand-in and a supervisor that asks it often.
async fn pair(scratch: &Scratch) -> (StandIn, Supervisor) {
    let binary = Path::new(env!("CARGO_BIN_EXE_sql-edge-supervisor"));
    let engine = binary
        .parent()
        .expect("a binary lies in a folder")
        .join("examples/sqlservr");
    assert!(
        engine.exists(),
        "cargo test builds the examples: {engine:?}"
    );
    let mut options = StandInOptions::new(engine, scratch.path().join("pod"));
    let name = format!("sqm{}", std::process::id() % 1_000_000);
    options
        .environment
        .push(("STANDIN_NAME".into(), name.clone().into()));
    let mut script = Script::default();
    script.databases.push(Database::online("shop"));
    let standin = StandIn::start(options.script(script)).await;
    let standin = standin.expect("it starts");
    let settings = [
        (
            "state-dir",
            scratch.path().join("state").display().to_string(),
        ),
        ("listen", "127.0.0.1:0".to_owned()),
        ("log-format", "json".to_owned()),
        ("log-level", "info".to_owned()),
        ("sql-port", standin.port().to_string()),
        ("process-name", name),
        ("data-dir", standin.data_dir().display().to_string()),
        ("require-mount", "false".to_owned()),
        ("disk-full-bytes", "1Mi".to_owned()),
        ("disk-low-ratio", "0.0001".to_owned()),
        ("login-interval", "500ms".to_owned()),
        ("databases-interval", "500ms".to_owned()),
        ("volume-interval", "500ms".to_owned()),
        ("metrics-interval", "1s".to_owned()),
        ("metrics-timeout", "1s".to_owned()),
        (
            "metrics-profiles",
            "alloy,own,sql-exporter,awaragi".to_owned(),
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    let password = [("MSSQL_SA_PASSWORD", standin.password())];
    let mut supervisor = Supervisor::start(binary, &settings, &password).await;
    supervisor.passes("ready").await;
    (standin, supervisor)
}

#[tokio::test]
async fn a_real_prometheus_scrapes_and_evaluates_all_of_it() {
    let scratch = Scratch::new();
    let (_standin, supervisor) = pair(&scratch).await;
    let prometheus = Prometheus::start(scratch.path(), &supervisor.address).await;
    prometheus.awaits(r#"up{job="sql-edge"} == 1"#).await;
    // Prometheus asks for gzip, and so what it has read was compressed.
    let served = get_with(&supervisor.address, "GET", "/metrics", "gzip").await;
    let coding = served.headers.get("content-encoding");
    assert_eq!(coding.map(String::as_str), Some("gzip"));
    let every = format!("count(sql_edge_collector_success == 1) == {COLLECTORS}");
    prometheus.awaits(&every).await;
    // Rates need two scrapes.
    prometheus
        .awaits("rate(sql_edge_supervisor_decisions_total[1m]) > 0")
        .await;
    assert_eq!(prometheus.broken_rules().await, [""; 0]);

    // The stand-in's certificate ends with the year 4095, as rcgen has it.
    let certificate = r#"sql_edge_tls_certificate_expiry_timestamp_seconds{certificate="server"}"#;
    prometheus
        .awaits(&format!("{certificate} == 67090118400"))
        .await;

    let mut used = BTreeSet::new();
    for rule in rules::all() {
        prometheus.query(&rule.expr).await;
        used.extend(names(&rule.expr));
    }
    for shown in lint::expressions() {
        let expression = lint::resolved(&shown.expression, &supervisor.address);
        prometheus.query(&expression).await;
        let names = names(&expression);
        if !filters(&expression) && !names.iter().any(|name| may_be_absent(name)) {
            prometheus.awaits(&expression).await;
        }
        used.extend(names);
    }
    for name in used.iter().filter(|name| !may_be_absent(name)) {
        prometheus.awaits(&format!("count({name})")).await;
    }

    // One that a busy machine raises for a moment is pending, and goes.
    let expected: BTreeSet<_> = EXPECTED
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut raised = prometheus.raised().await;
    let begun = Instant::now();
    while raised != expected && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
        raised = prometheus.raised().await;
    }
    assert_eq!(raised, expected, "what is raised, and what should be");
}

/// The metrics that an expression reads.
fn names(expression: &str) -> Vec<String> {
    let series = reads(expression).series.into_iter();
    series.map(|series| series.name).collect()
}

/// Whether the expression leaves series out by their value, and may so be empty.
fn filters(expression: &str) -> bool {
    [" == ", " > ", " < "]
        .iter()
        .any(|compare| expression.contains(compare))
}
