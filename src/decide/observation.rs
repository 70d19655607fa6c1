//! What the observers report: plain values, each stamped with the moment it was taken.
//!
//! **Architecture invariant:** no variant here says what follows from it. "Port refused" is an
//! observation; that it is normal in a start and fatal an hour later is the engine's business.

use std::time::Duration;

use serde::Serialize;

use super::time::Time;

/// A value with the moment at which it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observed<T> {
    /// When the value was taken.
    pub at: Time,
    /// The value.
    pub value: T,
}

/// One report of one observer.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The `sqlservr` processes.
    Process(ProcessReport),
    /// One query on the standing connection.
    Ping(Attempt),
    /// A fresh connection with login and query: what a new client meets.
    Login(Attempt),
    /// A result of the `sp_server_diagnostics` stream.
    Diagnostics(DiagnosticsReport),
    /// The contents of `sys.databases`.
    Databases(DatabasesReport),
    /// The data volume.
    Volume(VolumeReport),
    /// The engine's control group.
    Cgroup(CgroupReport),
    /// What the engine says of itself, read after a login.
    Server(ServerProperties),
    /// The supervisor itself did not run for this long.
    Stall(Duration),
    /// An operator's word, or a signal to the pod.
    Operator(OperatorWord),
}

/// A process, told apart from a later one with the same pid by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProcessId {
    /// The pid in the supervisor's pid namespace.
    pub pid: i32,
    /// Start time in clock ticks after boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub start_ticks: u64,
}

/// What is known of the `sqlservr` processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessRole {
    /// The outer one.
    Parent,
    /// The engine.
    Engine,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// One attempt to be answered by the engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began; its [`Observed::at`] is when it ended.
    pub started: Time,
    /// How it ended.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// The query's result arrived after this long.
    Answered {
        /// From the first byte sent to the last one read.
        round_trip: Duration,
    },
    /// It did not.
    Failed(ContactError),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContactError {
    /// ECONNREFUSED: nothing listens.
    Refused,
    /// The peer closed or reset the connection.
    Closed,
    /// The deadline passed.
    TimedOut(Stage),
    /// No route, name not resolved, or another error of the network below TCP.
    Unreachable(String),
    /// The engine answered with an error.
    Server(ServerError),
    /// TLS could not be agreed upon, or the certificate was refused.
    Tls(String),
    /// The peer does not speak TDS, or not as it should.
    Protocol(String),
    /// The supervisor has no usable credentials; nothing was sent.
    Credentials(String),
}

/// How far an attempt came before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// TCP connect.
    Connect,
    /// Prelogin, TLS and login.
    Login,
    /// The query.
    Query,
}

/// An ERROR token of the engine. Its text is left out: errors are told apart by number, and a text
/// may carry names of the user's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerError {
    /// Message number, as in `sys.messages`.
    pub number: u32,
    /// State.
    pub state: u8,
    /// Severity.
    pub class: u8,
}

/// What the `sp_server_diagnostics` stream brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DiagnosticsReport {
    /// One result set.
    Report(Diagnostics),
    /// The engine can't or may not run it (2812, 297, 300 ...): absent, not failed.
    Unavailable(ServerError),
    /// The stream broke or went silent.
    Failed(Attempt),
}

/// One result set of `sp_server_diagnostics`. Each field is absent where the engine left it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics {
    /// Component `system`: spinlocks, access violations, dumps, non-yielding tasks.
    pub system: Option<ComponentState>,
    /// Component `resource`: memory.
    pub resource: Option<ComponentState>,
    /// Component `query_processing`: workers, schedulers, deadlocks.
    pub query_processing: Option<ComponentState>,
    /// Component `io_subsystem`; never a cause for a restart.
    pub io_subsystem: Option<ComponentState>,
    /// `queryProcessing/@tasksCompletedWithinInterval`.
    pub tasks_completed: Option<u64>,
    /// `queryProcessing/@pendingTasks`.
    pub pending_tasks: Option<u64>,
    /// `queryProcessing/@maxWorkers`.
    pub max_workers: Option<u64>,
    /// `queryProcessing/@workersCreated`.
    pub workers_created: Option<u64>,
    /// `queryProcessing/@workersIdle`.
    pub workers_idle: Option<u64>,
    /// `queryProcessing/@hasDeadlockedSchedulersOccurred`.
    pub deadlocked_schedulers: Option<bool>,
    /// `system/@nonYieldingTasksReported`.
    pub non_yielding_tasks: Option<u64>,
    /// `system/@totalDumpRequests`.
    pub dump_requests: Option<u64>,
    /// `resource/@outOfMemoryExceptions`.
    pub out_of_memory_exceptions: Option<u64>,
    /// `ioSubsystem/@totalLongIos`.
    pub long_ios: Option<u64>,
}

/// State of a component of `sp_server_diagnostics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ComponentState {
    /// 0, or a value not documented.
    Unknown,
    /// 1.
    Clean,
    /// 2.
    Warning,
    /// 3.
    Error,
}

/// What `sys.databases` said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabasesReport {
    /// Its rows.
    Listed(DatabaseList),
    /// It could not be read.
    Failed(ContactError),
}

