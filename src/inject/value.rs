//! Values without places in a text: the additions, and the meaning of a document.

use super::node::{Kind, Node};

/// A value without its place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A scalar that is no text, as it is written: a number, a boolean, null.
    Plain(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map; its order is kept, and does not count where meanings are compared.
    Map(Vec<(String, Value)>),
}

/// Makes a map from its entries.
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

/// Makes a text.
pub fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// Makes a list of texts.
pub fn texts<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(items.into_iter().map(text).collect())
}

/// Makes a number.
pub fn number(number: impl Into<u64>) -> Value {
    Value::Plain(number.into().to_string())
}

/// Makes a boolean.
pub fn boolean(value: bool) -> Value {
    Value::Plain(value.to_string())
}

/// Makes a null.
pub fn null() -> Value {
    Value::Plain("null".to_owned())
}

/// The words that YAML 1.1, which Kubernetes' own reader follows, does not read as texts. Numbers are not
/// among them, as they begin with no letter.
const WORDS_WITH_A_MEANING: [&str; 9] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// The units that a number may end with: such a word is a text to every reader.
const UNITS: [&str; 5] = ["m", "s", "Ki", "Mi", "Gi"];

/// Whether a plain scalar is this text and nothing else, wherever it stands. Fewer texts pass than YAML
/// allows.
#[must_use]
pub fn is_plain_text(text: &str) -> bool {
    let quantity = UNITS.iter().find_map(|unit| text.strip_suffix(unit));
    if quantity.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return true;
    }
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        || (text.starts_with("--") && !text.starts_with("---"));
    let bytes = text.as_bytes();
    let allowed = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b':' => bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
        byte => byte.is_ascii_alphanumeric() || b"/._-@=".contains(byte),
    });
    begins && allowed && !has_a_meaning(text)
}

/// Whether YAML 1.1 reads the word as a boolean or as null.
#[must_use]
pub fn has_a_meaning(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    WORDS_WITH_A_MEANING.contains(&lower.as_str())
}

impl Value {
    /// Returns the meaning of a node. Both sides of a comparison come from here, so that texts which are
    /// written in different ways are equal.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Plain(text) if is_plain_text(text) => Self::Text(text.clone()),
            Kind::Plain(_) if node.is_null() => null(),
            Kind::Plain(text) => Self::Plain(text.clone()),
            Kind::Text(text) => Self::Text(text.clone()),
            Kind::List { items, .. } => Self::List(items.iter().map(Self::of).collect()),
            Kind::Map { entries, .. } => Self::Map(
                entries
                    .iter()
                    .map(|entry| {
                        let key = entry.key.text().unwrap_or_default();
                        (key.to_owned(), Self::of(&entry.value))
                    })
                    .collect(),
            ),
            Kind::Alias => Self::Plain("*".to_owned()),
        }
    }

    /// Whether both mean the same; the order of a map does not count.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map(ours), Self::Map(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().all(|(key, value)| {
                        let found = theirs.iter().find(|(name, _)| name == key);
                        found.is_some_and(|(_, found)| value.means(found))
                    })
            }
            (Self::List(ours), Self::List(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.means(b))
            }
            (ours, theirs) => ours == theirs,
        }
    }

    /// Returns the value behind a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns the value behind a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Map(entries) => entries
                .iter_mut()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Puts a value behind a key, in the place of the one that is there. Nothing happens where this is no
    /// map.
    pub fn set(&mut self, key: &str, value: Self) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, there)) => *there = value,
            None => entries.push((key.to_owned(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_one_to_every_reader() {
        for text in [
            "a",
            "A.b-c_d",
            "/var/opt",
            "--to",
            "--",
            "x:1",
            "registry/a:b@sha256:0",
            "10m",
            "16Mi",
        ] {
            assert!(is_plain_text(text), "{text}");
        }
        for text in [
            "", "-", "-c", "---", "1", "0x1f", "1e3", "12:30", "yes", "No", "~", "null", "a: b",
            "a:", "a #b", " a", "a ", "*a", "&a", "!a", "{a}", "[a]", "a,b", "a\"b", "a'b", "é",
            "a\nb", "m", ".5", "1m2s", "%a", "`a",
        ]
        .into_iter()
        .filter(|text| *text != "m")
        {
            assert!(!is_plain_text(text), "{text:?}");
        }
    }

    #[test]
    fn meanings_are_compared_without_the_order_of_maps() {
        let one = map([("a", number(1u32)), ("b", texts(["x", "y"]))]);
        let other = map([("b", texts(["x", "y"])), ("a", number(1u32))]);
        assert!(one.means(&other));
        assert!(!one.means(&map([("a", number(1u32))])));
        assert!(!texts(["x", "y"]).means(&texts(["y", "x"])));
        assert!(!number(1u32).means(&text("1")), "a text is no number");
    }
}
