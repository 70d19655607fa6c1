//! What one request sees: the last [`Published`], how old it is, and what may still be said on the
//! strength of it.
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

/// From which age on something counts as not current any more.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A decision older than this is not served as one.
    pub stale_after: Duration,
    /// The observers' silence.
    pub observers: ObserverBounds,
}

/// For how long an observer may be silent before `/healthz` calls it dead.
///
/// The volume's observer has no bound: a stalled disk holds its thread, and that is the volume's
/// failure. The diagnostics stream has none either: where the engine lacks it, it stays silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObserverBounds {
    /// Processes.
    pub process: Duration,
    /// The standing connection.
    pub ping: Duration,
    /// Fresh logins.
    pub login: Duration,
    /// `sys.databases`; counts only once it has spoken.
    pub databases: Duration,
    /// The control group; counts only once it has spoken.
    pub cgroup: Duration,
}

impl ObserverBounds {
    /// Runs that an observer may miss.
    const MISSED_RUNS: u32 = 3;
    /// Added to each bound, so that a pace of milliseconds does not make one of milliseconds.
    const SLACK: Duration = Duration::from_secs(5);
    /// An observer may pause this long on purpose: more logins would prolong a locked login's lock,
    /// and a list of databases wants a login.
    const LOGIN_PAUSE: Duration = Duration::from_secs(5 * 60);

    /// The bounds that follow from the configured paces.
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

/// How far the last decision can be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none yet.
    Undecided,
    /// It is current.
    Current,
    /// It is older than [`Limits::stale_after`].
    Stale,
}

/// The answer to one probe, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// 200 or 503.
    pub verdict: Verdict,
    /// Why it fails; on a pass, what takes from its weight.
    pub reasons: Cow<'a, [Reason]>,
    /// For how long it has been so.
    pub lasting: Duration,
}

/// A reason that holds, as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Which one.
    pub reason: Reason,
    /// What it rests on.
    pub evidence: Cow<'a, str>,
    /// For how long.
    pub lasting: Duration,
}

/// What one request sees.
#[derive(Clone, Debug)]
pub struct View {
    /// The last publication.
    pub published: Arc<Published>,
    /// For how long it has been the last one, on the HTTP thread's supervised clock.
    pub age: Duration,
    /// For how long the supervisor has been up.
    pub uptime: Duration,
    /// What counts as old.
    pub limits: Limits,
    /// What the collectors have published.
    pub collected: Arc<Exposition>,
    /// The present moment on the collectors' clock.
    pub moment: Instant,
}

impl View {
    /// The last decision, current or not.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.published.decision.as_ref()
    }

    /// How far it can be relied upon.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.decision() {
            None => Standing::Undecided,
            Some(_) if self.age > self.limits.stale_after => Standing::Stale,
            Some(_) => Standing::Current,
        }
    }

    /// The last restart of the engine that was asked for, and how long ago.
    #[must_use]
    pub fn last_restart(&self) -> Option<(&LastRestart, Duration)> {
        let last = self.decision()?.last_restart.as_ref()?;
        Some((last, last.ago(self.now())))
    }

    /// The present moment on the observers' clock: the decision's, plus its age here.
    #[must_use]
    pub fn now(&self) -> Time {
        self.decision()
            .map_or(Time::ZERO, |decision| decision.at)
            .plus(self.age)
    }

    /// How long ago `at` was.
    #[must_use]
    pub fn ago(&self, at: Time) -> Duration {
        self.now().since(at)
    }

    /// The answer to `probe` that may be given now.
    ///
    /// Unknown is not failure: without a current decision nothing is restarted, so `/livez` passes;
    /// nothing is vouched for either, so `/readyz` and `/gatez` fail. What has started has started.
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
        if self.standing() == Standing::Current {
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

    /// What was found, and what follows from the decision's age.
    pub fn findings(&self) -> impl Iterator<Item = Found<'_>> {
        let standing = self.standing();
        let own = match standing {
            Standing::Current => None,
            Standing::Undecided => Some(Found {
                reason: Reason::NotYetObserved,
                evidence: Cow::Borrowed("nothing was decided yet"),
                lasting: self.uptime,
            }),
            Standing::Stale => Some(Found {
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
                    standing == Standing::Current || f.reason != Reason::SupervisorStalled
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
    /// The HTTP thread ticks four times as often; a longer gap means that it did not run, and then
    /// the deciding loop did not either.
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

    /// The age of the publication `sequence` at the raw reading `elapsed`. A new one is taken to
    /// have arrived just now, which makes it look younger by at most one
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
            assert_eq!(view.standing(), Standing::Stale, "{name}");
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
        assert_eq!(view.standing(), Standing::Current);
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
