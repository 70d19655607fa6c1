//! Long walks through the worlds that are too many to be seen all: each by its seed.
//!
//! `LEASE_WALKS` asks for more, `LEASE_SEED` for one alone, with its trace.

use sql_edge_supervisor::decide::lease::Terms;
use sql_edge_supervisor::decide::lease::sight::FileSystemReach;

use crate::explore::{ADVISORY, STRICT};
use crate::world::{Bounds, Move, World};

const WALKS: u64 = 1_500;
const MOVES: usize = 1_500;

/// xorshift64*, which is enough to choose a move.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).expect("31 bits") % count
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Walks; how often the lease changed hands.
fn walk(seed: u64, terms: Terms, watched: bool) -> usize {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let bounds = Bounds {
        contenders: 2 + random.below(3),
        terms,
        epochs: 1_000,
        crashes: 8,
        failures: 8,
        releases: 2,
        ends: 4,
        suspends: 4,
        empty_claims: random.below(2) == 0,
        locks: random.below(2) == 0,
        agents_lock: false,
        reach: match random.below(2) {
            0 => FileSystemReach::Shared,
            _ => FileSystemReach::Machine,
        },
        machines: random.below(3) == 0,
    };
    // Time passes fast in one and slowly in another; one of them is often paused.
    let slow = 1 + random.below(60);
    let mut paused = 0;
    let mut world = World::new(&bounds);
    for _ in 0..MOVES {
        if random.below(50) == 0 {
            paused = random.below(bounds.contenders + 1);
        }
        let moves = world.moves(&bounds);
        let to = moves[random.below(moves.len())];
        let skipped = match to {
            Move::Tick => random.below(slow) != 0,
            Move::Crash(_) | Move::Fail(_) | Move::Release(_) | Move::End(_) | Move::Suspend(_) => {
                random.below(40) != 0
            }
            Move::Resume(_) => random.below(10) != 0,
            Move::Effect(node) | Move::Answer(node) => node == paused,
            _ => false,
        };
        if skipped {
            continue;
        }
        let wrong = world.make(to, &bounds);
        world.tidy();
        if watched {
            println!("{to:?}\n  {world:?}");
        }
        if let Some(wrong) = wrong {
            panic!("LEASE_SEED={seed} {terms:?}: {wrong}");
        }
    }
    world.changes()
}

#[test]
fn no_long_walk_breaks_it() {
    if let Some(seed) = number("LEASE_SEED") {
        walk(seed, STRICT, true);
        walk(seed, ADVISORY, true);
        return;
    }
    for terms in [STRICT, ADVISORY] {
        let walks = number("LEASE_WALKS").unwrap_or(WALKS);
        let changes: usize = (0..walks).map(|seed| walk(seed, terms, false)).sum();
        println!("{walks} walks, {changes} times the lease was taken");
        let each = usize::try_from(walks).expect("not so many");
        assert!(
            changes > each,
            "walks in which nothing happens prove nothing"
        );
    }
}

#[test]
fn walks_find_terms_that_are_wrong() {
    let terms = Terms {
        fence: STRICT.stale * 2,
        ..STRICT
    };
    let found = std::panic::catch_unwind(|| {
        (0..WALKS)
            .map(|seed| walk(seed, terms, false))
            .sum::<usize>()
    });
    assert!(found.is_err(), "a fence later than stale breaks it");
}
