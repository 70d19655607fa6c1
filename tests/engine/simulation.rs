//! A seeded world in simulated time: an engine that starts, works, hangs, dies, recovers and dumps,
//! on a volume that stalls, under a kubelet that restarts it when liveness fails.
//!
//! `SIMULATION_STEPS=10000000 cargo test --release --test engine simulation` runs the full length;
//! `SIMULATION_SEED=...` runs one world alone.

use std::time::Duration;

use sql_edge_supervisor::decide::decision::Verdict;
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::time::Time;

use crate::bench::*;
use crate::invariants::Invariants;

/// Steps in `tests/run`, over all seeds.
const STEPS: u64 = 200_000;
/// Steps of one world.
const STEPS_A_WORLD: u64 = 5_000;
/// How the kubelet of this world asks for liveness.
const PERIOD: Duration = Duration::from_secs(5);
/// Pace of the observers.
const PING: Duration = Duration::from_secs(2);

/// SplitMix64: small, seeded, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What the engine of the world does. The truth, which the supervisor only sees through observations.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Truth {
    /// No process; the runtime starts one at this moment.
    Down(Time),
    /// It starts until this moment, and works hard at it.
    Starting(Time),
    /// `master` recovers until this moment, advancing.
    Recovering(Time),
    Healthy,
    /// It answers nobody but works, until this moment.
    Busy(Time),
    /// A dump stops it until this moment.
    Dumping(Time),
    /// It answers nobody and does nothing, for ever.
    Hung,
    /// It refuses logins by name.
    WrongPassword(Time),
}

