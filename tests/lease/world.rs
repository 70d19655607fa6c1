//! A directory of claims, and containers that contend for it, taking their steps in any order.
//!
//! A container is an agent with the lease's state machine, PID 1 and an engine. The engine starts at the
//! moment at which the lease is held. A step of the agent is asked for, takes effect, and is answered: three
//! moments, with anything in between. What is paused is one that is not chosen while time passes.
//!
//! | event | what it does |
//! | --- | --- |
//! | [`Move::Crash`] | the agent ends; a write of it may take effect later, or never. PID 1, the engine and the lock go on |
//! | [`Move::Start`] | the next agent of the container starts, or the next container of the pod |
//! | [`Move::End`] | the container ends: agent, PID 1, engine, and with the last of them the lock |
//! | [`Move::Suspend`], [`Move::Resume`] | nothing of it runs; at its resume PID 1 looks first |
//! | [`Move::Mount`] | the volume of one machine goes to the next one, on which nothing of the one before runs |
//! | [`Move::Tick`] | time passes, and PID 1 of a strict lease ends an engine whose time is over |

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use sql_edge_supervisor::decide::lease::machine::{LeaseMachine, LeaseStage};
use sql_edge_supervisor::decide::lease::sight::{
    FileSystemReach, HolderDetails, LockState, OwnHolder, Sight,
};
use sql_edge_supervisor::decide::lease::{
    Claim, Epoch, HolderIdentity, LeaseReply, LeaseState, LeaseStep, Record, Terms,
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
    /// Ends of containers.
    pub ends: u8,
    pub suspends: u8,
    /// The claim's file appears empty and is written later, as where there are no hard links.
    pub empty_claims: bool,
    /// PID 1 keeps the holder's lock.
    pub locks: bool,
    /// It is wrong, and kept by the agent alone.
    pub agents_lock: bool,
    /// Who can write the volume.
    pub reach: FileSystemReach,
    /// Each container is on a machine of its own.
    pub machines: bool,
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
    ends: u8,
    suspends: u8,
    /// The machine that has mounted a volume of one machine, by the container on it.
    mounted: usize,
}

/// An engine that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Engine {
    /// The epoch that was held when it started, or by a later agent without a break.
    epoch: Epoch,
    /// When PID 1 ends it.
    until: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// None: there is no agent.
    pub machine: Option<LeaseMachine>,
    engine: Option<Engine>,
    /// The lock is held.
    locked: bool,
    /// The run of which the holder's file speaks.
    said: Option<u64>,
    suspended: bool,
    /// When it last read the highest claim, no engine ran under that, or nothing had been written for as
    /// long as makes a claim stale.
    seen_dead: bool,
    /// Ticks since it has changed a claim; only up to those that make a claim stale.
    quiet: u64,
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
    End(usize),
    Suspend(usize),
    Resume(usize),
    Mount(usize),
    Tick,
}

fn machine(node: usize, run: u64, bounds: &Bounds) -> LeaseMachine {
    let name = |first: u8| char::from(first + u8::try_from(node).expect("a few")).to_string();
    let identity = HolderIdentity {
        id: name(b'A'),
        node: String::new(),
        boot_id: if bounds.machines {
            name(b'a')
        } else {
            "a".to_owned()
        },
    };
    let me = OwnHolder {
        identity,
        ..OwnHolder::default()
    };
    LeaseMachine::new(me, run, bounds.terms)
}

impl World {
    pub fn new(bounds: &Bounds) -> Self {
        let alone = bounds.reach == FileSystemReach::Machine && bounds.machines;
        let node = |index| Node {
            machine: (index == 0 || !alone).then(|| machine(index, index as u64, bounds)),
            engine: None,
            locked: false,
            said: None,
            suspended: false,
            seen_dead: false,
            quiet: 0,
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
            ends: bounds.ends,
            suspends: bounds.suspends,
            mounted: 0,
        }
    }

