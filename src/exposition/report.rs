//! What the collectors have published: the fragments, and how each collector fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Fragment;
use super::gzip::{self, Part};

/// How a collector's last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not been run yet.
    Pending,
    /// Its families are what the engine has.
    Succeeded,
    /// It has nothing new to show, for this reason.
    Failed(&'static str),
}

/// How one collector fares.
#[derive(Clone, Debug)]
pub struct CollectorReport {
    /// Its name.
    pub name: Arc<str>,
    /// How its last run ended.
    pub outcome: Outcome,
    /// Runs that asked the engine.
    pub runs: u64,
    /// How long the last of them took; none before the first.
    pub duration: Option<Duration>,
    /// When the last success ended.
    pub succeeded: Option<Instant>,
    /// Series of the last success that were not exposed.
    pub left_out: u64,
    /// What the last success exposed, and until when that may be served: a runner that hangs must not
    /// leave old numbers standing.
    pub fragment: Option<(Arc<Fragment>, Instant)>,
    /// What is served where that is not.
    pub otherwise: Option<Arc<Fragment>>,
}

impl CollectorReport {
    /// One of a collector that has not been run yet.
    #[must_use]
    pub fn pending(name: &str) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Pending,
            runs: 0,
            duration: None,
            succeeded: None,
            left_out: 0,
            fragment: None,
            otherwise: None,
        }
    }
}

/// All that the collectors have published.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Every collector, in the order in which their families are served.
    pub collectors: Vec<CollectorReport>,
}

impl Exposition {
    /// What may be served at `now`.
    fn fragments(&self, now: Instant) -> impl Iterator<Item = &Fragment> {
        self.collectors
            .iter()
            .filter_map(move |report| match &report.fragment {
                Some((fragment, until)) if now < *until => Some(&**fragment),
                _ => report.otherwise.as_deref(),
            })
    }

    /// `own` and every fragment, as they are sent.
    #[must_use]
    pub fn plain(&self, own: String, now: Instant) -> Vec<Bytes> {
        let mut pieces = vec![Bytes::from(own)];
        for fragment in self.fragments(now) {
            pieces.extend_from_slice(fragment.texts());
        }
        pieces
    }

    /// The same as one gzip stream; none where something can't be compressed.
    #[must_use]
    pub fn gzip(&self, own: &str, now: Instant) -> Option<Vec<Bytes>> {
        let own = Part::new(std::iter::once(own.as_bytes())).ok()?;
        let parts = self.fragments(now).map(Fragment::compressed);
        let parts = parts.collect::<Option<Vec<_>>>()?;
        Some(gzip::join(std::iter::once(&own).chain(parts)))
    }
}
