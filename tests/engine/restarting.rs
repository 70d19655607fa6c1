//! Who restarts the engine, how far that is, and what a later run of the supervisor knows of it.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Action, Phase, Restart, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::restart::HANDOVER_AFTER;
use sql_edge_supervisor::decide::time::Time;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;

/// Hung for longer than the threshold, with the supervisor to restart it.
fn hung() -> Bench {
    let mut bench = Bench::ready(Policy::default());
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    bench
}

fn restart(bench: &Bench) -> &Restart {
    let Some(Action::Restart(restart)) = &bench.decision.action else {
        panic!("nothing is done: {:?}", bench.decision);
    };
    restart
}

fn report(step: ActionStep) -> Observation {
    let process = process(1, IDLE).parent;
    Observation::Action(ActionReport { process, step })
}

#[test]
fn the_supervisor_ends_a_hung_engine_and_liveness_passes_meanwhile() {
    let bench = hung();
    let restart = restart(&bench);
    let target = process(1, IDLE);
    assert_eq!(
        (restart.parent, restart.engine),
        (target.parent, target.engine)
    );
    assert_eq!(restart.reasons, [Reason::EngineUnresponsive]);
    assert_eq!(restart.grace, bench.policy.unresponsive_grace);
    assert_eq!(bench.live(), Verdict::Pass, "never both for one incident");
    assert_eq!(bench.decision.startup.verdict, Verdict::Pass);
    assert_eq!(
        bench.decision.ready.reasons,
        [Reason::EngineUnresponsive, Reason::Restarting]
    );
    let evidence = &bench
        .decision
        .finding(Reason::Restarting)
        .expect("found")
        .evidence;
    assert!(
        evidence.starts_with("for EngineUnresponsive: SIGTERM to pid 99 "),
        "{evidence}"
    );
    assert!(evidence.ends_with("SIGKILL 0.5 s after it"), "{evidence}");
    let last = bench.decision.last_restart.as_ref().expect("noted");
    assert_eq!(last.by, RestartBy::Supervisor);
    assert_eq!(last.process, Some(target.parent));
    assert_eq!(last.ago(bench.now), bench.now.since(last.at));
}

#[test]
fn an_engine_that_still_works_gets_the_longer_grace() {
    let mut bench = Bench::ready(Policy::default());
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.live_for(seconds(32), IDLE, &refused);
    assert_eq!(restart(&bench).reasons, [Reason::ListenerLost]);
    assert_eq!(restart(&bench).grace, bench.policy.restart_grace);
}

