//! Which document is a workload that runs SQL, and which of its containers does.

use super::images::{Engine, SQLSERVR};
use super::names::PROGRAM_NAME;
use super::node::{Document, Kind, Node};
use super::refusal::Why;

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
}

/// What manages the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
}

/// A workload that runs SQL.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    /// What it is.
    pub controller: Controller,
    /// Its document.
    pub root: &'a Node,
    /// Its `spec`.
    pub spec: &'a Node,
    /// The pod's `spec`.
    pub pod: &'a Node,
    /// The pod's containers.
    pub containers: &'a [Node],
    /// Which of them runs SQL.
    pub index: usize,
}

/// What a document is.
#[derive(Debug)]
pub enum Found<'a> {
    /// Something else.
    Other,
    /// An object of another kind that runs SQL.
    OtherKind,
    /// A workload that is to be changed.
    Workload(Workload<'a>),
}

/// The kind and name of the object in a document, as `Deployment/name`.
#[must_use]
pub fn object(root: &Node) -> Option<String> {
    let kind = root.text_of("kind")?;
    let name = root.at(&["metadata", "name"]).and_then(Node::text);
    Some(match name {
        Some(name) => format!("{kind}/{name}"),
        None => kind.to_owned(),
    })
}

impl<'a> Workload<'a> {
    /// The container that runs SQL.
    #[must_use]
    pub fn sql(&self) -> &'a Node {
        &self.containers[self.index]
    }

    /// Its name; Kubernetes lets none be without.
    #[must_use]
    pub fn sql_name(&self) -> &'a str {
        self.sql().text_of("name").unwrap_or_default()
    }

    /// Every container of the pod, those that run first included.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Node> {
        let first = self.pod.get("initContainers").map(Node::items);
        self.containers.iter().chain(first.unwrap_or_default())
    }

    /// The value of a variable of the SQL container, where it is written there.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&'a Node> {
        let variables = self.sql().get("env")?.items();
        variables
            .iter()
            .find(|variable| variable.text_of("name") == Some(name))
    }
}

/// Looks at a document. `chosen` is the container that was asked for.
///
/// # Errors
/// When it is a workload that runs SQL and can't be understood.
pub fn look<'a>(document: &'a Document, chosen: Option<&str>) -> Result<Found<'a>, Objection> {
    let Some(root) = &document.root else {
        return Ok(Found::Other);
    };
    let kind = root.text_of("kind").unwrap_or_default();
    if kind.ends_with("List") && root.get("items").is_some() {
        return Err(Objection::new(Why::List, root));
    }
    let controller = match kind {
        "Deployment" => Controller::Deployment,
        "StatefulSet" => Controller::StatefulSet,
        _ => return Ok(other(root)),
    };
    if let Some(key) = odd_key(root) {
        return Err(key);
    }
    let Some(pod) = root.at(&["spec", "template", "spec"]) else {
        return Ok(Found::Other);
    };
    let containers = pod.get("containers").map(Node::items).unwrap_or_default();
    let Some(index) = choose(containers, chosen)? else {
        return Ok(Found::Other);
    };
    unambiguous(document, root)?;
    let api = root.get("apiVersion");
    if api.and_then(Node::text) != Some("apps/v1") {
        let found = api.and_then(Node::text).unwrap_or("missing").to_owned();
        return Err(Objection::new(Why::ApiVersion(found), api.unwrap_or(root)));
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
    let spec = root.get("spec").unwrap_or(root);
    let workload = Workload {
        controller,
        root,
        spec,
        pod,
        containers,
        index,
    };
    already_there(&workload)?;
    Ok(Found::Workload(workload))
}

/// An object of another kind: does it run SQL?
fn other(root: &Node) -> Found<'_> {
    let pods: [&[&str]; 3] = [
        &["spec"],
        &["spec", "template", "spec"],
        &["spec", "jobTemplate", "spec", "template", "spec"],
    ];
    let runs_sql = pods.iter().any(|path| {
        let containers = root.at(path).and_then(|pod| pod.get("containers"));
        containers.is_some_and(|containers| containers.items().iter().any(is_engine))
    });
    match runs_sql {
        true => Found::OtherKind,
        false => Found::Other,
    }
}

