//! An engine that is well and can't be asked, one that stops, one that spins; and evidence that has grown old.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Phase, Verdict};
use sql_edge_supervisor::decide::engine::{State, decide};
use sql_edge_supervisor::decide::memory::{Memory, RememberedEngine};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::snapshot::Snapshot;
use sql_edge_supervisor::decide::time::Time;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;
const HARD_WORK: Duration = Duration::from_millis(800);
const REFUSED: AttemptResult = AttemptResult::Failed(ContactError::Refused);

fn evidence(bench: &Bench, reason: Reason) -> &str {
    let finding = bench.decision.finding(reason);
    finding.map_or("", |finding| finding.evidence.as_str())
}

/// What keeps the supervisor from asking, and the reason that says so.
fn cannot_ask() -> Vec<(ContactError, Option<Reason>)> {
    vec![
        (
            ContactError::Credentials("no such file".to_owned()),
            Some(Reason::CredentialsUnreadable),
        ),
        (
            ContactError::Tls("the certificate is not trusted".to_owned()),
            Some(Reason::TlsFailed),
        ),
        (
            ContactError::Unreachable("no such host".to_owned()),
            Some(Reason::EngineUnreachable),
        ),
        (
            ContactError::Protocol("HTTP".to_owned()),
            Some(Reason::EngineUnreachable),
        ),
        (ContactError::Refused, None),
        (ContactError::Closed, None),
        (ContactError::TimedOut(AttemptStage::Connect), None),
        (ContactError::TimedOut(AttemptStage::Prelogin), None),
        (server(18456), Some(Reason::LoginFailed)),
        (server(18470), Some(Reason::LoginDisabled)),
    ]
}

fn with_log(change: impl FnOnce(&mut EngineLog)) -> Observation {
    let mut check = healthy_volume();
    change(check.errorlog.as_mut().expect("a healthy volume has one"));
    volume(check)
}

/// What is seen of an engine that has started, beside the questions.
fn started_views() -> Vec<(&'static str, Option<Observation>)> {
    let ready = with_log(|log| {
        log.start.begun = true;
        log.start.ready = true;
    });
    vec![
        ("nothing", None),
        ("listens there", Some(listening(&["0.0.0.0:1433"]))),
        ("listens elsewhere", Some(listening(&["127.0.0.1:1500"]))),
        ("its log", Some(ready)),
    ]
}

#[test]
fn an_engine_that_cannot_be_asked_is_left_alone_and_the_cause_is_named() {
    for (error, reason) in cannot_ask() {
        for (name, seen) in started_views() {
            let mut bench = Bench::new(Policy::default());
            bench.see(volume(healthy_volume()));
            bench.see(running(1, IDLE));
            seen.iter().cloned().for_each(|seen| {
                bench.see(seen);
            });
            let failed = AttemptResult::Failed(error.clone());
            // Past every threshold, that of a start included.
            for _ in 0..1000 {
                bench.live_for(SECOND, IDLE, &failed);
                bench.login_fails(error.clone());
                assert!(bench.left_alone(), "{error:?}, {name}");
                assert!(bench.left_alone(), "{error:?}, {name}");
            }
            let found = reason.is_none_or(|reason| bench.has(reason));
            assert!(found, "{error:?}: {:?}", bench.decision.findings);
            assert_eq!(bench.is_ready(), Verdict::Fail, "it has proven nothing");
        }
    }
}

/// The supervisor is started anew with a mistake in its configuration beside an engine that had answered.
#[test]
fn what_an_earlier_run_was_answered_accuses_nobody_in_this_one() {
    for (error, _) in cannot_ask() {
        for (name, seen) in started_views() {
            let mut earlier = Bench::ready(Policy::default());
            let mut bench = earlier.restart_supervisor(seconds(3), true);
            bench.see(volume(healthy_volume()));
            bench.see(running(1, IDLE));
            // At its own address a silence is the engine's, and is found.
            if name == "listens there" && matches!(error, ContactError::TimedOut(_)) {
                continue;
            }
            seen.iter().cloned().for_each(|seen| {
                bench.see(seen);
            });
            let failed = AttemptResult::Failed(error.clone());
            bench.live_for(seconds(1000), IDLE, &failed);
            assert!(bench.left_alone(), "{error:?}, {name}");
        }
    }
}

