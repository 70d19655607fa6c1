//! Prometheus' text exposition format 0.0.4, as the collectors write it and `/metrics` serves it.
//!
//! A collection is rendered once, into a [`Fragment`]: the bytes of its families and the same bytes
//! compressed. A scrape joins fragments and renders nothing. [`Families`] is the only way to make
//! one, so that whatever an engine answers, what is served is valid: values of labels are escaped
//! and bounded, no series stands twice, a family's samples stand together under one head, and the
//! size has a limit whose excess is counted.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>.
//!
//! **Architecture invariant:** this module imports nothing of the crate. [`crate::collect`] writes
//! with it, [`crate::publish`] serves what was written, and neither knows of the other.

mod families;
mod fragment;
mod gzip;
mod report;
mod text;

use std::borrow::Cow;

pub use families::{Families, MAX_FRAGMENT_BYTES};
pub use fragment::Fragment;
pub use report::{CollectorReport, Exposition, Outcome};
pub use text::{MAX_LABEL_VALUE_BYTES, is_label_name, is_metric_name};

/// The types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts anew with the engine.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Neither is promised: names that exporters disagree on.
    Untyped,
}

impl Kind {
    /// The word after `# TYPE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// The names of a family's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Known when this was built.
    Fixed(&'static [&'static str]),
    /// From a file.
    Given(Vec<String>),
}

impl Labels {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Fixed(names) => names.len(),
            Self::Given(names) => names.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        match self {
            Self::Fixed(names) => names.get(index).copied(),
            Self::Given(names) => names.get(index).map(String::as_str),
        }
    }

    /// All of them, in the order in which their values are given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// One metric family: what stands in its head, and the labels that each of its samples has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyDef {
    /// Its name, with its base unit; see [`is_metric_name`].
    pub name: Cow<'static, str>,
    /// Its type.
    pub kind: Kind,
    /// Its labels; see [`is_label_name`].
    pub labels: Labels,
    /// What it says, one sentence.
    pub help: Cow<'static, str>,
}

impl FamilyDef {
    /// One that is known when this is built.
    #[must_use]
    pub const fn fixed(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kind,
            labels: Labels::Fixed(labels),
            help: Cow::Borrowed(help),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
