//! The evidence that people read: each line of it as it stands in an answer.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::Verdict;
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::Reason;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;

fn evidence(bench: &Bench, reason: Reason) -> &str {
    let finding = bench.decision.finding(reason);
    finding.map_or("", |finding| finding.evidence.as_str())
}

fn ready() -> Bench {
    Bench::ready(kubelet())
}

fn with_volume(change: impl FnOnce(&mut VolumeCheck)) -> Bench {
    let mut bench = ready();
    let mut check = healthy_volume();
    change(&mut check);
    bench.see(volume(check));
    bench
}

/// Before any engine was seen with a volume.
fn before_the_start(change: impl FnOnce(&mut VolumeCheck)) -> Bench {
    let mut bench = Bench::new(kubelet());
    let mut check = healthy_volume();
    change(&mut check);
    bench.see(volume(check));
    bench
}

fn seen(change: impl FnOnce(&mut RunningProcess)) -> Observation {
    let mut process = process(1, IDLE);
    change(&mut process);
    Observation::Process(ProcessReport::Running(process))
}

#[test]
fn before_anything_was_seen() {
    let mut bench = Bench::new(kubelet());
    assert_eq!(
        evidence(&bench, Reason::NotYetObserved),
        "no observation of the processes yet"
    );
    assert_eq!(
        evidence(&bench, Reason::VolumeUnchecked),
        "no check has finished"
    );
    bench.see(Observation::Process(ProcessReport::NotFound));
    assert_eq!(
        evidence(&bench, Reason::NotYetObserved),
        "no sqlservr is visible here and none answered"
    );
    let mut bench = Bench::new(Policy {
        required_databases: vec!["orders".to_owned()],
        ..kubelet()
    });
    bench.see(running(1, IDLE));
    bench.ping_ok();
    assert_eq!(
        evidence(&bench, Reason::NotYetObserved),
        "the required databases have not been listed yet"
    );
}

#[test]
fn how_a_process_ended() {
    for (status, reason, expected) in [
        (
            Some(ExitStatus::Signal(9)),
            Reason::ProcessKilled,
            "pid 100 ended by signal 9 (SIGKILL) 2.0 s ago",
        ),
        (
            Some(ExitStatus::Signal(11)),
            Reason::ProcessKilled,
            "pid 100 ended by signal 11 2.0 s ago",
        ),
        (
            Some(ExitStatus::Code(3)),
            Reason::ProcessExited,
            "pid 100 ended with exit code 3 2.0 s ago",
        ),
        (
            None,
            Reason::ProcessExited,
            "pid 100 ended 2.0 s ago; this kernel does not tell how",
        ),
    ] {
        let mut bench = ready();
        bench.see(exited(status));
        bench.pass(seconds(2));
        assert_eq!(evidence(&bench, reason), expected);
    }
    let mut bench = ready();
    let killed = Some(ExitStatus::Signal(9));
    bench.see(exit_of(ProcessRole::Engine, killed, true));
    assert_eq!(
        evidence(&bench, Reason::OomKilled),
        "pid 100 was killed 0.0 s ago and the oom_kill counter rose"
    );
}

#[test]
fn who_is_missing() {
    let mut bench = ready();
    bench.see(Observation::Process(ProcessReport::NotFound));
    assert_eq!(
        evidence(&bench, Reason::NotYetObserved),
        "sqlservr is gone; how it ended was not seen"
    );
    let grace = bench.policy.process_missing_after;
    bench.pass(grace - SECOND);
    assert!(!bench.has(Reason::ProcessMissing));
    bench.pass(SECOND);
    assert_eq!(
        evidence(&bench, Reason::ProcessMissing),
        "no sqlservr for 15 s"
    );
    assert!(!bench.has(Reason::NotYetObserved));
    let mut bench = ready();
    bench.see(seen(|process| process.engine = None));
    bench.pass(grace);
    assert_eq!(
        evidence(&bench, Reason::ProcessMissing),
        "the parent has had no engine for 15 s"
    );
}

