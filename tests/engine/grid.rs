//! Every phase x every kind of observation, held as a golden file: a change of a verdict shows as
//! a change of a line in review.
//!
//! `UPDATE_GOLDEN=1 cargo test --test engine grid` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use sql_edge_supervisor::decide::decision::{Decision, Phase, Verdict};
use sql_edge_supervisor::decide::identity::{ExpectedId, IdentityFacts, IdentityFile};
use sql_edge_supervisor::decide::lease::{HolderIdentity, LeaseState};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::sql_error::TABLE;

use crate::bench::*;

/// How long an observation is repeated for the second column: past every threshold but those of a
/// start, a dump and a stop.
const HELD_SECONDS: u64 = 60;

const GOLDEN: &str = "tests/engine/grid.txt";

type Make = Box<dyn Fn(&Bench) -> Observation>;

/// The observations of the grid, by name.
#[derive(Default)]
struct Kinds(Vec<(String, Make)>);

impl Kinds {
    fn add(&mut self, name: impl Into<String>, make: impl Fn(&Bench) -> Observation + 'static) {
        self.0.push((name.into(), Box::new(make)));
    }
}

fn observations() -> Vec<(String, Make)> {
    let mut kinds = Kinds::default();
    kinds.add("nothing new", |_| {
        Observation::Operator(OperatorCommand::Resume)
    });
    processes(&mut kinds);
    contacts(&mut kinds);
    components(&mut kinds);
    masters(&mut kinds);
    volumes(&mut kinds);
    logs(&mut kinds);
    identities(&mut kinds);
    leases(&mut kinds);
    surroundings(&mut kinds);
    kinds.0
}

fn processes(kinds: &mut Kinds) {
    for state in [
        RunState::Running,
        RunState::DiskSleep,
        RunState::Stopped,
        RunState::Traced,
        RunState::Zombie,
    ] {
        kinds.add(format!("process {state:?}"), move |_| {
            let mut seen = process(1, seconds(0));
            seen.state = state;
            Observation::Process(ProcessReport::Running(seen))
        });
    }
    kinds.add("process NotFound", |_| {
        Observation::Process(ProcessReport::NotFound)
    });
    kinds.add("process replaced", |_| running(2, seconds(0)));
    for (name, status, oom) in [
        ("exit code 1", Some(ExitStatus::Code(1)), false),
        ("exit signal 9", Some(ExitStatus::Signal(9)), false),
        ("exit oom", Some(ExitStatus::Signal(9)), true),
        ("exit unknown", None, false),
    ] {
        kinds.add(name, move |_| exit_of(ProcessRole::Engine, status, oom));
    }
}

fn contacts(kinds: &mut Kinds) {
    for (name, error) in contact_errors() {
        let ping = error.clone();
        kinds.add(format!("ping {name}"), move |b| {
            Observation::Ping(failed(b.now, ping.clone()))
        });
        kinds.add(format!("login {name}"), move |b| {
            Observation::Login(failed(b.now, error.clone()))
        });
    }
    kinds.add("dac answered", |b| Observation::Dac(answered(b.now)));
    kinds.add("dac refused", |b| {
        Observation::Dac(failed(b.now, ContactError::Refused))
    });
    kinds.add("ping answered", |b| Observation::Ping(answered(b.now)));
    kinds.add("login answered", |b| Observation::Login(answered(b.now)));
}

fn components(kinds: &mut Kinds) {
    for state in [
        ComponentState::Unknown,
        ComponentState::Warning,
        ComponentState::Error,
    ] {
        kinds.add(format!("diagnostics system {state:?}"), move |_| {
            diagnostics(|report| report.system = Some(state))
        });
        kinds.add(format!("diagnostics resource {state:?}"), move |_| {
            diagnostics(|report| report.resource = Some(state))
        });
        kinds.add(
            format!("diagnostics query_processing {state:?}"),
            move |_| diagnostics(|report| report.query_processing = Some(state)),
        );
        kinds.add(format!("diagnostics io_subsystem {state:?}"), move |_| {
            diagnostics(|report| report.io_subsystem = Some(state))
        });
    }
}

