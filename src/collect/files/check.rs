//! Turns a file's text into what it defines, or into the list of everything that is wrong with it.
//! Pure.
//!
//! The format is sql_exporter's, with these differences: `timestamp_value` is refused, because a
//! sample that is served several times has the time of its scrape; `no_prepared_statement` is
//! accepted and has no effect, because no statement is prepared.

mod metric;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::definition::{Definition, FileCollector, Query, Series};
use super::notes::{Fields, Notes};
use crate::collect::names::Names;
use crate::collect::{Metric, Profiles};
use crate::config::metrics::is_collector_name;
use crate::config::mistake::Mistake;
use crate::yaml::{self, Node};
use metric::{Found, QueryUse, metric};

/// The greatest number of metrics, and of queries, of one collector.
const MAX_ITEMS: usize = 200;

/// The longest `min_interval`.
const MAX_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);

const FILE_KEYS: &[&str] = &["collector_name", "min_interval", "metrics", "queries"];
const QUERY_KEYS: &[&str] = &["query_name", "query", "no_prepared_statement"];

/// Reads the text of the file at `path`. The names of what a good file exposes are entered in
/// `names`.
///
/// # Errors
/// All mistakes, each with its line.
pub(super) fn check(
    path: &Path,
    text: &str,
    names: &mut Names,
) -> Result<FileCollector, Vec<Mistake>> {
    let mut notes = Notes::new(path);
    let definition = match yaml::parse(text) {
        Ok(root) => document(&root, names, &mut notes),
        Err(error) => {
            let what = format!("is not YAML: {error}");
            notes.line(
                "file",
                error.line,
                &what,
                "see the example in docs/metrics.md",
            );
            None
        }
    };
    let definition = notes.unless_any(definition)?;
    names.enter(&definition.name, &definition.metrics);
    Ok(FileCollector(definition.into()))
}

fn document(root: &Node, names: &Names, notes: &mut Notes<'_>) -> Option<Definition> {
    let fields = Fields::of("", root, FILE_KEYS, notes)?;
    let name = collector_name(&fields, names, notes);
    let min_interval = min_interval(&fields, notes);
    let (mut queries, named) = named_queries(&fields, notes);
    let items = fields.list("metrics", notes);
    if items.is_empty() || items.len() > MAX_ITEMS {
        let what = if items.is_empty() {
            "is missing"
        } else {
            "is too long"
        };
        let advice = format!("give 1 to {MAX_ITEMS} metrics");
        notes.line("metrics", fields.line(), what, &advice);
    }
    let mut metrics: Vec<Metric> = Vec::new();
    for (at, node) in items.into_iter().take(MAX_ITEMS) {
        let Some(found) = metric(&at, node, notes) else {
            continue;
        };
        check_name(&at, &found, &metrics, names, notes);
        let query = match found.query {
            QueryUse::Own(text) => {
                queries.push(Query {
                    text,
                    series: Vec::new(),
                });
                Some(queries.len() - 1)
            }
            QueryUse::Named(name, line) => {
                let index = named.get(&name).copied();
                if index.is_none() {
                    let what = format!("names no query of this file: {name:?}");
                    let key = format!("{at}.query_ref");
                    notes.line(&key, line, &what, "give the query_name of one of `queries`");
                }
                index
            }
        };
        if let Some(query) = query.and_then(|index| queries.get_mut(index)) {
            query.series.push(Series {
                metric: metrics.len(),
                keys: found.keys,
                fixed: found.fixed,
                values: found.values,
            });
        }
        metrics.push(Metric {
            family: found.family,
            profiles: Profiles::FILES,
        });
    }
    // A query that no metric reads would be a cost without a use.
    queries.retain(|query| !query.series.is_empty());
    Some(Definition {
        name: name?,
        min_interval: min_interval?,
        metrics,
        queries,
    })
}

/// Notes a mistake where the metric's name is taken.
fn check_name(at: &str, found: &Found, before: &[Metric], names: &Names, notes: &mut Notes<'_>) {
    let (name, key) = (&found.family.name, format!("{at}.metric_name"));
    let what = if before.iter().any(|metric| metric.family.name == *name) {
        "stands twice in this file".to_owned()
    } else if let Some(owner) = names.owner(name) {
        format!("{name} is exposed by {owner} already")
    } else {
        return;
    };
    notes.line(&key, found.line, &what, "give another name");
}

fn collector_name(fields: &Fields<'_>, names: &Names, notes: &mut Notes<'_>) -> Option<String> {
    let (name, node) = fields.required("collector_name", notes)?;
    let (what, advice) = if !is_collector_name(name) {
        let advice = "give 1 to 64 letters, digits, _ or -";
        ("can't be a collector's name", advice)
    } else if names.has_collector(name) {
        ("is the name of another collector", "give another one")
    } else {
        return Some(name.to_owned());
    };
    notes.value("collector_name", node, what, advice);
    None
}

/// Returns the value of `min_interval`, written as Prometheus writes durations, `90s` or `1h30m`; a
/// zero without a unit is one too.
fn min_interval(fields: &Fields<'_>, notes: &mut Notes<'_>) -> Option<Duration> {
    let Some((text, node)) = fields.text("min_interval", notes) else {
        // Absent, or noted.
        return Some(Duration::ZERO);
    };
    let parsed = match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => humantime::parse_duration(text),
    };
    match parsed {
        Ok(span) if span <= MAX_INTERVAL => Some(span),
        _ => {
            let advice = "give one from 0s to 7d, such as 90s or 1h30m";
            notes.value("min_interval", node, "is not such a duration", advice);
            None
        }
    }
}

/// Returns the queries of the file, and the index of each by its name.
fn named_queries(
    fields: &Fields<'_>,
    notes: &mut Notes<'_>,
) -> (Vec<Query>, BTreeMap<String, usize>) {
    let (mut queries, mut named) = (Vec::new(), BTreeMap::new());
    let items = fields.list("queries", notes);
    if items.len() > MAX_ITEMS {
        let advice = format!("give at most {MAX_ITEMS}");
        notes.line("queries", fields.line(), "is too long", &advice);
    }
    for (at, node) in items.into_iter().take(MAX_ITEMS) {
        let Some(fields) = Fields::of(&at, node, QUERY_KEYS, notes) else {
            continue;
        };
        let name = fields.required("query_name", notes);
        let query = fields.required("query", notes);
        let (Some((name, node)), Some((text, query))) = (name, query) else {
            continue;
        };
        check_query(&fields.key("query"), text, query, notes);
        if named.insert(name.to_owned(), queries.len()).is_some() {
            let key = fields.key("query_name");
            notes.value(&key, node, "stands twice", "give another name");
        }
        queries.push(Query {
            text: text.to_owned(),
            series: Vec::new(),
        });
    }
    (queries, named)
}

/// Notes what any engine would refuse in a query.
fn check_query(key: &str, text: &str, node: &Node, notes: &mut Notes<'_>) {
    let is_go = |line: &str| line.trim().eq_ignore_ascii_case("go");
    if text.lines().any(is_go) {
        let what = "holds a line GO, which is a word of sqlcmd and not of the engine";
        notes.line(key, node.line, what, "leave it out");
    }
    if text.contains('\0') {
        notes.line(key, node.line, "holds a NUL", "leave it out");
    }
}

#[cfg(test)]
mod tests;
