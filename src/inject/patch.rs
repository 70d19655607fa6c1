//! The changes as a strategic merge patch, for `kubectl patch` and kustomize: it merges lists whose items
//! have a name, and what is to be removed is null.

use super::edit::{Change, Edit, Step};
use super::node::Node;
use super::value::{Value, map, null};
use super::workload::Workload;

/// Returns the patch that changes the workload as the edits do.
#[must_use]
pub fn patch(workload: &Workload<'_>, edits: &[Edit]) -> Value {
    let root = workload.root;
    let mut metadata = map([("name", of(root.at(&["metadata", "name"])))]);
    if let Some(namespace) = root.at(&["metadata", "namespace"]) {
        metadata.set("namespace", Value::of(namespace));
    }
    let mut patch = map([
        ("apiVersion", of(root.get("apiVersion"))),
        ("kind", of(root.get("kind"))),
        ("metadata", metadata),
    ]);
    for edit in edits {
        // The edits are the document's, and a List has its objects deeper.
        let at = edit.at.get(workload.base.len()..).unwrap_or_default();
        merge(&mut patch, overlay(root, at, &edit.change));
    }
    patch
}

fn of(node: Option<&Node>) -> Value {
    node.map_or_else(null, Value::of)
}

/// Returns a change, with nothing but the path to it.
fn overlay(node: &Node, path: &[Step], change: &Change) -> Value {
    match (path, change) {
        ([], Change::Set { key, value, .. }) => map([(*key, replacement(node.get(key), value))]),
        ([], Change::Append(new)) => Value::List(new.clone()),
        // `command`, which is one value and merged by nothing.
        ([], Change::Prepend(new)) => {
            let old = node.items().iter().map(Value::of);
            Value::List(new.iter().cloned().chain(old).collect())
        }
        (
            [
                Step::Key(key @ ("initContainers" | "containers")),
                rest @ ..,
            ],
            change,
        ) => {
            // Their order counts, and not all mergers keep it: all that are there are named first.
            let mut list = Value::List(node.items_of(key).iter().map(name_of).collect());
            if let Some(below) = node.get(key) {
                merge(&mut list, overlay(below, rest, change));
            }
            map([(*key, list)])
        }
        ([Step::Key(key), rest @ ..], change) => match node.get(key) {
            Some(below) => map([(*key, overlay(below, rest, change))]),
            None => map([]),
        },
        ([Step::Item(index), rest @ ..], change) => match node.items().get(*index) {
            Some(item) => {
                let mut named = name_of(item);
                merge(&mut named, overlay(item, rest, change));
                Value::List(vec![named])
            }
            None => Value::List(vec![]),
        },
    }
}

fn name_of(item: &Node) -> Value {
    map([("name", of(item.get("name")))])
}

/// Returns a value for the place of the old one. Keys that only the old one has become null, as the merge
/// would keep them.
fn replacement(old: Option<&Node>, new: &Value) -> Value {
    let (Some(old), Value::Map(_)) = (old, new) else {
        return new.clone();
    };
    let mut new = new.clone();
    for entry in old.entries() {
        let key = entry.key.text().unwrap_or_default();
        let value = match new.get(key) {
            Some(value) => replacement(Some(&entry.value), value),
            None => null(),
        };
        new.set(key, value);
    }
    new
}

/// Lays one overlay over another.
fn merge(onto: &mut Value, overlay: Value) {
    match (onto, overlay) {
        (onto @ Value::Map(_), Value::Map(entries)) => {
            for (key, value) in entries {
                match onto.get_mut(&key) {
                    Some(there) => merge(there, value),
                    None => onto.set(&key, value),
                }
            }
        }
        (Value::List(there), Value::List(items)) => {
            for item in items {
                let same = |value: &&mut Value| {
                    item.get("name").is_some() && value.get("name") == item.get("name")
                };
                match there.iter_mut().find(same) {
                    Some(value) => merge(value, item),
                    None => there.push(item),
                }
            }
        }
        (onto, overlay) => *onto = overlay,
    }
}
