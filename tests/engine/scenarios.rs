//! What the engine says in the cases that DESIGN.md names, one by one.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::{Phase, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::Reason;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;
const HARD_WORK: Duration = Duration::from_millis(800);

#[test]
fn nothing_observed_is_not_ready_but_alive() {
    let bench = Bench::new(kubelet());
    assert!(bench.left_alone());
    assert_eq!(bench.is_ready(), Verdict::Fail);
    assert_eq!(bench.decision.startup.verdict, Verdict::Fail);
    assert!(bench.has(Reason::NotYetObserved));
    assert_eq!(bench.decision.gate.reasons, [Reason::VolumeUnchecked]);
}

#[test]
fn the_first_answered_query_makes_it_ready_at_once() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    assert_eq!(bench.decision.phase, Phase::Starting);
    assert!(bench.has(Reason::Starting));
    bench.ping_ok();
    assert_eq!(bench.decision.phase, Phase::Running);
    assert_eq!(bench.decision.startup.verdict, Verdict::Pass);
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn a_killed_engine_is_not_ready_in_the_same_step() {
    let mut bench = Bench::ready(kubelet());
    bench.see(exited(Some(ExitStatus::Signal(9))));
    assert_eq!(bench.is_ready(), Verdict::Fail);
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessKilled]);
    assert!(bench.left_alone(), "the runtime restarts it");
    assert_eq!(bench.decision.phase, Phase::Gone);
}

#[test]
fn exits_are_told_apart() {
    for (status, oom, reason) in [
        (Some(ExitStatus::Code(1)), false, Reason::ProcessExited),
        (Some(ExitStatus::Signal(11)), false, Reason::ProcessKilled),
        (Some(ExitStatus::Signal(9)), true, Reason::OomKilled),
        (None, false, Reason::ProcessExited),
    ] {
        let mut bench = Bench::ready(kubelet());
        bench.see(exit_of(ProcessRole::Engine, status, oom));
        assert_eq!(bench.decision.ready.reasons, [reason], "{status:?}");
    }
}

#[test]
fn the_parents_exit_does_not_hide_the_engines() {
    let mut bench = Bench::ready(kubelet());
    bench.see(exited(Some(ExitStatus::Signal(9))));
    bench.pass(Duration::from_millis(20));
    bench.see(exit_of(
        ProcessRole::Parent,
        Some(ExitStatus::Code(137)),
        false,
    ));
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessKilled]);
}

#[test]
fn a_process_that_stays_away_is_missed_after_the_grace() {
    let mut bench = Bench::ready(kubelet());
    bench.see(exited(Some(ExitStatus::Code(1))));
    bench.pass(bench.policy.process_missing_after - Duration::from_millis(1));
    assert!(bench.left_alone());
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.live(), Verdict::Fail);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessMissing]);
}

#[test]
fn a_parent_that_outlives_its_engine_is_no_start() {
    let mut bench = Bench::ready(kubelet());
    bench.see(exited(Some(ExitStatus::Signal(11))));
    let mut bereft = process(1, IDLE);
    bereft.engine = None;
    bench.see(Observation::Process(ProcessReport::Running(bereft)));
    assert_eq!(bench.decision.phase, Phase::Gone);
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessKilled]);
    bench.pass(bench.policy.process_missing_after);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessMissing]);
}

#[test]
fn without_a_view_of_the_process_its_absence_means_nothing() {
    let mut bench = Bench::new(Policy {
        busy_limit: seconds(60),
        ..kubelet()
    });
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.pass(seconds(3600));
    assert!(bench.left_alone());
    bench.ping_ok();
    assert_eq!(bench.is_ready(), Verdict::Pass, "its answers have to do");
    bench.see(Observation::Process(ProcessReport::NotFound));
    for _ in 0..120 {
        bench.ping_fails(ContactError::Refused);
        bench.pass(SECOND);
    }
    assert!(bench.left_alone());
    assert_eq!(bench.is_ready(), Verdict::Fail);
    for _ in 0..120 {
        bench.ping_fails(ContactError::TimedOut(AttemptStage::Query));
        bench.pass(SECOND);
    }
    assert!(bench.left_alone());
}

