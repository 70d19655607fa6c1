//! The history on the volume, written by the lease holder's thread as things happen.
//!
//! It is read anew for each entry: since the last one another pod may have written its own, and a pod that is
//! fenced must not put back what it knew before.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tracing::warn;

use super::holder::LeaseHolder;
use crate::records::atomic::{Folder, Unreadable};
use crate::records::history::{Entry, Event, History, MAX_ENTRIES, NAME, Refused};

/// The number of entries that may wait for a volume that does not answer; later ones are left out, which is
/// logged.
const MAX_WAITING: usize = 64;

/// The pause between two tries for the lock; with `LOCK_TRIES` of them, a second in all.
const LOCK_PAUSE: Duration = Duration::from_millis(2);
const LOCK_TRIES: u32 = 500;

/// Writes the history. Its clones share one queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    holder: LeaseHolder,
    waiting: Arc<AtomicUsize>,
    /// The entries that could not be written yet. Only the lease holder's thread uses them.
    unwritten: Arc<Mutex<VecDeque<Entry>>>,
}

impl Recorder {
    /// Returns a recorder that has `holder` write.
    #[must_use]
    pub fn new(holder: LeaseHolder) -> Self {
        Self {
            holder,
            waiting: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    /// Has `entry` written. Returns at once; a failure is logged, and the entry is written with the next one.
    pub fn record(&self, entry: Entry) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            warn!(
                ?entry,
                "left out of the history: the volume does not answer"
            );
            return;
        }
        let (waiting, unwritten) = (Arc::clone(&self.waiting), Arc::clone(&self.unwritten));
        self.holder.run(move |data_dir| {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let mut unwritten = unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = add(data_dir, &mut unwritten, entry) {
                warn!(%error, "the history can't be written; it is tried again with the next entry");
            }
        });
    }
}

fn add(data_dir: &Path, unwritten: &mut VecDeque<Entry>, entry: Entry) -> Result<(), Refused> {
    unwritten.push_back(entry);
    let surplus = unwritten.len().saturating_sub(MAX_WAITING);
    unwritten.drain(..surplus);
    let folder = Folder::make_on_volume(data_dir).map_err(refused)?;
    // It lasts until the folder is closed.
    lock(&folder);
    let mut history = read(&folder)?;
    let before = history.entries().len();
    for entry in unwritten.iter() {
        let known = match &entry.event {
            Event::Started { process, boot, .. } => history.knows_start_of(*process, boot),
            Event::LeaseTaken => history.knows_lease_of(&entry.pod, entry.epoch),
            _ => false,
        };
        if !known {
            history.push(entry.clone());
        }
    }
    // A full one loses an old entry for each new one.
    if history.entries().len() != before || history.entries().len() == MAX_ENTRIES {
        history.write(&folder).map_err(refused)?;
    }
    unwritten.clear();
    Ok(())
}

/// Keeps other processes of this machine from changing the history between reading and replacing it: the pod
/// that ends and the one that follows write at the same time. Without the lock in time the write goes on all
/// the same: a frozen process may hold it, and this thread has a lease to renew.
fn lock(folder: &Folder) {
    for _ in 0..LOCK_TRIES {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::park_timeout(LOCK_PAUSE),
            // A file system without such locks has none.
            Ok(()) | Err(_) => return,
        }
    }
}

/// Reads the history that is there. What can't be understood, is too long or is no file is kept aside, and a
/// new history begins.
fn read(folder: &Folder) -> Result<History, Refused> {
    match History::read(folder) {
        Err(
            why @ (Refused::Foreign(_)
            | Refused::Version(_)
            | Refused::Unreadable(Unreadable::TooLong(_) | Unreadable::NotAFile)),
        ) => {
            let aside = folder.keep_aside(NAME).map_err(refused)?;
            warn!(%why, kept = aside, "the history on the volume is refused, and kept aside");
            Ok(History::default())
        }
        read => read,
    }
}

