//! The numbers that the engine reports about itself, collected at a pace of their own for
//! `/metrics`.
//!
//! ```text
//!  collector ── batch ──> engine ── rows ──> reading ── samples ──> Families ──> Fragment
//!      ^                                                                            │
//!   built in, or from a file                              a watch channel, Exposition
//!                                                                                   v
//!                                                          /metrics joins fragments, asks nobody
//! ```
//!
//! A `Collector` is **one batch**, which is one round trip whatever the number of databases,
//! together with the meaning of its rows. The runner runs a collector when it is due, passes each
//! row to its `Reading` as it arrives, and publishes what was rendered. There are two kinds of
//! collector: those built in, and those read from files in `collectors-dir`.
//!
//! # What a collector can't do
//!
//! - Delay a scrape, a probe or the deciding loop: it runs on a thread and on a connection of its
//!   own, and a scrape joins what was rendered before.
//! - Fail a scrape. Where a collector is denied, unsupported, late, too long or nonsensical, its
//!   families are missing, and `sql_edge_collector_success` is 0 with the reason beside it.
//! - Make the exposition invalid: see [`crate::exposition`].
//! - Expose more than it may: families of profiles that are off, databases that are filtered out and
//!   series beyond the cap are dropped in `Output`, which is the only way to expose anything.
//! - Be in the engine's way: every batch runs with READ UNCOMMITTED, a lock timeout, a low deadlock
//!   priority and a deadline.
//!
//! # Rules for a collector
//!
//! 1. Its batch is a constant text: there is no query for each database. Joins that need several
//!    views happen in the batch or, over several result sets, in the reading.
//! 2. Rows are rendered as they arrive wherever that is possible. The state that a reading keeps is
//!    bounded.
//! 3. Whatever may be denied or unsupported on its own is a collector of its own, because an error
//!    costs all that its collector reads.
//! 4. The label of a database is called `db`, or `database` where another exporter calls it so:
//!    filters and cap go by these two names.
//! 5. A NULL, a missing column or another type is an absent sample, never a zero.

pub(crate) mod builtin;
mod databases;
mod differences;
mod failure;
mod files;
mod names;
mod output;
mod reference;
mod roster;
mod runner;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::config::Effective;
use crate::config::mistake::Mistake;
use crate::config::raw::{Origin, Raw};
use crate::exposition::{FamilyDef, Kind};
use crate::tds::value::Cells;

pub use crate::config::metrics::Profiles;
pub use differences::{DIFFERENCES, Difference, Differing, differences};
pub(crate) use output::Output;
pub use reference::reference;
pub use runner::{Collecting, spawn};

/// A family that a collector may expose, and the profiles that want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The family's name, type, labels and help.
    pub family: FamilyDef,
    /// The profiles of which at least one has to be on for the family to be exposed.
    pub profiles: Profiles,
}

impl Metric {
    /// Makes the metric of a built-in collector.
    #[must_use]
    pub const fn fixed(
        profiles: Profiles,
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            family: FamilyDef::fixed(name, kind, labels, help),
            profiles,
        }
    }
}

/// The edition of the engine that is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// `SERVERPROPERTY('EngineEdition')`: 3 Enterprise, Developer and Evaluation; 9 Azure SQL Edge.
    pub edition: i64,
}

impl Engine {
    /// The edition number of Azure SQL Edge, which alone has data retention and streaming jobs.
    pub const EDGE: i64 = 9;

    /// Whether the engine is Azure SQL Edge.
    #[must_use]
    pub const fn is_edge(self) -> bool {
        self.edition == Self::EDGE
    }
}

/// The reason why a collector has nothing to show. A closed set: each variant is a value of the
/// label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The engine could not be connected to, or the connection broke.
    Unreachable,
    /// The engine refused the login.
    LoginFailed,
    /// The login may not see what the collector reads.
    Denied,
    /// The engine, by its edition or version, does not have what the collector reads.
    Unsupported,
    /// The deadline passed, or the engine waited for a lock as long as it may.
    TimedOut,
    /// The answer was longer than the supervisor reads.
    TooLong,
    /// The answer was not what the collector asked for.
    Malformed,
    /// The engine answered with another error.
    EngineError,
    /// A family of the same name is exposed by another collector or by the supervisor itself.
    NameTaken,
    /// The collector's file has a mistake.
    Invalid,
}

