//! The data volume: is it a mount, which, is it the engine's too, has it room, does a write reach it.
//!
//! All of it runs on one thread of its own, because any of these calls may wait for a device that
//! does not answer (a hung NFS server, a stopped FUSE daemon, a frozen file system), and no deadline
//! can end such a wait. [`VolumeReport::Began`] goes out before the first of them: a check that began
//! and does not end is what a stalled volume looks like. The next check waits for it, so that never
//! more than one is in flight. Nobody waits for this thread, not even the end of the process.
//!
//! On the volume nothing is touched but the folder [`FOLDER`] and the one small file in it. What the
//! engine writes there of itself, its errorlog and its dumps, is read here too, and so is the file
//! with its standard output, which may lie on another volume: should that one stall, it shows as a
//! stall of this one.

mod dumps;
mod log;
pub(super) mod mounts;
mod write;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::process::{getegid, geteuid};

use super::Sink;
use super::process::{EnginePid, PROC_ROOT};
use crate::config::VolumeConfig;
use crate::decide::identity::IdentityFile;
use crate::decide::observation::{
    Denial, EngineMount, Observation, Space, VolumeCheck, VolumeFault, VolumeReport, WriteCheck,
};
use crate::records::beneath::{self, Root};
use crate::records::identity::{self, Expected};
pub use dumps::dump_of;
use log::Log;
pub use write::FOLDER;

/// The thread's stack, bytes; the deepest call needs a tenth of it, with the 4 KiB record.
const STACK_BYTES: usize = 256 * 1024;

/// From one check of a volume without identity to the next.
const SOON: Duration = Duration::from_millis(500);

/// The thread's name, as `/proc/PID/task/TID/comm` shows it.
pub const THREAD_NAME: &str = "volume";

/// The running thread. Dropping it tells the thread to end once its present check is over, and
/// waits for nothing.
#[derive(Debug)]
pub struct VolumeThread {
    /// Nothing is ever sent: that it is gone is the message.
    _stop: Sender<()>,
}

/// Starts the thread: a check at once, then one each `config.interval`, from the end of one to the
/// start of the next.
///
/// # Errors
///
/// The system has no thread left.
pub fn spawn(config: VolumeConfig, engine_pid: EnginePid, sink: Sink) -> io::Result<VolumeThread> {
    let (stop, stopped) = channel();
    thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || run(&config, &engine_pid, &sink, &stopped))?;
    Ok(VolumeThread { _stop: stop })
}

/// What the process `pid` sees at `data_dir`; absent where its mountinfo can't be read. It touches
/// nothing on the volume, and so waits for nothing.
#[must_use]
pub fn mount_seen_by(pid: i32, data_dir: &Path) -> Option<EngineMount> {
    mounts::engine_mount(Path::new(PROC_ROOT), pid, data_dir)
}

fn run(config: &VolumeConfig, engine_pid: &EnginePid, sink: &Sink, stopped: &Receiver<()>) {
    let mut checker = Checker::new(config);
    loop {
        sink.send_blocking(Observation::Volume(VolumeReport::Began));
        let mut report = checker.check(config, engine_pid.get());
        let pace = pace(config, &report);
        // Where `launch` looks, nobody looks from here.
        report.engine_mount = engine_pid.mount().or(report.engine_mount);
        sink.send_blocking(Observation::Volume(VolumeReport::Checked(Box::new(report))));
        match stopped.recv_timeout(pace) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A volume whose identity is about to be written is looked at again soon: the gate waits for it.
fn pace(config: &VolumeConfig, check: &VolumeCheck) -> Duration {
    let file = check.identity.as_ref().map(|facts| &facts.file);
    match file {
        Some(IdentityFile::Absent) => config.interval.min(SOON),
        _ => config.interval,
    }
}

/// What is kept from one check to the next.
#[derive(Debug)]
struct Checker {
    writer: write::Writer,
    errorlog: Log,
    output: Option<Log>,
    expected: Expected,
}

impl Checker {
    fn new(config: &VolumeConfig) -> Self {
        Self {
            writer: write::Writer::default(),
            errorlog: Log::below(&config.data_dir, "log/errorlog"),
            output: config.engine_output.clone().map(Log::at),
            expected: Expected {
                id: config.expected_id.clone(),
                file: config.expected_id_file.clone(),
            },
        }
    }

    /// One check, what can't block first.
    fn check(&mut self, config: &VolumeConfig, engine_pid: Option<i32>) -> VolumeCheck {
        let proc_root = Path::new(PROC_ROOT);
        let data_dir = &config.data_dir;
        let engine_mount = engine_pid
            .and_then(|pid| mounts::engine_mount(proc_root, pid, &config.engine_data_dir));
        let mount = mounts::own_mount(proc_root, data_dir);
        let master_present = beneath::has_file(data_dir, identity::MASTER);
        let write = self.writer.check(data_dir, master_present == Some(false));
        let root = Root::open(data_dir).ok();
        let denied = write == WriteCheck::Failed(VolumeFault::PermissionDenied);
        VolumeCheck {
            engine_mount,
            mount,
            write,
            denial: denied.then(|| denial(data_dir)).flatten(),
            // After the write: if that was refused for want of room, this says of which.
            space: space(data_dir),
            master_present,
            // One that is not there has no identity to be judged.
            identity: (write != WriteCheck::Failed(VolumeFault::Missing))
                .then(|| identity::facts(data_dir, &self.expected)),
            errorlog: self.errorlog.read(),
            dumps: root.as_ref().and_then(dumps::count),
            output: self.output.as_mut().and_then(Log::read),
        }
    }
}

/// Room, as statvfs(3) tells it; absent where it can't.
fn space(data_dir: &Path) -> Option<Space> {
    let room = statvfs(data_dir).ok()?;
    Some(Space {
        total_bytes: room.f_blocks.saturating_mul(room.f_frsize),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        total_inodes: room.f_files,
        free_inodes: room.f_favail,
    })
}

/// Whose directory refused the write: the supervisor's folder where there is one.
fn denial(data_dir: &Path) -> Option<Denial> {
    let folder = fs::symlink_metadata(data_dir.join(FOLDER)).ok();
    let is_folder = folder.is_some();
    let found = folder.or_else(|| fs::metadata(data_dir).ok())?;
    Some(Denial {
        folder: is_folder,
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
        by_uid: geteuid().as_raw(),
        by_gid: getegid().as_raw(),
    })
}

#[cfg(test)]
mod tests;
