//! The state machine of one contender for the lease: the next step, given the reply to the one before.
//!
//! Time is CLOCK_BOOTTIME, since any origin: only differences count.

use std::time::Duration;

use super::sight::{OwnHolder, Relation, Sight};
pub use super::stage::{LeaseStage, Loss, Tenure, Watch, WriteStep};
use super::{Claim, Epoch, LeaseReply, LeaseStep, MAX_EPOCH, Record, Terms};
use crate::decide::observation::ProcessId;

/// The state of one contender for the lease. The fields are open for the tests, which move all of its
/// moments at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseMachine {
    /// The contender itself, as it looks at claims.
    pub me: OwnHolder,
    /// The number that distinguishes this run of the supervisor from every other.
    pub nonce: u64,
    /// The times of the protocol.
    pub terms: Terms,
    /// The step that is under way.
    pub stage: LeaseStage,
    /// The claim that is held, if there is one.
    pub tenure: Option<Tenure>,
    /// The claim that was held and lost, until one is held again.
    pub lost: Option<Loss>,
    /// The claim of another holder that is watched.
    pub watch: Option<Watch>,
    /// The cause for which the last round came to nothing, if it did.
    pub failure: Option<String>,
    /// Whether the lease is to be given up, or was.
    pub releasing: bool,
}

impl LeaseMachine {
    /// Creates a contender that knows nothing yet; `nonce` distinguishes this run from every other.
    #[must_use]
    pub fn new(me: OwnHolder, nonce: u64, terms: Terms) -> Self {
        Self {
            me,
            nonce,
            terms,
            stage: LeaseStage::Idle,
            tenure: None,
            lost: None,
            watch: None,
            failure: None,
            releasing: false,
        }
    }

    /// Takes in the engine that runs under the claim, which the holder's details show to others.
    pub fn see_engine(&mut self, engine: Option<ProcessId>) {
        self.me.details.engine = engine;
    }

    /// Gives the lease up at the next rest, for ever. Allowed only where the engine is known to be gone.
    pub fn release(&mut self) {
        self.releasing = true;
    }