    /// What may happen next.
    pub fn moves(&self, bounds: &Bounds) -> Vec<Move> {
        let mut moves = vec![Move::Tick];
        let alone = bounds.reach == FileSystemReach::Machine && bounds.machines;
        for (index, node) in self.nodes.iter().enumerate() {
            if node.suspended {
                moves.push(Move::Resume(index));
                continue;
            }
            if alone && self.mounted != index {
                if self.nodes[self.mounted].is_off() {
                    moves.push(Move::Mount(index));
                }
                continue;
            }
            let there = node.machine.is_some() || node.engine.is_some() || node.locked;
            if self.ends > 0 && there {
                moves.push(Move::End(index));
            }
            if self.suspends > 0 && there {
                moves.push(Move::Suspend(index));
            }
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
        let wrong = match to {
            Move::Tick => {
                // In a strict lease no engine runs any more when it is followed, however quiet it was.
                let most = match bounds.terms.strict {
                    true => 0,
                    false => bounds.terms.stale.as_secs(),
                };
                self.nodes.iter_mut().for_each(|node| age(node, most));
                None
            }
            Move::Effect(index) => {
                let reply = self.effect(index, &self.nodes[index].step.clone(), bounds);
                self.nodes[index].reply = Some(reply);
                match self.nodes[index].step {
                    LeaseStep::Rest(_) => self.answer(index, bounds),
                    _ => None,
                }
            }
            Move::Answer(index) => self.answer(index, bounds),
            Move::Ghost(index) => {
                if let Some(step) = self.nodes[index].ghost.take() {
                    self.effect(index, &step, bounds);
                }
                None
            }
            Move::Start(index) => {
                self.nodes[index].machine = Some(machine(index, self.runs, bounds));
                self.nodes[index].step = LeaseStep::Rest(Duration::ZERO);
                self.nodes[index].file = None;
                self.runs += 1;
                None
            }
            to => {
                self.disturb(to, bounds);
                None
            }
        };
        wrong.or_else(|| self.wrong(bounds))
    }

    /// What comes from outside.
    fn disturb(&mut self, to: Move, bounds: &Bounds) {
        match to {
            Move::Fail(index) => {
                self.failures -= 1;
                self.nodes[index].reply = Some(LeaseReply::Failed("EIO".to_owned()));
            }
            Move::Crash(index) => {
                self.crashes -= 1;
                self.nodes[index].crash();
                self.nodes[index].locked &= !bounds.agents_lock;
            }
            Move::End(index) => {
                self.ends -= 1;
                let node = &mut self.nodes[index];
                if node.machine.is_some() {
                    node.crash();
                }
                (node.engine, node.locked) = (None, false);
            }
            Move::NoGhost(index) => self.nodes[index].ghost = None,
            Move::Release(index) => {
                self.releases -= 1;
                // Only where the engine is known to be gone.
                self.nodes[index].engine = None;
                if let Some(machine) = &mut self.nodes[index].machine {
                    machine.release();
                }
            }
            Move::Suspend(index) => {
                self.suspends -= 1;
                self.nodes[index].suspended = true;
            }
            Move::Resume(index) => {
                self.nodes[index].suspended = false;
                self.nodes[index].look();
            }
            Move::Mount(index) => self.mounted = index,
            Move::Tick | Move::Effect(_) | Move::Answer(_) | Move::Ghost(_) | Move::Start(_) => {}
        }
    }

    /// What must never be: two that count themselves as holders of a strict lease, or two engines under it.
    fn wrong(&self, bounds: &Bounds) -> Option<String> {
        if !bounds.terms.strict {
            return None;
        }
        let holders = self.writers();
        let engines: Vec<_> = (0..self.nodes.len())
            .filter(|index| self.nodes[*index].engine.is_some() && !self.nodes[*index].suspended)
            .collect();
        if holders.len() > 1 {
            return Some(format!("{holders:?} hold it at once"));
        }
        (engines.len() > 1).then(|| format!("the engines of {engines:?} write at once"))
    }

    /// Whether no engine runs under the last claim that was held, or nothing has been written for as long as
    /// makes it stale. Of those before it each stops its engine at its next look.
    fn is_last_dead(&self, bounds: &Bounds) -> bool {
        let last = self.held.last().map(|(_, by)| &self.nodes[*by]);
        let stale = bounds.terms.stale.as_secs();
        last.is_none_or(|node| node.engine.is_none() || node.quiet >= stale)
    }

    /// Whether `index` may have taken the lease though an engine runs under the claim before: in an advisory
    /// one where that was dead when it was read. PID 1 of a suspended one ends it before it writes again.
    fn is_excused(&self, index: usize, bounds: &Bounds) -> bool {
        let last = self.held.last().map(|(_, by)| &self.nodes[*by]);
        match bounds.terms.strict {
            true => last.is_none_or(|node| node.suspended),
            false => self.nodes[index].seen_dead,
        }
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
        if let LeaseStep::Read(_) = step {
            self.nodes[index].seen_dead = self.is_last_dead(bounds);
        }
        match step {
            LeaseStep::Rest(_) | LeaseStep::Sync | LeaseStep::SyncDirectory => LeaseReply::Done,
            LeaseStep::List => LeaseReply::Listed(self.names.keys().copied().collect()),
            LeaseStep::Read(epoch) => match self.names.get(epoch) {
                Some(inode) => LeaseReply::Seen(self.sight(self.inodes[*inode].clone(), bounds)),
                None => LeaseReply::Gone,
            },
            LeaseStep::Lock => {
                if bounds.locks {
                    let node = &mut self.nodes[index];
                    node.said = node.machine.as_ref().map(|machine| machine.nonce);
                    node.locked = true;
                }
                LeaseReply::Done
            }
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
                self.nodes[index].quiet = 0;
                self.nodes[index].file = Some(inode);
                LeaseReply::Done
            }
            LeaseStep::Write(claim) => {
                let node = &mut self.nodes[index];
                let inode = node.file.expect("nothing is open");
                let written = Record::Claim(claim.clone());
                // The first one writes what is there already.
                if self.inodes[inode] != written {
                    node.quiet = 0;
                }
                self.inodes[inode] = written;
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

    /// What is seen of a claim, its holder and the lock.
    fn sight(&self, record: Record, bounds: &Bounds) -> Sight {
        let mut sight = Sight {
            reach: bounds.reach,
            ..Sight::from(record)
        };
        if let Record::Claim(claim) = &sight.record {
            let holder = usize::from(claim.holder.id.as_bytes()[0] - b'A');
            let node = &self.nodes[holder];
            if node.said == Some(claim.nonce) {
                sight.details = Some(HolderDetails {
                    locks: true,
                    ..HolderDetails::default()
                });
                sight.lock = match node.locked {
                    true => LockState::Held,
                    false => LockState::Free,
                };
            }
        }
        sight
    }

    fn answer(&mut self, index: usize, bounds: &Bounds) -> Option<String> {
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
        node.tell_pid1();
        let unseen = match node.step {
            LeaseStep::Sync | LeaseStep::SyncDirectory => true,
            LeaseStep::Lock => !bounds.locks,
            _ => false,
        };
        if unseen {
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
            _ => self.taken(index, &now.claim, bounds),
        }
    }

    fn taken(&mut self, index: usize, claim: &Claim, bounds: &Bounds) -> Option<String> {
        let last = self.held.last().map(|(_, by)| *by);
        let writes = |other: &usize| *other != index && self.nodes[*other].engine.is_some();
        if let Some(other) = last.filter(|other| writes(other) && !self.is_excused(index, bounds)) {
            return Some(format!(
                "{index} takes it while the engine of {other} runs under a claim that is not stale"
            ));
        }
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
            match &mut node.reply {
                Some(LeaseReply::Read(read)) => record(read),
                Some(LeaseReply::Seen(sight)) => record(&mut sight.record),
                _ => {}
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
                LeaseStage::Locking(claim, _)
                | LeaseStage::Claiming(_, claim, _)
                | LeaseStage::Clearing(claim, ..)
                | LeaseStage::Renewing(_, claim, _)
                | LeaseStage::Missing(claim) => visit(claim),
                _ => {}
            }
        }
    }
}

impl Node {
    /// Nothing of it is left that could write.
    fn is_off(&self) -> bool {
        self.machine.is_none() && self.engine.is_none() && self.ghost.is_none() && !self.locked
    }

    fn crash(&mut self) {
        self.machine = None;
        let writes = matches!(
            self.step,
            LeaseStep::Create(_) | LeaseStep::Write(_) | LeaseStep::Remove(_)
        );
        let unanswered = self.reply.take().is_none();
        self.ghost = (writes && unanswered).then(|| self.step.clone());
    }

    /// PID 1 looks at the time.
    fn look(&mut self) {
        let over = |engine: &mut Engine| engine.until.is_some_and(|until| NOW >= until);
        self.engine.take_if(over);
    }

    /// The agent says to PID 1 what follows from the lease: as `agent::lease` does.
    fn tell_pid1(&mut self) {
        let Some(machine) = &self.machine else {
            return;
        };
        let until = machine.run_until();
        match machine.state(NOW) {
            LeaseState::Held { epoch, first, .. } => {
                // Others have had it in between: that engine is fenced, and the next one started.
                self.engine.take_if(|engine| engine.epoch < first);
                self.engine = (!machine.releasing).then_some(Engine { epoch, until });
            }
            LeaseState::Lost {
                by: Some(_),
                holder: Some(_),
                ..
            } => self.engine = None,
            LeaseState::Elsewhere {
                epoch,
                own_pod: false,
                holder: Some(_),
                ..
            } => {
                self.engine.take_if(|engine| engine.epoch < epoch);
            }
            _ => {}
        }
    }
}

/// A tick passes.
fn age(node: &mut Node, most_quiet: u64) {
    let older = |at: &mut Duration| *at = at.saturating_sub(TICK);
    if let Some(until) = node
        .engine
        .as_mut()
        .and_then(|engine| engine.until.as_mut())
    {
        older(until);
    }
    if !node.suspended {
        node.look();
    }
    node.quiet = (node.quiet + 1).min(most_quiet);
    let Some(machine) = &mut node.machine else {
        return;
    };
    machine
        .tenure
        .iter_mut()
        .for_each(|tenure| older(&mut tenure.renewed));
    if let Some(watch) = &mut machine.watch {
        older(&mut watch.since);
        older(&mut watch.until);
    }
    match &mut machine.stage {
        LeaseStage::Reading(_, at)
        | LeaseStage::Locking(_, at)
        | LeaseStage::Claiming(_, _, at)
        | LeaseStage::Clearing(_, at, ..)
        | LeaseStage::Opening(at)
        | LeaseStage::Renewing(_, _, at) => older(at),
        LeaseStage::Idle
        | LeaseStage::Looking
        | LeaseStage::Withdrawing
        | LeaseStage::Missing(_)
        | LeaseStage::Releasing(_) => {}
    }
}
