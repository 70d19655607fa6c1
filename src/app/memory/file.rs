//! The file: what is in it, and how it is read and written.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Mode;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::decide::memory::Memory;
use crate::decide::time::Time;
use crate::records::atomic::{Folder, Unreadable};
use crate::records::boot_id;

/// The name of the file in the directory.
pub const NAME: &str = "state.json";
/// Bytes that are read. A whole file has less than a tenth of them.
const MAX_BYTES: usize = 64 * 1024;
/// The version of the contents that is written and understood.
const VERSION: u64 = 1;
/// The longest moment or span of a memory: a century.
const MAX_SPAN: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// The file's contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stored {
    version: u64,
    written: Moment,
    /// The supervised moment at which the file was written.
    pub at: Time,
    /// The memory.
    pub memory: Memory,
}

/// A moment by the clocks that go on without the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    /// The kernel's name for this boot; empty where the kernel does not report it.
    boot_id: String,
    /// The time of CLOCK_BOOTTIME.
    boottime: Duration,
    /// The time since 1970.
    wall_clock: Duration,
}

impl Moment {
    #[cfg(test)]
    pub fn of(boot_id: &str, boottime: Duration, wall_clock: Duration) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            boottime,
            wall_clock,
        }
    }

    pub fn now() -> Self {
        let boottime = clock_gettime(ClockId::Boottime);
        Self {
            boot_id: boot_id(),
            boottime: Duration::try_from(boottime).unwrap_or_default(),
            wall_clock: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }
}

/// The reason why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("it is not what a supervisor writes: {0}")]
    Foreign(#[from] serde_json::Error),
    #[error("it is of version {0}, and this supervisor knows version {VERSION}")]
    Version(u64),
    #[error("a time in it is longer than a century")]
    Impossible,
}

impl Stored {
    pub fn new(memory: Memory, at: Time, written: Moment) -> Self {
        Self {
            version: VERSION,
            written,
            at,
            memory,
        }
    }

    /// Returns how long ago the file was written, and whether that was in this boot.
    pub fn passed(&self, now: &Moment) -> (Duration, bool) {
        let then = &self.written;
        let same_boot = then.boot_id == now.boot_id && !now.boot_id.is_empty();
        let passed = match same_boot {
            true => now.boottime.saturating_sub(then.boottime),
            // It may have been set back meanwhile.
            false => now.wall_clock.saturating_sub(then.wall_clock),
        };
        (passed, same_boot)
    }

    fn parse(text: &str) -> Result<Self, Refused> {
        let document: serde_json::Value = serde_json::from_str(text)?;
        // Another version may look different altogether: that it is one is said first.
        if let Some(version) = document["version"].as_u64()
            && version != VERSION
        {
            return Err(Refused::Version(version));
        }
        let stored: Self = serde_json::from_value(document)?;
        let restart = stored.memory.last_restart.as_ref();
        let spans = [
            stored.at.elapsed(),
            stored.written.boottime,
            stored.written.wall_clock,
            restart.map_or(Duration::ZERO, |restart| restart.before_start),
        ];
        match spans.iter().all(|span| *span <= MAX_SPAN) {
            true => Ok(stored),
            false => Err(Refused::Impossible),
        }
    }
}

/// Reads the file in `directory`; returns none where there is none.
pub fn read(directory: &Path) -> Result<Option<Stored>, Refused> {
    let folder = match Folder::open(directory) {
        Ok(folder) => folder,
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Unreadable::Io(error).into()),
    };
    let Some(bytes) = folder.read(NAME, MAX_BYTES)? else {
        return Ok(None);
    };
    Stored::parse(&String::from_utf8_lossy(&bytes)).map(Some)
}

/// Puts `stored` in the place of the file in `directory`, which is made where it is absent.
pub fn write(directory: &Path, stored: &Stored) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let json = serde_json::to_vec(stored)?;
    Folder::open(directory)?.replace(NAME, &json, Mode::RUSR | Mode::WUSR)
}

/// Gives the file in `directory` another name, and removes the oldest of the files that were renamed so.
pub fn keep_aside(directory: &Path) -> io::Result<PathBuf> {
    let aside = Folder::open(directory)?.keep_aside(NAME)?;
    Ok(directory.join(aside))
}