#[test]
fn the_dead_and_the_stopped() {
    for (parent_too, pid) in [(false, 100), (true, 100)] {
        let mut bench = ready();
        bench.see(seen(|process| {
            process.state = RunState::Zombie;
            if parent_too {
                process.parent_state = RunState::Zombie;
            }
        }));
        let expected = format!("pid {pid} is a zombie");
        assert_eq!(evidence(&bench, Reason::ProcessExited), expected);
        bench.pass(seconds(5));
        let expected = format!("pid {pid} has been a zombie for 5.0 s");
        assert_eq!(evidence(&bench, Reason::ProcessZombie), expected);
    }
    let mut bench = ready();
    bench.see(seen(|process| {
        process.parent_state = RunState::Zombie;
        process.engine = None;
    }));
    assert_eq!(
        evidence(&bench, Reason::ProcessExited),
        "pid 99 is a zombie"
    );
    let mut bench = ready();
    bench.see(seen(|process| process.dumper = Some(7)));
    bench.pass(SECOND);
    assert_eq!(
        evidence(&bench, Reason::DumpInProgress),
        "paldumper (pid 7) has run for 1.0 s"
    );
    bench.see(seen(|process| process.state = RunState::Traced));
    assert_eq!(
        evidence(&bench, Reason::DumpInProgress),
        "the engine has been stopped by a tracer for 1.0 s"
    );
    bench.see(seen(|process| process.state = RunState::Stopped));
    assert!(!bench.has(Reason::DumpInProgress), "nothing would end it");
}

#[test]
fn a_stop_by_any_sign_of_it() {
    let mut bench = ready();
    bench.pass(SECOND);
    bench.see(Observation::Operator(OperatorCommand::Stopping));
    bench.pass(seconds(12));
    assert_eq!(evidence(&bench, Reason::Stopping), "for 12 s");
    for contact in [Observation::Ping, Observation::Login] {
        let mut bench = ready();
        let error = failed(bench.now, server(17188));
        bench.see(contact(error));
        assert_eq!(evidence(&bench, Reason::Stopping), "for 0.0 s");
        let limit = bench.policy.stopping_limit;
        bench.pass(limit);
        assert!(!bench.has(Reason::Stopping), "not for ever");
    }
    let mut bench = ready();
    bench.ping_fails(server(18456));
    assert!(!bench.has(Reason::Stopping));
}

#[test]
fn how_a_start_is_met() {
    for (error, expected) in [
        (None, "for 0.0 s; not asked yet"),
        (
            Some(ContactError::Refused),
            "for 0.0 s; the port is refused",
        ),
        (
            Some(ContactError::Closed),
            "for 0.0 s; connections are closed",
        ),
        (
            Some(ContactError::TimedOut(AttemptStage::Login)),
            "for 0.0 s; no answer",
        ),
        (Some(server(17187)), "for 0.0 s; error 17187 (not_ready)"),
        (
            Some(ContactError::Unreachable("no route".to_owned())),
            "for 0.0 s; it can't be asked",
        ),
    ] {
        let mut bench = Bench::new(kubelet());
        bench.see(running(1, IDLE));
        if let Some(error) = error {
            bench.ping_fails(error);
        }
        assert_eq!(evidence(&bench, Reason::Starting), expected);
    }
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.ping_fails(server(18401));
    assert_eq!(
        evidence(&bench, Reason::Starting),
        "for 0.0 s; error 18401 (script_upgrade)"
    );
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.see(not_listening());
    bench.live_for(seconds(901), IDLE, &refused);
    assert_eq!(
        evidence(&bench, Reason::StartupStalled),
        "started 901 s ago; no cpu, io or errorlog progress for 900 s"
    );
}

