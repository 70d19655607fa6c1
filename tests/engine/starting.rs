//! Starts that recover, stand still or fail, and what the engine's own logs say of them.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::Verdict;
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::reason::{Outcome, Reason};

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;
const REFUSED: AttemptResult = AttemptResult::Failed(ContactError::Refused);

fn logged(change: impl FnOnce(&mut EngineLog)) -> Observation {
    let mut check = healthy_volume();
    let mut errorlog = log(5000);
    errorlog.start.begun = true;
    change(&mut errorlog);
    check.errorlog = Some(errorlog);
    volume(check)
}

fn recovery(percent: u8, phase: Option<u8>, remaining: Option<Duration>) -> LoggedRecovery {
    LoggedRecovery {
        database: "master".to_owned(),
        percent,
        remaining,
        phase,
    }
}

/// An engine that ended in its start with `status`, after the log said what `said` makes of it.
fn failed_start(status: ExitStatus, said: impl FnOnce(&mut EngineLog)) -> Bench {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.live_for(seconds(2), IDLE, &REFUSED);
    bench.see(logged(said));
    bench.see(exited(Some(status)));
    bench
}

#[test]
fn a_recovery_that_only_the_errorlog_tells_of_is_shown_and_waited_for() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    for minute in 0..120_u8 {
        let percent = minute.min(99);
        bench.see(logged(|log| {
            log.recovery = Some(recovery(percent, Some(2), Some(seconds(100))));
        }));
        bench.live_for(seconds(60), IDLE, &REFUSED);
        if minute < 110 {
            assert_eq!(bench.live(), Verdict::Pass, "minute {minute}");
        }
    }
    let finding = bench.decision.finding(Reason::Recovering).expect("found");
    assert_eq!(
        finding.evidence,
        "master, 99 % of phase 2, about 100 s left (errorlog)"
    );
    assert_eq!(
        bench.decision.live.reasons,
        [Reason::StartupStalled],
        "it has stood at 99 % for 20 minutes"
    );
}

#[test]
fn the_output_tells_as_the_errorlog_does() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    let mut check = healthy_volume();
    check.output = Some(EngineLog {
        recovery: Some(recovery(7, None, None)),
        ..log(10)
    });
    bench.see(volume(check));
    let finding = bench.decision.finding(Reason::Recovering).expect("found");
    assert_eq!(finding.evidence, "master, 7 % (output)");
}

#[test]
fn a_phase_of_the_recovery_is_progress_too() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    for phase in 1..=3 {
        bench.see(logged(|log| {
            log.recovery = Some(recovery(0, Some(phase), None));
        }));
        bench.live_for(seconds(14 * 60), IDLE, &REFUSED);
        assert_eq!(bench.live(), Verdict::Pass, "phase {phase}");
    }
    bench.live_for(seconds(2 * 60), IDLE, &REFUSED);
    assert_eq!(bench.decision.live.reasons, [Reason::StartupStalled]);
}

#[test]
fn a_recovery_beside_a_serving_engine_is_restarted_once_it_stands_still() {
    let mut bench = Bench::ready(kubelet());
    bench.see(recovering("master", 30.0));
    let limit = bench.policy.startup_stalled_after;
    bench.live_for(limit - SECOND, IDLE, &answered_result());
    assert_eq!(bench.live(), Verdict::Pass);
    bench.live_for(seconds(2), IDLE, &answered_result());
    assert_eq!(bench.decision.live.reasons, [Reason::RecoveryStalled]);
    bench.see(recovering("master", 31.0));
    assert_eq!(bench.live(), Verdict::Pass, "it advances again");
}

