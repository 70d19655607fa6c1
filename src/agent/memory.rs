//! The memory that outlives an agent, in a file in memory that PID 1 keeps.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::decide::lease::Epoch;
use crate::decide::observation::ProcessId;

/// Bytes of the file. It is written in one call, within a page, which no kill interrupts.
const BYTES: usize = 1024;

/// The outer `sqlservr`, and the engine below it.
pub type Engine = (ProcessId, Option<ProcessId>);

/// The contents of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contents {
    /// The last epoch of the lease that this container has held.
    pub held: Option<Epoch>,
    /// The last readiness that a supervisor gave, if it was a pass.
    pub pass: Option<Pass>,
    /// Whether a supervisor has called the engine that runs, or ran last, ready.
    pub served: bool,
    /// Since when a supervisor calls the engine ready without a break, in nanoseconds of CLOCK_BOOTTIME.
    pub ready_since: Option<u64>,
    /// Whether the engine that runs, or ran last, was ended by a stop that somebody ordered.
    pub stopped: bool,
    /// Whether the command may be started again, and was not yet as far as is known.
    pub permitted: bool,
    /// The number of times that the engine was started again in this container since the last success.
    pub restarts: u32,
    /// The number of times that the engine was started again in this container in all.
    pub restarts_in_all: u32,
}

/// A pass of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The engine that was ready.
    pub engine: Engine,
    /// When the pass was last given, in milliseconds of CLOCK_MONOTONIC, which every process of the machine
    /// shares.
    pub at: u64,
    /// When that engine last answered a PRELOGIN, or the supervisor, in milliseconds of CLOCK_MONOTONIC.
    pub answered: u64,
}

/// The memory. Its clones share the contents.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: Option<File>,
    contents: Contents,
}

impl Memory {
    /// Opens the memory with what earlier agents have left in `file`. Without one, nothing outlives this
    /// agent.
    #[must_use]
    pub fn open(file: Option<File>) -> Self {
        let contents = file.as_ref().and_then(read).unwrap_or_default();
        Self(Arc::new(Mutex::new(Inner { file, contents })))
    }

    /// Returns the contents.
    #[must_use]
    pub fn get(&self) -> Contents {
        self.lock().contents
    }

    /// Changes the contents.
    pub fn change(&self, change: impl FnOnce(&mut Contents)) {
        let mut inner = self.lock();
        let before = inner.contents;
        change(&mut inner.contents);
        if inner.contents != before
            && let Some(file) = &inner.file
            && let Err(error) = write(file, &inner.contents)
        {
            warn!(%error, "the next agent will not know what this one does");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &File) -> Option<Contents> {
    let mut bytes = [0; BYTES];
    let length = file.read_at(&mut bytes, 0).ok()?;
    // The blanks that fill the file up are white space to JSON.
    serde_json::from_slice(&bytes[..length]).ok()
}

fn write(file: &File, contents: &Contents) -> std::io::Result<()> {
    let text = serde_json::to_vec(contents)?;
    let mut bytes = [b' '; BYTES];
    let room = bytes.get_mut(..text.len());
    room.ok_or(std::io::ErrorKind::FileTooLarge)?
        .copy_from_slice(&text);
    file.write_all_at(&bytes, 0)
}

#[cfg(test)]
mod tests {
    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    #[test]
    fn one_agent_tells_the_next() {
        let file = File::from(memfd_create("test", MFdFlags::empty()).unwrap());
        let again = || Some(file.try_clone().unwrap());
        let first = Memory::open(again());
        assert_eq!(first.get(), Contents::default());
        let id = |pid| ProcessId {
            pid,
            start_ticks: u64::MAX,
        };
        let full = Contents {
            held: Some(u64::MAX),
            pass: Some(Pass {
                engine: (id(i32::MIN), Some(id(i32::MIN))),
                at: u64::MAX,
                answered: u64::MAX,
            }),
            served: true,
            ready_since: Some(u64::MAX),
            stopped: true,
            permitted: true,
            restarts: u32::MAX,
            restarts_in_all: u32::MAX,
        };
        first.change(|contents| *contents = full);
        assert_eq!(Memory::open(again()).get(), full, "the longest one fits");
        first.change(|contents| contents.pass = None);
        assert_eq!(Memory::open(again()).get().pass, None);
        file.write_all_at(b"x", 0).unwrap();
        assert_eq!(Memory::open(again()).get(), Contents::default());
    }
}
