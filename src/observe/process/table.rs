//! The table of processes, and the choice of the supervised one in it.

use std::collections::BTreeMap;
use std::path::Path;

use procfs::process::{Process, Stat, all_processes_with_root};

use crate::decide::observation::{ProcessId, RunState};
use crate::pidfd::is_dead;

/// The number of processes read in one scan at most; the default `kernel.pid_max` of small machines. With
/// more of them the supervised one may stay unseen.
const MAX_PROCESSES: usize = 32_768;

/// The number of generations between a dumper and the process it belongs to, at most: `sqlservr`,
/// `handle-crash.sh` and a shell or two.
const MAX_GENERATIONS: usize = 16;

/// The dump writer of SQL Server on Linux.
const DUMPER: &str = "paldumper";

/// The programs that SQL Edge's image starts beside the engine.
const COMPANIONS: [&str; 2] = ["launchpadd", "AsdePackage"];

/// Returns the state by the letter of `/proc/PID/stat`. A zombie with other threads left has only lost its
/// first thread, and lives.
pub(super) fn run_state(letter: char, threads: i64) -> RunState {
    match letter {
        'R' => RunState::Running,
        'S' | 'I' => RunState::Sleeping,
        'D' => RunState::DiskSleep,
        'T' => RunState::Stopped,
        't' => RunState::Traced,
        'Z' if threads <= 1 => RunState::Zombie,
        _ => RunState::Other,
    }
}

/// Returns the identity of a process by its `stat`.
pub(super) fn identity(stat: &Stat) -> ProcessId {
    ProcessId {
        pid: stat.pid,
        start_ticks: stat.starttime,
    }
}

/// The kind of a process, as the supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The process has the supervised name.
    Named,
    Dumper,
    Companion,
    Stranger,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: ProcessId,
    parent: i32,
    kind: Kind,
    dead: bool,
}

/// All processes at about one moment, by pid.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<i32, Entry>);

/// The supervised processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The outermost process of the name.
    pub parent: ProcessId,
    /// The parent's child of the same name.
    pub engine: Option<ProcessId>,
}

/// The processes that run beside the supervised ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// A live dump writer that belongs to the supervised processes.
    pub dumper: Option<i32>,
    /// The number of live companions.
    pub companions: u32,
}

impl Table {
    /// Reads the table. A process that can't be read has ended, or is no supervised one.
    pub(super) fn read(proc_root: &Path, name: &str) -> Self {
        let Ok(processes) = all_processes_with_root(proc_root) else {
            return Self::default();
        };
        let entries = processes
            .take(MAX_PROCESSES)
            .filter_map(Result::ok)
            .filter_map(|process: Process| process.stat().ok())
            .map(|stat| (stat.pid, Entry::new(&stat, name)));
        Self(entries.collect())
    }

    /// Returns the outermost processes of the name that are not watched yet, and whether each is dead.
    pub(super) fn candidates(
        &self,
        attached: Option<ProcessId>,
    ) -> impl Iterator<Item = (ProcessId, bool)> {
        self.roots()
            .filter(move |entry| attached != Some(entry.id))
            .map(|entry| (entry.id, entry.dead))
    }

    /// Returns the family to watch: `attached` while it lives, else the oldest live one, else the oldest dead
    /// one, of those that are `ours`. Never by the largest pid: pids are used again.
    pub(super) fn family(
        &self,
        attached: Option<ProcessId>,
        ours: impl Fn(ProcessId) -> bool,
    ) -> Option<Family> {
        let rank = |entry: &&Entry| {
            let other = attached != Some(entry.id);
            (entry.dead, other, entry.id.start_ticks, entry.id.pid)
        };
        let counts = |entry: &&Entry| attached == Some(entry.id) || ours(entry.id);
        let parent = self.roots().filter(counts).min_by_key(rank)?.id;
        let engine = self
            .named()
            .filter(|entry| entry.parent == parent.pid && entry.id != parent)
            .min_by_key(|entry| (entry.dead, entry.id.start_ticks, entry.id.pid));
        Some(Family {
            parent,
            engine: engine.map(|entry| entry.id),
        })
    }

    /// Returns what runs beside `family`. A dumper belongs to a family from which it descends; where a single
    /// family is in sight, also when the dumper's parent is gone: the shell that started it does not wait for
    /// it.
    pub(super) fn surroundings(&self, family: Option<Family>) -> Surroundings {
        let live = |kind| {
            self.0
                .values()
                .filter(move |entry| entry.kind == kind && !entry.dead)
        };
        let alone = self.roots().count() == 1;
        let dumper = live(Kind::Dumper).find(|dumper| {
            family.is_some_and(|family| alone || self.descends(dumper, family.parent.pid))
        });
        Surroundings {
            dumper: dumper.map(|entry| entry.id.pid),
            companions: u32::try_from(live(Kind::Companion).count()).unwrap_or(u32::MAX),
        }
    }

