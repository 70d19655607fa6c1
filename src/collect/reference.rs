//! The table of the built-in collectors in docs/metrics.md.

use std::fmt::Write as _;

use super::{Metric, builtin};

/// Returns the table of every family of every built-in collector, between
/// `<!-- collectors:begin -->` and `<!-- collectors:end -->`.
#[must_use]
pub fn reference() -> String {
    let mut table = String::from(
        "| collector | metric | type | labels | profiles | meaning |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for collector in builtin::all() {
        for metric in collector.metrics() {
            row(&mut table, collector.name(), metric);
        }
    }
    table
}

fn row(table: &mut String, collector: &str, metric: &Metric) {
    let family = &metric.family;
    let labels: Vec<_> = family.labels.iter().map(|l| format!("`{l}`")).collect();
    // Writing to a String can't fail.
    let _ = writeln!(
        table,
        "| {collector} | `{}` | {} | {} | {} | {} |",
        family.name,
        family.kind.word(),
        labels.join(", "),
        metric.profiles.words().join(", "),
        family.help
    );
}
