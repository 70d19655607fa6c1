//! Families under construction.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{FamilyDef, text};

/// The greatest size in bytes of one collector's families, uncompressed: a thousand databases with
/// two files each and twenty families stay below half of it. What is above is left out and counted.
pub const MAX_FRAGMENT_BYTES: usize = 8 * 1024 * 1024;

/// The families of one collection. Samples of several families may be added in turns: each family
/// has a text of its own, so that rows are rendered as they arrive and none has to be kept.
#[derive(Debug, Default)]
pub struct Families {
    families: Vec<Family>,
    hasher: RandomState,
    bytes: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Family {
    name: String,
    text: String,
    samples: usize,
    /// Hashes of the series that are there already.
    seen: HashSet<u64>,
}

impl Families {
    /// Makes a collection without families.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample: `values` are those of the family's labels, in their order.
    ///
    /// A series that is there already, and what is beyond [`MAX_FRAGMENT_BYTES`], is left out and
    /// counted.
    pub fn sample(&mut self, family: &FamilyDef, values: &[&str], value: f64) {
        debug_assert_eq!(family.labels.len(), values.len(), "{}", family.name);
        let index = self.open(family);
        let Some(open) = self.families.get_mut(index) else {
            return;
        };
        let before = open.text.len();
        text::series(&mut open.text, family, values);
        let series = open.text.as_bytes().get(before..).unwrap_or_default();
        let is_new = open.seen.insert(self.hasher.hash_one(series));
        text::value(&mut open.text, value);
        let added = open.text.len() - before;
        if is_new && self.bytes + added <= MAX_FRAGMENT_BYTES {
            self.bytes += added;
            open.samples += 1;
        } else {
            open.text.truncate(before);
            self.left_out += 1;
        }
    }

    /// Counts a series that the caller left out.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Returns the index of the family, which is opened where it is new.
    fn open(&mut self, family: &FamilyDef) -> usize {
        let known = self.families.iter().rposition(|f| f.name == family.name);
        known.unwrap_or_else(|| {
            let mut text = String::new();
            text::head(&mut text, family);
            self.bytes += text.len();
            self.families.push(Family {
                name: family.name.clone().into_owned(),
                text,
                samples: 0,
                seen: HashSet::new(),
            });
            self.families.len() - 1
        })
    }

    /// Returns the number of series that were left out: there already, beyond the limit, or by the
    /// caller's choice.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the number of series that are there.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.families.iter().map(|family| family.samples).sum()
    }

    /// Returns each family that has a sample: its name and its text, with its head.
    pub(super) fn into_texts(self) -> impl Iterator<Item = (String, String)> {
        self.families
            .into_iter()
            .filter(|family| family.samples > 0)
            .map(|family| (family.name, family.text))
    }
}
