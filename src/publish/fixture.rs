//! Views for tests: one for each state that an answer may depend on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::view::{Limits, ObserverBounds, View};
use super::{Published, Transition};
use crate::decide::decision::{Decision, Finding, LastRestart, Phase, Probe, ProbeAnswer, Verdict};
use crate::decide::identity::{ExpectedId, Identity, IdentityFacts, IdentityFile};
use crate::decide::lease::LeaseState;
use crate::decide::observation::{
    Attempt, AttemptResult, Certificates, CgroupReport, ComponentState, ContactError, Database,
    DatabaseList, DatabaseState, DatabasesReport, Diagnostics, DiagnosticsReport, Dumps, EngineLog,
    ExitStatus, LeaseReport, LoggedError, Mount, Observation, Observed, ProcessExit, ProcessId,
    ProcessReport, ProcessRole, RunState, RunningProcess, ServerError, ServerProperties, Space,
    VolumeCheck, VolumeEvent, VolumeReport, WriteCheck,
};
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::decide::snapshot::Snapshot;
use crate::decide::time::Time;
use crate::decide::volumes::Volume;

/// A database name that tries to be markup, JSON, and a line of its own.
pub const HOSTILE: &str = "</td><script>alert(1)</script>\"&'\r\n[+]ping ok\u{202e}{\"a\":1}\\";

/// The moment of every fixture's decision.
pub const DECIDED_AT: Time = Time::from_start(Duration::from_secs(100));

pub const LIMITS: Limits = Limits {
    stale_after: Duration::from_secs(5),
    observers: ObserverBounds {
        process: Duration::from_secs(8),
        ping: Duration::from_secs(20),
        login: Duration::from_secs(40),
        databases: Duration::from_secs(30),
        cgroup: Duration::from_secs(20),
    },
};

/// Returns all views with their names.
pub fn views() -> Vec<(&'static str, View)> {
    [
        "undecided",
        "ready",
        "starting",
        "recovering",
        "killed",
        "hostile",
        "stale",
    ]
    .into_iter()
    .map(|name| (name, view(name)))
    .collect()
}

/// Returns the view of that name.
pub fn view(name: &str) -> View {
    let (published, age) = match name {
        "undecided" => (Published::default(), Duration::ZERO),
        "ready" => (published(ready(), &[]), Duration::ZERO),
        "starting" => (
            published(running(), &[(Reason::Starting, "no login yet")]),
            Duration::ZERO,
        ),
        "recovering" => (
            published(
                recovering("master"),
                &[(Reason::Recovering, "master RECOVERING, 37 %")],
            ),
            Duration::ZERO,
        ),
        "killed" => (
            published(
                killed(),
                &[
                    (Reason::ProcessKilled, "engine 13 was ended by signal 9"),
                    (Reason::DiskLow, "8 % of the bytes are free"),
                ],
            ),
            Duration::ZERO,
        ),
        "hostile" => (
            published(recovering(HOSTILE), &[(Reason::Recovering, HOSTILE)]),
            Duration::ZERO,
        ),
        "stale" => (published(ready(), &[]), Duration::from_secs(31)),
        other => panic!("no fixture {other}"),
    };
    View {
        published: Arc::new(published),
        age,
        uptime: Duration::from_secs(101),
        limits: LIMITS,
        collected: Arc::default(),
        moment: Instant::now(),
    }
}

