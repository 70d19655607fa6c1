//! A directory of claims, and contenders that take their steps on it in any order.
//!
//! A step is asked for, takes effect, and is answered: three moments, with anything in between. What is
//! paused is one that is not chosen while time passes. A crash may leave a write behind that takes effect
//! later, or never.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use sql_edge_supervisor::decide::lease::machine::{LeaseMachine, Stage};
use sql_edge_supervisor::decide::lease::{
    Claim, Epoch, HolderIdentity, LeaseReply, LeaseStep, Record, Terms,
};

/// The moment is always this one: where time passes, everything remembered moves into the past. What is
/// older than this many ticks is just old.
pub const NOW: Duration = Duration::from_secs(3);
pub const TICK: Duration = Duration::from_secs(1);

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub contenders: usize,
    pub terms: Terms,
    /// Claims beyond this one are not made.
    pub epochs: Epoch,
    pub crashes: u8,
    pub failures: u8,
    pub releases: u8,
    /// The claim's file appears empty and is written later, as where there are no hard links.
    pub empty_claims: bool,
}

type Inode = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub nodes: Vec<Node>,
    names: BTreeMap<Epoch, Inode>,
    inodes: Vec<Record>,
    /// Who has held which epoch.
    held: Vec<(Epoch, usize)>,
    runs: u64,
    crashes: u8,
    failures: u8,
    releases: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// None: it is dead.
    pub machine: Option<LeaseMachine>,
    step: LeaseStep,
    reply: Option<LeaseReply>,
    file: Option<Inode>,
    /// A step that was under way when it died.
    ghost: Option<LeaseStep>,
    /// The renewal under way began when another one held a higher epoch already.
    too_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Effect(usize),
    Answer(usize),
    Fail(usize),
    Crash(usize),
    Ghost(usize),
    NoGhost(usize),
    Start(usize),
    Release(usize),
    Tick,
}

fn machine(node: usize, run: u64, terms: Terms) -> LeaseMachine {
    let me = HolderIdentity {
        id: char::from(b'A' + u8::try_from(node).expect("a few")).to_string(),
        ..HolderIdentity::default()
    };
    LeaseMachine::new(me, run, terms)
}

impl World {
    pub fn new(bounds: &Bounds) -> Self {
        let node = |index| Node {
            machine: Some(machine(index, index as u64, bounds.terms)),
            step: LeaseStep::Rest(Duration::ZERO),
            reply: None,
            file: None,
            ghost: None,
            too_late: false,
        };
        Self {
            nodes: (0..bounds.contenders).map(node).collect(),
            names: BTreeMap::new(),
            inodes: Vec::new(),
            held: Vec::new(),
            runs: bounds.contenders as u64,
            crashes: bounds.crashes,
            failures: bounds.failures,
            releases: bounds.releases,
        }
    }