fn masters(kinds: &mut Kinds) {
    for state in [
        DatabaseState::Online,
        DatabaseState::Restoring,
        DatabaseState::Recovering,
        DatabaseState::RecoveryPending,
        DatabaseState::Suspect,
        DatabaseState::Emergency,
        DatabaseState::Offline,
        DatabaseState::Other(7),
    ] {
        kinds.add(format!("master {state:?}"), move |_| {
            databases(&[("master", state)])
        });
    }
}

fn volumes(kinds: &mut Kinds) {
    for fault in [
        VolumeFault::ReadOnly,
        VolumeFault::NoSpace,
        VolumeFault::Quota,
        VolumeFault::Io,
        VolumeFault::PermissionDenied,
        VolumeFault::Missing,
        VolumeFault::Stale,
        VolumeFault::NotConnected,
        VolumeFault::Mismatch,
        VolumeFault::NoDirectIo,
        VolumeFault::Other(5),
    ] {
        kinds.add(format!("volume {fault:?}"), move |_| {
            let mut check = healthy_volume();
            check.write = WriteCheck::Failed(fault);
            volume(check)
        });
    }
    let changes: [(&str, Change); 7] = [
        ("healthy", |_| ()),
        ("not mounted", |v| v.mount = None),
        ("engine elsewhere", |v| {
            v.engine_mount = Some(EngineMount::NotMounted);
        }),
        ("replaced", |v| {
            v.mount.as_mut().expect("mounted").device = "7:1".to_owned();
        }),
        ("ephemeral", |v| {
            v.mount.as_mut().expect("mounted").fs_type = "tmpfs".to_owned();
        }),
        ("low", |v| {
            v.space.as_mut().expect("known").free_bytes = 500 << 20;
        }),
        ("without master.mdf", |v| v.master_present = Some(false)),
    ];
    for (name, change) in changes {
        kinds.add(format!("volume {name}"), move |_| {
            let mut check = healthy_volume();
            change(&mut check);
            volume(check)
        });
    }
    kinds.add("volume began", |b| {
        match b.snapshot.main_volume().and_then(|volume| volume.pending) {
            Some(_) => Observation::Operator(OperatorCommand::Resume),
            None => volume_began(),
        }
    });
}

fn identities(kinds: &mut Kinds) {
    type Change = fn(&mut IdentityFacts);
    let changes: [(&str, Change); 7] = [
        ("absent", |facts| facts.file = IdentityFile::Absent),
        ("absent, empty", |facts| {
            facts.file = IdentityFile::Absent;
            facts.instance_id = None;
            facts.master_present = Some(false);
            facts.empty = Some(true);
        }),
        ("refused", |facts| {
            facts.file = IdentityFile::Refused("torn".to_owned());
        }),
        ("unreadable", |facts| {
            facts.file = IdentityFile::Unreadable("EIO".to_owned());
        }),
        ("another instance", |facts| {
            facts.instance_id = Some("j".to_owned());
        }),
        ("emptied", |facts| facts.master_present = Some(false)),
        ("another expected", |facts| {
            facts.expected = ExpectedId::Id("w".to_owned());
        }),
    ];
    for (name, change) in changes {
        kinds.add(format!("identity {name}"), move |_| {
            let mut check = healthy_volume();
            check.identity.iter_mut().for_each(change);
            volume(check)
        });
    }
}

fn leases(kinds: &mut Kinds) {
    let standings = [
        ("unknown", LeaseState::Unknown),
        ("elsewhere", elsewhere(Some("pod-2"), false)),
        ("elsewhere, own pod", elsewhere(Some("pod-1"), true)),
        ("elsewhere, torn", elsewhere(None, false)),
        (
            "lost",
            LeaseState::Lost {
                epoch: 1,
                by: Some(2),
                holder: Some(HolderIdentity::default()),
            },
        ),
        (
            "lost, to whom is not known",
            LeaseState::Lost {
                epoch: 1,
                by: Some(2),
                holder: None,
            },
        ),
        ("released", LeaseState::Released),
    ];
    for (name, state) in standings {
        kinds.add(format!("lease {name}"), move |_| lease(state.clone()));
    }
    kinds.add("lease held again", |_| held(3, 3));
}