impl Failure {
    /// All failures.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::LoginFailed,
        Self::Denied,
        Self::Unsupported,
        Self::TimedOut,
        Self::TooLong,
        Self::Malformed,
        Self::EngineError,
        Self::NameTaken,
        Self::Invalid,
    ];

    /// Returns the failure's value of the label `reason`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::LoginFailed => "login_failed",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::TimedOut => "timed_out",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::EngineError => "engine_error",
            Self::NameTaken => "name_taken",
            Self::Invalid => "invalid",
        }
    }

    /// Whether the next turn may well succeed, so that what was shown before is kept for a few
    /// turns.
    const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::LoginFailed | Self::TimedOut | Self::EngineError
        )
    }

    /// Whether only a grant or another engine changes the outcome.
    const fn is_refusal(self) -> bool {
        matches!(self, Self::Denied | Self::Unsupported)
    }
}

/// A batch for the engine, and the meaning of its rows.
pub(crate) trait Collector: Debug + Send {
    /// Returns the collector's name, unique among the collectors: the label `collector`,
    /// `[a-z0-9_]+`.
    fn name(&self) -> &str;

    /// Returns every family that the collector may expose.
    fn metrics(&self) -> &[Metric];

    /// Returns the shortest time between two runs, however short `metrics-interval` is.
    fn min_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether this engine has what the collector reads; where it has not, the collector is not run
    /// and fails as [`Failure::Unsupported`].
    fn supports(&self, _engine: Engine) -> bool {
        true
    }

    /// Returns the series that is exposed where there is no other: before the first answer, and as
    /// soon as the engine is not asked or does not answer.
    fn otherwise(&self) -> Option<(&Metric, f64)> {
        None
    }

    /// Returns the batch. The settings of the session (isolation, lock timeout, deadlock priority)
    /// are made already.
    fn batch(&self) -> String;

    /// Begins to read an answer.
    fn begin(&self) -> Box<dyn Reading>;
}

/// The reading of one answer. It is dropped where the answer ends in an error.
pub(crate) trait Reading: Send {
    /// Takes a row of the result set with this index, counted from 0 over the sets that have columns.
    fn row(&mut self, result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>);

    /// Exposes what had to wait until the answer was complete.
    ///
    /// # Errors
    /// The answer was not what was asked for; nothing of it is published then.
    fn finish(self: Box<Self>, _out: &mut Output<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Returns everything that is wrong with the custom collectors, for `check-config` to print.
/// `taken` are the names of the supervisor's own families.
#[must_use]
pub fn mistakes(effective: &Effective, taken: &[String]) -> Vec<Mistake> {
    const OFF: &str = "metrics-collectors-off";
    let config = &effective.config.metrics;
    if !config.enabled {
        return Vec::new();
    }
    let names = names::Names::of_supervisor(taken);
    let roster = roster::Roster::new(config, names, Instant::now());
    let directory = config.collectors_dir.as_deref().map(files::Directory::new);
    let loaded = directory
        .and_then(|mut directory| directory.load_if_changed(|| roster.names().clone()))
        .unwrap_or_default();
    let strangers = roster.strangers(&loaded).into_iter().map(|name| Mistake {
        setting: OFF.to_owned(),
        value: Some(Raw::Text(name.to_owned()).excerpt()),
        origin: effective
            .origins
            .get(OFF)
            .cloned()
            .unwrap_or(Origin::Default),
        what: "names no collector".to_owned(),
        advice: "docs/metrics.md lists those that are built in".to_owned(),
    });
    let strangers: Vec<_> = strangers.collect();
    let wrong = loaded.into_iter().filter_map(|file| file.collector.err());
    wrong.flatten().chain(strangers).collect()
}

#[cfg(test)]
mod tests;
