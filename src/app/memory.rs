//! What outlives the supervisor: its [`Memory`] in a file of `state-dir`.
//!
//! Kept are the restart budget with its hold, `pause`, what the engine's process proved, and the last
//! restart. A supervisor that starts beside an engine which hangs already finds the hang as soon as
//! one that had run all along would have.
//!
//! **Writing.** A thread of its own writes: the last value wins, a directory that stalls stalls nothing else.
//! A temporary file, fsync, rename, fsync of the directory (rename(2), fsync(2)): what is there is a whole
//! file, the one before or the new one.
//!
//! **Reading.** Once, at the start. What can't be understood is kept aside under another name and never
//! written over; the supervisor starts without memory then, and logs that.
//!
//! **Time.** Moments of the memory count from the start of the run that wrote it. How long ago that was is
//! measured by CLOCK_BOOTTIME, which no one sets, and by the wall clock only across a boot.

mod file;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tracing::{info, warn};

use crate::decide::memory::Memory;
use crate::decide::time::Time;
use file::{Moment, Stored};

/// The time that the start waits for the file to be read, and the end for the last value to be written. Unit
/// tests run beside others on a disk that is busy with those.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });
/// The pause between a write that failed and the next try of the same value.
const RETRY: Duration = Duration::from_secs(60);

/// Keeps the memory on disk. When dropped, it waits a moment for what is not written yet.
#[derive(Debug)]
pub struct MemoryWriter {
    shared: Arc<Shared>,
    last: Option<Memory>,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<Stored>,
    writing: bool,
    /// Whether nobody writes, because the thread has ended.
    off: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what an earlier run left in `directory`, as seen from this run's start, and keeps this run's
/// memory there from now on.
///
/// # Errors
///
/// The system has no thread left.
pub fn open(directory: &Path) -> std::io::Result<(Memory, MemoryWriter)> {
    let shared = Arc::new(Shared::default());
    let (sender, receiver) = mpsc::sync_channel(1);
    let theirs = Arc::clone(&shared);
    let directory = directory.to_owned();
    std::thread::Builder::new()
        .name("memory".to_owned())
        .spawn(move || {
            let usable = recall(&directory, &sender);
            if usable {
                write_all(&directory, &theirs);
            }
            theirs.lock().off = true;
            theirs.changed.notify_all();
        })?;
    let memory = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        warn!("state-dir does not answer: nothing is known of an earlier run");
        Memory::default()
    });
    let last = None;
    Ok((memory, MemoryWriter { shared, last }))
}

/// Returns what an earlier run of the supervisor left in `directory`, for a caller that only looks.
#[must_use]
pub fn recalled(directory: &Path) -> Memory {
    let stored = file::read(directory).ok().flatten();
    stored.map_or_else(Memory::default, carried_over)
}

/// Reads the file, and hands over what is known. Returns false where nothing may be written.
fn recall(directory: &Path, to: &mpsc::SyncSender<Memory>) -> bool {
    let (memory, usable) = match file::read(directory) {
        Ok(None) => (Memory::default(), true),
        Ok(Some(stored)) => (carried_over(stored), true),
        Err(why) => (Memory::default(), keep_aside(directory, &why)),
    };
    // Nobody waits for it any more where it took too long.
    let _ = to.send(memory);
    usable
}

fn carried_over(stored: Stored) -> Memory {
    let (passed, same_boot) = stored.passed(&Moment::now());
    let memory = stored.memory.carried_over(stored.at, passed, same_boot);
    let engine = memory.engine.map(|engine| engine.parent.pid);
    let counted = memory.budget.failures;
    info!(ago = ?passed, same_boot, engine, counted, held = memory.budget.held,
        paused_for = ?memory.maintenance_until.map(Time::elapsed), "an earlier run is remembered");
    memory
}

/// Gives a file that can't be used another name. Returns false where that fails, so that the file would be
/// written over.
fn keep_aside(directory: &Path, why: &file::Refused) -> bool {
    let path = directory.join(file::NAME);
    match file::keep_aside(directory) {
        Ok(kept) => {
            warn!(path = %path.display(), %why, kept_as = %kept.display(),
                "the memory of an earlier run is refused and kept aside; nothing is remembered: not the restart budget, not `pause`");
            true
        }
        Err(error) => {
            warn!(path = %path.display(), %why, %error,
                "the memory of an earlier run is refused and can't be kept aside: it is left as it is, and nothing is remembered");
            false
        }
    }
}

/// Writes the values that are kept until the writer is dropped.
fn write_all(directory: &Path, shared: &Shared) {
    let mut failing = false;
    let mut slot = shared.lock();
    loop {
        let Some(stored) = slot.next.take() else {
            if slot.closed {
                return;
            }
            slot = shared
                .changed
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        slot.writing = true;
        drop(slot);
        let written = file::write(directory, &stored);
        slot = shared.lock();
        slot.writing = false;
        shared.changed.notify_all();
        let Err(error) = written else {
            failing = false;
            continue;
        };
        if !std::mem::replace(&mut failing, true) {
            warn!(directory = %directory.display(), %error,
                "nothing outlives a restart of the supervisor, neither the restart budget nor `pause`; everything else works: mount a writable directory at state-dir");
        }
        if slot.next.is_none() && !slot.closed {
            let waited = shared.changed.wait_timeout(slot, RETRY);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !slot.closed {
            slot.next.get_or_insert(stored);
        }
    }
}

impl MemoryWriter {
    /// Keeps `memory` as it is at the moment `at`, if it is not what is kept already.
    pub fn keep(&mut self, memory: Memory, at: Time) {
        if self.last.as_ref() == Some(&memory) {
            return;
        }
        self.shared.lock().next = Some(Stored::new(memory.clone(), at, Moment::now()));
        self.shared.changed.notify_all();
        self.last = Some(memory);
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        let mut slot = self.shared.lock();
        slot.closed = true;
        self.shared.changed.notify_all();
        let pending = |slot: &mut Slot| !slot.off && (slot.next.is_some() || slot.writing);
        // What a stalled directory does not take in this time is lost.
        drop(
            self.shared
                .changed
                .wait_timeout_while(slot, PATIENCE, pending),
        );
    }
}

#[cfg(test)]
mod tests;
