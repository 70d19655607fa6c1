//! Which mount holds the data directory, in the supervisor's mount namespace and in the engine's.
//!
//! The mount that holds a directory is the one with the longest mount point above it; of several at one point
//! the last, which covers the others. Where that is the root, the directory has no mount of its own: it lies
//! in the container's layer, and goes with the container. A mount further up than the directory (a volume at
//! `/var/opt`, say) counts as its own: what is written there stays. A mount hidden under one that was made
//! later further up is not recognized as hidden.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, MountInfos, Process};

use crate::decide::observation::{EngineMount, Mount};
use crate::decide::volumes::MountedAt;

/// Returns the mount that the supervisor sees at `data_dir`, symbolic links followed. With `apart` the
/// directory has to be the mount point itself: without its mount it belongs to the volume above.
pub(super) fn own_mount(proc_root: &Path, data_dir: &Path, apart: bool) -> Option<Mount> {
    let mounts = MountTable::of_self(proc_root);
    let data_dir = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let at = mounts.holding(&data_dir);
    at.filter(|at| !apart || at.point == data_dir)
        .map(|at| at.mount)
}

/// Returns the mount that the process `pid` sees at `data_dir`, a path within its own root (symbolic links in
/// it can't be followed from outside). None where its mountinfo can't be read.
pub(super) fn engine_mount(
    proc_root: &Path,
    pid: i32,
    data_dir: &Path,
    apart: bool,
) -> Option<EngineMount> {
    let mounts = MountTable::of(&proc_root.join(pid.to_string()))?;
    let at = mounts.holding(data_dir);
    let at = at.filter(|at| !apart || at.point == data_dir);
    Some(at.map_or(EngineMount::NotMounted, |at| EngineMount::Mounted(at.mount)))
}

/// The mounts of one namespace.
pub(in crate::observe) struct MountTable(MountInfos);

impl MountTable {
    /// Returns the mounts of the process with this directory in `/proc`; none where they can't be read, or
    /// the process has ended.
    pub(in crate::observe) fn of(process: &Path) -> Option<Self> {
        let mounts = Process::new_with_root(process.to_owned()).ok()?.mountinfo();
        mounts.ok().filter(|mounts| !mounts.0.is_empty()).map(Self)
    }

    /// Returns the supervisor's own mounts; empty where they can't be read.
    pub(super) fn of_self(proc_root: &Path) -> Self {
        Self::of(&proc_root.join("self")).unwrap_or_else(|| Self(MountInfos(Vec::new())))
    }

    /// Returns the mount that holds `directory`, which may be the root, and its mount point.
    pub(in crate::observe) fn covering(&self, directory: &Path) -> Option<(PathBuf, &MountInfo)> {
        self.0
            .iter()
            .map(|mount| (point(mount), mount))
            .filter(|(point, _)| directory.starts_with(point))
            // The last of equals, as max_by_key promises.
            .max_by_key(|(point, _)| point.components().count())
    }

    /// Returns the mount that holds `directory`, unless it is the root.
    pub(super) fn holding(&self, directory: &Path) -> Option<MountedAt> {
        let covering = self.covering(directory);
        let (point, mount) = covering.filter(|(point, _)| point != Path::new("/"))?;
        let mount = Mount {
            device: mount.majmin.clone(),
            root: unescape(&mount.root),
            fs_type: mount.fs_type.clone(),
            read_only: mount.mount_options.contains_key("ro")
                || mount.super_options.contains_key("ro")
                // An ext4 that met an error, since Linux 6.15; before, it was remounted `ro`.
                || mount.super_options.contains_key("emergency_ro"),
        };
        Some(MountedAt { point, mount })
    }

    /// Returns the mount points below `data_dir` that may be volumes of the engine. Files that are mounted
    /// one by one (mssql.conf, a certificate) are recognized by their extension, because asking for more may
    /// wait for the device; `secrets` is given to the engine, and not written by it.
    pub(super) fn directories_below(&self, data_dir: &Path) -> Vec<PathBuf> {
        let secrets = data_dir.join("secrets");
        let mut points: Vec<PathBuf> = self.0.iter().map(point).collect();
        points.retain(|point| {
            point.starts_with(data_dir)
                && point != data_dir
                && point.extension().is_none()
                && !point.starts_with(&secrets)
        });
        points.sort();
        points.dedup();
        points
    }
}

