//! The container's termination message, where PID 1 itself writes one.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// The kubelet's default `terminationMessagePath`.
pub const DEFAULT_PATH: &str = "/dev/termination-log";

/// The file of the message, open since the start.
#[derive(Debug)]
pub struct TerminationMessage(Option<File>);

impl TerminationMessage {
    /// Returns the message at `path`, if the file is there and a regular one.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags.bits())
            .open(path);
        let regular = |file: &File| file.metadata().is_ok_and(|found| found.is_file());
        Self(file.ok().filter(regular))
    }

    /// Writes the message over what is there. Its file is the node's, whose disk may stall: by then nothing
    /// may have to be done any more but to end.
    pub fn write(&mut self, message: &dyn fmt::Display) {
        if let Some(file) = &mut self.0 {
            // Without it the container ends all the same, and its log tells why.
            let _ = file.set_len(0);
            let _ = writeln!(file, "sql-edge-supervisor: {message}");
        }
    }
}
