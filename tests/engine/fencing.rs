//! An engine that may not write the volume, and the volume that is not the one meant.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Action, Restart, Verdict};
use sql_edge_supervisor::decide::identity::{Identity, IdentityFacts, IdentityFile, VolumeInit};
use sql_edge_supervisor::decide::lease::{HolderIdentity, LeaseMode, LeaseState};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::reason::Reason;

use crate::bench::*;

fn strict() -> Policy {
    Policy {
        lease: LeaseMode::Strict,
        ..Policy::default()
    }
}

/// A strict bench that is ready, its lease just renewed and not renewed by itself any more.
fn ready_and_strict() -> Bench {
    let mut bench = Bench::new(strict());
    bench.renews = false;
    bench.see(held(1, 1));
    bench.see(volume(healthy_volume()));
    bench.see(running(1, Duration::ZERO));
    bench.ping_ok();
    bench.see(databases(&[("master", DatabaseState::Online)]));
    bench.login_ok();
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
    bench
}

fn fence(bench: &Bench) -> Option<&Restart> {
    match &bench.decision.action {
        Some(Action::Fence(fence)) => Some(fence),
        _ => None,
    }
}

fn lost() -> Observation {
    lease(LeaseState::Lost {
        epoch: 1,
        by: Some(2),
        holder: Some(HolderIdentity {
            id: "pod-2".to_owned(),
            ..HolderIdentity::default()
        }),
    })
}

#[test]
fn the_failure_of_the_last_round_stands_in_the_evidence() {
    for (failure, evidence) in [
        (None, "it is not taken yet"),
        (Some("no space left"), "it is not taken yet: no space left"),
    ] {
        let mut bench = Bench::new(strict());
        bench.see(Observation::Lease(LeaseReport {
            state: LeaseState::Unknown,
            failure: failure.map(str::to_owned),
            run_until: None,
            left_out: Duration::ZERO,
        }));
        let finding = bench.decision.finding(Reason::LeaseNotHeld);
        assert_eq!(finding.expect("it is not held").evidence, evidence);
    }
}

#[test]
fn a_running_engine_without_a_lease_is_fenced_unless_its_own_agent_sees_to_that() {
    for (by_agent, reason) in [(false, Reason::LeaseLost), (true, Reason::LeaseNotHeld)] {
        let mut bench = Bench::new(strict());
        bench.see(lease(LeaseState::Unknown));
        bench.snapshot.lease_by_agent = by_agent;
        bench.see(running(1, Duration::ZERO));
        assert!(
            bench.has(Reason::LeaseNotHeld),
            "an earlier run may hold it"
        );
        bench.pass(bench.policy.lease_fence);
        assert!(bench.has(reason), "{:?}", bench.decision.findings);
    }
}

#[test]
fn the_holder_is_named_with_its_node_where_that_is_known() {
    for (node, name) in [("", "of pod-2"), ("n2", "of pod-2 on n2")] {
        let mut bench = ready_and_strict();
        bench.see(lease(LeaseState::Lost {
            epoch: 1,
            by: Some(2),
            holder: Some(HolderIdentity {
                id: "pod-2".to_owned(),
                node: node.to_owned(),
                boot_id: String::new(),
            }),
        }));
        let finding = bench.decision.finding(Reason::LeaseLost).expect("lost");
        assert_eq!(
            finding.evidence,
            format!("epoch 1 was followed by 2 {name}")
        );
    }
}

#[test]
fn who_lost_the_lease_is_killed_at_once_against_any_hold_and_counted_nowhere() {
    let mut bench = Bench::ready(Policy::default());
    let until = bench.now.plus(seconds(3600));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    bench.see(lost());
    let ordered = fence(&bench).expect("it is fenced").clone();
    assert_eq!(ordered.reasons, [Reason::LeaseLost]);
    assert_eq!(ordered.engine.map(|id| id.pid), Some(100));
    assert!(ordered.grace.is_zero());
    assert_eq!(bench.live(), Verdict::Pass, "the kubelet has no part in it");
    assert_eq!(bench.is_ready(), Verdict::Fail);
    for generation in 2..8 {
        bench.see(exited(Some(ExitStatus::Signal(9))));
        assert_eq!(fence(&bench), None, "nobody is left to be killed");
        bench.pass(SECOND);
        bench.see(running(generation, Duration::ZERO));
        let again = fence(&bench).expect("the next one as well");
        assert_eq!(again.parent, process(generation, Duration::ZERO).parent);
    }
    assert!(!bench.has(Reason::RestartBudgetExhausted));
    assert_eq!(bench.decision.last_restart, None);
}