    /// Returns the living processes below `ancestor`, however far: the oldest first.
    pub(super) fn below(&self, ancestor: i32) -> impl Iterator<Item = ProcessId> {
        let mut found: Vec<_> = self.living_below(ancestor).map(|entry| entry.id).collect();
        found.sort_by_key(|id| (id.start_ticks, id.pid));
        found.into_iter()
    }

    /// Returns the outermost living process of the name below `ancestor`; of several the oldest. A process
    /// whose parent is dead is the outermost.
    pub(super) fn outermost_below(&self, ancestor: i32) -> Option<ProcessId> {
        let living_name = |entry: &Entry| entry.kind == Kind::Named && !entry.dead;
        self.living_below(ancestor)
            .filter(|entry| living_name(entry))
            .filter(|entry| !self.0.get(&entry.parent).is_some_and(living_name))
            .map(|entry| entry.id)
            .min_by_key(|id| (id.start_ticks, id.pid))
    }

    fn living_below(&self, ancestor: i32) -> impl Iterator<Item = &Entry> {
        self.0
            .values()
            .filter(move |entry| !entry.dead && self.descends_far(entry, ancestor))
    }

    /// Whether `entry` is below `ancestor`, however far. The search is as long as the table, and no loop is
    /// longer.
    fn descends_far(&self, entry: &Entry, ancestor: i32) -> bool {
        std::iter::successors(Some(entry), |entry| self.0.get(&entry.parent))
            .take(self.0.len())
            .any(|entry| entry.parent == ancestor)
    }

    fn named(&self) -> impl Iterator<Item = &Entry> {
        self.0.values().filter(|entry| entry.kind == Kind::Named)
    }

    /// Returns the processes of the name whose parent has another one.
    fn roots(&self) -> impl Iterator<Item = &Entry> {
        self.named().filter(|entry| {
            let parent = self.0.get(&entry.parent);
            parent.is_none_or(|parent| parent.kind != Kind::Named)
        })
    }

    fn descends(&self, entry: &Entry, ancestor: i32) -> bool {
        std::iter::successors(Some(entry), |entry| self.0.get(&entry.parent))
            .take(MAX_GENERATIONS)
            .any(|entry| entry.parent == ancestor)
    }
}

