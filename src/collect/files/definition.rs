//! The content of a collector's file, and the reading of its answers.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::collect::{Collector, Failure, Metric, Output, Reading};
use crate::tds::value::Cells;

/// The name of the only column of the result set between the answers to two queries of one batch.
const MARKER: &str = "sql_edge_supervisor_next_query";

/// A collector from a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileCollector(pub(super) Arc<Definition>);

/// The content of a collector's file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) min_interval: Duration,
    pub(super) metrics: Vec<Metric>,
    pub(super) queries: Vec<Query>,
}

/// A query, and the series that are read from its rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) series: Vec<Series>,
}

/// The samples that each row gives for one metric. The metric's labels are the keys, the static
/// ones and the one for the values, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// The index of the metric in the definition.
    pub(super) metric: usize,
    /// The columns whose values are labels of the same names.
    pub(super) keys: Vec<String>,
    /// The values of the static labels.
    pub(super) fixed: Vec<String>,
    pub(super) values: Values,
}

/// The source of the samples' values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// A column of this name.
    Column(String),
    /// Several columns, the name of each of which is a label's value.
    Columns(Vec<String>),
    /// A value that is always the same.
    Fixed(f64),
}

impl Collector for FileCollector {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn metrics(&self) -> &[Metric] {
        &self.0.metrics
    }

    fn min_interval(&self) -> Duration {
        self.0.min_interval
    }

    /// Returns the batch. Each query runs in a scope of its own: its variables, its USE and its SET
    /// end with it.
    fn batch(&self) -> String {
        let mut batch = String::new();
        for (index, query) in self.0.queries.iter().enumerate() {
            if index > 0 {
                // Writing to a String can't fail.
                let _ = writeln!(batch, "SELECT 1 AS {MARKER};");
            }
            let text = query.text.replace('\'', "''");
            let _ = writeln!(batch, "EXEC sys.sp_executesql N'{text}';");
        }
        batch
    }

    fn begin(&self) -> Box<dyn Reading> {
        Box::new(FileReading {
            definition: Arc::clone(&self.0),
            query: 0,
            problem: None,
        })
    }
}

/// An answer as it is read.
struct FileReading {
    definition: Arc<Definition>,
    /// The index of the query whose rows arrive.
    query: usize,
    /// The reason why the rows are not what the file promises.
    problem: Option<String>,
}

impl Reading for FileReading {
    fn row(&mut self, _result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        if cells.only_column() == Some(MARKER) {
            self.query += 1;
            return;
        }
        let Some(query) = self.definition.queries.get(self.query) else {
            return;
        };
        for series in &query.series {
            let Some(metric) = self.definition.metrics.get(series.metric) else {
                continue;
            };
            if let Err(problem) = expose(series, metric, cells, out) {
                self.problem.get_or_insert(problem);
                return;
            }
        }
    }

    fn finish(self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        if let Some(problem) = self.problem {
            out.explain(problem);
            return Err(Failure::Malformed);
        }
        if self.query + 1 != self.definition.queries.len() {
            out.explain("an answer is missing".to_owned());
            return Err(Failure::Malformed);
        }
        Ok(())
    }
}

/// Exposes what a row gives for one metric.
fn expose(
    series: &Series,
    metric: &Metric,
    cells: &Cells<'_>,
    out: &mut Output<'_>,
) -> Result<(), String> {
    let name = &metric.family.name;
    let mut keys = Vec::with_capacity(series.keys.len());
    for key in &series.keys {
        let label = cells.label(key).ok_or_else(|| {
            let fault = fault(key, cells, "a label; cast it to nvarchar");
            format!("{name}: {fault}")
        })?;
        keys.push(label);
    }
    let mut labels: Vec<&str> = keys.iter().map(Cow::as_ref).collect();
    labels.extend(series.fixed.iter().map(String::as_str));
    let value = |column: &String| match cells.value(column) {
        None if !cells.is_null(column) => {
            Err(format!("{name}: {}", fault(column, cells, "a number")))
        }
        value => Ok(value),
    };
    match &series.values {
        Values::Fixed(value) => out.sample(metric, &labels, *value),
        Values::Column(column) => out.maybe(metric, &labels, value(column)?),
        Values::Columns(columns) => {
            for column in columns {
                labels.push(column);
                out.maybe(metric, &labels, value(column)?);
                labels.pop();
            }
        }
    }
    Ok(())
}

/// Returns the reason why a column's value can't be used.
fn fault(column: &str, cells: &Cells<'_>, needed: &str) -> String {
    match cells.has(column) {
        true => format!("column {column:?} can't be read as {needed}"),
        false => format!("its query returns no column {column:?}"),
    }
}
