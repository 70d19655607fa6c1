//! A strict reader of the text format 0.0.4, written from the format's description and not from the
//! code under test. Whatever it refuses, some real reader refuses, or reads otherwise than it was
//! meant.

use std::collections::{BTreeMap, HashSet};

/// A family as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// A sample as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    /// Returns the value of a label; empty where there is none, as in a selector.
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Reads a whole exposition.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current: Option<(String, Family)> = None;
    let mut help: Option<(String, String)> = None;
    let mut series = HashSet::new();
    // Not lines(): that would take a carriage return for part of a line's end.
    for line in text.split_terminator('\n') {
        let wrong = |what: &str| format!("{what}: {line:?}");
        if line.chars().any(char::is_control) {
            return Err(wrong("a control character"));
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').ok_or_else(|| wrong("no help"))?;
            if !is_name(name, true) || help.is_some() {
                return Err(wrong("a HELP out of place"));
            }
            help = Some((
                name.to_owned(),
                unescape(text, false).map_err(|e| wrong(&e))?,
            ));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
            let (helped, text) = help.take().ok_or_else(|| wrong("no HELP before"))?;
            if helped != name {
                return Err(wrong("HELP and TYPE of two families"));
            }
            if !["counter", "gauge", "untyped", "histogram"].contains(&kind) {
                return Err(wrong("no such type"));
            }
            close(&mut families, current.take())?;
            let family = Family {
                kind: kind.to_owned(),
                help: text,
                samples: Vec::new(),
            };
            current = Some((name.to_owned(), family));
        } else {
            let sample = sample(line).map_err(|what| wrong(&what))?;
            let (name, family) = current.as_mut().ok_or_else(|| wrong("no TYPE before"))?;
            if help.is_some() || !belongs(&sample.name, name, &family.kind) {
                return Err(wrong("a sample of another family"));
            }
            let mut labels = sample.labels.clone();
            labels.sort();
            if !series.insert((sample.name.clone(), labels)) {
                return Err(wrong("a series twice"));
            }
            family.samples.push(sample);
        }
    }
    if help.is_some() {
        return Err("a HELP at the end".to_owned());
    }
    close(&mut families, current)?;
    Ok(families)
}

fn close(
    families: &mut BTreeMap<String, Family>,
    family: Option<(String, Family)>,
) -> Result<(), String> {
    let Some((name, family)) = family else {
        return Ok(());
    };
    if family.samples.is_empty() {
        return Err(format!("{name} has no sample"));
    }
    match families.insert(name.clone(), family) {
        Some(_) => Err(format!("{name} stands twice")),
        None => Ok(()),
    }
}

fn belongs(sample: &str, family: &str, kind: &str) -> bool {
    let ends: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    ends.iter().any(|end| sample == format!("{family}{end}"))
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("no metric's name".to_owned());
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            if !is_name(label, false) || labels.iter().any(|(known, _)| known == label) {
                return Err(format!("label {label:?}"));
            }
            let end = closing_quote(after).ok_or("a label without end")?;
            labels.push((label.to_owned(), unescape(&after[..end], true)?));
            rest = &after[end + 1..];
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => break,
                _ => return Err("neither comma nor brace".to_owned()),
            }
        }
        rest = &rest[1..];
    }
    let number = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value(number)?,
    })
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescape(text: &str, quoted: bool) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quoted => '"',
                other => return Err(format!("escape {other:?}")),
            },
            c => c,
        });
    }
    Ok(plain)
}

fn value(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => return Ok(f64::NAN),
        "+Inf" => return Ok(f64::INFINITY),
        "-Inf" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
    let value = text.parse::<f64>().map_err(|_| format!("value {text:?}"))?;
    match text.chars().all(allowed) && value.is_finite() {
        true => Ok(value),
        false => Err(format!("value {text:?}")),
    }
}

fn is_name(name: &str, colon: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}
