//! One step of the decision engine, from a snapshot to a decision.

use std::collections::BTreeMap;
use std::time::Duration;

use super::adopt::{Adopting, holds_lease};
use super::budget::Budget;
use super::decision::{Decision, Finding, ProbeAnswer, Verdict};
use super::fence::Fence;
use super::findings::Findings;
use super::first_mounts::FirstMounts;
use super::identity::set::{IdentityWrite, JudgedVolumes, Seen, judge_set};
use super::incarnation::Incarnation;
use super::latch::{GateLatch, Latch};
use super::memory::{Memory, RememberedRestart, RememberedStop};
use super::policy::Policy;
use super::progress::{Floor, Mark, Window};
use super::reason::{Outcome, ReadyEffect, Reason};
use super::restart::Restarts;
use super::rules::{self, Condition, Timers, View};
use super::snapshot::{Recovered, Snapshot};
use super::time::Time;
use super::troubles::Troubles;

/// The time after which a core that has not grown is not being written any more.
const DUMP_QUIET: Duration = Duration::from_secs(30);

/// The state that the decision engine keeps from one decision to the next.
#[derive(Clone, Debug)]
pub struct State {
    engine: Incarnation,
    progress: Window,
    start_progress: Window,
    errorlog: Mark<u64>,
    recovery: Mark<Recovered>,
    dump: Mark<u64>,
    troubles: Troubles,
    mounts: BTreeMap<String, FirstMounts>,
    timers: Timers,
    /// The time that the stop that is remembered had lasted before this run.
    stop_before: Option<Duration>,
    budget: Budget,
    restarts: Restarts,
    fence: Fence,
    /// The id of the main volume that is used.
    volume_id: Option<String>,
    /// The moment of the last `adopt` that was followed or refused.
    adopted: Option<Time>,
    /// The volumes whose identities are yet to be written anew for that `adopt`.
    adopting: Adopting,
    /// The moment at which the engine was last seen to have an excuse for its silence.
    excused: Time,
    since: BTreeMap<Reason, Time>,
    startup: Latch,
    /// The verdict whether the engine is worth keeping.
    live: Latch,
    /// The verdict that liveness answers, which differs from `live` while the supervisor acts on it.
    answered_live: (Verdict, Time),
    ready: Latch,
    gate: GateLatch,
}

impl State {
    /// Creates the state before the first decision.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self {
            engine: Incarnation::default(),
            progress: Window::new(policy.unresponsive_after),
            start_progress: Window::new(policy.startup_stalled_after),
            errorlog: Mark::default(),
            recovery: Mark::default(),
            dump: Mark::default(),
            troubles: Troubles::default(),
            mounts: BTreeMap::new(),
            timers: Timers::default(),
            stop_before: None,
            budget: Budget::default(),
            restarts: Restarts::default(),
            fence: Fence::default(),
            volume_id: None,
            adopted: None,
            adopting: Adopting::default(),
            excused: Time::ZERO,
            since: BTreeMap::new(),
            startup: Latch::new(Verdict::Fail, Time::ZERO),
            live: Latch::new(Verdict::Pass, Time::ZERO),
            answered_live: (Verdict::Pass, Time::ZERO),
            ready: Latch::new(Verdict::Fail, Time::ZERO),
            gate: GateLatch::new(Time::ZERO),
        }
    }

    /// Creates the state before the first decision from what an earlier run of the supervisor remembered.
    #[must_use]
    pub fn recall(policy: &Policy, memory: Memory) -> Self {
        let mut state = Self::new(policy);
        state.engine = memory.engine.map(Incarnation::recall).unwrap_or_default();
        state.budget = Budget::recall(memory.budget);
        state.restarts.recall(memory.last_restart.map(Into::into));
        state.fence.recall(memory.tenant);
        state.volume_id = memory.volume_id;
        // A run that begins anew gives the stop its whole limit anew, but for one that is beyond it.
        state.stop_before = memory.stopping.map(|stop| stop.before_start);
        let goes_on = state.stop_before < Some(policy.stopping_limit);
        let begun = memory.stopping.is_some() && goes_on;
        state.timers.lasting(Condition::Stopping, begun, Time::ZERO);
        state
    }

    /// Returns what a later run of the supervisor has to know.
    #[must_use]
    pub fn memory(&self, snapshot: &Snapshot) -> Memory {
        Memory {
            engine: self.engine.memory(),
            budget: self.budget.memory(),
            maintenance_until: snapshot.maintenance_until,
            last_restart: self.restarts.last().map(RememberedRestart::from),
            linked: snapshot.link.is_some(),
            agent: snapshot.lease_by_agent,
            volume_id: self.volume_id.clone(),
            tenant: self.fence.tenant(),
            stopping: self
                .timers
                .since(Condition::Stopping)
                .map(|since| RememberedStop {
                    since,
                    before_start: self.stop_before.unwrap_or_default(),
                }),
        }
    }
}

