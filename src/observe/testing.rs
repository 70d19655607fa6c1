//! What the tests of the host observers share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Uid;
use rustix::thread::{CapabilitySet, CapabilitySets};
use tokio::sync::mpsc::Receiver;

use crate::decide::observation::{Observation, Observed};

/// The time that a test waits for an event that does not come, before it fails. No test depends on it.
const HANG: Duration = Duration::from_secs(60);

/// A name that no other test, and no other run of the tests on this machine, uses; it fits in a comm.
pub(super) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{prefix}{:x}-{number}", std::process::id());
    assert!(name.len() <= 15, "{name} does not fit in a comm");
    name
}

/// A directory of its own, removed with all that is in it.
#[derive(Debug)]
pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(unique("dir"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and the directories above it.
    pub(super) fn write(&self, path: impl AsRef<Path>, contents: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a tool that the test can't do without.
pub(super) fn tool(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("this test needs `{program}`: {error}"));
    assert!(
        output.status.success(),
        "this test needs `{program} {}` to be permitted (root, mount, loop devices): {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns the next observation.
pub(super) async fn next(receiver: &mut Receiver<Observed<Observation>>) -> Observation {
    let next = tokio::time::timeout(HANG, receiver.recv()).await;
    next.expect("nothing was observed")
        .expect("the observer ended")
        .value
}

/// Makes this thread, and no other, an unprivileged one of another uid as long as it lives
/// (setfsuid(2), capabilities(7)).
#[derive(Debug)]
pub(super) struct AsUser {
    uid: Uid,
    capabilities: CapabilitySets,
}

impl AsUser {
    /// Takes the uid of SQL Server's images.
    pub(super) fn mssql() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test needs root");
        let capabilities = rustix::thread::capabilities(None).unwrap();
        let uid = nix::unistd::setfsuid(Uid::from_raw(10001));
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            ..capabilities
        };
        rustix::thread::set_capabilities(None, none).unwrap();
        Self { uid, capabilities }
    }
}

impl Drop for AsUser {
    fn drop(&mut self) {
        let restored = rustix::thread::set_capabilities(None, self.capabilities);
        nix::unistd::setfsuid(self.uid);
        assert!(restored.is_ok() || std::thread::panicking());
    }
}

/// A port of loopback at which nothing listens, and which nobody else can take while it is held.
pub(super) fn refused_port() -> (tokio::net::TcpSocket, std::net::SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
