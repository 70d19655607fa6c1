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

/// What the engine of SQL Server 2019 and later writes where its own directory is on a file system that is read-only.
const READ_ONLY: &str = "/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created. File: LinuxDirectory.cpp:420 [Status: 0xC00000A2 Media Write Protected errno = 0x1E(30) Read-only file system]";

#[test]
fn an_engines_last_words_of_its_volume_shut_the_gate_until_the_volume_has_passed_a_check() {
    let mut bench = failed_start(ExitStatus::Code(1), |log| *log = wrote(1000, &[READ_ONLY]));
    assert!(bench.has(Reason::VolumeReadOnly));
    assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
    assert_eq!(bench.decision.gate.reasons, [Reason::VolumeReadOnly]);
    // A check that began before the end and finishes after it says nothing of what came to be.
    let said = |check: &mut VolumeCheck| check.errorlog = Some(wrote(1000, &[READ_ONLY]));
    let mut same = healthy_volume();
    said(&mut same);
    bench.pass(seconds(1));
    bench.see(volume_began());
    bench.pass(seconds(1));
    bench.see(volume(same.clone()));
    bench.pass(kubelet().settle);
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
    let evidence = &bench
        .decision
        .finding(Reason::VolumeReadOnly)
        .expect("found")
        .evidence;
    assert!(
        evidence.ends_with("The volume has passed a check since."),
        "{evidence}"
    );
    assert_eq!(bench.is_ready(), Verdict::Fail, "nobody serves");
    // One that fails now is found by itself, and shuts it.
    same.write = WriteCheck::Failed(VolumeFault::ReadOnly);
    bench.see(volume_began());
    bench.pass(seconds(1));
    bench.see(volume(same));
    assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
    assert_eq!(bench.decision.gate.reasons, [Reason::VolumeReadOnly]);
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
            assert!(bench.left_alone(), "minute {minute}");
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
        assert!(bench.left_alone(), "phase {phase}");
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
    assert!(bench.left_alone());
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
    assert!(bench.left_alone());
    assert_eq!(bench.is_ready(), Verdict::Pass);
}

#[test]
fn why_a_start_failed_is_named_and_no_restart_is_asked_for() {
    for (number, text, reason) in [
        (17051, "x", Reason::EvaluationExpired),
        (
            3417,
            "Cannot recover the master database.",
            Reason::MasterUnrecoverable,
        ),
        (
            17058,
            "error = 5(Access is denied.).",
            Reason::DataDirectoryDenied,
        ),
        (17182, "error 0x2740, status code 0xa", Reason::ListenFailed),
        (
            17113,
            "Error 2(x) occurred",
            Reason::SystemDatabaseUnreadable,
        ),
        (17113, "Error 5(x) occurred", Reason::MasterFileDenied),
        (17113, "Error 87(x) occurred", Reason::StorageUnsupported),
        (17113, "Error 112(x) occurred", Reason::DiskFull),
        (
            912,
            "encountered error 2714, state 6",
            Reason::UpgradeFailed,
        ),
        (912, "encountered error 1105, state 2", Reason::DiskFull),
        (
            948,
            "The database 'master' cannot be opened",
            Reason::DowngradeRefused,
        ),
        (4711, "nobody knows it", Reason::StartFailed),
    ] {
        let mut bench = failed_start(ExitStatus::Code(1), |log| *log = wrote_error(number, text));
        let reasons = &bench.decision.ready.reasons;
        assert!(reasons.contains(&reason), "{number}: {reasons:?}");
        assert!(reasons.contains(&Reason::ProcessExited), "{reasons:?}");
        assert_eq!(reason.info().outcome, Outcome::Operator);
        let finding = bench.decision.finding(reason).expect("found");
        let quoted = format!("error {number}, state 1: {text} (errorlog)");
        assert!(finding.evidence.contains(&quoted), "{finding:?}");
        bench.pass(seconds(600));
        // What nobody knows a restart may help.
        let held = reason.info().holds;
        assert_eq!(bench.live() == Verdict::Pass, held, "{number}");
        assert_eq!(held, reason != Reason::StartFailed, "{number}");
        assert!(bench.has(Reason::ProcessMissing));
    }
}

#[test]
fn a_start_that_failed_without_a_word_says_how_it_ended() {
    for (status, how) in [
        (ExitStatus::Code(255), "exit code 255"),
        (ExitStatus::Signal(6), "signal 6"),
    ] {
        let bench = failed_start(status, |_| ());
        let finding = bench.decision.finding(Reason::StartFailed).expect("found");
        assert!(finding.evidence.starts_with(how), "{finding:?}");
    }
}

