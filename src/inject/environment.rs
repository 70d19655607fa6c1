//! The SQL container's environment, and the part of it that the supervisor's container is given in the same
//! way: by value, by reference, or by `envFrom`.
//!
//! A value may name other variables as `$(NAME)`, which the kubelet replaces by the variables above it; those
//! are given to the supervisor as well.

use std::collections::BTreeMap;

use super::node::{Kind, Node};
use super::value::{Value, has_a_meaning, text};
use super::workload::Workload;

/// The variables for the places of the engine's files; they count before the same settings of mssql.conf.
pub const DIRECTORIES: [&str; 7] = [
    "MSSQL_MASTER_DATA_FILE",
    "MSSQL_MASTER_LOG_FILE",
    "MSSQL_DATA_DIR",
    "MSSQL_LOG_DIR",
    "MSSQL_BACKUP_DIR",
    "MSSQL_DUMP_DIR",
    "MSSQL_ERROR_LOG_FILE",
];

/// The variables for the password of `sa`: the engine's own name and the older one; the first that is set
/// counts.
pub const PASSWORDS: [&str; 2] = ["MSSQL_SA_PASSWORD", "SA_PASSWORD"];

/// The variables for another container, collected from those of the SQL container.
#[derive(Debug)]
pub struct Copied<'a> {
    variables: &'a [Node],
    /// The variables that were taken, by their place in the SQL container's list, with their name for the
    /// other container.
    taken: BTreeMap<usize, String>,
    /// Whether a reference names no variable of the list, so that it may come from `envFrom`.
    unknown: bool,
}

impl<'a> Copied<'a> {
    /// Returns an empty collection for this workload.
    #[must_use]
    pub fn of(workload: &Workload<'a>) -> Self {
        Self {
            variables: workload.sql().items_of("env"),
            taken: BTreeMap::new(),
            unknown: false,
        }
    }

    /// Takes the variable `name`, under the name `given`; returns false where the list has no such variable.
    pub fn take(&mut self, name: &str, given: &str) -> bool {
        // The last of several counts, as for the kubelet.
        let found = self
            .variables
            .iter()
            .rposition(|variable| variable.text_of("name") == Some(name));
        let Some(at) = found else { return false };
        if let Some(value) = self.variables[at].text_of("value") {
            self.take_references(value, at);
        }
        self.taken.insert(at, given.to_owned());
        true
    }

    /// Takes the variables that a text names as `$(NAME)`, out of those above `before`.
    fn take_references(&mut self, value: &str, before: usize) {
        for name in references(value) {
            let above = &self.variables[..before];
            let found = above
                .iter()
                .rposition(|variable| variable.text_of("name") == Some(name));
            match found {
                Some(at) if !self.taken.contains_key(&at) => {
                    self.taken.insert(at, name.to_owned());
                    if let Some(value) = self.variables[at].text_of("value") {
                        self.take_references(value, at);
                    }
                }
                Some(_) => {}
                None => self.unknown = true,
            }
        }
    }

    /// Takes the variables that a path names (`subPathExpr`).
    pub fn take_for(&mut self, path: &str) {
        self.take_references(path, self.variables.len());
    }

    /// Whether a reference names a variable that the list does not have.
    #[must_use]
    pub const fn names_unknown(&self) -> bool {
        self.unknown
    }

    /// Returns the variables that were taken, in their order.
    #[must_use]
    pub fn variables(&self) -> Vec<Value> {
        let taken = self.taken.iter().map(|(at, given)| {
            let mut variable = Value::of(&self.variables[*at]);
            variable.set("name", text(given));
            variable
        });
        taken.collect()
    }
}

/// Returns the names in a text's `$(NAME)`; `$$(NAME)` is none.
fn references(value: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(escaped) = rest.strip_prefix('$') {
            rest = escaped;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|named| named.split_once(')'))
        {
            names.push(name);
            rest = after;
        }
    }
    names
}

/// Returns the sources of `envFrom`: the ConfigMaps, and the Secrets too where `secrets` is set.
#[must_use]
pub fn sources(workload: &Workload<'_>, secrets: bool) -> Vec<Value> {
    let wanted = |source: &&Node| secrets || source.get("configMapRef").is_some();
    let sources = workload.sql().items_of("envFrom").iter();
    sources.filter(wanted).map(Value::of).collect()
}

/// Returns the text of a variable, where it stands in plain text in the container's own list.
#[must_use]
pub fn plain<'a>(workload: &Workload<'a>, name: &str) -> Option<&'a str> {
    let value = workload.variable(name)?.text_of("value")?;
    references(value).is_empty().then_some(value)
}

