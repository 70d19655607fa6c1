//! PID 1: one loop, from the wait for the gate to the end of everything below it.
//!
//! | step | what happens |
//! | --- | --- |
//! | wait | the agent reports when the command may be started; a signal to stop ends the container |
//! | run | ended processes are reaped, signals passed on to the engine, an agent that has ended is replaced |
//! | stop | the supervisor, asked through the agent, carries it out; else the signal goes to the engine |
//! | end | the engine is gone, or there was none and the command has ended |
//! | clear | what is left gets SIGTERM, and SIGKILL in the end |
//! | again | with `engine-restart: in-place` the agent decides whether the command runs anew, as in "run" |
//! | leave | the agent has its last work to do |
//!
//! In each of them the agent may end, hang or be stopped, and **the dead-man's switch** holds: past the
//! moment until which the engine may run, as the agent has reported it, everything is killed. That moment is
//! one of CLOCK_BOOTTIME, which counts a suspend, and its timer wakes this process as soon as the machine
//! runs again; it is looked at before anything else is done.
//!
//! **The exit status** is the engine's: of waitpid(2) where it was this process's child, which it is once its
//! own parent is dead; of its pidfd where another one has reaped it (Linux 6.15). Where neither shows it, it
//! is the command's, whose shell passes on how its last command ended.

mod ending;
mod signals;
mod starting;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{WaitOptions, wait};

use super::Settings;
use super::agent_process::{AgentProcess, MAX_MESSAGES};
use super::channel::{Descriptors, FromAgent, InitStep, ToAgent};
use super::command::{Rest, exit_code};
use super::deadline::Deadline;
use super::log::{Log, Value};
use super::termination::TerminationMessage;
use crate::memory;
use signals::ACCEPTED_WITHIN;

/// The number of children that are reaped at a time; the next ones follow in the next turn.
const MAX_REAPED: usize = 4096;
/// The number of signals that are taken at a time.
const MAX_SIGNALS: usize = 64;

/// The time by which the SIGTERM of the supervisor's stop may be late.
const ORDER_SLACK: Duration = Duration::from_secs(2);
/// The longest stop that is left to the supervisor. The kubelet's own grace is shorter as a rule.
const LONGEST_STOP: Duration = Duration::from_secs(3600);

/// The time in which the agent looks for an engine, when the command has ended.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// The engine, as the agent has found it.
#[derive(Debug)]
struct Engine {
    pid: Pid,
    /// The pidfd of the outer process. Absent where the kernel, or a seccomp filter, refuses pidfds: then its
    /// end shows where this process reaps it, or once the command has ended and the agent finds no engine.
    outer: Option<OwnedFd>,
    /// The pidfd of the engine below the outer process.
    inner: Option<OwnedFd>,
    /// Whether the outer process has ended.
    gone: bool,
}

impl Engine {
    /// Takes in which engine the agent has found when it was asked: by its pid, or none. Another one than this
    /// is what an outer process that has ended has left.
    fn looked_for(&mut self, found: Option<Pid>) {
        self.gone |= found != Some(self.pid);
    }
}

/// A stop under way.
#[derive(Clone, Copy, Debug)]
struct Stop {
    signal: Signal,
    /// The moment at which the signal is passed on, unless the engine has had its SIGTERM by then.
    due: Instant,
    done: bool,
}

/// The state of the gate during the wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Shut,
    /// The gate is open, with the epoch of the lease.
    Open(u64),
    Stopped(Signal),
    /// The agent does not have the command started again: the container ends.
    Left,
}

/// The state of PID 1.
#[derive(Debug)]
pub struct Init {
    settings: Settings,
    log: Log,
    signals: SignalFd,
    deadline: Deadline,
    agent: AgentProcess,
    message: TerminationMessage,
    rest: Rest,
    step: InitStep,
    gate: Gate,
    command: Option<Pid>,
    command_status: Option<i32>,
    engine: Option<Engine>,
    engine_status: Option<i32>,
    /// The agent's answer to the question for an engine: the pid of the engine, or none where there is none.
    /// Absent until the agent has answered.
    looked: Option<Option<Pid>>,
    stop: Option<Stop>,
    /// Whether a moment was received until which the engine may run.
    limited: bool,
    /// The lock beside the lease's claim.
    lock: Option<OwnedFd>,
    fenced: bool,
}

