//! The objects that are left as they are, and whether something in them runs SQL.

use super::choice::starts_engine;
use super::{Found, Objection};
use crate::inject::images::Engine;
use crate::inject::node::Node;
use crate::inject::refusal::Why;

/// Returns the object that makes this one, as `kind/name`, where one does.
pub fn maker(root: &Node) -> Option<String> {
    let owners = root.at(&["metadata", "ownerReferences"]).map(Node::items);
    let owner = owners
        .unwrap_or_default()
        .iter()
        .find(|owner| owner.get("controller").is_some_and(Node::is_true))?;
    let part = |key| owner.text_of(key).unwrap_or("?");
    Some(format!("{}/{}", part("kind"), part("name")))
}

/// Judges a pod none of whose containers is known to run SQL.
pub fn none_of<'a>(pod: &'a Node, containers: &'a [Node]) -> Result<Found<'a>, Objection> {
    let mut first = pod.items_of("initContainers").iter();
    let sidecar = first.find(|container| {
        let image = container.text_of("image").and_then(Engine::of);
        image.is_some()
            && container.text_of("restartPolicy") == Some("Always")
            && starts_engine(container)
    });
    if let Some(sidecar) = sidecar {
        let name = sidecar.text_of("name").unwrap_or("?").to_owned();
        return Err(Objection::new(Why::InitContainer(name), sidecar));
    }
    let unfilled = containers
        .iter()
        .filter_map(|container| container.get("image"))
        .find(|image| image.text().is_some_and(|image| image.starts_with("${")));
    match unfilled {
        Some(image) => Err(Objection::new(Why::unfilled(image), image)),
        None => Ok(Found::Other),
    }
}

/// Judges an object of another kind, by whether something in it runs SQL.
pub fn other(root: &Node) -> Result<Found<'_>, Objection> {
    let is_template = root.text_of("kind") == Some("Template") && root.get("objects").is_some();
    let mut engines = root.walk().filter(|node| {
        let image = node.text_of("image").and_then(Engine::of);
        image.is_some() && starts_engine(node)
    });
    match engines.next() {
        Some(engine) if is_template => Err(Objection::new(Why::OpenShiftTemplate, engine)),
        Some(_) => Ok(Found::OtherKind),
        None => Ok(Found::Other),
    }
}
