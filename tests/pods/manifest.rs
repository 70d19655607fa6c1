//! From the chart's Deployment to what podman can run of it.
//!
//! The Deployment is one of those that tests/chart holds as golden files. What is changed, each because
//! podman is no kubelet, and nothing else:
//!
//! | in the Deployment | for podman |
//! | --- | --- |
//! | init container with `restartPolicy: Always` | an ordinary container: podman has no native sidecars. Its gate keeps the engine back all the same: `launch` waits for it, and in attach mode the init container `gate` does, as on older clusters |
//! | probes, hooks | left out: podman's probes restart nothing, its hooks never run. The test asks the same questions and runs the same command |
//! | `ports` | left out: podman would publish them, and there is no network to do that |
//! | `restartPolicy`, its rules | `Never`: the test starts again what has ended; podman's own restarts stall behind an init container |
//! | images | the one that was built, and the stand-in's |
//! | `fieldRef` | its value |
//! | secrets | the test's password, as a value and as a file that its group may read, as fsGroup and defaultMode make it |
//! | `emptyDir` | a directory of this machine that all may write, as the kubelet makes it: podman 4.3 gives pods with an emptyDir of the same name the same one |
//! | claim | the test's volume |
//! | settings | paces and patience about a tenth of the defaults, for the test to be short |

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::images;
use crate::standin::handle::DEFAULT_PASSWORD;

/// A case of the chart, which is how the supervisor reaches the engine's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By `launch`; a native sidecar.
    Launch,
    /// By `launch`; an ordinary container, and `gate` before it.
    Classic,
    /// By a shared PID namespace; a native sidecar.
    Attach,
}

impl Mode {
    const fn case(self) -> &'static str {
        match self {
            Self::Launch => "default",
            Self::Classic => "classic",
            Self::Attach => "attach",
        }
    }

    /// Whether the pod's start waits for the gate before the engine's container is there.
    pub const fn has_gate(self) -> bool {
        matches!(self, Self::Classic | Self::Attach)
    }
}

const SQL: &str = "sql";
const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];

/// A tenth of the defaults and less.
const SETTINGS: &[(&str, &str)] = &[
    ("LOG_FORMAT", "json"),
    ("DISK_LOW_RATIO", "0.0001"),
    ("PROCESS_INTERVAL", "100ms"),
    ("PING_INTERVAL", "200ms"),
    ("LOGIN_INTERVAL", "500ms"),
    ("DATABASES_INTERVAL", "500ms"),
    ("VOLUME_INTERVAL", "200ms"),
    ("CGROUP_INTERVAL", "500ms"),
    ("SETTLE", "200ms"),
    ("STOP_DRAIN", "0s"),
    ("LEASE_RENEW", "300ms"),
    ("LEASE_FENCE", "2s"),
    ("LEASE_STALE", "3s"),
];

/// What the kubelet would ask, and where: a probe of some container.
#[derive(Clone, Debug)]
pub struct Question {
    pub port: u16,
    pub path: String,
}

