//! The socket's file: where it is made, who may use it, and what may be in its place.

use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 16;

/// The reason why a socket can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The socket belongs to another supervisor, or is about to.
    #[error(
        "another supervisor answers on the control socket {0}: stop it, or give this one a state-dir of its own"
    )]
    Taken(PathBuf),
    /// A file that is no socket has the path, and is left there.
    #[error(
        "{0} is not a socket and is left as it is: remove it, or give another path as control-socket"
    )]
    NotASocket(PathBuf),
    /// The socket can't be made at the path.
    #[error("{path}: {what}: {error}", path = .path.display())]
    Unavailable {
        /// The path of the socket.
        path: PathBuf,
        /// The step that failed, in words.
        what: &'static str,
        /// The error of that step.
        error: io::Error,
    },
}

/// The file of a socket that this process made. When dropped, the file is removed, unless another file has
/// its path by now.
///
/// It has to be dropped before the listener: the listener keeps the inode in use, so that no other file can
/// have its number.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |file: Metadata| identity(&file) == self.identity;
        if self.path.symlink_metadata().is_ok_and(ours) {
            // What stays behind is replaced by the next supervisor.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A socket that has its file and does not serve yet. When dropped, the file is removed.
#[derive(Debug)]
pub struct BoundSocket {
    // Before the listener, so that it is dropped first: see `SocketFile`.
    file: SocketFile,
    pub(in crate::act) listener: UnixListener,
}

impl BoundSocket {
    /// Returns the path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

/// Makes the socket at `path`, mode 0600; directories that are absent get mode 0700. The socket of a dead
/// supervisor is replaced.
///
/// # Errors
///
/// See [`BindError`]; every error but [`BindError::Unavailable`] is a mistake of the set-up.
pub async fn bind(path: &Path) -> Result<BoundSocket, BindError> {
    let unavailable = |what| {
        move |error| BindError::Unavailable {
            path: path.to_owned(),
            what,
            error,
        }
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(unavailable("its directory can't be made"))?;
    // Two that start at the same moment could each take the other's socket for a dead one's. The
    // lock ends with this function.
    let lock = File::open(directory).map_err(unavailable("its directory can't be read"))?;
    if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive)
        && error == rustix::io::Errno::WOULDBLOCK
    {
        return Err(BindError::Taken(path.to_owned()));
    }
    make_room(path).await?;
    listen(path).map_err(unavailable("it can't be made"))
}

/// Makes sure that nothing is at `path`: only the socket of a dead supervisor is removed.
async fn make_room(path: &Path) -> Result<(), BindError> {
    let unavailable = |what, error| BindError::Unavailable {
        path: path.to_owned(),
        what,
        error,
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable("it can't be looked at", error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        // Nobody listens any more, see connect(2).
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // Somebody does, whose queue is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(BindError::Taken(path.to_owned()));
        }
        Err(error) => return Err(unavailable("who answers there can't be told", error)),
        Ok(_) => return Err(BindError::Taken(path.to_owned())),
    }
    std::fs::remove_file(path)
        .map_err(|error| unavailable("a dead supervisor's socket can't be removed", error))
}

fn listen(path: &Path) -> io::Result<BoundSocket> {
    let socket = UnixSocket::new_stream()?;
    // Linux gives the file the mode of the socket, less the umask: it is never any wider than this,
    // not even between bind and a chmod.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(&path.symlink_metadata()?),
    };
    Ok(BoundSocket {
        file,
        listener: socket.listen(BACKLOG)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of this test's own, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("ses-socket-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn it_is_private_and_goes_with_its_owner() {
        let scratch = Scratch::new("private");
        let path = scratch.0.join("state/deep/control.sock");
        let bound = bind(&path).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&scratch.0.join("state/deep")), 0o700);
        assert_eq!(mode(&scratch.0.join("state")), 0o700);
        assert_eq!(bound.path(), path);
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_one_stays_and_a_dead_one_is_replaced() {
        let scratch = Scratch::new("live");
        let path = scratch.0.join("control.sock");
        let BoundSocket { listener, file } = bind(&path).await.unwrap();
        assert!(matches!(bind(&path).await, Err(BindError::Taken(_))));
        drop(listener);
        // As one that was killed.
        std::mem::forget(file);
        assert!(path.exists());
        assert!(bind(&path).await.is_ok());
    }

    #[tokio::test]
    async fn anothers_socket_is_not_removed() {
        let scratch = Scratch::new("other");
        let path = scratch.0.join("control.sock");
        let bound = bind(&path).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = bind(&path).await.unwrap();
        drop(bound);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_as_it_is() {
        let scratch = Scratch::new("file");
        let path = scratch.0.join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path).await, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let link = scratch.0.join("link.sock");
        std::os::unix::fs::symlink(scratch.0.join("nowhere"), &link).unwrap();
        assert!(matches!(bind(&link).await, Err(BindError::NotASocket(_))));
        let below = bind(&path.join("control.sock")).await;
        assert!(matches!(below, Err(BindError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn one_of_two_that_start_together_gives_way() {
        let scratch = Scratch::new("together");
        let lock = File::open(&scratch.0).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let path = scratch.0.join("control.sock");
        assert!(matches!(bind(&path).await, Err(BindError::Taken(_))));
        drop(lock);
        assert!(bind(&path).await.is_ok());
    }
}
