//! The parts of the engine one by one: their boundaries, and what they forget.

use std::time::Duration;

use sql_edge_supervisor::decide::budget::Budget;
use sql_edge_supervisor::decide::decision::{Phase, Probe, Verdict};
use sql_edge_supervisor::decide::findings::{Findings, seconds as in_words};
use sql_edge_supervisor::decide::latch::Latch;
use sql_edge_supervisor::decide::lease::{Claim, HolderIdentity, LeaseState, Record};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::progress::{Floor, Mark, Window};
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::decide::rules::{Condition, Timers};
use sql_edge_supervisor::decide::snapshot::Snapshot;
use sql_edge_supervisor::decide::time::{SupervisedClock, Time};
use sql_edge_supervisor::decide::troubles::Troubles;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;

fn at(count: u64) -> Time {
    Time::from_start(seconds(count))
}

fn seen(at: Time, value: Observation) -> Observed<Observation> {
    Observed { at, value }
}

#[test]
fn names_are_those_of_the_labels() {
    let probes = Probe::ALL.map(Probe::name);
    assert_eq!(probes, ["startup", "live", "ready", "gate"]);
    let phases = Phase::ALL.map(Phase::name);
    assert_eq!(
        phases,
        ["unseen", "starting", "running", "stopping", "gone"]
    );
}

#[test]
fn a_span_is_told_with_a_decimal_below_ten_seconds() {
    assert_eq!(in_words(Duration::from_millis(9_940)), "9.9 s");
    assert_eq!(in_words(seconds(10)), "10 s");
    assert_eq!(in_words(Duration::from_millis(59_900)), "59 s");
}

#[test]
fn findings_ask_for_the_first_moment_that_matters() {
    let mut findings = Findings::new(at(10));
    assert!(findings.due(at(5), seconds(5)), "at the moment itself");
    assert_eq!(findings.recheck_at(), None);
    assert!(!findings.due(at(9), seconds(5)));
    assert!(!findings.due(at(6), seconds(5)));
    assert!(!findings.due(at(8), seconds(5)));
    assert_eq!(findings.recheck_at(), Some(at(11)));
    findings.add(Reason::DiskLow, "the first");
    findings.add(Reason::DiskLow, "the second");
    findings.add(Reason::Starting, "x");
    let all = findings.reasons(|_| true);
    assert_eq!(all, [Reason::Starting, Reason::DiskLow]);
    assert!(
        findings
            .reasons(|reason| reason == Reason::Paused)
            .is_empty()
    );
    let list = findings.into_list();
    assert_eq!(list[1], (Reason::DiskLow, "the first".to_owned()));
}

#[test]
fn a_reason_of_the_past_that_is_found_anew_is_of_now_and_others_stay_past() {
    let find: [fn(&mut Findings); 2] = [
        |findings| findings.add(Reason::VolumeReadOnly, "now"),
        |findings| findings.add_another(Reason::VolumeReadOnly, "now".to_owned()),
    ];
    for find in find {
        let mut findings = Findings::new(at(1));
        findings.add_past(Reason::VolumeReadOnly, "then");
        findings.add_past(Reason::VolumeIoError, "then");
        assert!(findings.leaves_gate(Reason::VolumeReadOnly));
        find(&mut findings);
        assert!(!findings.leaves_gate(Reason::VolumeReadOnly));
        assert!(findings.leaves_gate(Reason::VolumeIoError));
    }
}

#[test]
fn a_latched_condition_is_forgotten_at_its_limit_unless_it_shows_still() {
    let mut timers = Timers::default();
    let mut see = |holds, second| {
        let since = timers.latched(Condition::Stopping, holds, seconds(10), at(second));
        assert_eq!(since, timers.since(Condition::Stopping));
        since
    };
    assert_eq!(see(false, 0), None);
    assert_eq!(see(true, 1), Some(at(1)));
    assert_eq!(see(false, 10), Some(at(1)), "it does not end by itself");
    assert_eq!(see(true, 11), Some(at(1)), "it shows still");
    assert_eq!(see(false, 11), None);
}

