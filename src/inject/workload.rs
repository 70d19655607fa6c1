//! The workloads of a manifest: the objects that run SQL, and the container of each that does.

mod choice;
mod keys;
mod left;

use super::edit::Step;
use super::names::PROGRAM_NAME;
use super::node::{Document, Node};
use super::refusal::Why;
pub use choice::mentions;
use choice::{choose, starts_engine, words};
use keys::{odd_key, unambiguous};
use left::{maker, none_of, other};

/// A reason for a refusal, and the offset that it is about.
#[derive(Debug)]
pub struct Objection {
    /// The reason for the refusal.
    pub why: Why,
    /// The offset in the text that the refusal is about, where there is one.
    pub at: Option<usize>,
}

impl Objection {
    /// Returns an objection about a node.
    pub fn new(why: Why, node: &Node) -> Self {
        Self {
            why,
            at: Some(node.range.start),
        }
    }

    /// Whether the objection is that the workload has the supervisor already.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        matches!(self.why, Why::AlreadyThere(_))
    }
}

/// The controller that manages the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// OpenShift's DeploymentConfig.
    DeploymentConfig,
    /// A ReplicaSet that no Deployment makes.
    ReplicaSet,
    /// A ReplicationController, the forerunner of the ReplicaSet.
    ReplicationController,
    /// No controller: a pod by itself.
    Pod,
}

impl Controller {
    /// Returns the controller for an object's kind.
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "Deployment" => Self::Deployment,
            "StatefulSet" => Self::StatefulSet,
            "DeploymentConfig" => Self::DeploymentConfig,
            "ReplicaSet" => Self::ReplicaSet,
            "ReplicationController" => Self::ReplicationController,
            "Pod" => Self::Pod,
            _ => return None,
        })
    }

    /// Returns the version of the API that the controller belongs to.
    const fn api(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::ReplicaSet => "apps/v1",
            Self::DeploymentConfig => "apps.openshift.io/v1",
            Self::Pod | Self::ReplicationController => "v1",
        }
    }

    /// Returns the steps from the object to the node that holds the pod's metadata and spec.
    const fn template(self) -> &'static [Step] {
        match self {
            Self::Pod => &[],
            _ => &[Step::Key("spec"), Step::Key("template")],
        }
    }
}

/// A workload that runs SQL.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// The controller of the pod, by the object's kind.
    pub controller: Controller,
    /// The node of the object.
    pub root: &'a Node,
    /// The steps to the object in its document: none, or into the items of a List.
    pub base: Vec<Step>,
    /// The object's `spec`.
    pub spec: &'a Node,
    /// The node that holds the pod's metadata and spec.
    pub holder: &'a Node,
    /// The pod's `spec`.
    pub pod: &'a Node,
    /// The pod's containers.
    pub containers: &'a [Node],
    /// The index of the container that runs SQL.
    pub index: usize,
}

/// The result of looking at an object.
#[derive(Debug)]
pub enum Found<'a> {
    /// An object that runs no SQL.
    Other,
    /// An object of another kind that runs SQL.
    OtherKind,
    /// An object that another one makes and would make anew, with that one's kind and name.
    Made(String),
    /// A workload that is to be changed.
    Workload(Workload<'a>),
}

/// Returns the kind and name of an object, as `Deployment/name`.
#[must_use]
pub fn object(root: &Node) -> Option<String> {
    let kind = root.text_of("kind")?;
    let name = root.at(&["metadata", "name"]).and_then(Node::text);
    Some(match name {
        Some(name) => format!("{kind}/{name}"),
        None => kind.to_owned(),
    })
}

/// Returns the objects of a document, each with the steps to it: the document itself, or the items of a List.
#[must_use]
pub fn objects(document: &Document) -> Vec<(Vec<Step>, &Node)> {
    let mut found = Vec::new();
    if let Some(root) = &document.root {
        collect(root, vec![], &mut found);
    }
    found
}

/// Collects an object, or those of a List; a List may hold Lists.
fn collect<'a>(object: &'a Node, base: Vec<Step>, found: &mut Vec<(Vec<Step>, &'a Node)>) {
    let kind = object.text_of("kind").unwrap_or_default();
    match object.get("items") {
        Some(items) if kind.ends_with("List") => {
            for (index, item) in items.items().iter().enumerate() {
                let base = [&base[..], &[Step::Key("items"), Step::Item(index)]].concat();
                collect(item, base, found);
            }
        }
        _ => found.push((base, object)),
    }
}