#[test]
fn the_order_ends_with_the_process_and_its_end_names_the_cause() {
    let mut bench = hung();
    bench.pass(SECOND);
    bench.see(report(ActionStep::Terminated));
    assert!(bench.decision.action.is_some());
    bench.see(exited(Some(ExitStatus::Signal(9))));
    assert_eq!(bench.decision.action, None);
    assert!(!bench.has(Reason::Restarting));
    let killed = bench
        .decision
        .finding(Reason::ProcessKilled)
        .expect("found");
    assert_eq!(
        killed.evidence,
        "pid 100 ended by signal 9 (SIGKILL) 0.0 s ago, by the supervisor for EngineUnresponsive"
    );
    bench.see(running(2, IDLE));
    assert_eq!(bench.decision.phase, Phase::Starting);
    assert_eq!(bench.decision.action, None, "the new one is left alone");
    let last = bench.decision.last_restart.as_ref().expect("still known");
    assert_eq!(last.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn an_end_that_nobody_asked_for_is_not_the_supervisors() {
    let mut bench = hung();
    bench.see(running(2, IDLE));
    bench.ping_ok();
    bench.pass(SECOND);
    bench.see(exited(Some(ExitStatus::Signal(9))));
    let killed = bench
        .decision
        .finding(Reason::ProcessKilled)
        .expect("found");
    assert!(killed.evidence.ends_with("s ago"), "{}", killed.evidence);
}

#[test]
fn the_kubelet_restarts_where_it_is_told_to() {
    let mut bench = Bench::ready(kubelet());
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.action, None);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
    let last = bench.decision.last_restart.clone().expect("noted");
    assert_eq!((last.by, last.before_start), (RestartBy::Kubelet, IDLE));
    bench.pass(seconds(10));
    assert_eq!(
        bench.decision.last_restart,
        Some(last),
        "one incident is noted once"
    );
    bench.see(exited(Some(ExitStatus::Signal(9))));
    let killed = bench
        .decision
        .finding(Reason::ProcessKilled)
        .expect("found");
    assert!(
        !killed.evidence.contains("supervisor"),
        "{}",
        killed.evidence
    );
}

#[test]
fn a_try_that_failed_is_handed_to_the_kubelet() {
    let mut bench = hung();
    bench.see(report(ActionStep::Failed("EPERM".to_owned())));
    assert_eq!(bench.decision.action, None);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
    let failed = bench.decision.finding(Reason::RestartFailed);
    assert_eq!(failed.expect("it says why").evidence, "EPERM");
    let last = bench.decision.last_restart.clone().expect("noted");
    assert_eq!(last.by, RestartBy::Kubelet);
    let handed_over = bench.now;
    bench.live_for(seconds(60), IDLE, &TIMED_OUT);
    let later = bench.changes.iter().filter(|d| d.at > handed_over);
    assert!(
        later.map(|d| &d.action).all(Option::is_none),
        "it is not tried again"
    );
    assert_eq!(bench.decision.action, None);
    assert_eq!(bench.live(), Verdict::Fail);
    bench.see(running(2, IDLE));
    bench.ping_ok();
    bench.live_for(seconds(1), IDLE, &answered_result());
    assert_eq!(bench.live(), Verdict::Pass);
}

#[test]
fn another_processs_report_means_nothing() {
    let mut bench = hung();
    bench.see(Observation::Action(ActionReport {
        process: process(7, IDLE).parent,
        step: ActionStep::Failed("EPERM".to_owned()),
    }));
    assert!(bench.decision.action.is_some());
    assert_eq!(bench.live(), Verdict::Pass);
}

#[test]
fn a_process_that_does_not_go_is_handed_to_the_kubelet_in_time() {
    let mut bench = hung();
    let asked = bench.decision.last_restart.as_ref().expect("noted").at;
    let limit = bench.policy.unresponsive_grace + HANDOVER_AFTER;
    let step = Duration::from_millis(1);
    bench.live_for(seconds(9), IDLE, &TIMED_OUT);
    let left = limit - bench.now.since(asked);
    bench.pass(left - step);
    assert_eq!(bench.live(), Verdict::Pass);
    bench.pass(step);
    assert_eq!(bench.live(), Verdict::Fail);
    assert_eq!(bench.decision.action, None);
    let failed = bench.decision.finding(Reason::RestartFailed);
    assert_eq!(
        failed.expect("it says why").evidence,
        "it is still there after SIGKILL"
    );
}

#[test]
fn what_nobody_starts_again_is_the_same_incident() {
    let mut bench = hung();
    bench.see(exited(Some(ExitStatus::Signal(9))));
    let last = bench.decision.last_restart.clone();
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.pass(bench.policy.process_missing_after);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessMissing]);
    assert_eq!(bench.decision.last_restart, last);
    bench.see(running(2, IDLE));
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.pass(bench.policy.process_missing_after);
    let last = bench.decision.last_restart.clone().expect("noted");
    assert_eq!(last.reasons, [Reason::ProcessMissing]);
    assert_eq!(last.by, RestartBy::Kubelet);
}

#[test]
fn without_a_process_to_signal_it_is_the_kubelets() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.pass(bench.policy.process_missing_after);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessMissing]);
    assert_eq!(bench.decision.action, None);
    let mut bench = Bench::ready(Policy::default());
    let mut dead = process(1, IDLE);
    dead.parent_state = RunState::Zombie;
    bench.see(Observation::Process(ProcessReport::Running(dead)));
    bench.pass(bench.policy.zombie_after);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessZombie]);
    assert_eq!(bench.decision.action, None, "a dead process hears nothing");
}

#[test]
fn a_zombie_engine_is_ended_by_way_of_its_parent() {
    let mut bench = Bench::ready(Policy::default());
    let mut dead = process(1, IDLE);
    dead.state = RunState::Zombie;
    bench.see(Observation::Process(ProcessReport::Running(dead)));
    bench.pass(bench.policy.zombie_after);
    assert_eq!(restart(&bench).reasons, [Reason::ProcessZombie]);
}

