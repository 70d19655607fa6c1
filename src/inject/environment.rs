//! The SQL container's environment, and what of it the supervisor's container is given in the same way: by value,
//! by reference, or by `envFrom`.
//!
//! A value may name others as `$(NAME)`, which the kubelet puts in from the variables above it: those are given
//! with it.

use std::collections::BTreeMap;

use super::node::Node;
use super::value::{Value, text};
use super::workload::Workload;

/// The variables that say where the engine's files lie; those of mssql.conf are below them in rank.
pub const DIRECTORIES: [&str; 7] = [
    "MSSQL_MASTER_DATA_FILE",
    "MSSQL_MASTER_LOG_FILE",
    "MSSQL_DATA_DIR",
    "MSSQL_LOG_DIR",
    "MSSQL_BACKUP_DIR",
    "MSSQL_DUMP_DIR",
    "MSSQL_ERROR_LOG_FILE",
];

/// The engine's own name of sa's password, and the older one; the first that is there counts.
pub const PASSWORDS: [&str; 2] = ["MSSQL_SA_PASSWORD", "SA_PASSWORD"];

/// Variables for another container, collected from those of the SQL container.
#[derive(Debug)]
pub struct Copied<'a> {
    variables: &'a [Node],
    /// By their place in the SQL container's list, which is their order; with their name there.
    taken: BTreeMap<usize, String>,
    /// A reference that stands in no variable: it may come from `envFrom`.
    unknown: bool,
}

impl<'a> Copied<'a> {
    /// Nothing yet, of this workload.
    #[must_use]
    pub fn of(workload: &Workload<'a>) -> Self {
        let variables = workload.sql().get("env").map(Node::items);
        Self {
            variables: variables.unwrap_or_default(),
            taken: BTreeMap::new(),
            unknown: false,
        }
    }

    /// Takes the variable `name`, under the name `given`; false where the list has none.
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

    /// Takes what a text names as `$(NAME)`, of the variables above `before`.
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

    /// Takes what a path names (`subPathExpr`).
    pub fn take_for(&mut self, path: &str) {
        self.take_references(path, self.variables.len());
    }

    /// Whether something is named that the list does not have.
    #[must_use]
    pub const fn names_unknown(&self) -> bool {
        self.unknown
    }

    /// The variables, in their order.
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

/// The names in a text's `$(NAME)`; `$$(NAME)` is none.
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

/// The sources of `envFrom`, of the kinds that are asked for.
#[must_use]
pub fn sources(workload: &Workload<'_>, secrets: bool) -> Vec<Value> {
    let sources = workload.sql().get("envFrom").map(Node::items);
    let wanted = |source: &&Node| secrets || source.get("configMapRef").is_some();
    let wanted = sources.unwrap_or_default().iter().filter(wanted);
    wanted.map(Value::of).collect()
}

/// The text of a variable, where it stands plainly in the manifest.
#[must_use]
pub fn plain<'a>(workload: &Workload<'a>, name: &str) -> Option<&'a str> {
    let value = workload.variable(name)?.text_of("value")?;
    references(value).is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::references;

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