#[test]
fn how_an_engine_ended_explains_it_only_where_its_log_has_no_complete_start() {
    let cannot_execute = ExitStatus::Code(126);
    let bench = failed_start(cannot_execute, |_| ());
    assert!(bench.has(Reason::NotExecutable), "{:?}", bench.decision);
    let bench = failed_start(cannot_execute, |log| log.start.complete = true);
    assert!(!bench.has(Reason::NotExecutable));
    assert!(bench.has(Reason::StartFailed));
}

#[test]
fn a_start_ends_with_recovery_is_complete_and_not_with_ready() {
    let ready = "SQL Server is now ready for client connections.";
    let denied = [
        ready,
        "Error: 5123, Severity: 16, State: 1.",
        "CREATE FILE encountered operating system error 5(Access is denied.) while attempting to open or create the physical file '/var/opt/mssql/data/tempdb.mdf'.",
        "Could not create tempdb. You may not have enough disk space available.",
    ];
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| *log = wrote(1000, &denied)));
    bench.see(exited(Some(ExitStatus::Code(1))));
    assert!(
        bench.has(Reason::TempdbUnavailable),
        "{:?}",
        bench.decision.findings
    );

    let complete = [ready, "Recovery is complete.", denied[1], denied[2]];
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| *log = wrote(1000, &complete)));
    bench.see(exited(Some(ExitStatus::Code(1))));
    assert_eq!(
        bench.decision.ready.reasons,
        [Reason::ProcessExited],
        "an error of everyday"
    );
}

#[test]
fn a_crash_that_nobody_knows_ends_a_running_engine_and_is_no_failed_start() {
    let crash = "This program has encountered a fatal error and cannot continue running";
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| {
        *log = wrote(1000, &["Recovery is complete.", crash]);
    }));
    bench.see(exited(Some(ExitStatus::Code(255))));
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessExited]);
    let finding = bench.decision.finding(Reason::EngineFault).expect("named");
    assert_eq!(
        finding.evidence,
        "the platform layer crashed: fatal error (errorlog)"
    );
}

#[test]
fn of_two_logs_the_one_that_explains_more_is_quoted_and_else_the_errorlog() {
    let full = || wrote_error(1105, "encountered error 1105, state 2");
    let unknown = || wrote_error(4711, "nobody knows it");
    for (errorlog, output, reason, quoted) in [
        (full(), full(), Reason::DiskFull, "(errorlog)"),
        (full(), unknown(), Reason::DiskFull, "(errorlog)"),
        (unknown(), full(), Reason::DiskFull, "(output)"),
        (unknown(), unknown(), Reason::StartFailed, "(errorlog)"),
    ] {
        let mut bench = Bench::new(kubelet());
        bench.see(running(1, IDLE));
        let mut check = healthy_volume();
        check.errorlog = Some(errorlog);
        check.output = Some(output);
        bench.see(volume(check));
        bench.see(exited(Some(ExitStatus::Code(1))));
        let finding = bench.decision.finding(reason).expect("found");
        assert!(finding.evidence.contains(quoted), "{finding:?}");
    }
}

#[test]
fn what_ends_a_running_engine_is_named_after_its_first_error() {
    let lines = [
        "SQL Server is now ready for client connections.",
        "Recovery is complete.",
        "Error: 17053, Severity: 16, State: 1.",
        "LogWriter: Operating system error 1117(The request could not be performed) encountered.",
        "Error: 9001, Severity: 21, State: 4.",
        "The log for database 'master' is not available.",
    ];
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| *log = wrote(1000, &lines)));
    assert!(!bench.has(Reason::VolumeIoError), "it runs");
    bench.see(exited(Some(ExitStatus::Code(1))));
    let finding = bench
        .decision
        .finding(Reason::VolumeIoError)
        .expect("found");
    assert!(finding.evidence.contains("error 17053"), "{finding:?}");
    assert!(bench.left_alone());
}

#[test]
fn an_engine_that_had_started_has_not_failed_to() {
    let mut bench = Bench::ready(kubelet());
    bench.see(logged(|log| {
        *log = wrote_error(5120, "Operating system error 2: x");
    }));
    assert!(!bench.has(Reason::SystemDatabaseUnreadable));
    bench.see(exited(Some(ExitStatus::Code(1))));
    assert_eq!(bench.decision.ready.reasons, [Reason::ProcessExited]);
}

