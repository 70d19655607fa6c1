//! YAML with its places: the values of a text and where they stand, so that text can be put between them.
//!
//! The tree keeps offsets into the text and nothing of its layout: comments, blank lines, quotes and widths
//! stay what they are because they are never written anew.

mod aliases;

use std::ops::Range;

use aliases::Anchors;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

/// The limit of nodes in a file: a thousand times what a Deployment has, and some 20 MiB of memory.
pub const MAX_NODES: usize = 200_000;

/// The limit of collections within collections; a pod has a dozen.
const MAX_DEPTH: usize = 64;

/// A document of a YAML stream.
#[derive(Debug, Default)]
pub struct Document {
    /// The root node of the document; none where the document is empty.
    pub root: Option<Node>,
    /// The offset of the first alias that can't be replaced: it stands within its own anchor, or for too
    /// much.
    pub anchor: Option<usize>,
    /// The offset of the first tag that is not one of YAML's own.
    pub tag: Option<usize>,
}

/// A value and the place where it stands in the text.
#[derive(Clone, Debug)]
pub struct Node {
    /// The kind of the value, with its content.
    pub kind: Kind,
    /// The range of the value's text. A block collection ends where the last thing in it ends, and an
    /// implicit null is an empty range behind its key.
    pub range: Range<usize>,
    /// The column that the value begins in, counted from 0; of a block sequence that of its dashes.
    pub column: usize,
    /// Whether the value stands in several places of the document, and in which way.
    pub shared: Option<Shared>,
}

/// The way in which a value stands in several places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The value's text stands here, and aliases refer to it.
    Anchor,
    /// The value's text stands elsewhere, and so do the places of what is in it.
    Alias,
}

/// The kind of a node, with its content.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A plain scalar.
    Plain(String),
    /// A scalar in quotes, or a block scalar: a text whatever it looks like.
    Text(String),
    /// A list.
    List {
        /// Whether the list is written in brackets.
        flow: bool,
        /// The items of the list.
        items: Vec<Node>,
    },
    /// A map.
    Map {
        /// Whether the map is written in braces.
        flow: bool,
        /// The entries of the map, in their order.
        entries: Vec<Entry>,
    },
    /// An alias (`*name`) that can't be replaced; the document is not to be changed.
    Alias,
}

/// An entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key of the entry.
    pub key: Node,
    /// The value of the entry.
    pub value: Node,
    /// Whether the entry comes from another map, by `<<`, and does not stand here.
    pub merged: bool,
}

/// The reason for which a text is not understood.
#[derive(Debug)]
pub enum NotYaml {
    /// The text is not YAML, with the parser's error.
    Scan(ScanError),
    /// The text has more nodes than [`MAX_NODES`].
    TooMany,
}

impl Node {
    /// Returns the value behind a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.is(key))?;
        Some(&entry.value)
    }

    /// Returns the value at the end of a path of keys.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Returns the entries of a map; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List { items, .. } => items,
            _ => &[],
        }
    }

    /// Returns the items of the list behind a key; none where there is no list.
    #[must_use]
    pub fn items_of(&self, key: &str) -> &[Self] {
        self.get(key).map(Self::items).unwrap_or_default()
    }

    /// Returns this node and all that are in it, keys left out, in the order of the text.
    pub fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut rest = vec![self];
        std::iter::from_fn(move || {
            let node = rest.pop()?;
            rest.extend(node.items().iter().rev());
            rest.extend(node.entries().iter().rev().map(|entry| &entry.value));
            Some(node)
        })
    }

    /// Returns the text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) | Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the text behind a key.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// Whether the node is null, written or left out.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether the node is `true`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        matches!(&self.kind, Kind::Plain(text) if matches!(text.as_str(), "true" | "True" | "TRUE"))
    }

    /// Whether the node is written in brackets or braces.
    #[must_use]
    pub fn is_flow(&self) -> bool {
        matches!(
            self.kind,
            Kind::List { flow: true, .. } | Kind::Map { flow: true, .. }
        )
    }
}

impl Entry {
    /// Whether the entry has this key.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.key.text() == Some(key)
    }
}

