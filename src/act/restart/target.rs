//! A process that may be signalled.

use std::path::Path;

use procfs::ProcError;
use procfs::process::Process;
use rustix::io::Errno;
use rustix::process::Signal;

use super::Obstacle;
use crate::decide::observation::ProcessId;
use crate::pidfd::{Pidfd, is_dead};

/// The first process of a PID namespace: its end is the end of all the others, and of the pod's
/// sandbox where that namespace is shared.
const INIT: i32 = 1;

/// A process whose identity was confirmed, held by its pidfd: a signal reaches it or nobody.
#[derive(Debug)]
pub struct Target {
    pub id: ProcessId,
    pidfd: Pidfd,
    process: Process,
}

impl Target {
    /// Takes hold of the process `id`, if it is still there and called `name`; returns none where it has
    /// ended.
    pub fn confirm(proc_root: &Path, name: &str, id: ProcessId) -> Result<Option<Self>, Obstacle> {
        let pid = id.pid;
        if pid <= INIT || u32::try_from(pid) == Ok(std::process::id()) {
            return Err(Obstacle::Untouchable(pid));
        }
        let pidfd = match Pidfd::open(pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => return Err(Obstacle::Pidfd { pid, error }),
        };
        // Read after the pidfd was opened: a process that is there now and began then was there all
        // the time, so that the pidfd is its own.
        let process = Process::new_with_root(proc_root.join(pid.to_string()));
        let (process, stat) = match process.and_then(|process| Ok((process.stat()?, process))) {
            Ok((stat, process)) => (process, stat),
            Err(ProcError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(Obstacle::Unknown { pid, error }),
        };
        if stat.starttime != id.start_ticks || is_dead(&stat) {
            return Ok(None);
        }
        if stat.comm != name {
            return Err(Obstacle::Renamed {
                pid,
                found: stat.comm,
                wanted: name.to_owned(),
            });
        }
        Ok(Some(Self { id, pidfd, process }))
    }

    /// Sends a signal. A process that has ended needs none.
    pub fn signal(&self, signal: Signal) -> Result<(), Obstacle> {
        let pid = self.id.pid;
        match self.pidfd.signal(signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(Errno::PERM) => Err(Obstacle::NotPermitted(pid)),
            Err(error) => Err(Obstacle::Signal { pid, error }),
        }
    }

    /// Waits for the end of the process, reaped or not. Cancel safe: it only waits.
    pub async fn ended(&self) {
        loop {
            self.pidfd.ended().await;
            if self.is_dead() {
                return;
            }
            self.pidfd.forget_wake_up();
        }
    }

    /// Whether the process has ended, reaped or not. Its directory in `/proc` is held open, so that no other
    /// process can have it.
    pub fn is_dead(&self) -> bool {
        self.process.stat().map_or(true, |stat| is_dead(&stat))
    }
}
