//! The mistakes of a file, gathered while it is read, and the readers of its values.

use std::path::Path;

use crate::config::ConfigErrors;
use crate::config::mistake::{Mistake, nearest};
use crate::config::raw::{Origin, Raw};
use crate::yaml::{Node, Value};

/// A file's mistakes.
pub(super) struct Notes<'a> {
    path: &'a Path,
    mistakes: Vec<Mistake>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self {
            path,
            mistakes: Vec::new(),
        }
    }

    /// Notes a mistake in the value of `key`.
    pub(super) fn value(&mut self, key: &str, node: &Node, what: &str, advice: &str) {
        let value = match &node.value {
            Value::Text(text) => Some(Raw::Text(text.clone()).excerpt()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        self.add(key, value, node.line, what, advice);
    }

    /// Notes a mistake in the key or in the place where it stands, not in its value.
    pub(super) fn line(&mut self, key: &str, line: u64, what: &str, advice: &str) {
        self.add(key, None, line, what, advice);
    }

    fn add(&mut self, key: &str, value: Option<String>, line: u64, what: &str, advice: &str) {
        self.mistakes.push(Mistake {
            setting: key.to_owned(),
            value,
            origin: Origin::File {
                path: self.path.to_owned(),
                line,
            },
            what: what.to_owned(),
            advice: advice.to_owned(),
        });
    }

    /// Returns the number of mistakes.
    pub(super) fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Returns `value` if there is no mistake, else the mistakes.
    pub(super) fn unless_any<T>(self, value: Option<T>) -> Result<T, Vec<Mistake>> {
        match (ConfigErrors::unless_empty(self.mistakes, ()), value) {
            (Err(errors), _) => Err(errors.mistakes().to_vec()),
            (Ok(()), Some(value)) => Ok(value),
            // Whoever gives nothing has noted why.
            (Ok(()), None) => Err(Vec::new()),
        }
    }
}

/// The entries of a map, with the map's place in the file.
pub(super) struct Fields<'a> {
    /// The path of the map, such as `metrics[2]`; empty for the document.
    at: String,
    line: u64,
    entries: &'a [(String, Node)],
}

impl<'a> Fields<'a> {
    /// Reads the fields of a map that may have these keys and no others.
    pub(super) fn of(
        at: &str,
        node: &'a Node,
        known: &[&str],
        notes: &mut Notes<'_>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let what = format!("is {} where a map is needed", node.value.kind());
            let at = if at.is_empty() { "file" } else { at };
            notes.value(at, node, &what, &format!("give {}", known.join(", ")));
            return None;
        };
        let fields = Self {
            at: at.to_owned(),
            line: node.line,
            entries,
        };
        for (key, node) in entries {
            if !known.contains(&key.as_str()) {
                let advice = match nearest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("these are: {}", known.join(", ")),
                };
                notes.line(
                    &fields.key(key),
                    node.line,
                    "is not a key of the format",
                    &advice,
                );
            }
        }
        Some(fields)
    }

    /// Returns `key` with the path of the map that it stands in.
    pub(super) fn key(&self, key: &str) -> String {
        match self.at.as_str() {
            "" => key.to_owned(),
            at => format!("{at}.{key}"),
        }
    }

    /// Returns the map's line.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Returns the value of `key`; an empty one counts as none.
    pub(super) fn find(&self, key: &str) -> Option<&'a Node> {
        let (_, node) = self.entries.iter().find(|(known, _)| known == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// Returns the text of `key`, if there is one.
    pub(super) fn text(&self, key: &str, notes: &mut Notes<'_>) -> Option<(&'a str, &'a Node)> {
        let node = self.find(key)?;
        let text = plain(&self.key(key), node, notes)?;
        if text.trim().is_empty() {
            notes.value(&self.key(key), node, "is empty", "give a text");
            return None;
        }
        Some((text, node))
    }

    /// Returns the text of `key`, which has to be there.
    pub(super) fn required(&self, key: &str, notes: &mut Notes<'_>) -> Option<(&'a str, &'a Node)> {
        if self.find(key).is_none() {
            notes.line(&self.key(key), self.line, "is missing", "add it");
            return None;
        }
        self.text(key, notes)
    }

    /// Returns the items of a list, each with its path; a single value is no list.
    pub(super) fn list(&self, key: &str, notes: &mut Notes<'_>) -> Vec<(String, &'a Node)> {
        let Some(node) = self.find(key) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            let what = format!("is {} where a list is needed", node.value.kind());
            notes.value(&self.key(key), node, &what, "give a list");
            return Vec::new();
        };
        let at = |index| format!("{}[{index}]", self.key(key));
        let items = items.iter().enumerate();
        items.map(|(index, node)| (at(index), node)).collect()
    }

    /// Returns the entries of a map.
    pub(super) fn map(&self, key: &str, notes: &mut Notes<'_>) -> &'a [(String, Node)] {
        let Some(node) = self.find(key) else {
            return &[];
        };
        let Value::Map(entries) = &node.value else {
            let what = format!("is {} where a map is needed", node.value.kind());
            notes.value(&self.key(key), node, &what, "give a map");
            return &[];
        };
        entries
    }
}

/// Returns the text of a scalar.
pub(super) fn plain<'a>(key: &str, node: &'a Node, notes: &mut Notes<'_>) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    let what = format!("is {} where a plain value is needed", node.value.kind());
    notes.value(key, node, &what, "give one value");
    None
}
