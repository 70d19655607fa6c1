//! Who runs on which volume: a look at the machine's processes every 50 ms, for the whole run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::host;

const PACE: Duration = Duration::from_millis(50);
const DATA: &str = "/var/opt/mssql";

/// Two engines on one volume, from the first look that saw them to the last.
#[derive(Clone, Debug)]
pub struct Overlap {
    pub volume: String,
    pub pids: (i32, i32),
    pub from: Instant,
    pub until: Instant,
    /// Looks at which one of the two could not run, being frozen with its node.
    pub frozen: usize,
    /// Looks at which both could.
    pub running: usize,
}

static OVERLAPS: Mutex<Vec<Overlap>> = Mutex::new(Vec::new());
/// Volumes whose overlap a scenario has judged itself.
static JUDGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub struct Watcher {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watcher {
    pub fn start() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                look();
                std::thread::sleep(PACE);
            }
        });
        Self { ends, thread }
    }

    /// What is to be complained of.
    pub fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher watches");
        let judged = JUDGED.lock().unwrap_or_else(PoisonError::into_inner);
        let overlaps = OVERLAPS.lock().unwrap_or_else(PoisonError::into_inner);
        let unwanted = overlaps
            .iter()
            .filter(|o| o.running > 0 && !judged.contains(&o.volume));
        unwanted.map(|overlap| format!("{overlap:?}")).collect()
    }
}

/// The overlaps on a volume; whoever asks judges them.
pub fn overlaps(volume: &str) -> Vec<Overlap> {
    JUDGED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(volume.to_owned());
    let overlaps = OVERLAPS.lock().unwrap_or_else(PoisonError::into_inner);
    overlaps
        .iter()
        .filter(|o| o.volume == volume)
        .cloned()
        .collect()
}

/// The engines by the volume that each has at /var/opt/mssql.
pub fn running() -> BTreeMap<String, Vec<i32>> {
    let named: Vec<i32> = host::pids()
        .filter(|pid| host::name(*pid).as_deref() == Some(host::ENGINE))
        .collect();
    let mut by_volume: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for pid in &named {
        // The engine is the watchdog's child; both have the name.
        let engine = host::state_and_parent(*pid)
            .filter(|(state, parent)| *state != 'Z' && named.contains(parent));
        if let Some(volume) = engine.and_then(|_| volume(*pid)) {
            by_volume.entry(volume).or_default().push(*pid);
        }
    }
    by_volume
}

/// What is mounted there: device and folder, proc_pid_mountinfo(5).
pub fn volume(pid: i32) -> Option<String> {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
    let mut fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let at = fields.rfind(|fields| fields.get(4) == Some(&DATA))?;
    Some(format!("{} {}", at.get(2)?, at.get(3)?))
}

fn look() {
    for (volume, pids) in running() {
        let [first, .., second] = pids.as_slice() else {
            continue;
        };
        let pids = (*first.min(second), *first.max(second));
        let frozen = is_frozen(pids.0) || is_frozen(pids.1);
        let now = Instant::now();
        let mut overlaps = OVERLAPS.lock().unwrap_or_else(PoisonError::into_inner);
        let at = overlaps
            .iter()
            .position(|o| o.volume == volume && o.pids == pids);
        let at = at.unwrap_or_else(|| {
            overlaps.push(Overlap {
                volume,
                pids,
                from: now,
                until: now,
                frozen: 0,
                running: 0,
            });
            overlaps.len() - 1
        });
        let overlap = &mut overlaps[at];
        overlap.until = now;
        overlap.frozen += usize::from(frozen);
        overlap.running += usize::from(!frozen);
    }
}

/// Whether its control group is frozen, in either version.
fn is_frozen(pid: i32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            return false;
        };
        match controllers {
            "freezer" => fs::read_to_string(format!("/sys/fs/cgroup/freezer{path}/freezer.state"))
                .is_ok_and(|state| state.trim() == "FROZEN"),
            "" => fs::read_to_string(format!("/sys/fs/cgroup{path}/cgroup.events"))
                .is_ok_and(|events| events.contains("frozen 1")),
            _ => false,
        }
    })
}
