//! Every phase x every kind of observation, held as a golden file: a change of a verdict shows as
//! a change of a line in review.
//!
//! `UPDATE_GOLDEN=1 cargo test --test engine grid` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use sql_edge_supervisor::decide::decision::{Decision, Phase, Verdict};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::sql_error::TABLE;

use crate::bench::*;

/// How long an observation is repeated for the second column: past every threshold but those of a
/// start, a dump and a stop.
const HELD_SECONDS: u64 = 60;

const GOLDEN: &str = "tests/engine/grid.txt";

type Make = Box<dyn Fn(&Bench) -> Observation>;

fn observations() -> Vec<(String, Make)> {
    let mut all: Vec<(String, Make)> = Vec::new();
    let mut add = |name: &str, make: Make| all.push((name.to_owned(), make));
    add(
        "nothing new",
        Box::new(|_| Observation::Operator(OperatorWord::Resume)),
    );
    for state in [
        RunState::Running,
        RunState::DiskSleep,
        RunState::Stopped,
        RunState::Traced,
        RunState::Zombie,
    ] {
        add(
            &format!("process {state:?}"),
            Box::new(move |_| {
                let mut seen = process(1, seconds(0));
                seen.state = state;
                Observation::Process(ProcessReport::Running(seen))
            }),
        );
    }
    add(
        "process NotFound",
        Box::new(|_| Observation::Process(ProcessReport::NotFound)),
    );
    add("process replaced", Box::new(|_| running(2, seconds(0))));
    for (name, status, oom) in [
        ("exit code 1", Some(ExitStatus::Code(1)), false),
        ("exit signal 9", Some(ExitStatus::Signal(9)), false),
        ("exit oom", Some(ExitStatus::Signal(9)), true),
        ("exit unknown", None, false),
    ] {
        add(
            name,
            Box::new(move |_| exit_of(ProcessRole::Engine, status, oom)),
        );
    }
    for (name, error) in contact_errors() {
        let ping = error.clone();
        add(
            &format!("ping {name}"),
            Box::new(move |b| Observation::Ping(failed(b.now, ping.clone()))),
        );
        add(
            &format!("login {name}"),
            Box::new(move |b| Observation::Login(failed(b.now, error.clone()))),
        );
    }
    add(
        "ping answered",
        Box::new(|b| Observation::Ping(answered(b.now))),
    );
    add(
        "login answered",
        Box::new(|b| Observation::Login(answered(b.now))),
    );
    for state in [
        ComponentState::Unknown,
        ComponentState::Warning,
        ComponentState::Error,
    ] {
        add(
            &format!("diagnostics system {state:?}"),
            Box::new(move |_| diagnostics(|report| report.system = Some(state))),
        );
        add(
            &format!("diagnostics resource {state:?}"),
            Box::new(move |_| diagnostics(|report| report.resource = Some(state))),
        );
        add(
            &format!("diagnostics io_subsystem {state:?}"),
            Box::new(move |_| diagnostics(|report| report.io_subsystem = Some(state))),
        );
    }
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
        add(
            &format!("master {state:?}"),
            Box::new(move |_| databases(&[("master", state)])),
        );
    }
    volumes(&mut add);
    add(
        "volume began",
        Box::new(|b| match b.snapshot.volume_pending {
            Some(_) => Observation::Operator(OperatorWord::Resume),
            None => Observation::Volume(VolumeReport::Began),
        }),
    );
    add(
        "cgroup throttled",
        Box::new(|_| {
            Observation::Cgroup(CgroupReport {
                throttled_ratio: Some(0.9),
                ..CgroupReport::default()
            })
        }),
    );
    add(
        "cgroup frozen",
        Box::new(|_| {
            Observation::Cgroup(CgroupReport {
                frozen: Some(true),
                ..CgroupReport::default()
            })
        }),
    );
    add("stall", Box::new(|_| Observation::Stall(seconds(30))));
    add(
        "stopping",
        Box::new(|_| Observation::Operator(OperatorWord::Stopping)),
    );
    add(
        "maintenance",
        Box::new(|b| {
            Observation::Operator(OperatorWord::MaintenanceUntil(b.now.plus(seconds(300))))
        }),
    );
    all
}

/// Each kind of contact error, and each class of the table by its first number.
fn contact_errors() -> Vec<(String, ContactError)> {
    let mut errors = vec![
        ("refused".to_owned(), ContactError::Refused),
        ("closed".to_owned(), ContactError::Closed),
        ("timed out".to_owned(), ContactError::TimedOut(Stage::Query)),
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

fn volumes(add: &mut impl FnMut(&str, Make)) {
    for fault in [
        VolumeFault::ReadOnly,
        VolumeFault::NoSpace,
        VolumeFault::Io,
        VolumeFault::PermissionDenied,
        VolumeFault::Missing,
        VolumeFault::Stale,
        VolumeFault::Mismatch,
        VolumeFault::Other(5),
    ] {
        add(
            &format!("volume {fault:?}"),
            Box::new(move |_| {
                let mut check = healthy_volume();
                check.write = WriteCheck::Failed(fault);
                volume(check)
            }),
        );
    }
    let changes: [(&str, fn(&mut VolumeCheck)); 5] = [
        ("healthy", |_| ()),
        ("not mounted", |v| v.mount = None),
        ("engine elsewhere", |v| {
            v.engine_mount = Some(EngineMount::NotMounted)
        }),
        ("low", |v| {
            v.space.as_mut().expect("known").free_bytes = 500 << 20
        }),
        ("without master.mdf", |v| v.master_present = Some(false)),
    ];
    for (name, change) in changes {
        add(
            &format!("volume {name}"),
            Box::new(move |_| {
                let mut check = healthy_volume();
                change(&mut check);
                volume(check)
            }),
        );
    }
}

/// A bench in each phase.
fn in_phase(phase: Phase) -> Bench {
    let mut bench = match phase {
        Phase::Unseen | Phase::Starting => Bench::new(Policy::default()),
        Phase::Running | Phase::Stopping | Phase::Gone => Bench::ready(Policy::default()),
    };
    bench.pass(SECOND);
    match phase {
        Phase::Unseen | Phase::Running => {}
        Phase::Starting => {
            bench.see(running(1, seconds(0)));
        }
        Phase::Stopping => {
            bench.see(Observation::Operator(OperatorWord::Stopping));
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
            for second in 0..HELD_SECONDS {
                bench.pass(SECOND);
                if !name.starts_with("process") && !name.starts_with("exit") {
                    idle(&mut bench, second);
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
fn idle(bench: &mut Bench, _second: u64) {
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