/// The container that runs SQL, by name where one was chosen.
fn choose(containers: &[Node], chosen: Option<&str>) -> Result<Option<usize>, Objection> {
    let all = || (0..containers.len()).collect::<Vec<_>>();
    let name = |index: usize| containers[index].text_of("name").unwrap_or("?");
    let names = |indices: &[usize]| {
        indices
            .iter()
            .map(|i| name(*i))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut engines = all();
    engines.retain(|index| is_engine(&containers[*index]));
    if let Some(chosen) = chosen {
        let index = all().into_iter().find(|index| name(*index) == chosen);
        return match (index, engines.first()) {
            (Some(index), _) => Ok(Some(index)),
            (None, None) => Ok(None),
            (None, Some(first)) => Err(Objection::new(
                Why::NoSuchContainer(chosen.to_owned(), names(&all())),
                &containers[*first],
            )),
        };
    }
    // The engine's image has tools as well: what is told to start something else is no engine.
    if engines.len() > 1 {
        let told = |index: &usize| {
            let container = &containers[*index];
            container.get("command").is_none() || mentions_engine(container)
        };
        let starting: Vec<_> = engines.iter().copied().filter(told).collect();
        if !starting.is_empty() {
            engines = starting;
        }
    }
    match engines[..] {
        [] => match containers.iter().find(|container| {
            container
                .text_of("image")
                .is_some_and(|image| image.contains("{{"))
        }) {
            Some(container) => Err(Objection::new(Why::Template, container)),
            None => Ok(None),
        },
        [index] => Ok(Some(index)),
        [first, ..] => Err(Objection::new(
            Why::SeveralContainers(names(&engines)),
            &containers[first],
        )),
    }
}

fn is_engine(container: &Node) -> bool {
    container.text_of("image").and_then(Engine::of).is_some() || mentions_engine(container)
}

fn words(container: &Node) -> impl Iterator<Item = &str> {
    let lists = ["command", "args"].into_iter();
    lists
        .filter_map(|key| container.get(key))
        .flat_map(Node::items)
        .filter_map(Node::text)
}

fn mentions_engine(container: &Node) -> bool {
    words(container).any(|word| word.contains(SQLSERVR))
}

/// The first key that is no text, or that stands twice in its map.
fn odd_key(root: &Node) -> Option<Objection> {
    let mut rest = vec![root];
    while let Some(node) = rest.pop() {
        for entry in node.entries() {
            if entry.key.text().is_none() {
                // `{{ .Values.x }}` is a map whose key is a map.
                let why = match entry.key.is_flow() {
                    true => Why::Template,
                    false => Why::KeyNoText,
                };
                return Some(Objection::new(why, &entry.key));
            }
            rest.push(&entry.value);
        }
        rest.extend(node.items());
    }
    None
}

/// A change in one place is one in that place only, and each key is there once.
fn unambiguous(document: &Document, root: &Node) -> Result<(), Objection> {
    let at = document.anchor.or(document.tag);
    if at.is_some() {
        return Err(Objection {
            why: Why::Anchor,
            at,
        });
    }
    let mut rest = vec![root];
    while let Some(node) = rest.pop() {
        let mut seen = std::collections::HashSet::new();
        for entry in node.entries() {
            let key = entry.key.text().unwrap_or_default();
            if !seen.insert(key) {
                return Err(Objection::new(Why::KeyTwice(key.to_owned()), &entry.key));
            }
            if key == "<<" && matches!(entry.key.kind, Kind::Plain(_)) {
                return Err(Objection::new(Why::Anchor, &entry.key));
            }
            rest.push(&entry.value);
        }
        rest.extend(node.items());
    }
    Ok(())
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
