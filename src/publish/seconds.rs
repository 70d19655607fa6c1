//! A span in documents.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// A span, written as seconds with the microseconds kept: enough for a round trip, short for an
/// age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e6)
    }
}
