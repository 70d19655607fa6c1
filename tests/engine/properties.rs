//! The invariants of DESIGN.md, over arbitrary traces.

use std::time::Duration;

use proptest::prelude::*;
use sql_edge_supervisor::decide::lease::LeaseState;
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::{Policy, RestartBy};
use sql_edge_supervisor::decide::time::Time;

use crate::bench::*;
use crate::invariants::Invariants;

/// Numbers with and without a row in the table, of every class.
const NUMBERS: [u32; 21] = [
    6005, 18451, 17892, 701, 824, 922, 1105, 8645, 9002, 17142, 17187, 17188, 17300, 17809, 18401,
    18456, 18461, 18470, 18488, 297, 4_000_000,
];

fn contact_error() -> impl Strategy<Value = ContactError> {
    prop_oneof![
        3 => Just(ContactError::TimedOut(AttemptStage::Query)),
        2 => Just(ContactError::Refused),
        1 => Just(ContactError::Closed),
        1 => Just(ContactError::Tls("refused".to_owned())),
        1 => Just(ContactError::Unreachable("no route".to_owned())),
        1 => Just(ContactError::Credentials("no file".to_owned())),
        3 => prop::sample::select(NUMBERS.to_vec()).prop_map(server),
    ]
}

fn result() -> impl Strategy<Value = AttemptResult> {
    prop_oneof![
        2 => Just(answered_result()),
        3 => contact_error().prop_map(AttemptResult::Failed),
    ]
}

fn run_state() -> impl Strategy<Value = RunState> {
    prop_oneof![
        6 => Just(RunState::Sleeping),
        1 => Just(RunState::DiskSleep),
        1 => Just(RunState::Stopped),
        1 => Just(RunState::Traced),
        1 => Just(RunState::Zombie),
    ]
}

fn process_report() -> impl Strategy<Value = Observation> {
    let running = (1..4_u64, 0..60_000_u64, run_state(), any::<bool>()).prop_map(
        |(generation, cpu, state, dumper)| {
            let mut seen = process(generation, Duration::from_millis(cpu));
            seen.state = state;
            seen.dumper = dumper.then_some(7);
            Observation::Process(ProcessReport::Running(seen))
        },
    );
    prop_oneof![
        8 => running,
        1 => Just(Observation::Process(ProcessReport::NotFound)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(parent, oom)| exit_of(
            if parent { ProcessRole::Parent } else { ProcessRole::Engine },
            Some(ExitStatus::Signal(9)),
            oom,
        )),
    ]
}

fn component() -> impl Strategy<Value = Option<ComponentState>> {
    prop_oneof![
        Just(None),
        Just(Some(ComponentState::Clean)),
        Just(Some(ComponentState::Error)),
    ]
}

fn database_state() -> impl Strategy<Value = DatabaseState> {
    prop_oneof![
        4 => Just(DatabaseState::Online),
        1 => Just(DatabaseState::Recovering),
        1 => Just(DatabaseState::Suspect),
        1 => Just(DatabaseState::Offline),
    ]
}

fn volume_fault() -> impl Strategy<Value = WriteCheck> {
    prop_oneof![
        6 => Just(WriteCheck::Written(Duration::from_millis(1))),
        1 => Just(WriteCheck::Failed(VolumeFault::ReadOnly)),
        1 => Just(WriteCheck::Failed(VolumeFault::NoSpace)),
        1 => Just(WriteCheck::Failed(VolumeFault::Io)),
    ]
}

fn listeners() -> impl Strategy<Value = Observation> {
    prop_oneof![
        2 => Just(listening(&["0.0.0.0:1433"])),
        1 => Just(listening(&["0.0.0.0:1500"])),
        2 => Just(not_listening()),
        1 => Just(Observation::Listeners(ListenersReport::default())),
    ]
}

fn log_said() -> impl Strategy<Value = Observation> {
    let lines = prop::sample::select(vec![
        "",
        "Error: 17826, Severity: 18, State: 3.",
        "Could not create tempdb.",
        "SQL Server is now ready for client connections.",
        "Recovery is complete.",
        "SQL Server is terminating in response to a 'stop' request",
        "Attempting to change default collation to x.",
    ]);
    (lines, 0..9_u64, any::<bool>(), 0..12_u8).prop_map(|(line, bytes, core, draw)| {
        let (percent, stage) = (draw % 3, draw / 3);
        let mut check = healthy_volume();
        check.errorlog = Some(EngineLog {
            recovery: (percent > 0).then(|| LoggedRecovery {
                database: "master".to_owned(),
                percent,
                remaining: None,
                phase: None,
            }),
            start: LoggedStart {
                begun: stage > 0,
                ready: stage > 1,
                complete: stage > 2,
                ..LoggedStart::default()
            },
            ..wrote(bytes, &[line])
        });
        check.dumps = Some(Dumps {
            count: 1,
            bytes,
            writing_bytes: core.then_some(bytes),
        });
        volume(check)
    })
}

