//! The reports on the volumes, the control group and the node.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::log::{Dumps, EngineLog};
use crate::decide::identity::IdentityFacts;
use crate::decide::mount::Mount;
use crate::decide::volumes::Volume;

/// A report on the checks of one volume.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeReport {
    /// The volume that is checked.
    pub volume: Arc<Volume>,
    /// The event of the check.
    pub event: VolumeEvent,
}

/// An event of a volume's check, which a thread of its own makes.
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
    /// The room on the volume in bytes and inodes, statvfs(3).
    pub space: Option<Space>,
    /// The result of the write, fsync and read back.
    pub write: WriteCheck,
    /// The directory and the process that was refused it, where the write was refused.
    pub denial: Option<Denial>,
    /// Whether `data/master.mdf` is there.
    pub master_present: Option<bool>,
    /// The facts that show whether this is the volume that is meant; absent where they were not looked at.
    pub identity: Option<IdentityFacts>,
    /// The engine's `log/errorlog`.
    pub errorlog: Option<EngineLog>,
    /// The file that the engine's standard output is written to, where one is configured.
    pub output: Option<EngineLog>,
    /// The crash dumps below `log`; absent where that directory can't be read.
    pub dumps: Option<Dumps>,
}

/// The mount that `sqlservr` sees at a volume's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EngineMount {
    /// The directory is no mount of its own: `sqlservr` writes to the container's layer.
    NotMounted,
    /// The directory is this mount.
    Mounted(Mount),
}

/// A directory and the process that may not write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Whether the directory is the supervisor's own folder; else it is the data directory.
    pub folder: bool,
    /// The owner of the directory.
    pub uid: u32,
    /// The group of the directory.
    pub gid: u32,
    /// The permissions of the directory, the lowest twelve bits of the mode.
    pub mode: u32,
    /// The supervisor's effective user.
    pub by_uid: u32,
    /// The supervisor's effective group.
    pub by_gid: u32,
}

/// The room on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// The size of the volume, bytes.
    pub total_bytes: u64,
    /// The room that is free for a process without privileges, bytes.
    pub free_bytes: u64,
    /// The number of inodes; zero on a file system that has no such limit.
    pub total_inodes: u64,
    /// The number of free inodes.
    pub free_inodes: u64,
}

/// The result of the write, fsync and read back of a small file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteCheck {
    /// All three succeeded, in this time.
    Written(Duration),
    /// The check failed with this fault.
    Failed(VolumeFault),
    /// The write was not tried in this check.
    Skipped,
}

/// The fault for which a volume could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeFault {
    /// EROFS: the file system is read-only.
    ReadOnly,
    /// ENOSPC: no byte or no inode is left.
    NoSpace,
    /// EDQUOT: the volume may have room, the quota has none.
    Quota,
    /// EIO: the input or output failed.
    Io,
    /// EACCES or EPERM: the supervisor may not write the directory.
    PermissionDenied,
    /// ENOENT or ENOTDIR: the data directory is not there.
    Missing,
    /// ESTALE: the file server does not know the files any more.
    Stale,
    /// ENOTCONN or EHOSTDOWN: the daemon or server behind the mount is gone.
    NotConnected,
    /// The bytes that were read are not those that were written.
    Mismatch,
    /// EINVAL for O_DIRECT, with which the engine opens each of its files; tried while it has none open here.
    NoDirectIo,
    /// The write failed with another errno, this one.
    Other(i32),
}

/// The control group that the engine runs in, version 1 or 2. What may not be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupReport {
    /// The limit of memory, `memory.max` or `memory.limit_in_bytes`; absent where there is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// The memory in use, `memory.current` or `memory.usage_in_bytes`.
    pub memory_bytes: Option<u64>,
    /// The number of OOM kills, `oom_kill` of `memory.events` or of `memory.oom_control`.
    pub oom_kills: Option<u64>,
    /// The processor time used so far, `usage_usec` of `cpu.stat` or `cpuacct.usage`. Absent where others
    /// than the engine's container use the same group.
    pub cpu_used: Option<Duration>,
    /// The bytes read and written so far, `io.stat` or `blkio.throttle.io_service_bytes`. Absent where
    /// others than the engine's container use the same group.
    pub io_bytes: Option<u64>,
    /// The number of periods of the cpu limit, `nr_periods` of `cpu.stat`.
    pub cpu_periods: Option<u64>,
    /// The number of periods in which the group was throttled, `nr_throttled` of `cpu.stat`.
    pub cpu_throttled_periods: Option<u64>,
    /// The time for which the group was throttled, `throttled_usec` or `throttled_time` of `cpu.stat`.
    pub cpu_throttled: Option<Duration>,
    /// The share of periods throttled since the observation before, 0 to 1.
    pub throttled_ratio: Option<f64>,
    /// Whether the group is frozen, by `cgroup.freeze` and `cgroup.events`, or `freezer.state`.
    pub frozen: Option<bool>,
    /// The pressure stall information of cpu, `some avg10`, percent.
    pub pressure_cpu: Option<f64>,
    /// The pressure stall information of memory, `some avg10`, percent.
    pub pressure_memory: Option<f64>,
    /// The pressure stall information of io, `some avg10`, percent.
    pub pressure_io: Option<f64>,
}

/// The kernel's release, uname(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelVersion {
    /// The first number of the release: the 6 of 6.7.
    pub major: u32,
    /// The second number of the release: the 7 of 6.7.
    pub minor: u32,
}

impl KernelVersion {
    /// Returns the first two numbers of a release: `6.18.44-fc`, `5.10.0-28-amd64`,
    /// `4.18.0-553.el8.x86_64`; absent where it begins with no version.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

/// The properties of the node and of the container's limits that the engine depends on. A property that
/// can't be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// The size of a memory page, bytes.
    pub page_bytes: Option<u64>,
    /// Whether the processor has SSE4.2 and AVX.
    pub cpu_suffices: Option<bool>,
    /// Whether the stack's size has no limit: RLIMIT_STACK, as the container runtime sets it for every
    /// container.
    pub stack_unlimited: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_as_distributions_write_them() {
        for (release, major, minor) in [
            ("6.18.44-fc", 6, 18),
            ("5.10.0-28-amd64", 5, 10),
            ("4.18.0-553.el8.x86_64", 4, 18),
            ("6.7-rc1", 6, 7),
            ("6.6.87.2-microsoft-standard-WSL2", 6, 6),
        ] {
            assert_eq!(
                KernelVersion::parse(release),
                Some(KernelVersion { major, minor })
            );
        }
        for release in ["", "6", "linux", "-6.7", "6.", "99999999999.1"] {
            assert_eq!(KernelVersion::parse(release), None, "{release}");
        }
    }
}
