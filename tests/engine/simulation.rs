//! A seeded world in simulated time: an engine that starts, works, hangs, dies, recovers and dumps,
//! on a volume that stalls, under a kubelet and a supervisor of which one restarts it.
//!
//! Each world draws its own rules from its seed: who restarts, whether the processes can be seen,
//! whether the budget is tight. `SIMULATION_STEPS=...` runs more or fewer steps than the ten million
//! of the test run; a seed that breaks something prints its trace, and `SIMULATION_SEED=...` runs it
//! alone. Seeds that once broke something are in [`REGRESSIONS`].

mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use world::{Counts, World};

/// Steps in `tests/run`, over all seeds.
const STEPS: u64 = 10_000_000;
/// Steps of one world.
const STEPS_A_WORLD: u64 = 5_000;
/// Worlds side by side.
const THREADS: usize = 2;

/// Seeds that found a fault once, with what it was. They run first.
const REGRESSIONS: &[u64] = &[];

/// Runs one world; prints its last changes where it breaks.
fn run(seed: u64) -> Counts {
    let lived = std::panic::catch_unwind(|| {
        let mut world = World::new(seed);
        for _ in 0..STEPS_A_WORLD {
            world.step();
        }
        world.counts
    });
    lived.unwrap_or_else(|_| {
        // Once more, which by the seed is the same, and this time to be watched.
        let mut world = World::new(seed);
        world.watched = true;
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS_A_WORLD {
                world.step();
            }
        }));
        world.print_trace();
        panic!("SIMULATION_SEED={seed} breaks it: see above, and add it to REGRESSIONS");
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn a_seeded_world_is_supervised_without_a_wrong_or_a_missed_restart() {
    if let Some(seed) = number("SIMULATION_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let steps = number("SIMULATION_STEPS").unwrap_or(STEPS);
    let seeds = steps.div_ceil(STEPS_A_WORLD);
    for seed in REGRESSIONS {
        run(*seed);
    }
    let next = AtomicU64::new(0);
    let work = || {
        let mut counts = Counts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return counts;
            }
            counts.add(run(seed));
        }
    };
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut total = Counts::default();
        for thread in threads {
            total.add(thread.join().expect("a world broke: see above"));
        }
        total
    });
    println!(
        "{} steps in {seeds} worlds: {total:?}",
        seeds * STEPS_A_WORLD
    );
    assert!(
        seeds < 100 || total.all_happened(),
        "a world in which something never happens proves nothing of it: {total:?}"
    );
}
