//! Decides whose engine a process is: it is the supervised one only if its data directory is the very volume
//! that the supervisor watches.
//!
//! A process and the supervisor may have mount namespaces of their own, and then a path alone means nothing.
//! What is compared is where each of them finds its data directory: the device of the file system, and the
//! directory within it, as `/proc/PID/mountinfo` has it for the process (proc_pid_mountinfo(5)). So two
//! containers are distinguished that have different volumes at the same path, or different directories of one
//! volume (`subPath`), and two that share one are not. Nothing on the volume is touched: a device that does
//! not answer prevents no distinction.
//!
//! **Limits.** Of a process that has ended nothing is known; such a one is taken for the supervised one only
//! where no engine of another volume is in sight. Links in the engine's own path can't be followed from
//! outside: it is compared as it is written. Two engines in one mount namespace, each with a data directory
//! of its own, are not distinguished: Microsoft supports one instance there, and containers have their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::decide::observation::ProcessId;
use crate::observe::volume::mounts::{MountTable, unescape};

/// The time for the links in the data directory's path to be followed.
const LOOKUP: Duration = Duration::from_secs(2);

/// The number of foreign processes that are remembered as logged; beyond them none is logged any more.
const MAX_SAID: usize = 64;

/// The volume that is watched, and what distinguishes it from others.
#[derive(Debug)]
pub struct WatchedVolume {
    proc_root: PathBuf,
    /// The data directory as the supervisor names it, and with its links followed.
    own: Vec<PathBuf>,
    /// The data directory as the engine names it.
    engine: PathBuf,
    /// The processes that were found to be of this volume. They stay so: a table of mounts that is changed
    /// while it is read may lack an entry.
    known: BTreeSet<ProcessId>,
    /// The processes of other volumes that were logged.
    said: BTreeSet<ProcessId>,
}

/// A directory, by its file system and its path in it.
type Place = (String, PathBuf);

/// The owner of a process, as far as its volume shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Ours,
    Others,
    Unknown,
}

impl WatchedVolume {
    /// Returns the volume at `own_dir` for the supervisor and at `engine_dir` for the engine, neither of them
    /// a link.
    #[must_use]
    pub fn new(proc_root: PathBuf, own_dir: PathBuf, engine_dir: PathBuf) -> Self {
        Self {
            proc_root,
            own: vec![own_dir],
            engine: engine_dir,
            known: BTreeSet::new(),
            said: BTreeSet::new(),
        }
    }

    /// Returns the volume where links may lead to `own_dir`. On a volume that does not answer in time they
    /// are not followed, and the lookup stays behind on a thread that nobody waits for.
    pub async fn following(proc_root: PathBuf, own_dir: PathBuf, engine_dir: PathBuf) -> Self {
        let directory = own_dir.clone();
        let lookup = tokio::task::spawn_blocking(move || std::fs::canonicalize(directory));
        let followed = tokio::time::timeout(LOOKUP, lookup).await;
        let mut volume = Self::new(proc_root, own_dir, engine_dir);
        if let Ok(Ok(Ok(followed))) = followed
            && !volume.own.contains(&followed)
        {
            volume.own.push(followed);
        }
        volume
    }

    /// Returns those of `candidates` that are of this volume; with each candidate stands whether it is dead.
    pub(super) fn look(
        &mut self,
        candidates: impl Iterator<Item = (ProcessId, bool)>,
    ) -> BTreeSet<ProcessId> {
        let candidates: Vec<_> = candidates.collect();
        if candidates.is_empty() {
            return BTreeSet::new();
        }
        let own = self.own_places();
        let (mut ours, mut dead, mut others) = (BTreeSet::new(), Vec::new(), false);
        for (id, is_dead) in candidates {
            let owner = match self.known.contains(&id) {
                true => Owner::Ours,
                false => self.owner(id.pid, &own),
            };
            match owner {
                Owner::Ours => {
                    ours.insert(id);
                }
                Owner::Unknown if is_dead => dead.push(id),
                Owner::Others | Owner::Unknown => {
                    others = true;
                    self.say(id);
                }
            }
        }
        self.known.clone_from(&ours);
        if !others {
            ours.extend(dead);
        }
        ours
    }

    fn own_places(&self) -> Vec<Place> {
        let Some(mounts) = MountTable::of(&self.proc_root.join("self")) else {
            return Vec::new();
        };
        let places = self.own.iter().filter_map(|own| place(&mounts, own));
        places.collect()
    }

    fn owner(&self, pid: i32, own: &[Place]) -> Owner {
        let theirs = MountTable::of(&super::directory(&self.proc_root, pid))
            .and_then(|mounts| place(&mounts, &self.engine));
        match theirs {
            Some(theirs) if own.contains(&theirs) => Owner::Ours,
            Some(_) => Owner::Others,
            None => Owner::Unknown,
        }
    }

    fn say(&mut self, id: ProcessId) {
        if self.said.len() < MAX_SAID && self.said.insert(id) {
            let data_dir = self.engine.display();
            tracing::info!(pid = id.pid, %data_dir,
                "not watched: its data directory is not the volume that is watched here");
        }
    }
}

