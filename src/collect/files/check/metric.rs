//! An item of a file's `metrics`.

use super::check_query;
use crate::collect::files::definition::Values;
use crate::collect::files::notes::{Fields, Notes, plain};
use crate::exposition::{FamilyDef, Kind, Labels, is_label_name, is_metric_name};
use crate::yaml::Node;

/// The greatest number of labels of one metric, and of columns of values.
const MAX_COLUMNS: usize = 32;

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

/// A metric as it stands in the file.
pub(super) struct Found {
    pub(super) line: u64,
    pub(super) family: FamilyDef,
    pub(super) keys: Vec<String>,
    pub(super) fixed: Vec<String>,
    pub(super) values: Values,
    pub(super) query: QueryUse,
}

/// The query that a metric's rows come from.
pub(super) enum QueryUse {
    Own(String),
    Named(String, u64),
}

/// Reads one item of `metrics`.
pub(super) fn metric(at: &str, node: &Node, notes: &mut Notes<'_>) -> Option<Found> {
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

/// Returns the items of a list of columns' names.
fn columns(fields: &Fields<'_>, key: &str, notes: &mut Notes<'_>) -> Vec<String> {
    let items = fields.list(key, notes);
    let texts = items.iter().filter_map(|(at, node)| plain(at, node, notes));
    texts.map(str::to_owned).collect()
}

/// Returns the names and the values of the static labels, in the file's order.
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

/// Returns where the values come from, and the label that distinguishes them.
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
        // As in sql_exporter, a single column's name is a label's value only where value_label asks
        // for it.
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