/// Returns a decision on `findings`, in the shape that the deciding engine gives it.
pub fn published(snapshot: Snapshot, findings: &[(Reason, &str)]) -> Published {
    let failing: Vec<_> = findings
        .iter()
        .map(|(reason, _)| *reason)
        .filter(|reason| *reason != Reason::DiskLow)
        .collect();
    let answer = |fails: bool| ProbeAnswer {
        verdict: if fails { Verdict::Fail } else { Verdict::Pass },
        reasons: if fails { failing.clone() } else { Vec::new() },
        since: Time::from_start(Duration::from_secs(90)),
    };
    let fails = !failing.is_empty();
    Published {
        decision: Some(Decision {
            may_identify: true,
            identity_writes: Vec::new(),
            at: DECIDED_AT,
            phase: if fails {
                Phase::Starting
            } else {
                Phase::Running
            },
            startup: answer(fails && failing != [Reason::ProcessKilled]),
            live: answer(false),
            ready: answer(fails),
            gate: answer(false),
            findings: findings
                .iter()
                .map(|(reason, evidence)| Finding {
                    reason: *reason,
                    evidence: (*evidence).to_owned(),
                    since: Time::from_start(Duration::from_secs(90)),
                })
                .collect(),
            action: None,
            restarts_in_place: 0,
            last_restart: fails.then(|| LastRestart {
                at: Time::from_start(Duration::from_secs(80)),
                before_start: Duration::ZERO,
                by: RestartBy::Supervisor,
                process: Some(running_process().parent),
                reasons: vec![Reason::EngineUnresponsive],
            }),
            recheck_at: None,
        }),
        snapshot,
        history: vec![Transition {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_410_000),
            probe: Probe::Ready,
            verdict: if fails { Verdict::Fail } else { Verdict::Pass },
            reasons: failing.clone(),
        }],
        sequence: 42,
    }
}

fn seen(value: Observation) -> Observed<Observation> {
    Observed {
        at: Time::from_start(Duration::from_millis(99_500)),
        value,
    }
}

pub fn attempt(result: AttemptResult) -> Attempt {
    Attempt {
        started: Time::from_start(Duration::from_secs(99)),
        result,
    }
}

fn running_process() -> RunningProcess {
    RunningProcess {
        parent: ProcessId {
            pid: 12,
            start_ticks: 1200,
        },
        engine: Some(ProcessId {
            pid: 13,
            start_ticks: 1210,
        }),
        parent_state: RunState::Sleeping,
        state: RunState::Running,
        dumper: None,
        cpu: Some(Duration::from_millis(12_500)),
        io_bytes: Some(1_000_000),
        resident_bytes: Some(700_000_000),
        threads: Some(120),
        open_fds: Some(200),
        companions: 2,
    }
}

fn logged(number: u32, count: u32) -> LoggedError {
    LoggedError {
        number,
        state: 2,
        class: 17,
        count,
    }
}

/// Returns a snapshot with a process, a volume and a control group, and nothing of SQL yet.
pub fn running() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mount = Mount {
        device: "8:16".to_owned(),
        root: "/".to_owned(),
        fs_type: "ext4".to_owned(),
        read_only: false,
    };
    for value in [
        Observation::Process(ProcessReport::Running(running_process())),
        volume(VolumeCheck {
            mount: Some(mount),
            engine_mount: None,
            space: Some(Space {
                total_bytes: 10_000_000_000,
                free_bytes: 6_000_000_000,
                total_inodes: 655_360,
                free_inodes: 655_000,
            }),
            write: WriteCheck::Written(Duration::from_millis(3)),
            denial: None,
            master_present: Some(true),
            identity: Some(identity()),
            errorlog: Some(EngineLog {
                bytes: 40_000,
                errors: vec![logged(9002, 3), logged(99_999, 2)],
                ..EngineLog::default()
            }),
            output: None,
            dumps: Some(Dumps {
                count: 2,
                bytes: 3_000_000,
                writing_bytes: None,
            }),
        }),
        Observation::Lease(LeaseReport {
            state: LeaseState::Held {
                epoch: 7,
                first: 6,
                age: Duration::from_secs(1),
            },
            failure: None,
            run_until: None,
            left_out: Duration::ZERO,
        }),
        Observation::Cgroup(CgroupReport {
            memory_limit_bytes: Some(2_147_483_648),
            memory_bytes: Some(900_000_000),
            oom_kills: Some(0),
            cpu_used: Some(Duration::from_secs(90)),
            io_bytes: Some(70_000_000),
            cpu_periods: Some(1000),
            cpu_throttled_periods: Some(10),
            cpu_throttled: Some(Duration::from_millis(250)),
            throttled_ratio: Some(0.01),
            frozen: Some(false),
            pressure_cpu: Some(1.5),
            pressure_memory: Some(0.0),
            pressure_io: Some(0.25),
        }),
    ] {
        snapshot.apply(seen(value));
    }
    snapshot
}

