//! From a file's text to what it defines, or to everything that is wrong with it. Pure.
//!
//! The format is sql_exporter's, with these differences: `timestamp_value` is refused, because a
//! sample that is served several times has the time of its scrape; `no_prepared_statement` is
//! accepted and means nothing, because none is prepared.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::definition::{Definition, FileCollector, Query, Series, Values};
use super::notes::{Fields, Notes, plain};
use super::tree::{self, Node};
use crate::collect::names::Names;
use crate::collect::{Metric, Profiles};
use crate::config::metrics::is_collector_name;
use crate::config::mistake::Mistake;
use crate::exposition::{FamilyDef, Kind, Labels, is_label_name, is_metric_name};

/// Metrics, and queries, of one collector.
const MAX_ITEMS: usize = 200;

/// Labels of one metric, and columns of values.
const MAX_COLUMNS: usize = 32;

/// The longest `min_interval`.
const MAX_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);

const FILE_KEYS: &[&str] = &["collector_name", "min_interval", "metrics", "queries"];
const QUERY_KEYS: &[&str] = &["query_name", "query", "no_prepared_statement"];
const METRIC_KEYS: &[&str] = &[
    "metric_name",
    "type",
    "help",
    "key_labels",
    "static_labels",
    "value_label",
    "values",
    "static_value",
    "timestamp_value",
    "query",
    "query_ref",
    "no_prepared_statement",
];