/// Rows of `sys.databases`, ordered by `database_id`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseList {
    /// The rows kept.
    pub databases: Vec<Database>,
    /// How many more there were than the supervisor keeps.
    pub left_out: u32,
}

/// One row of `sys.databases`, with its recovery where one is under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// `name`.
    pub name: String,
    /// `state`.
    pub state: DatabaseState,
    /// `is_read_only`.
    pub read_only: bool,
    /// Recovery: `sys.dm_exec_requests.percent_complete` of its `DB STARTUP`, 0 to 100.
    pub recovery_percent: Option<f64>,
    /// Recovery: `estimated_completion_time`.
    pub recovery_remaining: Option<Duration>,
}

/// `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseState {
    /// 0.
    Online,
    /// 1.
    Restoring,
    /// 2.
    Recovering,
    /// 3.
    RecoveryPending,
    /// 4.
    Suspect,
    /// 5.
    Emergency,
    /// 6.
    Offline,
    /// 7, 10, or a value not documented.
    Other(u8),
}

/// The data volume, as a thread of its own saw it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeReport {
    /// A check began; until its result arrives it is in flight.
    Began,
    /// A check ended.
    Checked(Box<VolumeCheck>),
}

/// The result of one check of the volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeCheck {
    /// The mount that the supervisor sees at the data directory.
    pub mount: Option<Mount>,
    /// The mount that `sqlservr` sees there; absent where its mountinfo can't be read.
    pub engine_mount: Option<EngineMount>,
    /// Bytes and inodes, statvfs(3).
    pub space: Option<Space>,
    /// How the write, fsync and read back went.
    pub write: WriteCheck,
    /// Whether `data/master.mdf` is there.
    pub master_present: Option<bool>,
    /// Size of `log/errorlog`: that it grows is progress.
    pub errorlog_bytes: Option<u64>,
}

/// A mount at the data directory (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// `major:minor` of the device.
    pub device: String,
    /// Which directory of that file system is mounted.
    pub root: String,
    /// File system type.
    pub fs_type: String,
    /// Mounted read-only, or its super block is.
    pub read_only: bool,
}

/// What `sqlservr` sees at its data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineMount {
    /// No mount of its own: it writes to the container's layer.
    NotMounted,
    /// This one.
    Mounted(Mount),
}

/// Room on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// Size, bytes.
    pub total_bytes: u64,
    /// Free for a process without privileges, bytes.
    pub free_bytes: u64,
    /// Inodes; zero on a file system that has no such limit.
    pub total_inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

/// How the write, fsync and read back of a small file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteCheck {
    /// All of it, in this time.
    Written(Duration),
    /// It failed.
    Failed(VolumeFault),
    /// Not tried in this check.
    Skipped,
}

/// Why the volume could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeFault {
    /// EROFS.
    ReadOnly,
    /// ENOSPC or EDQUOT.
    NoSpace,
    /// EIO.
    Io,
    /// EACCES or EPERM.
    PermissionDenied,
    /// ENOENT or ENOTDIR: the data directory is not there.
    Missing,
    /// ESTALE or ENOTCONN: the server or daemon behind the mount is gone.
    Stale,
    /// What was read is not what was written.
    Mismatch,
    /// Another errno.
    Other(i32),
}

/// The control group that the engine runs in, version 1 or 2. What may not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupReport {
    /// `memory.max` or `memory.limit_in_bytes`; absent where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// `memory.current` or `memory.usage_in_bytes`.
    pub memory_bytes: Option<u64>,
    /// `memory.events` `oom_kill`, or `memory.oom_control`.
    pub oom_kills: Option<u64>,
    /// `cpu.stat` `nr_periods`.
    pub cpu_periods: Option<u64>,
    /// `cpu.stat` `nr_throttled`.
    pub cpu_throttled_periods: Option<u64>,
    /// `cpu.stat` `throttled_usec`, or `throttled_time`.
    pub cpu_throttled: Option<Duration>,
    /// Share of periods throttled since the observation before, 0 to 1.
    pub throttled_ratio: Option<f64>,
    /// `cgroup.freeze`/`cgroup.events`, or `freezer.state`.
    pub frozen: Option<bool>,
    /// Pressure stall information, `some avg10`, percent: cpu.
    pub pressure_cpu: Option<f64>,
    /// The same for memory.
    pub pressure_memory: Option<f64>,
    /// The same for io.
    pub pressure_io: Option<f64>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerProperties {
    /// `SERVERPROPERTY('ProductVersion')`.
    pub version: String,
    /// `SERVERPROPERTY('Edition')`.
    pub edition: String,
    /// `SERVERPROPERTY('EngineEdition')`; 9 is Azure SQL Edge.
    pub engine_edition: i32,
}

/// What was said to the supervisor rather than seen by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorWord {
    /// The engine is being stopped on purpose.
    Stopping,
    /// Liveness is held until this moment.
    MaintenanceUntil(Time),
    /// Maintenance is over.
    Resume,
    /// The restart budget's hold is over.
    Release,
}
