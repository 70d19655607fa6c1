//! Changes of a document, as text and as meaning.
//!
//! A change of the text is an insertion behind the line, or behind the item, that it follows; only a value
//! that is replaced loses its own text. The same change of the meaning is what the result is compared with
//! before it is returned.

use std::ops::Range;

use super::node::{Entry, Kind, Node, Shared};
use super::render::{Layout, block_entries, block_items, flow, flow_entry, indented};
use super::value::Value;

/// A step of a path into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step to the value of this key.
    Key(&'static str),
    /// The step to the item of this index.
    Item(usize),
}

/// A change of the collection at the end of a path.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The path to the collection that changes.
    pub at: Vec<Step>,
    /// The change of the collection.
    pub change: Change,
}

/// A change of a collection.
#[derive(Clone, Debug)]
pub enum Change {
    /// An entry of a map is added, or gets another value.
    Set {
        /// The key of the map's entry.
        key: &'static str,
        /// The new value of the map's entry.
        value: Value,
        /// The keys that a new entry is added behind: the first of these that is there, else the last entry.
        after: &'static [&'static str],
    },
    /// Items are added at the end of a list.
    Append(Vec<Value>),
    /// Items are added at the begin of a list.
    Prepend(Vec<Value>),
}

/// The error of a change that does not fit the document, such as items for what is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced;

/// Returns the first place that a change would spoil because its text means something in several places: one
/// within what has an anchor or is an alias, or the text of an anchor that is replaced.
#[must_use]
pub fn shared(root: &Node, edits: &[Edit]) -> Option<usize> {
    let of = |node: &Node| node.shared.map(|_| node.range.start);
    edits.iter().find_map(|edit| {
        let mut node = root;
        for step in &edit.at {
            if let Some(at) = of(node) {
                return Some(at);
            }
            node = match step {
                Step::Key(key) => node.get(key),
                Step::Item(index) => node.items().get(*index),
            }?;
        }
        let replaced = match &edit.change {
            Change::Set { key, .. } => node.entries().iter().find(|entry| entry.is(key)),
            Change::Append(_) | Change::Prepend(_) => None,
        };
        let goes = replaced.filter(|entry| !entry.merged);
        of(node).or_else(|| goes.and_then(|entry| anchor_in(&entry.value)))
    })
}

/// Returns the place of an anchor in what would be replaced.
fn anchor_in(node: &Node) -> Option<usize> {
    match node.shared {
        Some(Shared::Alias) => None,
        Some(Shared::Anchor) => Some(node.range.start),
        None => {
            let entries = node.entries().iter().map(|entry| &entry.value);
            node.items().iter().chain(entries).find_map(anchor_in)
        }
    }
}

/// A text that takes the place of another.
#[derive(Debug)]
struct Splice {
    range: Range<usize>,
    text: String,
    /// The depth of the changed collection: of two splices at the same place, the deeper one comes first.
    depth: usize,
}

/// The text of the file that changes.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The whole text of the file.
    pub text: &'a str,
    /// The line break that the text uses.
    pub newline: &'a str,
}

/// Returns the whole text with the changes in its documents.
///
/// # Errors
/// When a change does not fit the document.
pub fn rewrite(
    source: Source<'_>,
    changes: &[(&Node, Layout, &[Edit])],
) -> Result<String, Misplaced> {
    let mut splices = Vec::new();
    for (root, layout, edits) in changes {
        for edit in *edits {
            splices.push(source.splice(root, *layout, edit)?);
        }
    }
    splices.sort_by_key(|splice| (splice.range.start, std::cmp::Reverse(splice.depth)));
    let mut text = String::with_capacity(source.text.len() * 2);
    let mut done = 0;
    for splice in splices {
        text.push_str(source.text.get(done..splice.range.start).ok_or(Misplaced)?);
        text.push_str(&splice.text);
        done = splice.range.end;
    }
    text.push_str(source.text.get(done..).ok_or(Misplaced)?);
    Ok(text)
}

/// Applies the changes to the meaning of a document.
///
/// # Errors
/// When a change does not fit the document.
pub fn apply(value: &mut Value, edits: &[Edit]) -> Result<(), Misplaced> {
    for edit in edits {
        let place = edit.at.iter().try_fold(&mut *value, |value, step| {
            match (value, step) {
                (Value::Map(entries), Step::Key(key)) => entries
                    .iter_mut()
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value),
                (Value::List(items), Step::Item(index)) => items.get_mut(*index),
                _ => None,
            }
            .ok_or(Misplaced)
        })?;
        match (place, &edit.change) {
            (place @ Value::Map(_), Change::Set { key, value, .. }) => {
                place.set(key, value.clone());
            }
            (Value::List(items), Change::Append(more)) => items.extend_from_slice(more),
            (Value::List(items), Change::Prepend(more)) => {
                items.splice(..0, more.iter().cloned());
            }
            _ => return Err(Misplaced),
        }
    }
    Ok(())
}