/// Returns where the process with these mounts finds `directory`.
fn place(mounts: &MountTable, directory: &Path) -> Option<Place> {
    let (point, mount) = mounts.covering(directory)?;
    let below = directory.strip_prefix(point).ok()?;
    let mut within = PathBuf::from(unescape(&mount.root));
    // Joining an empty path would append a slash.
    if below.components().next().is_some() {
        within.push(below);
    }
    Some((mount.majmin.clone(), within))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::TempDir;

    const STAT: &str = "(sqlservr) S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    /// A `/proc` in which the supervisor has the first of these mountinfos, and pid 100, 101 ... the others.
    fn proc_root(mountinfos: &[&str]) -> TempDir {
        let proc_root = TempDir::new();
        for (index, mountinfo) in mountinfos.iter().enumerate() {
            let name = (99 + index).to_string();
            proc_root.write(format!("{name}/mountinfo"), mountinfo);
            proc_root.write(format!("{name}/stat"), &format!("{} {STAT}", 99 + index));
        }
        proc_root.write("uptime", "1 1\n");
        std::os::unix::fs::symlink("99", proc_root.path().join("self")).unwrap();
        proc_root
    }

    fn id(pid: i32) -> ProcessId {
        ProcessId {
            pid,
            start_ticks: 10,
        }
    }

    /// Returns the pids of the processes that are of this volume.
    fn ours(proc_root: &TempDir, own: &str, engine: &str, pids: &[(i32, bool)]) -> Vec<i32> {
        let root = proc_root.path().to_owned();
        let mut volume = WatchedVolume::new(root, own.into(), engine.into());
        let candidates = pids.iter().map(|(pid, dead)| (id(*pid), *dead));
        let found = volume.look(candidates);
        found.into_iter().map(|id| id.pid).collect()
    }

    const ROOT: &str = "21 1 0:40 / / rw - overlay overlay rw\n";
    const VOLUME: &str = "22 21 8:16 / /var/opt/mssql rw - ext4 /dev/sdb rw\n";
    const SUB_A: &str = "22 21 8:16 /a /var/opt/mssql rw - ext4 /dev/sdb rw\n";
    const SUB_B: &str = "22 21 8:16 /b /var/opt/mssql rw - ext4 /dev/sdb rw\n";
    const OTHER: &str = "22 21 8:32 / /var/opt/mssql rw - ext4 /dev/sdc rw\n";
    const PATH: &str = "/var/opt/mssql";

    #[test]
    fn the_volume_tells_two_instances_apart() {
        let with = |volume: &str| format!("{ROOT}{volume}");
        let alive = [(100, false), (101, false)];
        for (own, first, second, expected) in [
            (VOLUME, VOLUME, OTHER, &[100][..]),
            (VOLUME, OTHER, VOLUME, &[101]),
            (SUB_A, SUB_B, SUB_A, &[101]),
            (SUB_A, VOLUME, OTHER, &[]),
            // None has a volume: a container's own layer is another one for each.
            (VOLUME, "", "", &[]),
            (VOLUME, VOLUME, VOLUME, &[100, 101]),
        ] {
            let proc_root = proc_root(&[&with(own), &with(first), &with(second)]);
            assert_eq!(ours(&proc_root, PATH, PATH, &alive), expected, "{own}");
        }
    }

    #[test]
    fn the_same_directory_is_known_by_whatever_path() {
        // The supervisor has the volume's parent elsewhere.
        let own = format!("{ROOT}22 21 8:16 / /volumes rw - ext4 /dev/sdb rw\n");
        let engine = format!("{ROOT}{SUB_A}");
        let proc_root = proc_root(&[&own, &engine]);
        let pids = [(100, false)];
        assert_eq!(ours(&proc_root, "/volumes/a", PATH, &pids), [100]);
        assert!(ours(&proc_root, "/volumes/b", PATH, &pids).is_empty());
        assert!(ours(&proc_root, "/volumes", PATH, &pids).is_empty());
    }

    #[test]
    fn on_a_bare_host_the_directory_is_that_of_the_host() {
        let host = "21 1 8:1 / / rw - ext4 /dev/sda rw\n";
        let container = format!("{ROOT}{VOLUME}");
        let proc_root = proc_root(&[host, host, &container]);
        let pids = [(100, false), (101, false)];
        assert_eq!(ours(&proc_root, PATH, PATH, &pids), [100]);
    }

    #[test]
    fn one_of_which_nothing_is_known_is_nobodys() {
        let proc_root = proc_root(&[&format!("{ROOT}{VOLUME}"), "", &format!("{ROOT}{OTHER}")]);
        assert!(ours(&proc_root, PATH, PATH, &[(100, false)]).is_empty());
        // A dead one alone, and beside another instance.
        assert_eq!(ours(&proc_root, PATH, PATH, &[(100, true)]), [100]);
        assert!(ours(&proc_root, PATH, PATH, &[(100, true), (101, false)]).is_empty());
        // One with another root, in which the directory has no mount that can be seen.
        let elsewhere = "22 21 8:16 / /srv rw - ext4 /dev/sdb rw\n";
        let proc_root = self::proc_root(&[&format!("{ROOT}{VOLUME}"), elsewhere]);
        assert!(ours(&proc_root, PATH, PATH, &[(100, false)]).is_empty());
    }

    #[test]
    fn one_that_was_ours_stays_so_while_mounts_change() {
        let both = format!("{ROOT}{VOLUME}");
        let proc_root = proc_root(&[&both, &both]);
        let mut volume = WatchedVolume::new(proc_root.path().to_owned(), PATH.into(), PATH.into());
        let ours = BTreeSet::from([id(100)]);
        let mut look = || volume.look([(id(100), false)].into_iter());
        assert_eq!(look(), ours);
        // Read while others mount and unmount, the table may lack an entry.
        proc_root.write("100/mountinfo", ROOT);
        assert_eq!(look(), ours);
    }
}