    /// Whether the lease that is to be given up was given up, or can't be.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.releasing && self.tenure.is_none() && self.stage == LeaseStage::Idle
    }

    /// Takes in the reply to the step before, at the moment at which it came, and returns the next step. The
    /// first call takes [`LeaseReply::Done`].
    pub fn next(&mut self, reply: LeaseReply, now: Duration) -> LeaseStep {
        let stage = std::mem::replace(&mut self.stage, LeaseStage::Idle);
        match (stage, reply) {
            (LeaseStage::Idle, _) => self.begin(now),
            (stage, LeaseReply::Failed(why)) => self.failed(stage, why),
            (LeaseStage::Looking, LeaseReply::Listed(epochs)) => self.looked(&epochs, now),
            (LeaseStage::Reading(epoch, asked), LeaseReply::Seen(sight)) => {
                self.read(epoch, sight, asked, now)
            }
            (LeaseStage::Locking(claim, began), _) => {
                let step = LeaseStep::Create(claim.clone());
                self.wait_for(LeaseStage::Claiming(WriteStep::Create, claim, began), step)
            }
            (LeaseStage::Claiming(making, claim, began), reply) => {
                self.claiming(making, claim, began, &reply, now)
            }
            (LeaseStage::Clearing(claim, began, left, clean), _) => {
                self.clear(claim, began, left, clean, now)
            }
            (LeaseStage::Opening(began), reply) => self.opened(reply, began, now),
            (LeaseStage::Renewing(making, claim, began), reply) => {
                self.renewing(making, claim, began, &reply, now)
            }
            (LeaseStage::Missing(claim), LeaseReply::Listed(epochs)) => {
                self.missed(claim, &epochs, now)
            }
            (LeaseStage::Releasing(false), LeaseReply::Done) => {
                self.wait_for(LeaseStage::Releasing(true), LeaseStep::Sync)
            }
            (LeaseStage::Releasing(_), _) => LeaseStep::Rest(self.terms.look),
            (LeaseStage::Withdrawing, _) => self.look(),
            // The highest claim went while it was read: another one has followed.
            (LeaseStage::Looking | LeaseStage::Reading(..) | LeaseStage::Missing(_), _) => {
                LeaseStep::Rest(self.terms.look)
            }
        }
    }

    fn wait_for(&mut self, stage: LeaseStage, step: LeaseStep) -> LeaseStep {
        self.stage = stage;
        step
    }

    fn look(&mut self) -> LeaseStep {
        self.wait_for(LeaseStage::Looking, LeaseStep::List)
    }

    /// Begins a round.
    fn begin(&mut self, now: Duration) -> LeaseStep {
        let Some(tenure) = &self.tenure else {
            return match self.releasing {
                true => LeaseStep::Rest(self.terms.stale),
                false => self.look(),
            };
        };
        let epoch = tenure.claim.epoch;
        if !self.holds(now) {
            return self.lose(epoch, None);
        }
        self.wait_for(LeaseStage::Opening(now), LeaseStep::Open(epoch))
    }

    fn lose(&mut self, epoch: Epoch, by: Option<Epoch>) -> LeaseStep {
        self.tenure = None;
        self.lost = Some(Loss { epoch, by });
        match self.releasing {
            true => LeaseStep::Rest(self.terms.look),
            false => self.look(),
        }
    }

    fn failed(&mut self, stage: LeaseStage, why: String) -> LeaseStep {
        self.failure = Some(why);
        match stage {
            // The others are removed all the same; this one stays not held.
            LeaseStage::Clearing(claim, began, left, _) => {
                self.clear(claim, began, left, false, began)
            }
            _ => LeaseStep::Rest(self.terms.look),
        }
    }

    fn looked(&mut self, epochs: &[Epoch], now: Duration) -> LeaseStep {
        match epochs.last() {
            None => self.claim(1, 1, now),
            Some(&epoch) => self.wait_for(LeaseStage::Reading(epoch, now), LeaseStep::Read(epoch)),
        }
    }

    /// Judges the highest claim, which was asked for at the moment `asked`. Where a claim is held still, its
    /// own file has gone, see [`Self::missed`].
    fn read(&mut self, epoch: Epoch, sight: Sight, asked: Duration, now: Duration) -> LeaseStep {
        let renewed = self.is_renewal(epoch, &sight.record);
        if let Record::Claim(claim) = &sight.record {
            let relation = self.me.relation(claim, sight.details.as_ref(), renewed);
            // Another run of the same holder after this one: two of them would take it from each
            // other for ever.
            let had = self.lost.is_some() || self.tenure.is_some();
            let later_run = claim.nonce != self.nonce && had;
            if relation == Relation::Own && !claim.released && !later_run {
                let first = claim.first;
                return self.claim(epoch + 1, first, now);
            }
            if let Some(tenure) = &self.tenure {
                let held = tenure.claim.epoch;
                return self.lose(held, Some(epoch));
            }
            if claim.released || self.me.is_gone(claim, &sight, self.terms.strict) {
                return self.claim(epoch + 1, epoch + 1, now);
            }
        }
        let same = |seen: &&mut Watch| seen.epoch == epoch && seen.record == sight.record;
        let Some(seen) = self.watch.as_mut().filter(same) else {
            self.watch = Some(Watch {
                epoch,
                record: sight.record,
                details: sight.details,
                renewed,
                since: now,
                until: now,
            });
            return LeaseStep::Rest(self.terms.look);
        };
        seen.until = now;
        seen.details = sight.details;
        // Both looks count with the end of them that makes the time between them shorter: what stood
        // there at `asked` stood there for the whole time.
        if asked.saturating_sub(seen.since) >= self.terms.stale {
            // One that is torn for so long was never held by anybody.
            let tenure = self.tenure.as_ref();
            let first = tenure.map_or(epoch + 1, |tenure| tenure.claim.first);
            return self.claim(epoch + 1, first, now);
        }
        LeaseStep::Rest(self.terms.look)
    }

    /// Whether the claim that is watched has been renewed between two looks, now or before. A torn one does
    /// not count: it may have been in the making.
    fn is_renewal(&self, epoch: Epoch, record: &Record) -> bool {
        let watched = self.watch.as_ref().filter(|seen| seen.epoch == epoch);
        watched.is_some_and(|seen| {
            let changed = matches!(seen.record, Record::Claim(_)) && seen.record != *record;
            seen.renewed || changed
        })
    }

    fn claim(&mut self, epoch: Epoch, first: Epoch, now: Duration) -> LeaseStep {
        if epoch > MAX_EPOCH {
            self.failure = Some("the highest epoch is used up".to_owned());
            return LeaseStep::Rest(self.terms.stale);
        }
        let claim = Claim {
            epoch,
            first,
            holder: self.me.identity.clone(),
            heartbeat: 0,
            nonce: self.nonce,
            released: false,
        };
        self.wait_for(LeaseStage::Locking(claim, now), LeaseStep::Lock)
    }

    fn claiming(
        &mut self,
        making: WriteStep,
        claim: Claim,
        began: Duration,
        reply: &LeaseReply,
        now: Duration,
    ) -> LeaseStep {
        let (next, step) = match (making, reply) {
            (WriteStep::Create, LeaseReply::Done) => {
                (WriteStep::Write, LeaseStep::Write(claim.clone()))
            }
            (WriteStep::Write, LeaseReply::Done) => (WriteStep::Sync, LeaseStep::Sync),
            (WriteStep::Sync, LeaseReply::Done) => {
                (WriteStep::SyncDirectory, LeaseStep::SyncDirectory)
            }
            (WriteStep::SyncDirectory, LeaseReply::Done) => (WriteStep::List, LeaseStep::List),
            (WriteStep::List, LeaseReply::Listed(epochs)) => {
                let epoch = claim.epoch;
                if let Some(&highest) = epochs.last()
                    && highest > epoch
                {
                    let _ = self.forestalled(highest);
                    return self.wait_for(LeaseStage::Withdrawing, LeaseStep::Remove(epoch));
                }
                let mut lower = epochs.clone();
                lower.retain(|other| *other < epoch);
                // Not even there: it was on something else that went away.
                let there = epochs.last() == Some(&epoch);
                return self.clear(claim, began, lower, there, now);
            }
            // Another one was first, or it went while it was written.
            _ => return self.forestalled(claim.epoch),
        };
        self.wait_for(LeaseStage::Claiming(next, claim, began), step)
    }

    /// Returns the next step where another contender has made this claim, or a higher one.
    fn forestalled(&mut self, epoch: Epoch) -> LeaseStep {
        match &self.tenure {
            Some(tenure) => {
                let held = tenure.claim.epoch;
                self.lose(held, Some(epoch))
            }
            None => self.look(),
        }
    }

    /// Removes the next lower claim; after the last one the claim is held.
    fn clear(
        &mut self,
        claim: Claim,
        began: Duration,
        mut left: Vec<Epoch>,
        clean: bool,
        now: Duration,
    ) -> LeaseStep {
        if let Some(lowest) = left.first().copied() {
            left.remove(0);
            let stage = LeaseStage::Clearing(claim, began, left, clean);
            return self.wait_for(stage, LeaseStep::Remove(lowest));
        }
        // An old holder of a lower claim that could not be removed might not notice, and a claim that
        // took too long may be stale for others.
        if !clean || now.saturating_sub(began) >= self.terms.fence {
            return LeaseStep::Rest(self.terms.look);
        }
        self.take(claim, began, now)
    }

    fn take(&mut self, claim: Claim, began: Duration, now: Duration) -> LeaseStep {
        self.tenure = Some(Tenure {
            claim,
            renewed: began,
        });
        self.lost = None;
        self.watch = None;
        self.failure = None;
        LeaseStep::Rest((began + self.terms.renew).saturating_sub(now))
    }

    fn opened(&mut self, reply: LeaseReply, began: Duration, now: Duration) -> LeaseStep {
        let Some(tenure) = &self.tenure else {
            return self.look();
        };
        let own = tenure.claim.clone();
        match reply {
            LeaseReply::Read(Record::Claim(found))
                if found.epoch == own.epoch && found.nonce == self.nonce => {}
            // Only its name is the same: one who listed long ago has made it anew since.
            LeaseReply::Read(Record::Claim(_)) => return self.lose(own.epoch, None),
            // Whoever has torn it, nobody else is known to hold the lease.
            _ => return self.gone(own),
        }
        if !self.holds(now) {
            return self.lose(own.epoch, None);
        }
        let mut claim = own;
        claim.heartbeat += 1;
        if self.releasing {
            // From here on it is not held, whatever comes of the write.
            self.tenure = None;
            claim.released = true;
            return self.wait_for(LeaseStage::Releasing(false), LeaseStep::Write(claim));
        }
        let step = LeaseStep::Write(claim.clone());
        self.wait_for(LeaseStage::Renewing(WriteStep::Write, claim, began), step)
    }

    fn renewing(
        &mut self,
        making: WriteStep,
        claim: Claim,
        began: Duration,
        reply: &LeaseReply,
        now: Duration,
    ) -> LeaseStep {
        let (next, step) = match (making, reply) {
            (WriteStep::Write, LeaseReply::Done) => (WriteStep::Sync, LeaseStep::Sync),
            (WriteStep::Sync, LeaseReply::Done) => (WriteStep::List, LeaseStep::List),
            (WriteStep::List, LeaseReply::Listed(epochs)) => {
                let epoch = claim.epoch;
                return match epochs.last() {
                    Some(&highest) if highest > epoch => self.lose(epoch, Some(highest)),
                    Some(&highest) if highest == epoch && self.holds(now) => {
                        self.take(claim, began, now)
                    }
                    // Or it ended too late: then the lease is strict, and lost either way.
                    _ => self.gone(claim),
                };
            }
            _ => return self.gone(claim),
        };
        self.wait_for(LeaseStage::Renewing(next, claim, began), step)
    }

    /// Returns the next step where the contender's own file is not there. In an advisory lease, which only
    /// a higher epoch ends, it looks for one.
    fn gone(&mut self, claim: Claim) -> LeaseStep {
        if self.terms.strict || self.releasing {
            return self.lose(claim.epoch, None);
        }
        self.wait_for(LeaseStage::Missing(claim), LeaseStep::List)
    }

    /// Returns the next step after the look for a higher epoch. One that is there may be the contender's own,
    /// of a round that did not come to its end: it is read. Without one nobody has taken the lease:
    /// somebody has emptied the folder, or another volume is in its place. A new claim is made, and until
    /// it is held the old one counts.
    fn missed(&mut self, claim: Claim, epochs: &[Epoch], now: Duration) -> LeaseStep {
        self.failure = Some("its own claim has gone from the volume".to_owned());
        match epochs.last() {
            Some(&highest) if highest > claim.epoch => {
                self.wait_for(LeaseStage::Reading(highest, now), LeaseStep::Read(highest))
            }
            _ => self.claim(claim.epoch + 1, claim.first, now),
        }
    }
}

#[cfg(test)]
mod renewal_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
