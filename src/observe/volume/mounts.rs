//! Which mount holds the data directory, in the supervisor's mount namespace and in the engine's.
//!
//! The mount that holds a directory is the one with the longest mount point above it; of several at
//! one point the last, which covers the others. Where that is the root, the directory has no mount
//! of its own: it lies in the container's layer, and goes with the container. A mount further up
//! than the directory (a volume at `/var/opt`, say) counts as its own: what is written there stays.
//! A mount hidden under one that was made later further up is not told apart.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, MountInfos, Process};

use crate::decide::observation::{EngineMount, Mount};

/// The mount that the supervisor sees at `data_dir`, symbolic links followed.
pub(super) fn own_mount(proc_root: &Path, data_dir: &Path) -> Option<Mount> {
    let mounts = read(&proc_root.join("self"))?;
    let data_dir = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    holding(&mounts, &data_dir)
}

/// The mount that the process `pid` sees at `data_dir`, a path within its own root (symbolic links
/// in it can't be followed from outside). None where its mountinfo can't be read.
pub(super) fn engine_mount(proc_root: &Path, pid: i32, data_dir: &Path) -> Option<EngineMount> {
    let mounts = read(&proc_root.join(pid.to_string()))?;
    Some(holding(&mounts, data_dir).map_or(EngineMount::NotMounted, EngineMount::Mounted))
}

fn read(process: &Path) -> Option<MountInfos> {
    let mounts = Process::new_with_root(process.to_owned()).ok()?.mountinfo();
    mounts.ok().filter(|mounts| !mounts.0.is_empty())
}

/// The mount that holds `directory`, unless it is the root.
fn holding(mounts: &MountInfos, directory: &Path) -> Option<Mount> {
    let (_, mount) = mounts
        .iter()
        .map(|mount| (point(mount), mount))
        .filter(|(point, _)| directory.starts_with(point))
        // The last of equals, as max_by_key promises.
        .max_by_key(|(point, _)| point.components().count())
        .filter(|(point, _)| point != Path::new("/"))?;
    Some(Mount {
        device: mount.majmin.clone(),
        root: unescape(&mount.root),
        fs_type: mount.fs_type.clone(),
        read_only: mount.mount_options.contains_key("ro")
            || mount.super_options.contains_key("ro")
            // An ext4 that met an error, since Linux 6.15; before, it was remounted `ro`.
            || mount.super_options.contains_key("emergency_ro"),
    })
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
        let mounts = MountInfos::from_read(MOUNTINFO.as_bytes()).unwrap();
        holding(&mounts, Path::new(directory))
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
            engine_mount(Path::new("/proc"), nobody, Path::new("/")),
            None
        );
    }
}
