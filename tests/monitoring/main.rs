//! The rules for Prometheus and the dashboards for Grafana: made, held against the code and the metrics
//! that exist, and tried with promtool and a real Prometheus.
//!
//! `UPDATE_GOLDEN=1 cargo test --test monitoring` writes anew what is generated.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;

mod cases;
mod dashboard;
mod fleet;
mod instance;
mod lint;
mod live;
mod metrics;
mod promql;
mod reasons;
mod recorded;
mod rules;
mod scrapes;

use std::path::Path;
use std::process::Command;

/// A generated file is what the code makes of it.
fn golden(path: &Path, wanted: &str) {
    let mut is = std::fs::read_to_string(path).unwrap_or_default();
    if is != wanted && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, wanted).expect("the file is writable");
        is = wanted.to_owned();
    }
    assert!(
        is == wanted,
        "{} is not what the code makes; see the head of tests/monitoring/main.rs",
        path.display()
    );
}

#[test]
fn generated_files_are_what_the_code_makes() {
    let rules = rules::folder("rules");
    golden(&rules.join("reasons.yaml"), &reasons::rules());
    for (file, cases) in cases::FILES {
        golden(&rules.join("tests").join(file), &cases::render(file, cases));
    }
    let dashboards = rules::folder("dashboards");
    golden(&dashboards.join("fleet.json"), &fleet::dashboard().render());
    golden(
        &dashboards.join("instance.json"),
        &instance::dashboard().render(),
    );
}

/// Runs promtool, which tests/run installs.
fn promtool(arguments: &[&str], files: &[std::path::PathBuf]) {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .expect("promtool is needed: Debian's package prometheus");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "promtool {arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn yaml_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.sort();
    files
}

#[test]
fn promtool_accepts_the_rules() {
    let files: Vec<_> = rules::FILES
        .iter()
        .map(|file| rules::folder("rules").join(file))
        .collect();
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files);
}

#[test]
fn promtool_passes_the_unit_tests_of_the_rules() {
    promtool(
        &["test", "rules"],
        &yaml_files(&rules::folder("rules/tests")),
    );
}

#[test]
fn every_alert_has_a_unit_test() {
    for file in ["supervisor.yaml", "engine.yaml", "optional/mixin.yaml"] {
        let tested = cases::FILES.iter().flat_map(|(_, cases)| cases.iter());
        let tested: Vec<_> = tested.map(|case| case.alert).collect();
        for rule in rules::alerts(file) {
            assert!(tested.contains(&rule.name()), "{} has no test", rule.name());
        }
    }
}
