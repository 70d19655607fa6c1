//! The volumes and the control group.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::log::{Dumps, EngineLog};
use crate::decide::identity::IdentityFacts;
use crate::decide::volumes::Volume;

/// What became of the checks of one volume.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeReport {
    /// Which volume.
    pub volume: Arc<Volume>,
    /// What happened.
    pub event: VolumeEvent,
}

/// A volume's check, as a thread of its own makes it.
#[derive(Clone, Debug, PartialEq)]
pub enum VolumeEvent {
    /// A check began; until its result arrives it is in flight.
    Began,
    /// A check ended.
    Checked(Box<VolumeCheck>),
}

/// The result of one check of a volume. What is not kept on that volume is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeCheck {
    /// The mount that the supervisor sees at the volume's directory.
    pub mount: Option<Mount>,
    /// The mount that `sqlservr` sees there; absent where its mountinfo can't be read.
    pub engine_mount: Option<EngineMount>,
    /// Bytes and inodes, statvfs(3).
    pub space: Option<Space>,
    /// How the write, fsync and read back went.
    pub write: WriteCheck,
    /// Who was refused what, where the write was.
    pub denial: Option<Denial>,
    /// Whether `data/master.mdf` is there.
    pub master_present: Option<bool>,
    /// What tells whether it is the volume that is meant; absent where that was not looked at.
    pub identity: Option<IdentityFacts>,
    /// `log/errorlog`.
    pub errorlog: Option<EngineLog>,
    /// The file that the engine's standard output is written to, where one is configured.
    pub output: Option<EngineLog>,
    /// Crash dumps below `log`; absent where it can't be read.
    pub dumps: Option<Dumps>,
}

/// A mount at the data directory (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineMount {
    /// No mount of its own: it writes to the container's layer.
    NotMounted,
    /// This one.
    Mounted(Mount),
}

/// A directory and the process that may not write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// It is the supervisor's own folder; else the data directory.
    pub folder: bool,
    /// The directory's owner.
    pub uid: u32,
    /// The directory's group.
    pub gid: u32,
    /// Its permissions, the lowest twelve bits of the mode.
    pub mode: u32,
    /// The supervisor's effective user.
    pub by_uid: u32,
    /// The supervisor's effective group.
    pub by_gid: u32,
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
    /// ENOSPC: no byte or no inode is left.
    NoSpace,
    /// EDQUOT: the volume may have room, the quota has none.
    Quota,
    /// EIO.
    Io,
    /// EACCES or EPERM.
    PermissionDenied,
    /// ENOENT or ENOTDIR: the data directory is not there.
    Missing,
    /// ESTALE: the server knows the files no longer.
    Stale,
    /// ENOTCONN or EHOSTDOWN: the daemon or server behind the mount is gone.
    NotConnected,
    /// What was read is not what was written.
    Mismatch,
    /// EINVAL for O_DIRECT, with which the engine opens each of its files; tried while it has none here.
    NoDirectIo,
    /// Another errno.
    Other(i32),
}

/// The control group that the engine runs in, version 1 or 2. What may not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupReport {
    /// `memory.max` or `memory.limit_in_bytes`; absent where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// `memory.current` or `memory.usage_in_bytes`.
    pub memory_bytes: Option<u64>,
    /// `memory.events` `oom_kill`, or `memory.oom_control`.
    pub oom_kills: Option<u64>,
    /// Processor time used: `cpu.stat` `usage_usec`, or `cpuacct.usage`. Absent where others than the
    /// engine's container use the same group.
    pub cpu_used: Option<Duration>,
    /// Bytes read and written: `io.stat`, or `blkio.throttle.io_service_bytes`. Absent as above.
    pub io_bytes: Option<u64>,
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

/// The kernel's release, uname(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelVersion {
    /// The 6 of 6.7.
    pub major: u32,
    /// The 7 of 6.7.
    pub minor: u32,
}

impl KernelVersion {
    /// The first two numbers of a release: `6.18.44-fc`, `5.10.0-28-amd64`, `4.18.0-553.el8.x86_64`; absent
    /// where it begins with no version.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

/// Properties of the node and of the container's limits that the engine depends on. What can't be told is
/// absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// Size of a memory page, bytes.
    pub page_bytes: Option<u64>,
    /// The processor has SSE4.2 and AVX.
    pub cpu_suffices: Option<bool>,
    /// The stack's size has no limit: RLIMIT_STACK, as the container runtime gives it to every container.
    pub stack_unlimited: Option<bool>,
}
