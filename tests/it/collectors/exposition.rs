//! Prometheus' text format, read.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub struct Exposition {
    /// The type of each family.
    pub kinds: BTreeMap<String, String>,
    /// Name, labels, value.
    pub samples: Vec<(String, Labels, f64)>,
}

impl Exposition {
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                let before = found.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} has two heads");
            } else if !line.starts_with('#') && !line.is_empty() {
                found.samples.push(sample(line));
            }
        }
        found
    }

    pub fn has(&self, family: &str) -> bool {
        self.kinds.contains_key(family)
    }

    /// The value of the one series with these labels among its own; none where there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted = |found: &Labels| {
            labels
                .iter()
                .all(|(label, value)| found.get(*label).is_some_and(|found| found == value))
        };
        let mut all = self
            .samples
            .iter()
            .filter(|(found, with, _)| found == name && wanted(with));
        let first = all.next().map(|(_, _, value)| *value);
        assert!(
            all.next().is_none(),
            "{name} {labels:?} is more than one series"
        );
        first
    }

    /// The sum over all series of a family.
    pub fn sum(&self, name: &str) -> f64 {
        let all = self.samples.iter().filter(|(found, ..)| found == name);
        all.map(|(_, _, value)| value).sum()
    }

    /// Names of the labels of a family's series, which are the same for all of them.
    pub fn labels(&self, name: &str) -> BTreeSet<String> {
        let mut all = self.samples.iter().filter(|(found, ..)| found == name);
        let (_, first, _) = all.next().unwrap_or_else(|| panic!("{name} has no series"));
        let names = |labels: &Labels| labels.keys().cloned().collect::<BTreeSet<_>>();
        assert!(
            all.all(|(_, labels, _)| names(labels) == names(first)),
            "{name}"
        );
        names(first)
    }

    /// The databases that a family has series of.
    pub fn databases(&self, name: &str) -> BTreeSet<String> {
        let all = self.samples.iter().filter(|(found, ..)| found == name);
        all.filter_map(|(_, labels, _)| labels.get("database").or_else(|| labels.get("db")))
            .filter(|name| !name.is_empty())
            .cloned()
            .collect()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
    let value = value.parse().expect("a number");
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let mut rest = rest.strip_suffix('}').expect("labels end");
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a label and its value");
        let (value, after) = quoted(after);
        labels.insert(label.to_owned(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), labels, value)
}

/// A value up to its quote, and what comes after.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    panic!("a value without end: {text}");
}
