//! The `sqlservr` processes: found by the kernel's `comm`, watched by pidfd, read from `/proc`.
//!
//! **What is sent.** [`ProcessReport::Running`] and [`ProcessReport::NotFound`] at each interval, and at once
//! when other processes, or other states of them, are seen. [`ProcessReport::Exited`] once for each watched
//! process, as soon as the kernel makes its pidfd readable, which is before anyone has reaped it. What
//! follows an exit is what `/proc` shows then: `Running` with state `Zombie` while the dead process waits to
//! be reaped, `Running` with a parent only while its engine is gone, and `NotFound` when nothing is left. A
//! zombie that is there when the supervisor starts is reported in the same order: its exit, then its state.
//! So an exit is never missed, and never reported twice.
//!
//! **Which processes.** A process is watched only if its data directory is the very volume that the
//! supervisor watches, see [`volume`]: a host, or a pod that shares its process namespace, may have other
//! instances.
//!
//! **Cost.** While parent and engine are attached a round reads these two; all of `/proc` is read
//! only while one of them is missing, and each `SURROUNDINGS_INTERVAL` for what runs beside them.
//! `/proc/PID/task/TID/children` is not used: a child stands in the file of the thread that forked
//! it, so that it takes all threads of the parent, and few distributions' kernels leave it out.
//!
//! **Limits.** An exit is lost from sight only if a process comes and goes between two scans. Before
//! Linux 5.3, or where pidfd_open(2) is refused, exits are seen at the next round instead of at once.

mod table;
pub mod volume;
mod watched;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Sink;
use crate::config::ProcessConfig;
use crate::decide::observation::{
    EngineMount, EngineNetwork, Observation, ProcessId, ProcessReport, ProcessRole, RunState,
    RunningProcess,
};
use table::{Family, Surroundings, Table};
use volume::WatchedVolume;
use watched::Watch;
pub use watched::decode;

/// The directory at which procfs is mounted.
pub(super) const PROC_ROOT: &str = "/proc";

/// The pause between two readings of all of `/proc` for companions and a dump while everything is attached.
const SURROUNDINGS_INTERVAL: Duration = Duration::from_secs(5);

/// The pause between two searches for a missing process, at the start and after an exit.
const SEARCH_INTERVAL: Duration = Duration::from_millis(100);

/// The time for which a missing process is searched for each `SEARCH_INTERVAL`; from then on once an
/// interval.
const SEARCH_SPAN: Duration = Duration::from_secs(10);

/// The pid of the engine (of its parent while there is none), shared with the observers that read other
/// things of the same process. Nothing is kept open by it: a reader by this pid must bear that the process
/// ends meanwhile. The engine's mounts come with it, where another process sees them, and where the engine
/// listens, whoever sees that.
#[derive(Clone, Debug, Default)]
pub struct EnginePid {
    pid: Arc<AtomicI32>,
    mounts: Arc<Mutex<BTreeMap<PathBuf, EngineMount>>>,
    network: watch::Sender<Option<EngineNetwork>>,
    refused: Arc<Notify>,
}

impl EnginePid {
    /// Returns the pid in the supervisor's pid namespace; none while no engine lives.
    #[must_use]
    pub fn get(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid > 0)
    }

    /// Sets the pid. Only the process observer does so, and tests in its place.
    pub fn set(&self, pid: Option<i32>) {
        self.pid.store(pid.unwrap_or(0), Ordering::Relaxed);
    }

    /// Returns the mount that `launch` sees at a directory of the engine; none where there is no `launch`, or
    /// it can't read the mount.
    #[must_use]
    pub fn mount_at(&self, directory: &Path) -> Option<EngineMount> {
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.get(directory).cloned()
    }

    /// Returns the network of the engine, where it listens, and each change of it.
    #[must_use]
    pub fn network(&self) -> watch::Receiver<Option<EngineNetwork>> {
        self.network.subscribe()
    }

    /// Sets the network of the engine; receivers see a change only.
    pub fn set_network(&self, seen: Option<EngineNetwork>) {
        self.network.send_if_modified(|known| {
            let news = *known != seen;
            if news {
                *known = seen;
            }
            news
        });
    }

    /// Has the engine's listeners looked at now: a connection to it was refused.
    pub fn notify_refused(&self) {
        self.refused.notify_one();
    }

    /// Waits until a connection to the engine was refused.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn refused(&self) {
        self.refused.notified().await;
    }

    /// Sets the mounts that `launch` sees, by the engine's directories.
    pub fn set_mounts(&self, mounts: BTreeMap<PathBuf, EngineMount>) {
        *self.mounts.lock().unwrap_or_else(PoisonError::into_inner) = mounts;
    }
}

