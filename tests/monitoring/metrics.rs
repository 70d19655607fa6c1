//! Which metrics there are, with their labels.

use std::collections::{BTreeMap, BTreeSet};

use sql_edge_supervisor::{collect, publish};

use super::promql::{Reads, Series, reads};

/// The supervisor's exposition, as its own test holds it.
const GOLDEN: &str = include_str!("../../src/publish/metrics/golden.prom");

/// Labels that Prometheus puts on every series of a target, in Kubernetes and without.
const TARGET: [&str; 8] = [
    "job",
    "instance",
    "namespace",
    "pod",
    "cluster",
    "container",
    "endpoint",
    "node",
];

/// Labels of the supervisor's metrics whose values are open, or not all in its golden exposition.
const OPEN: [&str; 4] = ["number", "version", "reason", "le"];

/// A metric's labels, each with the values that it is known to have.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Names and labels.
pub struct Known(BTreeMap<String, Labels>);

impl Known {
    /// What the supervisor exposes, every profile on, and what Prometheus adds.
    pub fn exposed() -> Self {
        let mut known = Self(BTreeMap::new());
        known.tabulated(&publish::metrics::reference());
        known.tabulated(&collect::reference());
        known.values(GOLDEN);
        known.collectors(&collect::reference());
        for (name, labels) in &known.0 {
            for label in labels.keys() {
                assert!(
                    !TARGET.contains(&label.as_str()),
                    "{name}: Prometheus would rename its label {label} to exported_{label}"
                );
            }
        }
        known.add("up", []);
        known.add("ALERTS", ["alertname", "alertstate", "severity"]);
        known
    }

    /// Takes in one of the README's tables: a row has the name and the labels in backquotes, the type
    /// as a word.
    fn tabulated(&mut self, table: &str) {
        for row in table.lines().skip(2) {
            let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
            let name = cells.find(|cell| cell.starts_with('`')).expect("a name");
            let name = name.trim_matches('`');
            let kind = cells.next().expect("a type");
            let labels = cells.next().expect("labels").split(',');
            let labels = labels.map(|label| label.trim().trim_matches('`'));
            let labels: Vec<_> = labels.filter(|label| !label.is_empty()).collect();
            if kind == "histogram" {
                let bucket = labels.iter().copied().chain(["le"]);
                self.add(&format!("{name}_bucket"), bucket);
                self.add(&format!("{name}_sum"), labels.iter().copied());
                self.add(&format!("{name}_count"), labels);
            } else {
                self.add(name, labels);
            }
        }
    }

    /// Takes in the values of labels from an exposition.
    fn values(&mut self, exposition: &str) {
        for line in exposition.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').expect("a series and a value");
            for series in reads(series).series {
                let known = self.0.get_mut(&series.name);
                let known = known.unwrap_or_else(|| panic!("{} is in no table", series.name));
                for (label, value) in series.matchers {
                    known.entry(label).or_default().insert(value);
                }
            }
        }
    }

    /// A collector's name is what the table says, whatever an example calls it.
    fn collectors(&mut self, table: &str) {
        let names = table
            .lines()
            .skip(2)
            .filter_map(|row| row.split(" | ").next());
        let names: BTreeSet<_> = names
            .map(|name| name.trim_matches(['|', ' ']).to_owned())
            .collect();
        for values in self
            .0
            .values_mut()
            .filter_map(|labels| labels.get_mut("collector"))
        {
            values.clone_from(&names);
        }
    }

    pub fn add<'a>(&mut self, name: &str, labels: impl IntoIterator<Item = &'a str>) {
        let known = self.0.entry(name.to_owned()).or_default();
        for label in labels {
            known.entry(label.to_owned()).or_default();
        }
    }

    /// The labels of a metric; none where there is no such metric.
    pub fn labels(&self, name: &str) -> Vec<String> {
        let labels = self.0.get(name).into_iter().flat_map(Labels::keys);
        labels.cloned().collect()
    }

    /// What is wrong with an expression: metrics that do not exist, labels that they do not have, values
    /// that these never have.
    pub fn mistakes(&self, reads: &Reads, legend: &[String]) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut all: BTreeSet<&str> = TARGET.into();
        for Series { name, matchers } in &reads.series {
            let Some(labels) = self.0.get(name) else {
                mistakes.push(format!("there is no metric {name}"));
                continue;
            };
            all.extend(labels.keys().map(String::as_str));
            for (label, pattern) in matchers {
                match labels.get(label) {
                    None if TARGET.contains(&label.as_str()) => {}
                    None => mistakes.push(format!("{name} has no label {label}")),
                    Some(values) if values.is_empty() || OPEN.contains(&label.as_str()) => {}
                    Some(values) => {
                        let strange = pattern.split('|').filter(|value| !values.contains(*value));
                        mistakes.extend(strange.map(|v| format!("{name}: {label} is never {v}")));
                    }
                }
            }
        }
        for label in reads.grouping.iter().chain(legend) {
            if !all.contains(label.as_str()) {
                mistakes.push(format!("no series has the label {label}"));
            }
        }
        mistakes
    }
}
