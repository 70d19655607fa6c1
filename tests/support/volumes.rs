//! Real file systems: images on loop devices, and what befalls them. All of this needs root.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kind of file system that is made on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Returns the bytes of a sparse image. mkfs.xfs makes none below 300 MB.
    const fn size(self) -> u64 {
        match self {
            Self::Ext4 => 64 << 20,
            Self::Xfs => 320 << 20,
        }
    }
}

/// A mounted file system of its own on a loop device. When it is dropped, it is thawed, unmounted and
/// gone.
pub struct Image {
    at: PathBuf,
    device: String,
    pub kind: Kind,
}

impl Image {
    /// Makes `kind` in a file below `scratch` and mounts it at `at`.
    pub fn mounted(kind: Kind, scratch: &Path, at: &Path) -> Self {
        Self::made_with(kind, &[], scratch, at)
    }

    /// Makes and mounts `kind` as [`Self::mounted`] does, with more arguments for mkfs.
    pub fn made_with(kind: Kind, arguments: &[&str], scratch: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("the mount point can be made");
        let name = at.display().to_string().replace('/', "-");
        let path = scratch.join(format!("image{name}"));
        let file = File::create(&path).expect("the image can be made");
        file.set_len(kind.size()).expect("it is sparse");
        let mkfs = format!("mkfs.{}", kind.name());
        run(Command::new(mkfs).arg("-q").args(arguments).arg(&path));
        let found = output(
            Command::new("losetup")
                .args(["--find", "--show"])
                .arg(&path),
        );
        let image = Self {
            at: at.to_owned(),
            device: found.trim().to_owned(),
            kind,
        };
        // The loop device has the file, which needs its name no more.
        std::fs::remove_file(path).expect("it is ours");
        image.mount();
        image
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Mounts the file system, also once more.
    pub fn mount(&self) {
        let options = match self.kind {
            // What a node's error handling comes to.
            Kind::Ext4 => "errors=remount-ro",
            // Two images made by one run of a test would share nothing but chance.
            Kind::Xfs => "nouuid",
        };
        let mut command = Command::new("mount");
        command
            .args(["-t", self.kind.name(), "-o", options, &self.device])
            .arg(&self.at);
        run(&mut command);
    }

    /// Unmounts the file system below those who use it; what they have open stays.
    pub fn unmount_lazily(&self) {
        run(Command::new("umount").arg("-l").arg(&self.at));
    }

    /// Makes an ext4 take no more writes, as after an error of the device.
    pub fn abort(&self) {
        run(Command::new("mount")
            .args(["-o", "remount,abort"])
            .arg(&self.at));
    }

    /// Shuts the file system down, as if its device were gone: everything is an input/output error.
    pub fn shut_down(&self) {
        run(Command::new("xfs_io")
            .args(["-x", "-c", "shutdown"])
            .arg(&self.at));
    }

    /// Freezes the file system: each write waits from now on.
    pub fn freeze(&self) {
        run(Command::new("fsfreeze").arg("-f").arg(&self.at));
    }

    pub fn thaw(&self) {
        run(Command::new("fsfreeze").arg("-u").arg(&self.at));
    }

    /// Takes all the room there is, by a file of this name.
    pub fn fill(&self, name: &str) -> PathBuf {
        use std::io::Write as _;
        let path = self.at.join(name);
        let mut file = File::create(&path).expect("there is room for a name");
        let zeros = vec![0_u8; 256 << 10];
        while file.write_all(&zeros).is_ok() {}
        let _ = file.sync_all();
        // The last odd bytes of it.
        while file.write_all(&zeros[..512]).is_ok() {}
        let _ = file.sync_all();
        path
    }

    /// Takes all inodes there are, below a directory of this name, also once more.
    pub fn fill_with_names(&self, name: &str) -> PathBuf {
        let path = self.at.join(name);
        std::fs::create_dir_all(&path).expect("there is room for a name");
        let taken = std::fs::read_dir(&path).expect("readable").count();
        let names = taken..MAX_NAMES;
        let made = names.take_while(|n| File::create(path.join(n.to_string())).is_ok());
        assert!(made.count() < MAX_NAMES, "the image has a limit of inodes");
        path
    }
}

/// More inodes than a test's image has.
const MAX_NAMES: usize = 100_000;

impl Drop for Image {
    fn drop(&mut self) {
        // Each fails where it has nothing to undo.
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.at).output();
        unmount_all(&self.at);
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
    }
}

/// A directory mounted at another place. When it is dropped, it is unmounted.
pub struct Bind(PathBuf);

impl Bind {
    pub fn over(source: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("the mount point can be made");
        run(Command::new("mount").arg("--bind").args([source, at]));
        // What is mounted over it must not appear at its source as well.
        run(Command::new("mount").arg("--make-private").arg(at));
        Self(at.to_owned())
    }

    /// Mounts a directory over itself, read-only. The mount is made so at `aside`, where nobody has a
    /// file open on it: one that is open for writing would keep the mount from it.
    pub fn read_only_over(at: &Path, aside: &Path) -> Self {
        let made = Self::over(at, aside);
        run(Command::new("mount")
            .args(["-o", "remount,bind,ro"])
            .arg(aside));
        let over = Self::over(aside, at);
        drop(made);
        over
    }

    /// Puts another directory in its place, with no moment in which there is none.
    pub fn cover(&self, source: &Path) {
        run(Command::new("mount").arg("--bind").arg(source).arg(&self.0));
    }

    /// Unmounts what was mounted last.
    pub fn uncover(&self) {
        run(Command::new("umount").arg("-l").arg(&self.0));
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        unmount_all(&self.0);
    }
}

/// Unmounts all that is mounted at a place. One mount may cover another; the first failure shows that
/// there is none left.
fn unmount_all(at: &Path) {
    let unmount = || Command::new("umount").arg("-l").arg(at).output();
    while unmount().is_ok_and(|output| output.status.success()) {}
}

/// Runs a tool that the test can't do without.
pub fn run(command: &mut Command) {
    output(command);
}

/// Runs a tool that the test can't do without; returns what it prints.
fn output(command: &mut Command) -> String {
    command.env("PATH", search_path());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is needed"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stderr),
        lacking()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the search path, with the folders of administrators' tools.
fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin")
}

/// Returns what this machine lacks of what file systems need, in words.
fn lacking() -> String {
    let mut lacks = Vec::new();
    if !rustix::process::geteuid().is_root() {
        lacks.push("root is needed to mount".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        lacks.push("the kernel lacks loop devices (CONFIG_BLK_DEV_LOOP)".to_owned());
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    for name in ["ext4", "xfs", "overlay", "tmpfs", "fuse"] {
        if !known.lines().any(|line| line.ends_with(name)) {
            lacks.push(format!("the kernel lacks {name} (/proc/filesystems)"));
        }
    }
    lacks.join("; ")
}
