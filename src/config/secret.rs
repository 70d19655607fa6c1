//! The password of the supervisor's login, which is read anew at each login and shown nowhere.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The limit of a password file, in bytes; a longer one is refused. SQL Server's passwords have at most 128
/// characters.
const MAX_PASSWORD_BYTES: u64 = 1024;

/// The source that a password is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file; one trailing line break is not part of the password, unless a login works with it alone.
    File(PathBuf),
    /// An environment variable, taken byte for byte.
    Env(String),
    /// No source, as none was configured.
    Missing,
}

/// A password. Its `Debug` shows nothing of it, not even the length.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Returns the text of the password, for the login packet and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The reason for which there is no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The file can't be read.
    #[error("the password file {path} can't be read: {error}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The system's error message.
        error: String,
    },
    /// The file or variable is empty, too long or not UTF-8.
    #[error("the password in {place} is not usable: {why}")]
    Unusable {
        /// The file or the variable.
        place: String,
        /// The reason for which the password is not usable.
        why: &'static str,
    },
    /// No file and no variable is configured, or the variable is not set.
    #[error("no password is configured: set --sql-password-file or MSSQL_SA_PASSWORD")]
    Missing,
}

impl PasswordSource {
    /// Reads the password now, so that a rotated secret is picked up.
    ///
    /// # Errors
    /// When the source can't be read or holds no usable password.
    pub fn read(&self) -> Result<Password, PasswordError> {
        self.read_both().map(|(password, _)| password)
    }

    /// Reads the password as [`Self::read`] does, and beside it the password with the line break that the
    /// file ends with, where it ends with one. A Secret that was made by `echo | base64` has one that nobody
    /// meant, and the Secret from which the engine got its own password may have had the same.
    ///
    /// # Errors
    /// When the source can't be read or holds no usable password.
    pub fn read_both(&self) -> Result<(Password, Option<Password>), PasswordError> {
        match self {
            Self::File(path) => {
                let fail = |error: io::Error| PasswordError::File {
                    path: path.clone(),
                    error: error.to_string(),
                };
                let mut text = Vec::new();
                open_regular(path)
                    .map_err(fail)?
                    .take(MAX_PASSWORD_BYTES + 1)
                    .read_to_end(&mut text)
                    .map_err(fail)?;
                usable(text, &path.display().to_string())
            }
            Self::Env(name) => match std::env::var_os(name) {
                Some(value) => {
                    let whole = whole(value.into_encoded_bytes(), name)?;
                    Ok((Password(whole), None))
                }
                None => Err(PasswordError::Missing),
            },
            Self::Missing => Err(PasswordError::Missing),
        }
    }
}

/// Opens a regular file for reading, without a wait: a FIFO that nobody writes is refused. Links are
/// followed: a Secret's files are links.
///
/// # Errors
/// The file can't be opened, or is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Returns the password of a file without its trailing line break, and with it where there is one.
fn usable(bytes: Vec<u8>, place: &str) -> Result<(Password, Option<Password>), PasswordError> {
    let whole = whole(bytes, place)?;
    let Some(line) = whole.strip_suffix('\n') else {
        return Ok((Password(whole), None));
    };
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(unusable(place, "it is empty"));
    }
    Ok((Password(line.to_owned()), Some(Password(whole))))
}

fn unusable(place: &str, why: &'static str) -> PasswordError {
    PasswordError::Unusable {
        place: place.to_owned(),
        why,
    }
}

/// Returns the whole text, if it can be a password.
fn whole(bytes: Vec<u8>, place: &str) -> Result<String, PasswordError> {
    if bytes.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(unusable(place, "it is longer than 1024 bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unusable(place, "it is not UTF-8"))?;
    match text.is_empty() {
        true => Err(unusable(place, "it is empty")),
        false => Ok(text),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a password for a test.
    pub(crate) fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[test]
    fn one_trailing_line_break_is_left_out() {
        let read = |text: &str| {
            let (password, whole) = usable(text.into(), "test").unwrap();
            let whole = whole.map(|password| password.expose().to_owned());
            (password.expose().to_owned(), whole)
        };
        let both = |one: &str, two: Option<&str>| (one.to_owned(), two.map(str::to_owned));
        assert_eq!(read("secret"), both("secret", None));
        assert_eq!(read("secret\n"), both("secret", Some("secret\n")));
        assert_eq!(read("secret\r\n"), both("secret", Some("secret\r\n")));
        assert_eq!(read("secret\n\n"), both("secret\n", Some("secret\n\n")));
    }

    #[test]
    fn a_secret_is_read_through_its_links_and_a_pipe_is_not_waited_for() {
        let name = format!("ses-secret-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("data"), "secret").unwrap();
        std::os::unix::fs::symlink("data", directory.join("link")).unwrap();
        let fifo = directory.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let read = |name: &str| PasswordSource::File(directory.join(name)).read();
        let (link, fifo, folder) = (read("link"), read("fifo"), read("."));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(link, Ok(password("secret")));
        for refused in [fifo, folder] {
            let error = refused.unwrap_err().to_string();
            assert!(error.ends_with("it is no regular file"), "{error}");
        }
    }

    #[test]
    fn a_variable_is_taken_byte_for_byte() {
        assert_eq!(whole(b"secret\n".to_vec(), "test").unwrap(), "secret\n");
    }

    #[test]
    fn what_is_not_usable_is_named_without_showing_it() {
        for (bytes, why) in [
            (b"\n".to_vec(), "it is empty"),
            (vec![0xff, 0xfe], "it is not UTF-8"),
            (vec![b'x'; 1025], "it is longer than 1024 bytes"),
        ] {
            let error = usable(bytes, "place").expect_err("must be refused");
            assert_eq!(
                error.to_string(),
                format!("the password in place is not usable: {why}")
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let password = Password("very secret".to_owned());
        assert_eq!(format!("{password:?}"), "Password(***)");
    }
}