#[test]
fn a_fence_stays_until_its_process_is_gone_though_the_lease_is_held_again() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(lost());
    bench.see(held(3, 3));
    assert!(
        fence(&bench).is_some(),
        "it ran while another pod may have written"
    );
    bench.see(exited(Some(ExitStatus::Signal(9))));
    bench.see(running(2, Duration::ZERO));
    assert_eq!(fence(&bench), None);
}

#[test]
fn strict_is_fenced_to_the_moment_at_which_renewals_were_missing_for_too_long() {
    let mut bench = ready_and_strict();
    let limit = bench.policy.lease_fence;
    let renewed = bench.now;
    bench.pass(limit - Duration::from_millis(1));
    assert_eq!(fence(&bench), None);
    bench.pass(Duration::from_millis(1));
    assert!(
        fence(&bench).is_some(),
        "the thread that renews need not say anything"
    );
    assert_eq!(bench.now.since(renewed), limit);
    let finding = bench.decision.finding(Reason::LeaseLost).expect("lost");
    assert_eq!(finding.evidence, "epoch 1 was last renewed 20 s ago");
}

#[test]
fn a_lease_that_the_agent_holds_is_not_counted_down_by_the_supervisor() {
    let mut bench = Bench::new(strict());
    bench.renews = false;
    bench.see(Observation::AgentLease(LeaseReport {
        state: LeaseState::Held {
            epoch: 1,
            first: 1,
            age: Duration::ZERO,
        },
        failure: None,
        run_until: None,
        left_out: Duration::ZERO,
    }));
    bench.see(running(1, Duration::ZERO));
    bench.pass(bench.policy.lease_fence * 3);
    assert!(!bench.has(Reason::LeaseLost), "{:?}", bench.decision);
    assert_eq!(fence(&bench), None);
}

#[test]
fn the_renewal_counts_from_its_beginning_and_a_pause_of_the_supervisor_counts_too() {
    let mut bench = ready_and_strict();
    bench.see(lease(LeaseState::Held {
        epoch: 1,
        first: 1,
        age: seconds(12),
    }));
    bench.pass(seconds(7));
    assert_eq!(fence(&bench), None);
    bench.pass(SECOND);
    assert!(fence(&bench).is_some());

    let mut bench = ready_and_strict();
    bench.see(Observation::Stall(seconds(19)));
    assert_eq!(fence(&bench), None);
    bench.see(held(1, 1));
    bench.see(Observation::Stall(seconds(20)));
    assert!(fence(&bench).is_some());
}

/// The lease holder's thread and the deciding loop notice the end of a pause in either order.
#[test]
fn a_pause_is_added_to_a_renewal_once_and_only_to_one_before_it() {
    let made_after = |left_out| match held(1, 1) {
        Observation::Lease(report) => Observation::Lease(LeaseReport { left_out, ..report }),
        other => other,
    };
    let pause = || Observation::Stall(seconds(15));
    let mut bench = ready_and_strict();
    for pauses in 1..=2 {
        bench.pass(seconds(3));
        bench.see(made_after(seconds(15) * pauses));
        bench.see(pause());
        assert_eq!(fence(&bench), None);
    }
    bench.pass(seconds(19));
    assert_eq!(fence(&bench), None, "{:?}", bench.decision);
    bench.pass(SECOND);
    assert!(fence(&bench).is_some());
    // Made before the pause, and read after the report on it.
    let mut bench = ready_and_strict();
    bench.see(pause());
    bench.snapshot.apply(Observed {
        at: bench.now,
        value: made_after(Duration::ZERO),
    });
    bench.pass(seconds(4));
    assert_eq!(fence(&bench), None);
    bench.pass(SECOND);
    assert!(fence(&bench).is_some());
}

#[test]
fn advisory_and_off_kill_nothing_for_a_renewal_that_is_missing() {
    for mode in [LeaseMode::Advisory, LeaseMode::Off] {
        let mut bench = Bench::ready(Policy {
            lease: mode,
            ..Policy::default()
        });
        bench.renews = false;
        for _ in 0..100 {
            bench.pass(SECOND);
            bench.ping_ok();
            assert_eq!(fence(&bench), None);
        }
        assert_eq!(
            bench.has(Reason::LeaseNotRenewed),
            mode == LeaseMode::Advisory
        );
        assert_eq!(bench.has(Reason::LeaseOff), mode == LeaseMode::Off);
        assert_eq!(bench.is_ready(), Verdict::Pass);
    }
}

