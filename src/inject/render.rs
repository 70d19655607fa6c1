//! Writing of values as YAML.

use super::value::{Value, is_plain_text};

/// The layout of a document, by which additions look like what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The columns from a key to the keys below it.
    pub step: usize,
    /// The columns from a key to the dashes below it.
    pub dash: usize,
    /// Whether the whole document is in braces, as JSON is, so that everything is quoted.
    pub json: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            step: 2,
            dash: 2,
            json: false,
        }
    }
}

/// The limit of items in a list that is written on one line.
const MAX_WORDS: usize = 16;

/// Writes a value on one line.
#[must_use]
pub fn flow(value: &Value, json: bool) -> String {
    match value {
        Value::Plain(text) => text.clone(),
        Value::Text(text) => scalar(text, json),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| flow(item, json)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| flow_entry(entry, json))
                .collect();
            match json {
                true => format!("{{{}}}", entries.join(", ")),
                false => format!("{{ {} }}", entries.join(", ")),
            }
        }
    }
}

/// Writes an entry of a map in braces.
#[must_use]
pub fn flow_entry((key, value): &(String, Value), json: bool) -> String {
    format!("{}: {}", scalar(key, json), flow(value, json))
}

/// Returns the lines of a map's entries, without indentation.
#[must_use]
pub fn block_entries(entries: &[(String, Value)], layout: Layout) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in entries {
        let key = scalar(key, false);
        if let Some(short) = short(value) {
            lines.push(format!("{key}: {short}"));
            continue;
        }
        lines.push(format!("{key}:"));
        let (below, columns) = match value {
            Value::Map(entries) => (block_entries(entries, layout), layout.step),
            Value::List(items) => (block_items(items, layout), layout.dash),
            Value::Plain(_) | Value::Text(_) => continue,
        };
        lines.extend(indented(below, columns));
    }
    lines
}

/// Returns the lines of a list's items, each beginning with its dash.
#[must_use]
pub fn block_items(items: &[Value], layout: Layout) -> Vec<String> {
    let mut lines = Vec::new();
    for item in items {
        match item {
            Value::Map(entries) if !entries.is_empty() => {
                let below = block_entries(entries, layout);
                for (index, line) in below.into_iter().enumerate() {
                    let lead = if index == 0 { "- " } else { "  " };
                    lines.push(format!("{lead}{line}"));
                }
            }
            item => lines.push(format!("- {}", flow(item, false))),
        }
    }
    lines
}

/// Moves lines to the right by a number of columns.
pub fn indented(lines: Vec<String>, columns: usize) -> impl Iterator<Item = String> {
    let blanks = " ".repeat(columns);
    lines.into_iter().map(move |line| format!("{blanks}{line}"))
}

/// Writes a value that fits on the line of its key: a scalar, an empty map, or a short list of words; none
/// for any other.
fn short(value: &Value) -> Option<String> {
    let one_line = match value {
        Value::Plain(_) | Value::Text(_) => true,
        Value::Map(entries) => entries.is_empty(),
        Value::List(items) => {
            let words = |item: &Value| matches!(item, Value::Plain(_) | Value::Text(_));
            items.len() <= MAX_WORDS && items.iter().all(words)
        }
    };
    one_line.then(|| flow(value, false))
}

fn scalar(text: &str, json: bool) -> String {
    match !json && is_plain_text(text) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// Returns a text in double quotes, which JSON and YAML read alike.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Neither a line of a terminal nor YAML's own line breaks (5.4) may come out of a text.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::node;
    use super::super::value::{boolean, map, number, texts};
    use super::*;

    fn sample() -> Value {
        map([
            ("name", Value::Text("a: \"b\"\n\u{1b}\u{2028}".to_owned())),
            ("yes", boolean(true)),
            ("empty", map([])),
            ("none", texts::<&str>([])),
            ("words", texts(["-c", "--", "a"])),
            (
                "list",
                Value::List(vec![map([
                    ("n", number(1u32)),
                    ("m", map([("x", texts(["y"]))])),
                ])]),
            ),
        ])
    }

    fn read(text: &str) -> Value {
        let documents = node::parse(text).expect("it is YAML");
        Value::of(documents[0].root.as_ref().expect("it has a root"))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let Value::Map(entries) = sample() else {
            panic!("it is a map");
        };
        for (step, dash) in [(2, 2), (4, 0), (1, 0), (3, 5)] {
            let layout = Layout {
                step,
                dash,
                json: false,
            };
            let text = block_entries(&entries, layout).join("\n");
            assert!(read(&text).means(&sample()), "{text}");
        }
        for json in [true, false] {
            let text = flow(&sample(), json);
            assert_eq!(text.lines().count(), 1);
            assert!(read(&text).means(&sample()), "{text}");
        }
    }

    #[test]
    fn in_json_everything_is_json() {
        let parsed: serde_json::Value =
            serde_json::from_str(&flow(&sample(), true)).expect("it is");
        assert_eq!(parsed["name"], "a: \"b\"\n\u{1b}\u{2028}");
        assert_eq!(parsed["yes"], true);
    }
}
