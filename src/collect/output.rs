//! The only way for a collector to expose anything: profiles, filters and the cap are applied here.

use super::databases::{Databases, Place};
use super::{Metric, Profiles};
use crate::exposition::Families;

/// Labels whose value is the name of a database.
const DATABASE_LABELS: [&str; 2] = ["db", "database"];

/// The sink for the samples of a collector.
pub(crate) struct Output<'a> {
    families: &'a mut Families,
    databases: &'a mut Databases,
    profiles: Profiles,
    explanation: Option<String>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        families: &'a mut Families,
        databases: &'a mut Databases,
        profiles: Profiles,
    ) -> Self {
        Self {
            families,
            databases,
            profiles,
            explanation: None,
        }
    }

    /// Keeps the explanation, for the log, why a reading fails. It holds no text of the engine's.
    pub(crate) fn explain(&mut self, explanation: String) {
        self.explanation = Some(explanation);
    }

    /// Returns the explanation that was kept, if there is one.
    pub(crate) fn into_explanation(self) -> Option<String> {
        self.explanation
    }

    /// Whether anything of this database would be exposed. Samples are checked anyway: asking first
    /// saves a reading from keeping what would be dropped.
    pub(crate) fn admits(&mut self, database: &str) -> bool {
        self.databases.place(database) == Place::Shown
    }

    /// Exposes a sample, if one of the metric's profiles is on and its database, if it has one, is
    /// shown. `labels` are the values of the family's labels, in their order.
    pub(crate) fn sample(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        if !self.profiles.intersects(metric.profiles) {
            return;
        }
        let named = metric.family.labels.iter().zip(labels);
        // A sample without a database belongs to the whole instance.
        let database = named
            .filter(|(name, value)| DATABASE_LABELS.contains(name) && !value.is_empty())
            .map(|(_, value)| *value)
            .next();
        match database.map_or(Place::Shown, |name| self.databases.place(name)) {
            Place::Shown => self.families.sample(&metric.family, labels, value),
            Place::Filtered => {}
            Place::BeyondCap => self.families.leave_out(),
        }
    }

    /// Counts a series of this metric that the collector leaves out, if a profile that is on wants
    /// the metric.
    pub(crate) fn leave_out(&mut self, metric: &Metric) {
        if self.profiles.intersects(metric.profiles) {
            self.families.leave_out();
        }
    }

    /// Exposes a sample as [`Self::sample`] does, if there is a value.
    pub(crate) fn maybe(&mut self, metric: &Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.sample(metric, labels, value);
        }
    }
}