#[test]
fn the_recovery_of_a_database_that_is_not_required_restarts_nothing() {
    let mut bench = Bench::ready(kubelet());
    bench.see(recovering("archive", 30.0));
    bench.live_for(seconds(3600), IDLE, &answered_result());
    assert_eq!(bench.live(), Verdict::Pass);
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn why_a_start_failed_is_named_and_no_restart_is_asked_for() {
    for (fault, reason) in [
        (StartFault::EvaluationExpired, Reason::EvaluationExpired),
        (StartFault::EulaNotAccepted, Reason::EulaNotAccepted),
        (StartFault::PasswordRejected, Reason::SaPasswordRejected),
        (StartFault::MasterUnrecoverable, Reason::MasterUnrecoverable),
        (StartFault::DataDirectoryDenied, Reason::DataDirectoryDenied),
        (StartFault::MemoryTooSmall, Reason::MemoryTooSmall),
        (StartFault::ListenFailed, Reason::ListenFailed),
        (
            StartFault::SystemDatabaseUnreadable(FileFault::Missing),
            Reason::SystemDatabaseUnreadable,
        ),
        (
            StartFault::SystemDatabaseUnreadable(FileFault::Denied),
            Reason::SystemDatabaseUnreadable,
        ),
        (
            StartFault::SystemDatabaseUnreadable(FileFault::Other),
            Reason::SystemDatabaseUnreadable,
        ),
        (
            StartFault::SystemDatabaseUnreadable(FileFault::NoSpace),
            Reason::DiskFull,
        ),
    ] {
        let mut bench = failed_start(ExitStatus::Code(1), |log| log.start_fault = Some(fault));
        let reasons = &bench.decision.ready.reasons;
        assert!(reasons.contains(&reason), "{fault:?}: {reasons:?}");
        assert!(reasons.contains(&Reason::ProcessExited), "{reasons:?}");
        assert!(!reasons.contains(&Reason::StartFailed), "{reasons:?}");
        assert_eq!(reason.info().outcome, Outcome::Operator);
        let finding = bench.decision.finding(reason).expect("found");
        assert!(finding.evidence.ends_with("(errorlog)"), "{finding:?}");
        bench.pass(seconds(600));
        assert_eq!(bench.live(), Verdict::Pass, "{fault:?}");
        assert!(bench.has(Reason::ProcessMissing));
    }
}

#[test]
fn a_start_that_failed_without_a_word_says_how_it_ended() {
    let bench = failed_start(ExitStatus::Code(255), |_| ());
    let finding = bench.decision.finding(Reason::StartFailed).expect("found");
    assert_eq!(finding.evidence, "exit code 255");
    let bench = failed_start(ExitStatus::Signal(6), |_| ());
    let finding = bench.decision.finding(Reason::StartFailed).expect("found");
    assert_eq!(finding.evidence, "signal 6");
}

#[test]
fn an_engine_that_had_started_has_not_failed_to() {
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| {
        log.start_fault = Some(StartFault::EvaluationExpired);
    }));
    assert!(!bench.has(Reason::EvaluationExpired));
    bench.see(exited(Some(ExitStatus::Code(1))));
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessExited]);
}

#[test]
fn the_next_start_is_judged_by_itself() {
    let mut bench = failed_start(ExitStatus::Code(1), |log| {
        log.start_fault = Some(StartFault::ListenFailed);
    });
    bench.see(running(2, IDLE));
    assert_eq!(bench.decision.ready.reasons, [Reason::Starting]);
    bench.ping_ok();
    bench.see(exited(Some(ExitStatus::Code(1))));
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessExited]);
}

#[test]
fn memory_that_ran_out_in_the_start_needs_no_other_name() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    let killed = Some(ExitStatus::Signal(9));
    bench.see(exit_of(ProcessRole::Engine, killed, true));
    assert_eq!(bench.decision.ready.reasons, [Reason::OomKilled]);
}

#[test]
fn edge_on_a_kernel_that_it_crashes_on() {
    let kernel = |minor| Observation::Kernel(KernelVersion { major: 6, minor });
    for (status, minor, edge, found) in [
        (ExitStatus::Signal(6), 7, Some(true), true),
        (ExitStatus::Signal(11), 8, Some(true), true),
        (ExitStatus::Code(134), 7, Some(true), true),
        (ExitStatus::Code(139), 7, Some(true), true),
        (ExitStatus::Code(255), 7, Some(true), true),
        (ExitStatus::Code(1), 7, Some(true), false),
        (ExitStatus::Signal(15), 7, Some(true), false),
        (ExitStatus::Signal(6), 6, Some(true), false),
        (ExitStatus::Signal(6), 7, Some(false), false),
        (ExitStatus::Signal(6), 7, None, false),
    ] {
        let mut bench = failed_start(status, |log| log.edge = edge);
        assert!(!bench.has(Reason::KernelUnsupported), "not known yet");
        bench.see(kernel(minor));
        let case = format!("{status:?} on 6.{minor}, edge {edge:?}");
        assert_eq!(bench.has(Reason::KernelUnsupported), found, "{case}");
        assert_eq!(bench.has(Reason::StartFailed), !found, "{case}");
    }
}

