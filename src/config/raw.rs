//! The value that a source gives for a setting, before it is parsed, and its origin.

use std::fmt;
use std::path::PathBuf;

/// A value as a source gives it, before it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// The text of a single value.
    Text(String),
    /// A list of texts, which only a file can hold.
    List(Vec<String>),
    /// The name of a variable that is set and holds a secret, never its value.
    SecretIn(String),
    /// The name of something that no setting takes, such as a map.
    Other(&'static str),
}

impl Raw {
    /// Returns the value as a mistake shows it: escaped, and cut where it is long.
    #[must_use]
    pub fn excerpt(&self) -> String {
        /// The limit of characters of a value that a message repeats.
        const MAX_CHARS: usize = 80;
        let whole = match self {
            Self::Text(text) => format!("{text:?}"),
            Self::List(items) => format!("{items:?}"),
            Self::SecretIn(_) => "***".to_owned(),
            Self::Other(name) => (*name).to_owned(),
        };
        match whole.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => format!("{}...", &whole[..end]),
            None => whole,
        }
    }
}

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, named without its dashes.
    Flag(String),
    /// An environment variable, by its name.
    Env(String),
    /// The configuration file.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The line, counted from 1; 0 where it is not known.
        line: u64,
    },
    /// The default of the setting, as no source gives a value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "flag --{key}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::File { path, line: 0 } => write!(f, "file {}", path.display()),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The value itself.
    pub raw: Raw,
    /// The source of the value.
    pub origin: Origin,
}

/// The reason for which a value can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The description of the problem, as in "is below 50ms".
    pub what: String,
    /// The advice, where there is more to it than the list of allowed values.
    pub advice: Option<String>,
}

impl Problem {
    /// Returns a problem that the list of allowed values solves.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: None,
        }
    }

    /// Returns a problem with advice of its own.
    pub fn with_advice(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: Some(advice.into()),
        }
    }
}

/// A value as it is written into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A text that is safe without quotes: a number, a duration, a size, `true`, `false`.
    Plain(String),
    /// A text that has to be quoted.
    Quoted(String),
    /// A list of texts, each of which has to be quoted.
    List(Vec<String>),
    /// No value, with a text for what that means.
    Unset(&'static str),
}

impl Shown {
    /// Returns the value in YAML; none where it is unset. JSON's strings are a subset of YAML's, and settings
    /// hold no control characters.
    #[must_use]
    pub fn yaml(&self) -> Option<String> {
        match self {
            Self::Plain(text) => Some(text.clone()),
            Self::Quoted(text) => Some(serde_json::Value::from(text.as_str()).to_string()),
            Self::List(items) => Some(serde_json::Value::from(items.as_slice()).to_string()),
            Self::Unset(_) => None,
        }
    }
}
