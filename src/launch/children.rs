//! What was started, and all that a first process inherits: they are reaped, whoever they are.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tracing::{debug, warn};

/// Reaped at a time at most; what is left is reaped in the next turn.
const MAX_REAPED: usize = 4096;
/// Statuses that are remembered: those of the engine and of the command are wanted, soon after.
const REMEMBERED: usize = 64;

/// The variable that tells the engine's processes the volume's epoch.
pub const EPOCH_VARIABLE: &str = "SQL_EDGE_SUPERVISOR_EPOCH";

/// The children of this process.
#[derive(Debug)]
pub struct Children {
    command: Pid,
    command_status: Option<ExitStatus>,
    reaped: VecDeque<(i32, ExitStatus)>,
}

/// Why the command was not started, as the shells say it.
#[derive(Debug, thiserror::Error)]
#[error("{command:?} can't be run: {error}; give the image's own command after `--`")]
pub struct NotStarted {
    command: OsString,
    error: io::Error,
}

impl NotStarted {
    /// 127 where there is no such file, 126 where it can't be run.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.error.kind() {
            io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

impl Children {
    /// Starts `command`, which is not empty, in this process group: a terminal's signals reach it and
    /// the engine as they would without a first process between.
    ///
    /// # Errors
    ///
    /// It can't be run.
    pub fn start(command: &[OsString], epoch: Option<u64>) -> Result<Self, NotStarted> {
        let (program, arguments) = command.split_first().unzip();
        let program = program.cloned().unwrap_or_default();
        let mut process = Command::new(&program);
        process.args(arguments.unwrap_or_default());
        process.env_remove(EPOCH_VARIABLE);
        if let Some(epoch) = epoch {
            process.env(EPOCH_VARIABLE, epoch.to_string());
        }
        let not_started = |error| NotStarted {
            command: program.clone(),
            error,
        };
        let child = process.spawn().map_err(not_started)?;
        Ok(Self {
            // Dropped, it is neither waited for nor killed: it is reaped with all the others.
            command: Pid::from_child(&child),
            command_status: None,
            reaped: VecDeque::new(),
        })
    }

    /// Reaps what has ended.
    pub fn reap(&mut self) {
        for (pid, status) in ended() {
            debug!(pid = pid.as_raw_pid(), %status, "reaped");
            if pid == self.command {
                self.command_status = Some(status);
            }
            if self.reaped.len() == REMEMBERED {
                self.reaped.pop_front();
            }
            self.reaped.push_back((pid.as_raw_pid(), status));
        }
    }

    /// How the command's first process ended, if it has.
    #[must_use]
    pub fn command_status(&self) -> Option<ExitStatus> {
        self.command_status
    }

    /// How the process `pid` ended, if it was reaped here lately.
    #[must_use]
    pub fn status_of(&self, pid: i32) -> Option<ExitStatus> {
        let found = self.reaped.iter().rev().find(|(reaped, _)| *reaped == pid);
        found.map(|(_, status)| *status)
    }

    /// Signals the command's first process, unless it has ended: while it is not reaped, which nobody
    /// but this process does, the pid is its own.
    pub fn signal_command(&self, signal: Signal) {
        if self.command_status.is_none()
            && let Err(error) = kill_process(self.command, signal)
        {
            warn!(%error, pid = self.command.as_raw_pid(), "the command can't be signalled");
        }
    }

    /// The command's first process.
    #[must_use]
    pub fn command_pid(&self) -> i32 {
        self.command.as_raw_pid()
    }
}

/// Reaps what has ended before there is a command: a first process has children that it did not
/// start.
pub fn reap_strangers() {
    ended().for_each(drop);
}

fn ended() -> impl Iterator<Item = (Pid, ExitStatus)> {
    std::iter::from_fn(|| {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    return Some((pid, ExitStatus::from_raw(status.as_raw())));
                }
                Err(Errno::INTR) => {}
                // Nobody has ended, or there is no child at all (ECHILD).
                Ok(None) | Err(_) => return None,
            }
        }
    })
    .take(MAX_REAPED)
}

/// As the shells pass it on: the code, or 128 and the signal's number.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