/// The pod `name`, on the volume `claim`; what it needs of the host is below `directory`.
pub fn pod(mode: Mode, name: &str, claim: &str, directory: &Path) -> Value {
    let mut spec = spec(mode);
    sidecars(&mut spec, mode);
    for container in containers(&mut spec) {
        for left_out in PROBES.iter().chain(&[
            "lifecycle",
            "ports",
            "imagePullPolicy",
            "restartPolicy",
            "restartPolicyRules",
        ]) {
            container.remove(*left_out);
        }
        let image = match container["name"] == SQL {
            true => images::standin(),
            false => images::supervisor(),
        };
        container.insert("image".to_owned(), json!(image));
        variables(container, name);
    }
    for volume in spec["volumes"].as_array_mut().expect("volumes") {
        if volume["persistentVolumeClaim"].is_object() {
            volume["persistentVolumeClaim"]["claimName"] = json!(claim);
        } else if volume["secret"].is_object() {
            *volume = secret(volume, directory);
        } else {
            assert!(volume["emptyDir"].is_object(), "{volume}");
            *volume = directory_of(volume, directory, 0o777);
        }
    }
    spec["restartPolicy"] = json!("Never");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

/// The engine's preStop hook.
pub fn stop(mode: Mode) -> Vec<String> {
    let mut spec = spec(mode);
    let command = containers(&mut spec)
        .into_iter()
        .find(|c| c["name"] == SQL)
        .expect(SQL)["lifecycle"]["preStop"]["exec"]["command"]
        .take();
    serde_json::from_value(command).expect("a command")
}

/// Every probe of every container.
pub fn questions(mode: Mode) -> Vec<Question> {
    let mut spec = spec(mode);
    let mut found = Vec::new();
    for container in containers(&mut spec) {
        for probe in PROBES.iter().filter_map(|probe| container.get(*probe)) {
            let asked = &probe["httpGet"];
            found.push(Question {
                port: serde_json::from_value(asked["port"].clone()).expect("a port"),
                path: asked["path"].as_str().expect("a path").to_owned(),
            });
        }
    }
    assert!(found.len() >= PROBES.len(), "{found:?}");
    found
}

/// The pod's specification as the chart renders it.
fn spec(mode: Mode) -> Value {
    let file = format!("tests/chart/golden/{}.yaml", mode.case());
    let text = fs::read_to_string(images::root().join(&file)).expect(&file);
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let deployment = documents
        .into_iter()
        .find(|each| each["kind"] == "Deployment");
    deployment.expect("a Deployment")["spec"]["template"]["spec"].take()
}

/// Native sidecars become ordinary containers; in attach mode what their startup probe kept back is kept
/// back by `gate`.
fn sidecars(spec: &mut Value, mode: Mode) {
    let init = spec["initContainers"]
        .as_array_mut()
        .expect("init containers");
    let Some(at) = init
        .iter()
        .position(|each| each["restartPolicy"] == "Always")
    else {
        assert_eq!(mode, Mode::Classic);
        return;
    };
    let sidecar = init.remove(at);
    if mode == Mode::Attach {
        let mut gate = sidecar.clone();
        gate["name"] = json!("gate");
        gate["args"] = json!(["gate"]);
        init.push(gate);
    }
    let ordinary = spec["containers"].as_array_mut().expect("containers");
    ordinary.insert(0, sidecar);
}

fn containers(spec: &mut Value) -> Vec<&mut Map<String, Value>> {
    let spec = spec.as_object_mut().expect("a pod");
    let lists = spec
        .iter_mut()
        .filter(|(key, _)| key.ends_with("ontainers"));
    lists
        .flat_map(|(_, list)| list.as_array_mut().expect("a list"))
        .map(|container| container.as_object_mut().expect("a container"))
        .collect()
}

/// Values instead of references, and the test's settings.
fn variables(container: &mut Map<String, Value>, pod: &str) {
    let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) else {
        return;
    };
    for variable in env.iter_mut() {
        let Some(from) = variable.as_object_mut().and_then(|v| v.remove("valueFrom")) else {
            continue;
        };
        let value = match from["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.uid") => pod,
            Some("spec.nodeName") => "node-of-the-test",
            Some(other) => panic!("{other} has no value here"),
            None => {
                assert!(from["secretKeyRef"].is_object(), "{from}");
                DEFAULT_PASSWORD
            }
        };
        variable["value"] = json!(value);
    }
    for (key, value) in SETTINGS {
        let name = format!("SUPERVISOR_{key}");
        env.retain(|variable| variable["name"] != *name);
        env.push(json!({"name": name, "value": value}));
    }
}

fn secret(volume: &Value, directory: &Path) -> Value {
    let made = directory_of(volume, directory, 0o755);
    let at = made["hostPath"]["path"].as_str().expect("a path");
    for item in volume["secret"]["items"].as_array().expect("items") {
        let file = Path::new(at).join(item["path"].as_str().expect("a path"));
        fs::write(&file, DEFAULT_PASSWORD).expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("ours");
        // podman gives no process the group of fsGroup.
        chown(&file, Some(10001), Some(10001)).expect("root may");
    }
    made
}

/// A directory of this machine in the place of a volume.
fn directory_of(volume: &Value, directory: &Path, mode: u32) -> Value {
    let name = volume["name"].as_str().expect("a name");
    let at = directory.join(name);
    fs::create_dir_all(&at).expect("writable");
    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).expect("ours");
    json!({"name": name, "hostPath": {"path": at, "type": "Directory"}})
}
