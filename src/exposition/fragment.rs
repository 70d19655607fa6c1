//! What one collection was rendered to.

use bytes::Bytes;

use super::Families;

/// The families of one collection as bytes, to be served as they are any number of times.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    names: Vec<String>,
    texts: Vec<Bytes>,
}

impl Fragment {
    /// Ends the construction. No text is copied; what was allocated in excess is given back.
    #[must_use]
    pub fn new(families: Families) -> Self {
        let mut fragment = Self::default();
        for (name, text) in families.into_texts() {
            fragment.names.push(name);
            fragment
                .texts
                .push(text.into_bytes().into_boxed_slice().into());
        }
        fragment
    }

    /// The names of its families.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Its bytes, a piece for each family.
    #[must_use]
    pub fn texts(&self) -> &[Bytes] {
        &self.texts
    }
}
