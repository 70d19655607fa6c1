//! The publications of the collectors: the fragments, and how each collector fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Fragment;
use super::gzip::{self, Part};

/// The outcome of a collector's last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The collector has not been run yet.
    Pending,
    /// The collector's families are what the engine has.
    Succeeded,
    /// The collector has nothing new to show, for this reason.
    Failed(&'static str),
}

/// The report on one collector.
#[derive(Clone, Debug)]
pub struct CollectorReport {
    /// The collector's name.
    pub name: Arc<str>,
    /// The outcome of the last run.
    pub outcome: Outcome,
    /// The number of runs that asked the engine.
    pub runs: u64,
    /// The duration of the last of those runs; none before the first.
    pub duration: Option<Duration>,
    /// The moment when the last success ended.
    pub succeeded: Option<Instant>,
    /// The number of series of the last success that were not exposed.
    pub left_out: u64,
    /// The fragment of the last success, and the moment until which it may be served: a runner that
    /// hangs must not leave old numbers standing.
    pub fragment: Option<(Arc<Fragment>, Instant)>,
    /// The fragment that is served where that of the last success is absent or too old.
    pub otherwise: Option<Arc<Fragment>>,
}

impl CollectorReport {
    /// Makes the report on a collector that has not been run yet.
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
    /// The report on every collector, in the order in which their families are served.
    pub collectors: Vec<CollectorReport>,
}

impl Exposition {
    /// Returns the fragments that may be served at `now`.
    fn fragments(&self, now: Instant) -> impl Iterator<Item = &Fragment> {
        self.collectors
            .iter()
            .filter_map(move |report| match &report.fragment {
                Some((fragment, until)) if now < *until => Some(&**fragment),
                _ => report.otherwise.as_deref(),
            })
    }

    /// Returns `own` and every fragment, as they are sent.
    #[must_use]
    pub fn plain(&self, own: String, now: Instant) -> Vec<Bytes> {
        let mut pieces = vec![Bytes::from(own)];
        for fragment in self.fragments(now) {
            pieces.extend_from_slice(fragment.texts());
        }
        pieces
    }

    /// Returns what [`Self::plain`] does as one gzip stream; none where something can't be
    /// compressed.
    #[must_use]
    pub fn gzip(&self, own: &str, now: Instant) -> Option<Vec<Bytes>> {
        let own = Part::new(std::iter::once(own.as_bytes())).ok()?;
        let parts = self.fragments(now).map(Fragment::compressed);
        let parts = parts.collect::<Option<Vec<_>>>()?;
        Some(gzip::join(std::iter::once(&own).chain(parts)))
    }
}