#[test]
fn a_new_process_is_not_killed_for_the_old_ones_sake() {
    let mut bench = Bench::ready(kubelet());
    bench.live_for(seconds(40), IDLE, &TIMED_OUT);
    assert_eq!(bench.live(), Verdict::Fail);
    bench.see(running(2, IDLE));
    assert_eq!(bench.live(), Verdict::Pass);
    assert_eq!(bench.decision.phase, Phase::Starting);
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

/// A first thread that has ended is a zombie while others serve, and a look at the processes may miss one.
#[test]
fn what_answers_is_never_restarted_for_being_dead() {
    let mut dead = process(1, IDLE);
    dead.state = RunState::Zombie;
    let looks = [ProcessReport::NotFound, ProcessReport::Running(dead)];
    for look in looks {
        for ends in [false, true] {
            let mut bench = Bench::ready(Policy::default());
            let silent = bench
                .policy
                .process_missing_after
                .max(bench.policy.zombie_after);
            for _ in 0..600 {
                bench.pass(SECOND);
                bench.see(Observation::Process(look.clone()));
                bench.ping_ok();
                assert!(bench.left_alone(), "{look:?}");
            }
            for _ in 0..silent.as_secs() + 1 {
                bench.pass(SECOND);
                bench.see(Observation::Process(look.clone()));
                match ends {
                    true => bench.ping_fails(ContactError::Closed),
                    false => bench.ping_ok(),
                };
            }
            let asks = bench.decision.action.is_some() || bench.live() == Verdict::Fail;
            assert_eq!(asks, ends, "{look:?} {:?}", bench.decision);
        }
    }
}

#[test]
fn a_zombie_is_restarted_after_its_grace() {
    let mut bench = Bench::ready(kubelet());
    let mut dead = process(1, IDLE);
    dead.state = RunState::Zombie;
    bench.see(Observation::Process(ProcessReport::Running(dead)));
    assert_eq!(bench.is_ready(), Verdict::Fail);
    assert!(bench.left_alone());
    bench.pass(bench.policy.zombie_after);
    assert_eq!(bench.decision.live.reasons, [Reason::ProcessZombie]);
}

#[test]
fn a_hang_is_found_at_the_threshold_and_not_before() {
    let mut bench = Bench::ready(kubelet());
    let hung_at = bench.now;
    bench.live_for(seconds(40), IDLE, &TIMED_OUT);
    let found = bench
        .changes
        .iter()
        .find(|d| d.live.verdict == Verdict::Fail)
        .expect("found");
    assert_eq!(
        found.at.since(hung_at),
        bench.policy.unresponsive_after,
        "counted from the first question that got no answer"
    );
    assert_eq!(found.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn an_engine_that_answers_again_is_left_alone_at_once() {
    let mut bench = Bench::ready(kubelet());
    bench.live_for(seconds(40), IDLE, &TIMED_OUT);
    assert_eq!(bench.live(), Verdict::Fail);
    bench.ping_ok();
    assert_eq!(bench.live(), Verdict::Pass);
    assert_eq!(bench.decision.ready.reasons, [Reason::Settling]);
    bench.pass(bench.policy.settle);
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn hard_work_without_an_answer_is_busy() {
    let mut bench = Bench::ready(kubelet());
    bench.live_for(seconds(120), HARD_WORK, &TIMED_OUT);
    assert!(bench.left_alone());
    assert!(bench.has(Reason::EngineBusy));
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

#[test]
fn background_noise_is_no_progress() {
    let mut bench = Bench::ready(kubelet());
    bench.live_for(seconds(40), Duration::from_millis(15), &TIMED_OUT);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn storage_traffic_is_progress() {
    let mut bench = Bench::ready(kubelet());
    for second in 0..60 {
        let started = bench.now;
        bench.pass(SECOND);
        let mut working = process(1, IDLE);
        working.io_bytes = Some(second * 1_000_000);
        bench.see(Observation::Process(ProcessReport::Running(working)));
        bench.see(Observation::Ping(Attempt {
            started,
            result: TIMED_OUT,
        }));
    }
    assert!(bench.left_alone());
    assert!(bench.has(Reason::EngineBusy));
}

#[test]
fn where_progress_cant_be_seen_silence_alone_restarts_nothing() {
    let mut bench = Bench::ready(kubelet());
    for _ in 0..120 {
        let mut opaque = process(1, IDLE);
        opaque.cpu = None;
        bench.see(Observation::Process(ProcessReport::Running(opaque)));
        bench.ping_fails(ContactError::TimedOut(AttemptStage::Query));
        bench.pass(SECOND);
    }
    assert!(bench.left_alone());
    assert!(bench.has(Reason::NoFreshAnswer));
}

#[test]
fn diagnostics_alone_keep_a_busy_engine_alive() {
    let mut bench = Bench::ready(kubelet());
    for _ in 0..12 {
        bench.live_for(seconds(10), IDLE, &TIMED_OUT);
        bench.see(diagnostics(|_| ()));
    }
    assert!(bench.left_alone());
    assert!(bench.has(Reason::EngineBusy));
    assert_eq!(bench.is_ready(), Verdict::Fail);
}

#[test]
fn a_lost_listener_is_restarted_after_its_threshold() {
    let mut bench = Bench::ready(kubelet());
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.live_for(seconds(29), HARD_WORK, &refused);
    assert!(bench.left_alone());
    bench.live_for(seconds(3), HARD_WORK, &refused);
    assert_eq!(bench.decision.live.reasons, [Reason::ListenerLost]);
}

/// Found by the accuracy benchmark: the login is refused until just before the start ends.
#[test]
fn refusals_of_the_start_are_no_lost_listener() {
    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    for _ in 0..120 {
        bench.live_for(
            SECOND,
            HARD_WORK,
            &AttemptResult::Failed(ContactError::Refused),
        );
        bench.login_fails(ContactError::Refused);
    }
    bench.ping_ok();
    assert_eq!(bench.decision.phase, Phase::Running);
    assert!(!bench.has(Reason::ListenerLost));
    assert!(bench.left_alone());
    // one that never opens again is found, by the login alone
    for _ in 0..29 {
        bench.live_for(SECOND, IDLE, &answered_result());
        bench.login_fails(ContactError::Refused);
    }
    assert!(!bench.has(Reason::ListenerLost));
    bench.live_for(SECOND * 2, IDLE, &answered_result());
    assert!(bench.has(Reason::ListenerLost));
}

/// Found by the accuracy benchmark: a first start that is faster than the checks of the volume.
#[test]
fn a_look_from_before_the_first_start_is_no_lost_master() {
    let empty = || {
        let mut check = healthy_volume();
        check.master_present = Some(false);
        check
    };
    let mut bench = Bench::new(kubelet());
    bench.see(volume_began());
    bench.see(volume(empty()));
    bench.see(running(1, IDLE));
    bench.see(volume_began());
    bench.pass(SECOND);
    bench.ping_ok();
    assert!(!bench.has(Reason::VolumeEmpty));
    bench.see(volume(empty()));
    assert!(!bench.has(Reason::VolumeEmpty), "it looked before");
    bench.see(volume_began());
    bench.see(volume(empty()));
    assert!(bench.has(Reason::VolumeEmpty));
}

#[test]
fn a_refused_port_in_the_start_waits_while_it_advances() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.live_for(seconds(3600), HARD_WORK, &refused);
    assert!(bench.left_alone());
    assert_eq!(bench.decision.ready.reasons, [Reason::Starting]);
}

#[test]
fn a_start_that_does_not_advance_is_restarted_and_the_kubelet_hears_it() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.see(not_listening());
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.live_for(bench.policy.startup_stalled_after, IDLE, &refused);
    bench.live_for(seconds(30), IDLE, &refused);
    assert_eq!(bench.decision.live.reasons, [Reason::StartupStalled]);
    assert_eq!(
        bench.decision.startup.verdict,
        Verdict::Pass,
        "the kubelet asks for liveness only after startup has passed"
    );
}

#[test]
fn a_growing_errorlog_is_progress_of_a_start() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    for minute in 0..60 {
        let mut check = healthy_volume();
        check.errorlog = Some(log(minute * 80));
        bench.see(volume(check));
        let refused = AttemptResult::Failed(ContactError::Refused);
        bench.live_for(seconds(60), IDLE, &refused);
        assert!(bench.left_alone());
    }
}

#[test]
fn recovery_waits_for_hours_and_shows_how_far_it_is() {
    let mut bench = Bench::ready(kubelet());
    for tenth in 0..100 {
        bench.see(recovering("master", f64::from(tenth)));
        bench.live_for(seconds(60), HARD_WORK, &answered_result());
        assert!(bench.left_alone());
        assert_eq!(bench.decision.ready.reasons, [Reason::Recovering]);
    }
    let finding = bench.decision.finding(Reason::Recovering).expect("found");
    assert_eq!(finding.evidence, "master, 99 %, about 90 s left");
}

#[test]
fn errors_by_number() {
    for (number, reason) in [
        (18401, Reason::ScriptUpgrade),
        (922, Reason::Recovering),
        (17142, Reason::Paused),
        (17188, Reason::Stopping),
        (17809, Reason::ConnectionsExhausted),
        (17300, Reason::WorkersExhausted),
        (701, Reason::EngineBusy),
        (9002, Reason::LogFull),
        (1105, Reason::DiskFull),
        (824, Reason::DataCorruption),
        (18461, Reason::SingleUser),
        (17892, Reason::LogonTriggerRefuses),
        (8645, Reason::EngineBusy),
        (99999, Reason::QueryRefused),
    ] {
        let mut bench = Bench::ready(kubelet());
        bench.login_fails(server(number));
        assert_eq!(bench.is_ready(), Verdict::Fail, "{number}");
        assert!(bench.has(reason), "{number}: {:?}", bench.decision.findings);
        bench.live_for(seconds(300), IDLE, &answered_result());
        assert!(bench.left_alone(), "{number}");
    }
}

#[test]
fn a_wrong_password_leaves_readiness_as_it_was_proven() {
    for number in [18456, 18470, 18486, 18487, 18488] {
        let mut bench = Bench::ready(kubelet());
        for _ in 0..300 {
            bench.pass(seconds(2));
            bench.ping_fails(server(number));
            bench.login_fails(server(number));
        }
        assert_eq!(bench.is_ready(), Verdict::Pass, "{number}");
        assert!(bench.left_alone());

        let mut never = Bench::new(kubelet());
        never.see(running(1, IDLE));
        for _ in 0..300 {
            never.pass(seconds(2));
            never.ping_fails(server(number));
        }
        assert_eq!(never.is_ready(), Verdict::Fail, "never proven");
        assert_eq!(never.live(), Verdict::Pass);
        assert_eq!(never.decision.startup.verdict, Verdict::Pass, "it answers");
    }
}

#[test]
fn a_hang_behind_a_wrong_password_is_still_found() {
    let mut bench = Bench::ready(kubelet());
    bench.ping_fails(server(18456));
    bench.live_for(seconds(40), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn an_unreadable_password_file_is_named() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.ping_fails(ContactError::Credentials("no such file".to_owned()));
    let finding = bench.decision.finding(Reason::CredentialsUnreadable);
    let evidence = &finding.expect("found").evidence;
    assert_eq!(evidence, "no such file; nobody asks the engine");
    assert_eq!(bench.is_ready(), Verdict::Fail);
    bench.pass(seconds(3600));
    assert!(bench.left_alone());
}

#[test]
fn diagnostics_by_failure_condition_level() {
    for (level, component, restarts) in [
        (0, Reason::SystemError, false),
        (2, Reason::SystemError, false),
        (3, Reason::SystemError, true),
        (3, Reason::ResourceError, false),
        (4, Reason::ResourceError, true),
        (4, Reason::SchedulersDeadlocked, false),
        (5, Reason::SchedulersDeadlocked, true),
    ] {
        let mut bench = Bench::ready(Policy {
            failure_condition_level: level,
            ..kubelet()
        });
        let report = || {
            diagnostics(|report| {
                let component = match component {
                    Reason::SystemError => &mut report.system,
                    Reason::ResourceError => &mut report.resource,
                    _ => &mut report.query_processing,
                };
                *component = Some(ComponentState::Error);
            })
        };
        bench.see(report());
        assert!(!bench.has(component), "one report is not enough");
        bench.see(report());
        assert!(bench.has(component));
        assert_eq!(bench.is_ready(), Verdict::Fail);
        assert_eq!(bench.live() == Verdict::Fail, restarts, "level {level}");
        bench.see(diagnostics(|_| ()));
        assert_eq!(bench.live(), Verdict::Pass);
    }
}

#[test]
fn reports_far_apart_are_none_in_a_row() {
    let error = || diagnostics(|report| report.system = Some(ComponentState::Error));
    let rows: [(Option<OperatorCommand>, u64, bool); 4] = [
        (None, 10, true),
        (None, 30, false),
        (None, 1800, false),
        (Some(OperatorCommand::Resume), 10, false),
    ];
    for (command, apart, in_a_row) in rows {
        let mut bench = Bench::ready(kubelet());
        bench.see(error());
        let started = bench.now;
        bench.see(Observation::Diagnostics(DiagnosticsReport::Failed(failed(
            started,
            ContactError::Closed,
        ))));
        bench.live_for(seconds(apart), IDLE, &answered_result());
        if let Some(command) = command.clone() {
            bench.see(Observation::Operator(command));
        }
        bench.see(error());
        assert_eq!(
            bench.has(Reason::SystemError),
            in_a_row,
            "{apart} s {command:?}"
        );
        assert_eq!(bench.live() == Verdict::Fail, in_a_row);
        bench.live_for(seconds(10), IDLE, &answered_result());
        bench.see(error());
        assert!(bench.has(Reason::SystemError), "{apart} s {command:?}");
    }
}

#[test]
fn missing_diagnostics_components_are_no_error() {
    let mut bench = Bench::ready(kubelet());
    for _ in 0..5 {
        bench.see(Observation::Diagnostics(DiagnosticsReport::Report(
            Diagnostics::default(),
        )));
    }
    bench.see(Observation::Diagnostics(DiagnosticsReport::Unavailable(
        ServerError {
            number: 2812,
            state: 62,
            class: 16,
        },
    )));
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn databases_count_only_when_required() {
    for (state, reason) in [
        (DatabaseState::Suspect, Reason::DatabaseSuspect),
        (
            DatabaseState::RecoveryPending,
            Reason::DatabaseRecoveryPending,
        ),
        (DatabaseState::Offline, Reason::DatabaseOffline),
        (DatabaseState::Emergency, Reason::DatabaseEmergency),
        (DatabaseState::Restoring, Reason::DatabaseRestoring),
        (DatabaseState::Recovering, Reason::Recovering),
    ] {
        let list = || databases(&[("master", DatabaseState::Online), ("Orders", state)]);
        let mut bench = Bench::ready(kubelet());
        bench.see(list());
        assert_eq!(bench.is_ready(), Verdict::Pass, "{state:?} is not required");

        let mut bench = Bench::ready(Policy {
            required_databases: vec!["orders".to_owned()],
            ..kubelet()
        });
        bench.see(list());
        assert_eq!(bench.decision.ready.reasons, [reason]);
        assert!(bench.left_alone());
    }
}

#[test]
fn a_required_database_that_is_not_there_is_named() {
    let policy = Policy {
        required_databases: vec!["orders".to_owned()],
        ..kubelet()
    };
    let mut bench = Bench::new(policy);
    bench.see(running(1, IDLE));
    bench.ping_ok();
    assert_eq!(bench.decision.ready.reasons, [Reason::NotYetObserved]);
    bench.see(databases(&[("master", DatabaseState::Online)]));
    let finding = bench.decision.finding(Reason::DatabaseOffline);
    assert_eq!(
        finding.expect("found").evidence,
        "orders is not in sys.databases"
    );
}

/// Each fault, its reason, and what it does to readiness.
const VOLUME_FAULTS: [(Change, Reason, Verdict); 16] = [
    (|v| v.mount = None, Reason::VolumeNotMounted, Verdict::Fail),
    (
        |v| v.engine_mount = Some(EngineMount::NotMounted),
        Reason::VolumeNotMounted,
        Verdict::Fail,
    ),
    (
        |v| {
            v.engine_mount = Some(EngineMount::Mounted(Mount {
                device: "8:32".to_owned(),
                ..data_mount()
            }));
        },
        Reason::VolumeMismatch,
        Verdict::Fail,
    ),
    (
        |v| v.mount.as_mut().expect("mounted").read_only = true,
        Reason::VolumeReadOnly,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::ReadOnly),
        Reason::VolumeReadOnly,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::NoSpace),
        Reason::DiskFull,
        Verdict::Fail,
    ),
    (
        |v| v.space.as_mut().expect("known").free_inodes = 0,
        Reason::DiskFull,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::Stale),
        Reason::VolumeDisconnected,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::NotConnected),
        Reason::VolumeDisconnected,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::Quota),
        Reason::DiskFull,
        Verdict::Fail,
    ),
    (
        |v| v.mount.as_mut().expect("mounted").device = "7:1".to_owned(),
        Reason::VolumeReplaced,
        Verdict::Fail,
    ),
    (
        |v| v.mount.as_mut().expect("mounted").fs_type = "tmpfs".to_owned(),
        Reason::VolumeEphemeral,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::Missing),
        Reason::VolumeMissing,
        Verdict::Fail,
    ),
    (
        |v| v.master_present = Some(false),
        Reason::VolumeEmpty,
        Verdict::Fail,
    ),
    (
        |v| v.write = WriteCheck::Failed(VolumeFault::PermissionDenied),
        Reason::VolumePermissionDenied,
        Verdict::Pass,
    ),
    (
        |v| v.space.as_mut().expect("known").free_bytes = 500 << 20,
        Reason::DiskLow,
        Verdict::Pass,
    ),
];

