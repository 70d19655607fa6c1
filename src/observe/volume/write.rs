//! The proof that the volume takes a write: a small file, written anew, synced, and read back.
//!
//! Written anew under another name and renamed, rather than over the old contents: a full volume
//! would take the latter, and it is new blocks that the engine will need. The directory is not
//! synced: no one will miss the file after a crash.
//!
//! **What it proves.** fsync(2) returned, so the device said that it holds the data. Before it is
//! read back the page cache is told to drop it (`POSIX_FADV_DONTNEED`), which a file system may
//! ignore: tmpfs keeps it, because nothing else holds it. The device may answer from a cache of its
//! own. So the read back finds a volume that loses or mixes up writes at once; it does not prove that
//! the medium holds them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::fs::unlinkat;
use rustix::fs::{Advice, AtFlags, CWD, Mode, OFlags, fadvise, fsync, mkdirat, openat, renameat};
use rustix::io::{Errno, pread, pwrite};

use crate::decide::observation::{VolumeFault, WriteCheck};

/// The supervisor's folder in the data directory. Mode 0770 less the umask: a later supervisor under
/// another uid but with the volume's fsGroup can still use it.
pub const FOLDER: &str = ".sql-edge-supervisor";

/// The file that is written.
const FILE: &str = "write-check";

/// Its name until it is synced.
const UNSYNCED: &str = "write-check.new";

/// Its size, bytes: one block, so that it takes room of its own.
const RECORD_BYTES: usize = 4096;

/// How often a write is tried that met another supervisor's: while a Deployment rolls, two of them
/// may write the same file for a moment, and each then reads the other's.
const ATTEMPTS: u32 = 2;

/// Writes and reads back; counts, so that no record equals the one before.
#[derive(Debug, Default)]
pub(super) struct Writer {
    counter: u64,
}

impl Writer {
    /// One write check. It may block for as long as the device does.
    pub(super) fn check(&mut self, data_dir: &Path) -> WriteCheck {
        let mut fault = VolumeFault::Mismatch;
        for _ in 0..ATTEMPTS {
            self.counter = self.counter.wrapping_add(1);
            let started = Instant::now();
            fault = match write_and_read(data_dir, &record(self.counter)) {
                Ok(()) => return WriteCheck::Written(started.elapsed()),
                Err(fault) => fault,
            };
            if fault != VolumeFault::Mismatch {
                break;
            }
        }
        WriteCheck::Failed(fault)
    }
}

/// What is written: who, the how manieth time, and blanks.
fn record(counter: u64) -> [u8; RECORD_BYTES] {
    let mut bytes = [b' '; RECORD_BYTES];
    let text = format!(
        "sql-edge-supervisor write check\npid {}\ncounter {counter}\n",
        std::process::id()
    );
    let length = text.len().min(RECORD_BYTES);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    bytes
}

fn write_and_read(data_dir: &Path, record: &[u8]) -> Result<(), VolumeFault> {
    let folder = open_folder(data_dir).map_err(fault)?;
    write(&folder, record).map_err(|errno| {
        // What is left of it takes room that the engine needs. If this fails too there is nothing
        // more to be done, and the first error is the one to tell.
        let _ = unlinkat(&folder, UNSYNCED, AtFlags::empty());
        fault(errno)
    })?;
    match renameat(&folder, UNSYNCED, &folder, FILE) {
        // Someone else has renamed it.
        Err(Errno::NOENT) => return Err(VolumeFault::Mismatch),
        renamed => renamed.map_err(fault)?,
    }
    match read(&folder, record.len()).map_err(fault)? {
        found if found == record => Ok(()),
        _ => Err(VolumeFault::Mismatch),
    }
}

/// The folder, made where it is missing. The data directory itself is never made: an empty one in
/// the place of a volume would let the engine start without its data.
fn open_folder(data_dir: &Path) -> Result<OwnedFd, Errno> {
    let directory = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let data_dir = openat(CWD, data_dir, OFlags::PATH | directory, Mode::empty())?;
    // Looked for before it is made: a read-only file system may answer mkdir with either error.
    let open = || {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | directory;
        openat(&data_dir, FOLDER, flags, Mode::empty())
    };
    match open() {
        Err(Errno::NOENT) => match mkdirat(&data_dir, FOLDER, Mode::RWXU | Mode::RWXG) {
            Ok(()) | Err(Errno::EXIST) => open(),
            Err(errno) => Err(errno),
        },
        opened => opened,
    }
}

fn write(folder: &OwnedFd, record: &[u8]) -> Result<(), Errno> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    let file = openat(folder, UNSYNCED, flags, mode)?;
    let mut written = 0;
    while written < record.len() {
        match pwrite(&file, &record[written..], written as u64)? {
            // Not to be had of a regular file; without this it would be an endless loop.
            0 => return Err(Errno::IO),
            count => written += count,
        }
    }
    fsync(&file)?;
    // Only advice: its failure spoils nothing.
    let _ = fadvise(file.as_fd(), 0, None, Advice::DontNeed);
    Ok(())
}

fn read(folder: &OwnedFd, length: usize) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder, FILE, flags, Mode::empty())?;
    // One byte more than there should be.
    let mut bytes = vec![0; length + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match pread(&file, &mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What an errno says of the volume; errno(3).
fn fault(errno: Errno) -> VolumeFault {
    match errno {
        Errno::ROFS => VolumeFault::ReadOnly,
        Errno::NOSPC => VolumeFault::NoSpace,
        Errno::DQUOT => VolumeFault::Quota,
        Errno::IO => VolumeFault::Io,
        Errno::ACCESS | Errno::PERM => VolumeFault::PermissionDenied,
        Errno::NOENT | Errno::NOTDIR => VolumeFault::Missing,
        Errno::STALE => VolumeFault::Stale,
        Errno::NOTCONN | Errno::HOSTDOWN => VolumeFault::NotConnected,
        other => VolumeFault::Other(io::Error::from(other).raw_os_error().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_fault() {
        let faults = [
            (Errno::ROFS, VolumeFault::ReadOnly),
            (Errno::NOSPC, VolumeFault::NoSpace),
            (Errno::DQUOT, VolumeFault::Quota),
            (Errno::IO, VolumeFault::Io),
            (Errno::ACCESS, VolumeFault::PermissionDenied),
            (Errno::PERM, VolumeFault::PermissionDenied),
            (Errno::NOENT, VolumeFault::Missing),
            (Errno::NOTDIR, VolumeFault::Missing),
            (Errno::STALE, VolumeFault::Stale),
            (Errno::NOTCONN, VolumeFault::NotConnected),
            (Errno::HOSTDOWN, VolumeFault::NotConnected),
            (Errno::TIMEDOUT, VolumeFault::Other(110)),
        ];
        for (errno, expected) in faults {
            assert_eq!(fault(errno), expected);
        }
    }

    #[test]
    fn no_record_equals_the_one_before() {
        assert_ne!(record(1), record(2));
    }
}