#[test]
fn the_holder_of_a_claim_is_known_where_the_claim_can_be_read() {
    let holder = HolderIdentity {
        id: "pod-2".to_owned(),
        ..HolderIdentity::default()
    };
    let claim = Record::Claim(Claim {
        epoch: 2,
        first: 2,
        holder: holder.clone(),
        heartbeat: 0,
        nonce: 1,
        released: false,
    });
    assert_eq!(claim.holder(), Some(&holder));
    assert_eq!(Record::Torn(7).holder(), None);
}

#[test]
fn restarts_count_that_were_asked_for_and_did_not_help() {
    let policy = Policy {
        restart_budget: 2,
        ..Policy::default()
    };
    let asks = |budget: &mut Budget, now| budget.see(true, Verdict::Fail, Time::ZERO, now);
    let mut budget = Budget::default();
    asks(&mut budget, at(0));
    budget.new_process(&policy);
    assert_eq!(budget.exhausted(), None);
    budget.new_process(&policy);
    assert_eq!(budget.exhausted(), None, "nobody asked for this one");
    asks(&mut budget, at(40_000_000));
    budget.new_process(&policy);
    assert_eq!(budget.exhausted(), Some(2), "however far apart they are");
}

#[test]
fn only_a_newer_release_counts_and_readiness_has_to_last() {
    let policy = Policy {
        restart_budget: 1,
        ..Policy::default()
    };
    let mut budget = Budget::default();
    let exhaust = |budget: &mut Budget| {
        budget.see(true, Verdict::Fail, at(0), at(0));
        budget.new_process(&policy);
        assert_eq!(budget.exhausted(), Some(1));
    };
    exhaust(&mut budget);
    budget.release(None);
    assert_eq!(budget.exhausted(), Some(1));
    budget.release(Some(at(1)));
    assert_eq!(budget.exhausted(), None);
    exhaust(&mut budget);
    budget.release(Some(at(1)));
    assert_eq!(budget.exhausted(), Some(1), "that was the one before");
    budget.see(false, Verdict::Pass, at(0), at(59));
    assert_eq!(budget.exhausted(), Some(1));
    budget.see(false, Verdict::Fail, at(0), at(60));
    assert_eq!(budget.exhausted(), Some(1));
    budget.see(false, Verdict::Pass, at(0), at(60));
    assert_eq!(budget.exhausted(), None);
}

#[test]
fn a_latch_that_forgets_goes_to_its_safe_side() {
    let mut findings = Findings::new(at(20));
    let mut latch = Latch::new(Verdict::Fail, at(1));
    latch.reset(at(5));
    assert_eq!((latch.verdict(), latch.since()), (Verdict::Fail, at(1)));
    latch.update(Verdict::Pass, seconds(3), at(6), &mut findings);
    assert_eq!((latch.verdict(), latch.since()), (Verdict::Pass, at(6)));
    latch.reset(at(7));
    assert_eq!((latch.verdict(), latch.since()), (Verdict::Fail, at(7)));
    latch.update(Verdict::Pass, seconds(3), at(8), &mut findings);
    assert_eq!(
        latch.verdict(),
        Verdict::Pass,
        "a new process waits for nothing"
    );
}

#[test]
fn a_latch_that_returned_waits_out_the_window() {
    for (safe, away) in [
        (Verdict::Fail, Verdict::Pass),
        (Verdict::Pass, Verdict::Fail),
    ] {
        let mut latch = Latch::new(safe, at(0));
        let mut update = |verdict, now| {
            let mut findings = Findings::new(now);
            latch.update(verdict, seconds(3), now, &mut findings);
            (latch.verdict(), findings.recheck_at())
        };
        assert_eq!(update(away, at(1)), (away, None), "the first time at once");
        assert_eq!(update(safe, at(10)), (safe, None));
        let (_, recheck) = update(away, at(11));
        let due = match safe {
            Verdict::Fail => at(14), // good for the whole window
            Verdict::Pass => at(13), // transitions kept apart
        };
        assert_eq!(recheck, Some(due));
        assert_eq!(update(away, due), (away, None));
    }
}

const FLOOR: Floor = Floor {
    cpu: 0.05,
    io: 16 * 1024,
};

fn working(cpu: Duration, io_bytes: Option<u64>) -> RunningProcess {
    let mut process = process(1, cpu);
    process.io_bytes = io_bytes;
    process
}