#[test]
fn volume_faults() {
    for (change, reason, ready) in VOLUME_FAULTS {
        let mut bench = Bench::ready(kubelet());
        let mut check = healthy_volume();
        change(&mut check);
        bench.see(volume(check));
        assert!(
            bench.has(reason),
            "{reason:?}: {:?}",
            bench.decision.findings
        );
        assert_eq!(bench.is_ready(), ready, "{reason:?}");
        bench.pass(seconds(600));
        assert!(bench.left_alone(), "{reason:?}");
        bench.ping_ok();
        bench.see(volume(healthy_volume()));
        bench.pass(bench.policy.settle);
        assert_eq!(bench.is_ready(), Verdict::Pass, "{reason:?} went away");
    }
}

#[test]
fn no_mount_is_fine_where_it_is_allowed() {
    let mut bench = Bench::new(Policy {
        require_mount: false,
        ..kubelet()
    });
    let mut check = healthy_volume();
    check.mount = None;
    check.engine_mount = Some(EngineMount::NotMounted);
    bench.see(volume(check.clone()));
    bench.see(running(1, IDLE));
    bench.see(volume(check));
    assert!(!bench.has(Reason::VolumeNotMounted));
    // One that was there is missed all the same.
    bench.see(volume(healthy_volume()));
    let mut check = healthy_volume();
    check.mount = None;
    bench.see(volume(check));
    assert!(bench.has(Reason::VolumeNotMounted));
}

