//! The condition for a release of the lease: the engine is known to be gone.
//!
//! A released claim is followed at once, so that an engine that still ran would write the volume beside the
//! next one. Whoever gives the lease up has to hand in an [`EngineGone`], and this is the only place that
//! makes one.

use std::time::Duration;

use crate::decide::decision::Phase;
use crate::decide::snapshot::Snapshot;
use crate::decide::time::Time;

/// The proof that no engine runs under the lease.
#[derive(Debug)]
pub struct EngineGone(());

impl EngineGone {
    /// Returns the proof if the supervisor has seen the end of the engine. The last decision was made at `at`,
    /// and the engine was in `phase` by it; both are absent before the first decision.
    ///
    /// PID 1 of the SQL container ends right after its engine, and the link with it: the end that it
    /// reported before counts for as long as nobody can have started an engine unseen, which is `patience`.
    #[must_use]
    pub fn seen(
        snapshot: &Snapshot,
        phase: Option<Phase>,
        at: Option<Time>,
        patience: Duration,
    ) -> Option<Self> {
        let lost = snapshot.link.as_ref().map(|link| link.at);
        let just_lost = at
            .zip(lost)
            .is_some_and(|(now, lost)| now.since(lost) < patience);
        let reported = snapshot.ended_before_loss && just_lost;
        let gone = phase == Some(Phase::Gone) && !snapshot.is_blind();
        (reported || gone).then_some(Self(()))
    }

    /// Returns the proof inside the engine's own container, whose PID 1 starts the engine and sees its end:
    /// the engine was never started, or no process of the container is left that could write.
    #[must_use]
    pub fn in_container(was_started: bool, processes_left: bool) -> Option<Self> {
        (!was_started || !processes_left).then_some(Self(()))
    }
}

#[cfg(test)]
mod tests;
