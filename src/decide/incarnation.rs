//! The process that the decisions are about, and how far it has come.

use core::net::SocketAddr;
use std::time::Duration;

use super::decision::Phase;
use super::memory::RememberedEngine;
use super::observation::{
    AttemptResult, ContactError, ListenersReport, ProcessId, ProcessReport, RunState,
    RunningProcess,
};
use super::snapshot::{Contact, Snapshot, is_another};
use super::sql_error::SqlErrorClass;
use super::time::Time;

/// A life of the engine, from the start of its processes to their end.
#[derive(Clone, Debug, Default)]
pub struct Incarnation {
    /// The outer process and the engine's; absent where they can't be seen.
    process: Option<(ProcessId, Option<ProcessId>)>,
    /// The moment since which the decisions are about this process.
    pub since: Time,
    /// The phase of the engine.
    pub phase: Phase,
    /// The moment since which the engine has been in that phase.
    pub phase_since: Time,
    /// The moment since which a stop on purpose has been under way, if one is.
    pub stop: Option<Time>,
    /// Whether the engine has answered a query.
    pub proven: bool,
    /// The moment since which that has been known.
    pub proven_since: Time,
    /// Whether the engine has answered as only an engine that has started does.
    pub started: bool,
    /// Whether the start is over by any sign: the engine has answered so, is seen to listen, or has logged
    /// that it is ready.
    pub up: bool,
    /// The address at which the engine answered, in this run or an earlier one.
    pub answered_at: Option<SocketAddr>,
    /// Whether a process was seen at some time, so that its absence means something.
    pub seen: bool,
    /// Whether the engine ended before it had started.
    pub failed_start: bool,
    /// Whether the processes were observed before.
    observed: bool,
}

impl Incarnation {
    /// Creates the life of the engine that an earlier run of the supervisor watched. If that engine is
    /// still there, what it proved counts; another one in its place is a new one.
    #[must_use]
    pub fn recall(remembered: RememberedEngine) -> Self {
        Self {
            process: Some((remembered.parent, remembered.engine)),
            proven: remembered.proven,
            started: remembered.started,
            up: remembered.up || remembered.started,
            answered_at: remembered.answered_at,
            seen: true,
            observed: true,
            ..Self::default()
        }
    }

    /// Returns what a later run of the supervisor has to know.
    #[must_use]
    pub fn memory(&self) -> Option<RememberedEngine> {
        let (parent, engine) = self.process?;
        Some(RememberedEngine {
            parent,
            engine,
            proven: self.proven,
            started: self.started,
            up: self.up,
            answered_at: self.answered_at,
        })
    }

    /// Takes in a new snapshot. Returns whether another process has taken the place of the one before.
    /// A stop on purpose that has not ended it within `stopping_limit` has come to nothing.
    pub fn follow(&mut self, snapshot: &Snapshot, stopping_limit: Duration, now: Time) -> bool {
        let running = snapshot.running();
        let fresh = running.is_some_and(|process| self.replaced_by(process));
        // What was answered before the very first look at the processes, or while no look had seen any yet,
        // was this one's answer.
        if fresh && self.observed {
            self.since = now;
            if self.process.is_some() {
                self.forget_proof();
            }
        }
        self.observed |= snapshot.process.is_some();
        // That none was seen before `launch` was there was reported by somebody who can't see any.
        self.observed &= self.seen || !snapshot.is_blind();
        if let Some(process) = running {
            self.seen = true;
            let engine = process.engine.or_else(|| {
                self.process
                    .filter(|_| !fresh)
                    .and_then(|(_, engine)| engine)
            });
            self.process = Some((process.parent, engine));
        }
        let proven = self.proven;
        self.see_answers(snapshot);
        if self.proven && !proven {
            self.proven_since = now;
        }
        self.stop = self.stop_under_way(snapshot, stopping_limit, now);
        let phase = self.next_phase(snapshot);
        let served = self.started;
        // What an earlier run saw counts until somebody has looked, unless its engine refuses.
        let unknown = self.process.is_some()
            && snapshot.process.is_none()
            && snapshot.ping.refused_since.is_none();
        if phase == Phase::Gone || (phase == Phase::Unseen && !unknown) {
            self.forget_proof();
        }
        if phase != self.phase {
            // One that listened and ended before it had answered has not come up either.
            let in_start = matches!(self.phase, Phase::Starting | Phase::Running) && !served;
            self.failed_start = phase == Phase::Gone && in_start;
            self.phase = phase;
            self.phase_since = now;
        }
        fresh
    }

    fn forget_proof(&mut self) {
        self.proven = false;
        self.started = false;
        self.up = false;
        self.answered_at = None;
    }

