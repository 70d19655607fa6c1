//! A stop on purpose: what is asked for, of whom, and that it is no restart.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Action, Phase, Restart, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::stop::Situation;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;
const GRACE: Duration = Duration::from_secs(12);

fn say(bench: &mut Bench, word: OperatorCommand) {
    bench.see(Observation::Operator(word));
}

fn terminate(bench: &mut Bench, generation: u64) {
    let parent = process(generation, IDLE).parent;
    let grace = GRACE;
    say(bench, OperatorCommand::Terminate { parent, grace });
}

fn restart(bench: &Bench) -> Option<&Restart> {
    match &bench.decision.action {
        Some(Action::Restart(restart)) => Some(restart),
        _ => None,
    }
}

#[test]
fn a_stop_is_carried_out_once_its_last_rung_is_reached() {
    let mut bench = Bench::ready(Policy::default());
    say(&mut bench, OperatorCommand::Stopping);
    assert_eq!(bench.decision.phase, Phase::Stopping);
    assert_eq!(bench.decision.action, None, "it drains");
    assert_eq!(bench.is_ready(), Verdict::Fail);
    terminate(&mut bench, 1);
    let order = restart(&bench).expect("asked for");
    assert!(order.is_stop());
    assert_eq!(order.parent, process(1, IDLE).parent);
    assert_eq!(order.engine, process(1, IDLE).engine);
    assert_eq!(order.grace, GRACE);
    assert_eq!(bench.live(), Verdict::Pass);
    assert_eq!(bench.decision.last_restart, None, "a stop is no restart");
    assert!(!bench.has(Reason::Restarting));
    bench.see(exited(Some(ExitStatus::Code(0))));
    assert_eq!(bench.decision.action, None);
}

#[test]
fn it_is_about_one_process_and_not_about_the_next() {
    let mut bench = Bench::ready(Policy::default());
    say(&mut bench, OperatorCommand::Stopping);
    terminate(&mut bench, 1);
    bench.see(exited(Some(ExitStatus::Code(0))));
    bench.pass(seconds(5));
    bench.see(running(2, IDLE));
    bench.ping_ok();
    assert_eq!(bench.decision.action, None);
    assert_eq!(bench.decision.phase, Phase::Running);
    // The next one can be stopped in its turn.
    bench.pass(seconds(60));
    say(&mut bench, OperatorCommand::Stopping);
    assert_eq!(bench.decision.phase, Phase::Stopping);
    terminate(&mut bench, 2);
    assert!(restart(&bench).is_some_and(Restart::is_stop));
}

#[test]
fn a_word_about_a_process_that_is_not_there_does_nothing() {
    let mut bench = Bench::ready(Policy::default());
    terminate(&mut bench, 7);
    assert_eq!(bench.decision.action, None);
}

#[test]
fn a_restart_under_way_ends_the_same_process_and_is_not_begun_anew() {
    let mut bench = Bench::ready(Policy::default());
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    let before = bench.decision.action.clone();
    assert!(before.is_some());
    let situation = Situation::of(&bench.snapshot, &bench.decision);
    assert!(situation.hung, "no checkpoint is tried: {situation:?}");
    terminate(&mut bench, 1);
    assert_eq!(bench.decision.action, before);
}

#[test]
fn one_that_could_not_be_ended_is_not_tried_for_ever() {
    let mut bench = Bench::ready(Policy::default());
    say(&mut bench, OperatorCommand::Stopping);
    terminate(&mut bench, 1);
    let process = process(1, IDLE).parent;
    let step = ActionStep::Failed("not permitted".to_owned());
    bench.see(Observation::Action(ActionReport { process, step }));
    assert_eq!(bench.decision.action, None);
    bench.pass(seconds(1));
    assert_eq!(bench.decision.action, None);
}

#[test]
fn what_a_stop_meets() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(databases(&[
        ("master", DatabaseState::Online),
        ("tempdb", DatabaseState::Online),
        ("a", DatabaseState::Online),
        ("b", DatabaseState::Suspect),
    ]));
    let situation = Situation::of(&bench.snapshot, &bench.decision);
    assert_eq!(situation.target, Some(process(1, IDLE).parent));
    assert!(situation.runs && situation.serves && !situation.hung);
    assert_eq!(situation.databases, ["master", "a"]);
    bench.see(exited(None));
    let situation = Situation::of(&bench.snapshot, &bench.decision);
    assert!(!situation.runs && !situation.serves);
}

