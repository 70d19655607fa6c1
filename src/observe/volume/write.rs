//! The proof that the volume takes a write: a small file, written anew, synced, read back, and removed.
//!
//! A new file each time, rather than the old one's contents: a full volume would take the latter, and
//! it is new blocks that the engine will need. Each has a name of its own: two supervisors look at one
//! volume while a Deployment rolls and while a second pod waits for the lease, and neither may find the
//! other's record where it left its own. The directory is not synced: no one will miss the file after
//! a crash. What a crash leaves behind is removed by a later supervisor, see [`SWEEP_AT`].
//!
//! **What it proves.** fsync(2) returned, so the device confirmed that it holds the data. Before it is read
//! back the page cache is asked to drop it (`POSIX_FADV_DONTNEED`), which a file system may ignore: tmpfs
//! keeps it, because nothing else holds it. The device may answer from a cache of its own. So the read back
//! finds a volume that loses or mixes up writes at once; it does not prove that the medium holds them.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{
    Advice, AtFlags, CWD, Dir, Mode, OFlags, fadvise, fsync, mkdirat, openat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite};

use crate::decide::observation::{VolumeFault, WriteCheck};
use crate::records::identity::random;

/// The supervisor's folder in the data directory. Mode 0770 less the umask: a later supervisor under
/// another uid but with the volume's fsGroup can still use it.
pub const FOLDER: &str = ".sql-edge-supervisor";

/// The prefix of the files' names.
const PREFIX: &str = "write-check";

/// The size of a file, bytes: one block, so that it takes room of its own.
const RECORD_BYTES: usize = 4096;

/// The number of the check at which files are removed that were there at the first one, and so were left
/// behind: a check takes milliseconds, and this is a minute at the default pace.
const SWEEP_AT: u64 = 12;

/// The number of files left behind that are remembered; more are left for the next supervisor.
const MAX_LEFTOVERS: usize = 64;

/// Writes and reads back the files; counts, so that no record equals the one before.
#[derive(Debug)]
pub(super) struct Writer {
    nonce: u64,
    counter: u64,
    leftovers: Vec<CString>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            nonce: u64::from_ne_bytes(random()),
            counter: 0,
            leftovers: Vec::new(),
        }
    }
}

impl Writer {
    /// Makes one write check. May block for as long as the device does. With `direct` the file is opened for
    /// direct I/O as well: while the engine has no file here, so that what it runs on is never called unfit
    /// for it.
    pub(super) fn check(&mut self, data_dir: &Path, direct: bool) -> WriteCheck {
        self.counter = self.counter.wrapping_add(1);
        let started = Instant::now();
        let checked = open_folder(data_dir).map_err(fault).and_then(|folder| {
            let name = format!("{PREFIX}.{:016x}-{}", self.nonce, self.counter);
            write_and_read(&folder, &name, &record(self.counter), direct)?;
            Ok(folder)
        });
        match checked {
            Ok(folder) => {
                let lasted = started.elapsed();
                self.sweep(&folder);
                WriteCheck::Written(lasted)
            }
            Err(fault) => WriteCheck::Failed(fault),
        }
    }

    /// Removes what earlier supervisors left. A failure costs a block of the volume.
    fn sweep(&mut self, folder: &OwnedFd) {
        match self.counter {
            1 => self.leftovers = left_behind(folder).unwrap_or_default(),
            SWEEP_AT => {
                for name in std::mem::take(&mut self.leftovers) {
                    let _ = unlinkat(folder, name, AtFlags::empty());
                }
            }
            _ => {}
        }
    }
}

fn left_behind(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.to_bytes().starts_with(PREFIX.as_bytes()) && names.len() < MAX_LEFTOVERS {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns the record that is written: the process, the number of the check, and blanks.
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

fn write_and_read(
    folder: &OwnedFd,
    name: &str,
    record: &[u8],
    direct: bool,
) -> Result<(), VolumeFault> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    let file = openat(folder, name, flags, mode).map_err(fault)?;
    let found = write(&file, record).and_then(|()| read(&file, record.len()));
    let refused = direct && refuses_direct_io(folder, name);
    // Whatever came of it, it takes room that the engine needs. If this fails too there is nothing more
    // to be done, and the first error is the one to tell.
    let _ = unlinkat(folder, name, AtFlags::empty());
    match found.map_err(fault)? {
        found if found == record && refused => Err(VolumeFault::NoDirectIo),
        found if found == record => Ok(()),
        _ => Err(VolumeFault::Mismatch),
    }
}

/// Whether the file system does not know O_DIRECT: open(2) returns EINVAL then, and the engine fails with
/// error 87. Any other error proves nothing of that.
fn refuses_direct_io(folder: &OwnedFd, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::DIRECT;
    openat(folder, name, flags, Mode::empty()).err() == Some(Errno::INVAL)
}

/// Opens the folder, which is made where it is missing. The data directory itself is never made: an empty one
/// in the place of a volume would let the engine start without its data.
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

fn write(file: &OwnedFd, record: &[u8]) -> Result<(), Errno> {
    let mut written = 0;
    while written < record.len() {
        match pwrite(file, &record[written..], written as u64)? {
            // Not to be had of a regular file; without this it would be an endless loop.
            0 => return Err(Errno::IO),
            count => written += count,
        }
    }
    fsync(file)?;
    // Only advice: its failure spoils nothing.
    let _ = fadvise(file.as_fd(), 0, None, Advice::DontNeed);
    Ok(())
}

fn read(file: &OwnedFd, length: usize) -> Result<Vec<u8>, Errno> {
    // One byte more than there should be.
    let mut bytes = vec![0; length + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match pread(file, &mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Returns the fault of the volume for an errno; errno(3).
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