    /// What may happen next.
    pub fn moves(&self, bounds: &Bounds) -> Vec<Move> {
        let mut moves = vec![Move::Tick];
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(machine) = &node.machine else {
                match node.ghost {
                    Some(_) => moves.extend([Move::Ghost(index), Move::NoGhost(index)]),
                    None => moves.push(Move::Start(index)),
                }
                continue;
            };
            let beyond =
                matches!(&node.step, LeaseStep::Create(claim) if claim.epoch > bounds.epochs);
            match (&node.reply, beyond) {
                (Some(_), _) => moves.push(Move::Answer(index)),
                (None, false) => {
                    moves.push(Move::Effect(index));
                    if self.failures > 0 && !matches!(node.step, LeaseStep::Rest(_)) {
                        moves.push(Move::Fail(index));
                    }
                }
                (None, true) => {}
            }
            if self.crashes > 0 {
                moves.push(Move::Crash(index));
            }
            if self.releases > 0 && machine.tenure.is_some() && !machine.releasing {
                moves.push(Move::Release(index));
            }
        }
        moves
    }

    /// Makes a move; what is wrong with it, if something is.
    pub fn make(&mut self, to: Move, bounds: &Bounds) -> Option<String> {
        match to {
            Move::Tick => self.nodes.iter_mut().for_each(age),
            Move::Effect(index) => {
                let reply = self.effect(index, &self.nodes[index].step.clone(), bounds);
                self.nodes[index].reply = Some(reply);
                if let LeaseStep::Rest(_) = self.nodes[index].step {
                    return self.answer(index);
                }
            }
            Move::Answer(index) => return self.answer(index),
            Move::Fail(index) => {
                self.failures -= 1;
                self.nodes[index].reply = Some(LeaseReply::Failed("EIO".to_owned()));
            }
            Move::Crash(index) => {
                self.crashes -= 1;
                let node = &mut self.nodes[index];
                node.machine = None;
                let writes = matches!(
                    node.step,
                    LeaseStep::Create(_) | LeaseStep::Write(_) | LeaseStep::Remove(_)
                );
                let unanswered = node.reply.take().is_none();
                node.ghost = (writes && unanswered).then(|| node.step.clone());
            }
            Move::Ghost(index) => {
                if let Some(step) = self.nodes[index].ghost.take() {
                    self.effect(index, &step, bounds);
                }
            }
            Move::NoGhost(index) => self.nodes[index].ghost = None,
            Move::Start(index) => {
                let node = &mut self.nodes[index];
                node.machine = Some(machine(index, self.runs, bounds.terms));
                node.step = LeaseStep::Rest(Duration::ZERO);
                node.file = None;
                self.runs += 1;
            }
            Move::Release(index) => {
                self.releases -= 1;
                if let Some(machine) = &mut self.nodes[index].machine {
                    machine.release();
                }
            }
        }
        let both = self.writers();
        (bounds.terms.strict && both.len() > 1).then(|| format!("{both:?} hold it at once"))
    }

    /// How often the lease was taken.
    pub fn changes(&self) -> usize {
        self.held.len()
    }

    /// Whose engines may write.
    fn writers(&self) -> Vec<usize> {
        let holds = |node: &Node| node.machine.as_ref().is_some_and(|c| c.holds(NOW));
        (0..self.nodes.len())
            .filter(|index| holds(&self.nodes[*index]))
            .collect()
    }

    fn effect(&mut self, index: usize, step: &LeaseStep, bounds: &Bounds) -> LeaseReply {
        match step {
            LeaseStep::Rest(_) | LeaseStep::Sync | LeaseStep::SyncDirectory => LeaseReply::Done,
            LeaseStep::List => LeaseReply::Listed(self.names.keys().copied().collect()),
            LeaseStep::Read(epoch) => match self.names.get(epoch) {
                Some(inode) => LeaseReply::Read(self.inodes[*inode].clone()),
                None => LeaseReply::Gone,
            },
            LeaseStep::Open(epoch) => match self.names.get(epoch) {
                Some(&inode) => {
                    self.nodes[index].file = Some(inode);
                    LeaseReply::Read(self.inodes[inode].clone())
                }
                None => LeaseReply::Gone,
            },
            LeaseStep::Create(claim) if self.names.contains_key(&claim.epoch) => LeaseReply::Exists,
            LeaseStep::Create(claim) => {
                self.inodes.push(match bounds.empty_claims {
                    true => Record::Torn(0),
                    false => Record::Claim(claim.clone()),
                });
                let inode = self.inodes.len() - 1;
                self.names.insert(claim.epoch, inode);
                self.nodes[index].file = Some(inode);
                LeaseReply::Done
            }
            LeaseStep::Write(claim) => {
                let inode = self.nodes[index].file.expect("nothing is open");
                self.inodes[inode] = Record::Claim(claim.clone());
                LeaseReply::Done
            }
            LeaseStep::Remove(epoch) => {
                let highest = self.names.last_key_value().map(|(highest, _)| *highest);
                assert_ne!(highest, Some(*epoch), "the highest claim is removed");
                match self.names.remove(epoch) {
                    Some(_) => LeaseReply::Done,
                    None => LeaseReply::Gone,
                }
            }
        }
    }

    fn answer(&mut self, index: usize) -> Option<String> {
        let node = &mut self.nodes[index];
        let machine = node.machine.as_mut()?;
        let before = machine.tenure.clone();
        node.step = machine.next(node.reply.take()?, NOW);
        if !matches!(
            node.step,
            LeaseStep::Write(_) | LeaseStep::Sync | LeaseStep::List
        ) {
            // Nothing goes on with the file that was open.
            node.file = node
                .file
                .filter(|_| matches!(node.step, LeaseStep::SyncDirectory));
        }
        let after = machine.tenure.clone();
        if let LeaseStep::Sync | LeaseStep::SyncDirectory = node.step {
            // It changes nothing that anybody sees: what counts is when it is answered.
            node.reply = Some(LeaseReply::Done);
        }
        if let LeaseStep::Open(epoch) = node.step {
            let higher = |(held, by): &(Epoch, usize)| *held > epoch && *by != index;
            node.too_late = self.held.iter().any(higher);
        }
        let too_late = node.too_late;
        let Some(now) = &after else {
            return None;
        };
        match &before {
            Some(before) if before.claim == now.claim => None,
            Some(before) if before.claim.epoch == now.claim.epoch => too_late
                .then(|| format!("{index} renews though another one held a higher epoch before")),
            _ => self.taken(index, &now.claim),
        }
    }

    fn taken(&mut self, index: usize, claim: &Claim) -> Option<String> {
        let other = |(epoch, by): &&(Epoch, usize)| {
            (claim.first..=claim.epoch).contains(epoch) && *by != index
        };
        if let Some((epoch, by)) = self.held.iter().find(other) {
            return Some(format!("{index} has {claim:?}, and {by} held {epoch}"));
        }
        if self.held.iter().any(|(epoch, _)| *epoch == claim.epoch) {
            return Some(format!("{index} takes {} twice", claim.epoch));
        }
        self.held.push((claim.epoch, index));
        self.held.sort_unstable();
        None
    }

    /// Whether `index` gets the lease when it alone goes on.
    pub fn gets_it(mut self, index: usize, bounds: &Bounds) -> bool {
        const MOVES: usize = 400;
        let bounds = Bounds {
            epochs: Epoch::MAX,
            ..*bounds
        };
        for other in 0..self.nodes.len() {
            let dead = self.nodes[other].machine.is_none();
            if other == index && dead {
                self.nodes[other].ghost = None;
                self.make(Move::Start(other), &bounds);
            }
        }
        for _ in 0..MOVES {
            let node = &self.nodes[index];
            let machine = node.machine.as_ref().expect("just started");
            if machine.releasing || machine.holds(NOW) {
                return true;
            }
            let next = match node.reply {
                Some(_) => Move::Answer(index),
                None => Move::Effect(index),
            };
            if let (Move::Effect(_), LeaseStep::Rest(_)) = (next, &node.step) {
                self.make(Move::Tick, &bounds);
            }
            self.make(next, &bounds);
            self.tidy();
        }
        false
    }

    /// The same state in the same words: counters that only have to differ are made small, files
    /// that nobody can reach any more are forgotten.
    pub fn tidy(&mut self) {
        let mut reachable: Vec<Inode> = self.names.values().copied().collect();
        reachable.extend(self.nodes.iter().filter_map(|node| node.file));
        reachable.sort_unstable();
        reachable.dedup();
        let place = |inode: &Inode| reachable.binary_search(inode).expect("it is reachable");
        self.inodes = reachable.iter().map(|i| self.inodes[*i].clone()).collect();
        self.names
            .values_mut()
            .for_each(|inode| *inode = place(inode));
        for node in &mut self.nodes {
            node.file = node.file.as_ref().map(place);
        }
        for node in &mut self.nodes {
            if let Some(watch) = node.machine.as_mut().and_then(|c| c.watch.as_mut()) {
                // For people only: nothing follows from it.
                watch.until = watch.since;
            }
        }
        let mut seen: Vec<(u64, u64)> = Vec::new();
        self.claims(|claim| seen.push((claim.nonce, claim.heartbeat)));
        seen.sort_unstable();
        seen.dedup();
        self.claims(|claim| {
            let of_run = seen.partition_point(|(nonce, _)| *nonce < claim.nonce);
            let at = seen.binary_search(&(claim.nonce, claim.heartbeat));
            claim.heartbeat = (at.expect("just collected") - of_run) as u64;
        });
    }

    fn claims(&mut self, mut visit: impl FnMut(&mut Claim)) {
        let records = self.inodes.iter_mut();
        let mut record = |record: &mut Record| {
            if let Record::Claim(claim) = record {
                visit(claim);
            }
        };
        records.for_each(&mut record);
        for node in &mut self.nodes {
            if let Some(LeaseReply::Read(read)) = &mut node.reply {
                record(read);
            }
            if let Some(watch) = node.machine.as_mut().and_then(|c| c.watch.as_mut()) {
                record(&mut watch.record);
            }
        }
        for node in &mut self.nodes {
            for step in [Some(&mut node.step), node.ghost.as_mut()] {
                if let Some(LeaseStep::Create(claim) | LeaseStep::Write(claim)) = step {
                    visit(claim);
                }
            }
            let Some(machine) = &mut node.machine else {
                continue;
            };
            machine
                .tenure
                .iter_mut()
                .for_each(|tenure| visit(&mut tenure.claim));
            match &mut machine.stage {
                Stage::Claiming(_, claim, _)
                | Stage::Clearing(claim, ..)
                | Stage::Renewing(_, claim, _)
                | Stage::Missing(claim) => visit(claim),
                _ => {}
            }
        }
    }
}

/// A tick passes.
fn age(node: &mut Node) {
    let Some(machine) = &mut node.machine else {
        return;
    };
    let older = |at: &mut Duration| *at = at.saturating_sub(TICK);
    machine
        .tenure
        .iter_mut()
        .for_each(|tenure| older(&mut tenure.renewed));
    if let Some(watch) = &mut machine.watch {
        older(&mut watch.since);
        older(&mut watch.until);
    }
    match &mut machine.stage {
        Stage::Reading(_, at)
        | Stage::Claiming(_, _, at)
        | Stage::Clearing(_, at, ..)
        | Stage::Opening(at)
        | Stage::Renewing(_, _, at) => older(at),
        Stage::Idle
        | Stage::Looking
        | Stage::Withdrawing
        | Stage::Missing(_)
        | Stage::Releasing(_) => {}
    }
}