/// Errors that its log may hold: number and text.
const LOGGED_ERRORS: [(&str, u32, &str); 12] = [
    ("evaluation", 17051, "x"),
    (
        "master missing",
        17113,
        "Error 2(x) occurred while opening file",
    ),
    (
        "master denied",
        17113,
        "Error 5(x) occurred while opening file",
    ),
    (
        "direct I/O",
        17113,
        "Error 87(x) occurred while opening file",
    ),
    ("no room", 17113, "Error 112(x) occurred while opening file"),
    ("master lost", 3417, "Cannot recover the master database."),
    (
        "errorlog denied",
        17058,
        "Operating system error = 5(Access is denied.).",
    ),
    ("listen", 17826, "x"),
    ("upgrade", 912, "encountered error 2714"),
    ("downgrade", 948, "The database 'master' cannot be opened"),
    ("tempdb", 1814, "Could not create tempdb."),
    ("unnamed", 4711, "x"),
];

/// Lines without a number.
const LOGGED_LINES: [(&str, &str); 10] = [
    (
        "eula",
        "The SQL Server End-User License Agreement (EULA) must be accepted before SQL",
    ),
    (
        "password",
        "ERROR: Unable to set system administrator password: x",
    ),
    (
        "memory",
        "sqlservr: This program requires a machine with at least 2000 megabytes of memory.",
    ),
    ("page size", "<jemalloc>: Unsupported system page size"),
    ("not executable", "sqlservr: Operation not permitted"),
    ("mssql.conf", "mssql.conf: parse error in line 3"),
    ("ready", "SQL Server is now ready for client connections."),
    ("complete", "Recovery is complete."),
    (
        "stop",
        "SQL Server is terminating in response to a 'stop' request from Service Control Manager.",
    ),
    (
        "collation",
        "Attempting to change default collation to Latin1_General_CI_AS.",
    ),
];

/// What the engine's log may say.
fn logs(kinds: &mut Kinds) {
    for (name, number, text) in LOGGED_ERRORS {
        kinds.add(format!("log {name}"), move |_| {
            let mut check = healthy_volume();
            check.errorlog = Some(wrote_error(number, text));
            volume(check)
        });
    }
    for (name, line) in LOGGED_LINES {
        kinds.add(format!("log {name}"), move |_| {
            let mut check = healthy_volume();
            check.errorlog = Some(wrote(1000, &[line]));
            volume(check)
        });
    }
    kinds.add("log recovery", |_| {
        let mut check = healthy_volume();
        check.errorlog = Some(EngineLog {
            recovery: Some(LoggedRecovery {
                database: "master".to_owned(),
                percent: 12,
                remaining: None,
                phase: Some(1),
            }),
            ..log(1000)
        });
        volume(check)
    });
    type Change = fn(&mut EngineLog);
    let changes: [(&str, Change); 4] = [
        ("begun", |log| log.start.begun = true),
        ("ready", |log| log.start.ready = true),
        ("upgrading", |log| log.upgrading = true),
        ("stop", |log| log.stop = Some(LoggedStop::StopRequest)),
    ];
    for (name, change) in changes {
        kinds.add(format!("log {name}"), move |_| {
            let mut check = healthy_volume();
            check.errorlog.iter_mut().for_each(change);
            volume(check)
        });
    }
    kinds.add("core grows", |b| {
        let mut check = healthy_volume();
        check.dumps = Some(Dumps {
            count: 1,
            bytes: 1,
            writing_bytes: u64::try_from(b.now.elapsed().as_millis()).ok(),
        });
        volume(check)
    });
}

fn surroundings(kinds: &mut Kinds) {
    kinds.add("listens", |_| listening(&["0.0.0.0:1433"]));
    kinds.add("listens elsewhere", |_| listening(&["0.0.0.0:1500"]));
    kinds.add("listens nowhere", |_| not_listening());
    kinds.add("single user", |_| {
        Observation::Server(ServerProperties {
            single_user: Some(true),
            ..ServerProperties::default()
        })
    });
    kinds.add("cgroup throttled", |_| {
        Observation::Cgroup(CgroupReport {
            throttled_ratio: Some(0.9),
            ..CgroupReport::default()
        })
    });
    kinds.add("cgroup frozen", |_| {
        Observation::Cgroup(CgroupReport {
            frozen: Some(true),
            ..CgroupReport::default()
        })
    });
    kinds.add("stall", |_| Observation::Stall(seconds(30)));
    kinds.add("stopping", |_| {
        Observation::Operator(OperatorCommand::Stopping)
    });
    kinds.add("maintenance", |b| {
        Observation::Operator(OperatorCommand::MaintenanceUntil(b.now.plus(seconds(300))))
    });
}

