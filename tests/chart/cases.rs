//! The cases under the chart's `ci/`, held as golden files, and what an upgrade may change.
//!
//! A case is a file `NAME-values.yaml`; its first line may be `# kube-version: 1.28.0`.

mod immutable;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::checks::assert_sound;
use crate::helm::{NEWEST, OLD, render, template_text};
use crate::object::{Object, container, containers, environment, find, parse, pod};
use crate::{chart, golden, update};

/// A case.
pub struct Case {
    pub name: String,
    pub values: String,
    pub kube_version: String,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(chart().join("ci"))
        .expect("the chart has cases")
        .map(|entry| entry.expect("ci is readable").path())
        .collect();
    paths.sort();
    let cases: Vec<_> = paths.iter().map(|path| case(path)).collect();
    assert!(cases.len() >= 5, "the cases were not found");
    cases
}

fn case(path: &Path) -> Case {
    let file = path
        .file_name()
        .expect("a file has a name")
        .to_string_lossy();
    let name = file
        .strip_suffix("-values.yaml")
        .expect("a case is NAME-values.yaml");
    let values = fs::read_to_string(path).expect("a case is readable");
    let version = values
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# kube-version: "));
    Case {
        name: name.to_owned(),
        kube_version: version.unwrap_or(NEWEST).to_owned(),
        values: values.clone(),
    }
}

impl Case {
    fn golden(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/golden");
        folder.join(format!("{}.yaml", self.name))
    }

    /// As helm renders it, with [`GENERATED`] in the place of what is different each time.
    pub fn render(&self) -> String {
        let text = template_text(&chart(), &self.kube_version, &self.values)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let objects = parse(&text);
        assert_sound(&objects, &self.name);
        let own = objects.into_iter().filter(|object| !from_file(object));
        own.map(stable).collect()
    }
}

/// Whether an object only passes a file of the chart on: it is compared with that.
fn from_file(object: &Object) -> bool {
    let templates = ["/prometheusrules.yaml", "/dashboards.yaml"];
    templates.iter().any(|name| object.source.ends_with(name))
}

#[test]
fn rules_and_dashboards_are_the_files() {
    let on = "{acceptEula: true, metrics: {rules: {enabled: true}, dashboards: {enabled: true}}}";
    let objects = render(NEWEST, on);
    let passed_on = objects.iter().filter(|object| from_file(object)).count();
    let mut files = 0;
    for (folder, extension) in [("rules", "yaml"), ("dashboards", "json")] {
        for entry in fs::read_dir(chart().join("files").join(folder)).expect("it is there") {
            let path = entry.expect("it is readable").path();
            if path.extension().is_none_or(|is| is != extension) {
                continue;
            }
            let stem = path
                .file_stem()
                .expect("a file has a name")
                .to_string_lossy();
            let text = fs::read_to_string(&path).expect("it is readable");
            if folder == "rules" {
                let rule = find(&objects, "PrometheusRule", &format!("-{stem}"));
                let wanted: Value = serde_saphyr::from_str(&text).expect("rules are YAML");
                assert_eq!(rule.value["spec"], wanted, "{stem}");
            } else {
                let map = find(&objects, "ConfigMap", &format!("-dashboard-{stem}"));
                let held = map.value["data"][format!("{stem}.json")].as_str();
                assert_eq!(held.map(str::trim_end), Some(text.trim_end()), "{stem}");
            }
            files += 1;
        }
    }
    assert!(files > 0, "the chart has neither rules nor dashboards");
    assert_eq!(passed_on, files);
    assert_sound(&objects, on);
}

