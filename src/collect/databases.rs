//! The choice of databases that are shown: include and exclude patterns, and a cap.

use std::collections::HashMap;

use crate::config::metrics::Filter;

/// The number of turns of each collector after which a database that no collector has met any more
/// gives up its place.
const FORGET_AFTER: u32 = 8;

/// The longest name in bytes that can be a database's: `sysname` has 128 characters.
const MAX_NAME_BYTES: usize = 512;

/// The place of a database among those that are shown, or the reason why it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The database is shown.
    Shown,
    /// The filters exclude the database.
    Filtered,
    /// The database is left out, because there are more than the cap allows.
    BeyondCap,
}

/// The databases that are shown. All collectors share this list, so that they show the same
/// databases: the first that are met, up to the cap.
#[derive(Debug)]
pub(crate) struct Databases {
    filter: Filter,
    max: usize,
    /// The name of each database that was met and passes the filters, with the collection in which
    /// it was met last.
    shown: HashMap<String, u32>,
    collection: u32,
    /// The name that was asked for last, and its place: rows of one database follow one another.
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

    /// Begins a collection. Databases that were not met for long, because they were dropped, give
    /// up their places.
    pub(crate) fn begin(&mut self, collectors: usize) {
        self.collection = self.collection.wrapping_add(1);
        self.last = None;
        let after = FORGET_AFTER.saturating_mul(u32::try_from(collectors.max(1)).unwrap_or(1));
        let now = self.collection;
        self.shown.retain(|_, met| now.wrapping_sub(*met) <= after);
    }

    /// Returns the place of `name`. The empty name is no database, and is shown.
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
