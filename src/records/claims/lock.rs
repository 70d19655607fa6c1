//! The holder's lock file: what a holder records of itself beside its claim, and the lock by which the kernel
//! shows whether it still lives.
//!
//! `holder.<hash of the id>`, one for each holder, written in place and never synced: its contents hold
//! within one boot, in which everybody on the machine has one page cache. A version of the supervisor that
//! does not know of it, and a holder that wrote none, are judged by the claim alone, as before.
//!
//! # Who holds the lock
//!
//! An open file description lock (fcntl(2), `F_OFD_SETLK`) belongs to an open file, and lasts until the last
//! descriptor of it is closed, whichever process has it. It is to last as long as the *engine* can write, and
//! not only as long as the process that renews: that one may crash, and its successor go on with the claim.
//! So the lock is taken only where a process that lives as long as the engine does keeps a descriptor
//! ([`Keep`]): PID 1 of the engine's container, from which the engine inherits it. Everywhere else the
//! descriptor is close-on-exec. A supervisor beside the engine has no such process to give it to, takes no
//! lock, and records that in the file: from its end nothing follows. It has the file's name in common with
//! the agent of its pod, and leaves a file alone that is locked: by what the agent wrote there its lock is
//! recognized.

use std::fmt::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{AtFlags, Mode, OFlags, fstat, fstatfs, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};

use super::super::atomic::Folder;
use super::super::beneath;
use super::block::{BLOCK, plain, seal};
use crate::decide::lease::sight::{
    FileSystemReach, HolderDetails, IdentityBasis, LockState, PidNamespace,
};
use crate::decide::observation::ProcessId;

/// The prefix of the names of lock files; a hash of the holder's id follows, in sixteen digits.
pub(super) const NAME: &str = "holder.";
/// The first line of the contents, with their version.
const HEAD: &str = "sql-edge-supervisor holder 1\n";
const MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP);

/// File systems on a block device that one machine mounts at a time, by `f_type` of statfs(2).
const OF_ONE_MACHINE: [i64; 5] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
];
/// The `f_type` of tmpfs, which no other kernel ever sees.
const OF_ONE_KERNEL: i64 = 0x0102_1994;