/// Each kind of contact error, and each class of the table by its first number.
fn contact_errors() -> Vec<(String, ContactError)> {
    let mut errors = vec![
        ("refused".to_owned(), ContactError::Refused),
        ("closed".to_owned(), ContactError::Closed),
        (
            "timed out".to_owned(),
            ContactError::TimedOut(AttemptStage::Query),
        ),
        (
            "unreachable".to_owned(),
            ContactError::Unreachable("no route".to_owned()),
        ),
        ("tls".to_owned(), ContactError::Tls("expired".to_owned())),
        (
            "protocol".to_owned(),
            ContactError::Protocol("HTTP".to_owned()),
        ),
        (
            "credentials".to_owned(),
            ContactError::Credentials("no file".to_owned()),
        ),
        ("error unknown".to_owned(), server(4_000_000)),
    ];
    let mut seen = Vec::new();
    for row in TABLE {
        if !seen.contains(&row.class) {
            seen.push(row.class);
            errors.push((format!("error {:?}", row.class), server(row.number)));
        }
    }
    errors
}

/// A bench in each phase.
fn in_phase(phase: Phase) -> Bench {
    let mut bench = match phase {
        Phase::Unseen | Phase::Starting => Bench::new(kubelet()),
        Phase::Running | Phase::Stopping | Phase::Gone => Bench::ready(kubelet()),
    };
    bench.nobody_watches = true;
    bench.pass(SECOND);
    match phase {
        Phase::Unseen | Phase::Running => {}
        Phase::Starting => {
            bench.see(running(1, seconds(0)));
        }
        Phase::Stopping => {
            bench.see(Observation::Operator(OperatorCommand::Stopping));
        }
        Phase::Gone => {
            bench.see(exited(Some(ExitStatus::Signal(9))));
        }
    }
    assert_eq!(bench.decision.phase, phase);
    bench
}

/// `SLRG` with a letter for each probe that passes and a dot for each that fails, and the reasons.
fn short(decision: &Decision) -> String {
    let letters = ['S', 'L', 'R', 'G'];
    let probes: String = decision
        .answers()
        .iter()
        .zip(letters)
        .map(|(verdict, letter)| {
            if *verdict == Verdict::Pass {
                letter
            } else {
                '.'
            }
        })
        .collect();
    let reasons: Vec<_> = decision.findings.iter().map(|f| f.reason.code()).collect();
    format!("{probes} {}", reasons.join(","))
}

fn render() -> String {
    let mut text = String::from(
        "# phase | observation | at once | repeated each second for 60 s, with an idle process\n\
         # S startup, L live, R ready, G gate pass; a dot in its place: it fails\n",
    );
    for phase in Phase::ALL {
        for (name, make) in observations() {
            let mut bench = in_phase(phase);
            let observation = make(&bench);
            let at_once = short(bench.see(observation));
            for _ in 0..HELD_SECONDS {
                bench.pass(SECOND);
                if !name.starts_with("process") && !name.starts_with("exit") {
                    idle(&mut bench);
                }
                let observation = make(&bench);
                bench.see(observation);
            }
            let held = short(&bench.decision);
            writeln!(text, "{} | {name} | {at_once} | {held}", phase.name()).expect("a string");
        }
    }
    text
}

/// Keeps the counters of a running process fresh, without progress.
fn idle(bench: &mut Bench) {
    if let Some(process) = bench.snapshot.running().cloned() {
        bench.see(Observation::Process(ProcessReport::Running(process)));
    }
}

#[test]
fn the_grid_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let now = render();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (is, was)) in now.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, was, "{GOLDEN}:{}; see the head of grid.rs", line + 1);
    }
    assert_eq!(now.lines().count(), golden.lines().count(), "{GOLDEN}");
}