#[test]
fn the_alerts_of_the_mixin_look_at_the_jobs_that_are_named() {
    let on = r#"{acceptEula: true, metrics: {rules: {mixin: true, mixinJob: 'sql/.*'}}}"#;
    let objects = render(NEWEST, on);
    let rule = find(&objects, "PrometheusRule", "-mixin").value["spec"].to_string();
    let path = chart().join("files/rules/optional/mixin.yaml");
    let text = fs::read_to_string(path).expect("it is readable");
    let wanted: Value = serde_saphyr::from_str(&text).expect("rules are YAML");
    let wanted = wanted.to_string();
    let (any, named) = (r#"{job=~\".+\""#, r#"{job=~\"sql/.*\""#);
    assert!(wanted.contains(any), "the file names another job");
    assert_eq!(rule, wanted.replace(any, named));
    assert_sound(&objects, on);
}

#[test]
fn runbooks_are_where_the_values_say() {
    let on = r#"{acceptEula: true, metrics: {rules: {enabled: true, runbook: 'https://wiki.example/sql'}}}"#;
    let objects = render(NEWEST, on);
    for part in ["-reasons", "-supervisor", "-engine"] {
        let rule = find(&objects, "PrometheusRule", part).value["spec"].to_string();
        assert!(rule.contains("\"https://wiki.example/sql#"), "{part}");
        assert!(!rule.contains("docs/"), "{part}");
    }
    assert_sound(&objects, on);
    let folder = on.replace("wiki.example/sql", "git.example/docs/");
    let objects = render(NEWEST, &folder);
    for (part, page) in [
        ("-reasons", "probes-and-reasons.md#"),
        ("-engine", "alerts-and-dashboards.md#"),
    ] {
        let rule = find(&objects, "PrometheusRule", part).value["spec"].to_string();
        let wanted = format!("\"https://git.example/docs/{page}");
        assert!(rule.contains(&wanted), "{part}");
        assert!(!rule.contains("\"docs/"), "{part}");
    }
}

#[test]
fn events_need_one_right_and_a_token_in_one_container() {
    let on = "{acceptEula: true, kubernetesEvents: {enabled: true}}";
    let objects = render(NEWEST, on);
    let rules = find(&objects, "Role", "-events").value["rules"].to_string();
    let wanted = r#"[{"apiGroups":["events.k8s.io"],"resources":["events"],"verbs":["create"]}]"#;
    assert_eq!(rules, wanted);
    let pod = pod(&objects);
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    let holders: Vec<_> = containers(pod)
        .iter()
        .filter(|container| {
            container["volumeMounts"]
                .to_string()
                .contains("supervisor-token")
        })
        .map(|container| container["name"].clone())
        .collect();
    assert_eq!(holders, ["supervisor"]);
    assert_sound(&objects, on);
}

/// What stands in golden files for a generated password.
const GENERATED: &str = "Z2VuZXJhdGVk";

/// The object's text; of a Secret without the passwords, which are looked at here.
fn stable(object: Object) -> String {
    let mut text = object.text;
    if object.value["kind"] != "Secret" {
        return text;
    }
    for (key, value) in object.value["data"].as_object().expect("a Secret has data") {
        let value = value.as_str().expect("data are base64");
        text = text.replace(&format!("{key}: {value}"), &format!("{key}: {GENERATED}"));
    }
    text
}

#[test]
fn each_case_is_what_its_golden_file_says_and_changes_nothing_immutable() {
    let mut names = Vec::new();
    for case in cases() {
        let (path, now) = (case.golden(), case.render());
        if let Ok(before) = fs::read_to_string(&path) {
            let broken = immutable::changes(&parse(&before), &parse(&now));
            assert!(
                broken.is_empty(),
                "{}: an upgrade would fail: {broken:#?}",
                case.name
            );
        }
        golden(&path, &now);
        names.push(format!("{}.yaml", case.name));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/golden");
    for entry in fs::read_dir(folder).expect("there are golden files") {
        let name = entry.expect("they are readable").file_name();
        let known = names.iter().any(|known| **known == *name);
        assert!(known || update(), "{name:?} belongs to no case");
    }
}

/// Values of a release, and those of an upgrade of it that has to be possible in place.
const UPGRADES: &[(&str, &str, &str)] = &[
    (
        "newer images",
        "{}",
        "{sql: {image: {tag: other}}, supervisor: {image: {tag: other}}}",
    ),
    ("attach", "{}", "{supervisor: {mode: attach}}"),
    (
        "a classic sidecar",
        "{}",
        "{supervisor: {sidecar: classic}}",
    ),
    ("a larger volume", "{}", "{persistence: {size: 16Gi}}"),
    (
        "labels",
        "{}",
        "{commonLabels: {team: a}, podLabels: {tier: db}}",
    ),
    ("another service", "{}", "{service: {type: ClusterIP}}"),
    (
        "a nameless service again",
        "{service: {type: NodePort}}",
        "{service: {type: LoadBalancer}}",
    ),
    (
        "monitoring",
        "{}",
        "{metrics: {serviceMonitor: {enabled: true}, rules: {enabled: true}}}",
    ),
    (
        "a StatefulSet of its own",
        "{workload: StatefulSet}",
        "{workload: StatefulSet, probes: {readiness: {periodSeconds: 3}}}",
    ),
    (
        "from one kind to the other",
        "{}",
        "{workload: StatefulSet}",
    ),
    ("tls", "{}", "{tls: {secretName: my-tls}}"),
    (
        "its own login",
        "{}",
        "{supervisor: {login: {name: watcher}}}",
    ),
    (
        "settings",
        "{}",
        "{supervisor: {settings: {unresponsive-after: 60s}}, terminationGracePeriodSeconds: 120}",
    ),
    (
        "a network policy",
        "{}",
        "{networkPolicy: {enabled: true}, podDisruptionBudget: {enabled: true}}",
    ),
    ("stopped", "{}", "{replicas: 0}"),
];

#[test]
fn upgrades_change_no_immutable_field() {
    for (name, before, after) in UPGRADES {
        let [before, after] = [before, after]
            .map(|values| render(NEWEST, &format!("{}, acceptEula: true}}", open(values))));
        let broken = immutable::changes(&before, &after);
        assert!(broken.is_empty(), "{name}: {broken:#?}");
    }
    // A newer cluster brings native sidecars.
    let [before, after] = [OLD, NEWEST].map(|version| render(version, "acceptEula: true"));
    assert_eq!(immutable::changes(&before, &after), Vec::<String>::new());
}

/// A flow map without its end.
fn open(values: &str) -> String {
    let inner = values.strip_suffix('}').expect("a flow map");
    match inner {
        "{" => "{replicas: 1".to_owned(),
        inner => inner.to_owned(),
    }
}

#[test]
fn both_workloads_use_the_same_claim_and_the_same_passwords() {
    let claims = ["Deployment", "StatefulSet"].map(|kind| {
        let objects = render(NEWEST, &format!("{{acceptEula: true, workload: {kind}}}"));
        let volumes = pod(&objects)["spec"]["volumes"]
            .as_array()
            .expect("volumes")
            .clone();
        let claim = |volume: &Value| volume["persistentVolumeClaim"]["claimName"].clone();
        volumes.iter().map(claim).find(|claim| !claim.is_null())
    });
    assert!(claims[0].is_some());
    assert_eq!(claims[0], claims[1]);
}

#[test]
fn a_generated_password_is_one_that_the_engine_takes_and_differs_each_time() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let objects = render(
            NEWEST,
            "{acceptEula: true, supervisor: {login: {name: watcher}}}",
        );
        for secret in objects.iter().filter(|object| object.kind() == "Secret") {
            let data = secret.value["data"].as_object().expect("it has data");
            assert_eq!(data.len(), 1);
            let password = decode(
                data.values()
                    .next()
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
            let classes: [fn(char) -> bool; 4] = [
                |c| c.is_ascii_uppercase(),
                |c| c.is_ascii_lowercase(),
                |c| c.is_ascii_digit(),
                |c| c == '-',
            ];
            assert!(classes.iter().all(|class| password.chars().any(class)));
            assert!((24..=128).contains(&password.len()));
            assert!(!seen.contains(&password), "it was made twice");
            seen.push(password);
        }
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn the_engine_is_told_its_share_of_the_memory_limit() {
    for (values, wanted) in [
        ("{}", Some("1638")),
        ("{resources: {limits: {memory: 2048Mi}}}", Some("1638")),
        (
            "{resources: {limits: {memory: 2G}, requests: {memory: 2G}}}",
            Some("1525"),
        ),
        ("{resources: {limits: {memory: 2147483648}}}", Some("1638")),
        ("{resources: {limits: {memory: 2.5Gi}}}", Some("2048")),
        (
            "{resources: {limits: {memory: 1Ti}}, memory: {limitShare: 90}}",
            Some("943718"),
        ),
        ("{memory: {limitMB: 1000}}", Some("1000")),
        ("{resources: {limits: {memory: null}}}", None),
    ] {
        let objects = render(NEWEST, &format!("{{acceptEula: true, sql: {values}}}"));
        let sql = container(pod(&objects), "sql");
        let variables = environment(sql);
        let limit = variables
            .iter()
            .find(|(name, _)| *name == "MSSQL_MEMORY_LIMIT_MB");
        assert_eq!(limit.and_then(|(_, value)| *value), wanted, "{values}");
    }
}

/// Base64, as Secrets have it.
pub fn decode(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|byte| *byte != b'=');
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in digits {
        let value = ALPHABET
            .iter()
            .position(|known| *known == digit)
            .expect("base64");
        bits = bits << 6 | u32::try_from(value).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).expect("a password is text")
}
