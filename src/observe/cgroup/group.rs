//! Where the control group of a process is mounted, and its open files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, MountInfos, Process};
use procfs::{FromBufRead, ProcessCGroup, ProcessCGroups};

use super::files;
use crate::decide::observation::CgroupReport;

/// The longest file of a control group that is read, bytes; `memory.events`, `cpu.stat` and the
/// like stay below a tenth of it.
const MAX_FILE_BYTES: usize = 4096;

/// The longest `/proc/PID/cgroup` that is read, bytes: some 16 lines, each with a path of at most
/// `PATH_MAX`.
const MAX_MEMBERSHIP_BYTES: u64 = 16 * 4096;

/// The version of the interface that a controller is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The groups a process is in, and the mounts through which they may be reached.
pub(super) struct Membership {
    groups: ProcessCGroups,
    /// The supervisor's own groups; absent where they can't be read.
    own: Option<ProcessCGroups>,
    /// The mounts as seen through the process's root first, because a container mounts its own group there;
    /// then through the supervisor's. Each comes with the path of that root.
    views: Vec<(PathBuf, MountInfos)>,
}

impl Membership {
    /// Returns `/proc/PID/cgroup` as text; by comparing it a move to another group is noticed.
    pub(super) fn text(proc_root: &Path, pid: i32) -> Option<String> {
        let file = File::open(proc_root.join(pid.to_string()).join("cgroup")).ok()?;
        let mut text = String::new();
        file.take(MAX_MEMBERSHIP_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// Parses `text`, as [`Self::text`] returned it.
    pub(super) fn parse(proc_root: &Path, pid: i32, text: &str) -> Option<Self> {
        let groups = ProcessCGroups::from_buf_read(text.as_bytes()).ok()?;
        let views = [pid.to_string(), "self".to_owned()]
            .into_iter()
            .filter_map(|name| {
                let process = Process::new_with_root(proc_root.join(&name)).ok()?;
                let mounts = process.mountinfo().ok()?;
                Some((proc_root.join(name).join("root"), mounts))
            })
            .collect();
        let own = std::fs::read(proc_root.join("self/cgroup")).ok();
        let own = own.and_then(|own| ProcessCGroups::from_buf_read(own.as_slice()).ok());
        Some(Self { groups, own, views })
    }

    /// Returns the directories for `controller`, unless others use the group as well: the root group, and one
    /// that the supervisor itself is in or below. What is counted there is not the engine's.
    fn unshared(&self, controller: &str) -> (Version, Vec<PathBuf>) {
        let (version, directories) = self.directories(controller);
        let path = |groups: &ProcessCGroups| Some(find(groups, controller)?.pathname.clone());
        let own = self.own.as_ref().and_then(path);
        let shared = match (path(&self.groups), own) {
            (Some(engine), Some(own)) => below(&own, &engine).is_some(),
            _ => true,
        };
        (version, if shared { Vec::new() } else { directories })
    }

    /// Returns the directories in which the group of `controller` may be, the best first. A controller that
    /// no version 1 hierarchy has belongs to the unified one.
    fn directories(&self, controller: &str) -> (Version, Vec<PathBuf>) {
        match find(&self.groups, controller).filter(|group| group.hierarchy != 0) {
            Some(group) => (
                Version::V1,
                self.mounted(&group.pathname, |mount| {
                    mount.fs_type == "cgroup" && mount.super_options.contains_key(controller)
                }),
            ),
            None => (Version::V2, self.unified()),
        }
    }

    /// Returns the directories in which the group of the unified hierarchy may be.
    fn unified(&self) -> Vec<PathBuf> {
        let unified = self.groups.0.iter().find(|group| group.hierarchy == 0);
        unified.map_or_else(Vec::new, |group| {
            self.mounted(&group.pathname, |mount| mount.fs_type == "cgroup2")
        })
    }

    fn mounted(&self, group: &str, wanted: impl Fn(&MountInfo) -> bool) -> Vec<PathBuf> {
        let in_view = |(root, mounts): &(PathBuf, MountInfos)| {
            mounts
                .iter()
                .filter(|mount| wanted(mount))
                .find_map(|mount| {
                    let below = below(group, &mount.root)?;
                    let point = mount.mount_point.strip_prefix("/").ok()?;
                    Some(root.join(point).join(below))
                })
        };
        self.views.iter().filter_map(in_view).collect()
    }
}

/// Returns the group of `controller`: a version 1 hierarchy that has it, else the unified one.
fn find<'a>(groups: &'a ProcessCGroups, controller: &str) -> Option<&'a ProcessCGroup> {
    let has = |group: &&ProcessCGroup| group.controllers.iter().any(|name| name == controller);
    let unified = || groups.0.iter().find(|group| group.hierarchy == 0);
    groups.0.iter().find(has).or_else(unified)
}

/// Returns the path of `group` below a mount whose root is the group `mounted`. Both are shown by the kernel
/// relative to the reader's own cgroup namespace (cgroup_namespaces(7)), so that one outside it begins with
/// `/..` in both and still matches.
fn below<'a>(group: &'a str, mounted: &str) -> Option<&'a str> {
    let rest = group.strip_prefix(mounted.trim_end_matches('/'))?;
    let whole_names = rest.is_empty() || rest.starts_with('/');
    let rest = rest.trim_start_matches('/');
    let escapes = rest.split('/').any(|name| name == "..");
    (whole_names && !escapes).then_some(rest)
}

/// A file of a control group, kept open.
#[derive(Debug)]
struct GroupFile(File);

impl GroupFile {
    fn open(directories: &[PathBuf], name: &str) -> Option<Self> {
        directories
            .iter()
            .find_map(|directory| File::open(directory.join(name)).ok())
            .map(Self)
    }

