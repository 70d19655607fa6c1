//! Writing of a part of the document, with labels and units from the names of its fields: `residentBytes`
//! becomes `resident  9.7 MiB`.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;

use super::{joined, text};
use crate::command::table::safe;
use crate::config::kind::show_duration;

/// The name of a field that only programs want: with the pid it distinguishes a process from its successor.
const HIDDEN: &str = "startTicks";

/// Writes the fields of `part` below `title`; nothing where there are none.
pub fn block(title: &str, part: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut fields = Vec::new();
    flatten("", part, &mut fields);
    if fields.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let width = fields.iter().map(|(label, _)| label.chars().count()).max();
    let width = width.unwrap_or(0);
    for (label, value) in fields {
        writeln!(out, "  {:width$}  {}", safe(&label), safe(&value))?;
    }
    Ok(())
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
        Value::Array(_) => fields.push((words(prefix), joined(part))),
        _ => fields.push(quantity(prefix, part)),
    }
}

/// Returns the label and the value of a field, by the unit that ends its name.
fn quantity(name: &str, value: &Value) -> (String, String) {
    let number = value.as_f64().filter(|number| *number >= 0.0);
    let shown = number.and_then(|number| {
        if let Some(name) = name.strip_suffix("Seconds") {
            Some((name, span(number)))
        } else if let Some(name) = name.strip_suffix("Bytes") {
            Some((name, size(number)))
        } else if let Some(name) = name.strip_suffix("Percent") {
            Some((name, format!("{number:.1} %")))
        } else {
            let name = name.strip_suffix("Ratio")?;
            Some((name, format!("{:.1} %", number * 100.0)))
        }
    });
    match shown {
        Some((name, value)) => (words(name), value),
        None => (words(name), text(value)),
    }
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

fn span(seconds: f64) -> String {
    match seconds {
        ..0.1 => format!("{:.1} ms", seconds * 1e3),
        ..60.0 => format!("{seconds:.1} s"),
        // The conversion saturates.
        _ => show_duration(Duration::from_secs(seconds as u64)),
    }
}

fn size(bytes: f64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut shown = (bytes, "B");
    for unit in units {
        if shown.0 < 1024.0 {
            break;
        }
        shown = (shown.0 / 1024.0, unit);
    }
    match shown {
        (bytes, "B") => format!("{bytes} B"),
        (value, unit) => format!("{value:.1} {unit}"),
    }
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
            ("ageSeconds", json!(1e300), "age", &span(1e300)),
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
        let part = json!({"engine": {"pid": 7, "startTicks": 9}, "dumperPid": null, "x": [1, 2]});
        let mut out = Vec::new();
        block("PROCESS", &part, &mut out).expect("a Vec takes all");
        let text = String::from_utf8(out).expect("it is text");
        assert_eq!(text, "\nPROCESS\n  engine pid  7\n  x           1, 2\n");
    }
}
