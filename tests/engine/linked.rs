//! What holds while `launch` tells of the processes, and while it can't.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Action, Phase, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::restart::HANDOVER_AFTER;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;

fn linked(policy: Policy) -> Bench {
    let mut bench = Bench::new(policy);
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(volume(healthy_volume()));
    bench.see(running(1, IDLE));
    bench.see(databases(&[("master", DatabaseState::Online)]));
    bench.ping_ok();
    bench.login_ok();
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
    bench
}

fn lose(bench: &mut Bench) {
    bench.see(Observation::Link(LinkReport::Lost));
}

fn pings_for(bench: &mut Bench, span: Duration, result: &AttemptResult) {
    for _ in 0..span.as_secs() {
        let started = bench.now;
        bench.pass(SECOND);
        let result = result.clone();
        bench.see(Observation::Ping(Attempt { started, result }));
    }
}

#[test]
fn a_lost_link_costs_nothing_while_sql_answers() {
    let mut bench = linked(Policy::default());
    lose(&mut bench);
    pings_for(&mut bench, seconds(300), &answered_result());
    assert_eq!(bench.decision.phase, Phase::Running);
    assert_eq!(
        (bench.live(), bench.is_ready()),
        (Verdict::Pass, Verdict::Pass)
    );
    assert_eq!(bench.decision.startup.verdict, Verdict::Pass);
    assert!(!bench.has(Reason::NotYetObserved) && !bench.has(Reason::ProcessMissing));
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(running(1, IDLE));
    assert_eq!(bench.decision.phase, Phase::Running);
    let [startup, live, ready, _] = bench.decision.answers();
    assert_eq!([startup, live, ready], [Verdict::Pass; 3]);
}

#[test]
fn what_was_answered_before_launch_told_of_the_process_was_its_answer() {
    let mut bench = Bench::new(Policy::default());
    bench.see(volume(healthy_volume()));
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(databases(&[("master", DatabaseState::Online)]));
    bench.ping_ok();
    bench.login_ok();
    bench.see(running(1, IDLE));
    assert_eq!(bench.decision.phase, Phase::Running);
    assert_eq!(bench.decision.startup.verdict, Verdict::Pass);
    // The next one is another one.
    bench.see(running(2, IDLE));
    assert_eq!(bench.decision.phase, Phase::Starting);
}

/// Who has seen none either could not look, or has not looked yet.
#[test]
fn what_was_heard_before_the_first_look_at_the_processes_is_of_the_first_engine() {
    let not_found = || Observation::Process(ProcessReport::NotFound);
    let link = || Observation::Link(LinkReport::Linked);
    for before in [vec![], vec![link()], vec![not_found(), link()]] {
        let mut bench = Bench::new(kubelet());
        bench.nobody_watches = true;
        bench.observers_go_on = false;
        for seen in before {
            bench.see(seen);
        }
        bench.see(listening(&["0.0.0.0:1433"]));
        assert_eq!(bench.decision.phase, Phase::Unseen);
        bench.pass(SECOND);
        bench.see(running(1, IDLE));
        assert_eq!(bench.decision.phase, Phase::Running);
    }
}

#[test]
fn an_engine_that_was_never_seen_is_there_once_it_answers() {
    for (linked, refusing) in [(false, Phase::Unseen), (true, Phase::Running)] {
        let mut bench = Bench::new(kubelet());
        if linked {
            bench.see(Observation::Link(LinkReport::Linked));
        }
        assert_eq!(bench.decision.phase, Phase::Unseen, "linked: {linked}");
        bench.ping_ok();
        assert_eq!(bench.decision.phase, Phase::Running, "linked: {linked}");
        // Who will be told of its end by `launch` waits for that.
        bench.ping_fails(ContactError::Refused);
        assert_eq!(bench.decision.phase, refusing, "linked: {linked}");
    }
}