#[test]
fn a_start_is_known_to_be_under_way_by_its_log_or_its_sockets() {
    let begun = with_log(|log| log.start.begun = true);
    let both = |log: &mut EngineLog| {
        log.start.begun = true;
        log.start.ready = true;
    };
    for (seen, restarts) in [
        (vec![begun.clone()], true),
        (vec![not_listening()], true),
        (vec![with_log(|_| ())], false),
        (vec![with_log(both)], false),
        // What the kernel has is of now; a log may be that of the start before.
        (vec![with_log(both), not_listening()], true),
        (vec![begun, listening(&["[::]:1433"])], false),
    ] {
        let mut bench = Bench::new(Policy::default());
        bench.see(volume(healthy_volume()));
        bench.see(running(1, IDLE));
        // The sockets first: that it listened once is never forgotten.
        for seen in seen.iter().rev() {
            bench.see(seen.clone());
        }
        let since = bench.now;
        bench.live_for(seconds(905), IDLE, &REFUSED);
        let case = format!("{seen:?}: {:?}", bench.decision.findings);
        assert_eq!(bench.has(Reason::StartupStalled), restarts, "{case}");
        assert_eq!(bench.decision.action.is_some(), restarts, "{case}");
        assert!(bench.now.since(since) >= bench.policy.startup_stalled_after);
    }
}

#[test]
fn where_it_cannot_be_seen_whether_the_start_is_over_that_is_said() {
    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    bench.live_for(seconds(901), IDLE, &REFUSED);
    assert_eq!(
        evidence(&bench, Reason::Starting),
        "for 901 s; the port is refused; nothing advances, and whether the start is over can't be seen"
    );
    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    let not_ready = AttemptResult::Failed(server(17187));
    bench.live_for(seconds(930), IDLE, &not_ready);
    assert!(
        bench.has(Reason::StartupStalled),
        "the engine itself says it"
    );
}

#[test]
fn an_engine_that_listens_has_started() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.see(not_listening());
    assert_eq!(bench.decision.phase, Phase::Starting);
    bench.see(listening(&["0.0.0.0:1433"]));
    assert_eq!(bench.decision.phase, Phase::Running);
    assert_eq!(bench.decision.startup.verdict, Verdict::Pass);
    assert_eq!(bench.is_ready(), Verdict::Fail);
    // Nobody has seen it alive: it may be the question that it does not understand.
    bench.live_for(seconds(3600), IDLE, &TIMED_OUT);
    assert!(bench.left_alone());
    assert_eq!(bench.decision.ready.reasons, [Reason::NoFreshAnswer]);
}

#[test]
fn a_hang_is_found_by_a_new_run_where_the_engine_is_seen_at_that_address() {
    let mut earlier = Bench::ready(Policy::default());
    earlier.see(listening(&["0.0.0.0:1433"]));
    let unseen = Observation::Listeners(ListenersReport {
        listening: None,
        configured: None,
        asked: Some(engine_address()),
    });
    for seen in [listening(&["0.0.0.0:1433"]), unseen] {
        let mut bench = earlier.restart_supervisor(seconds(3), true);
        bench.see(volume(healthy_volume()));
        bench.see(running(1, IDLE));
        bench.see(seen.clone());
        bench.hang_for(seconds(32), 1);
        assert!(bench.has(Reason::EngineUnresponsive), "{seen:?}");
    }
}

#[test]
fn a_later_run_knows_the_address_at_which_the_engine_answered() {
    let known = |bench: &Bench| bench.bench_memory().engine.expect("seen").answered_at;
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.see(listening(&["0.0.0.0:1433"]));
    assert_eq!(known(&bench), None, "it has answered nothing");
    bench.ping_ok();
    assert_eq!(known(&bench), Some(engine_address()));
    bench.see(Observation::Listeners(ListenersReport::default()));
    assert_eq!(known(&bench), Some(engine_address()));
}

#[test]
fn an_engine_that_an_earlier_run_saw_to_be_up_is_not_taken_for_a_start() {
    for (up, phase) in [(true, Phase::Running), (false, Phase::Starting)] {
        let policy = kubelet();
        let ids = process(1, IDLE);
        let engine = RememberedEngine {
            parent: ids.parent,
            engine: ids.engine,
            proven: false,
            started: false,
            up,
            answered_at: None,
        };
        let memory = Memory {
            engine: Some(engine),
            ..Memory::default()
        };
        let mut snapshot = Snapshot::default();
        let state = State::recall(&policy, memory);
        // The first decision comes before the first look.
        let (state, decision) = decide(&policy, state, &snapshot, Time::ZERO);
        assert_eq!(decision.phase, Phase::Unseen);
        snapshot.apply(Observed {
            at: Time::ZERO,
            value: running(1, IDLE),
        });
        let (_, decision) = decide(&policy, state, &snapshot, Time::ZERO);
        assert_eq!(decision.phase, phase);
    }
}

