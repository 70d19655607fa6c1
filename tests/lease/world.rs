//! A directory of claims, and contenders that take their steps on it in any order.
//!
//! A step is asked for, takes effect, and is answered: three moments, with anything in between. What is
//! paused is one that is not chosen while time passes. A crash may leave a write behind that takes effect
//! later, or never.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use sql_edge_supervisor::decide::lease::contender::{Contender, Stage};
use sql_edge_supervisor::decide::lease::{Claim, Epoch, Holder, Record, Reply, Step, Terms};

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
    pub contender: Option<Contender>,
    step: Step,
    reply: Option<Reply>,
    file: Option<Inode>,
    /// A step that was under way when it died.
    ghost: Option<Step>,
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

fn contender(node: usize, run: u64, terms: Terms) -> Contender {
    let me = Holder {
        id: char::from(b'A' + u8::try_from(node).expect("a few")).to_string(),
        ..Holder::default()
    };
    Contender::new(me, run, terms)
}

impl World {
    pub fn new(bounds: &Bounds) -> Self {
        let node = |index| Node {
            contender: Some(contender(index, index as u64, bounds.terms)),
            step: Step::Rest(Duration::ZERO),
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
            let Some(contender) = &node.contender else {
                match node.ghost {
                    Some(_) => moves.extend([Move::Ghost(index), Move::NoGhost(index)]),
                    None => moves.push(Move::Start(index)),
                }
                continue;
            };
            let beyond = matches!(&node.step, Step::Create(claim) if claim.epoch > bounds.epochs);
            match (&node.reply, beyond) {
                (Some(_), _) => moves.push(Move::Answer(index)),
                (None, false) => {
                    moves.push(Move::Effect(index));
                    if self.failures > 0 && !matches!(node.step, Step::Rest(_)) {
                        moves.push(Move::Fail(index));
                    }
                }
                (None, true) => {}
            }
            if self.crashes > 0 {
                moves.push(Move::Crash(index));
            }
            if self.releases > 0 && contender.tenure.is_some() && !contender.releasing {
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
                if let Step::Rest(_) = self.nodes[index].step {
                    return self.answer(index);
                }
            }
            Move::Answer(index) => return self.answer(index),
            Move::Fail(index) => {
                self.failures -= 1;
                self.nodes[index].reply = Some(Reply::Failed("EIO".to_owned()));
            }
            Move::Crash(index) => {
                self.crashes -= 1;
                let node = &mut self.nodes[index];
                node.contender = None;
                let writes = matches!(
                    node.step,
                    Step::Create(_) | Step::Write(_) | Step::Remove(_)
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
                node.contender = Some(contender(index, self.runs, bounds.terms));
                node.step = Step::Rest(Duration::ZERO);
                node.file = None;
                self.runs += 1;
            }
            Move::Release(index) => {
                self.releases -= 1;
                if let Some(contender) = &mut self.nodes[index].contender {
                    contender.release();
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
        let holds = |node: &Node| node.contender.as_ref().is_some_and(|c| c.holds(NOW));
        (0..self.nodes.len())
            .filter(|index| holds(&self.nodes[*index]))
            .collect()
    }

    fn effect(&mut self, index: usize, step: &Step, bounds: &Bounds) -> Reply {
        match step {
            Step::Rest(_) | Step::Sync | Step::SyncDirectory => Reply::Done,
            Step::List => Reply::Listed(self.names.keys().copied().collect()),
            Step::Read(epoch) => match self.names.get(epoch) {
                Some(inode) => Reply::Read(self.inodes[*inode].clone()),
                None => Reply::Gone,
            },
            Step::Open(epoch) => match self.names.get(epoch) {
                Some(&inode) => {
                    self.nodes[index].file = Some(inode);
                    Reply::Read(self.inodes[inode].clone())
                }
                None => Reply::Gone,
            },
            Step::Create(claim) if self.names.contains_key(&claim.epoch) => Reply::Exists,
            Step::Create(claim) => {
                self.inodes.push(match bounds.empty_claims {
                    true => Record::Torn(0),
                    false => Record::Claim(claim.clone()),
                });
                let inode = self.inodes.len() - 1;
                self.names.insert(claim.epoch, inode);
                self.nodes[index].file = Some(inode);
                Reply::Done
            }
            Step::Write(claim) => {
                let inode = self.nodes[index].file.expect("nothing is open");
                self.inodes[inode] = Record::Claim(claim.clone());
                Reply::Done
            }
            Step::Remove(epoch) => {
                let highest = self.names.last_key_value().map(|(highest, _)| *highest);
                assert_ne!(highest, Some(*epoch), "the highest claim is removed");
                match self.names.remove(epoch) {
                    Some(_) => Reply::Done,
                    None => Reply::Gone,
                }
            }
        }
    }

    fn answer(&mut self, index: usize) -> Option<String> {
        let node = &mut self.nodes[index];
        let contender = node.contender.as_mut()?;
        let before = contender.tenure.clone();
        node.step = contender.next(node.reply.take()?, NOW);
        if !matches!(node.step, Step::Write(_) | Step::Sync | Step::List) {
            // Nothing goes on with the file that was open.
            node.file = node
                .file
                .filter(|_| matches!(node.step, Step::SyncDirectory));
        }
        let after = contender.tenure.clone();
        if let Step::Sync | Step::SyncDirectory = node.step {
            // It changes nothing that anybody sees: what counts is when it is answered.
            node.reply = Some(Reply::Done);
        }
        if let Step::Open(epoch) = node.step {
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
            let dead = self.nodes[other].contender.is_none();
            if other == index && dead {
                self.nodes[other].ghost = None;
                self.make(Move::Start(other), &bounds);
            }
        }
        for _ in 0..MOVES {
            let node = &self.nodes[index];
            let contender = node.contender.as_ref().expect("just started");
            if contender.releasing || contender.holds(NOW) {
                return true;
            }
            let next = match node.reply {
                Some(_) => Move::Answer(index),
                None => Move::Effect(index),
            };
            if let (Move::Effect(_), Step::Rest(_)) = (next, &node.step) {
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
            if let Some(watch) = node.contender.as_mut().and_then(|c| c.watch.as_mut()) {
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
            if let Some(Reply::Read(read)) = &mut node.reply {
                record(read);
            }
            if let Some(watch) = node.contender.as_mut().and_then(|c| c.watch.as_mut()) {
                record(&mut watch.record);
            }
        }
        for node in &mut self.nodes {
            for step in [Some(&mut node.step), node.ghost.as_mut()] {
                if let Some(Step::Create(claim) | Step::Write(claim)) = step {
                    visit(claim);
                }
            }
            let Some(contender) = &mut node.contender else {
                continue;
            };
            contender
                .tenure
                .iter_mut()
                .for_each(|tenure| visit(&mut tenure.claim));
            match &mut contender.stage {
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
    let Some(contender) = &mut node.contender else {
        return;
    };
    let older = |at: &mut Duration| *at = at.saturating_sub(TICK);
    contender
        .tenure
        .iter_mut()
        .for_each(|tenure| older(&mut tenure.renewed));
    if let Some(watch) = &mut contender.watch {
        older(&mut watch.since);
        older(&mut watch.until);
    }
    match &mut contender.stage {
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
