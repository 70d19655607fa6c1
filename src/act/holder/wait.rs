//! What the lease holder's thread waits for: a moment, a command, or a change of the claims.
//!
//! The moment is one of CLOCK_BOOTTIME, in which the time of a suspend counts: a timer of that clock that has
//! run out meanwhile wakes the thread when the machine resumes. A wait by CLOCK_MONOTONIC, as that of a
//! channel, would go on for as long as it had left.
//!
//! A change is reported by inotify(7), where the file system has it: a release, and the end of a process that
//! had the holder's file open. On a remote file system it reports nothing of other machines, and the thread
//! looks at its own pace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::records::FOLDER;

/// The delay between a change of the claims and the look at them. A change seldom comes alone, and the kernel
/// reports the close of a locked file just before it frees the lock.
const SETTLE: Duration = Duration::from_millis(20);

/// Returns the time of CLOCK_BOOTTIME, which counts the time in which the machine was suspended.
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// The other end of a [`Wait`], which wakes the thread, also when its last clone is dropped.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Wakes the thread. Commands are sent before.
    pub fn wake(&self) {
        // It fails only where 2^64 - 2 wakes are not taken yet: the thread wakes all the same.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.wake();
    }
}

/// The reason why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The moment was reached.
    Time,
    /// Commands may have been sent.
    Commands,
    /// The claims have changed.
    Claims,
}

/// The waiting end, which the thread has.
#[derive(Debug)]
pub struct Wait {
    commands: OwnedFd,
    timer: OwnedFd,
    claims: Option<OwnedFd>,
}

impl Wait {
    /// Makes both ends of a wait.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<(Self, Arc<Waker>)> {
        let commands = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        let waker = Arc::new(Waker(commands.try_clone()?));
        let wait = Self {
            commands,
            timer,
            claims: None,
        };
        Ok((wait, waker))
    }

    /// Watches the claims on the volume at `data_dir` for changes from now on; without one, watches no more.
    pub fn watch_claims(&mut self, data_dir: Option<&Path>) {
        match (data_dir, &self.claims) {
            (None, _) => self.claims = None,
            (Some(_), Some(_)) => {}
            // Where there is no folder yet, or no inotify, the pace of the looks is all there is.
            (Some(data_dir), None) => self.claims = watch(data_dir).ok(),
        }
    }

    /// Waits until the moment `until`, or until a command or a change of the claims comes before.
    pub fn until(&self, until: Duration) -> Woken {
        if now() >= until {
            return Woken::Time;
        }
        self.arm(until);
        let mut fds = vec![
            PollFd::new(&self.commands, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        fds.extend(self.claims.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        // Interrupted, it is asked again by the caller, which looks at the time first.
        let polled = poll(&mut fds, None);
        let ready = |index: usize| {
            polled.is_ok() && fds.get(index).is_some_and(|fd| !fd.revents().is_empty())
        };
        if ready(0) {
            drain(self.commands.as_fd());
            return Woken::Commands;
        }
        if ready(2) {
            self.arm(now().saturating_add(SETTLE).min(until));
            let mut timer = [PollFd::new(&self.timer, PollFlags::IN)];
            let _ = poll(&mut timer, None);
            if let Some(claims) = &self.claims {
                drain(claims.as_fd());
            }
            return Woken::Claims;
        }
        Woken::Time
    }

    fn arm(&self, until: Duration) {
        let timer = Itimerspec {
            it_interval: Timespec::default(),
            // Longer than the kernel can count is as good as never.
            it_value: Timespec::try_from(until).unwrap_or(Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            }),
        };
        // A descriptor of its own and a valid time: there is nothing to fail.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &timer);
    }
}

fn watch(data_dir: &Path) -> Result<OwnedFd, Errno> {
    let claims = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::CREATE
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_TO;
    let flags = changes | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
    inotify::add_watch(&claims, data_dir.join(FOLDER), flags)?;
    Ok(claims)
}

/// Reads everything that is there to be read.
fn drain(fd: BorrowedFd<'_>) {
    let mut bytes = [0_u8; 4096];
    while rustix::io::read(fd, &mut bytes).is_ok_and(|count| count == bytes.len()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_moment_that_has_passed_is_not_waited_for() {
        let (wait, _waker) = Wait::new().unwrap();
        assert_eq!(wait.until(now()), Woken::Time);
        assert_eq!(wait.until(now() + Duration::from_millis(1)), Woken::Time);
    }

    #[test]
    fn a_command_wakes_it_and_so_does_the_end_of_who_could_give_one() {
        let (wait, waker) = Wait::new().unwrap();
        waker.wake();
        assert_eq!(wait.until(now() + FAR), Woken::Commands);
        drop(waker);
        assert_eq!(wait.until(now() + FAR), Woken::Commands);
    }

    #[test]
    fn a_change_of_the_claims_wakes_it_and_a_look_at_them_does_not() {
        let scratch = crate::records::atomic::tests::Scratch::new();
        let folder = scratch.0.join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("lease.1"), "a").unwrap();
        let (mut wait, _waker) = Wait::new().unwrap();
        wait.watch_claims(Some(&scratch.0));
        std::fs::read(folder.join("lease.1")).unwrap();
        assert_eq!(wait.until(now() + Duration::from_millis(1)), Woken::Time);
        let open = std::fs::File::options()
            .write(true)
            .open(folder.join("lease.1"))
            .unwrap();
        assert_eq!(wait.until(now() + Duration::from_millis(1)), Woken::Time);
        // As the kernel does for a process that ends.
        drop(open);
        assert_eq!(wait.until(now() + FAR), Woken::Claims);
        wait.watch_claims(None);
        std::fs::write(folder.join("lease.1"), "b").unwrap();
        assert_eq!(wait.until(now() + Duration::from_millis(1)), Woken::Time);
    }
}