#[test]
fn a_lost_listener_is_the_engines_own() {
    // It listens: somebody else refuses.
    let mut bench = Bench::ready(Policy::default());
    bench.see(listening(&["0.0.0.0:1500"]));
    bench.live_for(seconds(600), IDLE, &REFUSED);
    assert!(bench.left_alone());
    // Nothing listens, since then.
    bench.see(not_listening());
    bench.live_for(seconds(29), IDLE, &REFUSED);
    assert!(!bench.has(Reason::ListenerLost));
    bench.live_for(seconds(2), IDLE, &REFUSED);
    assert!(bench.has(Reason::ListenerLost));
}

/// A first start with MSSQL_COLLATION: it refuses `sa` for a while, then closes the port and rebuilds.
fn a_rebuild() -> Bench {
    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    bench.see(listening(&["0.0.0.0:1433"]));
    bench.live_for(
        seconds(20),
        HARD_WORK,
        &AttemptResult::Failed(server(18456)),
    );
    bench.see(not_listening());
    bench
}

#[test]
fn a_port_that_closes_before_anybody_was_let_in_is_the_starts_own() {
    let mut bench = a_rebuild();
    let longer = bench.policy.startup_stalled_after * 2;
    bench.live_for(longer, HARD_WORK, &REFUSED);
    assert!(bench.left_alone(), "{:?}", bench.decision.findings);
    // One that then does nothing for the time of a start is lost all the same.
    bench.live_for(seconds(1900), IDLE, &REFUSED);
    assert!(bench.has(Reason::ListenerLost));
}

#[test]
fn a_start_is_over_by_its_log_once_it_is_complete_and_nothing_is_rebuilt() {
    for (complete, rebuild, over) in [
        (false, false, false),
        (false, true, false),
        (true, true, false),
        (true, false, true),
    ] {
        let mut bench = a_rebuild();
        bench.see(with_log(|log| {
            log.start.begun = true;
            log.start.complete = complete;
            log.start.collation_rebuild = rebuild;
        }));
        bench.live_for(seconds(60), HARD_WORK, &REFUSED);
        assert_eq!(
            bench.has(Reason::ListenerLost),
            over,
            "{complete} {rebuild}"
        );
    }
}

/// The log is read before anybody has looked at the listeners again: a port that was closed for as long as
/// the rebuild took is not lost in the moment in which the rebuild is over.
#[test]
fn a_start_that_has_just_ended_has_time_to_open_its_port() {
    let mut bench = a_rebuild();
    bench.live_for(seconds(120), HARD_WORK, &REFUSED);
    bench.see(with_log(|log| log.start.complete = true));
    assert!(bench.left_alone(), "{:?}", bench.decision.findings);
    bench.live_for(seconds(28), IDLE, &REFUSED);
    assert!(bench.left_alone(), "{:?}", bench.decision.findings);
    bench.live_for(seconds(4), IDLE, &REFUSED);
    assert!(bench.has(Reason::ListenerLost));
}

#[test]
fn the_stop_of_the_engine_before_is_not_the_next_ones() {
    let mut bench = Bench::new(Policy::default());
    bench.see(with_log(|log| log.stop = Some(LoggedStop::StopRequest)));
    assert!(!bench.has(Reason::Stopping), "nothing runs that could stop");
    bench.see(running(1, Duration::ZERO));
    // It has not begun a log of its own yet: whose stop this is can't be known.
    bench.see(with_log(|log| log.stop = Some(LoggedStop::StopRequest)));
    bench.see(volume(healthy_volume()));
    bench.see(databases(&[("master", DatabaseState::Online)]));
    bench.ping_ok();
    bench.login_ok();
    assert!(!bench.has(Reason::Stopping));
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
}

#[test]
fn an_errorlog_that_only_the_agent_can_read_counts_while_it_is_linked() {
    let mut bench = Bench::ready(kubelet());
    bench.pass(SECOND);
    // It lies on no volume.
    bench.see(volume(VolumeCheck {
        errorlog: None,
        ..healthy_volume()
    }));
    let log = EngineLog {
        upgrading: true,
        ..EngineLog::default()
    };
    bench.see(Observation::AgentLog(Box::new(log)));
    assert!(bench.has(Reason::ScriptUpgrade));
    assert_eq!(bench.is_ready(), Verdict::Fail);
    // Nobody reads it any more: what it said is not what is.
    bench.see(Observation::Link(LinkReport::Lost));
    assert!(!bench.has(Reason::ScriptUpgrade));
}