#[test]
fn the_next_start_is_judged_by_itself() {
    let mut bench = failed_start(ExitStatus::Code(1), |log| *log = wrote_error(17826, "x"));
    bench.see(running(2, IDLE));
    assert_eq!(bench.decision.ready.reasons, [Reason::Starting]);
    bench.see(logged(|log| *log = wrote(10, &["Recovery is complete."])));
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

/// A build of which the banner was read.
fn build(edge: bool, year: u16, version: Option<[u16; 4]>) -> Option<EngineBuild> {
    Some(EngineBuild {
        edge,
        year: Some(year).filter(|_| !edge),
        version,
    })
}

#[test]
fn builds_that_crash_on_a_new_kernel() {
    let kernel = |minor| Observation::Kernel(KernelVersion { major: 6, minor });
    let edge = build(true, 0, None);
    for (status, minor, engine, found) in [
        (ExitStatus::Signal(6), 7, edge, true),
        (ExitStatus::Signal(11), 8, edge, true),
        (ExitStatus::Code(134), 7, edge, true),
        (ExitStatus::Code(139), 7, edge, true),
        (ExitStatus::Code(255), 7, edge, true),
        (ExitStatus::Code(1), 7, edge, false),
        (ExitStatus::Signal(15), 7, edge, false),
        (ExitStatus::Signal(6), 6, edge, false),
        (ExitStatus::Signal(6), 7, build(false, 2017, None), true),
        (
            ExitStatus::Signal(6),
            7,
            build(false, 2019, Some([15, 0, 4223, 1])),
            true,
        ),
        (ExitStatus::Signal(6), 7, build(false, 2022, None), true),
        (
            ExitStatus::Signal(6),
            7,
            build(false, 2022, Some([16, 0, 4085, 2])),
            true,
        ),
        (
            ExitStatus::Signal(6),
            7,
            build(false, 2022, Some([16, 0, 4105, 2])),
            false,
        ),
        (ExitStatus::Signal(6), 7, build(false, 2025, None), false),
        (ExitStatus::Signal(6), 7, None, false),
    ] {
        let mut bench = failed_start(status, |log| log.engine = engine);
        assert!(!bench.has(Reason::KernelUnsupported), "not known yet");
        bench.see(kernel(minor));
        let case = format!("{status:?} on 6.{minor}, {engine:?}");
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
    assert!(finding.expect("found").evidence.contains("Linux 7.0"));
}

#[test]
fn a_host_that_the_engine_can_not_run_on() {
    let host = |page_bytes, cpu_suffices| {
        Observation::Host(HostFacts {
            page_bytes: Some(page_bytes),
            cpu_suffices: Some(cpu_suffices),
            stack_unlimited: Some(false),
        })
    };
    for (status, page_bytes, cpu, found) in [
        (ExitStatus::Signal(6), 16_384, true, true),
        (ExitStatus::Signal(6), 4096, true, false),
        (ExitStatus::Signal(4), 4096, false, true),
        (ExitStatus::Code(132), 4096, false, true),
        (ExitStatus::Signal(4), 4096, true, false),
        (ExitStatus::Code(1), 65_536, false, false),
    ] {
        let mut bench = failed_start(status, |_| ());
        bench.see(host(page_bytes, cpu));
        let case = format!("{status:?}, pages of {page_bytes}, {cpu}");
        assert_eq!(bench.has(Reason::HostUnsupported), found, "{case}");
    }
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
    bench.ping_fails(ContactError::TimedOut(AttemptStage::Query));
    for megabytes in 2..14 {
        bench.live_for(seconds(5), IDLE, &TIMED_OUT);
        bench.see(core(Some(megabytes * 1000)));
        assert!(bench.has(Reason::DumpInProgress));
    }
    let finding = bench.decision.finding(Reason::DumpInProgress);
    let evidence = &finding.expect("found").evidence;
    assert_eq!(evidence, "a core under log/ has grown for 55 s");
    assert!(bench.left_alone());
    bench.live_for(seconds(58), IDLE, &TIMED_OUT);
    assert!(!bench.has(Reason::DumpInProgress));
    assert!(bench.left_alone(), "its silence counts from then");
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
    assert!(bench.left_alone());
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
    assert!(bench.left_alone());
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
    assert!(bench.left_alone());
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