#[test]
fn a_process_is_missing_for_as_long_as_somebody_looks() {
    let mut bench = linked(Policy::default());
    bench.see(exited(Some(ExitStatus::Signal(9))));
    lose(&mut bench);
    // The kubelet's back-off, and a wait at the gate.
    bench.pass(seconds(300));
    bench.see(Observation::Link(LinkReport::Linked));
    bench.pass(seconds(60));
    let absent = || Observation::Process(ProcessReport::NotFound);
    bench.see(absent());
    assert!(!bench.has(Reason::ProcessMissing));
    for _ in 0..Policy::default().process_missing_after.as_secs() {
        assert!(bench.left_alone());
        bench.pass(SECOND);
        bench.see(absent());
    }
    assert!(bench.has(Reason::ProcessMissing));
}

#[test]
fn no_process_is_missing_that_nobody_can_see() {
    for ends in [false, true] {
        let mut bench = linked(Policy::default());
        if ends {
            bench.see(exited(Some(ExitStatus::Code(0))));
        }
        lose(&mut bench);
        let refused = AttemptResult::Failed(ContactError::Refused);
        pings_for(&mut bench, seconds(600), &refused);
        assert!(!bench.has(Reason::ProcessMissing) && !bench.has(Reason::ListenerLost));
        assert!(bench.left_alone(), "ends: {ends}");
        assert_eq!(bench.is_ready(), Verdict::Fail);
        assert!(bench.left_alone());
        let phase = if ends { Phase::Gone } else { Phase::Running };
        assert_eq!(bench.decision.phase, phase);
        // The container was started anew.
        bench.see(Observation::Link(LinkReport::Linked));
        bench.see(running(2, IDLE));
        assert_eq!(bench.decision.phase, Phase::Starting);
        bench.ping_ok();
        bench.login_ok();
        assert_eq!(bench.decision.phase, Phase::Running);
    }
}