#[test]
fn what_is_refused_by_name() {
    for (error, reason, expected) in [
        (
            ContactError::Tls("expired".to_owned()),
            Reason::TlsFailed,
            "ping: expired",
        ),
        (
            ContactError::Credentials("no file".to_owned()),
            Reason::CredentialsUnreadable,
            "no file",
        ),
        (
            ContactError::Unreachable("no route".to_owned()),
            Reason::EngineUnreachable,
            "ping: no route",
        ),
        (
            ContactError::Protocol("HTTP".to_owned()),
            Reason::EngineUnreachable,
            "ping: HTTP",
        ),
        (
            server(18456),
            Reason::LoginFailed,
            "ping: error 18456, state 1, severity 14 (login_failed)",
        ),
        (
            server(4_000_000),
            Reason::QueryRefused,
            "ping: error 4000000, state 1, severity 14 (not in the table)",
        ),
    ] {
        let mut bench = ready();
        bench.ping_fails(error);
        assert_eq!(evidence(&bench, reason), expected);
    }
    let mut bench = ready();
    let denied = DatabasesReport::Failed(server(300));
    bench.see(Observation::Databases(denied));
    assert_eq!(
        evidence(&bench, Reason::PermissionMissing),
        "sys.databases: error 300 (view_server_state_denied)"
    );
    let mut bench = ready();
    let other = DatabasesReport::Failed(server(1222));
    bench.see(Observation::Databases(other));
    assert!(
        !bench.has(Reason::PermissionMissing),
        "that was another error"
    );
}

#[test]
fn silence() {
    let mut bench = ready();
    bench.live_for(seconds(31), IDLE, &TIMED_OUT);
    assert_eq!(
        evidence(&bench, Reason::EngineUnresponsive),
        "no answer for 31 s, and neither cpu nor io advance"
    );
    let mut bench = ready();
    bench.live_for(seconds(31), Duration::from_millis(900), &TIMED_OUT);
    assert_eq!(
        evidence(&bench, Reason::EngineBusy),
        "no answer for 31 s, but cpu or io advance"
    );
    let mut bench = ready();
    for _ in 0..31 {
        bench.pass(SECOND);
        bench.see(seen(|process| process.cpu = None));
        let started = bench.now;
        bench.see(Observation::Ping(Attempt {
            started,
            result: TIMED_OUT,
        }));
    }
    bench.pass(SECOND);
    assert_eq!(
        evidence(&bench, Reason::NoFreshAnswer),
        "no answer for 31 s; whether it advances can't be seen"
    );
    let mut bench = ready();
    let refused = AttemptResult::Failed(ContactError::Refused);
    bench.live_for(seconds(31), IDLE, &refused);
    assert_eq!(
        evidence(&bench, Reason::ListenerLost),
        "the port has been refused for 31 s"
    );
    let mut bench = ready();
    bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    bench.login_fails(ContactError::TimedOut(AttemptStage::Login));
    assert_eq!(
        evidence(&bench, Reason::EngineBusy),
        "2 fresh logins in a row got no answer"
    );
    // Without a sign of life it is not called busy, and not ready either.
    bench.ping_fails(ContactError::Closed);
    assert_eq!(
        evidence(&bench, Reason::NoFreshAnswer),
        "the last query was answered 0.0 s ago"
    );
    assert!(!bench.has(Reason::EngineBusy));
}

#[test]
fn an_answer_that_is_missing_or_old() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    bench.ping_fails(server(1222));
    let mut check = healthy_volume();
    check.write = WriteCheck::Skipped;
    bench.see(volume(check));
    assert!(bench.has(Reason::EngineBusy));
    let mut bench = ready();
    bench.pass(seconds(12));
    assert_eq!(
        evidence(&bench, Reason::NoFreshAnswer),
        "the last query was answered 12 s ago"
    );
    let mut bench = ready();
    bench.pass(seconds(9));
    bench.see(diagnostics(|_| ()));
    bench.pass(seconds(2));
    assert_eq!(
        evidence(&bench, Reason::EngineBusy),
        "the last query was answered 11 s ago; diagnostics arrive"
    );
    let mut bench = ready();
    let exhausted = AttemptResult::Failed(server(701));
    bench.live_for(seconds(62), IDLE, &exhausted);
    assert_eq!(evidence(&bench, Reason::OutOfMemory), "for 61 s");
}

