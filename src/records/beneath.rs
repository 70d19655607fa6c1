//! Opens files below a directory without following links, openat2(2).
//!
//! Whoever can write the volume could otherwise put a link in the place of a file and have the supervisor
//! show, or write, a file of its own container: its password, its service account's token. The directory
//! itself is named by the operator, and may be a link; nothing below it may.
//!
//! The kernel resolves the whole path at once, with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`, since
//! Linux 5.6. Where it has no such call (ENOSYS), or a seccomp profile that is older than the call answers
//! for it (EPERM), the path is opened one component after the other, each with `O_NOFOLLOW`: as safe, with
//! more calls.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat,
};
use rustix::io::Errno;

/// The number of components of a path at most; the deepest path here has four.
const MAX_COMPONENTS: usize = 16;

/// The error of a path with a link in it.
const IS_LINK: &str =
    "it, or a directory on the way to it, is a symbolic link, which is not followed on the volume";

/// A directory below which files are opened.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the directory at `path`; links are followed up to it.
    ///
    /// # Errors
    /// There is no such directory, or it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens the regular file at `path` below the directory for reading; returns none where there is none. A
    /// FIFO or a device is not waited for.
    ///
    /// # Errors
    /// The file can't be opened, a link leads to it, or it is no regular file.
    pub fn file(&self, path: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Some(file) = absent_as_none(open(self, path, flags, Mode::empty()))? else {
            return Ok(None);
        };
        let file = File::from(file);
        match file.metadata()?.is_file() {
            true => Ok(Some(file)),
            false => Err(io::Error::other("it is no regular file")),
        }
    }

    /// Opens the directory at `path` below this one; returns none where there is none.
    ///
    /// # Errors
    /// The directory can't be opened, a link leads to it, or it is no directory.
    pub fn directory(&self, path: &str) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(absent_as_none(open(self, path, flags, Mode::empty()))?.map(Self))
    }

    /// Whether a regular file is at `path`; none where that can't be determined, because of a link for
    /// instance.
    #[must_use]
    pub fn has_file(&self, path: &str) -> Option<bool> {
        match open(self, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(found) => Some(kind(&found).ok()? == FileType::RegularFile),
            Err(Errno::NOENT) => Some(false),
            Err(_) => None,
        }
    }
}

/// A file below a directory of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The directory; links are followed up to it.
    pub root: PathBuf,
    /// The file's path below the directory, without any links.
    pub path: String,
}

impl Below {
    /// Returns `file` on the volume whose directory is `volume`; where it is not below that, in its own
    /// directory.
    #[must_use]
    pub fn on(volume: &Path, file: &Path) -> Self {
        let (root, path) = match (file.strip_prefix(volume), file.parent()) {
            (Ok(path), _) => (volume, path),
            (Err(_), Some(parent)) => (parent, file.strip_prefix(parent).unwrap_or(file)),
            (Err(_), None) => (volume, file),
        };
        Self {
            root: root.to_owned(),
            path: path.to_string_lossy().into_owned(),
        }
    }

    /// Opens the file for reading; returns none where there is none, or it can't be opened.
    #[must_use]
    pub fn file(&self) -> Option<File> {
        Root::open(&self.root).ok()?.file(&self.path).ok()?
    }

    /// Whether the file is there; none where that can't be determined.
    #[must_use]
    pub fn is_there(&self) -> Option<bool> {
        has_file(&self.root, &self.path)
    }
}

