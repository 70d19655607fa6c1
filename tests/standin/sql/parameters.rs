//! Parameters of a call, put into the text.

use super::super::tds::parameter::Parameter;
use super::super::tds::value::Value;

pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(_) | Value::DateTime(_) => {
            format!("N'{}'", value.to_text().replace('\'', "''"))
        }
    }
}

/// Puts the values in the place of the parameters' names, outside of text literals.
pub fn bind(text: &str, values: &[Parameter]) -> String {
    let mut bound = String::new();
    // Every second part of a split at quotes is inside one.
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            bound.push('\'');
        }
        let outside = index % 2 == 0;
        bound.push_str(&if outside {
            bind_outside(part, values)
        } else {
            part.to_owned()
        });
    }
    bound
}

fn bind_outside(part: &str, values: &[Parameter]) -> String {
    let mut bound = String::new();
    let mut rest = part;
    while let Some(at) = rest.find('@') {
        let (before, name_on) = rest.split_at(at);
        let end = name_on
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '@' | '_' | '$' | '#')))
            .unwrap_or(name_on.len());
        let (name, tail) = name_on.split_at(end);
        let value = values
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name));
        bound.push_str(before);
        bound.push_str(&value.map_or_else(|| name.to_owned(), |found| literal(&found.value)));
        rest = tail;
    }
    bound.push_str(rest);
    bound
}