impl Entry {
    fn new(stat: &Stat, name: &str) -> Self {
        let kind = match stat.comm.as_str() {
            comm if comm == name => Kind::Named,
            DUMPER => Kind::Dumper,
            comm if COMPANIONS.contains(&comm) => Kind::Companion,
            _ => Kind::Stranger,
        };
        Self {
            id: identity(stat),
            parent: stat.ppid,
            kind,
            dead: is_dead(stat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::TempDir;

    /// A `/proc` of fixtures: (pid, parent, comm, state, start time).
    fn table(processes: &[(i32, i32, &str, char, u64)]) -> Table {
        let proc_root = TempDir::new();
        for (pid, parent, comm, state, start) in processes {
            let zeros = "0 ".repeat(30);
            let stat = format!(
                "{pid} ({comm}) {state} {parent} 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 {start} {zeros}\n"
            );
            proc_root.write(format!("{pid}/stat"), &stat);
        }
        proc_root.write("uptime", "1 1\n");
        proc_root.write("17/comm", "a process that has just ended\n");
        Table::read(proc_root.path(), "sqlservr")
    }

    fn pids(family: Option<Family>) -> (Option<i32>, Option<i32>) {
        let parent = family.map(|family| family.parent.pid);
        (
            parent,
            family.and_then(|family| family.engine).map(|id| id.pid),
        )
    }

    #[test]
    fn each_letter_has_its_state() {
        let states = [
            ('R', RunState::Running),
            ('S', RunState::Sleeping),
            ('I', RunState::Sleeping),
            ('D', RunState::DiskSleep),
            ('T', RunState::Stopped),
            ('t', RunState::Traced),
            ('Z', RunState::Zombie),
            ('X', RunState::Other),
            ('?', RunState::Other),
        ];
        for (letter, state) in states {
            assert_eq!(run_state(letter, 1), state);
        }
        assert_eq!(
            run_state('Z', 4),
            RunState::Other,
            "only its first thread ended"
        );
    }

    #[test]
    fn the_engine_is_the_child_whatever_the_pids() {
        // The image's tree: sh, launchpadd, AsdePackage, watchdog, engine with the smaller pid.
        let table = table(&[
            (1, 0, "sh", 'S', 10),
            (8, 1, "launchpadd", 'S', 11),
            (9, 1, "AsdePackage", 'S', 11),
            (900, 1, "sqlservr", 'S', 11),
            (30, 900, "sqlservr", 'S', 20),
            (31, 30, "sqlservr", 'R', 21),
        ]);
        let family = table.family(None, |_| true);
        assert_eq!(pids(family), (Some(900), Some(30)));
        assert_eq!(family.unwrap().engine.unwrap().start_ticks, 20);
        let around = table.surroundings(family);
        assert_eq!(around.companions, 2);
        assert_eq!(around.dumper, None);
    }

    #[test]
    fn the_oldest_of_strangers_unless_one_is_attached() {
        let table = table(&[
            (5, 1, "sqlservr", 'S', 30),
            (6, 1, "sqlservr", 'S', 20),
            (7, 1, "sqlservr", 'Z', 10),
            (8, 1, "sqlservr", 'X', 9),
        ]);
        assert_eq!(pids(table.family(None, |_| true)), (Some(6), None));
        let attached = |pid, start_ticks| Some(ProcessId { pid, start_ticks });
        assert_eq!(
            pids(table.family(attached(5, 30), |_| true)),
            (Some(5), None)
        );
        assert_eq!(
            pids(table.family(attached(7, 10), |_| true)),
            (Some(6), None),
            "dead"
        );
        assert_eq!(
            pids(table.family(attached(5, 29), |_| true)),
            (Some(6), None),
            "another 5"
        );
    }

    #[test]
    fn those_of_others_are_passed_over() {
        let table = table(&[
            (5, 1, "sqlservr", 'S', 10),
            (6, 5, "sqlservr", 'S', 11),
            (7, 1, "sqlservr", 'S', 20),
            (8, 7, "sqlservr", 'S', 21),
            (9, 1, "sqlservr", 'Z', 5),
        ]);
        let ours = table.family(None, |id| id.pid == 7);
        assert_eq!(pids(ours), (Some(7), Some(8)));
        assert_eq!(pids(table.family(None, |_| false)), (None, None));
        let five = ProcessId {
            pid: 5,
            start_ticks: 10,
        };
        // One that is watched stays so: its directory may be gone from sight.
        assert_eq!(
            pids(table.family(Some(five), |_| false)),
            (Some(5), Some(6))
        );
        let candidates: Vec<_> = table.candidates(Some(five)).collect();
        let ids: Vec<_> = candidates
            .iter()
            .map(|(id, dead)| (id.pid, *dead))
            .collect();
        assert_eq!(ids, [(7, false), (9, true)]);
    }

    #[test]
    fn what_is_below_a_process() {
        // A dead outer one leaves its engine to the first process.
        let table = table(&[
            (1, 0, "launch", 'S', 10),
            (7, 1, "sh", 'S', 11),
            (8, 7, "launchpadd", 'S', 12),
            (9, 7, "sqlservr", 'Z', 13),
            (4, 9, "sqlservr", 'S', 14),
            (5, 4, "sqlservr", 'S', 15),
            (30, 0, "sqlservr", 'S', 9),
            (31, 30, "sh", 'S', 9),
        ]);
        let below: Vec<_> = table.below(1).map(|id| id.pid).collect();
        assert_eq!(below, [7, 8, 4, 5]);
        assert_eq!(table.outermost_below(1).map(|id| id.pid), Some(4));
        assert_eq!(table.outermost_below(0).map(|id| id.pid), Some(30));
        assert_eq!(table.below(31).count(), 0);
    }

    #[test]
    fn a_zombie_is_better_than_nothing() {
        let alone = table(&[(7, 1, "sqlservr", 'Z', 10)]);
        assert_eq!(pids(alone.family(None, |_| true)), (Some(7), None));
        let engines = table(&[
            (7, 1, "sqlservr", 'S', 10),
            (8, 7, "sqlservr", 'Z', 11),
            (9, 7, "sqlservr", 'S', 12),
        ]);
        assert_eq!(pids(engines.family(None, |_| true)), (Some(7), Some(9)));
    }

    #[test]
    fn only_the_whole_name_counts() {
        let table = table(&[
            (5, 1, "sqlservr2", 'S', 1),
            (6, 1, "sqlserv", 'S', 1),
            (7, 1, "a) S sqlservr", 'S', 1),
        ]);
        assert_eq!(pids(table.family(None, |_| true)), (None, None));
        assert_eq!(table.surroundings(None), Surroundings::default());
    }

    #[test]
    fn a_dumper_belongs_to_its_ancestor() {
        let two = table(&[
            (5, 1, "sqlservr", 'S', 1),
            (6, 1, "sqlservr", 'S', 2),
            (20, 6, "handle-crash.sh", 'S', 3),
            (21, 20, "paldumper", 'R', 4),
        ]);
        let oldest = two.family(None, |_| true);
        assert_eq!(two.surroundings(oldest).dumper, None);
        let six = ProcessId {
            pid: 6,
            start_ticks: 2,
        };
        assert_eq!(
            two.surroundings(two.family(Some(six), |_| true)).dumper,
            Some(21)
        );
        let orphan = table(&[
            (5, 1, "sqlservr", 't', 1),
            (21, 1, "paldumper", 'R', 4),
            (22, 1, "paldumper", 'Z', 3),
        ]);
        assert_eq!(
            orphan.surroundings(orphan.family(None, |_| true)).dumper,
            Some(21)
        );
        let over = table(&[(5, 1, "sqlservr", 'S', 1), (22, 5, "paldumper", 'Z', 3)]);
        assert_eq!(
            over.surroundings(over.family(None, |_| true)).dumper,
            None,
            "it has ended"
        );
    }
}