/// The SQL container's variables as far as the input shows them: in the container's own list, and in the
/// ConfigMaps and Secrets that stand in the same input.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// The names of the variables with their texts, where these are plain; the last of a name counts, as for
    /// the kubelet.
    variables: Vec<(String, Option<&'a str>)>,
    /// The ConfigMaps of `envFrom` that do not stand in the input, which may bring any variable.
    pub elsewhere: Vec<&'a str>,
    /// Whether the container has a source of `envFrom` whose names are not known here.
    pub may_bring_more: bool,
}

impl<'a> Known<'a> {
    /// Reads the container's variables, those of `envFrom` first, as the kubelet does.
    #[must_use]
    pub fn of(workload: &Workload<'a>, objects: &[&'a Node]) -> Self {
        let mut known = Self::default();
        for source in workload.sql().items_of("envFrom") {
            known.take_source(workload, source, objects);
        }
        for variable in workload.sql().items_of("env") {
            let name = variable.text_of("name").unwrap_or_default();
            let value = match variable.get("valueFrom") {
                None => variable
                    .text_of("value")
                    .filter(|value| references(value).is_empty()),
                Some(from) => of_config_map(workload, from, objects),
            };
            known.variables.push((name.to_owned(), value));
        }
        known
    }

    fn take_source(&mut self, workload: &Workload<'a>, source: &'a Node, objects: &[&'a Node]) {
        let prefix = source.text_of("prefix").unwrap_or_default();
        for (reference, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            let Some(name) = source.at(&[reference, "name"]).and_then(Node::text) else {
                continue;
            };
            let Some(object) = workload.named(objects, kind, name) else {
                // With another prefix it brings nothing that the engine reads.
                self.may_bring_more |= brings(prefix);
                if kind == "ConfigMap" && brings(prefix) {
                    self.elsewhere.push(name);
                }
                continue;
            };
            for (list, is_plain) in [("data", kind == "ConfigMap"), ("stringData", true)] {
                for entry in object.get(list).map(Node::entries).unwrap_or_default() {
                    let name = format!("{prefix}{}", entry.key.text().unwrap_or_default());
                    let value = entry.value.text().filter(|_| is_plain);
                    self.variables.push((name, value));
                }
            }
        }
    }

    /// Returns the text of a variable, where the input shows it.
    #[must_use]
    pub fn said(&self, name: &str) -> Option<&'a str> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found?.1
    }

    /// Whether the container has a variable, as far as the input shows.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.variables.iter().any(|(known, _)| known == name)
    }
}

/// Whether names that begin with this prefix can be any that the engine reads.
fn brings(prefix: &str) -> bool {
    let names = ["MSSQL_", "SA_PASSWORD"];
    names
        .iter()
        .any(|name| name.starts_with(prefix) || prefix.starts_with(name))
}

/// Returns the text that a reference to a ConfigMap of the input stands for.
fn of_config_map<'a>(
    workload: &Workload<'a>,
    from: &Node,
    objects: &[&'a Node],
) -> Option<&'a str> {
    let part = |key| from.at(&["configMapKeyRef", key]).and_then(Node::text);
    let object = workload.named(objects, "ConfigMap", part("name")?)?;
    object.at(&["data", part("key")?])?.text()
}

/// Returns the variables of the SQL container whose values are a number or a boolean in the manifest, which
/// Kubernetes refuses.
#[must_use]
pub fn not_texts<'a>(workload: &Workload<'a>) -> Vec<&'a str> {
    let is_text = |value: &Node| match &value.kind {
        Kind::Plain(text) => {
            let number = text.parse::<f64>().is_ok() && !text.contains(|c: char| c.is_alphabetic());
            value.is_null() || !(number || has_a_meaning(text))
        }
        _ => true,
    };
    let variables = workload.sql().items_of("env").iter();
    variables
        .filter(|variable| variable.get("value").is_some_and(|value| !is_text(value)))
        .filter_map(|variable| variable.text_of("name"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{brings, references};

    #[test]
    fn a_prefix_can_bring_what_the_engine_reads() {
        for (prefix, can) in [
            ("", true),
            ("MSSQL_", true),
            ("MSSQL_SA_", true),
            ("SA_", true),
            ("X_", false),
            ("APP_MSSQL_", false),
        ] {
            assert_eq!(brings(prefix), can, "{prefix}");
        }
    }

    #[test]
    fn a_reference_is_a_name_in_parentheses() {
        for (value, names) in [
            ("", &[][..]),
            ("a$b", &[]),
            ("XanAm@zing$word1", &[]),
            ("$(A)", &["A"]),
            ("x$(A)-$(B_1)/", &["A", "B_1"]),
            ("$$(A)", &[]),
            ("$$$(A)", &["A"]),
            ("$(A", &[]),
            ("cost$", &[]),
        ] {
            assert_eq!(references(value), names, "{value}");
        }
    }
}