#[test]
fn edge_is_known_by_its_edition_too() {
    let mut bench = failed_start(ExitStatus::Signal(6), |_| ());
    bench.see(Observation::Kernel(KernelVersion { major: 7, minor: 0 }));
    assert!(!bench.has(Reason::KernelUnsupported));
    let edition = |engine_edition| {
        Observation::Server(ServerProperties {
            engine_edition,
            ..ServerProperties::default()
        })
    };
    bench.see(edition(3));
    assert!(!bench.has(Reason::KernelUnsupported));
    bench.see(edition(9));
    let finding = bench.decision.finding(Reason::KernelUnsupported);
    assert_eq!(finding.expect("found").evidence, "Linux 7.0");
}

#[test]
fn a_growing_core_is_a_dump_until_it_stands_still() {
    let mut bench = Bench::ready(kubelet());
    let core = |bytes: Option<u64>| {
        let mut check = healthy_volume();
        check.dumps = Some(Dumps {
            count: 1,
            bytes: bytes.unwrap_or(9_000),
            writing_bytes: bytes,
        });
        volume(check)
    };
    bench.see(core(Some(1000)));
    assert!(!bench.has(Reason::DumpInProgress), "it may be an old one");
    bench.ping_fails(ContactError::TimedOut(Stage::Query));
    for megabytes in 2..14 {
        bench.live_for(seconds(5), IDLE, &TIMED_OUT);
        bench.see(core(Some(megabytes * 1000)));
        assert!(bench.has(Reason::DumpInProgress));
    }
    let finding = bench.decision.finding(Reason::DumpInProgress);
    let evidence = &finding.expect("found").evidence;
    assert_eq!(evidence, "a core under log/ has grown for 55 s");
    assert_eq!(bench.live(), Verdict::Pass);
    bench.live_for(seconds(58), IDLE, &TIMED_OUT);
    assert!(!bench.has(Reason::DumpInProgress));
    assert_eq!(bench.live(), Verdict::Pass, "its silence counts from then");
    bench.live_for(seconds(3), IDLE, &TIMED_OUT);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn what_dumps_take_is_said_where_room_runs_out() {
    for (free, reason, evidence) in [
        (
            500 << 20,
            Reason::DiskLow,
            "6.1 % of the bytes are free; 2 dumps take 7000 bytes",
        ),
        (
            1 << 20,
            Reason::DiskFull,
            "1048576 bytes of 8589934592 are free; 2 dumps take 7000 bytes",
        ),
    ] {
        let mut check = healthy_volume();
        check.space.as_mut().expect("known").free_bytes = free;
        check.dumps = Some(Dumps {
            count: 2,
            bytes: 7000,
            writing_bytes: None,
        });
        let mut bench = Bench::ready(kubelet());
        bench.see(volume(check));
        assert_eq!(
            bench.decision.finding(reason).expect("found").evidence,
            evidence
        );
    }
}

#[test]
fn the_control_groups_io_counts_where_the_processs_may_not_be_read() {
    let mut bench = Bench::ready(kubelet());
    let mut bytes = 0;
    let mut hang = |bench: &mut Bench, rate: u64| {
        for _ in 0..60 {
            bytes += rate;
            bench.see(Observation::Cgroup(CgroupReport {
                io_bytes: Some(bytes),
                ..CgroupReport::default()
            }));
            bench.live_for(SECOND, IDLE, &TIMED_OUT);
        }
    };
    hang(&mut bench, 20_000);
    assert!(bench.has(Reason::EngineBusy));
    assert_eq!(bench.live(), Verdict::Pass);
    hang(&mut bench, 1_000);
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn counters_of_two_sources_are_never_compared() {
    let mut bench = Bench::ready(kubelet());
    for second in 0..60_u64 {
        let started = bench.now;
        bench.pass(SECOND);
        let mut seen = process(1, IDLE);
        seen.io_bytes = (second % 2 == 0).then_some(4_000_000_000);
        bench.see(Observation::Cgroup(CgroupReport {
            io_bytes: Some(1_000),
            ..CgroupReport::default()
        }));
        bench.see(Observation::Process(ProcessReport::Running(seen)));
        bench.see(Observation::Ping(Attempt {
            started,
            result: TIMED_OUT,
        }));
    }
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn the_control_groups_cpu_counts_where_the_processs_may_not_be_read() {
    let mut bench = Bench::ready(kubelet());
    let mut opaque = process(1, IDLE);
    opaque.cpu = None;
    for (used, reason) in [(900, Reason::EngineBusy), (1, Reason::EngineUnresponsive)] {
        for second in 0..70 {
            let started = bench.now;
            bench.pass(SECOND);
            bench.see(Observation::Cgroup(CgroupReport {
                cpu_used: Some(Duration::from_millis(1_000_000 + used * second)),
                ..CgroupReport::default()
            }));
            bench.see(Observation::Process(ProcessReport::Running(opaque.clone())));
            bench.see(Observation::Ping(Attempt {
                started,
                result: TIMED_OUT,
            }));
        }
        assert!(bench.has(reason), "{:?}", bench.decision.findings);
    }
}

#[test]
fn the_administrator_connection_keeps_a_silent_engine() {
    let mut bench = Bench::ready(kubelet());
    for _ in 0..12 {
        bench.live_for(seconds(10), IDLE, &TIMED_OUT);
        bench.see(Observation::Dac(answered(bench.now)));
    }
    assert_eq!(bench.live(), Verdict::Pass);
    assert_eq!(bench.decision.ready.reasons, [Reason::EngineBusy]);
    let finding = bench.decision.finding(Reason::EngineBusy).expect("found");
    assert!(
        finding
            .evidence
            .ends_with("the administrator connection answers"),
        "{finding:?}"
    );
    // an error is an answer as well: 17810, another administrator has it
    for _ in 0..12 {
        bench.live_for(seconds(10), IDLE, &TIMED_OUT);
        bench.see(Observation::Dac(failed(bench.now, server(17810))));
    }
    assert_eq!(bench.live(), Verdict::Pass);
    for _ in 0..4 {
        bench.live_for(seconds(10), IDLE, &TIMED_OUT);
        bench.see(Observation::Dac(failed(bench.now, ContactError::Refused)));
    }
    assert_eq!(bench.decision.live.reasons, [Reason::EngineUnresponsive]);
}

#[test]
fn how_busy_it_is_stands_in_the_evidence() {
    let mut bench = Bench::ready(kubelet());
    bench.see(diagnostics(|report| report.tasks_completed = Some(412)));
    bench.live_for(seconds(11), IDLE, &TIMED_OUT);
    let finding = bench.decision.finding(Reason::EngineBusy).expect("found");
    assert!(
        finding
            .evidence
            .ends_with("diagnostics arrive, with 412 tasks completed in the last interval"),
        "{finding:?}"
    );
}

#[test]
fn memory_that_ran_out_counts_when_it_lasts() {
    for (level, live) in [(3, Verdict::Pass), (4, Verdict::Fail)] {
        let mut bench = Bench::ready(sql_edge_supervisor::decide::policy::Policy {
            failure_condition_level: level,
            ..kubelet()
        });
        let exhausted = AttemptResult::Failed(server(701));
        bench.live_for(bench.policy.out_of_memory_after, IDLE, &exhausted);
        assert!(!bench.has(Reason::OutOfMemory));
        assert_eq!(bench.decision.ready.reasons, [Reason::EngineBusy]);
        bench.live_for(seconds(2), IDLE, &exhausted);
        assert!(bench.has(Reason::OutOfMemory));
        assert_eq!(bench.live(), live, "level {level}");
        bench.ping_ok();
        assert!(!bench.has(Reason::OutOfMemory));
        assert_eq!(bench.live(), Verdict::Pass);
    }
}
