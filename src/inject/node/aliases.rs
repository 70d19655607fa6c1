//! Anchors, aliases and merge keys: text that stands in one place and means something in several.
//!
//! An alias is replaced by the value that it stands for, so that the manifest is understood;
//! [`super::Shared`] records that a change of that value would be one in several places.

use std::collections::HashMap;

use super::{Entry, Kind, MAX_NODES, Node, Shared};

/// The nodes with an anchor in a document, by the parser's number for it.
#[derive(Debug, Default)]
pub struct Anchors {
    nodes: HashMap<usize, Node>,
    /// The number of nodes that aliases have stood for: ten lines of them can mean a thousand million.
    copied: usize,
}

impl Anchors {
    /// Keeps a node, which has to be whole, under its anchor; 0 is no anchor.
    pub fn keep(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.nodes.insert(anchor, node.clone());
        }
    }

    /// Returns the value that an alias stands for; none where that is not whole yet, or is too much.
    pub fn stand_in(&mut self, anchor: usize) -> Option<Kind> {
        let node = self.nodes.get(&anchor)?;
        self.copied = self.copied.saturating_add(node.walk().count());
        (self.copied <= MAX_NODES).then(|| node.kind.clone())
    }
}

/// Adds the entries that `<<` brings to a map and that the map does not have itself; of several maps the
/// first counts.
pub fn merge(node: &mut Node) {
    let Kind::Map { entries, .. } = &mut node.kind else {
        return;
    };
    let is_merge = |entry: &&Entry| matches!(&entry.key.kind, Kind::Plain(key) if key == "<<");
    let Some(source) = entries.iter().find(is_merge) else {
        return;
    };
    let maps = match &source.value.kind {
        Kind::Map { .. } => std::slice::from_ref(&source.value),
        Kind::List { items, .. } => items,
        _ => return,
    };
    let mut brought: Vec<Entry> = Vec::new();
    for entry in maps.iter().flat_map(Node::entries) {
        let key = entry.key.text();
        let there = |other: &Entry| other.key.text() == key;
        if key.is_none()
            || key == Some("<<")
            || entries.iter().any(there)
            || brought.iter().any(there)
        {
            continue;
        }
        let mut entry = entry.clone();
        entry.merged = true;
        entry.value.shared = Some(Shared::Alias);
        brought.push(entry);
    }
    entries.extend(brought);
}

#[cfg(test)]
mod tests {
    use super::super::{Document, parse};
    use super::*;

    fn document(text: &str) -> Document {
        parse(text).expect("it is YAML").remove(0)
    }

    #[test]
    fn an_alias_means_what_it_stands_for() {
        let document = document("a: &x { b: [1, 2] }\nc: *x\nd: &y e\nf: *y\n");
        let root = document.root.as_ref().expect("a root");
        assert_eq!(root.at(&["c", "b"]).map(|list| list.items().len()), Some(2));
        assert_eq!(root.text_of("f"), Some("e"));
        let shared = ["a", "c", "d", "f"].map(|key| root.get(key).and_then(|node| node.shared));
        let (anchor, alias) = (Some(Shared::Anchor), Some(Shared::Alias));
        assert_eq!(shared, [anchor, alias, anchor, alias]);
    }

    #[test]
    fn a_merge_brings_what_is_not_there() {
        let document = document(
            "x: &x { a: 1, b: 2 }\ny: &y { b: 3, c: 4 }\nz: { a: 9, <<: [*x, *y] }\nw: { <<: *x }\n",
        );
        let root = document.root.as_ref().expect("a root");
        let of = |map: &str, key: &str| root.get(map).and_then(|map| map.text_of(key));
        assert_eq!(
            ["a", "b", "c"].map(|key| of("z", key)),
            [Some("9"), Some("2"), Some("4")]
        );
        assert_eq!(of("w", "b"), Some("2"));
    }

    #[test]
    fn what_stands_for_itself_or_for_too_much_is_noted() {
        assert!(document("a: &a [*a]\n").anchor.is_some());
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(document(&text).anchor.is_some());
    }
}
