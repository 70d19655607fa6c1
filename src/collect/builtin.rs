//! The collectors that are built in, one file each.
//!
//! # Names
//!
//! Families belong to profiles. There are the names of three exporters that people have dashboards
//! for, and `sql_edge_*`, the supervisor's own in base units. Where exporters share a name, it is
//! one family with the labels of all of them, and its type is what the values are: a counter where
//! they only grow, though awaragi's exporter calls everything a gauge.
//!
//! # SQL
//!
//! The batches use documented views and columns of the 15.0 engine alone, without CLR (FORMAT, AT
//! TIME ZONE, PARSE) and without extended procedures, which Azure SQL Edge lacks. VIEW SERVER STATE
//! and VIEW ANY DEFINITION are enough for most; a collector that needs more names it in its file,
//! and `setup-sql` prints the grant.

mod backups;
mod counters;
mod data_retention;
mod databases;
mod files;
mod io;
mod jobs;
mod memory;
mod requests;
mod schedulers;
mod server;
mod sessions;
mod streaming;
mod tempdb;
mod waits;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Collector, Engine, Metric, Output, Profiles, Reading};
use crate::tds::value::Cells;

const ALLOY: Profiles = Profiles::ALLOY;
const AWARAGI: Profiles = Profiles::AWARAGI;
const OWN: Profiles = Profiles::OWN;
const SQL_EXPORTER: Profiles = Profiles::SQL_EXPORTER;

/// The shortest time between two runs of a collector whose numbers change seldom.
const SELDOM: Duration = Duration::from_secs(60);

/// The greatest number of rows that are shown of a kind that has no cap of its own, such as jobs or
/// hosts.
const MAX_ROWS: usize = 200;

/// The longest name in characters: `sysname` and `host_name` are `nvarchar(128)`.
const MAX_NAME_CHARS: usize = 128;

/// Bytes of a page of a file, the unit in which views give sizes.
const PAGE_BYTES: f64 = 8192.0;
const KIB: f64 = 1024.0;
/// A millisecond in seconds.
const MILLISECOND: f64 = 1e-3;
/// A hundredth.
const PERCENT: f64 = 0.01;

/// Defines a collector's families: a constant for each, and `METRICS`, which has all of them.
macro_rules! metrics {
    ($($id:ident: $profiles:expr, $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            const $id: crate::collect::Metric = crate::collect::Metric::fixed(
                $profiles,
                crate::exposition::Kind::$kind,
                $name,
                &[$($label),*],
                $help,
            );
        )+

        pub(super) static METRICS: &[crate::collect::Metric] = &[$($id),+];
    };
}
use metrics;

/// Returns all built-in collectors, in the order in which their families are served.
pub(crate) fn all() -> Vec<Box<dyn Collector>> {
    vec![
        Box::new(server::COLLECTOR),
        Box::new(counters::COLLECTOR),
        Box::new(memory::COLLECTOR),
        Box::new(schedulers::COLLECTOR),
        Box::new(waits::COLLECTOR),
        Box::new(sessions::COLLECTOR),
        Box::new(requests::COLLECTOR),
        Box::new(databases::COLLECTOR),
        Box::new(io::COLLECTOR),
        Box::new(files::COLLECTOR),
        Box::new(tempdb::COLLECTOR),
        Box::new(backups::COLLECTOR),
        Box::new(jobs::COLLECTOR),
        Box::new(data_retention::COLLECTOR),
        Box::new(streaming::COLLECTOR),
    ]
}

/// A built-in collector: data, but for the reading of its rows.
#[derive(Debug)]
struct Builtin {
    name: &'static str,
    metrics: &'static [Metric],
    min_interval: Duration,
    supports: fn(Engine) -> bool,
    batch: &'static str,
    begin: fn() -> Box<dyn Reading>,
    /// The value of the first metric where the engine gives none.
    otherwise: Option<f64>,
}

impl Builtin {
    /// Returns a collector that runs as often as it is asked to, on every engine.
    const fn new(
        name: &'static str,
        metrics: &'static [Metric],
        batch: &'static str,
        begin: fn() -> Box<dyn Reading>,
    ) -> Self {
        Self {
            name,
            metrics,
            min_interval: Duration::ZERO,
            supports: |_| true,
            batch,
            begin,
            otherwise: None,
        }
    }

    /// Returns the collector as one whose first metric has this value where the engine gives none.
    const fn or_first(mut self, value: f64) -> Self {
        self.otherwise = Some(value);
        self
    }

    /// Returns the collector as one whose numbers change seldom.
    const fn seldom(mut self) -> Self {
        self.min_interval = SELDOM;
        self
    }

    /// Returns the collector as one of what SQL Edge alone has.
    const fn of_edge(mut self) -> Self {
        self.supports = Engine::is_edge;
        self
    }
}

impl Collector for Builtin {
    fn name(&self) -> &str {
        self.name
    }

    fn metrics(&self) -> &[Metric] {
        self.metrics
    }

    fn min_interval(&self) -> Duration {
        self.min_interval
    }

    fn supports(&self, engine: Engine) -> bool {
        (self.supports)(engine)
    }

    fn otherwise(&self) -> Option<(&Metric, f64)> {
        Some((self.metrics.first()?, self.otherwise?))
    }

    fn batch(&self) -> String {
        self.batch.to_owned()
    }

    fn begin(&self) -> Box<dyn Reading> {
        (self.begin)()
    }
}

/// Sums by status.
#[derive(Default)]
struct ByStatus(BTreeMap<String, f64>);

impl ByStatus {
    fn add(&mut self, status: String, count: f64) {
        if self.0.contains_key(&status) || self.0.len() < MAX_ROWS {
            *self.0.entry(status).or_default() += count;
        }
    }

    /// Exposes the sums of the known statuses, 0 where there is none, and then of all others that came.
    fn expose(&self, metric: &Metric, known: &[&str], out: &mut Output<'_>) {
        for status in known {
            let sum = self.0.get(*status).copied().unwrap_or_default();
            out.sample(metric, &[status], sum);
        }
        for (status, sum) in &self.0 {
            if !known.contains(&status.as_str()) {
                out.sample(metric, &[status], *sum);
            }
        }
    }
}

/// Begins a reading that keeps something from one row to the next.
fn fresh<R: Reading + Default + 'static>() -> Box<dyn Reading> {
    Box::<R>::default()
}

/// A reading that keeps nothing from one row to the next.
struct EachRow(fn(usize, &Cells<'_>, &mut Output<'_>));

impl Reading for EachRow {
    fn row(&mut self, result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        (self.0)(result_set, cells, out);
    }
}

/// Returns 1 for true and 0 for false.
fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

/// The smallest step between two time zones, in seconds.
const ZONE_STEP: f64 = 900.0;

/// Returns the seconds since 1970 of a column that counts them in the engine's local time.
/// `to_utc`, the difference between two readings of the clock, is a second off now and then; it is
/// rounded, since no time zone is.
fn timestamp(cells: &Cells<'_>, column: &str) -> Option<f64> {
    let to_utc = (cells.number("to_utc")? / ZONE_STEP).round() * ZONE_STEP;
    Some(cells.number(column)? + to_utc)
}

/// Returns a word of the engine's, such as `READ_ONLY`, in lower case as a label's value.
fn word(cells: &Cells<'_>, column: &str) -> String {
    cells.text(column).unwrap_or_default().to_ascii_lowercase()
}