/// Reads the text of the file at `path`. What it exposes is entered in `names` where it is good.
///
/// # Errors
/// All that is wrong, each with its line.
pub(super) fn check(
    path: &Path,
    text: &str,
    names: &mut Names,
) -> Result<FileCollector, Vec<Mistake>> {
    let mut notes = Notes::new(path);
    let definition = match tree::parse(text) {
        Ok(root) => document(&root, names, &mut notes),
        Err((line, what)) => {
            let what = format!("is not YAML: {what}");
            notes.line("file", line, &what, "see the example in the README");
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
        let key = format!("{at}.metric_name");
        if metrics.iter().any(|m| m.family.name == found.family.name) {
            notes.line(
                &key,
                found.line,
                "stands twice in this file",
                "give another name",
            );
        } else if let Some(owner) = names.owner(&found.family.name) {
            let what = format!("{} is exposed by {owner} already", found.family.name);
            notes.line(&key, found.line, &what, "give another name");
        }
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

/// As Prometheus writes durations, `90s` or `1h30m`; zero without a unit is one too.
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

/// The queries of the file, and the index of each by its name.
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

/// What the engine would refuse in any case.
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

/// A metric as it stands in the file.
struct Found {
    line: u64,
    family: FamilyDef,
    keys: Vec<String>,
    fixed: Vec<String>,
    values: Values,
    query: QueryUse,
}

/// Where its rows come from.
enum QueryUse {
    Own(String),
    Named(String, u64),
}

fn metric(at: &str, node: &Node, notes: &mut Notes<'_>) -> Option<Found> {
    let before = notes.count();
    let fields = Fields::of(at, node, METRIC_KEYS, notes)?;
    let name = fields.required("metric_name", notes);
    if let Some((_, node)) = name.filter(|(name, _)| !is_metric_name(name)) {
        let advice = "give letters, digits, _ and :, no digit first";
        let key = fields.key("metric_name");
        notes.value(&key, node, "can't be a metric's name", advice);
    }
    let kind = kind(&fields, notes);
    let help = fields.required("help", notes);
    if let Some(node) = fields.find("timestamp_value") {
        let what = "is not supported: a sample has the time of its scrape";
        notes.value(&fields.key("timestamp_value"), node, what, "leave it out");
    }
    let keys = columns(&fields, "key_labels", notes);
    let (static_names, fixed) = static_labels(&fields, notes);
    let values = values(&fields, notes);
    let query = query_use(&fields, notes);
    let mut labels = keys.clone();
    labels.extend(static_names);
    labels.extend(values.iter().filter_map(|(_, label)| label.clone()));
    check_labels(&fields, &labels, notes);
    let ((name, name_node), (help, _)) = (name?, help?);
    let ((values, _), query) = (values?, query?);
    let family = FamilyDef {
        name: name.to_owned().into(),
        kind: kind?,
        labels: Labels::Given(labels),
        help: help.trim().to_owned().into(),
    };
    (notes.count() == before).then_some(Found {
        line: name_node.line,
        family,
        keys,
        fixed,
        values,
        query,
    })
}

fn kind(fields: &Fields<'_>, notes: &mut Notes<'_>) -> Option<Kind> {
    let (text, node) = fields.required("type", notes)?;
    let kind = match text.to_ascii_lowercase().as_str() {
        "counter" => Some(Kind::Counter),
        "gauge" => Some(Kind::Gauge),
        _ => None,
    };
    if kind.is_none() {
        let key = fields.key("type");
        notes.value(&key, node, "is not a type", "give counter or gauge");
    }
    kind
}

/// A list of columns' names.
fn columns(fields: &Fields<'_>, key: &str, notes: &mut Notes<'_>) -> Vec<String> {
    let items = fields.list(key, notes);
    let texts = items.iter().filter_map(|(at, node)| plain(at, node, notes));
    texts.map(str::to_owned).collect()
}

/// Names and values, in the file's order.
fn static_labels(fields: &Fields<'_>, notes: &mut Notes<'_>) -> (Vec<String>, Vec<String>) {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (name, node) in fields.map("static_labels", notes) {
        let key = format!("{}.{name}", fields.key("static_labels"));
        if let Some(value) = plain(&key, node, notes) {
            names.push(name.clone());
            values.push(value.to_owned());
        }
    }
    (names, values)
}

/// Where the values come from, and the label that tells them apart.
fn values(fields: &Fields<'_>, notes: &mut Notes<'_>) -> Option<(Values, Option<String>)> {
    let columns = columns(fields, "values", notes);
    let label = fields
        .text("value_label", notes)
        .map(|(text, _)| text.to_owned());
    let fixed = fields.text("static_value", notes);
    if columns.len() > MAX_COLUMNS {
        let advice = format!("give at most {MAX_COLUMNS} columns");
        notes.line(&fields.key("values"), fields.line(), "is too long", &advice);
    }
    let refuse = |notes: &mut Notes<'_>, what: &str, advice: &str| {
        notes.line(&fields.key("values"), fields.line(), what, advice);
        None
    };
    match (columns.as_slice(), fixed) {
        ([], None) => refuse(
            notes,
            "is missing",
            "name the columns of the values, or give static_value",
        ),
        ([_, ..], Some(_)) => refuse(notes, "stands beside static_value", "give one of them"),
        ([], Some((text, node))) => {
            let value = text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
            if value.is_none() {
                let key = fields.key("static_value");
                notes.value(&key, node, "is not a number", "give a number");
            }
            Some((Values::Fixed(value?), None))
        }
        // As in sql_exporter, the name of a single column is told only where it is asked for.
        ([column], None) if label.is_none() => Some((Values::Column(column.clone()), None)),
        (_, None) if label.is_none() => refuse(
            notes,
            "has several columns and no value_label",
            "give value_label, the label that tells them apart",
        ),
        (_, None) => Some((Values::Columns(columns), label)),
    }
}

fn check_labels(fields: &Fields<'_>, labels: &[String], notes: &mut Notes<'_>) {
    if labels.len() > MAX_COLUMNS {
        let advice = format!("give at most {MAX_COLUMNS} labels");
        notes.line(
            &fields.key("key_labels"),
            fields.line(),
            "is too long",
            &advice,
        );
    }
    for (index, label) in labels.iter().enumerate() {
        let key = fields.key("key_labels");
        if !is_label_name(label) {
            let what = format!("{label:?} can't be a label's name");
            let advice = "give letters, digits and _, no digit and not two _ first; name the column so in the query";
            notes.line(&key, fields.line(), &what, advice);
        } else if labels.iter().take(index).any(|before| before == label) {
            let what = format!("{label:?} is a label twice");
            notes.line(&key, fields.line(), &what, "leave one of them out");
        }
    }
}

fn query_use(fields: &Fields<'_>, notes: &mut Notes<'_>) -> Option<QueryUse> {
    let own = fields.text("query", notes);
    let named = fields.text("query_ref", notes);
    match (own, named) {
        (Some((text, node)), None) => {
            check_query(&fields.key("query"), text, node, notes);
            Some(QueryUse::Own(text.to_owned()))
        }
        (None, Some((name, node))) => Some(QueryUse::Named(name.to_owned(), node.line)),
        (Some(_), Some(_)) => {
            let key = fields.key("query");
            notes.line(
                &key,
                fields.line(),
                "stands beside query_ref",
                "give one of them",
            );
            None
        }
        (None, None) => {
            let key = fields.key("query");
            notes.line(&key, fields.line(), "is missing", "give query or query_ref");
            None
        }
    }
}

#[cfg(test)]
mod tests;