    /// Whether `process` is another one than before.
    fn replaced_by(&self, process: &RunningProcess) -> bool {
        let seen = (process.parent, process.engine);
        self.process.is_none_or(|before| is_another(before, seen))
    }

    fn see_answers(&mut self, snapshot: &Snapshot) {
        for contact in [&snapshot.ping, &snapshot.login] {
            if contact.last_success.is_some_and(|at| at >= self.since) {
                self.proven = true;
                self.started = true;
            }
            self.started |= answered_as_started(contact, self.since);
        }
        let since = self.since;
        let listeners = snapshot.listeners.as_ref();
        let listeners = listeners
            .filter(|seen| seen.at >= since)
            .map(|seen| &seen.value);
        // What the kernel has is true of now. A log may be that of the start before, where this one has not
        // come as far as its own.
        self.up |= self.started
            || match listeners.and_then(ListenersReport::listens) {
                Some(listens) => listens,
                None => snapshot.logs_since(since).any(|(_, log)| log.start.ready),
            };
        let asked = listeners.and_then(|listeners| listeners.asked);
        if snapshot.answers.last.is_some() && asked.is_some() {
            self.answered_at = asked;
        }
    }

    /// Returns the moment since which a stop on purpose has been under way. One that is commanded again is the
    /// same, and a new one once that is over.
    fn stop_under_way(&self, snapshot: &Snapshot, limit: Duration, now: Time) -> Option<Time> {
        let commands = [snapshot.stopping, snapshot.stop_commanded];
        let commands = commands.into_iter().flatten();
        let mut of_this = commands.filter(|at| *at >= self.since);
        of_this.find(|at| now.since(*at) < limit)
    }

    fn next_phase(&self, snapshot: &Snapshot) -> Phase {
        match snapshot.process.as_ref().map(|process| &process.value) {
            Some(ProcessReport::Exited(_)) => Phase::Gone,
            Some(ProcessReport::Running(_)) => self.phase_of_running(snapshot),
            Some(ProcessReport::NotFound) if self.seen => Phase::Gone,
            None if snapshot.is_blind() => self.phase_while_blind(snapshot),
            // Without a view of the process, the engine's answers have to do.
            Some(ProcessReport::NotFound) | None => {
                if self.started && snapshot.ping.refused_since.is_none() {
                    self.phase_of_running(snapshot)
                } else {
                    Phase::Unseen
                }
            }
        }
    }

    /// Returns the phase while nobody can look: the engine is as it was last seen, and only an answer is
    /// news. Its end may have been told in the same moment as the loss of the link.
    fn phase_while_blind(&self, snapshot: &Snapshot) -> Phase {
        let answered = snapshot.ping.last_success.max(snapshot.login.last_success);
        let lost = snapshot.link.as_ref().map(|link| link.at);
        let ended = self.seen && snapshot.ended_before_loss && answered <= lost;
        match self.phase {
            _ if ended => Phase::Gone,
            Phase::Gone if answered <= Some(self.phase_since) => Phase::Gone,
            Phase::Unseen if !self.started => Phase::Unseen,
            _ => self.phase_of_running(snapshot),
        }
    }

    fn phase_of_running(&self, snapshot: &Snapshot) -> Phase {
        let dead = |process: &RunningProcess| {
            process.state == RunState::Zombie || process.parent_state == RunState::Zombie
        };
        // A parent whose engine has ended is about to follow it; it serves nobody.
        let bereft = |process: &RunningProcess| {
            let had_engine = self.process.is_some_and(|(_, engine)| engine.is_some());
            process.engine.is_none() && had_engine
        };
        let gone = |process: &RunningProcess| dead(process) || bereft(process);
        if snapshot.running().is_some_and(gone) {
            Phase::Gone
        } else if self.stop.is_some() {
            Phase::Stopping
        } else if self.up {
            Phase::Running
        } else {
            Phase::Starting
        }
    }
}

/// Whether the last answer is an error of a kind that an engine which is still starting does not give.
fn answered_as_started(contact: &Contact, since: Time) -> bool {
    let Some(last) = contact.last.as_ref().filter(|last| last.at >= since) else {
        return false;
    };
    match &last.value.result {
        AttemptResult::Failed(ContactError::Tls(_)) => true,
        AttemptResult::Failed(error @ ContactError::Server(_)) => !matches!(
            error.class(),
            Some(
                SqlErrorClass::Starting
                    | SqlErrorClass::Recovering
                    | SqlErrorClass::ScriptUpgrade
                    | SqlErrorClass::Stopping
            )
        ),
        _ => false,
    }
}
