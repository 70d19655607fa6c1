//! The chart's README: its table of values is what `values.yaml` says, in the manner of helm-docs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{chart, golden};

/// A value with what its comment says.
struct Row {
    key: String,
    default: Value,
    about: String,
}

/// The rows of `values.yaml`: each leaf has a comment `# -- ...` above it.
fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(chart().join("values.yaml")).expect("values are readable");
    let values: Value = serde_saphyr::from_str(&text).expect("values are YAML");
    let mut rows = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut about: Option<String> = None;
    // Lines deeper than a documented value belong to it.
    let mut inside: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(comment) = line.strip_prefix("# -- ") {
            about = Some(comment.to_owned());
            inside = None;
            continue;
        }
        if line.is_empty() || line.starts_with('#') || inside.is_some_and(|depth| indent > depth) {
            continue;
        }
        let (key, _) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no key: {line}"));
        path.retain(|(depth, _)| *depth < indent);
        path.push((indent, key.to_owned()));
        let key = path
            .iter()
            .map(|(_, key)| key.as_str())
            .collect::<Vec<_>>()
            .join(".");
        let default = values.pointer(&format!("/{}", key.replace('.', "/")));
        let default = default
            .unwrap_or_else(|| panic!("{key} is not there"))
            .clone();
        match about.take() {
            Some(about) => {
                inside = Some(indent);
                rows.push(Row {
                    key,
                    default,
                    about,
                });
            }
            None => {
                let group = default.as_object().is_some_and(|map| !map.is_empty());
                assert!(group, "{key} has no comment");
                inside = None;
            }
        }
    }
    rows
}

fn table() -> String {
    let mut table = "| value | default | what it is |\n| --- | --- | --- |\n".to_owned();
    for Row {
        key,
        default,
        about,
    } in rows()
    {
        assert!(
            about.ends_with('.') && !about.contains('|'),
            "{key}: {about}"
        );
        let _ = writeln!(table, "| `{key}` | `{default}` | {about} |");
    }
    table
}

#[test]
fn the_table_of_values_is_what_the_values_say() {
    let path = chart().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the chart has a README");
    let (begin, end) = ("<!-- values:begin -->\n", "<!-- values:end -->");
    let (before, rest) = readme.split_once(begin).expect("its begin is marked");
    let (_, after) = rest.split_once(end).expect("its end is marked");
    golden(&path, &format!("{before}{begin}{}{end}{after}", table()));
}

/// Each value is in the schema, and each map of the schema is closed, or names what it is open to.
#[test]
fn the_schema_is_closed_and_knows_every_value() {
    let text = std::fs::read_to_string(chart().join("values.schema.json")).expect("readable");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    let mut open = Vec::new();
    walk(&schema, "", &mut open);
    assert!(open.is_empty(), "{open:#?}");
    for Row { key, .. } in rows() {
        let mut at = &schema;
        for part in key.split('.') {
            if let Some(name) = at["$ref"].as_str() {
                at = schema
                    .pointer(name.trim_start_matches('#'))
                    .expect("a definition");
            }
            at = match &at["properties"][part] {
                Value::Null => &at["additionalProperties"],
                known => known,
            };
        }
        assert!(at.is_object(), "{key} is not in the schema");
    }
}

fn walk(schema: &Value, path: &str, open: &mut Vec<String>) {
    if schema["type"] == "object" {
        let rest = &schema["additionalProperties"];
        let named = schema["$comment"].is_string();
        if *rest != false && !rest.is_object() && !named {
            open.push(path.to_owned());
        }
    }
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(value, &format!("{path}/{key}"), open);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, &format!("{path}/{index}"), open);
            }
        }
        _ => {}
    }
}
