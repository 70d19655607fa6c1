//! The settings of the engine's metrics: profiles, patterns over databases' names, and the kinds of values
//! that give them.

use std::path::PathBuf;

use super::Pace;
use super::kind::Kind;
use super::raw::{Given, Problem, Shown};
use super::text::{Name, Names, SYSNAME};

/// The settings of the collectors of metrics.
#[derive(Clone, Debug)]
pub struct MetricsConfig {
    /// Whether the engine is asked for metrics at all.
    pub enabled: bool,
    /// The profiles whose metrics are exposed.
    pub profiles: Profiles,
    /// The pace at which each collector runs, and the deadline of one run.
    pub pace: Pace,
    /// The filter of the databases whose metrics are exposed.
    pub filter: Filter,
    /// The limit of databases whose metrics are exposed.
    pub max_databases: usize,
    /// The names of collectors that are not run.
    pub off: Vec<String>,
    /// The directory of files with custom collectors.
    pub collectors_dir: Option<PathBuf>,
}

/// A set of profiles. A profile is the set of metrics that one exporter exposes, under that exporter's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profiles(u8);

impl Profiles {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// The profile of Grafana Alloy's `prometheus.exporter.mssql`, which Grafana's mssql-mixin reads.
    pub const ALLOY: Self = Self(1);
    /// The profile of the supervisor's own metrics, `sql_edge_*`.
    pub const OWN: Self = Self(1 << 1);
    /// The profile of sql_exporter's `mssql_standard.collector.yml`.
    pub const SQL_EXPORTER: Self = Self(1 << 2);
    /// The profile of awaragi/prometheus-mssql-exporter.
    pub const AWARAGI: Self = Self(1 << 3);
    /// The profile of the collectors from files in `collectors-dir`, which is always on.
    pub const FILES: Self = Self(1 << 7);

    /// The profiles with their words in the setting `metrics-profiles`.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("alloy", Self::ALLOY),
        ("own", Self::OWN),
        ("sql-exporter", Self::SQL_EXPORTER),
        ("awaragi", Self::AWARAGI),
    ];

    /// Returns the union of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether both sets have a profile in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the words of the profiles in the set.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        Self::WORDS
            .iter()
            .filter(|(_, profile)| self.intersects(*profile))
            .map(|(word, _)| *word)
            .collect()
    }
}

/// A glob over a whole name: `*` stands for any characters, `?` for one. Letters match in either
/// case, as they do under the engine's usual collations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Makes a pattern of any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether the pattern matches `name`, which is given in lower case.
    ///
    /// After a mismatch only the last star takes one character more, which is enough for globs. This is
    /// quadratic at worst, and both texts are at most 128 characters long.
    fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.as_str(), name);
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let (mut after, mut left) = (pattern.chars(), rest.chars());
            match (after.next(), left.next()) {
                (Some('*'), _) => {
                    pattern = after.as_str();
                    retry = Some((pattern, rest));
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    (pattern, rest) = (after.as_str(), left.as_str());
                }
                _ => {
                    let Some((after_star, from)) = retry else {
                        return false;
                    };
                    let mut from = from.chars();
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (after_star, from.as_str());
                    retry = Some((pattern, rest));
                }
            }
        }
    }
}

