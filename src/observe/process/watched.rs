//! One process under watch: its identity held fast, its end noticed, its use of resources read.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use procfs::process::{Process, Stat};
use rustix::io::Errno;

use super::table::{identity, run_state};
use crate::decide::observation::{ExitStatus, ProcessExit, ProcessId, ProcessRole, RunState};
use crate::observe::cgroup::OomCounter;
use crate::pidfd::{Pidfd, is_dead};

/// The number of times that the exit status is asked for: a process that no one has reaped yet may not show
/// it.
const STATUS_ATTEMPTS: u32 = 3;

/// The pause between two questions for the exit status. Twice this, rounded up by the runtime's timer to 4 ms
/// at most, stays well below the 10 ms in which a dead process is to be seen.
const STATUS_PAUSE: Duration = Duration::from_millis(1);

/// The time that a kill for want of memory may take from its counting to the death that it causes; a kill
/// that befell another process of the group within twice this counts as this process' own.
const OOM_MEMORY: Duration = Duration::from_secs(5);

/// The number of descriptors that are counted at most, where they must be counted one by one; what
/// Microsoft's own unit file allows the engine stays below it.
const MAX_OPEN_FDS: usize = 1 << 17;

/// A process that is held by its `/proc` directory, which the kernel ties to this process and no
/// later one with the same pid, and by its pidfd.
#[derive(Debug)]
pub(super) struct Watch {
    pub id: ProcessId,
    /// The kernel's name for the process at the last look.
    pub comm: String,
    /// Whether the end of the process was reported.
    pub exit_reported: bool,
    role: ProcessRole,
    process: Process,
    fd_directory: PathBuf,
    /// The pidfd; none where the kernel refuses it: then the end is seen by looking.
    pidfd: Option<Pidfd>,
    /// The last reading of `stat`; none once the process is gone from `/proc`.
    stat: Option<Sample>,
    oom: OomWatch,
}

/// The values of one reading of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug)]
struct Sample {
    state: RunState,
    dead: bool,
    cpu_ticks: u64,
    resident_pages: u64,
    threads: i64,
}

impl Sample {
    fn new(stat: &Stat) -> Self {
        Self {
            state: run_state(stat.state, stat.num_threads),
            dead: is_dead(stat),
            cpu_ticks: stat.utime.saturating_add(stat.stime),
            resident_pages: stat.rss,
            threads: stat.num_threads,
        }
    }
}

/// The `oom_kill` counter of a process' control group, and what it showed some time ago.
///
/// The kernel counts when it has chosen its victim, which may live on for a while: a value as young
/// as the last look may hold this very kill already.
#[derive(Debug)]
struct OomWatch {
    counter: Option<OomCounter>,
    before: Option<u64>,
    latest: (Instant, Option<u64>),
}

impl OomWatch {
    fn open(proc_root: &Path, pid: i32) -> Self {
        let counter = OomCounter::open(proc_root, pid);
        let kills = counter.as_ref().and_then(OomCounter::read);
        Self {
            counter,
            before: kills,
            latest: (Instant::now(), kills),
        }
    }

    fn refresh(&mut self) {
        if self.latest.0.elapsed() >= OOM_MEMORY {
            self.before = self.latest.1;
            self.latest = (Instant::now(), self.read());
        }
    }

    fn read(&self) -> Option<u64> {
        self.counter.as_ref().and_then(OomCounter::read)
    }

    /// Whether the counter rose within the last moments.
    fn rose(&self) -> bool {
        let now = self.read();
        self.before.zip(now).is_some_and(|(then, now)| now > then)
    }
}

/// The outcome of a wake-up by a pidfd.
enum Status {
    /// The process lives: the wake-up was for nothing.
    Lives,
    /// The process ended with this status.
    Known(ExitStatus),
    /// The process ended; its status may be known once it is reaped.
    NotReaped,
    /// The process was reaped while its status was asked for: the next answer is the final one.
    Reaped,
    /// The process ended; its status will not be known.
    Unknown,
}

