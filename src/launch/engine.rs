//! The outer `sqlservr` below the image's shell and launchers: the process that the container is
//! there for.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use procfs::process::Process;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tracing::warn;

use crate::decide::observation::ProcessId;
use crate::pidfd::{Pidfd, is_dead};

/// One that was found, and is held.
#[derive(Debug)]
pub struct Engine {
    /// Which.
    pub id: ProcessId,
    /// None where the kernel, or a seccomp filter, refuses it: then its end is seen by looking.
    pidfd: Option<Pidfd>,
    /// Its directory in `/proc`, which is never another process's.
    process: Process,
}

impl Engine {
    /// Takes hold of `id`; none where it is gone.
    #[must_use]
    pub fn open(proc_root: &Path, id: ProcessId) -> Option<Self> {
        let pidfd = match Pidfd::open(id.pid) {
            Ok(pidfd) => Some(pidfd),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return None,
            Err(error) => {
                warn!(%error, "no pidfd: the engine's end is seen a moment later, and its status may stay unknown");
                None
            }
        };
        let process = Process::new_with_root(proc_root.join(id.pid.to_string())).ok()?;
        // Read after the pidfd was opened, so that both are of one process.
        let stat = process.stat().ok()?;
        (stat.starttime == id.start_ticks).then_some(Self { id, pidfd, process })
    }

    /// Whether its end can be awaited.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.pidfd.is_some()
    }

    /// Waits until it may have ended; for ever where that can't be awaited. Cancel safe.
    pub async fn ended(engine: Option<&Self>) {
        match engine.and_then(|engine| engine.pidfd.as_ref()) {
            Some(pidfd) => pidfd.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Whether it has ended, reaped or not.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let gone = self.process.stat().map_or(true, |stat| is_dead(&stat));
        if !gone && let Some(pidfd) = &self.pidfd {
            // Its first thread may have ended alone.
            pidfd.forget_wake_up();
        }
        gone
    }

    /// How it ended, as the kernel tells who has not reaped it (Linux 6.15); none before its parent
    /// has.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        let raw = self.pidfd.as_ref()?.wait_status().ok()??;
        Some(ExitStatus::from_raw(raw))
    }

    /// Sends a signal. One that has ended needs none.
    pub fn signal(&self, signal: Signal) {
        let sent = match (&self.pidfd, Pid::from_raw(self.id.pid)) {
            (Some(pidfd), _) => pidfd.signal(signal),
            // The moment between the look and the signal is all that is left to chance.
            (None, Some(pid)) if !self.is_gone() => kill_process(pid, signal),
            (None, _) => Ok(()),
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                warn!(%error, pid = self.id.pid, ?signal, "the engine can't be signalled");
            }
        }
    }
}
