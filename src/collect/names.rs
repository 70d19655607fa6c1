//! The names that are taken: no family stands twice in one exposition, and no two collectors have
//! the same name.

use std::collections::{HashMap, HashSet};

use super::Metric;

/// The names that are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// The families, each with the collector or the supervisor that exposes it.
    families: HashMap<String, String>,
    collectors: HashSet<String>,
}

impl Names {
    /// Returns the names of the supervisor's own families.
    pub(crate) fn of_supervisor(names: &[String]) -> Self {
        let own = |name: &String| (name.clone(), "the supervisor".to_owned());
        Self {
            families: names.iter().map(own).collect(),
            collectors: HashSet::new(),
        }
    }

    /// Returns the collector, or the supervisor, that exposes the family.
    pub(crate) fn owner(&self, family: &str) -> Option<&str> {
        self.families.get(family).map(String::as_str)
    }

    /// Whether there is a collector of this name.
    pub(crate) fn has_collector(&self, name: &str) -> bool {
        self.collectors.contains(name)
    }

    /// Enters a collector's name alone, for a collector that exposes nothing.
    pub(crate) fn enter_collector(&mut self, name: &str) {
        self.collectors.insert(name.to_owned());
    }

    /// Enters a collector's name with the families that it exposes.
    pub(crate) fn enter<'a>(&mut self, name: &str, metrics: impl IntoIterator<Item = &'a Metric>) {
        self.enter_collector(name);
        for metric in metrics {
            let family = metric.family.name.clone().into_owned();
            self.families.insert(family, format!("collector {name}"));
        }
    }
}
