//! Manifests as people post them (`manifests/`, each head says what it is), short ones of one kind each (`kinds/`), and
//! what `inject` makes of each: held in `outcomes.txt` and `kinds.txt`, which `UPDATE_GOLDEN=1 cargo test --test chart field` writes anew, and checked to the end:
//! the typed API takes the result, its pod's references lead somewhere, what is added is restricted, and the program
//! understands the environment that it is given.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sql_edge_supervisor::config::secret::PasswordSource;
use sql_edge_supervisor::inject::{Injected, Request, inject};

use crate::checks::{restricted, typed};
use crate::golden;
use crate::object::{Object, containers, environment};
use crate::settings::{assert_understood, config};

/// What is added to a pod.
const ADDED: [&str; 3] = ["install", "gate", "supervisor"];
/// Kinds that are changed.
const KINDS: [&str; 5] = [
    "Deployment",
    "StatefulSet",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field")
}

/// Name and text of each manifest of a folder.
fn manifests(name: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder().join(name)).expect("the manifests are there");
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("it is readable").path();
            let name = path.file_name().expect("a file").to_string_lossy();
            let text = fs::read_to_string(&path).expect("it is text");
            (name.into_owned(), text)
        })
        .collect();
    found.sort();
    assert!(found.len() > 16, "{}", found.len());
    found
}

fn request() -> Request {
    Request::of("sql-edge-supervisor:0.1.0")
}

/// Ways to ask; the first is the one without flags.
fn requests() -> Vec<(&'static str, Request)> {
    let attach = || Request {
        launch: false,
        ..request()
    };
    let classic = |request| Request {
        classic: true,
        ..request
    };
    vec![
        ("", request()),
        ("--attach", attach()),
        ("--classic", classic(request())),
        ("--classic --attach", classic(attach())),
    ]
}

/// The objects of a stream, those of Lists one by one.
fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("it is YAML");
    let documents = documents.into_iter().filter(|document| !document.is_null());
    documents.flat_map(taken_apart).collect()
}

/// An object, or those of a List; a List may hold Lists.
fn taken_apart(mut object: Value) -> Vec<Value> {
    match object["items"].take() {
        Value::Array(items) => items.into_iter().flat_map(taken_apart).collect(),
        _ => vec![object],
    }
}

/// The pod of a workload, as an object with a spec.
fn pod(object: &Value) -> &Value {
    match object["kind"].as_str() {
        Some("Pod") => object,
        _ => &object["spec"]["template"],
    }
}

fn has_supervisor(object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    KINDS.contains(&kind)
        && containers(pod(object))
            .iter()
            .any(|container| container["name"] == "supervisor")
}

#[test]
fn each_manifest_of_the_field_has_its_outcome() {
    hold_outcomes("manifests", "outcomes.txt");
}

#[test]
fn each_kind_of_manifest_has_its_outcome() {
    hold_outcomes("kinds", "kinds.txt");
}

fn hold_outcomes(folder_name: &str, file: &str) {
    let mut outcomes = String::new();
    let mut accepted = Vec::new();
    for (name, text) in manifests(folder_name) {
        for (flags, request) in requests() {
            let result = inject(&text, &request);
            let title = format!("{name} {flags}");
            if flags.is_empty() || result.is_err() {
                let _ = writeln!(outcomes, "{}", title.trim_end());
                match &result {
                    Ok(Injected { notes, .. }) => {
                        let _ = writeln!(outcomes, "  accepted");
                        for note in notes {
                            let _ = writeln!(outcomes, "  - {note}");
                        }
                    }
                    Err(refusal) => {
                        let _ = writeln!(outcomes, "  refused: {refusal}");
                    }
                }
            }
            if let Ok(Injected { text: result, .. }) = result {
                accepted.push((title, text.clone(), result));
            }
        }
    }
    golden(&folder().join(file), &outcomes);
    for (title, text, result) in accepted {
        assert_sound(&title, &text, &result);
    }
}

/// What came out is what the API and the program take.
fn assert_sound(name: &str, given: &str, result: &str) {
    let (given, result) = (objects(given), objects(result));
    assert_eq!(given.len(), result.len(), "{name}");
    let mut changed = 0;
    for (before, after) in given.iter().zip(&result) {
        if !has_supervisor(after) {
            assert_eq!(before, after, "{name}");
            continue;
        }
        changed += 1;
        // What its owner wrote wrong is his; nothing is added to it.
        let wrong = mistakes(name, before);
        let mut mistakes = mistakes(name, after);
        mistakes.retain(|mistake| !wrong.contains(mistake));
        assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
        assert_leads_somewhere(name, after);
        assert_restricted(name, pod(after));
        assert_configured(name, after);
    }
    assert!(changed > 0, "{name}");
}

fn mistakes(name: &str, value: &Value) -> Vec<String> {
    typed::mistakes(&Object {
        source: name.to_owned(),
        text: String::new(),
        value: value.clone(),
    })
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item[key].as_str()).collect()
}

fn assert_once(name: &str, what: &[&str]) {
    let all: BTreeSet<_> = what.iter().collect();
    assert_eq!(all.len(), what.len(), "{name}: twice: {what:?}");
}

