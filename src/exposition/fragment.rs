//! What one collection was rendered to.

use bytes::Bytes;

use super::Families;
use super::gzip::Part;

/// The families of one collection as bytes, to be served as they are any number of times.
#[derive(Debug, Default)]
pub struct Fragment {
    names: Vec<String>,
    texts: Vec<Bytes>,
    compressed: Option<Part>,
    samples: usize,
}

impl Fragment {
    /// Ends the construction and compresses. No text is copied; what was allocated in excess is given
    /// back.
    #[must_use]
    pub fn new(families: Families) -> Self {
        let samples = families.samples();
        let (mut names, mut texts) = (Vec::new(), Vec::new());
        for (name, text) in families.into_texts() {
            names.push(name);
            texts.push(Bytes::from(text.into_bytes().into_boxed_slice()));
        }
        let compressed = Part::new(texts.iter().map(|text| &text[..])).ok();
        Self {
            names,
            texts,
            compressed,
            samples,
        }
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

    /// The same as part of a gzip stream.
    #[must_use]
    pub fn compressed(&self) -> Option<&Part> {
        self.compressed.as_ref()
    }

    /// Series in it.
    #[must_use]
    pub const fn samples(&self) -> usize {
        self.samples
    }
}