#[test]
fn what_diagnostics_say() {
    let error = Some(ComponentState::Error);
    let twice = |change: fn(&mut Diagnostics)| {
        let mut bench = Bench::ready(Policy {
            failure_condition_level: 5,
            ..kubelet()
        });
        bench.see(diagnostics(change));
        assert!(bench.decision.findings.is_empty(), "once is not enough");
        bench.see(diagnostics(change));
        bench
    };
    let bench = twice(|report| report.system = Some(ComponentState::Error));
    assert_eq!(evidence(&bench, Reason::SystemError), "2 reports in a row");
    let bench = twice(|report| report.resource = Some(ComponentState::Error));
    assert_eq!(
        evidence(&bench, Reason::ResourceError),
        "2 reports in a row"
    );
    for (deadlocked, expected) in [
        (None, "2 reports in a row"),
        (Some(false), "2 reports in a row"),
        (Some(true), "2 reports in a row, with deadlocked schedulers"),
    ] {
        let mut bench = ready();
        for _ in 0..2 {
            bench.see(diagnostics(|report| {
                report.query_processing = error;
                report.deadlocked_schedulers = deadlocked;
            }));
        }
        assert_eq!(evidence(&bench, Reason::SchedulersDeadlocked), expected);
    }
}

#[test]
fn databases_by_name() {
    let required = || {
        Bench::ready(Policy {
            required_databases: vec!["Orders".to_owned()],
            ..kubelet()
        })
    };
    for (state, reason) in [
        (DatabaseState::Restoring, Reason::DatabaseRestoring),
        (
            DatabaseState::RecoveryPending,
            Reason::DatabaseRecoveryPending,
        ),
        (DatabaseState::Suspect, Reason::DatabaseSuspect),
        (DatabaseState::Emergency, Reason::DatabaseEmergency),
        (DatabaseState::Offline, Reason::DatabaseOffline),
        (DatabaseState::Recovering, Reason::Recovering),
    ] {
        let mut bench = required();
        bench.see(databases(&[
            ("master", DatabaseState::Online),
            ("orders", state),
        ]));
        assert_eq!(evidence(&bench, reason), "orders", "{state:?}");
    }
    let mut bench = required();
    bench.see(databases(&[("master", DatabaseState::Online)]));
    assert_eq!(
        evidence(&bench, Reason::DatabaseOffline),
        "Orders is not in sys.databases"
    );
    let mut bench = ready();
    bench.see(recovering("master", 30.0));
    bench.live_for(seconds(901), IDLE, &answered_result());
    assert_eq!(
        evidence(&bench, Reason::RecoveryStalled),
        "no percent, cpu, io or errorlog progress for 900 s"
    );
}

#[test]
fn mounts() {
    let bench = before_the_start(|check| check.mount = None);
    assert_eq!(
        evidence(&bench, Reason::VolumeNotMounted),
        "the data directory lies on the container's own file system"
    );
    let bench = before_the_start(|check| {
        check.mount = None;
        check.write = WriteCheck::Failed(VolumeFault::Missing);
    });
    assert!(
        !bench.has(Reason::VolumeNotMounted),
        "there is none to be mounted"
    );
    let bench = before_the_start(|check| check.engine_mount = Some(EngineMount::NotMounted));
    assert_eq!(
        evidence(&bench, Reason::VolumeNotMounted),
        "sqlservr writes to its container's own file system"
    );
    let bench = with_volume(|check| {
        let mut other = data_mount();
        other.read_only = true;
        check.mount = Some(other);
    });
    assert_eq!(
        evidence(&bench, Reason::VolumeReadOnly),
        "ext4 8:16 / is mounted ro"
    );
    let another: [fn(&mut Mount); 2] = [
        |mount| mount.device = "8:17".to_owned(),
        |mount| mount.root = "/sub".to_owned(),
    ];
    for (change, expected) in another.into_iter().zip([
        "sqlservr sees ext4 8:17 /, the supervisor ext4 8:16 /",
        "sqlservr sees ext4 8:16 /sub, the supervisor ext4 8:16 /",
    ]) {
        let bench = with_volume(|check| {
            let mut other = data_mount();
            change(&mut other);
            check.engine_mount = Some(EngineMount::Mounted(other));
        });
        assert_eq!(evidence(&bench, Reason::VolumeMismatch), expected);
    }
    let bench = with_volume(|check| check.engine_mount = None);
    assert!(
        bench.decision.findings.is_empty(),
        "not seen is no mismatch"
    );
    let bench = with_volume(|check| check.master_present = Some(false));
    assert_eq!(
        evidence(&bench, Reason::VolumeEmpty),
        "data/master.mdf is not there"
    );
}