/// Each mount is one of a volume, and nothing is there twice.
fn assert_leads_somewhere(name: &str, object: &Value) {
    let pod = pod(object);
    let mut volumes = names(&pod["spec"]["volumes"], "name");
    let templates = object["spec"]["volumeClaimTemplates"].as_array();
    let templates = templates.into_iter().flatten();
    volumes.extend(templates.filter_map(|template| template["metadata"]["name"].as_str()));
    assert_once(name, &volumes);
    let all = containers(pod);
    let all_names: Vec<_> = all.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_once(name, &all_names);
    for container in all {
        for mount in names(&container["volumeMounts"], "name") {
            assert!(volumes.contains(&mount), "{name}: no volume {mount}");
        }
        assert_once(name, &names(&container["volumeMounts"], "mountPath"));
        assert_once(name, &names(&container["env"], "name"));
    }
}

/// What is added is restricted, apart from a user that is the engine's own or the cluster's.
fn assert_restricted(name: &str, pod: &Value) {
    let mut pod = pod.clone();
    let user = |container: &Value| container["securityContext"]["runAsUser"].clone();
    let users: Vec<_> = containers(&pod)
        .into_iter()
        .filter(|container| ADDED.iter().any(|added| container["name"] == *added))
        .map(user)
        .collect();
    let root = users.iter().all(|user| *user == 0);
    let assigned = users.iter().all(Value::is_null);
    if assigned {
        // As OpenShift's admission does.
        pod["spec"]["securityContext"]["runAsUser"] = json!(1_003_350_000);
    }
    let ours = |mistake: &String| {
        let added = |added| mistake.starts_with(&format!("container {added}: "));
        let by_root = mistake.contains("runAsNonRoot") || mistake.contains("runAsUser");
        ADDED.into_iter().any(added) && !(root && by_root)
    };
    let mut mistakes = restricted::mistakes(&pod);
    mistakes.retain(ours);
    assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
}

/// The supervisor understands what it is told, and has a password.
fn assert_configured(name: &str, object: &Value) {
    let mut object = object.clone();
    let spec = match object["kind"].as_str() {
        Some("Pod") => &mut object["spec"],
        _ => &mut object["spec"]["template"]["spec"],
    };
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            for variable in container["env"].as_array_mut().into_iter().flatten() {
                // What its owner has to put in quotes.
                if variable["value"].is_number() || variable["value"].is_boolean() {
                    variable["value"] = json!(variable["value"].to_string());
                }
                // What the cluster puts in.
                match variable["name"].as_str() {
                    Some("SUPERVISOR_SQL_PORT" | "MSSQL_TCP_PORT")
                        if variable["value"].is_null() =>
                    {
                        variable["value"] = json!("14330");
                    }
                    Some("SUPERVISOR_SQL_HOST" | "MSSQL_IP_ADDRESS")
                        if variable["value"].is_null() =>
                    {
                        variable["value"] = json!("127.0.0.1");
                    }
                    Some(name)
                        if variable["value"].is_null()
                            && (name.ends_with("_DIR") || name.ends_with("_DATA_FILE")) =>
                    {
                        variable["value"] = json!("/var/opt/mssql/data/master.mdf");
                    }
                    _ => {}
                }
            }
        }
    }
    let objects = [Object {
        source: name.to_owned(),
        text: String::new(),
        value: object,
    }];
    assert_understood(&objects, name);
    let pod = pod(&objects[0].value);
    let supervisor = containers(pod)
        .into_iter()
        .find(|container| container["name"] == "supervisor")
        .expect("it is there");
    let config = config(supervisor).unwrap_or_else(|error| panic!("{name}: {error}"));
    let missing = matches!(config.sql.password, PasswordSource::Missing);
    assert!(
        !missing || supervisor["envFrom"].is_array(),
        "{name}: {:?}",
        environment(supervisor)
    );
}

/// A password as it stands in the manifest, and as the supervisor is given it.
#[test]
fn passwords_that_stand_in_a_manifest_arrive_as_they_are() {
    let text = fs::read_to_string(folder().join("manifests/02-edge-plain-password.yaml"));
    let text = text.expect("it is there");
    let list = fs::read_to_string(folder().join("passwords.txt")).expect("it is there");
    let mut passwords: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.rsplit_once("|  "))
        .map(|(password, _)| password.to_owned())
        .collect();
    assert!(passwords.len() > 12, "{passwords:?}");
    passwords.extend(["Line1a-break\n".to_owned(), "Line1a-crlf\r\n".to_owned()]);
    for password in passwords {
        let quoted = json!(password).to_string();
        let given = text.replace("\"made_up_123\"", &quoted);
        let result = inject(&given, &request()).expect("it is accepted").text;
        let object = objects(&result).remove(0);
        let all = containers(pod(&object));
        let value = |container: &str, variable: &str| {
            let container = all.iter().find(|one| one["name"] == container);
            let all = container.expect("it is there")["env"]
                .as_array()
                .expect("a list");
            let found = all.iter().find(|one| one["name"] == variable);
            found.expect("it is there")["value"].clone()
        };
        assert_eq!(value("db", "SA_PASSWORD"), json!(password));
        assert_eq!(value("supervisor", "MSSQL_SA_PASSWORD"), json!(password));
    }
}
