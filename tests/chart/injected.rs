//! What `inject` makes of manifests (`tests/inject/results`) is held against the same checks as the
//! chart's objects, and its pod against the chart's.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sql_edge_supervisor::inject::{Request, inject};

use crate::checks::{restricted, typed};
use crate::object::{Object, container, containers, pod};
use crate::settings::assert_understood;

/// What is added; the engine's own container stays as its owner has it.
const ADDED: [&str; 3] = ["install", "gate", "supervisor"];

fn results() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inject/results");
    let entries = fs::read_dir(folder).expect("the results are there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|is| is != "notes"))
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths
}

/// The workloads of a file.
fn workloads(path: &Path) -> Vec<Object> {
    let text = fs::read_to_string(path).expect("it is readable");
    // The chart's image has no registry, and the checks know it by its name.
    let text = text.replace("registry.example/", "");
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
    let objects = values.into_iter().map(|value| Object {
        source: path.display().to_string(),
        text: text.clone(),
        value,
    });
    let workload = |object: &Object| ["Deployment", "StatefulSet"].contains(&object.kind());
    let workloads: Vec<_> = objects.filter(workload).collect();
    assert_eq!(workloads.len(), 1, "{}", path.display());
    workloads
}

#[test]
fn the_results_are_what_the_api_takes() {
    for path in results() {
        for object in workloads(&path) {
            let mistakes = typed::mistakes(&object);
            assert!(mistakes.is_empty(), "{}: {mistakes:?}", object.source);
        }
    }
}

#[test]
fn what_is_added_is_restricted() {
    for path in results() {
        let objects = workloads(&path);
        let ours = |mistake: &String| {
            let named = |name| mistake.starts_with(&format!("container {name}: "));
            ADDED.into_iter().any(named) || !mistake.starts_with("container ")
        };
        let mut mistakes = restricted::mistakes(pod(&objects));
        mistakes.retain(ours);
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", path.display());
    }
}

#[test]
fn the_program_understands_what_it_is_told() {
    for path in results() {
        assert_understood(&workloads(&path), &path.display().to_string());
    }
}

/// A pod of the chart, as it is held in a file.
fn of_chart(name: &str) -> Vec<Object> {
    let path = format!("tests/chart/golden/{name}.yaml");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    crate::object::parse(&text.expect("the golden file is there"))
}

#[test]
fn the_chart_and_inject_make_the_same_pod() {
    for (ours, theirs) in [
        ("tutorial-bootstrap", "default"),
        ("tutorial-attach-bootstrap", "attach"),
        ("tutorial-classic-bootstrap", "classic"),
    ] {
        let path = format!("tests/inject/results/{ours}.yaml");
        let result = workloads(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        let chart = of_chart(theirs);
        let (result, chart) = (pod(&result), pod(&chart));
        for field in ["terminationGracePeriodSeconds", "shareProcessNamespace"] {
            assert_eq!(
                result["spec"][field], chart["spec"][field],
                "{ours}: {field}"
            );
        }
        let mut names: Vec<_> = containers(chart)
            .iter()
            .map(|container| container["name"].as_str().expect("it has a name"))
            .collect();
        names.retain(|name| *name != "sql");
        for name in names {
            let (a, b) = (container(result, name), container(chart, name));
            for field in [
                "image",
                "args",
                "restartPolicy",
                "ports",
                "startupProbe",
                "livenessProbe",
                "lifecycle",
                "resources",
                "terminationMessagePolicy",
            ] {
                assert_eq!(a[field], b[field], "{ours}: {name}: {field}");
            }
            assert_eq!(mount_paths(a), mount_paths(b), "{ours}: {name}");
        }
        let (a, b) = (container(result, "azuresqledge"), container(chart, "sql"));
        for field in [
            "command",
            "startupProbe",
            "livenessProbe",
            "readinessProbe",
            "lifecycle",
        ] {
            assert_eq!(a[field], b[field], "{ours}: {field}");
        }
        assert_eq!(mount_paths(a), mount_paths(b), "{ours}");
    }
}

fn mount_paths(container: &Value) -> Vec<&str> {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    let mut paths: Vec<_> = mounts
        .filter_map(|mount| mount["mountPath"].as_str())
        .collect();
    paths.sort_unstable();
    paths
}

#[test]
fn a_pod_of_the_chart_has_it_already() {
    let request = Request::of("sql-edge-supervisor:0.1.0");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/golden");
    for entry in fs::read_dir(golden).expect("there are golden files") {
        let path = entry.expect("they are readable").path();
        let text = fs::read_to_string(&path).expect("a golden file is readable");
        let refusal = inject(&text, &request).expect_err("it has to be refused");
        let told = refusal.to_string();
        assert!(
            told.contains("the supervisor is already there"),
            "{path:?}: {told}"
        );
    }
}