#[test]
fn the_gate_opens_with_the_lease_and_fences_who_went_around_it() {
    let mut bench = Bench::new(Policy::default());
    bench.renews = false;
    bench.see(volume(healthy_volume()));
    for (state, reason) in [
        (LeaseState::Unknown, Reason::LeaseNotHeld),
        (elsewhere(Some("pod-1"), true), Reason::LeaseNotHeld),
        (elsewhere(None, false), Reason::LeaseNotHeld),
        (elsewhere(Some("pod-2"), false), Reason::LeaseHeldElsewhere),
        (LeaseState::Released, Reason::LeaseNotHeld),
    ] {
        bench.see(lease(state.clone()));
        assert_eq!(bench.decision.gate.verdict, Verdict::Fail, "{state:?}");
        assert!(bench.has(reason), "{state:?}");
        // An engine that is there all the same is killed only where another pod is known to have it.
        bench.see(running(1, Duration::ZERO));
        let fenced = fence(&bench).is_some();
        assert_eq!(fenced, reason == Reason::LeaseHeldElsewhere, "{state:?}");
        bench.see(Observation::Process(ProcessReport::NotFound));
    }
    bench.see(held(2, 2));
    bench.pass(bench.policy.settle);
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
}

/// Each start of the SQL container begins with a lease that its agent does not hold yet.
#[test]
fn the_gate_waits_for_a_volume_that_was_bad_and_not_for_a_lease_that_was_not_held() {
    let mut bench = Bench::ready(Policy::default());
    bench.renews = false;
    bench.see(exited(Some(ExitStatus::Signal(9))));
    let read_only = || {
        let mut check = healthy_volume();
        check.write = WriteCheck::Failed(VolumeFault::ReadOnly);
        volume(check)
    };
    for was_bad in [false, true] {
        assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
        bench.see(lease(LeaseState::Released));
        assert_eq!(bench.decision.gate.reasons, [Reason::LeaseNotHeld]);
        if was_bad {
            bench.see(read_only());
            bench.see(volume(healthy_volume()));
        }
        bench.see(held(2, 2));
        assert_eq!(bench.decision.gate.verdict == Verdict::Fail, was_bad);
        assert_eq!(bench.has(Reason::Settling), was_bad);
        bench.pass(bench.policy.settle);
    }
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
}

#[test]
fn a_supervisor_that_comes_back_fences_the_engine_of_a_lease_that_others_had_since() {
    for (first, fenced) in [(1, false), (3, true)] {
        let mut bench = Bench::ready(Policy::default());
        let mut again = bench.restart_supervisor(seconds(300), true);
        again.see(lease(LeaseState::Unknown));
        again.see(running(1, Duration::ZERO));
        assert_eq!(fence(&again), None, "nothing is known of the lease yet");
        again.see(held(3, first));
        assert_eq!(fence(&again).is_some(), fenced, "since epoch {first}");
    }
}

#[test]
fn who_can_not_be_killed_from_here_is_left_to_the_kubelet_against_any_hold() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(lost());
    let process = fence(&bench).expect("it is fenced").parent;
    bench.see(Observation::Action(ActionReport {
        process,
        step: ActionStep::Failed("EPERM".to_owned()),
    }));
    assert_eq!(bench.live(), Verdict::Fail);
    assert_eq!(bench.decision.live.reasons, [Reason::FenceFailed]);
}

#[test]
fn a_fence_cuts_a_restart_short() {
    let mut bench = Bench::ready(Policy::default());
    bench.hang_for(seconds(40), 1);
    assert!(matches!(bench.decision.action, Some(Action::Restart(_))));
    bench.see(lost());
    assert!(fence(&bench).is_some());
    assert!(!bench.has(Reason::Restarting));
}

#[test]
fn what_nobody_starts_after_a_fence_is_not_the_incident_of_the_restart_that_gave_way() {
    let mut bench = Bench::ready(Policy::default());
    bench.hang_for(seconds(40), 1);
    let last = bench.decision.last_restart.clone().expect("asked for");
    assert_eq!(last.by, RestartBy::Supervisor);
    bench.see(lost());
    bench.see(exited(Some(ExitStatus::Signal(9))));
    bench.see(held(3, 3));
    assert_eq!(bench.decision.action, None);
    bench.pass(bench.policy.process_missing_after + SECOND);
    assert_eq!(bench.live(), Verdict::Fail);
    let last = bench.decision.last_restart.clone().expect("asked for");
    assert_eq!(last.by, RestartBy::Kubelet);
    assert_eq!(last.reasons, [Reason::ProcessMissing]);
}

fn first_use() -> IdentityFacts {
    IdentityFacts {
        file: IdentityFile::Absent,
        instance_id: None,
        master_present: Some(false),
        empty: Some(true),
        ..established()
    }
}

fn with(facts: IdentityFacts) -> Observation {
    let mut check = healthy_volume();
    check.identity = Some(facts);
    volume(check)
}

