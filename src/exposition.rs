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

/// The types of families in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only grows, and starts anew with the engine.
    Counter,
    /// A value that goes up and down.
    Gauge,
}

impl Kind {
    /// Returns the word after `# TYPE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// The names of a family's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Names that were known when the program was built.
    Fixed(&'static [&'static str]),
    /// Names from a file.
    Given(Vec<String>),
}

impl Labels {
    /// Returns the number of labels.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Fixed(names) => names.len(),
            Self::Given(names) => names.len(),
        }
    }

    /// Whether there is no label.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the name at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        match self {
            Self::Fixed(names) => names.get(index).copied(),
            Self::Given(names) => names.get(index).map(String::as_str),
        }
    }

    /// Returns all names, in the order in which their values are given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// A metric family: what stands in its head, and the labels that each of its samples has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyDef {
    /// The family's name, with its base unit; see [`is_metric_name`].
    pub name: Cow<'static, str>,
    /// The family's type.
    pub kind: Kind,
    /// The names of the family's labels; see [`is_label_name`].
    pub labels: Labels,
    /// The help text, one sentence.
    pub help: Cow<'static, str>,
}

impl FamilyDef {
    /// Makes a family that is known when the program is built.
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