impl Init {
    /// Returns a PID 1 that has started nothing yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        signals: SignalFd,
        deadline: Deadline,
        agent: AgentProcess,
        message: TerminationMessage,
    ) -> Self {
        Self {
            log: Log(settings.log),
            rest: Rest::of(Pid::this()),
            settings,
            signals,
            deadline,
            agent,
            message,
            step: InitStep::Waiting,
            gate: Gate::Shut,
            command: None,
            command_status: None,
            engine: None,
            engine_status: None,
            looked: None,
            stop: None,
            limited: false,
            lock: None,
            fenced: false,
        }
    }

    /// Runs to the end. Returns the exit code.
    pub fn run(mut self) -> u8 {
        match self.admitted(None) {
            Gate::Open(epoch) => {
                if let Err(code) = self.start(epoch) {
                    self.finish(true, None);
                    return code;
                }
            }
            Gate::Stopped(signal) => {
                self.finish(true, None);
                return exit_code(signal as i32);
            }
            Gate::Shut | Gate::Left => return self.leave(true),
        }
        loop {
            while !self.is_over() {
                self.turn(None);
            }
            let clear = self.clear();
            if !self.starts_again(clear) {
                return self.leave(clear);
            }
        }
    }

    /// Whether the engine has ended, or the command where there is no engine.
    fn is_over(&mut self) -> bool {
        if let Some(engine) = &self.engine
            && (engine.gone || engine.outer.is_some())
        {
            return engine.gone;
        }
        if self.command_status.is_none() {
            return false;
        }
        // An engine may have outlived its shell; and one without a pidfd, whose shell has reaped it, is missed
        // in no other way.
        self.looked = None;
        if self.agent.send(ToAgent::Look) {
            let deadline = Instant::now() + LOOK_WITHIN;
            self.until(deadline, |init| init.looked.is_some());
        }
        if let (Some(engine), Some(found)) = (&mut self.engine, self.looked) {
            engine.looked_for(found);
        }
        self.engine.as_ref().is_none_or(|engine| engine.gone)
    }

    /// Waits for something to happen, until `wake` at most, and does what follows from it.
    fn turn(&mut self, wake: Option<Instant>) {
        self.wait(wake);
        // What an agent has said holds whenever it is read: a moment of CLOCK_BOOTTIME.
        for _ in 0..MAX_MESSAGES {
            let Some((message, descriptors)) = self.agent.receive() else {
                break;
            };
            self.take(message, descriptors);
        }
        if self.deadline.is_over() && self.step == InitStep::Running {
            self.fence();
        }
        self.reap();
        if let Some(engine) = &mut self.engine
            && !engine.gone
            && engine.outer.as_ref().is_some_and(has_ended)
        {
            engine.gone = true;
        }
        for _ in 0..MAX_SIGNALS {
            // No signal is pending any more; an error is treated alike, as a later turn tries again.
            let Ok(Some(info)) = self.signals.read_signal() else {
                break;
            };
            self.signal(info.ssi_signo);
        }
        if let Some(stop) = self.stop
            && !stop.done
            && Instant::now() >= stop.due
        {
            self.stop_now(stop.signal);
        }
        let state = self.state();
        self.agent.tend(state);
    }

    fn state(&self) -> ToAgent {
        ToAgent::State {
            step: self.step,
            stop: self.stop.map_or(0, |stop| stop.signal as i32),
        }
    }

    fn wait(&self, wake: Option<Instant>) {
        let stop = self.stop.filter(|stop| !stop.done).map(|stop| stop.due);
        let next = [wake, self.agent.due(), stop].into_iter().flatten().min();
        let timeout = next.map_or(PollTimeout::NONE, |at| {
            // A millisecond later rather than earlier: it would be looked at in vain.
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // What is not there is replaced by what is polled anyway.
        let signals = self.signals.as_fd();
        let engine = self.engine.as_ref().filter(|engine| !engine.gone);
        let engine = engine.and_then(|engine| engine.outer.as_ref());
        let mut polled = [
            PollFd::new(signals, PollFlags::POLLIN),
            PollFd::new(
                self.deadline.readable().unwrap_or(signals),
                PollFlags::POLLIN,
            ),
            PollFd::new(self.agent.readable().unwrap_or(signals), PollFlags::POLLIN),
            PollFd::new(engine.map_or(signals, AsFd::as_fd), PollFlags::POLLIN),
        ];
        // EINTR is a turn for nothing. So would ENOMEM be, and the next turn tries again.
        let _ = poll(&mut polled, timeout);
    }

    /// Takes turns until `met` is true or the deadline has passed.
    fn until(&mut self, deadline: Instant, met: impl Fn(&Self) -> bool) {
        while !met(self) && Instant::now() < deadline {
            self.turn(Some(deadline));
        }
    }

    fn take(&mut self, message: FromAgent, descriptors: Descriptors) {
        match message {
            FromAgent::Beat => {}
            FromAgent::RunUntil(until) => self.run_until(until),
            FromAgent::Start(epoch) => {
                if !matches!(self.step, InitStep::Waiting | InitStep::Again) {
                    self.agent.send(self.state());
                } else if self.gate == Gate::Shut {
                    self.gate = Gate::Open(epoch);
                }
            }
            FromAgent::Leave if self.step == InitStep::Again => self.gate = Gate::Left,
            // One that comes too late.
            FromAgent::Leave => {}
            FromAgent::Engine(pid) => self.found(pid, descriptors),
            FromAgent::NoEngine => self.looked = Some(None),
            FromAgent::Lock => self.keep(descriptors),
            FromAgent::Accepted(within) => {
                let within = Duration::from_millis(within).min(LONGEST_STOP);
                if let Some(stop) = self.stop.as_mut().filter(|stop| !stop.done) {
                    self.log.info("the supervisor sees to the stop", &[]);
                    stop.due = Instant::now() + within + ORDER_SLACK;
                }
            }
            FromAgent::Declined => {
                if let Some(stop) = self.stop.as_mut().filter(|stop| !stop.done) {
                    stop.due = Instant::now();
                }
            }
            FromAgent::Terminated => {
                if let Some(stop) = &mut self.stop {
                    stop.done = true;
                }
            }
        }
    }

    /// Keeps the lock, which lasts as long as a descriptor of it is open anywhere: here, and in what is
    /// started from now on.
    fn keep(&mut self, [lock, _]: Descriptors) {
        let Some(lock) = lock else { return };
        if let Err(error) = fcntl_setfd(&lock, FdFlags::empty()) {
            let fields = [("error", Value::Text(&error))];
            self.log
                .warn("the engine can't inherit the lease's lock", &fields);
        }
        self.lock = Some(lock);
    }

    fn found(&mut self, pid: i32, [outer, inner]: Descriptors) {
        let pid = Pid::from_raw(pid);
        self.looked = Some(Some(pid));
        if let Some(known) = self.engine.as_mut().filter(|known| known.pid == pid) {
            known.inner = inner.or_else(|| known.inner.take());
            return;
        }
        // What is seen below an outer process that has ended is what that has left.
        if self.step != InitStep::Running || self.engine.is_some() {
            return;
        }
        let fields = [("pid", Value::Number(pid.as_raw().into()))];
        self.log.info("the engine runs", &fields);
        self.engine = Some(Engine {
            pid,
            outer,
            inner,
            gone: false,
        });
        // The start is over, and most of what it needed is not needed again. What fences has to be there though
        // the disk stalls.
        if !self.settings.strict {
            memory::give_back();
        }
        // What was sent to the command has come too early for the engine.
        if let Some(stop) = self.stop.filter(|stop| stop.done) {
            self.pass_on(stop.signal);
        }
    }

    fn reap(&mut self) {
        // Not nix's: it has no status for a death by a real-time signal, and says EINVAL without a pid.
        for _ in 0..MAX_REAPED {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => (Pid::from_raw(pid.as_raw_pid()), status.as_raw()),
                Err(Errno::INTR) => continue,
                // Nobody has ended, or there is no child at all (ECHILD).
                Ok(None) | Err(_) => return,
            };
            if self.agent.ended(pid, exit_code(status)) {
                if let Some(stop) = &mut self.stop {
                    // The next agent asks anew.
                    stop.due = stop.due.min(Instant::now() + ACCEPTED_WITHIN);
                }
            } else if self.command == Some(pid) {
                self.command_status = Some(status);
            }
            if let Some(engine) = self.engine.as_mut().filter(|engine| engine.pid == pid) {
                engine.gone = true;
                self.engine_status = Some(status);
            }
        }
    }
}

/// Whether the process of this pidfd has ended, reaped or not (pidfd_open(2)).
fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_pidfd_is_gone_where_the_agent_finds_it_no_more() {
        let pid = Pid::from_raw;
        for (found, gone) in [(Some(pid(7)), false), (Some(pid(8)), true), (None, true)] {
            let mut engine = Engine {
                pid: pid(7),
                outer: None,
                inner: None,
                gone: false,
            };
            engine.looked_for(found);
            assert_eq!(engine.gone, gone, "{found:?}");
            // What has ended does not come back.
            engine.gone = true;
            engine.looked_for(Some(pid(7)));
            assert!(engine.gone);
        }
    }
}