#[test]
fn a_window_has_to_be_covered_to_three_quarters() {
    let mut window = Window::new(seconds(40));
    assert_eq!(window.advanced(at(0), FLOOR), None);
    window.push(at(0), &working(IDLE, None), None);
    window.push(at(29), &working(IDLE, None), None);
    assert_eq!(window.advanced(at(29), FLOOR), None);
    window.push(at(30), &working(IDLE, None), None);
    assert_eq!(window.advanced(at(30), FLOOR), Some(false));
    assert_eq!(window.advanced(at(80), FLOOR), None, "what it knows is old");
}

#[test]
fn from_the_floor_on_it_advances() {
    let run = |cpu: u64, io: u64| {
        let mut window = Window::new(seconds(40));
        window.push(at(0), &working(seconds(7), Some(500)), None);
        let cpu = seconds(7) + Duration::from_millis(cpu);
        window.push(at(40), &working(cpu, Some(500 + io)), None);
        window.advanced(at(40), FLOOR)
    };
    assert_eq!(run(1_999, 0), Some(false));
    assert_eq!(run(2_000, 0), Some(true));
    assert_eq!(run(0, 16 * 1024 * 40 - 1), Some(false));
    assert_eq!(run(0, 16 * 1024 * 40), Some(true));
}

#[test]
fn a_counter_that_is_read_only_since_lately_says_nothing_yet() {
    let run = |readable: u64, cpu: u64| {
        let mut window = Window::new(seconds(40));
        window.push(at(0), &working(IDLE, None), None);
        window.push(at(readable), &working(IDLE, Some(500)), None);
        window.push(
            at(40),
            &working(Duration::from_millis(cpu), Some(500)),
            None,
        );
        window.advanced(at(40), FLOOR)
    };
    assert_eq!(run(10, 0), Some(false), "for three quarters of the span");
    assert_eq!(run(11, 0), None);
    assert_eq!(run(11, 2_000), Some(true), "the processor's time suffices");
    // The io of the control group, as the supervisor finds it after its first look at the process.
    let group = |second| Observed {
        at: at(second),
        value: CgroupReport {
            io_bytes: Some(500),
            cpu_used: Some(seconds(900)),
            ..CgroupReport::default()
        },
    };
    let mut window = Window::new(seconds(40));
    window.push(at(0), &working(IDLE, Some(7_000_000)), None);
    window.push(at(20), &working(IDLE, None), Some(&group(20)));
    window.push(at(40), &working(IDLE, None), Some(&group(40)));
    assert_eq!(window.advanced(at(40), FLOOR), None);
    // So it is with the processor time.
    let unseen = || {
        let mut process = working(IDLE, None);
        process.cpu = None;
        process
    };
    let mut window = Window::new(seconds(40));
    window.push(at(0), &working(seconds(1_000), None), None);
    window.push(at(20), &unseen(), Some(&group(20)));
    window.push(at(40), &unseen(), Some(&group(40)));
    assert_eq!(window.advanced(at(40), FLOOR), None);
}

#[test]
fn a_window_forgets_and_takes_nothing_that_is_older() {
    let mut window = Window::new(seconds(40));
    window.push(at(0), &working(seconds(50), None), None);
    window.push(at(40), &working(seconds(90), None), None);
    window.push(at(39), &working(seconds(0), None), None);
    assert_eq!(window.advanced(at(40), FLOOR), Some(true));
    window.reset();
    assert_eq!(window.advanced(at(40), FLOOR), None);
    window.push(at(41), &working(IDLE, None), None);
    assert_eq!(window.advanced(at(41), FLOOR), None);
}

#[test]
fn a_window_looks_back_over_its_span_only() {
    let mut window = Window::new(seconds(40));
    for step in 0..200_000_u32 {
        // it works hard until a minute and a half before the end; the pace fits no spacing
        let now = Time::from_start(Duration::from_millis(97) * step);
        let cpu = Duration::from_millis(97) * step.min(199_000);
        window.push(now, &working(cpu, None), None);
    }
    let now = Time::from_start(Duration::from_millis(97) * 199_999);
    assert_eq!(window.advanced(now, FLOOR), Some(false));
}