#[test]
fn mounts_that_go_with_the_pod() {
    const EMPTY_DIR: &str = "/var/lib/kubelet/pods/7f0e/volumes/kubernetes.io~empty-dir/data/mssql";
    const ANONYMOUS: &str =
        "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/5d01/volumes/88a2";
    let mounted = |fs_type: &str, root: &str| {
        let (fs_type, root) = (fs_type.to_owned(), root.to_owned());
        move |check: &mut VolumeCheck| {
            let mount = check.mount.as_mut().expect("mounted");
            (mount.fs_type, mount.root) = (fs_type, root);
        }
    };
    for (fs_type, root, expected) in [
        ("ext4", EMPTY_DIR, "an emptyDir"),
        ("xfs", ANONYMOUS, "a container's anonymous volume"),
        ("tmpfs", "/", "in memory"),
        ("ramfs", "/", "in memory"),
    ] {
        let bench = before_the_start(mounted(fs_type, root));
        assert_eq!(
            evidence(&bench, Reason::VolumeEphemeral),
            format!("{fs_type} 8:16 {root} is {expected}")
        );
        assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
        for allowed in [
            Policy {
                allow_ephemeral: true,
                ..kubelet()
            },
            Policy {
                require_mount: false,
                ..kubelet()
            },
        ] {
            let mut bench = Bench::new(allowed);
            let mut check = healthy_volume();
            mounted(fs_type, root)(&mut check);
            bench.see(volume(check));
            assert!(!bench.has(Reason::VolumeEphemeral), "{root}");
        }
    }
    for root in [
        "/",
        "/pods/kubernetes.io~empty-dir",
        "/volumes/kubernetes.io~csi/pvc/mount",
    ] {
        let bench = before_the_start(mounted("ext4", root));
        assert!(!bench.has(Reason::VolumeEphemeral), "{root}");
    }
}

#[test]
fn a_mount_that_is_replaced_beneath_the_engine() {
    let other = || Mount {
        device: "7:1".to_owned(),
        ..data_mount()
    };
    let bench = with_volume(|check| check.mount = Some(other()));
    assert_eq!(
        evidence(&bench, Reason::VolumeReplaced),
        "the supervisor saw ext4 8:16 /, and sees ext4 7:1 / now"
    );
    let bench = with_volume(|check| check.engine_mount = Some(EngineMount::Mounted(other())));
    assert_eq!(
        evidence(&bench, Reason::VolumeReplaced),
        "sqlservr saw ext4 8:16 /, and sees ext4 7:1 / now"
    );
    let bench = with_volume(|check| check.mount = None);
    assert_eq!(
        evidence(&bench, Reason::VolumeNotMounted),
        "the supervisor saw ext4 8:16 /, which is not mounted any more"
    );
    let bench = with_volume(|check| check.engine_mount = Some(EngineMount::NotMounted));
    assert_eq!(
        evidence(&bench, Reason::VolumeNotMounted),
        "sqlservr saw ext4 8:16 /, which is not mounted any more"
    );
}