#[test]
fn a_stalled_volume_is_found_on_time_and_holds_liveness() {
    let mut bench = Bench::ready(kubelet());
    bench.see(volume_began());
    let began = bench.now;
    bench.live_for(seconds(120), IDLE, &TIMED_OUT);
    let found = bench
        .changes
        .iter()
        .find(|d| d.finding(Reason::VolumeStalled).is_some())
        .expect("found");
    assert_eq!(found.at.since(began), bench.policy.volume_stalled_after);
    assert!(bench.has(Reason::VolumeStalled));
    assert!(bench.left_alone(), "it could not come back on it");
    assert_eq!(bench.decision.gate.reasons, [Reason::VolumeStalled]);
}

#[test]
fn dumps_wait_but_not_for_ever() {
    let mut bench = Bench::ready(kubelet());
    let dump = |bench: &mut Bench, span: Duration| {
        for _ in 0..span.as_secs() {
            let started = bench.now;
            bench.pass(SECOND);
            let mut stopped = process(1, IDLE);
            stopped.state = RunState::Traced;
            stopped.dumper = Some(7);
            bench.see(Observation::Process(ProcessReport::Running(stopped)));
            bench.see(Observation::Ping(Attempt {
                started,
                result: TIMED_OUT,
            }));
        }
    };
    let limit = bench.policy.dump_limit;
    dump(&mut bench, limit);
    assert!(bench.left_alone());
    assert!(bench.has(Reason::DumpInProgress));
    assert!(bench.left_alone());
    let after = bench.policy.unresponsive_after;
    dump(&mut bench, after - SECOND * 2);
    assert_eq!(
        bench.live(),
        Verdict::Pass,
        "it may answer once the dump ends"
    );
    dump(&mut bench, seconds(2));
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn a_throttled_engine_gets_more_time() {
    let mut bench = Bench::ready(kubelet());
    bench.see(Observation::Cgroup(CgroupReport {
        throttled_ratio: Some(0.9),
        ..CgroupReport::default()
    }));
    let limit = bench.policy.unresponsive_after * bench.policy.throttled_stretch;
    bench.live_for(limit - SECOND, IDLE, &TIMED_OUT);
    assert!(bench.left_alone());
    assert!(bench.has(Reason::CpuThrottled));
    bench.live_for(seconds(3), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn a_frozen_engine_is_not_hung() {
    let mut bench = Bench::ready(kubelet());
    bench.see(Observation::Cgroup(CgroupReport {
        frozen: Some(true),
        ..CgroupReport::default()
    }));
    bench.live_for(seconds(600), IDLE, &TIMED_OUT);
    assert!(bench.left_alone());
    assert!(bench.has(Reason::CgroupFrozen));
}

/// Found by the simulation: the moment at which a dump ends comes before the first answer after it.
#[test]
fn silence_counts_from_the_end_of_what_excused_it() {
    let frozen = |frozen| {
        Observation::Cgroup(CgroupReport {
            frozen: Some(frozen),
            ..CgroupReport::default()
        })
    };
    let mut bench = Bench::ready(Policy::default());
    bench.see(frozen(true));
    bench.live_for(seconds(600), IDLE, &TIMED_OUT);
    bench.see(frozen(false));
    assert!(bench.left_alone(), "it has had no time to answer");
    let after = bench.policy.unresponsive_after;
    bench.live_for(after - SECOND, IDLE, &TIMED_OUT);
    assert!(bench.left_alone());
    bench.live_for(SECOND, IDLE, &TIMED_OUT);
    assert!(bench.decision.action.is_some());

    let mut bench = Bench::new(Policy::default());
    bench.see(running(1, IDLE));
    bench.see(not_listening());
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.see(frozen(true));
    bench.live_for(seconds(3600), IDLE, &refused);
    bench.see(frozen(false));
    let after = bench.policy.startup_stalled_after;
    bench.live_for(after - SECOND, IDLE, &refused);
    assert!(bench.left_alone());
    bench.live_for(SECOND * 2, IDLE, &refused);
    assert!(bench.has(Reason::StartupStalled));

    let mut bench = Bench::ready(Policy::default());
    bench.see(recovering("master", 30.0));
    bench.see(frozen(true));
    bench.live_for(seconds(3600), IDLE, &answered_result());
    bench.see(frozen(false));
    bench.live_for(after - SECOND, IDLE, &answered_result());
    assert!(bench.left_alone());
    bench.live_for(SECOND * 2, IDLE, &answered_result());
    assert!(bench.has(Reason::RecoveryStalled));
}

#[test]
fn a_stop_on_purpose_holds_liveness() {
    let mut bench = Bench::ready(kubelet());
    bench.pass(SECOND);
    bench.see(Observation::Operator(OperatorCommand::Stopping));
    assert_eq!(bench.decision.ready.reasons, [Reason::Stopping]);
    let closed = AttemptResult::Failed(ContactError::Closed);
    bench.live_for(seconds(600), IDLE, &closed);
    assert!(bench.left_alone());
    bench.see(running(2, IDLE));
    assert!(
        !bench.has(Reason::Stopping),
        "a new process is not stopping"
    );
}

#[test]
fn maintenance_holds_liveness_and_ends_by_itself() {
    let mut bench = Bench::ready(kubelet());
    let until = bench.now.plus(seconds(120));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    assert_eq!(bench.is_ready(), Verdict::Pass, "readiness is real");
    bench.live_for(seconds(119), IDLE, &TIMED_OUT);
    assert!(bench.left_alone());
    bench.live_for(seconds(2), IDLE, &TIMED_OUT);
    assert!(bench.left_alone(), "no verdict from the silence");
    let after = bench.policy.unresponsive_after;
    bench.live_for(after, IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

fn hang(bench: &mut Bench, generation: u64) {
    bench.see(running(generation, IDLE));
    bench.ping_ok();
    bench.hang_for(seconds(40), generation);
}

#[test]
fn restarts_that_do_not_help_end() {
    let mut bench = Bench::ready(kubelet());
    for generation in 1..=3 {
        hang(&mut bench, generation);
        assert_eq!(bench.live(), Verdict::Fail, "restart {generation}");
    }
    hang(&mut bench, 4);
    assert_eq!(bench.live(), Verdict::Pass);
    assert!(bench.has(Reason::RestartBudgetExhausted));
    assert!(bench.has(Reason::EngineUnresponsive));
    bench.see(Observation::Operator(OperatorCommand::Release));
    assert_eq!(bench.live(), Verdict::Fail, "released");
}

#[test]
fn a_restart_that_helped_does_not_count() {
    let mut bench = Bench::ready(kubelet());
    for generation in 1..=6 {
        hang(&mut bench, generation);
        assert_eq!(bench.live(), Verdict::Fail, "restart {generation}");
        bench.see(running(generation + 1, IDLE));
        bench.ping_ok();
        for _ in 0..80 {
            bench.pass(SECOND);
            bench.see(running(generation + 1, IDLE));
            bench.ping_ok();
        }
    }
}

#[test]
fn silent_logins_make_an_answering_engine_busy() {
    let mut bench = Bench::ready(kubelet());
    bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    assert_eq!(
        bench.is_ready(),
        Verdict::Pass,
        "one slow login is no reason"
    );
    bench.ping_ok();
    bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    assert_eq!(bench.decision.ready.reasons, [Reason::EngineBusy]);
}

#[test]
fn readiness_ends_when_the_last_answer_grows_old() {
    let mut bench = Bench::ready(kubelet());
    bench.pass(bench.policy.ready_freshness);
    assert_eq!(bench.is_ready(), Verdict::Fail);
    assert_eq!(bench.decision.ready.reasons, [Reason::NoFreshAnswer]);
}
