//! What helm rendered, object by object.

use serde_json::Value;

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The template that it comes from, as in `azure-sql-edge/templates/service.yaml`.
    pub source: String,
    /// As it was rendered.
    pub text: String,
    /// What that is.
    pub value: Value,
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// What tells it from any other of the namespace.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The pod that it describes, if it is a workload or a pod.
    pub fn pod(&self) -> Option<&Value> {
        match self.kind() {
            "Deployment" | "StatefulSet" => Some(&self.value["spec"]["template"]),
            "Pod" => Some(&self.value),
            _ => None,
        }
    }
}

/// Takes helm's output apart.
pub fn parse(output: &str) -> Vec<Object> {
    let mut objects = Vec::new();
    for text in format!("\n{output}").split("\n---\n").skip(1) {
        let source = text
            .lines()
            .find_map(|line| line.strip_prefix("# Source: "));
        let source = source
            .expect("helm says where each object comes from")
            .to_owned();
        let value: Value = serde_saphyr::from_str(text)
            .unwrap_or_else(|error| panic!("{source} is not YAML: {error}\n{text}"));
        if value.is_null() {
            continue;
        }
        let text = format!("---\n{}\n", text.trim_end());
        objects.push(Object {
            source,
            text,
            value,
        });
    }
    objects
}

/// The object of that kind whose name ends like that.
pub fn find<'a>(objects: &'a [Object], kind: &str, end: &str) -> &'a Object {
    objects
        .iter()
        .find(|object| object.kind() == kind && object.name().ends_with(end))
        .unwrap_or_else(|| panic!("no {kind} {end}"))
}

/// The pod of the engine.
pub fn pod(objects: &[Object]) -> &Value {
    let workload = objects
        .iter()
        .find(|object| ["Deployment", "StatefulSet"].contains(&object.kind()));
    &workload.expect("there is a workload").value["spec"]["template"]
}

/// All containers of a pod, init containers first.
pub fn containers(pod: &Value) -> Vec<&Value> {
    ["initContainers", "containers"]
        .iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .collect()
}

/// The container of that name.
pub fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    containers(pod)
        .into_iter()
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("no container {name}"))
}

/// Its environment; none for what is not given as text.
pub fn environment(container: &Value) -> Vec<(&str, Option<&str>)> {
    let variables = container["env"].as_array().into_iter().flatten();
    variables
        .map(|variable| {
            let name = variable["name"].as_str().expect("a variable has a name");
            (name, variable["value"].as_str())
        })
        .collect()
}
