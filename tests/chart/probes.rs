//! The numbers of the probes and of the stop agree with the supervisor's own limits, and the README's
//! pod is the one that the chart makes.

use std::time::Duration;

use serde_json::Value;
use sql_edge_supervisor::config::Config;

use crate::helm::{NEWEST, OLD, render};
use crate::object::{Object, container, containers, pod};
use crate::settings::config;

/// A supervisor that the kubelet starts anew after two back-offs (10 s and 20 s), with its starts.
const AWAY: Duration = Duration::from_secs(60);

/// How long a probe fails before the kubelet acts.
fn span(probe: &Value) -> Duration {
    let number = |key: &str| {
        probe[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key}: {probe}"))
    };
    Duration::from_secs(number("periodSeconds") * number("failureThreshold"))
}

fn asks(probe: &Value) -> (&str, u64) {
    let get = &probe["httpGet"];
    (
        get["path"].as_str().unwrap_or_default(),
        get["port"].as_u64().unwrap_or_default(),
    )
}

/// What the probes ask, how long they wait, and how long a stop may take, against what the containers
/// are told.
pub fn assert_agree(objects: &[Object], values: &str) {
    let pod = pod(objects);
    let [sql, supervisor] = ["sql", "supervisor"].map(|name| container(pod, name));
    let config = config(supervisor).unwrap_or_else(|error| panic!("{values}\n{error}"));
    let http = u64::from(config.http.listen.port());
    let launch = sql["command"][1] == "launch";
    let livez = match launch {
        true => u64::from(config.launch.listen.port()),
        false => http,
    };
    assert_eq!(asks(&sql["startupProbe"]), ("/startupz", http), "{values}");
    assert_eq!(asks(&sql["livenessProbe"]), ("/livez", livez), "{values}");
    assert_eq!(asks(&sql["readinessProbe"]), ("/readyz", livez), "{values}");
    assert_eq!(
        pod["spec"]["shareProcessNamespace"] == true,
        !launch,
        "{values}"
    );
    let policy = &config.policy;
    assert!(
        span(&sql["startupProbe"]) > policy.startup_stalled_after,
        "{values}"
    );
    assert!(
        span(&sql["readinessProbe"]) <= policy.ready_freshness,
        "{values}"
    );
    assert!(launch || span(&sql["livenessProbe"]) >= AWAY, "{values}");
    sidecar(pod, &config, http, launch, values);
    stop(pod, &config, values);
}

fn sidecar(pod: &Value, config: &Config, http: u64, launch: bool, values: &str) {
    let supervisor = container(pod, "supervisor");
    if supervisor["restartPolicy"] == "Always" {
        // `launch` waits for the gate itself.
        let gate = &supervisor["startupProbe"];
        assert_eq!(gate.is_null(), launch, "{values}");
        assert!(launch || asks(gate) == ("/gatez", http), "{values}");
        // The first process of its container restarts it; the kubelet would take the pod out of its Services.
        let live = &supervisor["livenessProbe"];
        assert_eq!(live.is_null(), launch, "{values}");
        assert!(launch || asks(live) == ("/healthz", http), "{values}");
        assert!(launch || span(gate) > config.lease.stale, "{values}");
        let stale = config.http.decision_stale_after;
        assert!(launch || span(live) > stale, "{values}");
        // Its preStop would end it before the engine.
        assert!(supervisor["lifecycle"].is_null(), "{values}");
    } else {
        let gate = container(pod, "gate");
        assert_eq!(gate["args"], serde_json::json!(["gate"]), "{values}");
        assert_eq!(gate["env"], supervisor["env"], "{values}");
        assert_eq!(gate["volumeMounts"], supervisor["volumeMounts"], "{values}");
        // It stays until the engine is stopped; no other end of it may stop the engine.
        let stays = &supervisor["lifecycle"]["preStop"]["exec"]["command"][1];
        assert_eq!(stays, "stop", "{values}");
        assert!(supervisor["livenessProbe"].is_null(), "{values}");
    }
}

fn stop(pod: &Value, config: &Config, values: &str) {
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64();
    assert_eq!(grace, Some(config.stop.pod_grace.as_secs()), "{values}");
    assert!(config.stop.grace < config.stop.pod_grace, "{values}");
    let command = &container(pod, "sql")["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!(
        *command,
        serde_json::json!(["/supervisor/sql-edge-supervisor", "stop"])
    );
}

/// Everything of the pod in docs/install.md's chapter that is not a name or a place of its own.
#[test]
fn the_docs_and_the_chart_describe_the_same_pod() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md");
    let readme = std::fs::read_to_string(path).expect("the page is there");
    let chapter = readme
        .split_once("## Add it to a pod")
        .expect("it has that chapter")
        .1;
    let yaml = chapter
        .split_once("```yaml\n")
        .expect("with a pod")
        .1
        .split_once("```")
        .expect("its end")
        .0;
    let theirs: Value = serde_saphyr::from_str(yaml).expect("it is YAML");
    let objects = render(NEWEST, "acceptEula: true");
    let ours = pod(&objects);
    let field = "terminationGracePeriodSeconds";
    assert_eq!(theirs["spec"][field], ours["spec"][field]);
    for (name, there) in [
        ("install", "install"),
        ("supervisor", "supervisor"),
        ("sql", "azuresqledge"),
    ] {
        let (ours, theirs) = (container(ours, name), container(&theirs, there));
        for field in ["command", "args", "restartPolicy", "lifecycle"] {
            assert_eq!(ours[field], theirs[field], "{name}: {field}");
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(
                defaulted(&ours[probe]),
                defaulted(&theirs[probe]),
                "{name}: {probe}"
            );
        }
        for path in mount_paths(theirs) {
            // The password's place is in a variable of each.
            let known = mount_paths(ours).contains(&path) || path == "/etc/supervisor";
            assert!(known, "{name}: {path}");
        }
    }
    // What it says of the modes that it does not show in full.
    let words = chapter.split_once("\n## ").expect("another chapter").0;
    let words: Vec<_> = words.split_whitespace().collect();
    let words = words.join(" ");
    let attach = render(NEWEST, "{acceptEula: true, supervisor: {mode: attach}}");
    let threshold = &container(pod(&attach), "sql")["livenessProbe"]["failureThreshold"];
    assert!(
        words.contains(&format!("`failureThreshold: {threshold}`")),
        "attach"
    );
    let classic = render(OLD, "acceptEula: true");
    let names: Vec<_> = containers(pod(&classic))
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(names, ["install", "gate", "sql", "supervisor"]);
    assert!(words.contains("name: gate, args: [gate]"));
    assert!(
        words.contains(
            "lifecycle: { preStop: { exec: { command: [/sql-edge-supervisor, stop] } } }"
        )
    );
}

/// With what the API adds to a probe that does not say.
fn defaulted(probe: &Value) -> Value {
    let mut probe = probe.clone();
    if let Some(fields) = probe.as_object_mut() {
        for (key, value) in [
            ("periodSeconds", 10),
            ("timeoutSeconds", 1),
            ("failureThreshold", 3),
        ] {
            fields.entry(key).or_insert(value.into());
        }
    }
    probe
}

fn mount_paths(container: &Value) -> Vec<String> {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    mounts
        .filter_map(|mount| Some(mount["mountPath"].as_str()?.to_owned()))
        .collect()
}
