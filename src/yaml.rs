//! YAML as a tree in which each value knows its line: configuration files and definitions of collectors.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value, and the line that it begins on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The line, counted from 1.
    pub line: u64,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, as in `key:` or `key: ~`.
    Null,
    /// A scalar of any type.
    Text(String),
    /// A list of values.
    List(Vec<Node>),
    /// A map in its order; no key comes twice.
    Map(Vec<(String, Node)>),
}

impl Value {
    /// Returns the kind of the value in words that may follow "is".
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Text(_) => "a plain value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// The mistake for which a text is not YAML. It repeats no line of the text, in which there may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// The line of the mistake, counted from 1; 0 where it is not known.
    pub line: u64,
    /// The mistake in words, with its place.
    pub what: String,
}

/// Reads a YAML document. Pure.
///
/// # Errors
/// When the text is not YAML, or so large that it must be an attack.
pub fn parse(text: &str) -> Result<Node, Error> {
    let options = serde_saphyr::options! {
        // `off` and `yes` are words here, not booleans.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
        .map(Node::from)
        .map_err(|error| Error {
            line: error.location().map_or(0, |at| at.line()),
            what: error.to_string(),
        })
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl AnyValue {
    fn text<E>(value: impl fmt::Display) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Self::text(value)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push((key, map.next_value::<Spanned<Value>>()?.into()));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "a: 1\nb:\n  - x\n  - c: |\n      long\n      text\n\nd: {}\n";
        let root = parse(text).expect("a good document");
        let Value::Map(entries) = &root.value else {
            panic!("a map");
        };
        let lines: Vec<_> = entries
            .iter()
            .map(|(key, node)| (&key[..], node.line))
            .collect();
        assert_eq!(lines, [("a", 1), ("b", 3), ("d", 8)]);
        let Value::List(items) = &entries[1].1.value else {
            panic!("a list");
        };
        assert_eq!((items[0].line, items[1].line), (3, 4));
    }

    #[test]
    fn what_is_no_yaml_has_a_line_too() {
        let error = parse("a: 1\nb: 'open\n").expect_err("no YAML");
        assert!(error.line >= 2, "{error:?}");
        let error = parse("a: 1\na: 2\n").expect_err("a key twice");
        assert_eq!(error.line, 2);
    }

    #[test]
    fn a_document_that_multiplies_itself_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{before}]\n");
        }
        assert!(parse(&text).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
