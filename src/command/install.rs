//! `install`: copies this program to a place where another container finds it.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Exit;

/// The file name of the copy.
const NAME: &str = "sql-edge-supervisor";
/// The file mode of the copy. Everybody may run it, as the SQL container's user may be another one.
const MODE: u32 = 0o755;
/// The path of the running program, whatever has become of its file.
const OWN: &str = "/proc/self/exe";
/// The bytes that are read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies the program and prints the result.
///
/// # Errors
/// When the output can't be written.
pub fn execute(directory: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let target = directory.join(NAME);
    match install(Path::new(OWN), &target) {
        Ok(Done::Installed(bytes)) => writeln!(out, "{}: {bytes} bytes", target.display())?,
        Ok(Done::ThereAlready) => writeln!(out, "{}: there already", target.display())?,
        Err(error) => {
            let _ = writeln!(err, "install: {}: {error}", target.display());
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

#[derive(Debug, PartialEq, Eq)]
enum Done {
    Installed(u64),
    ThereAlready,
}

/// The reason for which the copy was not made.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}; {advice}", advice = advice(.0))]
    Io(#[from] io::Error),
    #[error("what was read back is not what was written: the file system is not to be trusted")]
    Mismatch,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "mount a volume there, such as an emptyDir"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount the volume without readOnly in this container",
        io::ErrorKind::PermissionDenied => "the directory has to be writable for this user",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "raise the volume's sizeLimit to 16Mi or more"
        }
        _ => "nothing was changed",
    }
}

/// The length and a 64-bit hash of a file's content, which distinguish it from any other that chance made of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    bytes: u64,
    hash: u64,
}

/// Puts a copy of `source` in the place of `target`, which is the old file or the whole new one at every
/// moment: a file under another name, fsync(2), rename(2), fsync of the directory.
fn install(source: &Path, target: &Path) -> Result<Done, Failure> {
    let wanted = copy(source, &mut io::sink())?;
    if there(target, wanted) {
        return Ok(Done::ThereAlready);
    }
    let directory = target.parent().unwrap_or(Path::new("."));
    let new = New(directory.join(format!(".{NAME}.{}", std::process::id())));
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(&new.0)?;
    copy(source, &mut file)?;
    // Whatever the umask is.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.sync_all()?;
    if copy(&new.0, &mut io::sink())? != wanted {
        return Err(Failure::Mismatch);
    }
    fs::rename(&new.0, target)?;
    File::open(directory)?.sync_all()?;
    Ok(Done::Installed(wanted.bytes))
}

/// A new file that is removed again unless it was renamed.
struct New(PathBuf);

impl Drop for New {
    fn drop(&mut self) {
        // It is gone where all went well.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether `target` is this very program already, and can be run.
fn there(target: &Path, wanted: Print) -> bool {
    let plain = target.symlink_metadata().is_ok_and(|found| {
        found.is_file()
            && found.permissions().mode() & 0o7777 == MODE
            && found.len() == wanted.bytes
    });
    plain && copy(target, &mut io::sink()).is_ok_and(|found| found == wanted)
}

fn copy(from: &Path, to: &mut dyn Write) -> io::Result<Print> {
    let mut from = BufReader::with_capacity(CHUNK_BYTES, File::open(from)?);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut hasher = std::hash::DefaultHasher::new();
    let mut bytes = 0;
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            let hash = hasher.finish();
            return Ok(Print { bytes, hash });
        }
        to.write_all(&chunk[..count])?;
        hasher.write(&chunk[..count]);
        bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a directory of this test's own, which is removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("ses-install-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_copy_is_whole_runnable_and_made_once() {
        let scratch = Scratch::new("once");
        let source = scratch.0.join("source");
        fs::write(&source, vec![7; 3 * CHUNK_BYTES + 5]).unwrap();
        let target = scratch.0.join(NAME);
        let length = 3 * CHUNK_BYTES as u64 + 5;
        assert_eq!(install(&source, &target).unwrap(), Done::Installed(length));
        assert_eq!(fs::read(&target).unwrap(), fs::read(&source).unwrap());
        let mode = target.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        assert_eq!(install(&source, &target).unwrap(), Done::ThereAlready);
        // Changed, or not to be run: made anew.
        let mut spoilt = fs::read(&target).unwrap();
        spoilt[9] ^= 1;
        fs::write(&target, spoilt).unwrap();
        assert_eq!(install(&source, &target).unwrap(), Done::Installed(length));
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(install(&source, &target).unwrap(), Done::Installed(length));
        let names = fs::read_dir(&scratch.0).unwrap().count();
        assert_eq!(names, 2, "nothing else is left");
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_not_followed() {
        let scratch = Scratch::new("link");
        let (source, precious) = (scratch.0.join("source"), scratch.0.join("precious"));
        fs::write(&source, "program").unwrap();
        fs::write(&precious, "data").unwrap();
        let target = scratch.0.join(NAME);
        std::os::unix::fs::symlink(&precious, &target).unwrap();
        install(&source, &target).unwrap();
        assert!(target.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&precious).unwrap(), b"data");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let scratch = Scratch::new("wrong");
        let mut err = Vec::new();
        let missing = scratch.0.join("missing");
        let exit = execute(&missing, &mut io::sink(), &mut err).unwrap();
        assert_eq!(exit, Exit::Failed);
        let text = String::from_utf8(err).unwrap();
        assert!(text.contains("mount a volume there"), "{text}");
        let file = scratch.0.join("file");
        fs::write(&file, "").unwrap();
        let mut err = Vec::new();
        execute(&file, &mut io::sink(), &mut err).unwrap();
        assert!(
            String::from_utf8(err)
                .unwrap()
                .contains("mount a volume there")
        );
    }
}