#[test]
fn an_engine_that_answers_is_not_gone_whoever_saw_its_end() {
    let mut bench = linked(Policy::default());
    bench.see(exited(Some(ExitStatus::Code(0))));
    lose(&mut bench);
    pings_for(&mut bench, seconds(10), &answered_result());
    assert_eq!(bench.decision.phase, Phase::Running);
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

fn hung() -> Bench {
    let mut bench = linked(Policy::default());
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    assert!(bench.decision.action.is_some());
    bench
}

#[test]
fn who_has_not_spoken_of_the_processes_yet_is_named() {
    for (link, evidence) in [
        (None, "no observation of the processes yet"),
        (
            Some(LinkReport::Linked),
            "launch has not said anything of the processes yet",
        ),
    ] {
        let mut bench = Bench::new(kubelet());
        bench.see(volume(healthy_volume()));
        if let Some(link) = link {
            bench.see(Observation::Link(link));
        }
        let finding = bench.decision.finding(Reason::NotYetObserved);
        assert_eq!(finding.expect("nothing was seen").evidence, evidence);
    }
}

#[test]
fn an_order_waits_for_the_link() {
    let mut bench = hung();
    let ordered = bench.decision.action.clone();
    lose(&mut bench);
    assert_eq!(
        bench.decision.action, ordered,
        "it is said again to who connects"
    );
    bench.pass(SECOND);
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(running(1, IDLE));
    assert_eq!(bench.decision.action, ordered);
    assert_eq!(bench.live(), Verdict::Pass);
    // It is not taken for done by the loss, and ends with the process.
    bench.see(Observation::Link(LinkReport::Lost));
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(running(2, IDLE));
    assert_eq!(bench.decision.action, None);
}

#[test]
fn a_verdict_without_a_link_waits_for_it_before_the_kubelet_is_asked() {
    let mut bench = linked(Policy::default());
    let system_error = || diagnostics(|report| report.system = Some(ComponentState::Error));
    lose(&mut bench);
    bench.see(system_error());
    bench.see(system_error());
    assert!(bench.has(Reason::SystemError));
    assert!(bench.left_alone());
    let mut back = linked(Policy::default());
    lose(&mut back);
    back.see(system_error());
    back.see(system_error());
    back.pass(SECOND);
    back.see(Observation::Link(LinkReport::Linked));
    back.see(running(1, IDLE));
    let Some(Action::Restart(restart)) = &back.decision.action else {
        panic!("{:?}", back.decision);
    };
    assert_eq!(restart.parent, process(1, IDLE).parent);
    // It does not come back.
    bench.pass(HANDOVER_AFTER);
    assert_eq!(bench.live(), Verdict::Fail);
    let last = bench.decision.last_restart.as_ref().expect("noted");
    assert_eq!(last.by, RestartBy::Kubelet);
}

#[test]
fn a_later_run_knows_that_it_has_to_wait_for_the_link() {
    let mut bench = linked(Policy::default());
    assert!(bench.bench_memory().linked);
    let mut later = bench.restart_supervisor(SECOND, true);
    pings_for(&mut later, seconds(60), &answered_result());
    assert_eq!(later.decision.phase, Phase::Running);
    assert_eq!(later.decision.startup.verdict, Verdict::Pass);
    assert!(!later.has(Reason::ProcessMissing));
    later.see(Observation::Link(LinkReport::Linked));
    later.see(running(1, IDLE));
    assert_eq!(
        later.decision.startup.verdict,
        Verdict::Pass,
        "the same one"
    );
    let plain = Bench::ready(Policy::default()).bench_memory();
    assert!(!plain.linked);
}

#[test]
fn each_stop_is_about_the_engine_that_it_was_said_of() {
    let mut bench = linked(Policy::default());
    for generation in 1..4 {
        bench.see(running(generation, IDLE));
        bench.ping_ok();
        assert_eq!(bench.decision.phase, Phase::Running, "{generation}");
        bench.pass(SECOND);
        bench.see(Observation::Operator(OperatorCommand::Stopping));
        assert_eq!(bench.decision.phase, Phase::Stopping, "{generation}");
        bench.see(exited(Some(ExitStatus::Code(0))));
        lose(&mut bench);
        bench.pass(SECOND);
        bench.see(Observation::Link(LinkReport::Linked));
    }
}

#[test]
fn an_end_that_comes_in_one_moment_with_the_loss_of_the_link_is_told() {
    let mut bench = linked(Policy::default());
    // A busy supervisor takes both in before it decides.
    let (at, value) = (bench.now, exited(Some(ExitStatus::Code(3))));
    bench.snapshot.apply(Observed { at, value });
    lose(&mut bench);
    assert_eq!(bench.decision.phase, Phase::Gone);
    assert!(bench.has(Reason::ProcessExited), "{:?}", bench.decision);
    assert_eq!(bench.is_ready(), Verdict::Fail);
    bench.pass(seconds(10));
    assert_eq!(bench.decision.phase, Phase::Gone);
    // The next one answers before its agent is linked.
    bench.ping_ok();
    assert_eq!(bench.decision.phase, Phase::Running);
}

#[test]
fn an_end_that_launch_told_of_stands_when_it_has_gone_too() {
    let mut bench = linked(Policy::default());
    lose(&mut bench);
    assert!(!bench.snapshot.ended_before_loss, "it may be running still");
    bench.see(Observation::Link(LinkReport::Linked));
    bench.see(running(1, IDLE));
    bench.see(exited(None));
    assert!(!bench.snapshot.ended_before_loss, "launch is there");
    lose(&mut bench);
    assert!(bench.snapshot.ended_before_loss);
    lose(&mut bench);
    assert!(bench.snapshot.ended_before_loss, "said twice");
    bench.see(Observation::Link(LinkReport::Linked));
    assert!(
        !bench.snapshot.ended_before_loss,
        "another one may have started it"
    );
    lose(&mut bench);
    assert!(!bench.snapshot.ended_before_loss);
}
