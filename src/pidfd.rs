//! A process by its pidfd: its end as an event, how it ended, and signals that reach it and no later process
//! with the same pid. The crate has no other unsafe code than this and the few calls of [`crate::memory`].
//!
//! It stands apart because the code that observes a process and the code that acts on it both need it, and
//! must not know of each other.
//!
//! Sources: pidfd_open(2), pidfd_send_signal(2), ioctl_pidfd(2), the kernel's
//! include/uapi/linux/pidfd.h and fs/pidfs.c.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use procfs::process::Stat;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The flag `PIDFD_INFO_EXIT`.
const EXIT: u64 = 1 << 3;

/// `struct pidfd_info` as of its first version, `PIDFD_INFO_SIZE_VER0`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    /// The ids: pid, tgid, ppid, then real, effective, saved and file-system uid and gid.
    ids: [u32; 11],
    exit_code: i32,
}

const _: () = assert!(size_of::<PidfdInfo>() == 64, "PIDFD_INFO_SIZE_VER0");

/// The request `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// The pidfd of a process, registered with the runtime's reactor.
#[derive(Debug)]
pub struct Pidfd(AsyncFd<OwnedFd>);

impl Pidfd {
    /// Opens the pidfd of `pid` (Linux 5.3). It must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// ESRCH when there is no such process; ENOSYS, EPERM and others where the kernel or a seccomp
    /// filter refuses it.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
        let pid = pid.ok_or(Errno::SRCH)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // SAFETY: the descriptor is owned by the `OwnedFd`, which the `AsyncFd` owns in turn: it is
        // open, and stays the same one until the `AsyncFd` is dropped. Nothing takes it out or
        // replaces it, because `Pidfd` gives no access to it but a shared borrow.
        let registered = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Waits until the kernel reports that the process ended. Cancel safe: it only waits.
    pub async fn ended(&self) {
        // An error says that the runtime shuts down.
        drop(self.0.readable().await);
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// ESRCH when the process has been reaped; EPERM where this user may not signal it.
    pub fn signal(&self, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(self.0.get_ref(), signal)
    }

    /// Makes the next wait wait for a new event: a kernel before 6.15 may wake for the end of the
    /// first thread alone.
    pub fn forget_wake_up(&self) {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(mut guard)) = self.0.poll_read_ready(&mut context) {
            guard.clear_ready();
        }
    }

    /// Returns the wait status of the process; see [`wait_status`].
    ///
    /// # Errors
    ///
    /// The same as of [`wait_status`].
    pub fn wait_status(&self) -> Result<Option<i32>, Errno> {
        wait_status(&self.0)
    }
}

/// Returns the wait status of the process of a pidfd; none until it is reaped. Linux 6.15 and later.
///
/// # Errors
///
/// ENOTTY, EINVAL or the like where the kernel does not know the request (before 6.13); a kernel that knows
/// it without the exit code (6.13, 6.14) returns ESRCH once the process is reaped.
pub fn wait_status(pidfd: impl AsFd) -> Result<Option<i32>, Errno> {
    let mut info = PidfdInfo {
        mask: EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the request is PIDFD_GET_INFO, and `PidfdInfo` has the layout of `struct
    // pidfd_info` in its first version. The kernel takes the size from the request and writes at
    // most that many bytes (copy_struct_to_user). All fields are integers, for which every bit
    // pattern is valid. A descriptor that is no pidfd refuses the request, or has another one of that
    // number, which the size in it rules out.
    unsafe { ioctl(pidfd, Updater::<PIDFD_GET_INFO, _>::new(&mut info)) }?;
    Ok((info.mask & EXIT != 0).then_some(info.exit_code))
}

/// Whether `/proc/PID/stat` is that of a process that has ended, reaped or not. `X` is a process at the
/// moment in which it is being reaped; a zombie with threads left has lost only its first one, and lives.
#[must_use]
pub fn is_dead(stat: &Stat) -> bool {
    stat.state == 'X' || (stat.state == 'Z' && stat.num_threads <= 1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus, Stdio};

    use super::*;

    #[tokio::test]
    async fn the_status_comes_with_the_reaping() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read line; exit 7"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pidfd = Pidfd::open(child.id() as i32).unwrap();
        assert_eq!(pidfd.wait_status(), Ok(None), "it runs");
        drop(child.stdin.take());
        pidfd.ended().await;
        assert_eq!(pidfd.wait_status(), Ok(None), "it is not reaped");
        child.wait().unwrap();
        let status = pidfd.wait_status().expect("needs Linux 6.15 or later");
        let code = status.and_then(|raw| ExitStatus::from_raw(raw).code());
        assert_eq!(code, Some(7));
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_has_none() {
        let error = Pidfd::open(i32::MAX).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::SRCH.raw_os_error()));
        assert!(Pidfd::open(0).is_err());
        assert!(Pidfd::open(-1).is_err());
    }
}