#[test]
fn a_mount_is_remembered_for_one_engine_only() {
    let other = |root: &str| Mount {
        root: root.to_owned(),
        ..data_mount()
    };
    let with = |root: &str| VolumeCheck {
        mount: Some(other(root)),
        engine_mount: Some(EngineMount::Mounted(other(root))),
        ..healthy_volume()
    };
    let mut bench = Bench::new(kubelet());
    bench.see(Observation::Process(ProcessReport::NotFound));
    bench.see(volume(with("/before")));
    bench.pass(seconds(1));
    bench.see(running(1, IDLE));
    bench.pass(seconds(1));
    let mut unseen_by_the_engine = with("/first");
    unseen_by_the_engine.engine_mount = None;
    bench.see(volume(unseen_by_the_engine));
    assert!(!bench.has(Reason::VolumeReplaced), "a volume mounted late");
    bench.see(volume(with("/second")));
    assert!(bench.has(Reason::VolumeReplaced));
    bench.see(volume(with("/first")));
    assert!(!bench.has(Reason::VolumeReplaced), "it is back");
    bench.see(volume(with("/second")));
    bench.pass(seconds(1));
    bench.see(running(2, IDLE));
    bench.pass(seconds(1));
    bench.see(volume(with("/second")));
    assert!(
        !bench.has(Reason::VolumeReplaced),
        "this engine has seen no other"
    );
}

#[test]
fn a_refused_write_says_who_was_refused() {
    let denial = Denial {
        folder: false,
        uid: 0,
        gid: 0,
        mode: 0o755,
        by_uid: 10001,
        by_gid: 0,
    };
    for (folder, directory) in [
        (false, "the data directory"),
        (true, "the supervisor's folder"),
    ] {
        let bench = with_volume(|check| {
            check.write = WriteCheck::Failed(VolumeFault::PermissionDenied);
            check.denial = Some(Denial { folder, ..denial });
        });
        assert_eq!(
            evidence(&bench, Reason::VolumePermissionDenied),
            format!(
                "a write was refused: EACCES, {directory} belongs to 0:0 with mode 0755, the supervisor runs as 10001:0"
            )
        );
    }
}

#[test]
fn a_volume_without_room_says_what_it_lacks() {
    let refused = |space: Option<Space>| {
        with_volume(|check| {
            check.write = WriteCheck::Failed(VolumeFault::NoSpace);
            check.space = space;
        })
    };
    let space = healthy_volume().space.expect("known");
    let of_bytes = Space {
        free_bytes: 0,
        ..space
    };
    let of_inodes = Space {
        free_inodes: 0,
        ..space
    };
    let endless = Space {
        total_inodes: 0,
        free_inodes: 0,
        ..of_bytes
    };
    for (space, expected) in [
        (
            Some(of_bytes),
            "a write was refused: ENOSPC, 0 bytes are free",
        ),
        (
            Some(of_inodes),
            "a write was refused: ENOSPC, no inode is free",
        ),
        (
            Some(endless),
            "a write was refused: ENOSPC, 0 bytes are free",
        ),
        (None, "a write was refused: ENOSPC"),
    ] {
        assert_eq!(evidence(&refused(space), Reason::DiskFull), expected);
    }
}

#[test]
fn writes_that_fail() {
    for (fault, reason, expected) in [
        (
            VolumeFault::ReadOnly,
            Reason::VolumeReadOnly,
            "a write was refused: EROFS",
        ),
        (
            VolumeFault::NoSpace,
            Reason::DiskFull,
            "a write was refused: ENOSPC, 4294967296 bytes are free",
        ),
        (
            VolumeFault::Quota,
            Reason::DiskFull,
            "a write was refused: EDQUOT, the quota is used up",
        ),
        (
            VolumeFault::Io,
            Reason::VolumeIoError,
            "a write failed: EIO",
        ),
        (
            VolumeFault::PermissionDenied,
            Reason::VolumePermissionDenied,
            "a write was refused: EACCES",
        ),
        (VolumeFault::Missing, Reason::VolumeMissing, "ENOENT"),
        (
            VolumeFault::Stale,
            Reason::VolumeDisconnected,
            "a write failed: ESTALE",
        ),
        (
            VolumeFault::NotConnected,
            Reason::VolumeDisconnected,
            "a write failed: ENOTCONN, nobody serves the mount",
        ),
        (
            VolumeFault::NoDirectIo,
            Reason::StorageUnsupported,
            "a file can't be opened for direct I/O (O_DIRECT): EINVAL, the file system is ext4",
        ),
        (
            VolumeFault::Mismatch,
            Reason::VolumeIoError,
            "what was read back is not what was written",
        ),
        (
            VolumeFault::Other(5),
            Reason::VolumeIoError,
            "a write failed: errno 5",
        ),
    ] {
        let bench = with_volume(|check| check.write = WriteCheck::Failed(fault));
        assert_eq!(evidence(&bench, reason), expected);
    }
    let mut bench = ready();
    bench.see(volume_began());
    bench.pass(seconds(10));
    assert_eq!(
        evidence(&bench, Reason::VolumeStalled),
        "a write and fsync have been in flight for 10 s"
    );
}

