//! Which databases are shown: include and exclude patterns, and a cap.

use std::collections::HashMap;

/// Collections after which a database that no collector has met any more gives up its place.
const FORGET_AFTER: u32 = 8;

/// Bytes of a name that can be a database's: `sysname` has 128 characters.
const MAX_NAME_BYTES: usize = 512;

/// A glob over a whole name: `*` stands for any characters, `?` for one. Letters match in either
/// case, as names do under the engine's usual collations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes any text for a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it stands for `name`, which is lower case.
    fn matches(&self, name: &str) -> bool {
        // The usual walk with one place to come back to: linear in practice, quadratic at worst, and
        // both texts are bounded.
        let (mut pattern, mut rest) = (self.0.as_str(), name);
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let mut after = pattern.chars();
            let mut left = rest.chars();
            match (after.next(), left.next()) {
                (Some('*'), _) => {
                    pattern = after.as_str();
                    retry = Some((pattern, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    (pattern, rest) = (after.as_str(), left.as_str());
                    continue;
                }
                _ => {}
            }
            // The last star takes one character more.
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

/// Include and exclude patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Empty: all.
    pub include: Vec<Pattern>,
    /// Wins over `include`.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    fn passes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(&name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// What became of a database's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is shown.
    Shown,
    /// The filters keep it out.
    Filtered,
    /// There are more than the cap allows.
    BeyondCap,
}

/// The databases that are shown. One for all collectors, so that they show the same ones: the first
/// that are met, up to the cap.
#[derive(Debug)]
pub(crate) struct Databases {
    filter: Filter,
    max: usize,
    /// The name of each one met that passes, and the collection in which it was met last.
    shown: HashMap<String, u32>,
    collection: u32,
    /// What was asked last: rows of one database follow one another.
    last: Option<(String, Place)>,
}

impl Databases {
    pub(crate) fn new(filter: Filter, max: usize) -> Self {
        Self {
            filter,
            max,
            shown: HashMap::new(),
            collection: 0,
            last: None,
        }
    }

    /// A collection begins: databases that were dropped long ago give up their places.
    pub(crate) fn begin(&mut self, collectors: usize) {
        self.collection = self.collection.wrapping_add(1);
        self.last = None;
        let after = FORGET_AFTER.saturating_mul(u32::try_from(collectors.max(1)).unwrap_or(1));
        let now = self.collection;
        self.shown
            .retain(|_, met| now.wrapping_sub(*met) <= after);
    }

    /// The place of `name`. The empty name is no database, and is shown.
    pub(crate) fn place(&mut self, name: &str) -> Place {
        if name.is_empty() {
            return Place::Shown;
        }
        if let Some((last, place)) = &self.last
            && last == name
        {
            return *place;
        }
        let place = self.find_place(name);
        self.last = (name.len() <= MAX_NAME_BYTES).then(|| (name.to_owned(), place));
        place
    }

    fn find_place(&mut self, name: &str) -> Place {
        if let Some(met) = self.shown.get_mut(name) {
            *met = self.collection;
            return Place::Shown;
        }
        // The engine's names are shorter; what a hostile answer calls a name is not remembered.
        if name.len() > MAX_NAME_BYTES {
            return Place::BeyondCap;
        }
        if !self.filter.passes(name) {
            return Place::Filtered;
        }
        if self.shown.len() >= self.max {
            return Place::BeyondCap;
        }
        self.shown.insert(name.to_owned(), self.collection);
        Place::Shown
    }
}
