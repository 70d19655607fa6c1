//! The lines of the format, and the rules for what may stand in them.

use std::fmt::Write as _;

use super::FamilyDef;

/// The longest value of a label in bytes; what is longer is cut between two characters. Names of
/// databases and paths of files are at most 128 and 260 characters of at most 3 bytes each.
pub const MAX_LABEL_VALUE_BYTES: usize = 1024;

/// Whether `name` may name a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |c| c == ':')
}

/// Whether `name` may name a label: `[a-zA-Z_][a-zA-Z0-9_]*`, and does not begin with the two
/// underscores that Prometheus keeps for itself.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false) && !name.starts_with("__")
}

fn is_name(name: &str, also: fn(char) -> bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || also(c);
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Writes the family's two lines of head.
pub(super) fn head(to: &mut String, family: &FamilyDef) {
    to.push_str("# HELP ");
    to.push_str(&family.name);
    to.push(' ');
    for c in family.help.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            c if c.is_control() => to.push(char::REPLACEMENT_CHARACTER),
            c => to.push(c),
        }
    }
    to.push_str("\n# TYPE ");
    to.push_str(&family.name);
    to.push(' ');
    to.push_str(family.kind.word());
    to.push('\n');
}

/// Writes a sample's name and labels. A label whose value is empty means the same as one that is
/// absent, and is written all the same, so that all series of a family look alike.
pub(super) fn series(to: &mut String, family: &FamilyDef, values: &[&str]) {
    to.push_str(&family.name);
    let mut before = '{';
    for (name, value) in family.labels.iter().zip(values) {
        to.push(before);
        to.push_str(name);
        to.push_str("=\"");
        label_value(to, value);
        to.push('"');
        before = ',';
    }
    if before == ',' {
        to.push('}');
    }
}

/// Writes a label's value, escaped and bounded. Control characters other than a newline are
/// replaced: the format allows them, and some of its readers take them for the end of a line or of
/// the text.
fn label_value(to: &mut String, value: &str) {
    let end = to.len() + MAX_LABEL_VALUE_BYTES;
    for c in value.chars() {
        if to.len() + c.len_utf8() + 1 > end {
            break;
        }
        match c {
            '\\' => to.push_str("\\\\"),
            '"' => to.push_str("\\\""),
            '\n' => to.push_str("\\n"),
            c if c.is_control() => to.push(char::REPLACEMENT_CHARACTER),
            c => to.push(c),
        }
    }
}

/// Writes a sample's value, and the end of its line.
pub(super) fn value(to: &mut String, value: f64) {
    to.push(' ');
    if value == f64::INFINITY {
        to.push_str("+Inf");
    } else if value == f64::NEG_INFINITY {
        to.push_str("-Inf");
    } else {
        // NaN is written as the format wants it. Writing to a String can't fail.
        let _ = write!(to, "{value}");
    }
    to.push('\n');
}