impl Watch {
    /// Takes hold of `id`; returns none when that process is gone.
    pub(super) fn open(proc_root: &Path, id: ProcessId, role: ProcessRole) -> Option<Self> {
        let process = Process::new_with_root(super::directory(proc_root, id.pid)).ok()?;
        let pidfd = open_pidfd(id.pid)?;
        // Read after the pidfd was opened: while this process is there the pid is its own, so that
        // the pidfd can't be another one's.
        let stat = process.stat().ok().filter(|stat| identity(stat) == id)?;
        let oom = OomWatch::open(proc_root, id.pid);
        tracing::info!(pid = id.pid, ?role, "process found");
        Some(Self {
            id,
            exit_reported: false,
            role,
            pidfd,
            stat: Some(Sample::new(&stat)),
            comm: stat.comm,
            oom,
            fd_directory: super::directory(proc_root, id.pid).join("fd"),
            process,
        })
    }

    /// Reads the process again. Returns false when it is gone from `/proc`.
    pub(super) fn refresh(&mut self) -> bool {
        let stat = self.process.stat().ok();
        self.stat = stat.as_ref().map(Sample::new);
        if let Some(stat) = stat {
            self.comm = stat.comm;
        }
        if self.lives() {
            self.oom.refresh();
        }
        self.stat.is_some()
    }

    /// Returns the state at the last look.
    pub(super) fn state(&self) -> RunState {
        self.stat.map_or(RunState::Other, |stat| stat.state)
    }

    /// Whether the process was there and not dead at the last look, and its end was not reported yet.
    pub(super) fn lives(&self) -> bool {
        !self.exit_reported && self.stat.is_some_and(|stat| !stat.dead)
    }

    /// Waits until the kernel reports that the process ended; for ever where there is nothing to wait for.
    /// Cancel safe: it only waits.
    pub(super) async fn ended(watch: Option<&Self>) {
        let pidfd = watch
            .filter(|watch| !watch.exit_reported)
            .and_then(|watch| watch.pidfd.as_ref());
        match pidfd {
            Some(pidfd) => pidfd.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Returns the exit of the process, once; none when it was returned before, or when the process lives.
    pub(super) async fn take_exit(&mut self) -> Option<ProcessExit> {
        if self.exit_reported {
            return None;
        }
        let status = self.wait_status().await?;
        self.exit_reported = true;
        Some(ProcessExit {
            process: self.id,
            role: self.role,
            status,
            oom_killed: self.oom.rose(),
        })
    }

    async fn wait_status(&mut self) -> Option<Option<ExitStatus>> {
        for attempt in 1..=STATUS_ATTEMPTS {
            match self.status() {
                Status::Lives => {
                    if let Some(pidfd) = &self.pidfd {
                        pidfd.forget_wake_up();
                    }
                    return None;
                }
                Status::Known(status) => return Some(Some(status)),
                Status::Unknown => break,
                Status::NotReaped if attempt < STATUS_ATTEMPTS => {
                    tokio::time::sleep(STATUS_PAUSE).await;
                }
                Status::NotReaped | Status::Reaped => {}
            }
        }
        Some(None)
    }

    /// Asks the pidfd, which knows once the process is reaped, then `/proc`, which knows before.
    fn status(&mut self) -> Status {
        let status = self.pidfd.as_ref().map(Pidfd::wait_status);
        if let Some(Ok(Some(raw))) = status {
            self.stat = None;
            return decode(raw).map_or(Status::Unknown, Status::Known);
        }
        // ESRCH is also what it says when the process is reaped in the midst of the question.
        let may_tell = matches!(status, Some(Ok(None) | Err(Errno::SRCH)));
        let stat = self.process.stat().ok();
        self.stat = stat.as_ref().map(Sample::new);
        match (self.stat, stat) {
            (Some(sample), Some(stat)) if sample.dead => {
                match self.zombie_status(&stat).and_then(decode) {
                    Some(status) => Status::Known(status),
                    None if may_tell => Status::NotReaped,
                    None => Status::Unknown,
                }
            }
            (Some(_), _) => Status::Lives,
            (None, _) if may_tell => Status::Reaped,
            (None, _) => Status::Unknown,
        }
    }

    /// Returns field 52 of `/proc/PID/stat`, proc_pid_stat(5). A process that may not see it reads zero
    /// (fs/proc/array.c, `do_task_stat`), so a zero counts only where `/proc/PID/io`, which asks for the same
    /// right, can be read.
    fn zombie_status(&self, stat: &Stat) -> Option<i32> {
        let raw = stat.exit_code?;
        (raw != 0 || self.process.io().is_ok()).then_some(raw)
    }
}

/// Decodes a wait status as wait(2) gives it; returns none for that of a process that has not ended.
#[must_use]
pub fn decode(raw: i32) -> Option<ExitStatus> {
    let status = std::process::ExitStatus::from_raw(raw);
    let code = status.code().map(ExitStatus::Code);
    code.or_else(|| status.signal().map(ExitStatus::Signal))
}

/// Opens the pidfd of `pid`: returns none when there is no such process, `Some(None)` where the kernel
/// refuses it for another reason, which is logged once.
fn open_pidfd(pid: i32) -> Option<Option<Pidfd>> {
    static REFUSED: Once = Once::new();
    match Pidfd::open(pid) {
        Ok(pidfd) => Some(Some(pidfd)),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => None,
        Err(error) => {
            REFUSED.call_once(|| {
                tracing::warn!(%error, "no pidfd: an exit is seen at the next round only");
            });
            Some(None)
        }
    }
}

/// The resources that the watched processes use together. What may not be read of one of them is absent for
/// all: a sum that leaves one out would jump.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub cpu: Option<Duration>,
    pub io_bytes: Option<u64>,
    pub resident_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
}

impl Usage {
    pub(super) fn of<'a>(watches: impl Iterator<Item = &'a Watch>) -> Self {
        watches
            .map(Self::of_one)
            .reduce(Self::plus)
            .unwrap_or_default()
    }

