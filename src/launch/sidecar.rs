//! `run` as the first process of its own container: a parent that starts the supervisor, passes signals on to
//! it, and starts it anew where a fault has ended it.
//!
//! Kubernetes takes a pod out of its Services while one of its native sidecars does not run (KEP-753: a
//! sidecar counts for the pod's readiness), and waits up to five minutes before it starts one again that
//! keeps failing. So a supervisor that ends by a panic, a fault or a SIGKILL would cost a healthy engine its
//! clients. With this parent the container goes on, and so does the pod's readiness, which the SQL container
//! answers meanwhile.
//!
//! | the supervisor ends by | what happens |
//! | --- | --- |
//! | a signal: the abort of a panic, a fault, a kill | the next one is started, after 10 ms to 1 s |
//! | nothing, and has not been healthy for 30 s | it is killed, and the next one is started |
//! | its own exit, a wrong configuration included | the container ends with that status |
//! | anything, after SIGTERM, SIGINT or SIGQUIT | the container ends with that status |
//!
//! For the same reason the container has no livenessProbe: a byte in a pipe reports to this parent that the
//! supervisor is healthy, by the same verdict as `/healthz`. A container that the kubelet or the kernel ends
//! as a whole is started again by the kubelet, as ever.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{WaitOptions, wait};

use super::backoff::Backoff;
use super::command::exit_code;
use super::log::{Log, Value};
use crate::memory;

/// The variable by which the supervisor knows that its standard input is the pipe to its parent.
const BEATS: &str = "SQL_EDGE_SUPERVISOR_BEATS";
/// The time after which a supervisor that has not been healthy is replaced, the same as with a livenessProbe
/// of 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at the time. A look that is much later follows a time in which the container
/// stood still, and in which the supervisor could report nothing either.
const LOOK: Duration = Duration::from_secs(5);
/// Bytes that are read at a time.
const MAX_BEATS: usize = 64;

/// The first process of a PID namespace.
const FIRST: i32 = 1;
/// The longest pause before the next supervisor is started.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether this process is the first one of a container, and so has to be the parent of the supervisor. In a
/// pod with a shared PID namespace it is not: there the kubelet's restart is the only one.
#[must_use]
pub fn is_first() -> bool {
    Pid::this().as_raw() == FIRST
}

/// Reports to the parent, if there is one, that the supervisor does its work. Never waits: a pipe that is
/// full has enough for the parent to read.
pub fn beat() {
    if std::env::var_os(BEATS).is_some() {
        let _ = rustix::io::write(std::io::stdin(), &[0]);
    }
}

/// Starts this program with `arguments` as the supervisor, and stays until that one has ended for good.
/// Returns the exit code.
///
/// # Errors
///
/// The system has no descriptor left, or this program's own file can't be found.
pub fn run(arguments: Vec<OsString>, log: Log) -> anyhow::Result<u8> {
    let signals = super::catch_signals().context("signals can't be caught")?;
    let program = std::env::current_exe().context("this program's own file")?;
    let now = Instant::now();
    let sidecar = Sidecar {
        program,
        arguments,
        log,
        signals,
        supervisor: None,
        beats: None,
        last_sign: now,
        looked: now,
        backoff: Backoff::new(LONGEST_PAUSE),
        stopped: None,
    };
    Ok(sidecar.run())
}

/// The supervisor's process as its parent sees it.
#[derive(Debug)]
struct Sidecar {
    program: PathBuf,
    arguments: Vec<OsString>,
    log: Log,
    signals: SignalFd,
    supervisor: Option<Pid>,
    /// The pipe over which the supervisor reports that it is healthy.
    beats: Option<OwnedFd>,
    /// When the supervisor last reported that it is healthy.
    last_sign: Instant,
    /// When this process last looked at the time.
    looked: Instant,
    backoff: Backoff,
    /// The signal that asked for the container's end.
    stopped: Option<Signal>,
}

impl Sidecar {
    fn run(mut self) -> u8 {
        loop {
            if self.supervisor.is_none() {
                if let Some(signal) = self.stopped {
                    return exit_code(signal as i32);
                }
                if Instant::now() >= self.backoff.due() {
                    self.start();
                }
            }
            self.wait();
            // Until no signal is pending; an error is treated alike, as a later turn tries again.
            while let Ok(Some(info)) = self.signals.read_signal() {
                self.signal(info.ssi_signo);
            }
            if let Some(code) = self.reap() {
                return code;
            }
            self.listen();
        }
    }

