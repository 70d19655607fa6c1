//! Samples that are made at the scrape.
//!
//! What mirrors something else, such as a kernel's counter or the last decision, is not kept in an
//! instrument that would have to be set again and again: it is turned into samples at the scrape.
//! That is also how a counter can show a value that the kernel counts: the crate's own counters can
//! only be added to.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::catalogue::{Kind, Row};

/// Families under construction.
#[derive(Debug, Default)]
pub struct Families {
    families: Vec<MetricFamily>,
}

impl Families {
    /// Adds a sample. The samples of one metric are added one after the other.
    pub fn sample(&mut self, row: &Row, labels: &[&str], value: f64) {
        debug_assert_eq!(row.labels.len(), labels.len(), "{}", row.name);
        let pairs = row.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        let kind = match row.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
                MetricType::COUNTER
            }
            // Histograms are instruments; nothing mirrors one.
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
                MetricType::GAUGE
            }
        };
        match self.families.last_mut() {
            Some(family) if family.name() == row.name => family.mut_metric().push(metric),
            _ => {
                let mut family = MetricFamily::default();
                family.set_name(row.name.to_owned());
                family.set_help(row.help.to_owned());
                family.set_field_type(kind);
                family.set_metric(vec![metric]);
                self.families.push(family);
            }
        }
    }

    /// Adds a sample without labels, if there is a value.
    pub fn maybe(&mut self, row: &Row, value: Option<f64>) {
        if let Some(value) = value {
            self.sample(row, &[], value);
        }
    }

    /// Returns all families.
    pub fn into_vec(self) -> Vec<MetricFamily> {
        self.families
    }
}

/// Returns a number as a sample's value. Prometheus has only floating point; past 2^53 the last
/// digits are lost.
#[allow(clippy::cast_precision_loss)] // see above
pub fn number(value: u64) -> f64 {
    value as f64
}

/// Returns 1 for true and 0 for false.
pub fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}
