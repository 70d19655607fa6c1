//! The history of the engine on this volume: starts, ends, stops, restarts, fences, and the pod of each. It
//! stays with the data, so that the next pod, and whoever looks for a cause, can read it.
//!
//! One JSON document, bounded by [`MAX_ENTRIES`] and [`MAX_BYTES`], the oldest entries leaving first.
//! Times are wall-clock times, for people: nothing is decided by them.

use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::atomic::{Folder, Unreadable};
use crate::decide::observation::{ExitStatus, ProcessId, ProcessRole};
use crate::decide::policy::RestartBy;

/// The name of the file in the supervisor's folder on the volume.
pub const NAME: &str = "history";
/// The number of entries that are kept.
pub const MAX_ENTRIES: usize = 500;
/// Bytes of the file; a full history of ordinary entries has a third of them.
pub const MAX_BYTES: usize = 256 * 1024;
/// The version of the contents that is written and understood.
const VERSION: u64 = 1;
/// Bytes of a pod's or node's name that are kept.
const MAX_NAME_BYTES: usize = 64;

/// An entry of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The time of the event, in RFC 3339, to the millisecond.
    pub at: String,
    /// The epoch of the lease that the writer held; zero without a lease.
    pub epoch: u64,
    /// The pod that wrote the entry: its uid, or without one the host's name.
    pub pod: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// An event of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The pod that writes became the holder of the volume.
    LeaseTaken,
    /// An engine was seen for the first time.
    Started {
        /// The outer process of the engine.
        process: ProcessId,
        /// The kernel's name for that boot, by which equal pids are distinguished.
        boot: String,
        /// Whether the engine was started in the same container as the one before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_place: bool,
    },
    /// A process of the engine ended.
    Ended {
        /// The process that ended.
        process: ProcessId,
        /// The role of the process.
        role: ProcessRole,
        /// The exit status; absent where the kernel did not report it.
        status: Option<ExitStatus>,
        /// Whether the kernel killed the process for want of memory.
        oom_killed: bool,
    },
    /// The engine was stopped on purpose.
    Stopped {
        /// Whether the engine ended without SIGKILL, and with status 0 as far as that is known.
        clean: bool,
        /// The time from the order to the engine's end, in milliseconds.
        millis: u64,
        /// The number of databases in which a checkpoint was made before.
        checkpoints: usize,
        /// The number of databases in which a checkpoint was wanted.
        wanted: usize,
        /// The time that the checkpoints took, in milliseconds.
        checkpoint_millis: u64,
    },
    /// A restart was decided.
    Restarted {
        /// The one that was to carry the restart out.
        by: RestartBy,
        /// The codes of the reasons.
        reasons: Vec<String>,
    },
    /// The engine was fenced: another pod holds the volume.
    Fenced {
        /// The evidence of the fence.
        evidence: String,
    },
    /// An operator accepted the volume as it is.
    Adopted,
}

/// The history, which the file holds as one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    entries: VecDeque<Entry>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    entries: &'a VecDeque<Entry>,
}

#[derive(Deserialize)]
struct Read {
    version: u64,
    #[serde(default)]
    entries: VecDeque<Entry>,
}

/// The reason why a file is no history that can be added to.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file can't be read to begin with.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file was cut off, or something else has written it.
    #[error("it is not what a supervisor writes: {0}")]
    Foreign(#[from] serde_json::Error),
    /// A later supervisor wrote the file.
    #[error("it is of version {0}, and this supervisor knows version {VERSION}")]
    Version(u64),
}

impl Entry {
    /// Returns an entry for an event that happens now.
    #[must_use]
    pub fn now(epoch: u64, pod: &str, event: Event) -> Self {
        Self {
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            epoch,
            pod: pod.chars().take(MAX_NAME_BYTES).collect(),
            event,
        }
    }
}

impl History {
    /// Reads the file in `folder`; returns an empty history where there is none.
    ///
    /// # Errors
    /// The file can't be read or understood. It is left as it is.
    pub fn read(folder: &Folder) -> Result<Self, Refused> {
        match folder.read(NAME, MAX_BYTES)? {
            None => Ok(Self::default()),
            Some(bytes) => Self::parse(&bytes),
        }
    }

    /// Puts the history in the place of the file in `folder`.
    ///
    /// # Errors
    /// The system's error: the file before is there, or the new one.
    pub fn write(&mut self, folder: &Folder) -> io::Result<()> {
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
        folder.replace(NAME, &self.to_bytes(), mode)
    }

