//! Contenders that race for one volume, on real files: one winner each time.
//!
//! `LEASE_ROUNDS` asks for more rounds than the test run has time for.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::lease::sight::Observer;
use sql_edge_supervisor::decide::lease::{
    Epoch, HolderIdentity, LeaseMachine, LeaseReply, LeaseState, LeaseStep, Terms,
};
use sql_edge_supervisor::records::claims::Claims;

const ROUNDS: u64 = 1_000;
const CONTENDERS: usize = 2;

/// In a race nothing becomes stale.
const TERMS: Terms = Terms {
    strict: true,
    renew: Duration::from_secs(3600),
    stale: Duration::from_secs(24 * 3600),
    fence: Duration::from_secs(12 * 3600),
    look: Duration::ZERO,
};

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Takes steps until the lease is held, or known to be somebody else's.
fn contend(volume: &Path, name: usize, round: u64, origin: Instant) -> LeaseState {
    let identity = HolderIdentity {
        id: format!("pod-{name}"),
        ..HolderIdentity::default()
    };
    let me = Observer {
        identity,
        ..Observer::default()
    };
    let nonce = round * CONTENDERS as u64 + name as u64;
    let mut machine = LeaseMachine::new(me, nonce, TERMS);
    let mut claims = Claims::on(volume);
    let mut reply = LeaseReply::Done;
    loop {
        let step = machine.next(reply, origin.elapsed());
        match machine.state(origin.elapsed()) {
            LeaseState::Unknown => {}
            // Who is seen there may still give way to a higher one; so may not who holds it.
            LeaseState::Elsewhere { holder: None, .. } => {}
            decided => return decided,
        }
        reply = match step {
            LeaseStep::Rest(_) => LeaseReply::Done,
            step => claims.carry_out(&step),
        };
        assert!(!matches!(reply, LeaseReply::Failed(_)), "{reply:?}");
    }
}

#[test]
fn of_two_that_race_one_wins_each_time() {
    let rounds = std::env::var("LEASE_ROUNDS").ok();
    let rounds = rounds
        .and_then(|count| count.parse().ok())
        .unwrap_or(ROUNDS);
    let name = format!("ses-race-{}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    std::fs::create_dir(&scratch.0).expect("the scratch directory is made");
    let start = Barrier::new(CONTENDERS);
    let origin = Instant::now();
    let race = |name: usize| {
        let mut won: Vec<(u64, Epoch)> = Vec::new();
        for round in 0..rounds {
            let volume = scratch.0.join(format!("{}", round % 2));
            if name == 0 {
                // The next volume, while nobody is at it.
                let _ = std::fs::remove_dir_all(&volume);
                std::fs::create_dir(&volume).expect("the volume is made");
            }
            start.wait();
            if let LeaseState::Held { epoch, .. } = contend(&volume, name, round, origin) {
                won.push((round, epoch));
            }
        }
        won
    };
    let winners: Vec<Vec<(u64, Epoch)>> = thread::scope(|scope| {
        let racers: Vec<_> = (0..CONTENDERS)
            .map(|name| scope.spawn(move || race(name)))
            .collect();
        let joined = racers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|won| won.expect("a racer broke")).collect()
    });
    let mut won: Vec<u64> = winners.iter().flatten().map(|(round, _)| *round).collect();
    won.sort_unstable();
    assert_eq!(won, (0..rounds).collect::<Vec<_>>(), "one winner each time");
    let each: Vec<_> = winners.iter().map(Vec::len).collect();
    println!("{rounds} races, won {each:?}, {:.1?}", origin.elapsed());
}
