//! Contenders that race for one volume, on real files: one winner each time. For a volume that nobody has had, and for
//! one whose holder is gone, as its lock tells.
//!
//! `LEASE_ROUNDS` asks for more rounds than the test run has time for.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sql_edge_supervisor::decide::lease::sight::{HolderDetails, OwnHolder};
use sql_edge_supervisor::decide::lease::{
    HolderIdentity, LeaseMachine, LeaseReply, LeaseState, LeaseStep, Terms,
};
use sql_edge_supervisor::records::claims::Claims;
use sql_edge_supervisor::records::claims::lock::{HolderFile, Keep};

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

/// The id of a holder that both find.
const GONE: &str = "pod-2";

struct Scratch(PathBuf);

impl Scratch {
    fn within(directory: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ses-race-{}-{count}", std::process::id());
        let scratch = Self(directory.join(name));
        std::fs::create_dir(&scratch.0).expect("the scratch directory is made");
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A contender on a volume.
struct Contender {
    identity: HolderIdentity,
    nonce: u64,
    /// Keeps the lock on its file, as PID 1 of an engine's container does.
    kept: Arc<Mutex<Option<OwnedFd>>>,
}

impl Contender {
    fn new(name: usize, round: u64) -> Self {
        Self {
            identity: HolderIdentity {
                id: format!("pod-{name}"),
                // All are on one machine.
                boot_id: "boot".to_owned(),
                ..HolderIdentity::default()
            },
            nonce: round * (CONTENDERS as u64 + 1) + name as u64,
            kept: Arc::default(),
        }
    }

    fn claims(&self, volume: &Path) -> Claims {
        let kept = Arc::clone(&self.kept);
        let keep = Keep::new(move |file| {
            let copy = file.try_clone_to_owned().ok();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = copy;
            kept.is_some()
        });
        let details = HolderDetails::default();
        let file = HolderFile::new(&self.identity.id, self.nonce, details, Some(keep));
        Claims::on(volume).with_holder(file)
    }

    /// Takes steps until the lease is held, or known to be somebody else's than `gone`.
    fn contend(&self, volume: &Path, gone: Option<&str>, origin: Instant) -> LeaseState {
        let me = OwnHolder {
            identity: self.identity.clone(),
            ..OwnHolder::default()
        };
        let mut machine = LeaseMachine::new(me, self.nonce, TERMS);
        let mut claims = self.claims(volume);
        let mut reply = LeaseReply::Done;
        loop {
            let step = machine.next(reply, origin.elapsed());
            match machine.state(origin.elapsed()) {
                LeaseState::Unknown => {}
                // Who is seen there may still give way to a higher one; so may not who holds it.
                LeaseState::Elsewhere { holder: None, .. } => {}
                LeaseState::Elsewhere {
                    holder: Some(holder),
                    ..
                } if Some(holder.id.as_str()) == gone => {}
                decided => return decided,
            }
            reply = match step {
                LeaseStep::Rest(_) => LeaseReply::Done,
                step => claims.execute(&step),
            };
            assert!(!matches!(reply, LeaseReply::Failed(_)), "{reply:?}");
        }
    }
}

fn rounds() -> u64 {
    let rounds = std::env::var("LEASE_ROUNDS").ok();
    let rounds = rounds.and_then(|count| count.parse().ok());
    rounds.unwrap_or(ROUNDS)
}

/// Has all contend for a new volume in each round, at the same time, after `prepare`; who won which round.
fn race(
    scratch: &Scratch,
    rounds: u64,
    prepare: impl Fn(&Path, u64) -> Option<&'static str> + Sync,
) -> Vec<Vec<u64>> {
    let start = Barrier::new(CONTENDERS);
    let origin = Instant::now();
    let gone = Mutex::new(None);
    let contend = |name: usize| {
        let mut won = Vec::new();
        for round in 0..rounds {
            let volume = scratch.0.join(format!("{}", round % 2));
            if name == 0 {
                // The next volume, while nobody is at it.
                let _ = std::fs::remove_dir_all(&volume);
                std::fs::create_dir(&volume).expect("the volume is made");
                *gone.lock().expect("not poisoned") = prepare(&volume, round);
            }
            start.wait();
            let gone = *gone.lock().expect("not poisoned");
            let contender = Contender::new(name, round);
            let state = contender.contend(&volume, gone, origin);
            if let LeaseState::Held { .. } = state {
                won.push(round);
            }
            // Who has won keeps its lock for as long as the other one looks.
            start.wait();
        }
        won
    };
    let winners = thread::scope(|scope| {
        let contend = &contend;
        let racers: Vec<_> = (0..CONTENDERS)
            .map(|name| scope.spawn(move || contend(name)))
            .collect();
        let joined = racers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|won| won.expect("a racer broke")).collect()
    });
    println!("{rounds} races, {:.1?}", origin.elapsed());
    winners
}

fn one_won_each(winners: &[Vec<u64>], rounds: u64) {
    let won = |round: u64| {
        winners
            .iter()
            .filter(|won| won.binary_search(&round).is_ok())
            .count()
    };
    let broken: Vec<u64> = (0..rounds).filter(|round| won(*round) != 1).collect();
    assert!(
        broken.is_empty(),
        "{} rounds without one winner, the first is {}",
        broken.len(),
        broken[0]
    );
    println!("won {:?}", winners.iter().map(Vec::len).collect::<Vec<_>>());
}

#[test]
fn of_two_that_race_one_wins_each_time() {
    let scratch = Scratch::within(&std::env::temp_dir());
    let rounds = rounds();
    one_won_each(&race(&scratch, rounds, |_, _| None), rounds);
}

/// The holder's heartbeats are never stale here: that it is gone is known by its lock alone.
#[test]
fn of_two_that_race_for_the_volume_of_one_that_is_gone_one_wins_each_time() {
    // A file system on which locks count, whatever the machine's disk is.
    let scratch = Scratch::within(Path::new("/dev/shm"));
    let rounds = rounds();
    let origin = Instant::now();
    let winners = race(&scratch, rounds, |volume, round| {
        let holder = Contender::new(CONTENDERS, round);
        let held = holder.contend(volume, None, origin);
        assert!(matches!(held, LeaseState::Held { .. }), "{held:?}");
        // While it is locked nobody follows.
        let other = Contender::new(0, round).contend(volume, None, origin);
        let kept = holder.kept.lock().expect("not poisoned").take();
        assert!(kept.is_some(), "nobody keeps the lock");
        assert!(matches!(other, LeaseState::Elsewhere { .. }), "{other:?}");
        drop(kept);
        Some(GONE)
    });
    one_won_each(&winners, rounds);
}