/// Whether a regular file is at `path` below the directory `root`; none where that can't be determined.
#[must_use]
pub fn has_file(root: &Path, path: &str) -> Option<bool> {
    match Root::open(root) {
        Ok(root) => root.has_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Opens `path`, which is relative, below `directory`.
///
/// # Errors
/// `LOOP` where it, or a directory on the way to it, is a link; `XDEV` where it leads out of the
/// directory; else as openat(2).
pub fn open(directory: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let directory = directory.as_fd();
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(directory, path, flags, mode, resolve) {
        // EPERM may be the file's own answer: then the other call gives it as well.
        Err(Errno::NOSYS | Errno::PERM) => component_by_component(directory, path, flags, mode),
        opened => opened,
    }
}

/// Opens `path` as [`open`] does, where the kernel has no openat2(2).
fn component_by_component(
    directory: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    if path.starts_with('/') || path.split('/').any(|component| component == "..") {
        return Err(Errno::XDEV);
    }
    let mut components: Vec<&str> = path
        .split('/')
        .filter(|component| !matches!(*component, "" | "."))
        .collect();
    if components.len() > MAX_COMPONENTS {
        return Err(Errno::NAMETOOLONG);
    }
    let last = components.pop().unwrap_or(".");
    let mut held: Option<OwnedFd> = None;
    for component in components {
        let at = held.as_ref().map_or(directory, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(at, component, flags, Mode::empty())
            .map_err(|errno| link_as_loop(at, component, errno))?;
        held = Some(next);
    }
    let at = held.as_ref().map_or(directory, AsFd::as_fd);
    let opened = openat(at, last, flags | OFlags::NOFOLLOW, mode)
        .map_err(|errno| link_as_loop(at, last, errno))?;
    // With O_PATH the link itself is what is opened.
    if flags.contains(OFlags::PATH) && kind(&opened)? == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    Ok(opened)
}

/// Returns `LOOP` for a link where a directory is asked for: the kernel answers that it is no directory.
fn link_as_loop(at: BorrowedFd<'_>, component: &str, errno: Errno) -> Errno {
    let is_link = errno == Errno::NOTDIR
        && statat(at, component, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
    if is_link { Errno::LOOP } else { errno }
}

fn kind(file: &OwnedFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode))
}

/// Returns none for an absent file, and an error of its own for a link.
fn absent_as_none(opened: Result<OwnedFd, Errno>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(io::Error::other(IS_LINK)),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::super::atomic::tests::Scratch;
    use super::*;

    type Opener = fn(BorrowedFd<'_>, &str, OFlags, Mode) -> Result<OwnedFd, Errno>;

    /// The two ways to open a file, which must agree on everything.
    const OPENERS: [(&str, Opener); 2] = [
        ("openat2", |directory, path, flags, mode| {
            open(directory, path, flags, mode)
        }),
        ("openat", component_by_component),
    ];

    /// A volume beside a secret, with every kind of link to it.
    fn volume() -> (Scratch, Root) {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.0.join(name);
        fs::create_dir_all(at("volume/log/deeper")).unwrap();
        fs::write(at("secret"), "secret").unwrap();
        fs::write(at("volume/log/errorlog"), "text").unwrap();
        symlink(at("secret"), at("volume/absolute")).unwrap();
        symlink("../secret", at("volume/outside")).unwrap();
        symlink("log/errorlog", at("volume/inside")).unwrap();
        symlink("log", at("volume/directory")).unwrap();
        symlink("/proc/self/root", at("volume/root")).unwrap();
        symlink("nowhere", at("volume/dangling")).unwrap();
        let root = Root::open(&at("volume")).unwrap();
        (scratch, root)
    }

    #[test]
    fn no_link_is_followed_and_nothing_outside_is_reached() {
        let (scratch, root) = volume();
        let absolute = scratch.0.join("secret").display().to_string();
        for (name, opener) in OPENERS {
            for flags in [OFlags::RDONLY, OFlags::PATH, OFlags::RDWR | OFlags::CREATE] {
                let mode = match flags.contains(OFlags::CREATE) {
                    true => Mode::RUSR,
                    false => Mode::empty(),
                };
                let fails = |path: &str| opener(root.as_fd(), path, flags, mode).unwrap_err();
                for link in ["absolute", "outside", "inside", "dangling"] {
                    assert_eq!(fails(link), Errno::LOOP, "{name} {link} {flags:?}");
                }
                for through in ["directory/errorlog", "root/etc/hostname"] {
                    assert_eq!(fails(through), Errno::LOOP, "{name} {through} {flags:?}");
                }
                for out in ["../secret", "log/../../secret", absolute.as_str()] {
                    assert_eq!(fails(out), Errno::XDEV, "{name} {out} {flags:?}");
                }
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            for link in ["directory", "inside"] {
                let failed = opener(root.as_fd(), link, flags, Mode::empty()).unwrap_err();
                assert_eq!(failed, Errno::LOOP, "{name} {link}");
            }
        }
        assert_eq!(fs::read(scratch.0.join("secret")).unwrap(), b"secret");
    }

    #[test]
    fn what_is_there_is_opened() {
        let (_scratch, root) = volume();
        for (name, opener) in OPENERS {
            for path in ["log/errorlog", "./log//errorlog"] {
                let opened = opener(root.as_fd(), path, OFlags::RDONLY, Mode::empty()).unwrap();
                let mut text = String::new();
                File::from(opened).read_to_string(&mut text).unwrap();
                assert_eq!(text, "text", "{name} {path}");
            }
            let missing = opener(root.as_fd(), "log/none", OFlags::RDONLY, Mode::empty());
            assert_eq!(missing.unwrap_err(), Errno::NOENT, "{name}");
        }
        let log = root.directory("log").unwrap().unwrap();
        assert!(log.file("errorlog").unwrap().is_some());
        assert!(log.file("deeper").is_err());
        assert!(root.file("log/none").unwrap().is_none());
        assert!(root.directory("none").unwrap().is_none());
        assert_eq!(root.has_file("log/errorlog"), Some(true));
        assert_eq!(root.has_file("log"), Some(false));
        assert_eq!(root.has_file("log/none"), Some(false));
        assert_eq!(root.has_file("inside"), None);
        assert!(
            root.file("outside")
                .unwrap_err()
                .to_string()
                .contains("symbolic link")
        );
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let (scratch, root) = volume();
        let fifo = scratch.0.join("volume/fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(root.file("fifo").is_err());
    }
}