fn point(mount: &MountInfo) -> PathBuf {
    PathBuf::from(unescape(&mount.mount_point.to_string_lossy()))
}

/// Undoes the kernel's escapes: blank, tab, newline and backslash as `\` with three octal digits
/// (fs/proc_namespace.c, `mangle`). `procfs` leaves them in.
pub(in crate::observe) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escaped = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(u8::is_ascii);
        plain.push(escaped.map_or('\\', char::from));
        rest = &rest[at + if escaped.is_some() { 4 } else { 1 }..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use procfs::FromRead;

    use super::*;

    const MOUNTINFO: &str = "\
22 1 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 8:1 /pods/a/volumes/data /var/opt/mssql rw,relatime shared:5 - ext4 /dev/sda1 rw
24 22 8:2 / /var/opt/mssql-other rw - xfs /dev/sda2 rw
25 22 8:3 / /srv/with\\040blank rw - ext4 /dev/sda3 ro,errors=remount-ro
28 22 8:6 / /srv/failed rw - ext4 /dev/sda6 rw,errors=remount-ro,emergency_ro
26 22 8:4 / /srv/twice rw - ext4 /dev/sda4 rw
27 26 0:77 / /srv/twice ro - tmpfs tmpfs rw
";

    fn mount_of(directory: &str) -> Option<Mount> {
        let mounts = MountTable(MountInfos::from_read(MOUNTINFO.as_bytes()).unwrap());
        mounts.holding(Path::new(directory)).map(|at| at.mount)
    }

    #[test]
    fn the_longest_mount_point_above_holds_the_directory() {
        let mount = mount_of("/var/opt/mssql").unwrap();
        assert_eq!(mount.device, "8:1");
        assert_eq!(mount.root, "/pods/a/volumes/data");
        assert_eq!(mount.fs_type, "ext4");
        assert!(!mount.read_only);
        assert_eq!(mount_of("/var/opt/mssql/data").unwrap().device, "8:1");
        assert_eq!(mount_of("/var/opt/mssql-other").unwrap().device, "8:2");
    }

    #[test]
    fn the_root_is_no_mount_of_its_own() {
        assert_eq!(mount_of("/var/opt"), None);
        assert_eq!(mount_of("/var/opt/mssqlx"), None);
    }

    #[test]
    fn read_only_by_mount_or_by_super_block() {
        assert!(mount_of("/srv/with blank/data").unwrap().read_only);
        assert!(mount_of("/srv/twice").unwrap().read_only);
        assert!(mount_of("/srv/failed").unwrap().read_only);
    }

    #[test]
    fn of_two_at_one_point_the_later_covers_the_other() {
        assert_eq!(mount_of("/srv/twice").unwrap().device, "0:77");
    }

    #[test]
    fn mount_points_below_are_directories_that_the_engine_may_write() {
        let more = "\
30 23 8:7 / /var/opt/mssql/data rw - ext4 /dev/sda7 rw
31 23 8:8 /mssql.conf /var/opt/mssql/mssql.conf ro - ext4 /dev/sda8 rw
32 23 0:9 / /var/opt/mssql/secrets ro - tmpfs tmpfs ro
33 23 0:10 / /var/opt/mssql/tempdb rw - xfs /dev/sda9 rw
";
        let text = format!("{MOUNTINFO}{more}");
        let mounts = MountTable(MountInfos::from_read(text.as_bytes()).unwrap());
        let below = mounts.directories_below(Path::new("/var/opt/mssql"));
        let expected = ["/var/opt/mssql/data", "/var/opt/mssql/tempdb"];
        assert_eq!(below, expected.map(PathBuf::from));
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape("/a\\040b\\011c\\134d"), "/a b\tc\\d");
        assert_eq!(unescape("\\"), "\\");
        assert_eq!(unescape("\\0"), "\\0");
        assert_eq!(unescape("\\04x\\é"), "\\04x\\é");
    }

    #[test]
    fn a_process_that_is_gone_says_nothing() {
        let nobody = i32::MAX;
        assert_eq!(
            engine_mount(Path::new("/proc"), nobody, Path::new("/"), false),
            None
        );
    }
}
