//! Writing of a part of the document, with labels and units from the names of its fields: `residentBytes`
//! becomes `resident  9.7 MiB`.

use serde_json::Value;

use super::{text, units};

/// The name of a field that only programs want: with the pid it distinguishes a process from its successor.
const HIDDEN: &str = "startTicks";

/// Returns the fields of `part` with their labels.
pub fn rows(part: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    flatten("", part, &mut fields);
    fields
}

/// Adds the scalars in `part` with their labels, such as `ping round trip`. The parser bounds the depth.
fn flatten(prefix: &str, part: &Value, fields: &mut Vec<(String, String)>) {
    match part {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| *name != HIDDEN) {
                let path = match prefix {
                    "" => name.clone(),
                    _ => format!("{prefix} {name}"),
                };
                flatten(&path, value, fields);
            }
        }
        Value::Null => {}
        // A scalar, or an array, in place of an object has no name to be shown by.
        _ if prefix.is_empty() => {}
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(element).collect();
            fields.push((words(prefix), items.join(", ")));
        }
        _ => fields.push(quantity(prefix, part)),
    }
}

/// Returns the label and the value of a field, by the unit that ends its name.
fn quantity(name: &str, value: &Value) -> (String, String) {
    let label = words(name);
    let number = value.as_f64().filter(|number| *number >= 0.0);
    let shown = number.and_then(|number| {
        let (name, unit) = label.rsplit_once(' ')?;
        let value = match unit {
            "seconds" => units::seconds(number),
            // The conversion saturates.
            "bytes" => units::bytes(number as u64),
            "percent" => format!("{number:.1} %"),
            "ratio" => format!("{:.1} %", number * 100.0),
            _ => return None,
        };
        Some((name.to_owned(), value))
    });
    shown.unwrap_or_else(|| (label, text(value)))
}

/// Returns an element of a list; the fields of an object on one line.
fn element(value: &Value) -> String {
    if !value.is_object() {
        return text(value);
    }
    let fields: Vec<_> = rows(value)
        .into_iter()
        .map(|(label, value)| format!("{label} {value}"))
        .collect();
    fields.join(" ")
}

/// Returns a name such as `cpuThrottledPeriods` as words.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_give_label_and_unit() {
        for (name, value, label, shown) in [
            ("ageSeconds", json!(0.000_138), "age", "0.1 ms"),
            ("cpuSeconds", json!(12.34), "cpu", "12.3 s"),
            ("ageSeconds", json!(192.5), "age", "3m12s"),
            ("ageSeconds", json!(1e300), "age", "1e300 s"),
            ("freeBytes", json!(77_652_639_744_u64), "free", "72.3 GiB"),
            ("errorlogBytes", json!(512), "errorlog", "512 B"),
            ("pressureIoPercent", json!(1.58), "pressure io", "1.6 %"),
            ("throttledRatio", json!(0.25), "throttled", "25.0 %"),
            ("openFds", json!(25), "open fds", "25"),
            ("ageSeconds", json!("soon"), "age seconds", "soon"),
            ("ageSeconds", json!(-1), "age seconds", "-1"),
        ] {
            let expected = (label.to_owned(), shown.to_owned());
            assert_eq!(quantity(name, &value), expected);
        }
    }

    #[test]
    fn nested_fields_are_told_by_their_path_and_what_only_programs_want_is_left_out() {
        let part = json!({"engine": {"pid": 7, "startTicks": 9}, "dumperPid": null, "dumps": {"bytes": 2048},
            "x": [1, {"number": 17, "waitSeconds": 2}]});
        let expected = [
            ("dumps", "2.0 KiB"),
            ("engine pid", "7"),
            ("x", "1, number 17 wait 2.0 s"),
        ];
        let expected = expected.map(|(label, value)| (label.to_owned(), value.to_owned()));
        assert_eq!(rows(&part), expected);
    }
}
