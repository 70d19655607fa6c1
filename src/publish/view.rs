//! The view of one request: the last [`Published`], its age, and the answers that may still be
//! given on the strength of it.
//!
//! **Architecture invariant:** this is the only place where the age of a decision changes an answer.
//! Probe answers, page, status and metrics all ask [`View::answer`], so that they can't disagree.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Published;
use crate::config::{Config, Pace};
use crate::decide::decision::{Decision, LastRestart, Probe, Verdict};
use crate::decide::reason::Reason;
use crate::decide::time::{SupervisedClock, Time};
use crate::exposition::Exposition;

/// The ages from which on something counts as not current any more.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The age beyond which a decision is not served as one.
    pub stale_after: Duration,
    /// The bounds of the observers' silence.
    pub observers: ObserverBounds,
}

/// The times for which an observer may be silent before `/healthz` calls it dead.
///
/// The volume's observer has no bound: a stalled disk holds its thread, and that is the volume's
/// failure. The diagnostics stream has none either: where the engine lacks it, it stays silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObserverBounds {
    /// The bound for the observer of processes.
    pub process: Duration,
    /// The bound for the ping over the standing connection.
    pub ping: Duration,
    /// The bound for fresh logins.
    pub login: Duration,
    /// The bound for `sys.databases`; it counts only after a first report.
    pub databases: Duration,
    /// The bound for the control group; it counts only after a first report.
    pub cgroup: Duration,
}

impl ObserverBounds {
    /// The number of runs that an observer may miss.
    const MISSED_RUNS: u32 = 3;
    /// The time added to each bound, so that a pace of milliseconds does not make a bound of
    /// milliseconds.
    const SLACK: Duration = Duration::from_secs(5);
    /// The time for which an observer may pause on purpose: more logins would prolong a locked
    /// login's lock, and a list of databases needs a login.
    const LOGIN_PAUSE: Duration = Duration::from_secs(5 * 60);

    /// Returns the bounds that follow from the configured paces.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let bound = |interval: Duration, deadline: Duration| {
            interval
                .saturating_mul(Self::MISSED_RUNS)
                .saturating_add(deadline)
                .saturating_add(Self::SLACK)
        };
        let pace = |pace: Pace| bound(pace.interval, pace.deadline);
        Self {
            process: bound(config.process.interval, Duration::ZERO),
            ping: pace(config.sql.ping).saturating_add(Self::LOGIN_PAUSE),
            login: pace(config.sql.login).saturating_add(Self::LOGIN_PAUSE),
            databases: pace(config.sql.databases).saturating_add(Self::LOGIN_PAUSE),
            cgroup: bound(config.cgroup_interval, Duration::ZERO),
        }
    }
}

/// The degree to which the last decision can be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionAge {
    /// No decision was made yet.
    Undecided,
    /// The decision is current.
    Current,
    /// The decision is older than [`Limits::stale_after`].
    Stale,
}

/// The answer to one probe, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The verdict, served as 200 or 503.
    pub verdict: Verdict,
    /// The reasons why the probe fails; on a pass, the reasons that take from its weight.
    pub reasons: Cow<'a, [Reason]>,
    /// The time for which the answer has been the same.
    pub lasting: Duration,
}

/// A reason that holds, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The reason.
    pub reason: Reason,
    /// The evidence that the reason rests on.
    pub evidence: Cow<'a, str>,
    /// The time for which the reason has held.
    pub lasting: Duration,
}

/// The view of one request.
#[derive(Clone, Debug)]
pub struct View {
    /// The last publication.
    pub published: Arc<Published>,
    /// The time for which it has been the last one, on the HTTP thread's supervised clock.
    pub age: Duration,
    /// The time for which the supervisor has been up.
    pub uptime: Duration,
    /// The ages from which on something counts as old.
    pub limits: Limits,
    /// The exposition that the collectors have published.
    pub collected: Arc<Exposition>,
    /// The present moment on the collectors' clock.
    pub moment: Instant,
}