/// Returns the living processes below `ancestor`, however far, the oldest first; `/proc` is read once, now.
#[must_use]
pub fn below(proc_root: &Path, ancestor: i32) -> Vec<ProcessId> {
    Table::read(proc_root, "").below(ancestor).collect()
}

/// Returns the outermost living process called `name` below `ancestor`; `/proc` is read once, now.
#[must_use]
pub fn outermost_below(proc_root: &Path, name: &str, ancestor: i32) -> Option<ProcessId> {
    Table::read(proc_root, name).outermost_below(ancestor)
}

/// Watches the processes named by `config` whose data directory is `volume`, and keeps `engine_pid` up to
/// date. Never ends; drop the future to end it. It must run on a tokio runtime with I/O and time enabled.
pub async fn observe(
    config: ProcessConfig,
    volume: WatchedVolume,
    engine_pid: EnginePid,
    sink: Sink,
) {
    let mut observer = Observer::new(config, volume, engine_pid, sink);
    loop {
        let ended = tokio::select! {
            biased;
            role = observer.attached.ended() => Some(role),
            () = tokio::time::sleep_until(observer.next_round) => None,
        };
        match ended {
            Some(role) => observer.exit(role).await,
            None => observer.round().await,
        }
    }
}

/// The two processes under watch, by their place in the family.
#[derive(Debug, Default)]
struct Attached {
    parent: Option<Watch>,
    engine: Option<Watch>,
}

impl Attached {
    /// Waits for the end of either process. Cancel safe: it only waits.
    async fn ended(&self) -> ProcessRole {
        tokio::select! {
            biased;
            () = Watch::ended(self.engine.as_ref()) => ProcessRole::Engine,
            () = Watch::ended(self.parent.as_ref()) => ProcessRole::Parent,
        }
    }

    fn slot(&mut self, role: ProcessRole) -> &mut Option<Watch> {
        match role {
            ProcessRole::Parent => &mut self.parent,
            ProcessRole::Engine => &mut self.engine,
        }
    }

    fn take(&mut self, id: ProcessId) -> Option<Watch> {
        [ProcessRole::Engine, ProcessRole::Parent]
            .into_iter()
            .find_map(|role| self.slot(role).take_if(|watch| watch.id == id))
    }

    /// Whether parent and engine are there and live.
    fn complete(&self) -> bool {
        let lives = |slot: &Option<Watch>| slot.as_ref().is_some_and(Watch::lives);
        lives(&self.parent) && lives(&self.engine)
    }
}

/// The part of a report that has it sent at once when it differs from the one before.
type Shape = Option<(ProcessId, Option<ProcessId>, RunState, RunState)>;

struct Observer {
    config: ProcessConfig,
    volume: WatchedVolume,
    engine_pid: EnginePid,
    sink: Sink,
    attached: Attached,
    surroundings: Surroundings,
    /// The last shape sent; none at the start and after an exit, when any shape is news.
    sent: Option<Shape>,
    next_round: Instant,
    next_report: Instant,
    next_surroundings: Instant,
    search_until: Instant,
}

impl Observer {
    fn new(
        config: ProcessConfig,
        volume: WatchedVolume,
        engine_pid: EnginePid,
        sink: Sink,
    ) -> Self {
        let now = Instant::now();
        Self {
            config,
            volume,
            engine_pid,
            sink,
            attached: Attached::default(),
            surroundings: Surroundings::default(),
            sent: None,
            next_round: now,
            next_report: now,
            next_surroundings: now,
            search_until: now + SEARCH_SPAN,
        }
    }

    /// Takes a look at `/proc`, and sends a report if one is due or something changed.
    async fn round(&mut self) {
        let now = Instant::now();
        for role in [ProcessRole::Engine, ProcessRole::Parent] {
            self.refresh(role).await;
        }
        if self.wants_scan(now) {
            self.scan(now);
        }
        self.publish_pid();
        let shape = self.shape();
        let due = now >= self.next_report;
        if due || self.sent.as_ref() != Some(&shape) {
            let report = self.report();
            self.sent = Some(shape);
            self.sink.send(Observation::Process(report)).await;
        }
        if due {
            self.next_report = now + self.config.interval;
        }
        let searching = !self.attached.complete() && now < self.search_until;
        self.next_round = if searching {
            self.next_report.min(now + SEARCH_INTERVAL)
        } else {
            self.next_report
        };
    }