#[test]
fn a_stop_meets_a_hung_engine_by_any_sign_of_it() {
    let hung = |bench: &Bench| Situation::of(&bench.snapshot, &bench.decision).hung;
    // It answers, and only liveness fails; the kubelet is to restart it.
    let mut bench = Bench::ready(kubelet());
    assert!(!hung(&bench));
    bench.see(recovering("master", 30.0));
    let limit = bench.policy.startup_stalled_after;
    bench.live_for(limit + seconds(2), IDLE, &answered_result());
    assert_eq!(bench.decision.live.reasons, [Reason::RecoveryStalled]);
    assert_eq!(bench.decision.action, None);
    assert!(hung(&bench));
    // It is dead, and maintenance holds liveness.
    let mut bench = Bench::ready(kubelet());
    let until = bench.now.plus(seconds(120));
    say(&mut bench, OperatorCommand::MaintenanceUntil(until));
    let mut zombie = process(1, IDLE);
    zombie.state = RunState::Zombie;
    bench.see(Observation::Process(ProcessReport::Running(zombie)));
    bench.pass(seconds(60));
    assert!(bench.has(Reason::ProcessZombie));
    assert_eq!(bench.live(), Verdict::Pass);
    assert!(hung(&bench));
    // It answers, and the supervisor restarts it: liveness passes.
    let mut bench = Bench::ready(Policy::default());
    bench.see(recovering("master", 30.0));
    bench.live_for(limit + seconds(2), IDLE, &answered_result());
    assert!(restart(&bench).is_some_and(|restart| !restart.is_stop()));
    assert_eq!(bench.live(), Verdict::Pass);
    assert!(hung(&bench));
}

#[test]
fn a_stop_that_is_carried_out_makes_no_engine_hung() {
    let mut bench = Bench::ready(Policy::default());
    say(&mut bench, OperatorCommand::Stopping);
    terminate(&mut bench, 1);
    assert!(restart(&bench).is_some_and(Restart::is_stop));
    let situation = Situation::of(&bench.snapshot, &bench.decision);
    assert!(!situation.hung, "{situation:?}");
}

/// The engine can't be signalled, and goes on as if nobody had wanted it stopped.
#[test]
fn a_stop_without_effect_is_named_and_over_at_its_limit() {
    let mut bench = Bench::ready(kubelet());
    say(&mut bench, OperatorCommand::Stopping);
    terminate(&mut bench, 1);
    let process = process(1, IDLE).parent;
    let step = ActionStep::Failed("not permitted".to_owned());
    bench.see(Observation::Action(ActionReport { process, step }));
    assert!(bench.has(Reason::RestartFailed), "the answer points to it");
    let limit = bench.policy.stopping_limit;
    bench.live_for(limit - SECOND, IDLE, &answered_result());
    assert!(bench.has(Reason::Stopping) && bench.has(Reason::RestartFailed));
    assert_eq!(bench.is_ready(), Verdict::Fail);
    let settle = bench.policy.settle;
    bench.live_for(settle + SECOND, IDLE, &answered_result());
    assert_eq!(bench.decision.phase, Phase::Running);
    assert!(!bench.has(Reason::Stopping) && !bench.has(Reason::RestartFailed));
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
    // Another command begins another stop.
    say(&mut bench, OperatorCommand::Stopping);
    assert_eq!(bench.decision.phase, Phase::Stopping);
    assert_eq!(bench.is_ready(), Verdict::Fail);
    bench.live_for(limit - SECOND, IDLE, &answered_result());
    assert!(bench.has(Reason::Stopping));
    bench.live_for(SECOND, IDLE, &answered_result());
    assert_eq!(bench.decision.phase, Phase::Running);
    bench.hang_for(seconds(32), 1);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

/// Where the engine itself spoke of a stop before, the limit of that one passes first.
#[test]
fn an_engine_that_is_being_stopped_is_never_ready() {
    let mut bench = Bench::ready(Policy::default());
    let limit = bench.policy.stopping_limit;
    bench.ping_fails(server(17188));
    bench.live_for(limit - seconds(60), IDLE, &answered_result());
    say(&mut bench, OperatorCommand::Stopping);
    for _ in 0..limit.as_secs() {
        assert_eq!(bench.decision.phase, Phase::Stopping);
        assert!(bench.has(Reason::Stopping), "{:?}", bench.decision);
        bench.live_for(SECOND, IDLE, &answered_result());
    }
    assert_eq!(bench.decision.phase, Phase::Running);
}
