//! The marks of the volumes beside the main one, counted by the sets that they name.

use std::collections::BTreeMap;

use super::Seen;
use crate::decide::identity::IdentityFile;

/// The sets that the volumes beside the main one are marked with.
#[derive(Debug, Default)]
pub(super) struct Votes<'a> {
    by_set: BTreeMap<&'a str, Vec<&'a str>>,
    /// Whether a volume was not seen yet.
    open: bool,
}

impl<'a> Votes<'a> {
    pub(super) fn count(others: &[Seen<'a>]) -> Self {
        let mut votes = Self::default();
        for seen in others {
            votes.open |= seen.facts.is_none();
            if let Some(IdentityFile::Known(identity)) = seen.facts.map(|facts| &facts.file)
                && let Some(set) = &identity.set
            {
                let names = votes.by_set.entry(set.id.as_str()).or_default();
                names.push(seen.volume.name.as_str());
            }
        }
        votes
    }

    /// Returns the set with the most volumes, and their names.
    pub(super) fn most(&self) -> Option<(&'a str, &[&'a str])> {
        let most = self.by_set.iter().max_by_key(|(_, names)| names.len())?;
        Some((most.0, most.1.as_slice()))
    }

    /// Whether a volume was not seen yet.
    pub(super) fn are_open(&self) -> bool {
        self.open
    }

    /// Whether a volume is marked with another set than `id`.
    pub(super) fn has_other_than(&self, id: &str) -> bool {
        self.by_set.keys().any(|set| *set != id)
    }

    pub(super) fn of(&self, id: &str) -> usize {
        self.by_set.get(id).map_or(0, Vec::len)
    }
}