fn state() -> impl Strategy<Value = LeaseState> {
    prop_oneof![
        6 => Just(LeaseState::Held { epoch: 1, first: 1, age: Duration::ZERO }),
        1 => Just(LeaseState::Held { epoch: 3, first: 3, age: Duration::from_secs(1) }),
        1 => Just(LeaseState::Unknown),
        1 => Just(LeaseState::Lost { epoch: 1, by: None, holder: None }),
        1 => Just(elsewhere(Some("pod-2"), false)),
        1 => Just(elsewhere(Some("pod-1"), true)),
        1 => Just(elsewhere(None, false)),
    ]
}

/// What is seen next, given the moment at which it began.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ping(AttemptResult),
    Login(AttemptResult),
    Dac(AttemptResult),
    See(Observation),
    /// The supervisor is restarted.
    Again(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let rest = prop_oneof![
        4 => process_report(),
        1 => (component(), component(), component()).prop_map(|(system, resource, query)| {
            diagnostics(|report| {
                report.system = system;
                report.resource = resource;
                report.query_processing = query;
            })
        }),
        1 => database_state().prop_map(|state| databases(&[("master", state)])),
        1 => (0..100_u8).prop_map(|percent| recovering("master", f64::from(percent))),
        1 => volume_fault().prop_map(|write| {
            let mut check = healthy_volume();
            check.write = write;
            volume(check)
        }),
        1 => Just(volume_began()),
        1 => state().prop_map(lease),
        1 => (0..=10_u8, any::<bool>()).prop_map(|(tenths, frozen)| {
            Observation::Cgroup(CgroupReport {
                throttled_ratio: Some(f64::from(tenths) / 10.0),
                frozen: Some(frozen),
                ..CgroupReport::default()
            })
        }),
        1 => log_said(),
        1 => (any::<bool>(), 0..3_u64).prop_map(|(failed, generation)| {
            Observation::Action(ActionReport {
                process: process(generation + 1, Duration::ZERO).parent,
                step: match failed {
                    true => ActionStep::Failed("EPERM".to_owned()),
                    false => ActionStep::Killed,
                },
            })
        }),
        2 => listeners(),
        1 => Just(Observation::Kernel(KernelVersion { major: 6, minor: 8 })),
        1 => any::<Option<i64>>().prop_map(|server_expiry| {
            Observation::Certificates(Certificates {
                server_expiry,
                ca_expiry: None,
            })
        }),
        1 => Just(Observation::Stall(seconds(9))),
        1 => prop_oneof![
            Just(OperatorCommand::Stopping),
            Just(OperatorCommand::Resume),
            (0..4_000_000_u64).prop_map(|millis| {
                let until = Time::from_start(Duration::from_millis(millis));
                OperatorCommand::MaintenanceUntil(until)
            }),
            Just(OperatorCommand::Release)
        ]
        .prop_map(Observation::Operator),
    ];
    prop_oneof![
        5 => (0..20_000_u64).prop_map(Step::Pass),
        4 => result().prop_map(Step::Ping),
        2 => result().prop_map(Step::Login),
        1 => result().prop_map(Step::Dac),
        1 => (0..700_u64).prop_map(Step::Again),
        5 => rest.prop_map(Step::See),
    ]
}

/// Whether anybody looks at the processes is for the trace to say.
fn bench(policy: Policy) -> Bench {
    let mut bench = Bench::new(policy);
    bench.nobody_watches = true;
    bench
}

/// Applies and checks. What holds between two decisions does not between two runs.
fn checked(bench: &mut Bench, invariants: &mut Invariants, step: &Step) {
    apply(bench, step);
    if let Step::Again(_) = step {
        *invariants = Invariants::default();
    }
    invariants.check(bench);
}

