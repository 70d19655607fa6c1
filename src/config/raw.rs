//! What a source gives for a setting, before it is understood, and where it comes from.

use std::fmt;
use std::path::PathBuf;

/// The text of a value; a file may also hold a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// One scalar.
    Text(String),
    /// A list of scalars, from a file.
    List(Vec<String>),
    /// A variable that is set and holds a secret: its name, never its value.
    SecretIn(String),
    /// Something that no setting takes, such as a map, by its name.
    Other(&'static str),
}

impl Raw {
    /// How a mistake shows it: escaped, and cut where it is long.
    #[must_use]
    pub fn excerpt(&self) -> String {
        /// Characters of a value that a message repeats at most.
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

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, named without its dashes.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// The configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, counted from 1; 0 where it is not known.
        line: u64,
    },
    /// Nobody gave one.
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
    /// The value.
    pub raw: Raw,
    /// Where it comes from.
    pub origin: Origin,
}

/// Why a value can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as in "is below 50ms".
    pub what: String,
    /// What to do, if more can be said than which values are allowed.
    pub advice: Option<String>,
}

impl Problem {
    /// A problem that the list of allowed values solves.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            advice: None,
        }
    }

    /// A problem with advice of its own.
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
    /// Safe without quotes: numbers, durations, sizes, `true`, `false`.
    Plain(String),
    /// To be quoted.
    Quoted(String),
    /// A list, each item to be quoted.
    List(Vec<String>),
    /// There is no value; the text says what that means.
    Unset(&'static str),
}

impl Shown {
    /// In YAML. JSON's strings are a subset of YAML's, and settings hold no control characters.
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
