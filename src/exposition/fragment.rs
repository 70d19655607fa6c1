//! The rendered families of one collection.

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
    /// Ends the construction of `families`, and compresses them. No text is copied; what was
    /// allocated in excess is given back.
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

    /// Returns the names of the families.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the fragment's bytes, a piece for each family.
    #[must_use]
    pub fn texts(&self) -> &[Bytes] {
        &self.texts
    }

    /// Returns the fragment as part of a gzip stream; none where it can't be compressed.
    #[must_use]
    pub fn compressed(&self) -> Option<&Part> {
        self.compressed.as_ref()
    }

    /// Returns the number of series.
    #[must_use]
    pub const fn samples(&self) -> usize {
        self.samples
    }
}
