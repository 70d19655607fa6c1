//! From the chart's Deployment, or from a manifest that `inject` was given, to what podman can run of it.
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
use sql_edge_supervisor::inject::{Request, inject};

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
    /// A manifest of tests/field, as `inject` makes it.
    Field(Field),
}

/// A manifest of tests/field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Only the data directory is on the claim, and the engine runs as root.
    DataOnly,
    /// A claim for each directory, below one at the top.
    Split,
    /// With hooks of its own.
    Hooks,
    /// With scripts for the image's launcher.
    Setup,
    /// On OpenShift.
    Assigned,
}

impl Field {
    const fn file(self) -> &'static str {
        match self {
            Self::DataOnly => "01-data-only.yaml",
            Self::Split => "03b-one-claim-below.yaml",
            Self::Hooks => "12-poststart-restore.yaml",
            Self::Setup => "23-custom-setup.yaml",
            Self::Assigned => "09-openshift-assigned-uid.yaml",
        }
    }

    /// The user of all containers that the cluster or the image would say.
    const fn user(self) -> Option<(u32, u32)> {
        match self {
            Self::DataOnly => Some((0, 0)),
            Self::Assigned => Some((1_003_350_000, 0)),
            Self::Split | Self::Hooks | Self::Setup => None,
        }
    }
}

impl Mode {
    const fn case(self) -> &'static str {
        match self {
            Self::Launch => "default",
            Self::Classic => "classic",
            Self::Attach => "attach",
            Self::Field(_) => panic!("no case of the chart"),
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
        let image = match (container["name"] == SQL, mode) {
            (true, Mode::Field(_)) => images::server(),
            (true, _) => images::standin(),
            (false, _) => images::supervisor(),
        };
        container.insert("image".to_owned(), json!(image));
        variables(container, name);
    }
    for volume in spec["volumes"].as_array_mut().expect("volumes") {
        if volume["persistentVolumeClaim"].is_object() {
            // The first one is the test's; a manifest may have others, which are named after it.
            let own = volume["persistentVolumeClaim"]["claimName"].as_str();
            let name = match own.and_then(|own| own.strip_prefix(TEMPLATE)) {
                Some(template) => format!("{claim}-{template}"),
                None => claim.to_owned(),
            };
            volume["persistentVolumeClaim"]["claimName"] = json!(name);
        } else if volume["configMap"].is_object() {
            *volume = configured(volume, directory);
        } else if volume["secret"].is_object() {
            *volume = secret(volume, directory, mode);
        } else {
            assert!(volume["emptyDir"].is_object(), "{volume}");
            *volume = directory_of(volume, directory, 0o777);
        }
    }
    if let Mode::Field(_) = mode {
        files_are_mounted_whole(&mut spec);
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

/// What a claim template's volumes are called here.
const TEMPLATE: &str = "template-";

/// The pod's specification as `inject` makes it of a manifest: its SQL container is called as everywhere here, its
/// claim templates are volumes, and its user is what the cluster or the image would say.
fn injected(field: Field) -> Value {
    let file = format!("tests/field/manifests/{}", field.file());
    let text = fs::read_to_string(images::root().join(&file)).expect(&file);
    let result = inject(&text, &Request::of("sql-edge-supervisor")).expect("it is accepted");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&result.text).expect("YAML");
    let workload = documents
        .into_iter()
        .find(|each| each["spec"]["template"].is_object());
    let mut workload = workload.expect("a workload");
    let mut spec = workload["spec"]["template"]["spec"].take();
    spec["containers"][0]["name"] = json!(SQL);
    let templates = workload["spec"]["volumeClaimTemplates"].as_array();
    let volumes = spec["volumes"].as_array_mut().expect("volumes");
    for template in templates.into_iter().flatten() {
        let name = template["metadata"]["name"].as_str().expect("a name");
        let claim = format!("{TEMPLATE}{name}");
        volumes.push(json!({"name": name, "persistentVolumeClaim": {"claimName": claim}}));
    }
    if let Some((user, group)) = field.user() {
        for container in containers(&mut spec) {
            let mut context = container
                .remove("securityContext")
                .unwrap_or_else(|| json!({}));
            context["runAsUser"] = json!(user);
            context["runAsGroup"] = json!(group);
            container.insert("securityContext".to_owned(), context);
        }
    }
    spec
}

/// What the ConfigMaps of the manifests would hold: a file of settings, and a script that counts its runs.
fn configured(volume: &Value, directory: &Path) -> Value {
    let made = directory_of(volume, directory, 0o755);
    let at = Path::new(made["hostPath"]["path"].as_str().expect("a path"));
    fs::write(at.join("mssql.conf"), "[memory]\nmemorylimitmb = 1024\n").expect("writable");
    let script = "echo run >> /var/opt/mssql/setup-runs\n";
    fs::write(at.join("01-setup.sh"), script).expect("writable");
    made
}

/// One file of a volume is a mount of that file here.
fn files_are_mounted_whole(spec: &mut Value) {
    let mut files = Vec::new();
    for container in containers(spec) {
        let mounts = container
            .get_mut("volumeMounts")
            .and_then(Value::as_array_mut);
        for mount in mounts.into_iter().flatten() {
            let Some(file) = mount
                .as_object_mut()
                .and_then(|mount| mount.remove("subPath"))
            else {
                continue;
            };
            let name = format!("{}-file", mount["name"].as_str().expect("a name"));
            files.push((mount["name"].clone(), name.clone(), file));
            mount["name"] = json!(name);
        }
    }
    let volumes = spec["volumes"].as_array_mut().expect("volumes");
    files.dedup();
    for (volume, name, file) in files {
        let found = volumes
            .iter()
            .find(|one| one["name"] == volume)
            .expect("it is there");
        let at = found["hostPath"]["path"]
            .as_str()
            .expect("a directory of this machine");
        let path = format!("{at}/{}", file.as_str().expect("a path"));
        if !volumes.iter().any(|one| one["name"] == *name) {
            volumes.push(json!({"name": name, "hostPath": {"path": path, "type": "File"}}));
        }
    }
}

/// The pod's specification as the chart renders it, or as `inject` makes it.
fn spec(mode: Mode) -> Value {
    if let Mode::Field(field) = mode {
        return injected(field);
    }
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
            Some("metadata.uid" | "metadata.name") => pod,
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

fn secret(volume: &Value, directory: &Path, mode: Mode) -> Value {
    let made = directory_of(volume, directory, 0o755);
    let at = made["hostPath"]["path"].as_str().expect("a path");
    let items = volume["secret"]["items"].as_array();
    for item in items.into_iter().flatten() {
        let file = Path::new(at).join(item["path"].as_str().expect("a path"));
        fs::write(&file, DEFAULT_PASSWORD).expect("writable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("ours");
        // podman gives no process the group of fsGroup.
        chown(&file, Some(10001), Some(10001)).expect("root may");
        if let Mode::Field(field) = mode
            && let Some((user, group)) = field.user()
        {
            // As the kubelet makes it readable to a user that the cluster assigned.
            chown(&file, Some(user), Some(group)).expect("root may");
        }
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
