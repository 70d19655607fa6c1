//! The agent as PID 1 sees it: a child that may end at any moment, and is started anew.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::backoff::Backoff;
use super::channel::{self, Descriptors, FromAgent, Kept, SILENCE, ToAgent};
use super::log::{Log, Value};

/// The longest pause before the next agent is started. The lease needs its renewals: a few of these pauses
/// have to fit into the time that a renewal counts for.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The number of messages that are received at a time; the next ones follow in the next turn.
pub const MAX_MESSAGES: usize = 64;

/// The agent's process, and what is kept from one agent to the next.
#[derive(Debug)]
pub struct AgentProcess {
    program: PathBuf,
    arguments: Vec<OsString>,
    kept: Kept,
    log: Log,
    pid: Option<Pid>,
    channel: Option<OwnedFd>,
    last_sign: Instant,
    backoff: Backoff,
    /// Whether no other agent is to be started.
    retired: bool,
    /// Whether the last agent has ended with its work done.
    done: bool,
}

impl AgentProcess {
    /// Returns the place of an agent, without one: [`Self::tend`] starts one. The port of the probes is taken
    /// here, so that no connection is refused while an agent is replaced.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<OsString>, listen: SocketAddr, log: Log) -> Self {
        // What can't be had costs what an agent remembers of the one before; the engine runs on.
        let memory = memfd_create("agent", MFdFlags::MFD_CLOEXEC);
        let listener = TcpListener::bind(listen);
        if let Err(error) = &memory {
            log.warn(
                "no memory can be kept for the agent",
                &[("error", Value::Text(error))],
            );
        }
        if let Err(error) = &listener {
            let fields = [
                ("address", Value::Text(&listen)),
                ("error", Value::Text(error)),
            ];
            log.warn("the probes' port can't be had yet", &fields);
        }
        Self {
            program,
            arguments,
            kept: Kept {
                // Without the first descriptor the second one would be taken for it.
                listener: listener.ok().filter(|_| memory.is_ok()).map(OwnedFd::from),
                memory: memory.ok(),
            },
            log,
            pid: None,
            channel: None,
            last_sign: Instant::now(),
            backoff: Backoff::new(LONGEST_PAUSE),
            retired: false,
            done: false,
        }
    }

    /// Returns the pid of the agent, if one runs.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Returns the descriptor that becomes readable with the agent's messages.
    #[must_use]
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// Returns when [`Self::tend`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        match self.pid {
            Some(_) => Some(self.last_sign + SILENCE),
            None => (!self.retired).then(|| self.backoff.due()),
        }
    }

    /// Receives the agent's next message.
    pub fn receive(&mut self) -> Option<(FromAgent, Descriptors)> {
        match channel::receive(self.channel.as_ref()?) {
            Ok(Some((message, descriptors))) => {
                self.last_sign = Instant::now();
                Some((message, descriptors))
            }
            Ok(None) => None,
            // It is ending, or has closed what it can't do without.
            Err(_) => {
                self.channel = None;
                None
            }
        }
    }

    /// Sends the agent a message. Returns whether there is an agent to take it. A message that is not taken
    /// at once is not waited for: whatever it is about has a deadline without the agent.
    pub fn send(&self, message: ToAgent) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        channel::send(channel, message, &[]).is_ok()
    }

    /// Whether the last agent has ended with its work done, and no other one has been started.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes in that the process `pid` was reaped. Returns whether it was the agent.
    pub fn ended(&mut self, pid: Pid, code: u8) -> bool {
        if self.pid != Some(pid) {
            return false;
        }
        let fields = [
            ("pid", Value::Number(pid.as_raw().into())),
            ("status", Value::Number(code.into())),
        ];
        self.done = code == 0;
        match code {
            0 => self.log.info("the agent has done its work", &fields),
            _ => self
                .log
                .warn("the agent has ended; the engine runs on", &fields),
        }
        self.lose();
        true
    }

    /// Forgets the agent, which does not run any more; the next one is due after a pause.
    fn lose(&mut self) {
        self.pid = None;
        self.channel = None;
        self.backoff.ended(Instant::now());
    }

    /// Kills an agent that is silent, and starts one where none runs and it is time. `state` is the first
    /// message to a new agent.
    pub fn tend(&mut self, state: ToAgent) {
        if let Some(pid) = self.pid
            && self.last_sign.elapsed() >= SILENCE
        {
            let fields = [("pid", Value::Number(pid.as_raw().into()))];
            self.log
                .warn("the agent is silent: it is killed and replaced", &fields);
            self.kill();
            // Its end is not awaited: a thread of it may wait for a volume that does not answer.
            self.lose();
        }
        if self.pid.is_none() && !self.retired && Instant::now() >= self.backoff.due() {
            self.start(state);
        }
    }

    /// Ends the agent; no other one follows.
    pub fn retire(&mut self) {
        self.kill();
        self.pid = None;
        self.retired = true;
    }

    fn kill(&self) {
        if let Some(pid) = self.pid
            && let Err(error) = kill(pid, Signal::SIGKILL)
        {
            self.log.warn(
                "the agent can't be killed",
                &[("error", Value::Text(&error))],
            );
        }
    }

    fn start(&mut self, state: ToAgent) {
        self.done = false;
        self.last_sign = Instant::now();
        self.backoff.starts(self.last_sign);
        match self.spawn(state) {
            Ok((pid, channel)) => {
                self.pid = Some(pid);
                self.channel = Some(channel);
                let fields = [("pid", Value::Number(pid.as_raw().into()))];
                self.log.info("the agent runs", &fields);
            }
            Err(error) => {
                self.log.warn(
                    "the agent can't be started; it is tried again",
                    &[("error", Value::Text(&error))],
                );
                self.lose();
            }
        }
    }

    fn spawn(&self, state: ToAgent) -> std::io::Result<(Pid, OwnedFd)> {
        let (ours, theirs) = channel::pair()?;
        // The agent must find the first message, with its descriptors, there.
        match (&self.kept.memory, &self.kept.listener) {
            (Some(memory), Some(listener)) => {
                channel::send(&ours, state, &[memory.as_fd(), listener.as_fd()])
            }
            (Some(memory), None) => channel::send(&ours, state, &[memory.as_fd()]),
            (None, _) => channel::send(&ours, state, &[]),
        }?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok((Pid::from_raw(child.id().cast_signed()), ours))
    }
}