    fn start(&mut self) {
        self.last_sign = Instant::now();
        self.backoff.starts(self.last_sign);
        if let Err(error) = self.spawn() {
            let fields = [("error", Value::Text(&error))];
            self.log.warn(
                "the supervisor can't be started; it is tried again",
                &fields,
            );
            self.lose();
        }
    }

    fn spawn(&mut self) -> std::io::Result<()> {
        let (beats, theirs) = std::io::pipe()?;
        ioctl_fionbio(&beats, true)?;
        ioctl_fionbio(&theirs, true)?;
        // Dropped, the child is neither waited for nor killed: it is reaped with all the others.
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env(BEATS, "0")
            .stdin(Stdio::from(theirs))
            .spawn()?;
        self.supervisor = Some(Pid::from_raw(child.id().cast_signed()));
        self.beats = Some(beats.into());
        // What is left to do until the next start is little.
        memory::give_back();
        Ok(())
    }

    /// Reads what the supervisor reports, and kills one that has reported nothing for long.
    fn listen(&mut self) {
        let now = Instant::now();
        let mut bytes = [0; MAX_BEATS];
        let said = self
            .beats
            .as_ref()
            .map(|beats| rustix::io::read(beats, &mut bytes));
        match said {
            Some(Ok(1..)) => self.last_sign = now,
            // Its end is closed: it is ending, and is reaped then.
            Some(Ok(0)) => self.beats = None,
            Some(Err(_)) | None => {}
        }
        if now.duration_since(self.looked) > LOOK * 2 {
            self.last_sign = now;
        }
        self.looked = now;
        if let Some(pid) = self.supervisor
            && self.stopped.is_none()
            && now.duration_since(self.last_sign) >= SILENCE
        {
            let fields = [("pid", Value::Number(pid.as_raw().into()))];
            self.log.warn(
                "the supervisor has not been healthy for 30 s: it is killed and replaced",
                &fields,
            );
            // Where a volume holds it, its end comes when that answers.
            self.last_sign = now;
            self.signal_supervisor(Signal::SIGKILL);
        }
    }

    /// Forgets the supervisor, which does not run any more; the next one is due after a pause.
    fn lose(&mut self) {
        self.supervisor = None;
        self.beats = None;
        self.backoff.ended(Instant::now());
    }

    /// Waits for a signal, which the end of a child is too, for a report of the supervisor, and where none
    /// runs, for the time to start one.
    fn wait(&self) {
        let left = match self.supervisor {
            Some(_) => LOOK,
            // A millisecond later rather than earlier: it would be looked at in vain.
            None => {
                let left = self.backoff.due().saturating_duration_since(Instant::now());
                left + Duration::from_millis(1)
            }
        };
        // What is not there is replaced by what is polled anyway.
        let signals = self.signals.as_fd();
        let beats = self.beats.as_ref().map_or(signals, AsFd::as_fd);
        let mut polled = [
            PollFd::new(signals, PollFlags::POLLIN),
            PollFd::new(beats, PollFlags::POLLIN),
        ];
        // EINTR is a turn for nothing. So would ENOMEM be, and the next turn tries again.
        let _ = poll(
            &mut polled,
            PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO),
        );
    }

    fn signal(&mut self, number: u32) {
        let Ok(Ok(signal)) = i32::try_from(number).map(Signal::try_from) else {
            return;
        };
        match signal {
            // What has ended is reaped. A terminal's signals to the background concern nobody.
            Signal::SIGCHLD | Signal::SIGTTIN | Signal::SIGTTOU => return,
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT => self.stopped = Some(signal),
            _ => {}
        }
        self.signal_supervisor(signal);
    }

    fn signal_supervisor(&self, signal: Signal) {
        if let Some(pid) = self.supervisor
            && let Err(error) = kill(pid, signal)
        {
            let fields = [("error", Value::Text(&error))];
            self.log.warn("the supervisor can't be signalled", &fields);
        }
    }

    /// Reaps all children that have ended. Returns the exit code where the container is to end.
    fn reap(&mut self) -> Option<u8> {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => (Pid::from_raw(pid.as_raw_pid()), status),
                Err(Errno::INTR) => continue,
                // Nobody has ended, or there is no child at all (ECHILD).
                Ok(None) | Err(_) => return None,
            };
            if self.supervisor != Some(pid) {
                continue;
            }
            let code = exit_code(status.as_raw());
            if self.stopped.is_some() || !status.signaled() {
                return Some(code);
            }
            let fields = [
                ("pid", Value::Number(pid.as_raw().into())),
                ("status", Value::Number(code.into())),
            ];
            self.log.warn(
                "the supervisor has ended by a fault: it is started anew",
                &fields,
            );
            self.lose();
        }
    }
}
