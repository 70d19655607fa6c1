//! The real kustomize: it takes the patches of `inject --patch`, and the component comes to the same as
//! `inject`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sql_edge_supervisor::inject::Request;

use super::component::{folder, same_request};
use super::given::{injected, read, request};

/// kustomize: the one that `tests/run` built, or one in the path.
fn kustomize(folder: &Path) -> Output {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/kustomize");
    let program = match built.exists() {
        true => built,
        false => PathBuf::from("kustomize"),
    };
    Command::new(program)
        .arg("build")
        .arg(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::temp_dir())
        .output()
        .unwrap_or_else(|error| panic!("kustomize can't be run ({error}): tests/run brings it"))
}

/// A folder of this test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("ses-kustomize-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder"))
            .expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    fn build(&self, folder: &str) -> String {
        let output = kustomize(&self.0.join(folder));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    fn refused(&self, folder: &str) -> String {
        let output = kustomize(&self.0.join(folder));
        assert!(
            !output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The objects, with lists that are merged by a key in its order: kustomize puts what is new first, and
/// the API does not care. Containers stay in theirs.
fn objects(text: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(text).expect("it is YAML");
    for object in &mut objects {
        sort(object);
    }
    objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    objects
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            for item in items.iter_mut() {
                sort(item);
            }
            let is_container = items.iter().any(|item| item.get("image").is_some());
            let key = ["mountPath", "name"]
                .into_iter()
                .find(|key| items.iter().all(|item| item.get(key).is_some()));
            if let (Some(key), false) = (key, is_container) {
                items.sort_by_key(|item| item[key].to_string());
            }
        }
        Value::Object(map) => map.values_mut().for_each(sort),
        _ => {}
    }
}

#[test]
fn the_patches_come_to_the_same() {
    for (given, request) in [
        ("tutorial.yaml", request()),
        (
            "tutorial.yaml",
            Request {
                launch: false,
                ..request()
            },
        ),
        (
            "tutorial.yaml",
            Request {
                classic: true,
                ..request()
            },
        ),
        ("statefulset.yaml", request()),
        ("quickstart.yaml", request()),
        ("probed.yaml", request()),
        ("object.json", request()),
    ] {
        let text = read(&format!("given/{given}"));
        let scratch = Scratch::new(&format!("patch-{given}"));
        scratch.write("given.yaml", &text);
        let patch = Request {
            patch: true,
            ..request.clone()
        };
        scratch.write("patch.yaml", &injected(&text, &patch).text);
        scratch.write(
            "kustomization.yaml",
            "resources: [given.yaml]\npatches: [{ path: patch.yaml }]\n",
        );
        let built = objects(&scratch.build(""));
        assert_eq!(built, objects(&injected(&text, &request).text), "{given}");
    }
}

/// A base with the manifest and its annotation, and an overlay with the component.
fn overlay(scratch: &Scratch, given: &str, kind: &str) {
    scratch.write("base/given.yaml", given);
    scratch.write(
        "base/kustomization.yaml",
        &format!(
            "resources: [given.yaml]\npatches:\n- target: {{ kind: {kind} }}\n  patch: |-\n    - op: add\n      path: /metadata/annotations\n      value: {{ sql-edge-supervisor/inject: \"true\" }}\n"
        ),
    );
    let component = folder().join("component").display().to_string();
    let up = "../".repeat(scratch.0.components().count());
    scratch.write(
        "over/kustomization.yaml",
        &format!(
            "resources: [../base]\ncomponents: [{up}{}]\n",
            component.trim_start_matches('/')
        ),
    );
}

/// Takes away what the base was given for the component to find it.
fn without_annotation(objects: &mut [Value]) {
    for object in objects {
        let annotations = &object["metadata"]["annotations"];
        if annotations.get("sql-edge-supervisor/inject").is_some() {
            let metadata = object["metadata"].as_object_mut().expect("it is a map");
            metadata.remove("annotations");
        }
    }
}

#[test]
fn the_component_comes_to_the_same() {
    for given in ["tutorial.yaml", "quickstart.yaml"] {
        let mut text = read(&format!("given/{given}"));
        // Its quality of service is nothing that a component can know.
        text = text.replace(
            "          limits:\n            memory: \"2G\"\n            cpu: \"2000m\"\n",
            "",
        );
        let scratch = Scratch::new(&format!("component-{given}"));
        overlay(&scratch, &text, "Deployment");
        let mut built = objects(&scratch.build("over"));
        without_annotation(&mut built);
        let mut expected = objects(&injected(&text, &same_request()).text);
        // A patch would take the place of annotations for a mesh that are there: README.md says them.
        for object in &mut expected {
            let metadata = object.pointer_mut("/spec/template/metadata");
            if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
                metadata.remove("annotations").expect("they are added");
            }
        }
        assert_eq!(built, expected, "{given}");
    }
}

#[test]
fn the_component_leaves_what_is_not_meant() {
    let scratch = Scratch::new("not-meant");
    let text = read("given/tutorial.yaml");
    overlay(&scratch, &text, "Service");
    let mut built = objects(&scratch.build("over"));
    without_annotation(&mut built);
    assert_eq!(built, objects(&text));
}

#[test]
fn the_component_refuses_what_it_would_spoil() {
    let tutorial = read("given/tutorial.yaml");
    let image = "          image: mcr.microsoft.com/azure-sql-edge:latest\n";
    for (name, text) in [
        (
            "command",
            tutorial.replace(image, &format!("{image}          command: [/run.sh]\n")),
        ),
        (
            "hook",
            tutorial.replace(
                image,
                &format!(
                    "{image}          lifecycle: {{ preStop: {{ exec: {{ command: [a] }} }} }}\n"
                ),
            ),
        ),
        (
            "init",
            tutorial.replace(
                "      containers:\n",
                "      initContainers: [{ name: own, image: busybox }]\n      containers:\n",
            ),
        ),
        (
            "mount",
            tutorial.replace("mountPath: /var/opt/mssql\n", "mountPath: /data\n"),
        ),
        ("twice", injected(&tutorial, &request()).text),
    ] {
        assert_ne!(text, tutorial, "{name}");
        let scratch = Scratch::new(&format!("refuses-{name}"));
        overlay(&scratch, &text, "Deployment");
        let said = scratch.refused("over");
        assert!(said.contains("test"), "{name}: {said}");
    }
}