#[test]
fn room_on_the_volume() {
    let with = |total_bytes, free_bytes, total_inodes, free_inodes| {
        with_volume(|check| {
            check.space = Some(Space {
                total_bytes,
                free_bytes,
                total_inodes,
                free_inodes,
            });
        })
    };
    const GIB: u64 = 1 << 30;
    let full = Policy::default().disk_full_bytes;
    assert_eq!(
        evidence(&with(GIB, full - 1, 0, 0), Reason::DiskFull),
        "67108863 bytes of 1073741824 are free"
    );
    let bench = with(GIB, full, 0, 0);
    assert!(!bench.has(Reason::DiskFull));
    assert_eq!(
        evidence(&bench, Reason::DiskLow),
        "6.2 % of the bytes are free"
    );
    assert!(
        !with(GIB, full - 1, 0, 0).has(Reason::DiskLow),
        "it is full"
    );
    let tenth = 1000 * full;
    assert!(with(tenth, tenth / 10 - 1, 0, 0).has(Reason::DiskLow));
    assert!(!with(tenth, tenth / 10, 0, 0).has(Reason::DiskLow));
    assert_eq!(
        evidence(&with(GIB, GIB, 1000, 0), Reason::DiskFull),
        "no inode is free"
    );
    let bench = with(GIB, GIB, 1000, 99);
    assert!(!bench.has(Reason::DiskFull));
    assert_eq!(
        evidence(&bench, Reason::DiskLow),
        "9.9 % of the inodes are free"
    );
    assert!(!with(GIB, GIB, 1000, 100).has(Reason::DiskLow));
    assert!(
        with(GIB, GIB, 0, 0).decision.findings.is_empty(),
        "a file system without a limit of inodes"
    );
}

#[test]
fn dumps_that_take_nothing_are_not_spoken_of() {
    let bench = with_volume(|check| {
        check.space.as_mut().expect("known").free_bytes = 500 << 20;
        check.dumps = Some(Dumps {
            count: 1,
            bytes: 0,
            writing_bytes: None,
        });
    });
    let expected = "6.1 % of the bytes are free";
    assert_eq!(evidence(&bench, Reason::DiskLow), expected);
}

#[test]
fn surroundings() {
    let mut bench = ready();
    let throttled = |ratio| {
        Observation::Cgroup(CgroupReport {
            throttled_ratio: Some(ratio),
            ..CgroupReport::default()
        })
    };
    bench.see(throttled(0.5));
    assert_eq!(
        evidence(&bench, Reason::CpuThrottled),
        "50 % of the last periods were throttled"
    );
    bench.see(throttled(0.499));
    assert!(!bench.has(Reason::CpuThrottled));
    bench.see(Observation::Cgroup(CgroupReport {
        frozen: Some(true),
        ..CgroupReport::default()
    }));
    assert_eq!(
        evidence(&bench, Reason::CgroupFrozen),
        "the freezer holds it"
    );
    let mut bench = ready();
    bench.see(Observation::Stall(seconds(30)));
    assert_eq!(
        evidence(&bench, Reason::SupervisorStalled),
        "it did not run for 30 s"
    );
    bench.live_for(seconds(59), IDLE, &answered_result());
    assert!(bench.has(Reason::SupervisorStalled));
    bench.live_for(SECOND, IDLE, &answered_result());
    assert!(!bench.has(Reason::SupervisorStalled));
    let until = bench.now.plus(seconds(90));
    bench.see(Observation::Operator(OperatorCommand::MaintenanceUntil(
        until,
    )));
    assert_eq!(evidence(&bench, Reason::Maintenance), "for another 90 s");
}