/// Parses a stream of YAML documents.
///
/// # Errors
/// When the text is not YAML, or has too many nodes.
pub fn parse(text: &str) -> Result<Vec<Document>, NotYaml> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader = Reader {
        text,
        documents: Vec::new(),
        document: Document::default(),
        open: Vec::new(),
        anchors: Anchors::default(),
    };
    let events = Parser::new_from_str_with_options(text, options);
    for (count, event) in events.enumerate() {
        if count > MAX_NODES {
            return Err(NotYaml::TooMany);
        }
        let (event, span) = event.map_err(NotYaml::Scan)?;
        reader.take(&event, &span);
    }
    Ok(reader.documents)
}

struct Reader<'a> {
    text: &'a str,
    documents: Vec<Document>,
    document: Document,
    open: Vec<Open>,
    anchors: Anchors,
}

/// A collection whose end has not been read yet.
struct Open {
    node: Node,
    /// The key of a map whose value comes next.
    key: Option<Node>,
    /// The number of the collection's anchor; 0 where it has none.
    anchor: usize,
}

impl Reader<'_> {
    fn take(&mut self, event: &Event<'_>, span: &Span) {
        let range = span.byte_range().unwrap_or_default();
        self.note(event, range.start);
        let column = span.start.col();
        let node = |kind, anchor: usize| Node {
            kind,
            range: range.clone(),
            column,
            shared: (anchor != 0).then_some(Shared::Anchor),
        };
        match event {
            Event::DocumentStart(..) => {
                self.document = Document::default();
                self.anchors = Anchors::default();
            }
            Event::DocumentEnd => self.documents.push(std::mem::take(&mut self.document)),
            Event::Scalar(text, style, anchor, _) => {
                let text = text.to_string();
                let kind = match style {
                    ScalarStyle::Plain => Kind::Plain(text),
                    _ => Kind::Text(text),
                };
                let node = node(kind, *anchor);
                self.anchors.keep(*anchor, &node);
                self.close(node);
            }
            Event::Alias(anchor) => {
                let kind = self.anchors.stand_in(*anchor);
                if kind.is_none() {
                    self.document.anchor.get_or_insert(range.start);
                }
                let mut alias = node(kind.unwrap_or(Kind::Alias), 0);
                alias.shared = Some(Shared::Alias);
                self.close(alias);
            }
            Event::SequenceStart(style, anchor, _) => {
                let items = Vec::new();
                let flow = *style == StructureStyle::Flow;
                self.begin(node(Kind::List { flow, items }, *anchor), *anchor);
            }
            Event::MappingStart(style, anchor, _) => {
                let entries = Vec::new();
                let flow = *style == StructureStyle::Flow;
                self.begin(node(Kind::Map { flow, entries }, *anchor), *anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open {
                    mut node, anchor, ..
                }) = self.open.pop()
                else {
                    return;
                };
                node.range.end = match node.is_flow() {
                    true => range.end,
                    false => end_of_content(&node),
                };
                aliases::merge(&mut node);
                self.anchors.keep(anchor, &node);
                self.close(node);
            }
            _ => {}
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) {
        let key = None;
        self.open.push(Open { node, key, anchor });
    }

    /// Remembers a tag, which makes the document one that is not to be changed.
    fn note(&mut self, event: &Event<'_>, at: usize) {
        let (Event::Scalar(_, _, _, tag)
        | Event::SequenceStart(_, _, tag)
        | Event::MappingStart(_, _, tag)) = event
        else {
            return;
        };
        if tag.as_ref().is_some_and(|tag| !tag.is_yaml_core_schema()) {
            self.document.tag.get_or_insert(at);
        }
    }

    /// Puts a node that is whole into the collection that it belongs to.
    fn close(&mut self, mut node: Node) {
        let Some(parent) = self.open.last_mut() else {
            self.document.root = Some(node);
            return;
        };
        match &mut parent.node.kind {
            Kind::List { items, .. } => items.push(node),
            Kind::Map { entries, .. } => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => {
                    if node.is_null() && node.range.is_empty() {
                        let at = behind_colon(self.text, key.range.end);
                        node.range = at..at;
                    }
                    let is_here = node.shared != Some(Shared::Alias);
                    if is_here && matches!(node.kind, Kind::List { flow: false, .. }) {
                        let begin = (node.range.start, node.column);
                        let dash = dash(self.text, &key);
                        (node.range.start, node.column) = dash.unwrap_or(begin);
                    }
                    entries.push(Entry {
                        key,
                        value: node,
                        merged: false,
                    });
                }
            },
            Kind::Plain(_) | Kind::Text(_) | Kind::Alias => {}
        }
    }
}