/// Makes the next decision. The function is total: it has an answer for whatever it is given.
#[must_use]
pub fn decide(
    policy: &Policy,
    mut state: State,
    snapshot: &Snapshot,
    now: Time,
) -> (State, Decision) {
    if state.engine.follow(snapshot, policy.stopping_limit, now) {
        state.begin_with_another_engine(policy, now);
    }
    state.budget.release(snapshot.released);
    state.see_progress(snapshot, now);
    state.see_mounts(snapshot);
    state.fence.follow(snapshot);
    let seen = snapshot.identities();
    let remembered = state.volume_id.as_deref();
    let mut identities = judge_set(&seen, remembered, policy.volume_init);

    let mut findings = Findings::new(now);
    let floor = Floor {
        cpu: policy.progress_cpu,
        io: policy.progress_io,
    };
    let view = View {
        policy,
        snapshot,
        engine: &state.engine,
        now,
        advanced: state.progress.advanced(now, floor),
        start_advanced: match state.marks_moved(policy.startup_stalled_after, now) {
            true => Some(true),
            false => state.start_progress.advanced(now, floor),
        },
        excused: state.excused,
        troubles: &state.troubles,
        mounts: &state.mounts,
        dump_grows: state.dump.moved_within(DUMP_QUIET, now),
        last_restart: state.restarts.last(),
        identities: &identities,
        tenant: state.fence.tenant(),
    };
    let are_volumes = rules::apply(&view, &mut state.timers, &mut findings);
    if !findings.reasons(|reason| reason.info().excuses).is_empty() {
        state.excused = now;
    }
    let may_identify = are_volumes && holds_lease(snapshot, &findings) && identities.has_main();
    // A command that may not be followed now is refused, and not kept for later.
    let adopts = snapshot.adopted > state.adopted;
    state.adopted = snapshot.adopted;
    if adopts && may_identify {
        state.volume_id = None;
        identities = judge_set(&seen, None, policy.volume_init);
        state.adopting.begin(&seen);
    }
    let writes = match may_identify {
        true => state.identify(&seen, &mut identities),
        false => Vec::new(),
    };
    budget(&state.budget, policy, &mut findings);
    let mut decision = state.conclude(policy, snapshot, now, findings);
    decision.may_identify = may_identify;
    decision.identity_writes = writes;
    decision.restarts_in_place = snapshot.restarts_in_place;
    (state, decision)
}

/// Holds back a restart that would be asked for, where restarts have not helped often enough already.
fn budget(budget: &Budget, policy: &Policy, findings: &mut Findings) {
    let wanted = !findings
        .reasons(|reason| restarts(policy, reason))
        .is_empty();
    if let Some(count) = budget.exhausted()
        && wanted
    {
        let evidence = format!("{count} restarts did not help");
        findings.add(Reason::RestartBudgetExhausted, evidence);
    }
}

/// Whether `reason` fails liveness under `policy`.
fn restarts(policy: &Policy, reason: Reason) -> bool {
    let info = reason.info();
    info.outcome == Outcome::Restart && info.level <= policy.failure_condition_level
}

impl State {
    fn begin_with_another_engine(&mut self, policy: &Policy, now: Time) {
        self.progress.reset();
        self.start_progress.reset();
        self.errorlog.reset();
        self.recovery.reset();
        self.dump.reset();
        self.troubles.reset();
        self.mounts.clear();
        self.timers = Timers::default();
        self.stop_before = None;
        self.live.reset(now);
        self.ready.reset(now);
        self.startup.reset(now);
        self.budget.new_process(policy);
    }

    fn see_progress(&mut self, snapshot: &Snapshot, now: Time) {
        if let (Some(process), Some(seen)) = (snapshot.running(), &snapshot.process) {
            let cgroup = snapshot.cgroup.as_ref();
            self.progress.push(seen.at, process, cgroup);
            self.start_progress.push(seen.at, process, cgroup);
        }
        let checked = snapshot.checks().next();
        let written: u64 = snapshot.logs().map(|(_, log)| log.bytes).sum();
        self.errorlog.see(checked.map(|_| written), now);
        let dumps = snapshot.checks().find_map(|check| check.dumps);
        self.dump
            .see(dumps.map(|dumps| dumps.writing_bytes.unwrap_or(0)), now);
        self.recovery.see(Some(snapshot.recovered()), now);
        self.troubles.see(snapshot, now);
    }

    /// Takes in the running engine's mounts, by checks that began after it did: a mount may come late.
    fn see_mounts(&mut self, snapshot: &Snapshot) {
        if snapshot.running().is_none() {
            return;
        }
        for state in &snapshot.volumes {
            let looked = state.looked().filter(|looked| *looked >= self.engine.since);
            if let Some(check) = state.check().filter(|_| looked.is_some()) {
                let mounts = self.mounts.entry(state.volume.name.clone()).or_default();
                mounts.see(check);
            }
        }
    }