struct World {
    random: Random,
    bench: Bench,
    truth: Truth,
    since: Time,
    generation: u64,
    cpu: Duration,
    percent: f64,
    stalled_until: Option<Time>,
    /// When the volume last came back.
    unstalled: Time,
    /// Since when liveness has failed, as the kubelet sees it.
    failing: Option<Time>,
    restarts: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let policy = Policy {
            // the budget has scenarios of its own; here each hang has to be ended
            restart_budget: u32::MAX,
            ..kubelet()
        };
        let mut bench = Bench::new(policy);
        bench.see(volume(healthy_volume()));
        Self {
            random: Random(seed),
            bench,
            truth: Truth::Down(Time::from_start(seconds(3))),
            since: Time::ZERO,
            generation: 1,
            cpu: Duration::ZERO,
            percent: 0.0,
            stalled_until: None,
            unstalled: Time::ZERO,
            failing: None,
            restarts: 0,
        }
    }

    fn become_(&mut self, truth: Truth) {
        self.truth = truth;
        self.since = self.bench.now;
    }

    fn soon(&mut self, most: u64) -> Time {
        let span = seconds(1 + self.random.below(most));
        self.bench.now.plus(span)
    }

    /// One step: time passes, the world moves, the observers look, the kubelet asks.
    fn step(&mut self) {
        let span = Duration::from_millis(200 + self.random.below(1800));
        self.bench.pass(span);
        self.advance();
        self.observe(span);
        self.kubelet();
    }

    fn advance(&mut self) {
        let now = self.bench.now;
        if self.stalled_until.is_some_and(|until| now >= until) {
            self.stalled_until = None;
            self.unstalled = now;
            self.bench.see(volume(healthy_volume()));
        }
        match self.truth {
            Truth::Down(until) if now >= until => {
                self.generation += 1;
                self.cpu = Duration::ZERO;
                let until = self.soon(900);
                self.become_(Truth::Starting(until));
            }
            Truth::Starting(until) if now >= until => match self.random.below(3) {
                0 => {
                    self.percent = 0.0;
                    let until = self.soon(1200);
                    self.become_(Truth::Recovering(until));
                }
                _ => self.become_(Truth::Healthy),
            },
            Truth::Recovering(until)
            | Truth::Busy(until)
            | Truth::Dumping(until)
            | Truth::WrongPassword(until)
                if now >= until =>
            {
                self.become_(Truth::Healthy);
            }
            Truth::Healthy => self.fault(),
            _ => {}
        }
    }

    fn fault(&mut self) {
        let truth = match self.random.below(150) {
            0 => Truth::Hung,
            1 => Truth::Busy(self.soon(600)),
            2 => Truth::Dumping(self.soon(600)),
            3 => Truth::WrongPassword(self.soon(3600)),
            4 => {
                self.bench.see(exited(Some(ExitStatus::Signal(9))));
                Truth::Down(self.soon(12))
            }
            5 if self.stalled_until.is_none() => {
                self.stalled_until = Some(self.soon(300));
                self.bench.see(Observation::Volume(VolumeReport::Began));
                return;
            }
            6 => {
                self.bench.see(Observation::Stall(seconds(30)));
                return;
            }
            _ => return,
        };
        self.become_(truth);
    }

    fn observe(&mut self, span: Duration) {
        if let Truth::Down(_) = self.truth {
            return;
        }
        let works = matches!(
            self.truth,
            Truth::Starting(_) | Truth::Recovering(_) | Truth::Busy(_)
        );
        self.cpu += span.mul_f64(if works { 0.7 } else { 0.01 });
        let mut seen = process(self.generation, self.cpu);
        if let Truth::Dumping(_) = self.truth {
            seen.state = RunState::Traced;
        }
        self.bench
            .see(Observation::Process(ProcessReport::Running(seen)));
        if let Truth::Recovering(_) = self.truth {
            self.percent += 0.01;
            let percent = self.percent;
            self.bench.see(recovering("master", percent));
        } else if self.truth == Truth::Healthy {
            self.bench
                .see(databases(&[("master", DatabaseState::Online)]));
        }
        let result = match self.truth {
            Truth::Starting(_) => AttemptResult::Failed(ContactError::Refused),
            Truth::Healthy | Truth::Recovering(_) => answered_result(),
            Truth::WrongPassword(_) => AttemptResult::Failed(server(18456)),
            Truth::Busy(_) | Truth::Dumping(_) | Truth::Hung | Truth::Down(_) => TIMED_OUT,
        };
        // An attempt is reported when it ends; one that got no answer began its deadline earlier.
        let started = match result {
            TIMED_OUT => {
                let since = self.bench.now.since(self.since).min(PING);
                Time::from_start(self.bench.now.elapsed() - since)
            }
            _ => self.bench.now,
        };
        self.bench
            .see(Observation::Ping(Attempt { started, result }));
    }

    fn kubelet(&mut self) {
        if self.bench.live() == Verdict::Pass {
            self.failing = None;
            return;
        }
        assert!(
            matches!(self.truth, Truth::Hung | Truth::Down(_)),
            "a restart of an engine that is {:?}: {:?}",
            self.truth,
            self.bench.decision
        );
        let failing = *self.failing.get_or_insert(self.bench.now);
        if self.bench.now.since(failing) >= PERIOD && self.truth == Truth::Hung {
            self.restarts += 1;
            self.failing = None;
            self.bench.see(exited(Some(ExitStatus::Signal(9))));
            let until = self.soon(5);
            self.become_(Truth::Down(until));
        }
    }

    /// A hang is never missed: it is asked to be ended within the threshold, plus what the
    /// observers need to see it. A stalled volume holds.
    fn no_hang_is_missed(&self) {
        let held = self.stalled_until.is_some();
        let limit = self.bench.policy.unresponsive_after + PING * 2 + PERIOD;
        if self.truth == Truth::Hung && !held {
            let hung = self.bench.now.since(self.since.max(self.unstalled));
            assert!(
                hung < limit,
                "hung for {hung:?} and still there: {:?}",
                self.bench.decision
            );
        }
    }
}

fn run(seed: u64, steps: u64) -> u64 {
    let mut world = World::new(seed);
    let mut invariants = Invariants::default();
    for _ in 0..steps {
        world.step();
        invariants.check(&world.bench);
        world.no_hang_is_missed();
    }
    world.restarts
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn a_seeded_world_is_supervised_without_a_wrong_restart() {
    if let Some(seed) = number("SIMULATION_SEED") {
        run(seed, STEPS_A_WORLD);
        return;
    }
    let steps = number("SIMULATION_STEPS").unwrap_or(STEPS);
    let mut restarts = 0;
    for seed in 0..steps.div_ceil(STEPS_A_WORLD) {
        let world = std::panic::catch_unwind(|| run(seed, STEPS_A_WORLD));
        restarts += world.unwrap_or_else(|_| {
            panic!("SIMULATION_SEED={seed} breaks it; its decision is printed above")
        });
    }
    println!("{steps} steps, {restarts} hung engines restarted, none wrongly");
    assert!(restarts > 0, "a world without a hang proves nothing");
}
