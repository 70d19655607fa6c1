//! Goes through every world that can be reached.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::lease::Terms;

use crate::world::{Bounds, Move, TICK, World};

pub const STRICT: Terms = Terms {
    strict: true,
    renew: TICK,
    // No margin at all: it has to hold for `fence <= stale`, and the settings ask for more.
    stale: Duration::from_secs(2),
    fence: Duration::from_secs(2),
    look: TICK,
};
pub const ADVISORY: Terms = Terms {
    strict: false,
    ..STRICT
};

#[derive(Debug, Default)]
struct Explored {
    worlds: usize,
    whole: bool,
    violation: Option<(String, Vec<Move>)>,
}

/// Sixteen bytes of a world: two sums of it.
fn print(world: &World) -> u128 {
    let build = BuildHasherDefault::<DefaultHasher>::default();
    let low = build.hash_one(world);
    let mut high = DefaultHasher::new();
    0x9e37_79b9_u32.hash(&mut high);
    world.hash(&mut high);
    u128::from(high.finish()) << 64 | u128::from(low)
}

/// Breadth first, until nothing is new or `most` worlds were seen.
fn explore(bounds: &Bounds, most: usize) -> Explored {
    let mut seen = HashSet::new();
    let mut from: Vec<(u32, Move)> = Vec::new();
    let mut queue = VecDeque::new();
    let first = World::new(bounds);
    seen.insert(print(&first));
    from.push((0, Move::Tick));
    queue.push_back((0_u32, first));
    while let Some((number, world)) = queue.pop_front() {
        for to in world.moves(bounds) {
            let mut next = world.clone();
            let wrong = next.make(to, bounds);
            next.tidy();
            let print = print(&next);
            let stuck = || {
                // One in a few: the way there takes a hundred times as long as to see it.
                let looked_at = print.is_multiple_of(61);
                let stuck = |index: &usize| looked_at && !next.clone().gets_it(*index, bounds);
                let stuck = (0..bounds.contenders).find(stuck)?;
                Some(format!("{stuck} can never get it"))
            };
            let is_new = !seen.contains(&print);
            let wrong = wrong.or_else(|| is_new.then(stuck).flatten());
            if let Some(wrong) = wrong {
                let violation = Some((wrong, trace(&from, number, to)));
                return Explored {
                    worlds: seen.len(),
                    whole: false,
                    violation,
                };
            }
            if is_new && seen.len() < most {
                seen.insert(print);
                let next_number = u32::try_from(from.len()).expect("fewer than four billion");
                from.push((number, to));
                queue.push_back((next_number, next));
            }
        }
    }
    Explored {
        worlds: seen.len(),
        whole: seen.len() < most,
        violation: None,
    }
}

fn trace(from: &[(u32, Move)], mut number: u32, last: Move) -> Vec<Move> {
    let mut moves = vec![last];
    while number != 0 {
        let (before, made) = from[number as usize];
        moves.push(made);
        number = before;
    }
    moves.reverse();
    moves
}

/// Worlds of two contenders without crashes: more than there are, so that all of them are seen.
const WHOLE: usize = 400_000;
/// Worlds seen in each other exploration; `LEASE_WORLDS` asks for more. The long ways are in `walk.rs`.
const SOME: usize = 40_000;

fn holds_in(name: &str, bounds: &Bounds, most: usize) -> Explored {
    let began = Instant::now();
    let asked = std::env::var("LEASE_WORLDS").ok();
    let asked = asked.and_then(|count| count.parse().ok());
    let explored = explore(bounds, asked.unwrap_or(most));
    println!(
        "{name}: {} worlds{}, {:.1?}",
        explored.worlds,
        if explored.whole {
            ", all there are"
        } else {
            ""
        },
        began.elapsed()
    );
    if let Some((wrong, moves)) = &explored.violation {
        let mut world = World::new(bounds);
        for to in moves {
            world.make(*to, bounds);
            world.tidy();
            println!("{to:?}\n  {world:?}");
        }
        panic!("{name}: {wrong}");
    }
    explored
}

const TWO: Bounds = Bounds {
    contenders: 2,
    terms: STRICT,
    epochs: 2,
    crashes: 0,
    failures: 0,
    releases: 0,
    empty_claims: false,
};

#[test]
fn two_contenders() {
    let advisory = Bounds {
        terms: ADVISORY,
        ..TWO
    };
    for (name, bounds) in [("strict", TWO), ("advisory", advisory)] {
        let explored = holds_in(name, &bounds, WHOLE);
        let asked_for_less = std::env::var_os("LEASE_WORLDS").is_some();
        assert!(explored.whole || asked_for_less, "{name} is not seen whole");
    }
}

#[test]
fn two_contenders_with_crashes() {
    for (terms, empty_claims) in [(STRICT, false), (STRICT, true), (ADVISORY, false)] {
        let bounds = Bounds {
            terms,
            empty_claims,
            crashes: 1,
            epochs: 3,
            ..TWO
        };
        holds_in(
            &format!("crash, {terms:?}, empty {empty_claims}"),
            &bounds,
            SOME,
        );
    }
}

#[test]
fn two_contenders_with_failures_and_releases() {
    holds_in(
        "strict",
        &Bounds {
            failures: 1,
            releases: 1,
            epochs: 3,
            ..TWO
        },
        SOME,
    );
    holds_in(
        "advisory",
        &Bounds {
            terms: ADVISORY,
            failures: 1,
            releases: 1,
            epochs: 3,
            ..TWO
        },
        SOME,
    );
}

#[test]
fn three_contenders() {
    holds_in(
        "strict",
        &Bounds {
            contenders: 3,
            epochs: 3,
            ..TWO
        },
        SOME,
    );
    holds_in(
        "advisory",
        &Bounds {
            contenders: 3,
            terms: ADVISORY,
            epochs: 3,
            ..TWO
        },
        SOME,
    );
}

#[test]
fn terms_that_are_wrong_are_found_out() {
    let terms = Terms {
        fence: Duration::from_secs(3),
        ..STRICT
    };
    let explored = explore(&Bounds { terms, ..TWO }, 1_000_000);
    let (wrong, _) = explored
        .violation
        .expect("a fence later than stale breaks it");
    assert!(wrong.contains("at once"), "{wrong}");
}
