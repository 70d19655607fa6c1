//! What is seen of the `sqlservr` processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same pid by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid in the supervisor's pid namespace.
    pub pid: i32,
    /// Start time in clock ticks after boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub start_ticks: u64,
}

/// What is known of the `sqlservr` processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessReport {
    /// No process of the configured name can be seen. Without a shared PID namespace that says
    /// nothing about whether one runs.
    NotFound,
    /// It runs.
    Running(RunningProcess),
    /// One of the watched processes ended.
    Exited(ProcessExit),
}

/// A running `sqlservr`: on Linux a parent that watches over, and a child that is the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningProcess {
    /// The outermost `sqlservr`, the one to signal.
    pub parent: ProcessId,
    /// The engine: the child `sqlservr`; none until the parent has made it.
    pub engine: Option<ProcessId>,
    /// State of the parent.
    pub parent_state: RunState,
    /// State of the engine (of the parent while there is no child).
    pub state: RunState,
    /// A `paldumper` that belongs to it runs: a core dump is being written.
    pub dumper: Option<i32>,
    /// Processor time used so far by parent and engine together, user and system.
    pub cpu: Option<Duration>,
    /// Bytes read from and written to storage so far; absent where `/proc/PID/io` may not be read.
    pub io_bytes: Option<u64>,
    /// Resident memory of parent and engine, bytes.
    pub resident_bytes: Option<u64>,
    /// Threads of parent and engine.
    pub threads: Option<u64>,
    /// Open file descriptors of parent and engine.
    pub open_fds: Option<u64>,
    /// Companions of the image that run beside it (`launchpadd`, `AsdePackage`).
    pub companions: u32,
}

/// The kernel's process states, as `/proc/PID/stat` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// `R`.
    Running,
    /// `S`, `I`.
    Sleeping,
    /// `D`: uninterruptible, as a rule waiting for storage.
    DiskSleep,
    /// `T`: stopped by a signal.
    Stopped,
    /// `t`: stopped by a tracer, which is what a dump looks like.
    Traced,
    /// `Z`: dead, not yet reaped.
    Zombie,
    /// `X`, or any letter a later kernel may add.
    Other,
}

/// The end of a watched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessExit {
    /// Which one ended.
    pub process: ProcessId,
    /// Whether it was the engine (the child) or the parent.
    pub role: ProcessRole,
    /// How; absent where the kernel does not tell (before Linux 6.15 only a parent learns it).
    pub status: Option<ExitStatus>,
    /// The `oom_kill` counter of its control group rose with its death.
    pub oom_killed: bool,
}

/// Which of the two `sqlservr` processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessRole {
    /// The outer one.
    Parent,
    /// The engine.
    Engine,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}
