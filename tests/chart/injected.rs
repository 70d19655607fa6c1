//! What `sql-edge-supervisor inject` makes of manifests passes the same checks as the chart's objects;
//! and the chart's own pods are refused by it, for they have the supervisor already.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sql_edge_supervisor::inject::{Request, inject};

use crate::checks::{restricted, typed};
use crate::object::{Object, containers};
use crate::settings;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The objects of a manifest.
fn objects(path: &Path) -> Vec<Object> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).expect("a manifest is YAML");
    let object = |value| Object {
        source: path.display().to_string(),
        text: String::new(),
        value,
    };
    values.into_iter().map(object).collect()
}

#[test]
fn what_is_injected_is_what_the_api_takes_and_no_less_restricted_than_before() {
    let mut seen = 0;
    for entry in fs::read_dir(folder("inject/results")).expect("inject has results") {
        let path = entry.expect("they are readable").path();
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy();
        if name.ends_with(".notes") {
            continue;
        }
        let stem = name.split(['-', '.']).next().expect("a name begins");
        let extension = name.rsplit('.').next().expect("a name ends");
        let given = objects(&folder("inject/given").join(format!("{stem}.{extension}")));
        for object in objects(&path) {
            let told = format!("{name}: {}", object.id());
            // The rest of a manifest is passed on as it is, whatever it is.
            let Some(pod) = object.pod() else { continue };
            assert_eq!(typed::mistakes(&object), Vec::<String>::new(), "{told}");
            let before = given.iter().find(|given| given.id() == object.id());
            let before = before.and_then(Object::pod).expect("it was there");
            let before = restricted::mistakes(before);
            let mut added = restricted::mistakes(pod);
            added.retain(|mistake| !before.contains(mistake));
            assert_eq!(added, Vec::<String>::new(), "{told}");
            for container in containers(pod) {
                if let Err(error) = settings::config(container) {
                    panic!("{told}: {}: {error}", container["name"]);
                }
            }
            seen += 1;
        }
    }
    assert!(seen >= 8, "the results were not found");
}

#[test]
fn a_pod_of_the_chart_has_it_already() {
    let request = Request {
        image: "sql-edge-supervisor:0.1.0".to_owned(),
        container: None,
        launch: true,
        classic: false,
        login: None,
        patch: false,
    };
    for entry in fs::read_dir(folder("chart/golden")).expect("there are golden files") {
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
