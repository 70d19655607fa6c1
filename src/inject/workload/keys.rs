//! Keys for which a document is not to be changed.

use std::collections::HashSet;

use super::Objection;
use crate::inject::node::{Document, Node};
use crate::inject::refusal::Why;

/// Returns the objection to the first key that is no text.
pub fn odd_key(root: &Node) -> Option<Objection> {
    let mut keys = root.walk().flat_map(Node::entries).map(|entry| &entry.key);
    let odd = keys.find(|key| key.text().is_none())?;
    // `{{ .Values.x }}` is a map whose key is a map.
    let why = match odd.is_flow() {
        true => Why::Template,
        false => Why::KeyNoText,
    };
    Some(Objection::new(why, odd))
}

/// Checks that a change in one place is one in that place only, and that no key stands twice in its map.
pub fn unambiguous(document: &Document, root: &Node) -> Result<(), Objection> {
    let at = document.anchor.or(document.tag);
    if at.is_some() {
        return Err(Objection {
            why: Why::Anchor,
            at,
        });
    }
    for node in root.walk() {
        let mut seen = HashSet::new();
        for entry in node.entries() {
            let key = entry.key.text().unwrap_or_default();
            if !seen.insert(key) && !entry.merged {
                return Err(Objection::new(Why::KeyTwice(key.to_owned()), &entry.key));
            }
        }
    }
    Ok(())
}