fn refused(error: std::io::Error) -> Refused {
    Refused::Unreadable(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::ProcessId;
    use crate::records::history::MAX_BYTES;

    /// A directory of its own, removed at the end.
    struct Volume(std::path::PathBuf);

    impl Volume {
        fn new(name: &str) -> Self {
            let name = format!("ses-recorder-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn folder(&self) -> Folder {
            Folder::make_on_volume(&self.0).unwrap()
        }
    }

    impl Drop for Volume {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn entry(event: Event) -> Entry {
        Entry::now(1, "pod", event)
    }

    fn started() -> Entry {
        let process = ProcessId {
            pid: 7,
            start_ticks: 9,
        };
        let boot = "b".to_owned();
        entry(Event::Started {
            process,
            boot,
            in_place: false,
        })
    }

    #[test]
    fn what_one_run_wrote_the_next_one_adds_to() {
        let volume = Volume::new("adds");
        add(&volume.0, &mut VecDeque::new(), entry(Event::LeaseTaken)).unwrap();
        add(&volume.0, &mut VecDeque::new(), started()).unwrap();
        // The next run of the supervisor sees the same lease and the same engine.
        add(&volume.0, &mut VecDeque::new(), entry(Event::LeaseTaken)).unwrap();
        add(&volume.0, &mut VecDeque::new(), started()).unwrap();
        let history = History::read(&volume.folder()).unwrap();
        assert_eq!(history.entries().len(), 2);
    }

    #[test]
    fn what_another_pod_wrote_meanwhile_stays() {
        let volume = Volume::new("others");
        let (mut ours, mut theirs) = (VecDeque::new(), VecDeque::new());
        add(&volume.0, &mut ours, entry(Event::LeaseTaken)).unwrap();
        add(&volume.0, &mut theirs, started()).unwrap();
        let evidence = String::new();
        add(&volume.0, &mut ours, entry(Event::Fenced { evidence })).unwrap();
        assert_eq!(History::read(&volume.folder()).unwrap().entries().len(), 3);
    }

    #[test]
    fn a_torn_file_is_kept_aside_and_not_written_over() {
        let volume = Volume::new("torn");
        let path = volume.folder().path().join(NAME);
        std::fs::write(&path, "{\"version\":1,\"entr").unwrap();
        add(&volume.0, &mut VecDeque::new(), entry(Event::LeaseTaken)).unwrap();
        assert_eq!(History::read(&volume.folder()).unwrap().entries().len(), 1);
        let names = volume.folder().names().unwrap();
        let aside = names
            .iter()
            .find(|name| name.starts_with("history.refused-"));
        let aside = volume.folder().path().join(aside.expect("kept"));
        assert_eq!(
            std::fs::read_to_string(aside).unwrap(),
            "{\"version\":1,\"entr"
        );
    }

    #[test]
    fn what_can_not_be_read_as_a_history_is_kept_aside() {
        let too_long = |path: &Path| std::fs::write(path, vec![b' '; MAX_BYTES + 1]).unwrap();
        let no_file = |path: &Path| std::fs::create_dir(path).unwrap();
        for obstruct in [&too_long as &dyn Fn(&Path), &no_file] {
            let volume = Volume::new("unreadable");
            obstruct(&volume.folder().path().join(NAME));
            add(&volume.0, &mut VecDeque::new(), entry(Event::LeaseTaken)).unwrap();
            assert_eq!(History::read(&volume.folder()).unwrap().entries().len(), 1);
            let names = volume.folder().names().unwrap();
            let kept = |name: &&String| name.starts_with("history.refused-");
            assert_eq!(names.iter().filter(kept).count(), 1, "{names:?}");
        }
    }

    #[test]
    fn what_could_not_be_written_comes_with_the_next() {
        let volume = Volume::new("later");
        let mut unwritten = VecDeque::new();
        // In the place of the new file: it can't be removed as one.
        let place = volume.folder().path().join(format!("{NAME}.new"));
        std::fs::create_dir(&place).unwrap();
        add(&volume.0, &mut unwritten, entry(Event::LeaseTaken)).unwrap_err();
        std::fs::remove_dir(&place).unwrap();
        add(&volume.0, &mut unwritten, entry(Event::Adopted)).unwrap();
        assert_eq!(History::read(&volume.folder()).unwrap().entries().len(), 2);
    }

    #[test]
    fn two_who_write_at_the_same_time_lose_nothing() {
        const EACH: usize = 10;
        let volume = Volume::new("together");
        std::thread::scope(|scope| {
            for pod in ["one", "other"] {
                let path = &volume.0;
                scope.spawn(move || {
                    let mut unwritten = VecDeque::new();
                    for _ in 0..EACH {
                        let entry = Entry::now(1, pod, Event::Adopted);
                        add(path, &mut unwritten, entry).unwrap();
                    }
                });
            }
        });
        let history = History::read(&volume.folder()).unwrap();
        assert_eq!(history.entries().len(), 2 * EACH);
    }
}