#[test]
fn a_restart_under_way_is_finished_whatever_comes() {
    let mut bench = hung();
    let until = bench.now.plus(seconds(600));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    assert!(bench.decision.action.is_some(), "SIGTERM is sent already");
    bench.ping_ok();
    assert!(bench.decision.action.is_some());
    assert!(bench.has(Reason::Restarting));
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

#[test]
fn maintenance_and_the_budget_hold_the_supervisor_too() {
    let mut bench = Bench::ready(Policy::default());
    let until = bench.now.plus(seconds(100));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    bench.live_for(seconds(99), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.action, None);
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    assert!(bench.decision.action.is_some());

    let mut bench = useless_restarts(Policy::default(), 3);
    assert_eq!(bench.decision.action, None);
    assert_eq!(bench.live(), Verdict::Pass);
    let held = bench.decision.finding(Reason::RestartBudgetExhausted);
    assert_eq!(held.expect("held").evidence, "3 restarts did not help");
    bench.see(Observation::Operator(OperatorCommand::Release));
    assert!(bench.decision.action.is_some());
}

/// So many restarts, each followed by another hang; the last one hangs now.
fn useless_restarts(policy: Policy, count: u64) -> Bench {
    let mut bench = Bench::ready(policy);
    for generation in 1..=count + 1 {
        bench.see(running(generation, IDLE));
        bench.ping_ok();
        hang(&mut bench, generation);
    }
    bench
}

fn hang(bench: &mut Bench, generation: u64) {
    bench.hang_for(seconds(32), generation);
}

/// A start that stalls takes a quarter of an hour, and three of them fill no window.
#[test]
fn restarts_without_success_count_however_far_apart() {
    let mut bench = Bench::new(Policy::default());
    let refused = AttemptResult::Failed(ContactError::Refused);
    for generation in 1..=3 {
        stalled_start(&mut bench, generation, &refused);
        assert!(bench.decision.action.is_some(), "restart {generation}");
        bench.see(exited(Some(ExitStatus::Signal(9))));
        assert!(bench.has(Reason::ProcessKilled));
        assert!(!bench.has(Reason::StartFailed), "it was ended");
        bench.pass(seconds(3 * 3600));
    }
    stalled_start(&mut bench, 4, &refused);
    assert!(bench.has(Reason::StartupStalled));
    assert!(bench.has(Reason::RestartBudgetExhausted));
    assert_eq!(bench.decision.action, None);
}

fn stalled_start(bench: &mut Bench, generation: u64, ping: &AttemptResult) {
    bench.see(running(generation, IDLE));
    bench.see(not_listening());
    for _ in 0..902 {
        let started = bench.now;
        bench.pass(SECOND);
        bench.see(running(generation, IDLE));
        let result = ping.clone();
        bench.see(Observation::Ping(Attempt { started, result }));
    }
}

#[test]
fn a_new_process_that_nobody_asked_for_is_no_restart() {
    let mut bench = Bench::ready(Policy::default());
    for generation in 2..=9 {
        bench.see(exited(Some(ExitStatus::Signal(11))));
        bench.see(running(generation, IDLE));
        bench.ping_ok();
    }
    hang(&mut bench, 9);
    assert!(bench.decision.action.is_some());
    assert!(!bench.has(Reason::RestartBudgetExhausted));
}

#[test]
fn a_minute_of_readiness_ends_the_hold() {
    let mut bench = useless_restarts(Policy::default(), 3);
    bench.live_for(seconds(3), IDLE, &answered_result());
    assert!(bench.decision.finding(Reason::EngineUnresponsive).is_none());
    bench.live_for(seconds(57), IDLE, &answered_result());
    let ready = bench.now.since(bench.decision.ready.since);
    assert_eq!(bench.is_ready(), Verdict::Pass);
    assert!(ready < seconds(60), "{ready:?}");
    let left = seconds(60) - ready;
    let almost = bench.bench_memory();
    assert!(almost.budget.held);
    bench.live_for(left + SECOND, IDLE, &answered_result());
    let memory = bench.bench_memory();
    assert!(!memory.budget.held && memory.budget.failures == 0);
}

#[test]
fn a_later_run_knows_the_budget_and_what_it_held() {
    let mut bench = useless_restarts(Policy::default(), 3);
    let later = bench.restart_supervisor(seconds(5), true);
    let held = later.decision.last_restart.clone().expect("remembered");
    assert_eq!(held.reasons, [Reason::EngineUnresponsive]);
    assert!(held.ago(later.now) >= seconds(5));
    let mut later = later;
    later.see(volume(healthy_volume()));
    later.see(running(4, IDLE));
    later.see(listening(&["0.0.0.0:1433"]));
    hang(&mut later, 4);
    assert!(later.has(Reason::RestartBudgetExhausted));
    assert_eq!(later.decision.action, None);

    let mut much_later = bench.restart_supervisor(seconds(3600), true);
    much_later.see(Observation::Operator(OperatorCommand::Release));
    much_later.see(running(4, IDLE));
    much_later.see(listening(&["0.0.0.0:1433"]));
    hang(&mut much_later, 4);
    assert!(much_later.decision.action.is_some());
}

#[test]
fn a_later_run_counts_on() {
    let mut bench = useless_restarts(Policy::default(), 2);
    assert_eq!(bench.bench_memory().budget.failures, 2);
    let mut later = bench.restart_supervisor(seconds(24 * 3600), true);
    let carried = later.bench_memory().budget;
    assert_eq!(carried.failures, 2);
    later.see(running(3, IDLE));
    assert!(carried.asked, "it was asked for before");
}

#[test]
fn an_engine_that_was_proven_is_not_taken_for_a_start() {
    let mut bench = Bench::ready(Policy::default());
    let mut later = bench.restart_supervisor(seconds(3), true);
    assert_eq!(later.is_ready(), Verdict::Fail, "nothing was asked yet");
    later.see(volume(healthy_volume()));
    later.see(running(1, IDLE));
    later.see(listening(&["0.0.0.0:1433"]));
    assert_eq!(later.decision.phase, Phase::Running);
    assert_eq!(later.decision.startup.verdict, Verdict::Pass);
    hang(&mut later, 1);
    assert_eq!(restart(&later).reasons, [Reason::EngineUnresponsive]);

    // what it proved stands behind a password that is refused now
    let mut later = bench.restart_supervisor(seconds(3), true);
    later.see(running(1, IDLE));
    later.ping_fails(server(18456));
    later.login_fails(server(18456));
    assert_eq!(later.is_ready(), Verdict::Pass);
    assert!(later.has(Reason::LoginFailed));
}

#[test]
fn another_process_or_another_boot_has_proven_nothing() {
    let mut bench = Bench::ready(Policy::default());
    let mut later = bench.restart_supervisor(seconds(3), true);
    later.see(running(2, IDLE));
    assert_eq!(later.decision.phase, Phase::Starting);
    assert_eq!(later.decision.startup.verdict, Verdict::Fail);
    let mut rebooted = bench.restart_supervisor(seconds(3), false);
    rebooted.see(running(1, IDLE));
    assert_eq!(rebooted.decision.phase, Phase::Starting);
    let mut gone = bench.restart_supervisor(seconds(3), true);
    gone.see(Observation::Process(ProcessReport::NotFound));
    assert_eq!(gone.decision.phase, Phase::Gone);
    gone.pass(gone.policy.process_missing_after);
    assert!(gone.has(Reason::ProcessMissing), "it was there before");
}

#[test]
fn maintenance_goes_on_in_a_later_run() {
    let mut bench = Bench::ready(Policy::default());
    let until = bench.now.plus(seconds(100));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    let memory = bench.bench_memory();
    let over = memory.clone().carried_over(bench.now, seconds(40), true);
    assert_eq!(over.maintenance_until, Some(Time::from_start(seconds(60))));
    let over = memory.carried_over(bench.now, seconds(100), true);
    assert_eq!(over.maintenance_until, None);
}

#[test]
fn a_memory_of_another_version_is_read_as_far_as_it_goes() {
    let bench = hung();
    let memory = bench.bench_memory();
    let mut json = serde_json::to_value(&memory).expect("serializes");
    json["lastRestart"]["reasons"] = serde_json::json!(["NotKnownHere", "ProcessZombie"]);
    let read: sql_edge_supervisor::decide::memory::Memory =
        serde_json::from_value(json).expect("reads");
    let bench = Bench::recall(Policy::default(), read);
    let last = bench.decision.last_restart.expect("remembered");
    assert_eq!(last.reasons, [Reason::ProcessZombie]);
    let text = serde_json::to_string(&memory).expect("serializes");
    let back: sql_edge_supervisor::decide::memory::Memory =
        serde_json::from_str(&text).expect("reads");
    assert_eq!(back, memory);
}