fn named(volume_id: &str, instance_id: Option<&str>) -> IdentityFile {
    IdentityFile::Known(Identity {
        volume_id: volume_id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        ..Identity::default()
    })
}

#[test]
fn a_new_volume_opens_the_gate_once_it_has_its_identity() {
    let mut bench = Bench::new(Policy::default());
    bench.see(with(first_use()));
    assert!(bench.has(Reason::VolumeUnidentified));
    assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
    bench.see(with(IdentityFacts {
        file: named("v", None),
        ..first_use()
    }));
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);

    let mut bench = Bench::new(Policy {
        volume_init: VolumeInit::Never,
        ..Policy::default()
    });
    bench.see(with(first_use()));
    assert!(bench.has(Reason::VolumeEmpty));
}

#[test]
fn a_volume_that_was_swapped_is_noticed_by_a_later_run_until_it_is_adopted() {
    let mut bench = Bench::ready(Policy::default());
    let mut again = bench.restart_supervisor(seconds(60), true);
    again.see(with(first_use()));
    assert!(again.has(Reason::VolumeEmpty), "not a first use");
    let other = || IdentityFacts {
        file: named("w", Some("i")),
        ..established()
    };
    again.see(with(other()));
    assert!(again.has(Reason::VolumeForeign));
    assert_eq!(again.decision.gate.verdict, Verdict::Fail);
    again.nobody_watches = true;
    again.pass(SECOND);
    again.see(Observation::Operator(OperatorCommand::Adopt));
    again.pass(again.policy.settle);
    assert_eq!(
        again.decision.gate.verdict,
        Verdict::Pass,
        "{:?}",
        again.decision
    );
    assert_eq!(again.bench_memory().volume_id.as_deref(), Some("w"));
}

#[test]
fn a_volume_is_not_remembered_before_the_lease_is_held() {
    let mut bench = Bench::new(Policy::default());
    bench.renews = false;
    bench.see(lease(elsewhere(Some("pod-2"), false)));
    bench.see(volume(healthy_volume()));
    assert_eq!(bench.bench_memory().volume_id, None);
    bench.see(held(3, 3));
    assert_eq!(bench.bench_memory().volume_id.as_deref(), Some("v"));
}

#[test]
fn an_advisory_lease_fences_only_where_another_holder_is_known() {
    let lost = |by, holder: Option<&str>| {
        lease(LeaseState::Lost {
            epoch: 1,
            by,
            holder: holder.map(|id| HolderIdentity {
                id: id.to_owned(),
                ..HolderIdentity::default()
            }),
        })
    };
    for (mode, by, holder, fenced) in [
        (LeaseMode::Advisory, None, None, false),
        (LeaseMode::Advisory, None, Some("pod-2"), true),
        (LeaseMode::Advisory, Some(2), None, false),
        (LeaseMode::Strict, None, None, true),
    ] {
        let mut bench = ready_and_strict();
        bench.policy.lease = mode;
        bench.see(lost(by, holder));
        let text = format!("{mode:?} {by:?} {holder:?}: {:?}", bench.decision);
        assert_eq!(fence(&bench).is_some(), fenced, "{text}");
        assert_eq!(bench.has(Reason::LeaseNotHeld), !fenced, "{text}");
    }
}

#[test]
fn what_the_agent_said_of_the_lease_before_its_link_was_lost_fences_nobody() {
    let mut bench = Bench::new(Policy::default());
    bench.renews = false;
    bench.nobody_watches = true;
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(by_agent(lost()));
    bench.see(Observation::Link(LinkReport::Lost));
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(running(2, Duration::ZERO));
    assert_eq!(fence(&bench), None, "{:?}", bench.decision);
    bench.see(by_agent(lost()));
    assert!(fence(&bench).is_some());
}

#[test]
fn an_adoption_that_is_refused_changes_nothing() {
    let adopt = || Observation::Operator(OperatorCommand::Adopt);
    let mut bench = Bench::ready(Policy::default());
    let mut again = bench.restart_supervisor(seconds(60), true);
    again.nobody_watches = true;
    let mut unmounted = healthy_volume();
    unmounted.mount = None;
    again.see(volume(unmounted));
    again.see(adopt());
    assert!(!again.decision.may_identify);
    assert_eq!(again.decision.identity_writes, []);
    again.see(with(first_use()));
    again.pass(again.policy.settle);
    assert!(again.has(Reason::VolumeEmpty), "it is remembered still");
    assert_eq!(again.decision.gate.verdict, Verdict::Fail);
    assert_eq!(again.decision.identity_writes, [], "nor is it done later");
    assert_eq!(again.bench_memory().volume_id.as_deref(), Some("v"));
    again.see(adopt());
    assert_eq!(again.decision.identity_writes.len(), 1);
}