/// A function that keeps a descriptor of the locked file for as long as the engine can run, and returns
/// whether it does.
pub struct Keep(Box<dyn Fn(BorrowedFd<'_>) -> bool + Send>);

impl Keep {
    /// Returns a keeper that calls `keep`, which may be called again with another file: the later one counts.
    pub fn new(keep: impl Fn(BorrowedFd<'_>) -> bool + Send + 'static) -> Self {
        Self(Box::new(keep))
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// The lock file of this holder.
#[derive(Debug)]
pub struct HolderFile {
    /// The holder's id, as in its claims.
    pub id: String,
    /// The number of the run, as in its claims.
    pub nonce: u64,
    /// The details of the holder.
    pub details: HolderDetails,
    /// The keeper of the lock; without it no lock is taken.
    pub keep: Option<Keep>,
    /// The file that is locked, open: by this process, or by another one of its container.
    locked: Option<OwnedFd>,
    /// Whether the details differ from those that were written last.
    outdated: bool,
}

impl HolderFile {
    /// Returns a lock file that is not written yet.
    #[must_use]
    pub fn new(id: &str, nonce: u64, details: HolderDetails, keep: Option<Keep>) -> Self {
        Self {
            id: plain(id),
            nonce,
            details,
            keep,
            locked: None,
            outdated: true,
        }
    }

    /// Takes note of the engine that runs under the claim, which the next `tend` writes.
    pub fn see_engine(&mut self, engine: Option<ProcessId>) {
        self.outdated |= self.details.engine != engine;
        self.details.engine = engine;
    }

    /// Takes the lock, where a process keeps it and the file system is one on which it counts, and writes the
    /// file.
    pub(super) fn write(&mut self, folder: &Folder) -> Result<(), Errno> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || openat(folder, name(&self.id), flags, MODE);
        let file = match open() {
            // Another user's, as of another container of this pod: it is replaced, and nothing follows from
            // the one before.
            Err(Errno::ACCESS) => {
                unlinkat(folder, name(&self.id), AtFlags::empty())?;
                open()?
            }
            opened => opened?,
        };
        if self.keep.is_none() && is_locked(&file)? {
            self.outdated = false;
            return Ok(());
        }
        self.details.locks =
            self.keep.is_some() && reach(folder) != FileSystemReach::Shared && self.lock(&file)?;
        let block = encode(&self.id, self.nonce, &self.details);
        if pwrite(&file, &block, 0)? != BLOCK {
            return Err(Errno::NOSPC);
        }
        self.outdated = false;
        if self.details.locks && self.locked.is_none() {
            self.locked = Some(file);
        }
        Ok(())
    }

    /// Takes the lock. Returns whether it is held, from here or by this holder's container already.
    fn lock(&mut self, file: &OwnedFd) -> Result<bool, Errno> {
        if let Some(locked) = &self.locked
            && is_same_file(locked, file)?
        {
            return Ok(true); // whatever the file says
        }
        match fcntl(file, FcntlArg::F_OFD_SETLK(&whole())) {
            Ok(_) => {
                self.locked = None;
                Ok(self
                    .keep
                    .as_ref()
                    .is_some_and(|keep| (keep.0)(file.as_fd())))
            }
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => {
                let before = read(file)?;
                let own = before.is_some_and(|(id, _, theirs)| {
                    id == self.id && theirs.namespace == self.details.namespace
                });
                // An earlier container of the same pod has not ended: its engine may still write.
                if own { Ok(true) } else { Err(Errno::AGAIN) }
            }
            Err(_) => Ok(false),
        }
    }

    /// Writes the file again where it is not as it should be: its contents have changed, or somebody has
    /// removed it.
    pub(super) fn tend(&mut self, folder: &Folder) -> Result<(), Errno> {
        let there = statat(folder, name(&self.id), AtFlags::SYMLINK_NOFOLLOW);
        let same = match (&there, &self.locked) {
            (Ok(there), Some(locked)) => {
                let locked = fstat(locked)?;
                (there.st_dev, there.st_ino) == (locked.st_dev, locked.st_ino)
            }
            (Ok(_), None) => true,
            (Err(_), _) => false,
        };
        match same && !self.outdated {
            true => Ok(()),
            false => {
                self.locked.take_if(|_| !same);
                self.write(folder)
            }
        }
    }

    /// Returns the name of the file.
    pub(super) fn name(&self) -> String {
        name(&self.id)
    }
}

/// Returns the details that the holder `id` recorded, and the state of its lock, where the run `nonce` wrote
/// them.
pub(super) fn look(folder: &Folder, id: &str, nonce: u64) -> (Option<HolderDetails>, LockState) {
    let absent = (None, LockState::Absent);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = beneath::open(folder, &name(id), flags, Mode::empty()) else {
        return absent;
    };
    match read(&file) {
        Ok(Some((found, run, details))) if found == id && run == nonce => {
            let state = match is_locked(&file) {
                Ok(false) => LockState::Free,
                Ok(true) => LockState::Held,
                Err(_) => LockState::Absent,
            };
            (Some(details), state)
        }
        _ => absent,
    }
}

/// Whether any process holds the lock of a file, this process by another descriptor included.
fn is_locked(file: &OwnedFd) -> Result<bool, Errno> {
    let mut lock = whole();
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn is_same_file(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Returns whether one kernel, one machine, or others as well can write the file system of `folder`.
pub(super) fn reach(folder: &Folder) -> FileSystemReach {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the field has another type on other architectures"
    )]
    let of_type = fstatfs(folder).map(|found| found.f_type as i64);
    match of_type {
        Ok(OF_ONE_KERNEL) => FileSystemReach::Kernel,
        Ok(of_type) if OF_ONE_MACHINE.contains(&of_type) => FileSystemReach::Machine,
        _ => FileSystemReach::Shared,
    }
}

fn name(id: &str) -> String {
    format!("{NAME}{:016x}", super::block::sum(id.as_bytes()))
}

/// Returns a lock for writing, on all of a file.
const fn whole() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The contents of a lock file: the holder's id, the run that wrote it, and the details. A file that is torn,
/// or of a later version, has none.
type Contents = (String, u64, HolderDetails);

fn read(file: &OwnedFd) -> Result<Option<Contents>, Errno> {
    let mut bytes = [0; BLOCK];
    let whole = pread(file, &mut bytes, 0)? == BLOCK;
    Ok(if whole { decode(&bytes) } else { None })
}

fn encode(id: &str, nonce: u64, details: &HolderDetails) -> [u8; BLOCK] {
    let basis = match details.basis {
        IdentityBasis::Pod => "pod",
        IdentityBasis::Namespace => "namespace",
        IdentityBasis::Process => "process",
    };
    let PidNamespace { inode, start_ticks } = details.namespace;
    let engine = details.engine.map_or_else(
        || "-".to_owned(),
        |engine| format!("{} {}", engine.pid, engine.start_ticks),
    );
    let locks = u8::from(details.locks);
    let mut text = String::with_capacity(BLOCK);
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "{HEAD}holder {}\nnonce {nonce}\nbasis {basis}\nnamespace {inode} {start_ticks}\nengine {engine}\nlocks {locks}\n",
        plain(id),
    );
    seal(&text)
}

fn decode(bytes: &[u8; BLOCK]) -> Option<Contents> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_prefix(HEAD)?.lines();
    let mut field = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let id = field("holder")?.to_owned();
    let nonce = field("nonce")?.parse().ok()?;
    let basis = match field("basis")? {
        "pod" => IdentityBasis::Pod,
        "namespace" => IdentityBasis::Namespace,
        "process" => IdentityBasis::Process,
        _ => return None,
    };
    let (inode, start_ticks) = field("namespace")?.split_once(' ')?;
    let namespace = PidNamespace {
        inode: inode.parse().ok()?,
        start_ticks: start_ticks.parse().ok()?,
    };
    let engine = match field("engine")? {
        "-" => None,
        engine => {
            let (pid, start_ticks) = engine.split_once(' ')?;
            Some(ProcessId {
                pid: pid.parse().ok()?,
                start_ticks: start_ticks.parse().ok()?,
            })
        }
    };
    let details = HolderDetails {
        basis,
        namespace,
        engine,
        locks: field("locks")? == "1",
    };
    // Whatever it says, it is what this would have written, or it is torn.
    (encode(&id, nonce, &details) == *bytes).then_some((id, nonce, details))
}

#[cfg(test)]
mod tests;