fn apply(bench: &mut Bench, step: &Step) {
    let started = bench.now;
    match step.clone() {
        Step::Pass(millis) => bench.pass(Duration::from_millis(millis)),
        Step::Ping(result) => bench.see(Observation::Ping(Attempt { started, result })),
        Step::Login(result) => bench.see(Observation::Login(Attempt { started, result })),
        Step::Dac(result) => bench.see(Observation::Dac(Attempt { started, result })),
        Step::See(observation) => bench.see(observation),
        Step::Again(seconds_away) => {
            *bench = bench.restart_supervisor(seconds(seconds_away), seconds_away % 7 != 0);
            bench.nobody_watches = true;
            &bench.decision
        }
    };
}

fn policy() -> impl Strategy<Value = Policy> {
    (0..=5_u8, any::<bool>(), any::<bool>()).prop_map(|(level, required, kubelet)| Policy {
        failure_condition_level: level,
        restart_by: match kubelet {
            true => RestartBy::Kubelet,
            false => RestartBy::Supervisor,
        },
        required_databases: if required {
            vec!["orders".to_owned()]
        } else {
            Vec::new()
        },
        ..Policy::default()
    })
}

fn trace() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..120)
}

/// Evidence about the engine, and worse evidence in its place.
fn better_and_worse() -> impl Strategy<Value = (Step, Step)> {
    let good = || AttemptResult::Answered {
        round_trip: Duration::from_millis(1),
    };
    let clean = || diagnostics(|_| ());
    let error = || diagnostics(|report| report.system = Some(ComponentState::Error));
    let online = || databases(&[("master", DatabaseState::Online)]);
    let suspect = || databases(&[("master", DatabaseState::Suspect)]);
    prop_oneof![
        contact_error()
            .prop_map(move |e| (Step::Ping(good()), Step::Ping(AttemptResult::Failed(e)))),
        contact_error()
            .prop_map(move |e| (Step::Login(good()), Step::Login(AttemptResult::Failed(e)))),
        Just((Step::See(clean()), Step::See(error()))),
        Just((Step::See(online()), Step::See(suspect()))),
    ]
}

/// Traces per property; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn the_invariants_hold_after_every_step(policy in policy(), trace in trace()) {
        let mut bench = bench(policy);
        let mut invariants = Invariants::default();
        for step in &trace {
            checked(&mut bench, &mut invariants, step);
        }
    }

    #[test]
    fn the_same_trace_gives_the_same_decisions(policy in policy(), trace in trace()) {
        let run = || {
            let mut bench = bench(policy.clone());
            trace.iter().for_each(|step| apply(&mut bench, step));
            bench.changes
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn worse_evidence_never_improves_an_answer(
        policy in policy(),
        trace in trace(),
        (good, bad) in better_and_worse(),
    ) {
        let run = |last: &Step| {
            let mut bench = bench(policy.clone());
            trace.iter().for_each(|step| apply(&mut bench, step));
            apply(&mut bench, last);
            bench.decision
        };
        let (good, bad) = (run(&good), run(&bad));
        prop_assert!(bad.ready.verdict <= good.ready.verdict, "{:?}\n{:?}", good, bad);
        // Evidence that a restart can't help (824, a full disk, a stop) is worse, and holds liveness.
        if !bad.findings.iter().any(|finding| finding.reason.info().holds) {
            prop_assert!(bad.live.verdict <= good.live.verdict, "{:?}\n{:?}", good, bad);
        }
        prop_assert!(bad.gate.verdict <= good.gate.verdict);
    }

    #[test]
    fn liveness_never_fails_while_recovery_advances(trace in trace()) {
        let mut bench = bench(kubelet());
        let mut percent = 0.0;
        for step in &trace {
            apply(&mut bench, step);
            percent += 0.1;
            bench.see(recovering("master", percent));
            let recovering = bench.decision.finding(
                sql_edge_supervisor::decide::reason::Reason::Recovering,
            );
            // But for an engine that may not write and can't be killed from here.
            let fenced = bench.has(sql_edge_supervisor::decide::reason::Reason::FenceFailed);
            if recovering.is_some() && percent > 0.2 && !fenced {
                prop_assert_eq!(
                    bench.live(),
                    sql_edge_supervisor::decide::decision::Verdict::Pass
                );
            }
        }
    }

    #[test]
    fn the_order_of_arrival_within_a_moment_breaks_nothing(trace in trace()) {
        let mut bench = bench(kubelet());
        let mut invariants = Invariants::default();
        for step in trace.iter().rev().chain(&trace) {
            checked(&mut bench, &mut invariants, step);
        }
    }
}
