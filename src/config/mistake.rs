//! The mistakes in a configuration: all of them at once, a line each.

use std::fmt;

use super::raw::{Origin, Problem, Raw};
use super::settings::Setting;

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The name of the setting, or of what was given in its place.
    pub setting: String,
    /// The value as it was given, unless it could be a secret.
    pub value: Option<String>,
    /// The source that gave the value.
    pub origin: Origin,
    /// The description of the mistake, such as "is below 50ms".
    pub what: String,
    /// The advice on how to mend the mistake.
    pub advice: String,
}

impl Mistake {
    /// Returns the mistake of a value that a setting does not take.
    #[must_use]
    pub fn value(setting: &Setting, raw: &Raw, origin: Origin, problem: Problem) -> Self {
        let value = match setting.secret.is_some() {
            true => None,
            false => Some(raw.excerpt()),
        };
        let allowed = || format!("give {}", (setting.describe)());
        Self {
            setting: setting.key.to_owned(),
            value,
            origin,
            what: problem.what,
            advice: problem.advice.unwrap_or_else(allowed),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setting)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " ({}): {}; {}", self.origin, self.what, self.advice)
    }
}

/// All mistakes in a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Mistake>);

impl ConfigErrors {
    /// Returns `value` if there are no mistakes.
    ///
    /// # Errors
    /// When there are mistakes.
    pub fn unless_empty<T>(mistakes: Vec<Mistake>, value: T) -> Result<T, Self> {
        match mistakes.is_empty() {
            true => Ok(value),
            false => Err(Self(mistakes)),
        }
    }

    /// Returns all mistakes.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a mistake:")?,
            count => write!(f, "the configuration has {count} mistakes:")?,
        }
        for mistake in &self.0 {
            // A path or a parser's message may hold a line break.
            let line = mistake.to_string().replace(char::is_control, " ");
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// Returns the one of `names` that `name` was probably meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// The similarity, from 0 to 1, above which a name is suggested; clap takes the same.
    const ALIKE: f64 = 0.7;
    names
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let names = ["sql-port", "sql-host", "listen"];
        let nearest = |name| nearest(name, names.into_iter());
        assert_eq!(nearest("sql-prot"), Some("sql-port"));
        assert_eq!(nearest("listn"), Some("listen"));
        assert_eq!(nearest("zzz"), None);
    }
}
