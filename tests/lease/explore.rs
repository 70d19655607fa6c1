//! Goes through the worlds that can be reached: all of them where they are few enough, else the nearest.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::lease::Terms;
use sql_edge_supervisor::decide::lease::sight::FileSystemReach;

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

/// The most worlds of an exploration that is to see all that there are.
const WHOLE: usize = 600_000;
/// The most worlds seen of one that is too large for that: the nearest ones, by the number of moves. The long
/// ways are in `walk.rs`. `LEASE_WORLDS` asks for more, or fewer, of both.
const SAMPLE: usize = 40_000;

/// How much of its worlds an exploration has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All there are: whatever the order, what is checked holds.
    Exhausted,
    /// The nearest [`SAMPLE`].
    Sampled,
}

fn holds_in(name: &str, bounds: &Bounds, extent: Extent) {
    let began = Instant::now();
    let asked = std::env::var("LEASE_WORLDS").ok();
    let asked: Option<usize> = asked.and_then(|count| count.parse().ok());
    let most = match extent {
        Extent::Exhausted => WHOLE,
        Extent::Sampled => SAMPLE,
    };
    let explored = explore(bounds, asked.unwrap_or(most));
    println!(
        "{name}: {} worlds, {}, {:.1?}",
        explored.worlds,
        if explored.whole {
            "all there are"
        } else {
            "a sample"
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
    let exhausted = explored.whole || asked.is_some();
    assert!(
        exhausted || extent == Extent::Sampled,
        "{name} is not seen whole"
    );
}

const TWO: Bounds = Bounds {
    contenders: 2,
    terms: STRICT,
    epochs: 2,
    crashes: 0,
    failures: 0,
    releases: 0,
    ends: 0,
    suspends: 0,
    empty_claims: false,
    locks: false,
    reach: FileSystemReach::Shared,
    machines: false,
    agents_lock: false,
};

/// On one machine, with locks.
const LOCAL: Bounds = Bounds {
    locks: true,
    reach: FileSystemReach::Machine,
    epochs: 3,
    ..TWO
};

fn advisory(bounds: Bounds) -> Bounds {
    Bounds {
        terms: ADVISORY,
        ..bounds
    }
}

#[test]
fn two_contenders() {
    holds_in("strict", &TWO, Extent::Exhausted);
    // More than a test run has time for: an engine may run on under a claim that was followed.
    holds_in("advisory", &advisory(TWO), Extent::Sampled);
}

#[test]
fn two_contenders_whose_agents_crash_and_come_back() {
    let crash = Bounds {
        crashes: 1,
        epochs: 3,
        ..TWO
    };
    let empty = Bounds {
        empty_claims: true,
        ..crash
    };
    holds_in("strict", &crash, Extent::Sampled);
    holds_in("strict, empty claims", &empty, Extent::Sampled);
    holds_in("advisory", &advisory(crash), Extent::Sampled);
}

#[test]
fn two_contenders_with_failures_and_releases() {
    let bounds = Bounds {
        failures: 1,
        releases: 1,
        epochs: 3,
        ..TWO
    };
    holds_in("strict", &bounds, Extent::Sampled);
    holds_in("advisory", &advisory(bounds), Extent::Sampled);
}

#[test]
fn three_contenders() {
    let three = Bounds {
        contenders: 3,
        epochs: 3,
        ..TWO
    };
    holds_in("strict", &three, Extent::Sampled);
    holds_in("advisory", &advisory(three), Extent::Sampled);
}

#[test]
fn a_suspend_at_any_step() {
    let suspend = Bounds { suspends: 1, ..TWO };
    holds_in("strict", &suspend, Extent::Sampled);
    holds_in("advisory", &advisory(suspend), Extent::Sampled);
}

#[test]
fn a_lock_that_is_free_or_held() {
    let ends = Bounds { ends: 1, ..LOCAL };
    let crashes = Bounds { crashes: 1, ..ends };
    holds_in("strict, ends", &ends, Extent::Sampled);
    holds_in("advisory, ends", &advisory(ends), Extent::Sampled);
    holds_in("strict, an agent too", &crashes, Extent::Sampled);
    holds_in(
        "advisory, an agent too",
        &advisory(crashes),
        Extent::Sampled,
    );
}

#[test]
fn a_holder_of_another_boot() {
    let bounds = Bounds {
        machines: true,
        ends: 2,
        crashes: 1,
        ..LOCAL
    };
    for locks in [true, false] {
        let bounds = Bounds { locks, ..bounds };
        holds_in("strict", &bounds, Extent::Sampled);
        holds_in("advisory", &advisory(bounds), Extent::Sampled);
    }
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
    assert!(
        wrong.contains("at once") || wrong.contains("takes it while"),
        "{wrong}"
    );
}

/// A lock that ended with the agent, and not with the engine, would be taken for the end of both.
#[test]
fn a_lock_that_the_agent_alone_held_would_be_found_out() {
    let bounds = Bounds {
        crashes: 1,
        agents_lock: true,
        ..advisory(LOCAL)
    };
    let explored = explore(&bounds, 1_000_000);
    let (wrong, _) = explored.violation.expect("the engine goes on without it");
    assert!(wrong.contains("takes it while"), "{wrong}");
}