impl<'a> Workload<'a> {
    /// Returns the container that runs SQL.
    #[must_use]
    pub fn sql(&self) -> &'a Node {
        &self.containers[self.index]
    }

    /// Returns all containers of the pod, with the init containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Node> {
        self.containers
            .iter()
            .chain(self.pod.items_of("initContainers"))
    }

    /// Returns the entry of a variable in the `env` of the SQL container.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&'a Node> {
        // The last of several counts, as for the kubelet.
        let variables = self.sql().get("env")?.items();
        variables
            .iter()
            .rfind(|variable| variable.text_of("name") == Some(name))
    }

    /// Returns the mounts of the SQL container.
    #[must_use]
    pub fn mounts(&self) -> &'a [Node] {
        self.sql().items_of("volumeMounts")
    }

    /// Returns the pod's volume of that name.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&'a Node> {
        let mut volumes = self.pod.get("volumes")?.items().iter();
        volumes.find(|volume| volume.text_of("name") == Some(name))
    }

    /// Returns the claim template of that name, of a StatefulSet.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&'a Node> {
        let mut templates = self.spec.get("volumeClaimTemplates")?.items().iter();
        templates
            .find(|template| template.at(&["metadata", "name"]).and_then(Node::text) == Some(name))
    }

    /// Returns an object of the input that the pod can refer to: of this kind and name, and in no other
    /// namespace.
    #[must_use]
    pub fn named(&self, objects: &[&'a Node], kind: &str, name: &str) -> Option<&'a Node> {
        let part = |object: &'a Node, key| object.at(&["metadata", key]).and_then(Node::text);
        let namespace = part(self.root, "namespace");
        let mut objects = objects.iter().copied();
        objects.find(|object| {
            let elsewhere = match (namespace, part(object, "namespace")) {
                (Some(ours), Some(theirs)) => ours != theirs,
                _ => false,
            };
            object.text_of("kind") == Some(kind) && part(object, "name") == Some(name) && !elsewhere
        })
    }

    /// Returns an annotation of the pod.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.holder.at(&["metadata", "annotations"])?.text_of(key)
    }

    /// Whether the pod has an annotation whose key begins with `prefix`.
    #[must_use]
    pub fn has_annotation(&self, prefix: &str) -> bool {
        let annotations = self.holder.at(&["metadata", "annotations"]);
        let mut entries = annotations.map(Node::entries).unwrap_or_default().iter();
        entries.any(|entry| entry.key.text().is_some_and(|key| key.starts_with(prefix)))
    }

    /// Returns a label of the pod.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.holder.at(&["metadata", "labels"])?.text_of(key)
    }

    /// Returns the number of pods that the workload asks for.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        let count = self
            .spec
            .text_of("replicas")
            .filter(|_| self.controller != Controller::Pod);
        count.and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// Returns the steps to the object's `spec`.
    #[must_use]
    pub fn spec_path(&self) -> Vec<Step> {
        [&self.base[..], &[Step::Key("spec")]].concat()
    }

    /// Returns the steps to the node that holds the pod's metadata.
    #[must_use]
    pub fn template_path(&self) -> Vec<Step> {
        [&self.base[..], self.controller.template()].concat()
    }

    /// Returns the steps to the pod's `spec`.
    #[must_use]
    pub fn pod_path(&self) -> Vec<Step> {
        [&self.template_path()[..], &[Step::Key("spec")]].concat()
    }
}

/// Looks at an object of a document, with the steps to it. `chosen` is the name of the container that was
/// asked for.
///
/// # Errors
/// When the object is a workload that runs SQL and can't be understood.
pub fn look<'a>(
    document: &'a Document,
    (base, root): (&[Step], &'a Node),
    chosen: Option<&str>,
) -> Result<Found<'a>, Objection> {
    let kind = root.text_of("kind").unwrap_or_default();
    let Some(controller) = Controller::of(kind) else {
        return other(root);
    };
    if let Some(key) = odd_key(root) {
        return Err(key);
    }
    let holder = match controller {
        Controller::Pod => Some(root),
        _ => root.at(&["spec", "template"]),
    };
    let Some((holder, pod)) = holder.and_then(|holder| Some((holder, holder.get("spec")?))) else {
        return Ok(Found::Other);
    };
    let containers = pod.items_of("containers");
    let Some(index) = choose(containers, chosen)? else {
        return none_of(pod, containers);
    };
    if let Some(maker) = maker(root) {
        return Ok(Found::Made(maker));
    }
    // Pods by themselves have the engine's image for its tools more often than not.
    if controller == Controller::Pod && chosen.is_none() && !starts_engine(&containers[index]) {
        return Ok(Found::Other);
    }
    unambiguous(document, root)?;
    let api = root.get("apiVersion");
    if api.and_then(Node::text) != Some(controller.api()) {
        let found = api.and_then(Node::text).unwrap_or("missing").to_owned();
        return Err(Objection::new(
            Why::ApiVersion(found, controller.api()),
            api.unwrap_or(root),
        ));
    }
    for (name, node) in [
        ("metadata.name", root.at(&["metadata", "name"])),
        ("the SQL container's name", containers[index].get("name")),
    ] {
        if node.and_then(Node::text).is_none_or(str::is_empty) {
            return Err(Objection::new(
                Why::Shape(name.to_owned(), "a name: write one there"),
                node.unwrap_or(root),
            ));
        }
    }
    let workload = Workload {
        controller,
        root,
        base: base.to_vec(),
        spec: root.get("spec").unwrap_or(root),
        holder,
        pod,
        containers,
        index,
    };
    already_there(&workload)?;
    Ok(Found::Workload(workload))
}

/// Refuses a pod that has the supervisor already, by its program or by its image.
fn already_there(workload: &Workload<'_>) -> Result<(), Objection> {
    for container in workload.all_containers() {
        let name = container.text_of("name").unwrap_or("?");
        let image = container.text_of("image").unwrap_or_default();
        let repository = image.split('@').next().unwrap_or_default();
        let last = repository.rsplit('/').next().unwrap_or_default();
        let hook = container.at(&["lifecycle", "preStop", "exec", "command"]);
        let hook = hook.map(Node::items).unwrap_or_default();
        let mut said = words(container).chain(hook.iter().filter_map(Node::text));
        let evidence = if last.split(':').next() == Some(PROGRAM_NAME) {
            format!("the image of the container {name}")
        } else if said.any(|word| word.rsplit('/').next() == Some(PROGRAM_NAME)) {
            format!("the container {name} runs it")
        } else {
            continue;
        };
        return Err(Objection::new(Why::AlreadyThere(evidence), container));
    }
    Ok(())
}
