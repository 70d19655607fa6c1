//! What holds after every step, whatever was observed. Properties and simulation both call it.

use std::collections::HashMap;

use sql_edge_supervisor::decide::decision::{Action, Decision, Finding, Phase, Probe, Verdict};
use sql_edge_supervisor::decide::observation::{
    ContactError, Database, DatabaseState, Observed, ProcessReport,
};
use sql_edge_supervisor::decide::policy::RestartBy;
use sql_edge_supervisor::decide::reason::{Evidence, Outcome, ReadyEffect, Reason};
use sql_edge_supervisor::decide::snapshot::Contact;
use sql_edge_supervisor::decide::time::Time;

use crate::bench::Bench;

/// Follows a trace and panics on the first decision that breaks an invariant.
#[derive(Default)]
pub struct Invariants {
    before: Option<Decision>,
    /// When each probe last left its safe side.
    left_safe: HashMap<Probe, Time>,
    generation: Option<i32>,
}

impl Invariants {
    pub fn check(&mut self, bench: &Bench) {
        let decision = &bench.decision;
        no_fail_without_a_reason(decision);
        liveness_fails_only_where_a_restart_helps(bench);
        readiness_needs_a_fresh_answer(bench);
        a_restart_rests_on_what_was_seen(bench);
        Self::one_restarts(bench);
        assert!(
            decision.recheck_at.is_none_or(|at| at > decision.at),
            "a recheck must lie in the future"
        );
        if decision.live.verdict == Verdict::Fail {
            assert_eq!(
                decision.startup.verdict,
                Verdict::Pass,
                "or nobody would hear it"
            );
        }
        self.one_transition_a_window(bench);
        self.before = Some(decision.clone());
    }

    /// The supervisor or the kubelet, and the supervisor only as it may.
    fn one_restarts(bench: &Bench) {
        let decision = &bench.decision;
        if let Some(Action::Fence(fence)) = &decision.action {
            assert!(decision.finding(Reason::Fencing).is_some());
            assert!(fence.reasons.iter().all(|reason| reason.info().fences));
            assert_eq!(decision.ready.verdict, Verdict::Fail);
            assert!(fence.grace.is_zero());
        } else {
            // Nobody who may not write goes on where there is somebody to signal.
            let fences = |finding: &Finding| finding.reason.info().fences;
            let there = bench.snapshot.running().is_some();
            assert!(!there || !decision.findings.iter().any(fences));
        }
        let Some(Action::Restart(restart)) = &decision.action else {
            assert!(decision.finding(Reason::Restarting).is_none());
            return;
        };
        assert_eq!(bench.policy.restart_by, RestartBy::Supervisor);
        assert_eq!(
            decision.live.verdict,
            Verdict::Pass,
            "both for one incident"
        );
        assert_eq!(decision.ready.verdict, Verdict::Fail);
        let running = bench.snapshot.running().expect("nobody to signal");
        assert_eq!(running.parent, restart.parent);
        let same = |changed: &&Decision| changed.action == decision.action;
        let Some(begun) = bench.changes.iter().rev().take_while(same).last() else {
            return;
        };
        // What begins, begins for reasons that stand beside it, and against no hold.
        assert!(!restart.reasons.is_empty());
        for reason in &restart.reasons {
            let info = reason.info();
            assert_eq!(info.outcome, Outcome::Restart);
            assert!(info.level <= bench.policy.failure_condition_level);
            assert!(begun.finding(*reason).is_some());
        }
        let hold = begun.findings.iter().find(|f| f.reason.info().holds);
        assert_eq!(hold, None, "a restart in spite of it");
    }

    /// No probe leaves its safe side twice within the window, unless another process came.
    fn one_transition_a_window(&mut self, bench: &Bench) {
        let generation = bench.snapshot.running().map(|process| process.parent.pid);
        if generation.is_some() && generation != self.generation {
            self.generation = generation;
            self.left_safe.clear();
        }
        let Some(before) = &self.before else { return };
        for (probe, safe) in [(Probe::Live, Verdict::Pass), (Probe::Ready, Verdict::Fail)] {
            let was = before.answer(probe).verdict;
            let is = bench.decision.answer(probe).verdict;
            // Who may not write and can't be killed from here is left to the kubelet at once, as often as it is
            // seen: an engine that a look has missed is no other one.
            let fenced = probe == Probe::Live && bench.has(Reason::FenceFailed);
            if was == safe && is != safe && !fenced {
                let last = self.left_safe.insert(probe, bench.now);
                if let Some(last) = last {
                    let apart = bench.now.since(last);
                    assert!(
                        apart >= bench.policy.settle,
                        "{probe:?} twice within {apart:?}"
                    );
                }
            }
        }
    }
}

