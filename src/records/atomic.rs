//! Small files that are there whole or not at all.
//!
//! A file is written under another name, synced, renamed, and the directory is synced (rename(2),
//! fsync(2)). A crash at any point leaves the file before or the new one; what is left of the other
//! name is removed by the next write.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, fsync, linkat, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use super::beneath::{self, Root};
use super::{FOLDER, reserve};

/// The suffix of a file's name until the file is synced.
const NEW: &str = ".new";
/// The suffix of the name of a file that was refused; the time follows.
const REFUSED: &str = ".refused-";
/// The number of refused files that are kept of each name.
const MAX_REFUSED: usize = 3;
/// The number of names of a folder that are looked at.
const MAX_NAMES: usize = 10_000;

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// The reason why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system refuses to open or read the file.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    /// The name is that of a directory, a link or a pipe.
    #[error("it is no regular file")]
    NotAFile,
    /// The file is longer than its reader takes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

/// A step of a write, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Removes what an earlier write left.
    Clear,
    /// Writes the contents, under the other name, and syncs them.
    Write,
    Rename,
    SyncDirectory,
}

impl Step {
    const ALL: [Self; 4] = [Self::Clear, Self::Write, Self::Rename, Self::SyncDirectory];
}

impl Folder {
    /// Opens the directory at `path`; links are followed.
    ///
    /// # Errors
    /// There is no such directory, or it can't be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Opens the supervisor's folder on the volume at `data_dir`; returns none where it was never made.
    ///
    /// # Errors
    /// The folder can't be opened, or the data directory is not there.
    pub fn on_volume(data_dir: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match beneath::open(Root::open(data_dir)?, FOLDER, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                fd,
                path: data_dir.join(FOLDER),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens the supervisor's folder on the volume at `data_dir`, made where it is missing. The data
    /// directory itself is never made.
    ///
    /// # Errors
    /// The folder can't be opened or made.
    pub fn make_on_volume(data_dir: &Path) -> io::Result<Self> {
        if let Some(folder) = Self::on_volume(data_dir)? {
            return Ok(folder);
        }
        match mkdirat(Root::open(data_dir)?, FOLDER, Mode::RWXU | Mode::RWXG) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Self::on_volume(data_dir)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Reads a file of at most `max` bytes; returns none where there is none. No link is followed, and no
    /// pipe is waited for.
    ///
    /// # Errors
    /// The file is there and can't be read, is no regular file, or is longer than `max`.
    pub fn read(&self, name: &str, max: usize) -> Result<Option<Vec<u8>>, Unreadable> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match beneath::open(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Unreadable::NotAFile),
            Err(errno) => return Err(Unreadable::Io(errno.into())),
        };
        if !file.metadata()?.is_file() {
            return Err(Unreadable::NotAFile);
        }
        let mut bytes = Vec::new();
        file.take(max as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.len() > max {
            true => Err(Unreadable::TooLong(max)),
            false => Ok(Some(bytes)),
        }
    }

    /// Puts a file with these contents in the place of the file of that name.
    ///
    /// # Errors
    /// A step failed: the file before is there, or the new one.
    pub fn replace(&self, name: &str, contents: &[u8], mode: Mode) -> io::Result<()> {
        let all = |folder: &Self| folder.first_steps(Step::ALL.len(), name, contents, mode);
        all(self)
            .or_else(|error| {
                let errno = Errno::from_io_error(&error);
                match errno.is_some_and(reserve::is_wanted) && reserve::spend(self) {
                    true => all(self),
                    false => Err(error),
                }
            })
            .inspect_err(|_| {
                // Room that others need; if this fails too, the next write removes it.
                let _ = unlinkat(&self.fd, format!("{name}{NEW}"), AtFlags::empty());
            })
    }

    fn first_steps(&self, count: usize, name: &str, contents: &[u8], mode: Mode) -> io::Result<()> {
        let new = format!("{name}{NEW}");
        for step in Step::ALL.into_iter().take(count) {
            match step {
                Step::Clear => match unlinkat(&self.fd, &new, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno.into()),
                },
                Step::Write => {
                    let flags = OFlags::WRONLY
                        | OFlags::CREATE
                        | OFlags::EXCL
                        | OFlags::NOFOLLOW
                        | OFlags::CLOEXEC;
                    let mut file = std::fs::File::from(openat(&self.fd, &new, flags, mode)?);
                    file.write_all(contents)?;
                    file.sync_all()?;
                }
                Step::Rename => renameat(&self.fd, &new, &self.fd, name)?,
                Step::SyncDirectory => self.sync()?,
            }
        }
        Ok(())
    }

    /// Gives a file another name, so that nothing is written over it, and removes the oldest of the files
    /// that were renamed so. Returns the new name.
    ///
    /// # Errors
    /// The file can't be renamed.
    pub fn keep_aside(&self, name: &str) -> io::Result<String> {
        self.set_aside(name, |aside| Ok(renameat(&self.fd, name, &self.fd, aside)?))
    }

    /// Keeps a file under another name as well, so that the next write does not lose it, and removes the
    /// oldest of the files that were kept so. The file itself stays where it is until that write. Returns the
    /// other name. What is no regular file is renamed, as by [`Self::keep_aside`].
    ///
    /// # Errors
    /// The file can neither be linked nor copied, nor be renamed.
    pub fn keep_copy(&self, name: &str, max: usize, mode: Mode) -> io::Result<String> {
        let known = self.read(name, max).ok().flatten();
        if let Some(last) = self.kept_aside(name)?.last()
            && known.is_some()
            && self.read(&aside(name, *last), max).ok().flatten() == known
        {
            // By a try before, whose write failed.
            return Ok(aside(name, *last));
        }
        self.set_aside(name, |aside| {
            let linked = linkat(&self.fd, name, &self.fd, aside, AtFlags::empty());
            match linked {
                Ok(()) => Ok(()),
                Err(Errno::NOENT) => Err(Errno::NOENT.into()),
                // A file system without hard links, or a directory.
                Err(_) => match &known {
                    Some(bytes) => self.replace(aside, bytes, mode),
                    None => Ok(renameat(&self.fd, name, &self.fd, aside)?),
                },
            }
        })
    }

    fn set_aside(
        &self,
        name: &str,
        keep: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<String> {
        let kept = self.kept_aside(name)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        // Two in one second, or a clock that was set back: the later one has the larger number anyway.
        let later = kept
            .last()
            .map_or(now, |last| now.max(last.saturating_add(1)));
        let latest = aside(name, later);
        keep(&latest)?;
        self.sync()?;
        let surplus = (kept.len() + 1).saturating_sub(MAX_REFUSED);
        for seconds in kept.iter().take(surplus) {
            // One that stays costs room only.
            let _ = unlinkat(&self.fd, aside(name, *seconds), AtFlags::empty());
        }
        Ok(latest)
    }

    /// Returns the times in the names under which files of this name are kept aside, the latest last.
    fn kept_aside(&self, name: &str) -> io::Result<Vec<u64>> {
        let prefix = aside(name, "");
        let seconds = |name: String| name.strip_prefix(&prefix)?.parse::<u64>().ok();
        let mut kept: Vec<u64> = self.names()?.into_iter().filter_map(seconds).collect();
        kept.sort_unstable();
        Ok(kept)
    }

    /// Returns the names in the folder, without `.`, `..` and those that are not UTF-8.
    ///
    /// # Errors
    /// The folder can't be read, or holds more than anybody should have put there.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_NAMES {
                let path = self.path.display();
                let error =
                    format!("{path} holds more than {MAX_NAMES} files: remove those of others");
                return Err(io::Error::other(error));
            }
            names.push(name.to_owned());
        }
        Ok(names)
    }

    /// Syncs the directory itself.
    ///
    /// # Errors
    /// The error of the device.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.fd)?)
    }
}