impl View {
    /// Returns the last decision, current or not.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.published.decision.as_ref()
    }

    /// Returns how far the last decision can be relied upon.
    #[must_use]
    pub fn decision_age(&self) -> DecisionAge {
        match self.decision() {
            None => DecisionAge::Undecided,
            Some(_) if self.age > self.limits.stale_after => DecisionAge::Stale,
            Some(_) => DecisionAge::Current,
        }
    }

    /// Returns the last restart of the engine that was asked for, and how long ago that was.
    #[must_use]
    pub fn last_restart(&self) -> Option<(&LastRestart, Duration)> {
        let last = self.decision()?.last_restart.as_ref()?;
        Some((last, last.ago(self.now())))
    }

    /// Returns the present moment on the observers' clock: the decision's, plus its age here.
    #[must_use]
    pub fn now(&self) -> Time {
        self.decision()
            .map_or(Time::ZERO, |decision| decision.at)
            .plus(self.age)
    }

    /// Returns how long ago `at` was.
    #[must_use]
    pub fn ago(&self, at: Time) -> Duration {
        self.now().since(at)
    }

    /// Returns the answer to `probe` that may be given now.
    ///
    /// Unknown is not failure: without a current decision nothing is restarted, so `/livez` passes;
    /// nothing is vouched for either, so `/readyz` and `/gatez` fail. An engine that has started
    /// has started: `/startupz` stays as it was last decided.
    #[must_use]
    pub fn answer(&self, probe: Probe) -> Answer<'_> {
        let Some(decision) = self.decision() else {
            return Answer {
                verdict: match probe {
                    Probe::Live => Verdict::Pass,
                    Probe::Startup | Probe::Ready | Probe::Gate => Verdict::Fail,
                },
                reasons: Cow::Borrowed(&[Reason::NotYetObserved]),
                lasting: self.uptime,
            };
        };
        let decided = decision.answer(probe);
        if self.decision_age() == DecisionAge::Current {
            return Answer {
                verdict: decided.verdict,
                reasons: Cow::Borrowed(&decided.reasons),
                lasting: self.ago(decided.since),
            };
        }
        let verdict = match probe {
            Probe::Live => Verdict::Pass,
            Probe::Startup => decided.verdict,
            Probe::Ready | Probe::Gate => Verdict::Fail,
        };
        Answer {
            verdict,
            reasons: Cow::Borrowed(&[Reason::SupervisorStalled]),
            lasting: if verdict == decided.verdict {
                self.ago(decided.since)
            } else {
                self.age.saturating_sub(self.limits.stale_after)
            },
        }
    }

    /// Returns the findings of the decision, and the one that follows from its age.
    pub fn findings(&self) -> impl Iterator<Item = Found<'_>> {
        let age = self.decision_age();
        let own = match age {
            DecisionAge::Current => None,
            DecisionAge::Undecided => Some(Found {
                reason: Reason::NotYetObserved,
                evidence: Cow::Borrowed("nothing was decided yet"),
                lasting: self.uptime,
            }),
            DecisionAge::Stale => Some(Found {
                reason: Reason::SupervisorStalled,
                evidence: Cow::Owned(format!(
                    "the last decision is {:.1} s old, {:.1} s are allowed",
                    self.age.as_secs_f64(),
                    self.limits.stale_after.as_secs_f64()
                )),
                lasting: self.age.saturating_sub(self.limits.stale_after),
            }),
        };
        let decided = self.decision().into_iter().flat_map(|d| &d.findings);
        own.into_iter().chain(
            decided
                .filter(move |f| {
                    age == DecisionAge::Current || f.reason != Reason::SupervisorStalled
                })
                .map(|finding| Found {
                    reason: finding.reason,
                    evidence: Cow::Borrowed(&finding.evidence),
                    lasting: self.ago(finding.since),
                }),
        )
    }
}

/// The HTTP thread's own measure of a publication's age.
#[derive(Debug)]
pub struct Freshness {
    clock: SupervisedClock,
    sequence: u64,
    arrived: Time,
}

impl Freshness {
    /// The gap that counts as a stall. The HTTP thread ticks four times as often; a longer gap
    /// means that it did not run, and then the deciding loop did not either.
    const STALL_AFTER: Duration = Duration::from_secs(1);

    /// Starts with the publication `sequence`, at the raw reading zero.
    #[must_use]
    pub fn new(sequence: u64) -> Self {
        Self {
            clock: SupervisedClock::new(Self::STALL_AFTER),
            sequence,
            arrived: Time::ZERO,
        }
    }

    /// Returns the age of the publication `sequence` at the raw reading `elapsed`. A new one is
    /// taken to have arrived just now, which makes it look younger by at most one
    /// [`SupervisedClock::TICK`].
    pub fn age(&mut self, elapsed: Duration, sequence: u64) -> Duration {
        let (now, _) = self.clock.advance(elapsed);
        if sequence != self.sequence {
            self.sequence = sequence;
            self.arrived = now;
        }
        now.since(self.arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::fixture;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_age_counts_from_the_last_new_sequence() {
        let mut freshness = Freshness::new(7);
        for tick in 1..=8 {
            assert_eq!(freshness.age(SECOND / 4 * tick, 7), SECOND / 4 * tick);
        }
        assert_eq!(freshness.age(SECOND * 2, 8), Duration::ZERO);
        assert_eq!(freshness.age(SECOND * 5 / 2, 8), SECOND / 2);
    }

    #[test]
    fn a_pause_of_the_supervisor_makes_nothing_old() {
        let mut freshness = Freshness::new(1);
        freshness.age(SECOND / 2, 1);
        assert_eq!(freshness.age(SECOND * 3600, 1), SECOND / 2);
    }

    #[test]
    fn a_stale_decision_restarts_nothing_and_vouches_for_nothing() {
        for (name, mut view) in fixture::views() {
            if view.decision().is_none() {
                continue;
            }
            let before = view.answer(Probe::Startup).verdict;
            view.age = view.limits.stale_after + Duration::from_millis(1);
            assert_eq!(view.decision_age(), DecisionAge::Stale, "{name}");
            for (probe, verdict) in [
                (Probe::Live, Verdict::Pass),
                (Probe::Startup, before),
                (Probe::Ready, Verdict::Fail),
                (Probe::Gate, Verdict::Fail),
            ] {
                let answer = view.answer(probe);
                assert_eq!(answer.verdict, verdict, "{name} {probe:?}");
                assert_eq!(answer.reasons[..], [Reason::SupervisorStalled], "{name}");
            }
        }
    }

    #[test]
    fn at_the_limit_a_decision_is_still_one() {
        let mut view = fixture::view("ready");
        view.age = view.limits.stale_after;
        assert_eq!(view.decision_age(), DecisionAge::Current);
    }

    #[test]
    fn without_a_decision_only_liveness_passes() {
        let view = fixture::view("undecided");
        for probe in Probe::ALL {
            let answer = view.answer(probe);
            assert_eq!(answer.verdict == Verdict::Pass, probe == Probe::Live);
            assert_eq!(answer.reasons[..], [Reason::NotYetObserved]);
        }
    }

    #[test]
    fn each_reason_served_has_a_finding_or_none_was_given() {
        for (name, view) in fixture::views() {
            for probe in Probe::ALL {
                for reason in view.answer(probe).reasons.iter() {
                    assert!(
                        view.findings().any(|f| f.reason == *reason),
                        "{name} {reason:?}"
                    );
                }
            }
        }
    }
}
