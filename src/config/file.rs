//! The configuration file: a flat YAML map of settings.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::raw::{Given, Origin, Raw};
use crate::yaml::{self, Value};

/// The limit of a configuration file, in bytes. Each setting with a long value, and a thousand databases,
/// fit.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// A configuration file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The entries of the file, in its order.
    pub entries: Vec<Entry>,
}

/// A setting and its value in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key of the entry, which names a setting.
    pub key: String,
    /// The value of the entry; none for null, which leaves the setting to the sources that count less.
    pub raw: Option<Raw>,
    /// The line of the entry, counted from 1.
    pub line: u64,
}

/// The reason for which a file can't be used as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is longer than the limit.
    #[error("is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// The file is not UTF-8.
    #[error("is not UTF-8")]
    NotText,
    /// The file is not YAML.
    #[error("is not YAML: {0}")]
    Yaml(#[from] yaml::Error),
    /// The file is no map of settings.
    #[error("is not a map of settings: it is {0}")]
    NoMap(&'static str),
}

impl FileError {
    /// Returns advice on how to mend the file.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Read(_) => {
                "check the path, and the permissions of the user that the supervisor runs as"
            }
            Self::TooLong | Self::NotText | Self::Yaml(_) | Self::NoMap(_) => {
                "write one `setting: value` a line; `check-config` prints an example"
            }
        }
    }
}

impl ConfigFile {
    /// Returns the value of a setting, with its origin, where the file gives one.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Given> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Given {
            raw: entry.raw.clone()?,
            origin: self.origin(entry),
        })
    }

    /// Returns the place of an entry: the file and the line.
    #[must_use]
    pub fn origin(&self, entry: &Entry) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: entry.line,
        }
    }
}

/// Reads a configuration file.
///
/// # Errors
/// When the file can't be read, is too long, or is not a YAML map.
pub fn read(path: &Path) -> Result<ConfigFile, FileError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText)?;
    parse(path, &text)
}

/// Parses the text of a configuration file, without any I/O.
///
/// # Errors
/// When the text is not a YAML map.
pub fn parse(path: &Path, text: &str) -> Result<ConfigFile, FileError> {
    let entries = match yaml::parse(text)?.value {
        Value::Null => Vec::new(),
        Value::Map(entries) => entries,
        other => return Err(FileError::NoMap(other.kind())),
    };
    let entries = entries.into_iter().map(|(key, node)| Entry {
        key,
        line: node.line,
        raw: raw(node.value),
    });
    Ok(ConfigFile {
        path: path.to_owned(),
        entries: entries.collect(),
    })
}

/// Returns the value behind a key, of any shape: one that no setting takes must not hide the file's other
/// mistakes.
fn raw(value: Value) -> Option<Raw> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(Raw::Text(text)),
        Value::Map(_) => Some(Raw::Other("a map")),
        Value::List(items) => {
            let texts = items.into_iter().map(|item| match item.value {
                Value::Text(text) => Some(text),
                _ => None,
            });
            Some(match texts.collect() {
                Some(texts) => Raw::List(texts),
                None => Raw::Other("a list of more than plain values"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(String, Option<Raw>, u64)> {
        parse(Path::new("/c.yaml"), text)
            .expect("a good file")
            .entries
            .into_iter()
            .map(|entry| (entry.key, entry.raw, entry.line))
            .collect()
    }

    fn one(yaml: &str) -> Option<Raw> {
        entries(&format!("key: {yaml}\n")).remove(0).1
    }

    #[test]
    fn every_shape_of_a_value() {
        let text = |text: &str| Some(Raw::Text(text.to_owned()));
        for (yaml, raw) in [
            ("0.0.0.0:9433", text("0.0.0.0:9433")),
            ("1433", text("1433")),
            ("0.05", text("0.05")),
            ("true", text("true")),
            ("off", text("off")),
            ("no", text("no")),
            ("2s", text("2s")),
            ("\"1433\"", text("1433")),
            ("\"null\"", text("null")),
            ("\"\"", text("")),
            ("", None),
            ("~", None),
            (
                "[a, \"b c\", 3]",
                Some(Raw::List(vec!["a".into(), "b c".into(), "3".into()])),
            ),
            ("[]", Some(Raw::List(vec![]))),
            ("{a: 1}", Some(Raw::Other("a map"))),
            (
                "[[a]]",
                Some(Raw::Other("a list of more than plain values")),
            ),
        ] {
            assert_eq!(one(yaml), raw, "{yaml}");
        }
    }

    #[test]
    fn lines_are_counted_and_an_empty_file_is_one() {
        let found = entries("# first\nlisten: a\n\nsql-host: b\n");
        assert_eq!(found[0].2, 2);
        assert_eq!(found[1].2, 4);
        assert!(entries("").is_empty());
        assert!(entries("# nothing\n").is_empty());
    }

    #[test]
    fn what_is_no_map_is_refused_without_repeating_it() {
        for text in [
            "canary",
            "- canary",
            "a: canary\na: canary",
            "a: 'canary",
            "a: *canary",
        ] {
            let error = parse(Path::new("/c.yaml"), text).expect_err("must be refused");
            if text != "a: *canary" {
                assert!(!error.to_string().contains("canary"), "{error}");
            }
        }
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        assert!(matches!(
            read(Path::new("/dev/zero")),
            Err(FileError::TooLong)
        ));
    }
}