    /// Parses the bytes of a file; the oldest entries beyond [`MAX_ENTRIES`] are left behind.
    ///
    /// # Errors
    /// The file is torn, foreign or of another version: it has to be kept aside then, not written over.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let document: serde_json::Value = serde_json::from_slice(bytes)?;
        // Another version may look different altogether: that it is one is said first.
        if let Some(version) = document["version"].as_u64()
            && version != VERSION
        {
            return Err(Refused::Version(version));
        }
        let read: Read = serde_json::from_value(document)?;
        debug_assert_eq!(read.version, VERSION);
        let mut history = Self {
            entries: read.entries,
        };
        history.shorten();
        Ok(history)
    }

    /// Returns the bytes of the file, at most [`MAX_BYTES`]: older entries leave until it is so.
    #[must_use]
    pub fn to_bytes(&mut self) -> Vec<u8> {
        loop {
            let written = Written {
                version: VERSION,
                entries: &self.entries,
            };
            // Maps with keys that are no text are what can't be written, and there are none.
            let mut bytes = serde_json::to_vec(&written).unwrap_or_default();
            bytes.push(b'\n');
            if bytes.len() <= MAX_BYTES || self.entries.pop_front().is_none() {
                return bytes;
            }
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        self.shorten();
    }

    /// Returns the entries, the oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Whether the start of this process is recorded already: a supervisor that was restarted sees an engine
    /// that the history knows.
    #[must_use]
    pub fn knows_start_of(&self, process: ProcessId, boot: &str) -> bool {
        self.entries.iter().rev().any(|entry| {
            matches!(&entry.event, Event::Started { process: known, boot: then, .. }
                if *known == process && then == boot)
        })
    }

    /// Whether it is recorded already that `pod` took the lease with this epoch.
    #[must_use]
    pub fn knows_lease_of(&self, pod: &str, epoch: u64) -> bool {
        let mut entries = self.entries.iter().rev();
        entries.any(|entry| {
            entry.event == Event::LeaseTaken && entry.pod == pod && entry.epoch == epoch
        })
    }

    fn shorten(&mut self) {
        let surplus = self.entries.len().saturating_sub(MAX_ENTRIES);
        self.entries.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pid: i32) -> ProcessId {
        ProcessId {
            pid,
            start_ticks: 7,
        }
    }

    fn started(pid: i32) -> Entry {
        let event = Event::Started {
            process: id(pid),
            boot: "b".to_owned(),
            in_place: false,
        };
        Entry::now(3, "pod", event)
    }

    fn every_event() -> Vec<Event> {
        vec![
            Event::LeaseTaken,
            started(1).event,
            Event::Ended {
                process: id(1),
                role: ProcessRole::Engine,
                status: Some(ExitStatus::Signal(9)),
                oom_killed: true,
            },
            Event::Stopped {
                clean: true,
                millis: 1500,
                checkpoints: 3,
                wanted: 4,
                checkpoint_millis: 20,
            },
            Event::Restarted {
                by: RestartBy::Supervisor,
                reasons: vec!["EngineUnresponsive".to_owned()],
            },
            Event::Fenced {
                evidence: "epoch 4".to_owned(),
            },
            Event::Adopted,
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut history = History::default();
        for event in every_event() {
            history.push(Entry::now(1, "pod", event));
        }
        let bytes = history.to_bytes();
        assert_eq!(History::parse(&bytes).expect("its own"), history);
    }

    #[test]
    fn the_oldest_leave_first() {
        let mut history = History::default();
        for pid in 0..MAX_ENTRIES as i32 + 5 {
            history.push(started(pid));
        }
        assert_eq!(history.entries().len(), MAX_ENTRIES);
        assert!(!history.knows_start_of(id(4), "b"));
        assert!(history.knows_start_of(id(5), "b"));
        assert!(!history.knows_start_of(id(5), "another boot"));
    }

    #[test]
    fn no_file_is_longer_than_allowed() {
        let mut history = History::default();
        for _ in 0..MAX_ENTRIES {
            let evidence = "x".repeat(4096);
            history.push(Entry::now(1, "pod", Event::Fenced { evidence }));
        }
        assert!(history.to_bytes().len() <= MAX_BYTES);
        assert!(history.entries().len() > 40);
    }

    #[test]
    fn torn_and_foreign_files_are_refused_with_the_reason() {
        let mut history = History::default();
        history.push(started(1));
        let bytes = history.to_bytes();
        for end in 0..bytes.len() - 1 {
            assert!(History::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        for text in ["[]", "{}", "7", "{\"version\":1,\"entries\":7}"] {
            assert!(matches!(
                History::parse(text.as_bytes()),
                Err(Refused::Foreign(_))
            ));
        }
        let later = History::parse(b"{\"version\":2,\"records\":[]}");
        assert!(matches!(later, Err(Refused::Version(2))));
    }
}