    /// Reads one watched process; lets go of it when it is gone or has become another program. An end that no
    /// pidfd showed is reported here.
    async fn refresh(&mut self, role: ProcessRole) {
        let Some(watch) = self.attached.slot(role) else {
            return;
        };
        let there = watch.refresh();
        if !watch.lives() && !watch.exit_reported {
            self.exit(role).await;
        }
        let slot = self.attached.slot(role);
        let same = |watch: &Watch| watch.comm == self.config.name;
        if !there || !slot.as_ref().is_some_and(same) {
            *slot = None;
        }
    }

    /// Reports the end of a watched process, unless the wake-up was for nothing.
    async fn exit(&mut self, role: ProcessRole) {
        let Some(watch) = self.attached.slot(role) else {
            return;
        };
        let Some(exit) = watch.take_exit().await else {
            return;
        };
        tracing::info!(pid = exit.process.pid, role = ?exit.role, status = ?exit.status,
            oom_killed = exit.oom_killed, "process ended");
        self.sink
            .send(Observation::Process(ProcessReport::Exited(exit)))
            .await;
        self.publish_pid();
        let now = Instant::now();
        self.sent = None;
        self.search_until = now + SEARCH_SPAN;
        self.next_round = self.next_report.min(now + SEARCH_INTERVAL);
    }

    fn wants_scan(&self, now: Instant) -> bool {
        let dumping = |watch: &Option<Watch>| {
            let state = watch.as_ref().map(Watch::state);
            matches!(state, Some(RunState::Stopped | RunState::Traced))
        };
        !self.attached.complete()
            || now >= self.next_surroundings
            || self.surroundings.dumper.is_some()
            || dumping(&self.attached.engine)
            || dumping(&self.attached.parent)
    }

    fn scan(&mut self, now: Instant) {
        let table = Table::read(&self.config.proc_root, &self.config.name);
        let attached = self.attached.parent.as_ref().map(|watch| watch.id);
        let ours = self.volume.look(table.candidates(attached));
        let family = table.family(attached, |id| ours.contains(&id));
        self.surroundings = table.surroundings(family);
        self.next_surroundings = now + SURROUNDINGS_INTERVAL;
        if let Some(Family { parent, engine }) = family {
            let engine = engine.and_then(|id| self.watch(id, ProcessRole::Engine));
            let parent = self.watch(parent, ProcessRole::Parent);
            self.attached = match (parent, engine) {
                // The parent ended within this scan: what is left is the outermost one.
                (None, engine) => Attached {
                    parent: engine,
                    engine: None,
                },
                (parent, engine) => Attached { parent, engine },
            };
        }
    }

    /// Returns the watch that is kept on `id`, or a new one. A kept one keeps its role: an engine that
    /// outlives its parent moves into the parent's place, but is still the engine when it ends.
    fn watch(&mut self, id: ProcessId, role: ProcessRole) -> Option<Watch> {
        self.attached
            .take(id)
            .or_else(|| Watch::open(&self.config.proc_root, id, role))
    }

    fn publish_pid(&self) {
        let live = [&self.attached.engine, &self.attached.parent]
            .into_iter()
            .flatten()
            .find(|watch| watch.lives());
        self.engine_pid.set(live.map(|watch| watch.id.pid));
    }

    fn shape(&self) -> Shape {
        let parent = self.attached.parent.as_ref()?;
        let engine = self.attached.engine.as_ref();
        let shown = engine.unwrap_or(parent);
        // Runnable or not is no change worth a report of its own.
        let calm = |state| match state {
            RunState::Running | RunState::DiskSleep => RunState::Sleeping,
            other => other,
        };
        let states = (calm(parent.state()), calm(shown.state()));
        Some((parent.id, engine.map(|watch| watch.id), states.0, states.1))
    }

    fn report(&self) -> ProcessReport {
        let Some(parent) = &self.attached.parent else {
            return ProcessReport::NotFound;
        };
        let engine = self.attached.engine.as_ref();
        let usage = watched::Usage::of([Some(parent), engine].into_iter().flatten());
        ProcessReport::Running(RunningProcess {
            parent: parent.id,
            engine: engine.map(|watch| watch.id),
            parent_state: parent.state(),
            state: engine.unwrap_or(parent).state(),
            dumper: self.surroundings.dumper,
            cpu: usage.cpu,
            io_bytes: usage.io_bytes,
            resident_bytes: usage.resident_bytes,
            threads: usage.threads,
            open_fds: usage.open_fds,
            companions: self.surroundings.companions,
        })
    }
}

/// Returns the directory of a process below the root of a procfs.
fn directory(proc_root: &Path, pid: i32) -> PathBuf {
    proc_root.join(pid.to_string())
}

#[cfg(test)]
mod tests;