impl Source<'_> {
    fn splice(self, root: &Node, layout: Layout, edit: &Edit) -> Result<Splice, Misplaced> {
        let mut node = root;
        for step in &edit.at {
            node = match step {
                Step::Key(key) => node.get(key),
                Step::Item(index) => node.items().get(*index),
            }
            .ok_or(Misplaced)?;
        }
        let (range, text) = match (&edit.change, &node.kind) {
            (Change::Set { key, value, after }, Kind::Map { entries, flow }) => {
                match entries.iter().find(|entry| entry.is(key) && !entry.merged) {
                    Some(entry) => self.replace(&entry.value, value, layout),
                    None => {
                        let new = ((*key).to_owned(), value.clone());
                        self.add_entry(node, entries, *flow, new, after, layout)
                    }
                }
            }
            (Change::Append(new), Kind::List { items, flow }) => {
                self.append(node, items, *flow, new, layout)
            }
            (Change::Prepend(new), Kind::List { items, flow }) => {
                self.prepend(node, items, *flow, new, layout)?
            }
            _ => return Err(Misplaced),
        };
        Ok(Splice {
            range,
            text,
            depth: edit.at.len(),
        })
    }

    /// Returns the splice that puts another value in the place of one that is there.
    fn replace(self, old: &Node, new: &Value, layout: Layout) -> (Range<usize>, String) {
        let in_block = old.shared != Some(Shared::Alias)
            && matches!(
                old.kind,
                Kind::Map { flow: false, .. } | Kind::List { flow: false, .. }
            );
        let lines = match new {
            Value::Map(entries) if in_block && !entries.is_empty() => {
                block_entries(entries, layout)
            }
            Value::List(items) if in_block && !items.is_empty() => block_items(items, layout),
            _ => vec![flow(new, layout.json)],
        };
        let text: Vec<_> = indented(lines, old.column).collect();
        let text = text.join(self.newline).trim_start().to_owned();
        match in_block {
            // A comment at the end of the last line belongs to what is replaced.
            true => (old.range.start..self.line_end(old.range.end), text),
            false if old.range.is_empty() => (old.range.clone(), format!(" {text}")),
            false => (old.range.clone(), text),
        }
    }

    fn add_entry(
        self,
        node: &Node,
        entries: &[Entry],
        in_flow: bool,
        new: (String, Value),
        after: &[&str],
        layout: Layout,
    ) -> (Range<usize>, String) {
        if in_flow {
            let last = entries.iter().rfind(|entry| !entry.merged);
            let last = last.map(|entry| (entry.key.range.start, entry.value.range.end));
            return self.add_in_flow(node, last, &[flow_entry(&new, layout.json)]);
        }
        let named = after
            .iter()
            .find_map(|key| entries.iter().find(|entry| entry.is(key)));
        let end = named.map_or(node.range.end, |entry| entry.value.range.end);
        self.add_lines(end, block_entries(&[new], layout), node.column)
    }

    fn append(
        self,
        node: &Node,
        items: &[Node],
        in_flow: bool,
        new: &[Value],
        layout: Layout,
    ) -> (Range<usize>, String) {
        if in_flow {
            let last = items.last().map(|item| (item.range.start, item.range.end));
            let new: Vec<_> = new.iter().map(|item| flow(item, layout.json)).collect();
            return self.add_in_flow(node, last, &new);
        }
        self.add_lines(node.range.end, block_items(new, layout), node.column)
    }

    fn prepend(
        self,
        node: &Node,
        items: &[Node],
        in_flow: bool,
        new: &[Value],
        layout: Layout,
    ) -> Result<(Range<usize>, String), Misplaced> {
        if in_flow {
            let words: Vec<_> = new.iter().map(|item| flow(item, layout.json)).collect();
            let words = words.join(", ");
            return Ok(match items.first() {
                Some(first) => (first.range.start..first.range.start, format!("{words}, ")),
                None => self.add_in_flow(node, None, &[words]),
            });
        }
        let at = node.range.start.checked_sub(node.column).ok_or(Misplaced)?;
        let lead = self.text.get(at..node.range.start).ok_or(Misplaced)?;
        if !lead.bytes().all(|byte| byte == b' ') {
            return Err(Misplaced);
        }
        let lines = indented(block_items(new, layout), node.column);
        let text = lines.map(|line| line + self.newline).collect();
        Ok((at..at, text))
    }

    /// Returns the splice behind the last item in brackets or braces: on a line of its own where the last
    /// item has one.
    fn add_in_flow(
        self,
        node: &Node,
        last: Option<(usize, usize)>,
        new: &[String],
    ) -> (Range<usize>, String) {
        let Some((start, end)) = last else {
            let at = node.range.start + 1;
            return (at..at, new.join(", "));
        };
        let line = self.text.get(..start).unwrap_or_default();
        let lead = line.rsplit('\n').next().unwrap_or_default();
        let blank = line.contains('\n') && lead.bytes().all(|byte| byte == b' ');
        let comma = match blank && node.range.start < start - lead.len() {
            true => format!(",{}{lead}", self.newline),
            false => ", ".to_owned(),
        };
        let text = new.iter().map(|item| format!("{comma}{item}")).collect();
        (end..end, text)
    }

    /// Returns the splice of new lines behind the line in which something ends.
    fn add_lines(self, end: usize, lines: Vec<String>, column: usize) -> (Range<usize>, String) {
        let at = self.line_end(end);
        let lines = indented(lines, column);
        let text = lines
            .map(|line| format!("{}{line}", self.newline))
            .collect();
        (at..at, text)
    }

    /// Returns the end of the line in which something ends, before its line break. A block scalar ends behind
    /// its own line break.
    fn line_end(self, at: usize) -> usize {
        let (before, rest) = self.text.split_at_checked(at).unwrap_or((self.text, ""));
        let before = match before.strip_suffix('\n') {
            Some(before) => before,
            None => {
                let length = rest.find('\n').unwrap_or(rest.len());
                &self.text[..before.len() + length]
            }
        };
        before.strip_suffix('\r').unwrap_or(before).len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::node;
    use super::super::value::{map, number, texts};
    use super::*;

    const END: &[&str] = &[];

    fn set(at: &[Step], key: &'static str, value: Value, after: &'static [&'static str]) -> Edit {
        let change = Change::Set { key, value, after };
        Edit {
            at: at.to_vec(),
            change,
        }
    }

    fn rewritten(text: &str, edits: &[Edit]) -> Result<String, Misplaced> {
        let documents = node::parse(text).expect("it is YAML");
        let root = documents[0].root.as_ref().expect("it has a root");
        let source = Source {
            text,
            newline: "\n",
        };
        rewrite(source, &[(root, Layout::default(), edits)])
    }

    #[test]
    fn entries_are_put_behind_others() {
        let text = "a: 1 # one\nb:\n  c: 2\n# end\n";
        let edits = [
            set(&[], "z", number(9u32), END),
            set(&[Step::Key("b")], "d", texts(["x"]), END),
            set(&[], "a2", map([("k", number(3u32))]), &["none", "a"]),
        ];
        let result = rewritten(text, &edits).expect("they fit");
        assert_eq!(
            result,
            "a: 1 # one\na2:\n  k: 3\nb:\n  c: 2\n  d: [x]\nz: 9\n# end\n"
        );
    }

    #[test]
    fn a_value_that_is_replaced_goes_alone() {
        let new = || map([("k", number(1u32))]);
        for (text, result) in [
            ("a: 1 # one\nb: 2\n", "a: { k: 1 } # one\nb: 2\n"),
            ("a: # one\nb: 2\n", "a: { k: 1 } # one\nb: 2\n"),
            (
                "a:\n    x: 1\n    y: 2 # two\nb: 2\n",
                "a:\n    k: 1\nb: 2\n",
            ),
            ("{a: 1, b: 2}", "{a: { k: 1 }, b: 2}"),
            ("{a: , b: 2}", "{a: { k: 1 } , b: 2}"),
            ("a:\n- x\n", "a:\nk: 1\n"),
        ] {
            let edits = [set(&[], "a", new(), END)];
            assert_eq!(rewritten(text, &edits).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn a_change_without_a_place_is_refused() {
        for edit in [
            set(&[Step::Key("c")], "x", number(1u32), END),
            set(&[Step::Key("a")], "x", number(1u32), END),
            set(&[Step::Item(0)], "x", number(1u32), END),
            Edit {
                at: vec![Step::Key("b")],
                change: Change::Append(vec![]),
            },
        ] {
            let text = "a: [1]\nb: {}\n";
            assert_eq!(rewritten(text, std::slice::from_ref(&edit)), Err(Misplaced));
            let documents = node::parse(text).expect("it is YAML");
            let mut value = Value::of(documents[0].root.as_ref().expect("it has a root"));
            assert_eq!(apply(&mut value, &[edit]), Err(Misplaced));
        }
    }
}