fn no_fail_without_a_reason(decision: &Decision) {
    for probe in Probe::ALL {
        let answer = decision.answer(probe);
        assert_eq!(
            answer.verdict == Verdict::Fail,
            !answer.reasons.is_empty(),
            "{probe:?}: {decision:?}"
        );
        for reason in &answer.reasons {
            assert!(
                decision.finding(*reason).is_some(),
                "{reason:?} without evidence"
            );
        }
    }
}

fn liveness_fails_only_where_a_restart_helps(bench: &Bench) {
    let decision = &bench.decision;
    if decision.live.verdict == Verdict::Pass {
        return;
    }
    for reason in &decision.live.reasons {
        let info = reason.info();
        assert_eq!(info.outcome, Outcome::Restart);
        assert!(info.level <= bench.policy.failure_condition_level);
    }
    if decision.live.reasons == [Reason::FenceFailed] {
        // Who may not write and can't be killed from here has to end against any hold.
        return;
    }
    let hold = decision.findings.iter().find(|f| f.reason.info().holds);
    assert_eq!(hold, None, "liveness fails in spite of it");
}

/// Each restart reason by the column of its evidence, told from the observations alone: what the
/// supervisor can't do counts against nobody, and what is old against nobody either.
fn a_restart_rests_on_what_was_seen(bench: &Bench) {
    let (snapshot, ages, now) = (&bench.snapshot, &bench.policy.ages, bench.now);
    let age = |at: Time| now.since(at);
    let watched = |seen: &Observed<ProcessReport>| age(seen.at) < ages.process;
    let watched = snapshot.process.as_ref().is_some_and(watched);
    let listens = snapshot.listeners.as_ref();
    let listens = listens.filter(|seen| age(seen.at) < ages.listeners);
    let listens = listens.and_then(|seen| seen.value.listens());
    let errors = [&snapshot.ping, &snapshot.login];
    let met = snapshot.answers.last.is_some() || listens == Some(true) || bench.remembers_an_answer;
    for finding in &bench.decision.findings {
        let Some(evidence) = finding.reason.info().evidence else {
            continue;
        };
        let seen = match evidence {
            Evidence::Process => watched,
            Evidence::Silence => {
                // A question was sent, lately, and is open still.
                let lately = |contact: &Contact| {
                    let last = contact.last.as_ref();
                    last.is_some_and(|last| age(last.at) < ages.contact)
                };
                let open = |contact: &&Contact| contact.silent_since.is_some() && lately(contact);
                met && errors.iter().any(open)
            }
            Evidence::Refusal => {
                let refused = errors.iter().any(|contact| contact.refused_since.is_some());
                let met = errors.iter().any(|contact| contact.last_success.is_some());
                watched && refused && (listens == Some(false) || (listens.is_none() && met))
            }
            Evidence::Report => {
                let report = snapshot.diagnostics.last.as_ref();
                let memory = |contact: &&Contact| contact.error().is_some();
                report.is_some_and(|seen| age(seen.at) < ages.diagnostics)
                    || errors.iter().any(memory)
            }
            Evidence::StartUnderWay => {
                let logs = || snapshot.logs().map(|(_, log)| log.start);
                let begun = logs().any(|start| start.begun) && !logs().any(|start| start.ready);
                let says =
                    |contact: &&Contact| matches!(contact.error(), Some(ContactError::Server(_)));
                listens == Some(false) || (listens.is_none() && begun) || errors.iter().any(says)
            }
            Evidence::RecoveryUnderWay => {
                let list = snapshot.databases.as_ref();
                list.is_some_and(|seen| {
                    let recovers =
                        |database: &Database| database.state == DatabaseState::Recovering;
                    age(seen.at) < ages.databases && seen.value.databases.iter().any(recovers)
                })
            }
            Evidence::Fence => true,
        };
        assert!(seen, "{finding:?} without evidence: {snapshot:?}");
    }
}

fn readiness_needs_a_fresh_answer(bench: &Bench) {
    let decision = &bench.decision;
    if decision.ready.verdict == Verdict::Fail {
        return;
    }
    assert_eq!(decision.phase, Phase::Running);
    let snapshot = &bench.snapshot;
    let success = snapshot.ping.last_success.max(snapshot.login.last_success);
    assert!(
        success.is_some() || bench.remembers_an_answer,
        "ready without a single answered query"
    );
    let fresh = success.is_some_and(|at| bench.now.since(at) < bench.policy.ready_freshness);
    let as_proven = decision
        .findings
        .iter()
        .any(|f| f.reason.info().ready == ReadyEffect::AsProven);
    let owes_nothing = snapshot.answers.owed_since.is_none();
    let listeners = snapshot.listeners.as_ref();
    let listeners = listeners.filter(|seen| bench.now.since(seen.at) < bench.policy.ages.listeners);
    let deaf = listeners.is_some_and(|seen| seen.value.listens() == Some(false));
    assert!(
        fresh || (as_proven && owes_nothing && !deaf),
        "{decision:?}"
    );
}
