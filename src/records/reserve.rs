//! A little room on the main volume that only the supervisor's records may use.
//!
//! A full volume must not keep an engine from starting, because only one that runs can make room. A new
//! pod needs a block for its claim on the lease and one for what it records, and a full volume has
//! none: then this file is removed, and the records take its place. It is made anew once there is
//! room.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, fallocate, openat, unlinkat};
use rustix::io::Errno;

/// The name of the file in the supervisor's folder.
pub const NAME: &str = "reserve";
/// The size of the file in bytes: a claim, an identity and a history take a third of it.
const BYTES: u64 = 64 * 1024;

/// Makes the file where it is missing. A failure costs nothing now; it is tried again.
pub fn keep(folder: impl AsFd) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    // It is there as a rule.
    let Ok(file) = openat(&folder, NAME, flags, mode) else {
        return;
    };
    if fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_err() {
        // One without blocks would reserve nothing. Where the file system can't do it, there is none.
        let _ = unlinkat(&folder, NAME, AtFlags::empty());
    }
}

/// Removes the file, so that what has to be written now has its room. Returns whether there was any.
#[must_use]
pub fn spend(folder: impl AsFd) -> bool {
    unlinkat(folder, NAME, AtFlags::empty()).is_ok()
}

/// Whether a write failed for want of room.
#[must_use]
pub fn is_wanted(errno: Errno) -> bool {
    errno == Errno::NOSPC || errno == Errno::DQUOT
}