/// Returns the observation of a check of the one volume that everything lies on.
pub fn volume(check: VolumeCheck) -> Observation {
    let data_dir = Path::new("/var/opt/mssql");
    Observation::Volume(VolumeReport {
        volume: Arc::new(Volume::whole(data_dir, data_dir)),
        event: VolumeEvent::Checked(Box::new(check)),
    })
}

fn identity() -> IdentityFacts {
    IdentityFacts {
        expected: ExpectedId::Any,
        file: IdentityFile::Known(Identity {
            volume_id: "v-1".to_owned(),
            created: "2026-11-01T00:00:00Z".to_owned(),
            instance_id: Some("I-1".to_owned()),
            ..Identity::default()
        }),
        instance_id: Some("I-1".to_owned()),
        master_present: Some(true),
        empty: Some(false),
    }
}

/// Returns a snapshot in which everything answers.
pub fn ready() -> Snapshot {
    let mut snapshot = running();
    let answered = |micros| {
        attempt(AttemptResult::Answered {
            round_trip: Duration::from_micros(micros),
        })
    };
    for value in [
        Observation::Ping(answered(1_200)),
        Observation::Login(answered(25_000)),
        Observation::Server(ServerProperties {
            version: "15.0.2000.1574".to_owned(),
            edition: "Azure SQL Edge Developer (64-bit)".to_owned(),
            engine_edition: 9,
            single_user: Some(false),
        }),
        Observation::Certificates(Certificates {
            server_expiry: Some(1_893_456_000),
            ca_expiry: Some(2_524_608_000),
        }),
        Observation::Diagnostics(DiagnosticsReport::Report(Diagnostics {
            system: Some(ComponentState::Clean),
            resource: Some(ComponentState::Clean),
            query_processing: Some(ComponentState::Warning),
            ..Diagnostics::default()
        })),
        databases(&[
            ("master", DatabaseState::Online, None),
            ("app", DatabaseState::Online, None),
        ]),
    ] {
        snapshot.apply(seen(value));
    }
    snapshot
}

fn databases(rows: &[(&str, DatabaseState, Option<f64>)]) -> Observation {
    Observation::Databases(DatabasesReport::Listed(DatabaseList {
        databases: rows
            .iter()
            .map(|(name, state, recovery_percent)| Database {
                name: (*name).to_owned(),
                state: *state,
                read_only: false,
                recovery_percent: *recovery_percent,
                recovery_remaining: recovery_percent.map(|_| Duration::from_secs(95)),
            })
            .collect(),
        left_out: 0,
    }))
}

fn recovering(name: &str) -> Snapshot {
    let mut snapshot = ready();
    snapshot.apply(seen(databases(&[
        ("master", DatabaseState::Online, None),
        (name, DatabaseState::Recovering, Some(37.0)),
        ("app", DatabaseState::Recovering, Some(80.5)),
    ])));
    snapshot
}

fn killed() -> Snapshot {
    let mut snapshot = ready();
    for value in [
        Observation::Process(ProcessReport::Exited(ProcessExit {
            process: ProcessId {
                pid: 13,
                start_ticks: 1210,
            },
            role: ProcessRole::Engine,
            status: Some(ExitStatus::Signal(9)),
            oom_killed: false,
        })),
        Observation::Ping(attempt(AttemptResult::Failed(ContactError::Refused))),
        Observation::Login(attempt(AttemptResult::Failed(ContactError::Server(
            ServerError {
                number: 18456,
                state: 1,
                class: 14,
            },
        )))),
    ] {
        snapshot.apply(seen(value));
    }
    snapshot
}
