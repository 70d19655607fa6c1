//! What the volumes beside the main one say.

use std::collections::BTreeMap;

use super::Seen;
use crate::decide::identity::IdentityFile;

/// Which sets the volumes beside the main one say that they belong to.
#[derive(Debug, Default)]
pub(super) struct Votes<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Votes<'a> {
    pub(super) fn count(others: &[Seen<'a>]) -> Self {
        let mut votes = Self::default();
        for seen in others {
            if let Some(IdentityFile::Known(identity)) = seen.facts.map(|facts| &facts.file)
                && let Some(set) = &identity.set
            {
                let names = votes.0.entry(set.id.as_str()).or_default();
                names.push(seen.volume.name.as_str());
            }
        }
        votes
    }

    /// The set with the most volumes, and which these are.
    pub(super) fn most(&self) -> Option<(&'a str, &[&'a str])> {
        let most = self.0.iter().max_by_key(|(_, names)| names.len())?;
        Some((most.0, most.1.as_slice()))
    }

    pub(super) fn of(&self, id: &str) -> usize {
        self.0.get(id).map_or(0, Vec::len)
    }
}