    fn of_one(watch: &Watch) -> Self {
        let stat = watch.stat;
        let io = watch.process.io().ok();
        Self {
            cpu: stat.map(|stat| from_ticks(stat.cpu_ticks)),
            io_bytes: io.map(|io| io.read_bytes.saturating_add(io.write_bytes)),
            resident_bytes: stat
                .map(|stat| stat.resident_pages.saturating_mul(procfs::page_size())),
            threads: stat.and_then(|stat| u64::try_from(stat.threads).ok()),
            open_fds: open_fds(&watch.fd_directory),
        }
    }

    fn plus(self, other: Self) -> Self {
        let add = |one: Option<u64>, two: Option<u64>| Some(one?.saturating_add(two?));
        Self {
            cpu: self
                .cpu
                .zip(other.cpu)
                .map(|(one, two)| one.saturating_add(two)),
            io_bytes: add(self.io_bytes, other.io_bytes),
            resident_bytes: add(self.resident_bytes, other.resident_bytes),
            threads: add(self.threads, other.threads),
            open_fds: add(self.open_fds, other.open_fds),
        }
    }
}

/// Returns the number of open descriptors: the size of `/proc/PID/fd` since Linux 6.2, its entries before.
/// Not by `procfs`, whose count takes in `.` and `..` on the older kernels.
fn open_fds(directory: &Path) -> Option<u64> {
    let size = std::fs::metadata(directory).ok()?.len();
    if size > 0 {
        return Some(size);
    }
    let entries = std::fs::read_dir(directory).ok()?;
    Some(entries.take(MAX_OPEN_FDS).count() as u64)
}

/// Converts clock ticks (`sysconf(_SC_CLK_TCK)`) to time.
fn from_ticks(ticks: u64) -> Duration {
    let per_second = procfs::ticks_per_second().max(1);
    let millis = (ticks % per_second).saturating_mul(1000) / per_second;
    Duration::from_secs(ticks / per_second) + Duration::from_millis(millis)
}
