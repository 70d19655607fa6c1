//! Which object is a workload that runs SQL, and which of its containers does.

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

/// A refusal, and the offset that it is about.
#[derive(Debug)]
pub struct Objection {
    /// Why.
    pub why: Why,
    /// Where.
    pub at: Option<usize>,
}

impl Objection {
    /// One about a node.
    pub fn new(why: Why, node: &Node) -> Self {
        Self {
            why,
            at: Some(node.range.start),
        }
    }

    /// Whether it is about a supervisor that is there already.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        matches!(self.why, Why::AlreadyThere(_))
    }
}

/// What manages the pod.
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
    /// The ReplicaSet's elder.
    ReplicationController,
    /// None: a pod by itself.
    Pod,
}

impl Controller {
    /// By the object's kind.
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

    /// The version of the API that it belongs to.
    const fn api(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::ReplicaSet => "apps/v1",
            Self::DeploymentConfig => "apps.openshift.io/v1",
            Self::Pod | Self::ReplicationController => "v1",
        }
    }

    /// The steps from the object to what holds the pod's metadata and spec.
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
    /// What it is.
    pub controller: Controller,
    /// The object.
    pub root: &'a Node,
    /// The steps to it in its document: none, or into the items of a List.
    pub base: Vec<Step>,
    /// Its `spec`.
    pub spec: &'a Node,
    /// What holds the pod's metadata and spec.
    pub holder: &'a Node,
    /// The pod's `spec`.
    pub pod: &'a Node,
    /// The pod's containers.
    pub containers: &'a [Node],
    /// Which of them runs SQL.
    pub index: usize,
}

/// What an object is.
#[derive(Debug)]
pub enum Found<'a> {
    /// Something else.
    Other,
    /// An object of another kind that runs SQL.
    OtherKind,
    /// An object that another one makes, and would make anew: that one's kind and name.
    Made(String),
    /// A workload that is to be changed.
    Workload(Workload<'a>),
}

/// The kind and name of an object, as `Deployment/name`.
#[must_use]
pub fn object(root: &Node) -> Option<String> {
    let kind = root.text_of("kind")?;
    let name = root.at(&["metadata", "name"]).and_then(Node::text);
    Some(match name {
        Some(name) => format!("{kind}/{name}"),
        None => kind.to_owned(),
    })
}

/// The objects of a document, each with the steps to it: itself, or the items of a List.
#[must_use]
pub fn objects(document: &Document) -> Vec<(Vec<Step>, &Node)> {
    let mut found = Vec::new();
    if let Some(root) = &document.root {
        collect(root, vec![], &mut found);
    }
    found
}

/// Takes an object, or those of a List; a List may hold Lists.
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
    /// The container that runs SQL.
    #[must_use]
    pub fn sql(&self) -> &'a Node {
        &self.containers[self.index]
    }

    /// Every container of the pod, those that run first included.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Node> {
        let first = self.pod.get("initContainers").map(Node::items);
        self.containers.iter().chain(first.unwrap_or_default())
    }

    /// The entry of a variable of the SQL container, where it is written there.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&'a Node> {
        // The last of several counts, as for the kubelet.
        let variables = self.sql().get("env")?.items();
        variables
            .iter()
            .rfind(|variable| variable.text_of("name") == Some(name))
    }

    /// The mounts of the SQL container.
    #[must_use]
    pub fn mounts(&self) -> &'a [Node] {
        let mounts = self.sql().get("volumeMounts").map(Node::items);
        mounts.unwrap_or_default()
    }

    /// The pod's volume of that name.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&'a Node> {
        let mut volumes = self.pod.get("volumes")?.items().iter();
        volumes.find(|volume| volume.text_of("name") == Some(name))
    }

    /// The claim template of that name, of a StatefulSet.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&'a Node> {
        let mut templates = self.spec.get("volumeClaimTemplates")?.items().iter();
        templates
            .find(|template| template.at(&["metadata", "name"]).and_then(Node::text) == Some(name))
    }

    /// An object of the input that the pod can name: of this kind and name, and in no other namespace.
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

    /// An annotation of the pod.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.holder.at(&["metadata", "annotations"])?.text_of(key)
    }

    /// Whether the pod has an annotation whose key begins so.
    #[must_use]
    pub fn has_annotation(&self, prefix: &str) -> bool {
        let annotations = self.holder.at(&["metadata", "annotations"]);
        let mut entries = annotations.map(Node::entries).unwrap_or_default().iter();
        entries.any(|entry| entry.key.text().is_some_and(|key| key.starts_with(prefix)))
    }

    /// A label of the pod.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.holder.at(&["metadata", "labels"])?.text_of(key)
    }

    /// How many pods it asks for.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        let count = self
            .spec
            .text_of("replicas")
            .filter(|_| self.controller != Controller::Pod);
        count.and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// The steps to its `spec`.
    #[must_use]
    pub fn spec_path(&self) -> Vec<Step> {
        [&self.base[..], &[Step::Key("spec")]].concat()
    }

    /// The steps to what holds the pod's metadata.
    #[must_use]
    pub fn template_path(&self) -> Vec<Step> {
        [&self.base[..], self.controller.template()].concat()
    }

    /// The steps to the pod's `spec`.
    #[must_use]
    pub fn pod_path(&self) -> Vec<Step> {
        [&self.template_path()[..], &[Step::Key("spec")]].concat()
    }
}

/// Looks at an object of a document, with the steps to it. `chosen` is the container that was asked for.
///
/// # Errors
/// When it is a workload that runs SQL and can't be understood.
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
    let containers = pod.get("containers").map(Node::items).unwrap_or_default();
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
        ("the container's name", containers[index].get("name")),
    ] {
        if node.and_then(Node::text).is_none_or(str::is_empty) {
            return Err(Objection::new(
                Why::Shape(name.to_owned(), "a name"),
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

/// The supervisor in this pod, by its program or by its image.
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
