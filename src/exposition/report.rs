//! What the collectors have published: the fragments, and how each collector fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Fragment;

/// How a collector's last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not been run yet.
    Pending,
    /// Its families are what the engine has.
    Succeeded,
    /// It has nothing to show, for this reason.
    Failed(&'static str),
}

/// How one collector fares.
#[derive(Clone, Debug)]
pub struct CollectorReport {
    /// Its name.
    pub name: Arc<str>,
    /// How its last run ended.
    pub outcome: Outcome,
    /// How long its last run took.
    pub duration: Duration,
    /// When its last success ended.
    pub last_success: Option<Instant>,
    /// Series of its last success that were not exposed.
    pub left_out: u64,
    /// What its last success exposed, and until when that may be served: a runner that hangs must
    /// not leave old numbers standing.
    pub fragment: Option<(Arc<Fragment>, Instant)>,
}

/// All that the collectors have published.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Every collector, in the order in which their families are served.
    pub collectors: Vec<CollectorReport>,
}