/// An engine that starts faster than the processes are looked at answers before it is seen.
#[test]
fn what_was_answered_before_any_process_was_seen_is_the_first_ones_answer() {
    let mut bench = Bench::new(kubelet());
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.see(volume(healthy_volume()));
    bench.pass(SECOND / 2);
    bench.see(databases(&[("master", DatabaseState::Online)]));
    bench.ping_ok();
    bench.login_ok();
    bench.pass(SECOND / 2);
    bench.see(running(1, Duration::ZERO));
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
    // The next one in its place has to prove itself.
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.see(running(2, Duration::ZERO));
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

#[test]
fn a_stop_that_has_begun_lasts() {
    let stop = |stop| with_log(move |log| log.stop = Some(stop));
    let signs: Vec<(&str, Vec<Observation>)> = vec![
        ("6005", vec![Observation::Ping(failed_now(6005))]),
        ("17188", vec![Observation::Login(failed_now(17188))]),
        ("18451", vec![Observation::Login(failed_now(18451))]),
        ("17148", vec![stop(LoggedStop::StopRequest)]),
        ("6006", vec![stop(LoggedStop::Statement)]),
    ];
    for (sign, seen) in signs {
        let mut bench = Bench::ready(kubelet());
        bench.pass(SECOND);
        for seen in seen {
            bench.see(seen);
        }
        assert!(bench.has(Reason::Stopping), "{sign}");
        assert_eq!(bench.is_ready(), Verdict::Fail, "{sign}");
        // The log is read no more, and the port is refused: the checkpoint goes on.
        bench.see(volume(healthy_volume()));
        bench.login_fails(ContactError::Refused);
        bench.live_for(seconds(25 * 60), IDLE, &REFUSED);
        assert!(bench.has(Reason::Stopping), "{sign}");
        assert!(bench.has(Reason::ListenerLost), "{sign}");
        assert!(bench.left_alone(), "{sign}");
        bench.live_for(seconds(6 * 60), IDLE, &REFUSED);
        assert!(!bench.has(Reason::Stopping), "not for ever: {sign}");
        assert_eq!(bench.live(), Verdict::Fail, "{sign}");
    }
}

fn failed_now(number: u32) -> Attempt {
    failed(Time::ZERO, server(number))
}

#[test]
fn a_stop_is_forgotten_with_its_process_and_a_later_one_counts_anew() {
    let mut bench = Bench::ready(Policy::default());
    bench.ping_fails(server(6005));
    bench.see(running(2, IDLE));
    assert!(!bench.has(Reason::Stopping));
    let mut bench = Bench::ready(Policy::default());
    bench.ping_fails(server(6005));
    let limit = bench.policy.stopping_limit;
    bench.live_for(limit + SECOND, IDLE, &answered_result());
    assert!(!bench.has(Reason::Stopping));
    bench.ping_fails(server(6005));
    assert_eq!(evidence(&bench, Reason::Stopping), "for 0.0 s");
}

/// The log is read again and again, and shows the stop for as long as the engine runs.
#[test]
fn a_stop_in_the_log_that_has_not_ended_the_engine_is_not_told_of_anew() {
    let mut bench = Bench::ready(kubelet());
    let logged = || with_log(|log| log.stop = Some(LoggedStop::StopRequest));
    bench.pass(SECOND);
    bench.see(logged());
    assert!(bench.has(Reason::Stopping));
    let limit = bench.policy.stopping_limit;
    bench.live_for(limit, IDLE, &answered_result());
    for _ in 0..3 {
        assert!(!bench.has(Reason::Stopping));
        bench.pass(SECOND);
        bench.see(logged());
    }
}

#[test]
fn a_stop_outlives_the_supervisor_that_saw_it_begin() {
    for (away, holds) in [(60, true), (31 * 60, false)] {
        let mut earlier = Bench::ready(kubelet());
        earlier.ping_fails(server(6005));
        earlier.live_for(seconds(20), IDLE, &REFUSED);
        let mut bench = earlier.restart_supervisor(seconds(away), true);
        bench.see(volume(healthy_volume()));
        bench.see(running(1, IDLE));
        bench.see(not_listening());
        bench.live_for(seconds(600), IDLE, &REFUSED);
        assert_eq!(bench.has(Reason::Stopping), holds, "{away} s");
        assert_eq!(bench.live() == Verdict::Pass, holds, "{away} s");
    }
    // One that has had its whole limit is over.
    let mut earlier = Bench::ready(kubelet());
    earlier.ping_fails(server(6005));
    let limit = earlier.policy.stopping_limit;
    for (away, holds) in [(limit.saturating_sub(SECOND), true), (limit, false)] {
        let mut bench = earlier.restart_supervisor(away, true);
        bench.see(running(1, IDLE));
        assert_eq!(bench.has(Reason::Stopping), holds, "{away:?}");
    }
    let mut earlier = Bench::ready(kubelet());
    earlier.ping_fails(server(6005));
    let mut rebooted = earlier.restart_supervisor(seconds(60), false);
    rebooted.see(running(1, IDLE));
    assert!(!rebooted.has(Reason::Stopping));
}

#[test]
fn administrators_only_in_a_start_is_no_stop() {
    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    bench.ping_fails(server(18451));
    assert!(bench.has(Reason::AdministratorsOnly));
    assert!(!bench.has(Reason::Stopping));
    bench.ping_ok();
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn old_evidence_restarts_nothing() {
    // Reports in error that have ceased to come.
    let mut bench = Bench::ready(Policy::default());
    bench.observers_go_on = false;
    for _ in 0..2 {
        bench.see(diagnostics(|report| {
            report.system = Some(ComponentState::Error);
        }));
    }
    assert!(bench.has(Reason::SystemError));
    let mut bench = Bench::ready(Policy {
        diagnostics_reports: 3,
        ..kubelet()
    });
    for _ in 0..3 {
        bench.see(diagnostics(|report| {
            report.system = Some(ComponentState::Error);
        }));
    }
    assert_eq!(bench.live(), Verdict::Fail);
    let age = bench.policy.ages.diagnostics;
    bench.live_for(age, IDLE, &answered_result());
    assert!(!bench.has(Reason::SystemError));
    assert_eq!(bench.live(), Verdict::Pass);
    // A list of databases that can be read no more.
    let mut bench = Bench::ready(kubelet());
    bench.observers_go_on = false;
    bench.see(recovering("master", 30.0));
    assert_eq!(bench.decision.ready.reasons, [Reason::Recovering]);
    let age = bench.policy.ages.databases;
    bench.live_for(age, IDLE, &answered_result());
    assert!(!bench.has(Reason::Recovering));
    bench.pass(bench.policy.settle);
    bench.ping_ok();
    assert_eq!(
        bench.is_ready(),
        Verdict::Pass,
        "{:?}",
        bench.decision.findings
    );
    bench.live_for(seconds(3600), IDLE, &answered_result());
    assert!(bench.left_alone());
}

#[test]
fn a_control_group_that_is_not_looked_at_any_more_accuses_nobody() {
    for looks in [true, false] {
        let mut bench = Bench::ready(kubelet());
        bench.observers_go_on = looks;
        bench.see(Observation::Cgroup(CgroupReport {
            io_bytes: Some(1_000),
            ..CgroupReport::default()
        }));
        bench.hang_for(seconds(300), 1);
        assert_eq!(bench.left_alone(), !looks);
        assert_eq!(bench.has(Reason::EngineUnresponsive), looks);
    }
}

#[test]
fn an_old_look_at_the_surroundings_holds_nothing_and_accuses_nobody() {
    let mut bench = Bench::ready(kubelet());
    bench.observers_go_on = false;
    bench.see(Observation::Cgroup(CgroupReport {
        frozen: Some(true),
        throttled_ratio: Some(0.9),
        ..CgroupReport::default()
    }));
    assert!(bench.has(Reason::CgroupFrozen) && bench.has(Reason::CpuThrottled));
    let age = bench.policy.ages.cgroup;
    bench.live_for(age, IDLE, &answered_result());
    assert!(!bench.has(Reason::CgroupFrozen) && !bench.has(Reason::CpuThrottled));
    // Listeners that are not looked at any more: what the port answers is all there is again.
    bench.see(listening(&["0.0.0.0:1500"]));
    assert!(bench.has(Reason::ListeningElsewhere));
    let age = bench.policy.ages.listeners;
    bench.live_for(age, IDLE, &answered_result());
    assert!(!bench.has(Reason::ListeningElsewhere));
}

#[test]
fn where_the_required_databases_were_last_listed_long_ago_that_is_said() {
    let mut bench = Bench::ready(Policy {
        required_databases: vec!["orders".to_owned()],
        ..kubelet()
    });
    bench.observers_go_on = false;
    let age = bench.policy.ages.databases;
    bench.live_for(age, IDLE, &answered_result());
    assert_eq!(
        evidence(&bench, Reason::NotYetObserved),
        "the required databases were last listed 30 s ago"
    );
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

#[test]
fn where_nobody_asks_any_more_the_last_answer_restarts_nothing() {
    // Longer than an attempt counts.
    let policy = || Policy {
        unresponsive_after: seconds(120),
        failure_condition_level: 5,
        ..kubelet()
    };
    let mut bench = Bench::ready(policy());
    bench.ping_fails(ContactError::TimedOut(AttemptStage::Query));
    bench.pass(seconds(600));
    assert!(bench.left_alone(), "{:?}", bench.decision.findings);
    assert!(bench.has(Reason::NoFreshAnswer));
    let mut bench = Bench::ready(policy());
    bench.ping_fails(server(701));
    bench.pass(seconds(600));
    assert!(bench.left_alone(), "{:?}", bench.decision.findings);
}

/// An engine that has answered by an error alone, and is silent then, may still start.
#[test]
fn an_engine_that_has_answered_and_listens_nowhere_is_asked_still() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(not_listening());
    bench.hang_for(seconds(32), 1);
    assert!(
        bench.has(Reason::EngineUnresponsive),
        "{:?}",
        bench.decision.findings
    );
}

#[test]
fn silence_in_a_start_is_the_starts_own() {
    for cpu in [IDLE, HARD_WORK] {
        let mut bench = Bench::new(Policy {
            busy_limit: seconds(60),
            ..kubelet()
        });
        bench.see(volume(healthy_volume()));
        bench.see(running(1, IDLE));
        bench.see(not_listening());
        bench.ping_fails(server(17187));
        bench.live_for(seconds(600), cpu, &TIMED_OUT);
        assert!(bench.left_alone(), "{:?}", bench.decision.findings);
        assert!(bench.has(Reason::Starting), "{:?}", bench.decision.findings);
    }
}

#[test]
fn hard_work_has_no_end_unless_the_operator_gives_it_one() {
    let limited = |seconds_: u64| Policy {
        busy_limit: seconds(seconds_),
        ..Policy::default()
    };
    let mut bench = Bench::ready(limited(0));
    bench.live_for(seconds(3600), HARD_WORK, &TIMED_OUT);
    assert!(bench.left_alone());
    let mut bench = Bench::ready(limited(300));
    bench.live_for(seconds(299), HARD_WORK, &TIMED_OUT);
    assert!(bench.left_alone());
    bench.live_for(seconds(2), HARD_WORK, &TIMED_OUT);
    assert!(bench.decision.action.is_some());
    assert_eq!(
        evidence(&bench, Reason::BusyLimitExceeded),
        "no answer of any kind for 301 s"
    );
    // Any answer is one: of the administrator connection, of diagnostics.
    let mut bench = Bench::ready(limited(300));
    for _ in 0..20 {
        bench.live_for(seconds(60), HARD_WORK, &TIMED_OUT);
        bench.see(Observation::Dac(answered(bench.now)));
    }
    assert!(bench.left_alone());
    // At another peer's address, or unseen, it is nobody's.
    let mut bench = Bench::ready(limited(300));
    bench.see(listening(&["0.0.0.0:1500"]));
    bench.live_for(seconds(600), HARD_WORK, &TIMED_OUT);
    assert!(bench.left_alone());
}

#[test]
fn the_limit_counts_for_fresh_logins_apart() {
    let silent = || ContactError::TimedOut(AttemptStage::Prelogin);
    for (limit, restarts) in [(0, false), (300, true)] {
        let mut bench = Bench::ready(Policy {
            busy_limit: seconds(limit),
            ..Policy::default()
        });
        for _ in 0..32 {
            bench.live_for(seconds(10), IDLE, &answered_result());
            bench.login_fails(silent());
        }
        assert!(bench.has(Reason::EngineBusy));
        assert_eq!(bench.has(Reason::BusyLimitExceeded), restarts);
        assert_eq!(bench.decision.action.is_some(), restarts);
        bench.login_ok();
        assert!(!bench.has(Reason::BusyLimitExceeded));
    }
}

/// All workers wait for a lock: the engine is idle, and its login may not read diagnostics.
#[test]
fn a_listener_that_takes_connections_up_is_alive() {
    for stage in [AttemptStage::Login, AttemptStage::Query] {
        let mut bench = Bench::ready(Policy::default());
        for _ in 0..60 {
            bench.live_for(seconds(10), IDLE, &TIMED_OUT);
            bench.login_fails(ContactError::TimedOut(stage));
        }
        assert!(bench.left_alone());
        assert_eq!(
            evidence(&bench, Reason::EngineBusy),
            "no answer for 600 s, but the listener takes connections up"
        );
    }
    let mut bench = Bench::ready(Policy::default());
    for _ in 0..4 {
        bench.live_for(seconds(10), IDLE, &TIMED_OUT);
        bench.login_fails(ContactError::TimedOut(AttemptStage::Prelogin));
    }
    assert!(bench.has(Reason::EngineUnresponsive), "nobody takes it up");
}

#[test]
fn a_connection_that_was_taken_up_counts_for_as_long_as_a_silence_has_to_last() {
    let mut bench = Bench::ready(Policy::default());
    let limit = bench.policy.unresponsive_after;
    bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    let silent = AttemptResult::Failed(ContactError::TimedOut(AttemptStage::Prelogin));
    bench.live_for(limit - SECOND, IDLE, &silent);
    assert!(!bench.has(Reason::EngineUnresponsive));
    bench.live_for(SECOND, IDLE, &silent);
    assert!(
        bench.has(Reason::EngineUnresponsive),
        "{:?}",
        bench.decision.findings
    );
}

#[test]
fn under_pause_nothing_is_asked_and_nothing_follows_from_that() {
    let mut bench = Bench::ready(Policy::default());
    bench.live_for(seconds(20), IDLE, &TIMED_OUT);
    bench.ping_ok();
    bench.pass(bench.policy.settle);
    bench.login_ok();
    let until = bench.now.plus(seconds(3600));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    bench.pass(seconds(1800));
    assert_eq!(bench.is_ready(), Verdict::Pass, "as it was proven");
    bench.see(Observation::Operator(OperatorCommand::Resume));
    assert!(bench.left_alone());
    assert_eq!(bench.decision.ready.reasons, [Reason::NoFreshAnswer]);
    let after = bench.policy.unresponsive_after;
    bench.live_for(after - SECOND, IDLE, &TIMED_OUT);
    assert!(bench.left_alone(), "no verdict from the silence");
    bench.live_for(seconds(2), IDLE, &TIMED_OUT);
    assert!(bench.has(Reason::EngineUnresponsive));

    // What was refused before is asked anew as well, and the pause may end by itself.
    let mut bench = Bench::ready(Policy::default());
    bench.live_for(seconds(25), IDLE, &REFUSED);
    let until = bench.now.plus(seconds(600));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    bench.pass(seconds(601));
    bench.live_for(seconds(29), IDLE, &REFUSED);
    assert!(!bench.has(Reason::ListenerLost));
    bench.live_for(seconds(2), IDLE, &REFUSED);
    assert!(bench.has(Reason::ListenerLost));
}

#[test]
fn readiness_is_what_an_ordinary_client_would_meet() {
    let single = |single_user| {
        Observation::Server(ServerProperties {
            single_user,
            ..ServerProperties::default()
        })
    };
    let mut bench = Bench::ready(kubelet());
    bench.pass(SECOND);
    bench.see(single(Some(true)));
    assert_eq!(bench.decision.ready.reasons, [Reason::SingleUser]);
    for harmless in [Some(false), None] {
        let mut bench = Bench::ready(kubelet());
        bench.see(single(harmless));
        assert_eq!(bench.is_ready(), Verdict::Pass);
    }
    let mut upgrading = Bench::ready(kubelet());
    upgrading.see(with_log(|log| log.upgrading = true));
    assert_eq!(upgrading.decision.ready.reasons, [Reason::ScriptUpgrade]);
    upgrading.see(with_log(|log| log.start.complete = true));
    upgrading.pass(upgrading.policy.settle);
    upgrading.ping_ok();
    assert_eq!(upgrading.is_ready(), Verdict::Pass);
    // Properties of the process before say nothing of this one.
    let mut other = Bench::ready(kubelet());
    other.pass(SECOND);
    other.see(single(Some(true)));
    other.pass(SECOND);
    other.see(running(2, IDLE));
    other.ping_ok();
    assert!(!other.has(Reason::SingleUser));
}

#[test]
fn where_it_listens_stands_in_the_evidence() {
    let mut bench = Bench::ready(kubelet());
    bench.see(listening(&["0.0.0.0:1500", "[::]:1500"]));
    assert_eq!(
        evidence(&bench, Reason::ListeningElsewhere),
        "it listens on 0.0.0.0:1500, [::]:1500, configured is 127.0.0.1:1433; not asked there"
    );
    let at = |text: &str| text.parse().ok();
    bench.see(Observation::Listeners(ListenersReport {
        listening: Some(vec!["0.0.0.0:1500".parse().expect("an address")]),
        configured: at("127.0.0.1:1433"),
        asked: at("127.0.0.1:1500"),
    }));
    assert_eq!(
        evidence(&bench, Reason::ListeningElsewhere),
        "it listens on 0.0.0.0:1500, configured is 127.0.0.1:1433; asked at 127.0.0.1:1500"
    );
    assert_eq!(bench.is_ready(), Verdict::Pass, "it is asked there");
    for harmless in [
        listening(&["0.0.0.0:1433"]),
        not_listening(),
        Observation::Listeners(ListenersReport::default()),
    ] {
        bench.see(harmless);
        assert!(!bench.has(Reason::ListeningElsewhere));
    }
}

#[test]
fn diagnostics_that_fail_by_an_unknown_error_say_so() {
    let mut bench = Bench::ready(kubelet());
    let fails = |bench: &mut Bench, number| {
        let report = DiagnosticsReport::Failed(failed(bench.now, server(number)));
        bench.see(Observation::Diagnostics(report));
    };
    fails(&mut bench, 4_000_000);
    assert_eq!(
        evidence(&bench, Reason::DiagnosticsUnavailable),
        "error 4000000, state 1, severity 14 (not in the table)"
    );
    assert_eq!(bench.is_ready(), Verdict::Pass);
    bench.see(diagnostics(|_| ()));
    assert!(!bench.has(Reason::DiagnosticsUnavailable));
    fails(&mut bench, 18456);
    assert!(
        !bench.has(Reason::DiagnosticsUnavailable),
        "that has a name"
    );
}

/// A short freeze leaves one question open, the connections are made anew, and from then on none can be sent.
#[test]
fn a_question_left_open_accuses_nobody_once_none_can_be_asked() {
    let nothing_sent = |error: &ContactError| {
        use ContactError::{Credentials, Protocol, Unreachable};
        matches!(error, Credentials(_) | Unreachable(_) | Protocol(_))
    };
    let errors = cannot_ask().into_iter().map(|(error, _)| error);
    for error in errors.filter(nothing_sent) {
        let mut bench = Bench::ready(Policy {
            busy_limit: seconds(60),
            ..kubelet()
        });
        bench.see(listening(&["0.0.0.0:1433"]));
        bench.live_for(seconds(6), IDLE, &TIMED_OUT);
        bench.login_fails(ContactError::TimedOut(AttemptStage::Query));
        let failed = AttemptResult::Failed(error.clone());
        for _ in 0..600 {
            bench.live_for(SECOND, IDLE, &failed);
            bench.login_fails(error.clone());
        }
        assert!(bench.left_alone(), "{error:?}: {:?}", bench.decision);
        // The next question that is left open counts from its own beginning.
        bench.live_for(seconds(29), IDLE, &TIMED_OUT);
        assert!(bench.left_alone(), "{error:?}: {:?}", bench.decision);
        bench.live_for(seconds(2), IDLE, &TIMED_OUT);
        assert!(bench.has(Reason::EngineUnresponsive), "{error:?}");
    }
}

#[test]
fn an_engine_that_nobody_can_ask_stays_ready_unless_it_is_seen_not_to_listen() {
    let error = ContactError::Credentials("no such file".to_owned());
    let mut bench = Bench::ready(kubelet());
    bench.see(listening(&["0.0.0.0:1433"]));
    bench.ping_fails(error.clone());
    let asked = evidence(&bench, Reason::CredentialsUnreadable);
    assert_eq!(asked, "no such file", "the login was answered");
    for _ in 0..600 {
        bench.live_for(SECOND, IDLE, &AttemptResult::Failed(error.clone()));
        bench.login_fails(error.clone());
    }
    assert_eq!(bench.is_ready(), Verdict::Pass, "{:?}", bench.decision);
    let unasked = evidence(&bench, Reason::CredentialsUnreadable);
    assert_eq!(unasked, "no such file; nobody asks the engine");
    bench.see(not_listening());
    assert_eq!(bench.decision.ready.reasons, [Reason::NoFreshAnswer]);
    assert!(bench.left_alone());
}