    /// Remembers the main volume once it may be used, so that another one in its place is noticed, and
    /// returns the identities to write.
    fn identify(&mut self, seen: &[Seen<'_>], set: &mut JudgedVolumes) -> Vec<IdentityWrite> {
        if self.volume_id.is_none() {
            self.volume_id = set.id().map(str::to_owned);
        }
        self.adopting.writes(seen, set)
    }

    fn marks_moved(&self, span: Duration, now: Time) -> bool {
        self.errorlog.moved_within(span, now) || self.recovery.moved_within(span, now)
    }

    /// Turns the findings into the answers of the probes.
    fn conclude(
        &mut self,
        policy: &Policy,
        snapshot: &Snapshot,
        now: Time,
        mut findings: Findings,
    ) -> Decision {
        let (answered, restart) = self.keep_or_restart(policy, snapshot, now, &mut findings);
        let asks = self.live.verdict() == Verdict::Fail;
        let proven = self.engine.proven;
        let unready = findings.reasons(|reason| match reason.info().ready {
            ReadyEffect::None => false,
            ReadyEffect::Fails => true,
            ReadyEffect::AsProven => !proven,
        });
        let shut = findings.reasons(|reason| reason.info().gate && !findings.leaves_gate(reason));
        let ready = verdict(unready.is_empty());
        self.ready.update(ready, policy.settle, now, &mut findings);
        self.gate.update(&shut, policy.settle, now, &mut findings);
        // The kubelet asks for liveness only after startup has passed once: a restart that is
        // needed during the start has to let it pass, or liveness would never be asked for.
        let started = self.engine.up || answered == Verdict::Fail;
        self.startup
            .update(verdict(started), Duration::ZERO, now, &mut findings);
        self.budget
            .see(asks, self.ready.verdict(), self.ready.since(), now);

        let settling = |reasons: &[Reason], latch: &Latch| {
            reasons.is_empty() && latch.verdict() == Verdict::Fail
        };
        if settling(&unready, &self.ready) || settling(&shut, self.gate.latch()) {
            findings.add(
                Reason::Settling,
                "an answer that failed was good again just now",
            );
        }
        let or_settling = |reasons: Vec<Reason>| match reasons.is_empty() {
            true => vec![Reason::Settling],
            false => reasons,
        };
        Decision {
            at: now,
            phase: self.engine.phase,
            startup: self.startup.answer(or_settling(unready.clone())),
            live: ProbeAnswer {
                verdict: answered,
                reasons: match answered {
                    Verdict::Fail => restart,
                    Verdict::Pass => Vec::new(),
                },
                since: self.answered_live.1,
            },
            ready: self.ready.answer(or_settling(unready)),
            gate: self.gate.latch().answer(or_settling(shut)),
            action: self.fence.action().or_else(|| self.restarts.action()),
            last_restart: self.restarts.last().cloned(),
            restarts_in_place: 0,
            may_identify: false,
            identity_writes: Vec::new(),
            recheck_at: findings.recheck_at(),
            findings: self.dated(findings, now),
        }
    }

    /// Returns the verdict of liveness and the reasons for which a restart is due, by the evidence, the
    /// reasons that hold liveness, the window of the latch, and who restarts.
    fn keep_or_restart(
        &mut self,
        policy: &Policy,
        snapshot: &Snapshot,
        now: Time,
        findings: &mut Findings,
    ) -> (Verdict, Vec<Reason>) {
        let holds = findings.reasons(|reason| reason.info().holds);
        let restart = findings.reasons(|reason| restarts(policy, reason));
        // A recovery that advances is never cut short, whatever else is wrong: it would begin anew.
        let recovers = findings.has(Reason::Recovering)
            && self.recovery.moved_within(policy.unresponsive_after, now);
        let live = verdict(restart.is_empty() || !holds.is_empty() || recovers);
        self.live.update(live, policy.settle, now, findings);
        let asks = self.live.verdict() == Verdict::Fail;
        let due = if asks { restart.as_slice() } else { &[] };
        let (answered, restart) = if self.fence.see(snapshot, findings) {
            self.restarts.give_way();
            // Who can't be killed from here has to be killed by the kubelet, against any hold.
            let failed = findings.has(Reason::FenceFailed) && restarts(policy, Reason::FenceFailed);
            (verdict(!failed), vec![Reason::FenceFailed])
        } else {
            let answered = self.restarts.see(policy, snapshot, due, findings, now);
            (answered, restart)
        };
        if self.answered_live.0 != answered {
            self.answered_live = (answered, now);
        }
        (answered, restart)
    }

    /// Returns the findings with the moment since which each of them has held.
    fn dated(&mut self, findings: Findings, now: Time) -> Vec<Finding> {
        let list = findings.into_list();
        self.since
            .retain(|reason, _| list.iter().any(|(found, _)| found == reason));
        list.into_iter()
            .map(|(reason, evidence)| Finding {
                reason,
                evidence,
                since: *self.since.entry(reason).or_insert(now),
            })
            .collect()
    }
}

fn verdict(pass: bool) -> Verdict {
    if pass { Verdict::Pass } else { Verdict::Fail }
}
