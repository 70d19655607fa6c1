//! Each manifest with each way to ask, held as files. `UPDATE_GOLDEN=1 cargo test --test inject golden`
//! writes them anew.

use sql_edge_supervisor::inject::refusal::Why;
use sql_edge_supervisor::inject::{Request, inject};

use super::given::{bootstrapped, injected, path, read, request, with_login};

/// File, what is asked, and the name of the result.
fn cases() -> Vec<(&'static str, Request, &'static str)> {
    let plain = request;
    let attach = || Request {
        launch: false,
        ..request()
    };
    let classic = |request: Request| Request {
        classic: true,
        ..request
    };
    vec![
        ("tutorial.yaml", plain(), "tutorial.yaml"),
        ("tutorial.yaml", attach(), "tutorial-attach.yaml"),
        ("tutorial.yaml", classic(plain()), "tutorial-classic.yaml"),
        (
            "tutorial.yaml",
            classic(attach()),
            "tutorial-classic-attach.yaml",
        ),
        ("tutorial.yaml", with_login(plain()), "tutorial-login.yaml"),
        (
            "tutorial.yaml",
            bootstrapped(plain()),
            "tutorial-bootstrap.yaml",
        ),
        (
            "tutorial.yaml",
            bootstrapped(attach()),
            "tutorial-attach-bootstrap.yaml",
        ),
        (
            "tutorial.yaml",
            bootstrapped(classic(plain())),
            "tutorial-classic-bootstrap.yaml",
        ),
        ("statefulset.yaml", plain(), "statefulset.yaml"),
        ("statefulset.yaml", attach(), "statefulset-attach.yaml"),
        ("quickstart.yaml", plain(), "quickstart.yaml"),
        (
            "quickstart.yaml",
            classic(plain()),
            "quickstart-classic.yaml",
        ),
        ("probed.yaml", plain(), "probed.yaml"),
        ("object.json", plain(), "object.json"),
    ]
}

fn hold(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the file is writable");
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, held, "{name}; see the head of golden.rs");
}

#[test]
fn the_results_are_the_files() {
    for (given, request, name) in cases() {
        let result = injected(&read(&format!("given/{given}")), &request);
        hold(&format!("results/{name}"), &result.text);
        let notes: String = result
            .notes
            .iter()
            .map(|note| format!("{note}\n"))
            .collect();
        hold(&format!("results/{name}.notes"), &notes);
    }
}

#[test]
fn the_patches_are_the_files() {
    for (given, request, name) in cases() {
        let request = Request {
            patch: true,
            ..request
        };
        let patch = injected(&read(&format!("given/{given}")), &request);
        let name = name.replace(".json", ".yaml");
        hold(&format!("patches/{name}"), &patch.text);
    }
}

#[test]
fn a_result_is_refused_as_already_there() {
    for (_, request, name) in cases() {
        let result = read(&format!("results/{name}"));
        for patch in [false, true] {
            let again = Request {
                patch,
                ..request.clone()
            };
            let refusal = inject(&result, &again).expect_err("it is there");
            assert!(matches!(refusal.why, Why::AlreadyThere(_)), "{refusal}");
            let if_needed = Request {
                if_needed: true,
                ..again
            };
            let left = injected(&result, &if_needed);
            assert_eq!(left.text, if patch { "" } else { &result });
            assert!(left.notes[0].contains("already there"), "{:?}", left.notes);
        }
    }
}

#[test]
fn the_charts_own_output_is_refused_as_already_there() {
    let folder = path("../chart/golden");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the chart's files are there") {
        let text = std::fs::read_to_string(entry.expect("it is readable").path());
        let text = text.expect("it is text");
        let refusal = inject(&text, &request()).expect_err("it is there");
        assert!(matches!(refusal.why, Why::AlreadyThere(_)), "{refusal}");
        files += 1;
    }
    assert!(files > 3, "{files}");
}

#[test]
fn every_line_is_still_there_in_its_order() {
    for (given, request, name) in cases() {
        let given = read(&format!("given/{given}"));
        let replaced = name.starts_with("probed");
        let result = injected(&given, &request).text;
        if name.ends_with(".json") {
            // What a comma was put behind is still the same line to its owner.
            continue;
        }
        let mut lines = result.lines();
        for line in given.lines() {
            let changed = line.contains("terminationGracePeriodSeconds")
                || (replaced && PROBED_LOSES.iter().any(|word| line.contains(word)));
            assert!(
                changed || lines.any(|there| there == line),
                "{name} lost: {line}"
            );
        }
    }
}

/// Words of the lines that `probed.yaml` loses: what is replaced, and a list on one line that grows.
const PROBED_LOSES: [&str; 10] = [
    "    metadata: { labels: { app: sql } }",
    "type: RollingUpdate",
    "rollingUpdate:",
    "maxSurge",
    "          exec:",
    "sqlcmd",
    "initialDelaySeconds",
    "readinessProbe",
    "mountPath: /var/opt/mssql/",
    "command: [/scripts/after.sh]",
];