/// The patterns of the databases that are included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The patterns of included databases; without any, all databases are included.
    pub include: Vec<Pattern>,
    /// The patterns of excluded databases, which win over `include`.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// Whether the metrics of `database` are exposed.
    #[must_use]
    pub fn passes(&self, database: &str) -> bool {
        let name = database.to_lowercase();
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(&name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// The kind of a list of profiles.
#[derive(Clone, Copy, Debug)]
pub struct ProfileList;

/// The kind of a word in a list of profiles or of collectors.
const WORD: Name = Name {
    max: 64,
    bytes: true,
};

impl Kind for ProfileList {
    type Value = Profiles;

    fn parse(&self, given: &Given) -> Result<Profiles, Problem> {
        let mut profiles = Profiles::NONE;
        for word in Names(WORD).parse(given)? {
            let known = Profiles::WORDS.iter().find(|(known, _)| *known == word);
            let (_, profile) = known
                .ok_or_else(|| Problem::new(format!("holds {word:?}, which is not a profile")))?;
            profiles = profiles.and(*profile);
        }
        Ok(profiles)
    }

    fn show(&self, value: &Profiles) -> Shown {
        Shown::List(value.words().into_iter().map(str::to_owned).collect())
    }

    fn describe(&self) -> String {
        let words: Vec<_> = Profiles::WORDS.iter().map(|(word, _)| *word).collect();
        format!(
            "any of {}, separated by commas or as a list in the file",
            words.join(", ")
        )
    }
}

/// The kind of a list of patterns over databases' names.
#[derive(Clone, Copy, Debug)]
pub struct Patterns;

impl Kind for Patterns {
    type Value = Vec<Pattern>;

    fn parse(&self, given: &Given) -> Result<Vec<Pattern>, Problem> {
        let names = Names(SYSNAME).parse(given)?;
        Ok(names.iter().map(|name| Pattern::new(name)).collect())
    }

    fn show(&self, value: &Vec<Pattern>) -> Shown {
        Shown::List(value.iter().map(|pattern| pattern.0.clone()).collect())
    }

    fn describe(&self) -> String {
        "patterns of databases' names separated by commas, or a list in the file; * stands for any characters, ? for one"
            .to_owned()
    }
}

/// Whether `name` may name a collector: the name is a label's value, and a word of a setting.
#[must_use]
pub fn is_collector_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=WORD.max).contains(&name.len()) && name.chars().all(allowed)
}

/// The kind of a list of collectors' names.
#[derive(Clone, Copy, Debug)]
pub struct CollectorNames;

impl Kind for CollectorNames {
    type Value = Vec<String>;

    fn parse(&self, given: &Given) -> Result<Vec<String>, Problem> {
        let names = Names(WORD).parse(given)?;
        match names.iter().find(|name| !is_collector_name(name)) {
            Some(name) => Err(Problem::new(format!(
                "holds {name:?}, which can't name a collector"
            ))),
            None => Ok(names),
        }
    }

    fn show(&self, value: &Vec<String>) -> Shown {
        Shown::List(value.clone())
    }

    fn describe(&self) -> String {
        "names of collectors separated by commas, or a list in the file".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::{Origin, Raw};
    use super::*;

    fn given(text: &str) -> Given {
        Given {
            raw: Raw::Text(text.to_owned()),
            origin: Origin::Default,
        }
    }

    #[test]
    fn globs() {
        for (pattern, name, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*aab", "aaaaab", true),
            ("Orders", "orders", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(&name.to_lowercase()),
                matches,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn exclude_wins_and_an_empty_include_is_all() {
        let filter = |include: &str, exclude: &str| Filter {
            include: Patterns.parse(&given(include)).expect("patterns"),
            exclude: Patterns.parse(&given(exclude)).expect("patterns"),
        };
        assert!(filter("", "").passes("orders"));
        assert!(!filter("app_*", "").passes("orders"));
        assert!(filter("app_*, ORDERS", "").passes("Orders"));
        assert!(!filter("*", "ord*").passes("orders"));
    }

    #[test]
    fn profiles_are_words() {
        let parsed = ProfileList.parse(&given("own, alloy")).expect("profiles");
        assert_eq!(parsed, Profiles::ALLOY.and(Profiles::OWN));
        assert_eq!(parsed.words(), ["alloy", "own"]);
        let problem = ProfileList.parse(&given("aloy")).expect_err("no profile");
        assert_eq!(problem.what, "holds \"aloy\", which is not a profile");
        assert_eq!(ProfileList.parse(&given("")), Ok(Profiles::NONE));
    }

    #[test]
    fn names_of_collectors_are_ids() {
        assert!(CollectorNames.parse(&given("waits,my-queue_2")).is_ok());
        assert!(CollectorNames.parse(&given("a b")).is_err());
    }
}