#[test]
fn a_mark_moves_with_its_value() {
    let mut mark = Mark::default();
    mark.see(Some(1), at(1));
    assert!(
        !mark.moved_within(seconds(9), at(1)),
        "the first is no movement"
    );
    mark.see(Some(1), at(2));
    mark.see(None, at(2));
    assert!(!mark.moved_within(seconds(9), at(2)));
    mark.see(Some(2), at(3));
    assert!(mark.moved_within(seconds(9), at(11)));
    assert!(!mark.moved_within(seconds(9), at(12)));
    mark.reset();
    assert!(!mark.moved_within(seconds(9), at(4)));
    mark.see(Some(3), at(4));
    assert!(
        !mark.moved_within(seconds(9), at(4)),
        "it has forgotten the 2"
    );
}

#[test]
fn a_log_of_another_process_finds_its_faults_again() {
    let log = wrote_error(1105, "encountered error 1105, state 2");
    assert!(log.messages.iter().any(|message| message.fault.is_some()));
    let text = serde_json::to_string(&log).expect("plain data");
    let mut received: EngineLog = serde_json::from_str(&text).expect("what was written");
    assert!(
        received
            .messages
            .iter()
            .all(|message| message.fault.is_none())
    );
    received.recognize();
    assert_eq!(received, log);
}

#[test]
fn the_lease_has_an_epoch_while_it_is_held() {
    for (state, epoch) in [
        (
            LeaseState::Held {
                epoch: 7,
                first: 5,
                age: IDLE,
            },
            Some(7),
        ),
        (LeaseState::Released, None),
        (elsewhere(None, true), None),
        (LeaseState::Unknown, None),
    ] {
        let mut snapshot = Snapshot::default();
        assert_eq!(snapshot.epoch(), None);
        snapshot.apply(seen(at(1), lease(state.clone())));
        assert_eq!(snapshot.epoch(), epoch, "{state:?}");
    }
}

