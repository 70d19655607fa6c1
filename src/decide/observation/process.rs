//! The reports on the `sqlservr` processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The identity of a process: its start time distinguishes it from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid in the pid namespace of whoever reports it: the agent's where `launch` is there, else the
    /// supervisor's.
    pub pid: i32,
    /// The start time in clock ticks after boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub start_ticks: u64,
}

/// A report on the `sqlservr` processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessReport {
    /// No process of the configured name can be seen. Without a shared PID namespace that proves nothing
    /// about whether one runs.
    NotFound,
    /// A process of that name runs.
    Running(RunningProcess),
    /// A watched process ended.
    Exited(ProcessExit),
}

/// A running `sqlservr`: on Linux a parent that watches over its child, and the child, which is the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningProcess {
    /// The outermost `sqlservr`, the one to signal.
    pub parent: ProcessId,
    /// The engine: the child `sqlservr`; absent until the parent has made it.
    pub engine: Option<ProcessId>,
    /// The state of the parent.
    pub parent_state: RunState,
    /// The state of the engine (of the parent while there is no child).
    pub state: RunState,
    /// The pid of a `paldumper` that belongs to the engine, if one runs: a core dump is being written.
    pub dumper: Option<i32>,
    /// The processor time used so far by parent and engine together, user and system.
    pub cpu: Option<Duration>,
    /// The bytes read from and written to storage so far; absent where `/proc/PID/io` may not be read.
    pub io_bytes: Option<u64>,
    /// The resident memory of parent and engine, bytes.
    pub resident_bytes: Option<u64>,
    /// The number of threads of parent and engine.
    pub threads: Option<u64>,
    /// The number of open file descriptors of parent and engine.
    pub open_fds: Option<u64>,
    /// The number of companions of the image that run beside the engine (`launchpadd`, `AsdePackage`).
    pub companions: u32,
}

/// The kernel's process states, as `/proc/PID/stat` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// `R`: running, or ready to run.
    Running,
    /// `S`, `I`: sleeping or idle.
    Sleeping,
    /// `D`: in an uninterruptible wait, as a rule for storage.
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
    /// The process that ended.
    pub process: ProcessId,
    /// The role of that process: the engine (the child) or the parent.
    pub role: ProcessRole,
    /// The exit status; absent where the kernel does not report it (before Linux 6.15 only a parent learns
    /// it).
    pub status: Option<ExitStatus>,
    /// Whether the `oom_kill` counter of the control group rose with the death of the process.
    pub oom_killed: bool,
}

/// The role of a `sqlservr` process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessRole {
    /// The outer process, which watches over the engine.
    Parent,
    /// The engine.
    Engine,
}

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitStatus {
    /// The process exited with this code.
    Code(i32),
    /// The process was ended by this signal.
    Signal(i32),
}