/// Returns the end of the last thing in a block collection.
fn end_of_content(node: &Node) -> usize {
    match &node.kind {
        Kind::List { items, .. } => items.last().map(|item| item.range.end),
        Kind::Map { entries, .. } => entries.last().map(|entry| entry.value.range.end),
        _ => None,
    }
    .unwrap_or(node.range.end)
}

/// Returns the first dash of a list behind a key, and its column: the first thing on the lines below the key.
/// Where the dashes stand below the key's first letter, the parser reports the first item as the begin of the
/// list.
fn dash(text: &str, key: &Node) -> Option<(usize, usize)> {
    let rest = text.get(key.range.end..)?;
    let mut at = key.range.end + rest.find('\n')? + 1;
    for line in text.get(at..)?.split_inclusive('\n') {
        let thing = line.trim_start();
        let column = line.len() - thing.len();
        match thing.bytes().next() {
            None | Some(b'#') => at += line.len(),
            Some(b'-') => return Some((at + column, column)),
            Some(_) => return None,
        }
    }
    None
}

/// Returns the place behind the colon that follows a key that ends at `from`; `from` itself where there is
/// none, as in `{a, b}`.
fn behind_colon(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    match rest.as_bytes().get(blanks) {
        Some(b':') => from + blanks + 1,
        _ => from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        let mut documents = parse(text).expect("it is YAML");
        documents.remove(0).root.expect("it has a root")
    }

    /// Returns the text of the value behind a path of keys.
    fn at<'t>(text: &'t str, path: &[&str]) -> &'t str {
        let root = root(text);
        &text[root.at(path).expect("it is there").range.clone()]
    }

    #[test]
    fn a_value_stands_where_it_stands() {
        let text = "a: 1 # one\nb:\n  - x\n  - 'y' # why\nc: {d: [e, f], g}\nh:\n- i: |\n    j\n  k:\nl: end";
        for (path, value) in [
            (&["a"][..], "1"),
            (&["b"], "- x\n  - 'y'"),
            (&["c"], "{d: [e, f], g}"),
            (&["c", "d"], "[e, f]"),
            (&["c", "g"], ""),
            (&["h"], "- i: |\n    j\n  k:"),
            (&["l"], "end"),
        ] {
            assert_eq!(at(text, path), value, "{path:?}");
        }
        let root = root(text);
        let columns = ["b", "c", "h"].map(|key| root.get(key).map(|node| node.column));
        assert_eq!(columns, [Some(2), Some(3), Some(0)]);
    }

    #[test]
    fn a_list_begins_with_its_dash() {
        for (text, start, column) in [
            ("a:\n- b\n", 3, 0),
            ("a:\n  - b\n", 5, 2),
            ("a: # - c\n# - d\n\n- b\n", 16, 0),
            ("x:\n  a:\n  -\n    b: c\n", 10, 2),
            ("a:\n- - b\n", 3, 0),
            ("- a:\n  - b\n", 7, 2),
            ("\"a\":\r\n- b\r\n", 6, 0),
        ] {
            let root = root(text);
            let map = root.items().first().unwrap_or(&root);
            let map = map.get("x").unwrap_or(map);
            let list = map.get("a").expect("it is there");
            assert_eq!((list.range.start, list.column), (start, column), "{text:?}");
        }
    }

    #[test]
    fn what_makes_a_change_ambiguous_is_noted() {
        for (text, anchor, tag) in [
            ("a: &b c\n", false, false),
            ("a: &b {}\nd: *b\n", false, false),
            ("a: &b [*b]\n", true, false),
            ("a: !b c\n", false, true),
            ("a: !!str c\n", false, false),
            ("a: '*b &c !d'\n", false, false),
        ] {
            let document = &parse(text).expect("it is YAML")[0];
            assert_eq!(
                (document.anchor.is_some(), document.tag.is_some()),
                (anchor, tag),
                "{text}"
            );
        }
    }

    #[test]
    fn depth_and_number_are_limited() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        assert!(matches!(parse(&deep), Err(NotYaml::Scan(_))));
        let many = "- a\n".repeat(MAX_NODES);
        assert!(matches!(parse(&many), Err(NotYaml::TooMany)));
    }
}