    /// Returns the value of the file now; absent when the group is gone (ENODEV).
    fn read<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut buffer = [0; MAX_FILE_BYTES];
        let length = self.0.read_at(&mut buffer, 0).ok()?;
        parse(std::str::from_utf8(&buffer[..length]).ok()?)
    }
}

/// The `oom_kill` counter of a process's control group. The kernel raises it before it sends the
/// SIGKILL, so that a death by it is never seen before its count.
#[derive(Debug)]
pub(in crate::observe) struct OomCounter(GroupFile);

impl OomCounter {
    /// Opens the counter; absent where it may not be read.
    pub(in crate::observe) fn open(proc_root: &Path, pid: i32) -> Option<Self> {
        let text = Membership::text(proc_root, pid)?;
        Self::of(&Membership::parse(proc_root, pid, &text)?)
    }

    fn of(membership: &Membership) -> Option<Self> {
        let (version, directories) = membership.directories("memory");
        let name = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        GroupFile::open(&directories, name).map(Self)
    }

    /// Returns the number of kills so far in this group.
    pub(in crate::observe) fn read(&self) -> Option<u64> {
        self.0.read(|text| files::keyed(text, "oom_kill"))
    }
}

/// The files of one group that are read each round.
#[derive(Debug, Default)]
pub(super) struct Files {
    limit: Option<GroupFile>,
    usage: Option<GroupFile>,
    oom: Option<OomCounter>,
    cpu: Option<GroupFile>,
    cpu_used: Option<GroupFile>,
    io: Option<GroupFile>,
    freezer: Option<GroupFile>,
    events: Option<GroupFile>,
    pressure_cpu: Option<GroupFile>,
    pressure_memory: Option<GroupFile>,
    pressure_io: Option<GroupFile>,
}

impl Files {
    pub(super) fn open(membership: &Membership) -> Self {
        let (version, memory) = membership.directories("memory");
        let (limit, usage) = match version {
            Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            Version::V2 => ("memory.max", "memory.current"),
        };
        let (_, cpu) = membership.directories("cpu");
        let cpu_used = match membership.unshared("cpuacct") {
            (Version::V1, directories) => GroupFile::open(&directories, "cpuacct.usage"),
            (Version::V2, directories) => GroupFile::open(&directories, "cpu.stat"),
        };
        let io = match membership.unshared("blkio") {
            (Version::V1, directories) => {
                GroupFile::open(&directories, "blkio.throttle.io_service_bytes")
            }
            (Version::V2, directories) => GroupFile::open(&directories, "io.stat"),
        };
        let freezer = match membership.directories("freezer") {
            (Version::V1, directories) => GroupFile::open(&directories, "freezer.state"),
            (Version::V2, _) => None,
        };
        let unified = membership.unified();
        Self {
            limit: GroupFile::open(&memory, limit),
            usage: GroupFile::open(&memory, usage),
            oom: OomCounter::of(membership),
            cpu: GroupFile::open(&cpu, "cpu.stat"),
            cpu_used,
            io,
            freezer,
            events: GroupFile::open(&unified, "cgroup.events"),
            pressure_cpu: GroupFile::open(&unified, "cpu.pressure"),
            pressure_memory: GroupFile::open(&unified, "memory.pressure"),
            pressure_io: GroupFile::open(&unified, "io.pressure"),
        }
    }

    /// Reads all files once; `throttled_ratio` is left to the caller, which knows the reading before.
    pub(super) fn read(&self) -> CgroupReport {
        let (periods, throttled_periods, throttled) = read(&self.cpu, |text| {
            let key = |name| files::keyed(text, name);
            Some((
                key("nr_periods"),
                key("nr_throttled"),
                files::throttled(text),
            ))
        })
        .unwrap_or_default();
        let frozen = [
            read(&self.freezer, files::freezer_state),
            read(&self.events, files::frozen_event),
        ];
        CgroupReport {
            memory_limit_bytes: read(&self.limit, files::limit),
            memory_bytes: read(&self.usage, files::number),
            oom_kills: self.oom.as_ref().and_then(OomCounter::read),
            cpu_used: read(&self.cpu_used, files::cpu_used),
            io_bytes: read(&self.io, files::io_bytes),
            cpu_periods: periods,
            cpu_throttled_periods: throttled_periods,
            cpu_throttled: throttled,
            throttled_ratio: None,
            // Either freezer stops the process, whatever the other says.
            frozen: frozen
                .into_iter()
                .flatten()
                .reduce(|one, other| one || other),
            pressure_cpu: read(&self.pressure_cpu, files::some_avg10),
            pressure_memory: read(&self.pressure_memory, files::some_avg10),
            pressure_io: read(&self.pressure_io, files::some_avg10),
        }
    }
}

fn read<T>(file: &Option<GroupFile>, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    file.as_ref()?.read(parse)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_group_is_found_below_the_root_of_its_mount() {
        assert_eq!(below("/pods/a", "/"), Some("pods/a"));
        assert_eq!(below("/pods/a", "/pods/a"), Some(""));
        assert_eq!(below("/pods/a/init", "/pods/a"), Some("init"));
        assert_eq!(below("/", "/"), Some(""));
        assert_eq!(below("/../b", "/../b"), Some(""), "another namespace");
    }

    #[test]
    fn a_group_outside_the_mount_is_not_found() {
        assert_eq!(below("/pods/ab", "/pods/a"), None);
        assert_eq!(below("/pods/b", "/pods/a"), None);
        assert_eq!(below("/../b", "/"), None, "our own mount shows only ours");
    }
}
