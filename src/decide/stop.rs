//! The shares of the grace that the rungs of a stop on purpose get.
//!
//! The ladder: not ready -> the endpoints drain -> CHECKPOINT in each online database -> SIGTERM -> wait ->
//! SIGKILL. Each rung has a share of the grace, so that the last one is reached before the kubelet's own
//! SIGKILL. An engine that hangs gets no drain, no checkpoint, and a short SIGTERM: the kubelet runs
//! preStop before a liveness restart as well, and a hung engine must not eat the pod's grace.

use std::time::Duration;

use super::decision::{Action, Decision, Phase, Verdict};
use super::observation::{DatabaseState, ProcessId};
use super::policy::Policy;
use super::snapshot::Snapshot;

/// The time of the grace that is kept back for SIGKILL to take effect, unless the whole grace is short.
const KILL_MARGIN: Duration = Duration::from_secs(2);
/// The divisor of the grace: no more than one part in this many is kept back for SIGKILL.
const KILL_SHARE: u32 = 5;
/// The divisor of the grace: no more than one part in this many goes into the drain.
const DRAIN_SHARE: u32 = 4;
/// The divisor of the grace: no more than one part in this many goes into checkpoints, since a shutdown
/// makes one of its own.
const CHECKPOINT_SHARE: u32 = 3;
/// The name of `tempdb`, which is made anew at each start: nothing in it is to be saved.
const TEMPDB: &str = "tempdb";

/// The situation that a stop meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The outer `sqlservr`; absent where none runs, or where none can be seen.
    pub target: Option<ProcessId>,
    /// Whether an engine runs, seen or not.
    pub runs: bool,
    /// Whether the engine was judged hung, or is being restarted or fenced.
    pub hung: bool,
    /// Whether the engine may have clients: its phase is running or stopping.
    pub serves: bool,
    /// The databases that can be checkpointed.
    pub databases: Vec<String>,
}

impl Situation {
    /// Creates the situation from the last decision.
    #[must_use]
    pub fn of(snapshot: &Snapshot, decision: &Decision) -> Self {
        let restarting = match &decision.action {
            Some(Action::Restart(restart)) => !restart.is_stop(),
            Some(Action::Fence(_)) => true,
            None => false,
        };
        let lifeless = |reason: &super::reason::Reason| reason.info().lifeless;
        let judged = decision.live.verdict == Verdict::Fail
            || decision.findings.iter().any(|f| lifeless(&f.reason));
        let serves = matches!(decision.phase, Phase::Running | Phase::Stopping);
        let databases = snapshot.databases.iter();
        let databases = databases.flat_map(|list| &list.value.databases);
        let online = databases.filter(|database| {
            database.state == DatabaseState::Online
                && !database.read_only
                && !database.name.eq_ignore_ascii_case(TEMPDB)
        });
        Self {
            target: snapshot.running().map(|process| process.parent),
            runs: !matches!(decision.phase, Phase::Gone | Phase::Unseen),
            hung: judged || restarting,
            serves,
            databases: online.map(|database| database.name.clone()).collect(),
        }
    }
}

/// The time of the grace that each rung may take. Together they are never longer than the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// The time of being not ready, before anything is done to the engine.
    pub drain: Duration,
    /// The time for all checkpoints together.
    pub checkpoint: Duration,
    /// The time from the beginning of the stop to SIGKILL.
    pub kill_at: Duration,
}

/// Splits `grace` into shares; `drain` is the time that endpoints take to notice.
#[must_use]
pub fn shares(policy: &Policy, grace: Duration, drain: Duration, situation: &Situation) -> Shares {
    let kill_at = grace - KILL_MARGIN.min(grace / KILL_SHARE);
    if situation.hung {
        return Shares {
            drain: Duration::ZERO,
            checkpoint: Duration::ZERO,
            kill_at: kill_at.min(policy.unresponsive_grace),
        };
    }
    let when_serving = |share: Duration| match situation.serves {
        true => share,
        false => Duration::ZERO,
    };
    Shares {
        drain: when_serving(drain.min(grace / DRAIN_SHARE)),
        checkpoint: when_serving(grace / CHECKPOINT_SHARE),
        kill_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Duration = Duration::from_secs(3);

    fn situation(hung: bool, serves: bool) -> Situation {
        Situation {
            hung,
            serves,
            runs: true,
            ..Situation::default()
        }
    }

    #[test]
    fn the_rungs_fit_into_any_grace() {
        let policy = Policy::default();
        for millis in [0, 1, 400, 1_000, 5_000, 25_000, 600_000, 3_600_000] {
            let grace = Duration::from_millis(millis);
            for situation in [
                situation(false, true),
                situation(false, false),
                situation(true, true),
            ] {
                let shares = shares(&policy, grace, DRAIN, &situation);
                assert!(shares.drain + shares.checkpoint <= shares.kill_at);
                assert!(shares.kill_at <= grace);
            }
        }
    }

    #[test]
    fn a_hung_engine_gets_no_checkpoint_and_a_short_grace() {
        let policy = Policy::default();
        let grace = Duration::from_secs(25);
        let shares = shares(&policy, grace, DRAIN, &situation(true, true));
        assert_eq!(shares.drain, Duration::ZERO);
        assert_eq!(shares.checkpoint, Duration::ZERO);
        assert_eq!(shares.kill_at, policy.unresponsive_grace);
    }

    #[test]
    fn one_that_serves_nobody_is_not_drained() {
        let policy = Policy::default();
        let grace = Duration::from_secs(25);
        let starting = shares(&policy, grace, DRAIN, &situation(false, false));
        assert_eq!(starting.drain, Duration::ZERO);
        let serving = shares(&policy, grace, DRAIN, &situation(false, true));
        assert_eq!(serving.drain, DRAIN);
        assert_eq!(serving.kill_at, Duration::from_secs(23));
    }
}