/// Returns the name under which a file of this name is kept aside since `time`.
fn aside(name: &str, time: impl Display) -> String {
    format!("{name}{REFUSED}{time}")
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory of a test's own, removed at its end.
    pub(crate) struct Scratch(pub PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            Self::below(&std::env::temp_dir())
        }

        /// Makes a directory on a file system that is the same everywhere.
        pub(crate) fn in_memory() -> Self {
            Self::below(Path::new("/dev/shm"))
        }

        fn below(directory: &Path) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("ses-records-{}-{count}", std::process::id());
            let path = directory.join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Folder {
        /// Returns the path of the folder.
        pub(crate) fn path(&self) -> &Path {
            &self.path
        }
    }

    const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

    #[test]
    fn a_crash_after_any_step_leaves_the_file_before_or_the_new_one() {
        for there_before in [false, true] {
            for steps in 0..=Step::ALL.len() {
                let scratch = Scratch::new();
                let folder = Folder::open(&scratch.0).unwrap();
                if there_before {
                    folder.replace("a", b"before", MODE).unwrap();
                }
                folder.first_steps(steps, "a", b"new", MODE).unwrap();
                let renamed = steps > 2;
                let found = folder.read("a", 100).unwrap();
                let expected = match (renamed, there_before) {
                    (true, _) => Some(b"new".to_vec()),
                    (false, true) => Some(b"before".to_vec()),
                    (false, false) => None,
                };
                assert_eq!(found, expected, "{steps}");
                // The next one is not in the way of what this one left.
                folder.replace("a", b"next", MODE).unwrap();
                assert_eq!(folder.names().unwrap(), ["a"], "{steps}");
            }
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_before_and_no_rest() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0).unwrap();
        folder.replace("a", b"before", MODE).unwrap();
        // A directory in the way of the rename.
        fs::create_dir(scratch.0.join("b")).unwrap();
        folder.replace("b", b"new", MODE).unwrap_err();
        assert_eq!(folder.read("a", 100).unwrap().unwrap(), b"before");
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0).unwrap();
        assert!(folder.read("a", 4).unwrap().is_none());
        fs::write(scratch.0.join("a"), "12345").unwrap();
        assert!(folder.read("a", 5).unwrap().is_some());
        assert!(matches!(folder.read("a", 4), Err(Unreadable::TooLong(4))));
        std::os::unix::fs::symlink("a", scratch.0.join("link")).unwrap();
        fs::create_dir(scratch.0.join("directory")).unwrap();
        for name in ["link", "directory"] {
            assert!(matches!(folder.read(name, 9), Err(Unreadable::NotAFile)));
        }
        let fifo = scratch.0.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, MODE, 0).unwrap();
        assert!(matches!(folder.read("fifo", 9), Err(Unreadable::NotAFile)));
    }

    #[test]
    fn what_is_kept_aside_is_kept_three_times() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0).unwrap();
        for round in 0..5 {
            fs::write(scratch.0.join("a"), format!("{round}")).unwrap();
            let aside = folder.keep_aside("a").unwrap();
            let kept = fs::read_to_string(scratch.0.join(aside)).unwrap();
            assert_eq!(kept, format!("{round}"));
        }
        assert_eq!(folder.names().unwrap().len(), MAX_REFUSED);
        folder.keep_aside("a").unwrap_err();
    }

    #[test]
    fn a_copy_is_kept_and_the_file_stays() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0).unwrap();
        for round in 0..5 {
            let text = format!("{round}");
            folder.replace("a", text.as_bytes(), MODE).unwrap();
            let aside = folder.keep_copy("a", 9, MODE).unwrap();
            // Once more, where what was to follow has failed.
            assert_eq!(folder.keep_copy("a", 9, MODE).unwrap(), aside);
            folder.replace("a", b"new", MODE).unwrap();
            assert_eq!(fs::read_to_string(scratch.0.join(aside)).unwrap(), text);
            assert_eq!(folder.read("a", 9).unwrap().unwrap(), b"new");
        }
        assert_eq!(folder.names().unwrap().len(), 1 + MAX_REFUSED);
        // What can't be linked makes room.
        fs::create_dir(scratch.0.join("b")).unwrap();
        let aside = folder.keep_copy("b", 9, MODE).unwrap();
        assert!(scratch.0.join(aside).is_dir() && !scratch.0.join("b").exists());
        folder.keep_copy("b", 9, MODE).unwrap_err();
    }

    #[test]
    fn the_folder_is_made_and_the_data_directory_is_not() {
        let scratch = Scratch::new();
        assert!(Folder::on_volume(&scratch.0).unwrap().is_none());
        Folder::make_on_volume(&scratch.0).unwrap();
        assert!(Folder::on_volume(&scratch.0).unwrap().is_some());
        let absent = scratch.0.join("absent");
        Folder::make_on_volume(&absent).unwrap_err();
        assert!(!absent.exists());
    }
}