#[test]
fn a_trouble_is_shown_for_ten_minutes_after_its_last_message() {
    const SLOW: &str = "SQL Server has encountered 1 occurrence(s) of I/O requests taking longer than 15 seconds to complete on file [/var/opt/mssql/data/a.mdf] in database id 5.";
    let mut snapshot = Snapshot::default();
    let mut troubles = Troubles::default();
    let mut shown_after = |messages: usize, second| {
        let mut check = healthy_volume();
        check.errorlog = Some(wrote(1000, &vec![SLOW; messages]));
        snapshot.apply(seen(at(second), volume(check)));
        troubles.see(&snapshot, at(second));
        let shown = troubles.shown(&snapshot, at(second));
        shown
            .map(|(reason, evidence, until)| {
                assert!(evidence.contains("since the start: "), "{evidence}");
                (reason, until)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shown_after(1, 10), [], "it is of long ago");
    assert_eq!(shown_after(2, 20), [(Reason::IoSlow, at(620))]);
    assert_eq!(shown_after(3, 619), [(Reason::IoSlow, at(1219))]);
    assert_eq!(shown_after(3, 1218), [(Reason::IoSlow, at(1219))]);
    assert_eq!(shown_after(3, 1219), []);
}

#[test]
fn a_stall_is_longer_than_the_threshold() {
    let mut clock = SupervisedClock::new(seconds(2));
    assert_eq!(clock.advance(seconds(2)).1, None);
    let more = seconds(4) + Duration::from_nanos(1);
    assert_eq!(clock.advance(more).1, Some(more - seconds(2)));
}

fn exit(role: ProcessRole, status: ExitStatus) -> Observation {
    exit_of(role, Some(status), false)
}

#[test]
fn the_last_exit_is_the_cause_and_not_its_consequence() {
    let last = |events: &[(u64, ProcessRole, i32)]| {
        let mut snapshot = Snapshot::default();
        for (second, role, code) in events {
            snapshot.apply(seen(at(*second), exit(*role, ExitStatus::Code(*code))));
        }
        snapshot.last_exit.expect("seen").value.status
    };
    use ProcessRole::{Engine, Parent};
    let code = |code| Some(ExitStatus::Code(code));
    assert_eq!(last(&[(1, Engine, 7), (2, Parent, 1)]), code(7));
    assert_eq!(
        last(&[(1, Engine, 7), (6, Parent, 1)]),
        code(1),
        "another incident"
    );
    assert_eq!(last(&[(1, Parent, 7), (2, Parent, 1)]), code(1));
    assert_eq!(last(&[(1, Engine, 7), (2, Engine, 1)]), code(1));
    assert_eq!(last(&[(1, Parent, 7), (2, Engine, 1)]), code(1));
}

#[test]
fn what_was_said_is_forgotten_with_who_said_it() {
    let told = |after: RunningProcess| {
        let mut snapshot = Snapshot::default();
        let mut before = process(1, IDLE);
        before.engine = process(1, IDLE).engine;
        let report = |process| Observation::Process(ProcessReport::Running(process));
        snapshot.apply(seen(at(1), report(before)));
        snapshot.apply(seen(at(2), Observation::Ping(answered(at(2)))));
        snapshot.apply(seen(at(3), report(after)));
        snapshot.ping.last_success.is_some()
    };
    assert!(told(process(1, seconds(1))));
    assert!(!told(process(2, IDLE)), "another one");
    let mut other_parent = process(1, IDLE);
    other_parent.parent = process(2, IDLE).parent;
    assert!(!told(other_parent), "the same pid below another parent");
    let mut other_engine = process(1, IDLE);
    other_engine.engine = process(2, IDLE).engine;
    assert!(!told(other_engine), "the watchdog has made a new one");
    let mut no_engine = process(1, IDLE);
    no_engine.engine = None;
    assert!(!told(no_engine), "it is gone");
}

#[test]
fn a_watchdog_that_makes_its_engine_is_still_the_same() {
    let mut snapshot = Snapshot::default();
    let mut alone = process(1, IDLE);
    alone.engine = None;
    let report = |process| Observation::Process(ProcessReport::Running(process));
    snapshot.apply(seen(at(1), report(alone)));
    let closed = failed(at(2), ContactError::Closed);
    snapshot.apply(seen(at(2), Observation::Ping(closed)));
    snapshot.apply(seen(at(3), report(process(1, IDLE))));
    assert_eq!(snapshot.ping.failures, 1, "it is remembered");
}

#[test]
fn another_engine_below_the_same_parent_has_proven_nothing() {
    let mut bench = Bench::ready(kubelet());
    bench.pass(SECOND);
    let mut other = process(1, IDLE);
    other.engine = process(2, IDLE).engine;
    bench.see(Observation::Process(ProcessReport::Running(other)));
    assert_eq!(bench.decision.phase, Phase::Starting);
    let mut bench = Bench::ready(kubelet());
    bench.pass(SECOND);
    let mut other = process(1, IDLE);
    other.parent = process(2, IDLE).parent;
    bench.see(Observation::Process(ProcessReport::Running(other)));
    assert_eq!(bench.decision.phase, Phase::Starting);
}

#[test]
fn a_stop_that_is_said_again_is_the_same_one_unless_the_engine_is_another() {
    let below = |parent, engine: Option<u64>| {
        let mut other = process(parent, IDLE);
        other.engine = engine.and_then(|engine| process(engine, IDLE).engine);
        Observation::Process(ProcessReport::Running(other))
    };
    for (case, after, same) in [
        ("nothing has changed", vec![below(1, Some(1))], true),
        ("the engine has ended", vec![below(1, None)], true),
        ("another engine", vec![below(1, Some(2))], false),
        (
            "another engine, after none",
            vec![below(1, None), below(1, Some(2))],
            false,
        ),
        (
            "the same engine, after none",
            vec![below(1, None), below(1, Some(1))],
            true,
        ),
        ("another parent", vec![below(2, Some(1))], false),
        ("another parent alone", vec![below(2, None)], false),
    ] {
        let mut snapshot = Snapshot::default();
        let stopping = || Observation::Operator(OperatorCommand::Stopping);
        snapshot.apply(seen(at(1), below(1, Some(1))));
        snapshot.apply(seen(at(2), stopping()));
        for look in after {
            snapshot.apply(seen(at(3), look));
        }
        snapshot.apply(seen(at(4), stopping()));
        let since = if same { at(2) } else { at(4) };
        assert_eq!(snapshot.stopping, Some(since), "{case}");
    }
}

#[test]
fn diagnostics_that_are_refused_leave_nothing_behind() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(seen(
        at(1),
        diagnostics(|report| report.system = Some(ComponentState::Error)),
    ));
    assert_eq!(snapshot.diagnostics.system_errors, 1);
    let refused = ServerError {
        number: 300,
        state: 1,
        class: 14,
    };
    let unavailable = DiagnosticsReport::Unavailable(refused);
    snapshot.apply(seen(at(2), Observation::Diagnostics(unavailable)));
    assert_eq!(snapshot.diagnostics.unavailable, Some(refused));
    assert_eq!(snapshot.diagnostics.system_errors, 0);
    assert!(snapshot.diagnostics.last.is_none());
    snapshot.apply(seen(at(3), diagnostics(|_| ())));
    assert_eq!(snapshot.diagnostics.unavailable, None, "it is there again");
}

#[test]
fn a_finding_is_dated_from_its_beginning_and_anew_when_it_comes_again() {
    let mut bench = Bench::ready(kubelet());
    let low = |free: u64| {
        let mut check = healthy_volume();
        check.space.as_mut().expect("known").free_bytes = free;
        volume(check)
    };
    let since = |bench: &Bench| bench.decision.finding(Reason::DiskLow).expect("low").since;
    bench.pass(seconds(1));
    bench.see(low(500 << 20));
    let first = bench.now;
    bench.pass(seconds(1));
    bench.see(low(501 << 20));
    assert_eq!(since(&bench), first);
    bench.see(low(4 << 30));
    bench.pass(seconds(1));
    bench.see(low(500 << 20));
    assert_eq!(since(&bench), bench.now);
}

#[test]
fn liveness_is_dated_from_its_last_change() {
    let mut bench = Bench::ready(kubelet());
    let hung = bench.now;
    bench.live_for(seconds(40), IDLE, &TIMED_OUT);
    let failed = bench.decision.live.since;
    assert_eq!(failed.since(hung), bench.policy.unresponsive_after);
    bench.live_for(seconds(5), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.live.since, failed);
    bench.ping_ok();
    assert_eq!(bench.decision.live.since, bench.now);
}

#[test]
fn diagnostics_of_long_ago_are_no_sign_of_life() {
    let mut bench = Bench::ready(kubelet());
    bench.see(diagnostics(|_| ()));
    let arrived = bench.now;
    let opaque = |bench: &mut Bench, span: Duration| {
        for _ in 0..span.as_secs() {
            bench.pass(SECOND);
            bench.ping_fails(ContactError::Protocol("torn".to_owned()));
        }
    };
    opaque(&mut bench, seconds(2));
    assert!(bench.has(Reason::EngineUnreachable));
    let mut quiet = Bench::ready(kubelet());
    quiet.see(diagnostics(|_| ()));
    let within = quiet.policy.unresponsive_after;
    quiet.pass(within - Duration::from_millis(1));
    assert!(quiet.has(Reason::EngineBusy), "{arrived:?}");
    quiet.pass(Duration::from_millis(1));
    assert!(quiet.has(Reason::NoFreshAnswer));
}

#[test]
fn logins_alone_that_are_silent_need_a_standing_connection_that_answers() {
    let mut bench = Bench::ready(kubelet());
    for _ in 0..3 {
        bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    }
    assert!(bench.has(Reason::EngineBusy));
    bench.ping_fails(ContactError::TimedOut(AttemptStage::Query));
    assert!(!bench.has(Reason::EngineBusy), "there is no sign of life");
    let mut bench = Bench::ready(kubelet());
    bench.login_fails(server(18456));
    bench.login_fails(server(18456));
    assert!(!bench.has(Reason::EngineBusy), "it answers");
    let mut bench = Bench::new(kubelet());
    bench.see(volume(healthy_volume()));
    bench.see(running(1, IDLE));
    bench.login_ok();
    for _ in 0..2 {
        bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    }
    assert!(
        !bench.has(Reason::EngineBusy),
        "the ping has never answered"
    );
}
