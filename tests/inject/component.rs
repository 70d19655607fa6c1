//! The kustomize component's patches, made from the same values as what `inject` adds, so that there is
//! one pod. `UPDATE_GOLDEN=1 cargo test --test inject component` writes them anew.

use std::path::{Path, PathBuf};

use sql_edge_supervisor::inject::Request;
use sql_edge_supervisor::inject::additions::{Additions, LAUNCH, additions};
use sql_edge_supervisor::inject::facts::{Command, Facts};
use sql_edge_supervisor::inject::login::{Login, Password};
use sql_edge_supervisor::inject::names::{DATA_DIR, GRACE, PROGRAM_NAME, SQL_UID};
use sql_edge_supervisor::inject::render::{Layout, block_entries, block_items};
use sql_edge_supervisor::inject::value::{Value, map, null, number, text, texts};

use super::given::{request, with_login};

/// The container that gets the probes: the first one, because a patch can't know its name.
const SQL: &str = "/spec/template/spec/containers/0";
/// The sidecar, behind `install`.
const SIDECAR: &str = "/spec/template/spec/initContainers/1";

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/kustomize")
}

/// What `inject` is asked for the same.
pub fn same_request() -> Request {
    // By this name `images:` of a kustomization finds it.
    let image = format!("{PROGRAM_NAME}:{}", env!("CARGO_PKG_VERSION"));
    with_login(Request { image, ..request() })
}

/// What it would take from a manifest as in Microsoft's tutorials.
fn facts() -> Facts {
    Facts {
        data_mounts: vec![],
        shared_volume: false,
        user: Some(SQL_UID),
        group: None,
        fs_group: true,
        network: vec![map([
            ("name", text("SUPERVISOR_SQL_PORT")),
            ("value", text("1433")),
        ])],
        grace: GRACE.as_secs(),
        login: Login {
            administrator: None,
            user: "supervisor".to_owned(),
            password: Password::Key {
                secret: "sql-supervisor".to_owned(),
                key: "password".to_owned(),
                optional: false,
            },
        },
        variables: vec![],
        env_from: vec![],
        guaranteed: false,
        command: Command::Image,
        hook: None,
        places: vec![],
    }
}

fn operation(op: &str, path: &str, value: Value) -> Value {
    map([("op", text(op)), ("path", text(path)), ("value", value)])
}

fn add(path: &str, value: Value) -> Value {
    operation("add", &format!("{SQL}/{path}"), value)
}

/// What a container has to be, or not to have: a test that fails ends `kustomize build`.
fn conditions() -> Vec<Value> {
    let mut conditions: Vec<_> = ["command", "args", "lifecycle"]
        .iter()
        .map(|key| operation("test", &format!("{SQL}/{key}"), null()))
        .collect();
    let init = "/spec/template/spec/initContainers";
    conditions.push(operation("test", init, null()));
    let mount = format!("{SQL}/volumeMounts/0/mountPath");
    conditions.push(operation("test", &mount, text(DATA_DIR)));
    conditions
}

fn container(additions: &Additions) -> Vec<Value> {
    let mut operations = conditions();
    operations.push(add("command", texts(LAUNCH)));
    let items = |path, items: &[Value]| {
        let items = items.iter().cloned();
        items.map(|item| add(path, item)).collect::<Vec<_>>()
    };
    operations.extend(items("env/-", &additions.variables));
    operations.extend(items("volumeMounts/-", &additions.mounts));
    operations.push(add(
        "lifecycle",
        map([("preStop", additions.pre_stop.clone())]),
    ));
    for (key, probe) in additions.probes.clone() {
        operations.push(add(key, probe));
    }
    operations
}

fn pod(additions: &Additions) -> Value {
    let pod = map([
        ("terminationGracePeriodSeconds", number(GRACE.as_secs())),
        // The volume's and the password's group, as in Microsoft's tutorials.
        ("securityContext", map([("fsGroup", number(SQL_UID))])),
        (
            "initContainers",
            Value::List(additions.init_containers.clone()),
        ),
        ("volumes", Value::List(additions.volumes.clone())),
    ]);
    map([
        ("apiVersion", text("apps/v1")),
        ("kind", text("Deployment")),
        ("metadata", map([("name", text("any"))])),
        ("spec", map([("template", map([("spec", pod)]))])),
    ])
}

/// The engine's first mount, copied: a patch can't know its volume's name.
fn volume() -> Vec<Value> {
    vec![map([
        ("op", text("copy")),
        ("from", text(format!("{SQL}/volumeMounts/0"))),
        ("path", text(format!("{SIDECAR}/volumeMounts/0"))),
    ])]
}

fn hold(path: &str, lines: Vec<String>) {
    const HEAD: &str = "# Made by `UPDATE_GOLDEN=1 cargo test --test inject component`.\n";
    let path = folder().join(path);
    let text = format!("{HEAD}{}\n", lines.join("\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the file is writable");
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text,
        held,
        "{}; see the head of component.rs",
        path.display()
    );
}

#[test]
fn the_components_files_are_what_inject_adds() {
    let layout = Layout::default();
    let additions = additions(&facts(), &same_request());
    hold(
        "component/container.yaml",
        block_items(&container(&additions), layout),
    );
    hold("component/volume.yaml", block_items(&volume(), layout));
    let Value::Map(pod) = pod(&additions) else {
        panic!("an object is a map");
    };
    hold("component/pod.yaml", block_entries(&pod, layout));
}
