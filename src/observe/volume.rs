//! The volumes: whether each is a mount, and which; whether it is the engine's too, has room, and takes a
//! write.
//!
//! Each has a thread of its own, because any of these calls may wait for a device that does not answer (a
//! hung NFS server, a stopped FUSE daemon, a frozen file system), and no deadline can end such a wait; so a
//! volume that stalls delays no other one's checks. [`VolumeEvent::Began`] goes out before the first of them:
//! a check that began and does not end is what a stalled volume looks like. The next check waits for it, so
//! that never more than one is in flight. Nobody waits for this thread, not even the end of the process.
//!
//! On a volume nothing is touched but the folder [`FOLDER`] with the small file of the check in it, and the
//! reserve that keeps room there ([`reserve::keep`]). What the engine writes there of itself, its errorlog
//! and its dumps, is read here too, and so is the file with its standard output, which may lie on another
//! volume: should that one stall, it shows as a stall of this one.

mod dumps;
pub mod layout;
pub mod log;
pub(super) mod mounts;
mod write;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::statvfs;
use rustix::process::{getegid, geteuid};
use tracing::warn;

use super::Sink;
use super::process::{EnginePid, PROC_ROOT};
use crate::config::VolumeConfig;
use crate::decide::identity::IdentityFile;
use crate::decide::observation::{
    Denial, EngineMount, Observation, Space, VolumeCheck, VolumeEvent, VolumeFault, VolumeReport,
    WriteCheck,
};
use crate::decide::volumes::{Use, Volume};
use crate::parts::turn;
use crate::records::atomic::Folder;
use crate::records::beneath::Below;
use crate::records::identity::{self, Expected, Places};
use crate::records::reserve;
pub use dumps::dump_of;
use log::Log;
pub use write::FOLDER;

/// The thread's stack, bytes; the deepest call needs a tenth of it, with the 4 KiB record.
const STACK_BYTES: usize = 256 * 1024;

/// The pace of checks of a volume without identity: one is written within a few milliseconds once the lease
/// is held, and the first start waits for the check that sees it.
const AT_FIRST: Duration = Duration::from_millis(50);
/// The number of checks at that pace.
const FIRST_CHECKS: u32 = 20;
/// The pace of the checks after these: the lease is another pod's.
const SOON: Duration = Duration::from_millis(500);

/// The thread's name, as `/proc/PID/task/TID/comm` shows it.
pub const THREAD_NAME: &str = "volume";

/// The running threads. When dropped, each ends once its present check is over, and nothing is waited for.
#[derive(Debug)]
pub struct VolumeThreads {
    /// The sender whose drop ends the threads; nothing is ever sent over it.
    _stop: Sender<()>,
}

/// Starts the threads, one for each volume: a check at once, then one each `config.interval`, from the
/// end of one to the start of the next.
///
/// # Errors
///
/// The system has no thread left.
pub fn spawn(config: VolumeConfig, engine: EnginePid, sink: Sink) -> io::Result<VolumeThreads> {
    let (stop, stopped) = channel();
    thread(move || first(&config, &engine, &sink, &stopped))?;
    Ok(VolumeThreads { _stop: stop })
}

fn thread(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
    thread.stack_size(STACK_BYTES).spawn(run)?;
    Ok(())
}

/// Returns the mount that the process `pid` sees at `directory`; absent where its mountinfo can't be read.
/// With `apart` the directory has to be the mount point itself. Nothing on the volume is touched, and so
/// nothing waits.
#[must_use]
pub fn mount_seen_by(pid: i32, directory: &Path, apart: bool) -> Option<EngineMount> {
    mounts::engine_mount(Path::new(PROC_ROOT), pid, directory, apart)
}

/// Returns the directory of the volume with `master.mdf`, where the lease and the history lie. May wait for
/// the volume that mssql.conf lies on.
#[must_use]
pub fn main_directory(config: &VolumeConfig) -> PathBuf {
    main_directories(config).0
}

/// Returns the directory of the volume with `master.mdf`, as the supervisor and as the engine's container
/// name it.
#[must_use]
pub fn main_directories(config: &VolumeConfig) -> (PathBuf, PathBuf) {
    match layout::read(config).main() {
        Some(main) => (main.path.clone(), main.engine_path.clone()),
        None => (config.data_dir.clone(), config.engine_data_dir.clone()),
    }
}

/// The first thread finds out which volumes there are, starts the others' threads, and goes on as the
/// main volume's. What it reads for that lies on a volume: should that stall, it shows as a stall of
/// the data directory.
fn first(config: &VolumeConfig, engine: &EnginePid, sink: &Sink, stopped: &Receiver<()>) {
    let volume = Arc::new(Volume::whole(&config.data_dir, &config.engine_data_dir));
    sink.send_blocking(Observation::Volume(VolumeReport {
        volume,
        event: VolumeEvent::Began,
    }));
    let layout = layout::read(config);
    sink.send_blocking(Observation::Layout(layout.clone()));
    let mut others = Vec::new();
    let mut main = None;
    for volume in layout.volumes {
        if volume.is_main() {
            main = Some(volume);
            continue;
        }
        let (stop, stopped) = channel();
        let name = volume.name.clone();
        let (config, engine, sink) = (config.clone(), engine.clone(), sink.clone());
        let watch = move || watch(volume, &config, &engine, &sink, &stopped);
        match thread(watch) {
            Ok(()) => others.push(stop),
            // It stays unchecked, which keeps the gate shut where it matters.
            Err(error) => warn!(volume = name, %error, "the volume's thread can't be started"),
        }
    }
    if let Some(main) = main {
        watch(main, config, engine, sink, stopped);
    }
}

fn watch(
    volume: Arc<Volume>,
    config: &VolumeConfig,
    engine: &EnginePid,
    sink: &Sink,
    stopped: &Receiver<()>,
) {
    let mut checker = Checker::new(&volume, config);
    for count in 0_u32.. {
        turn("shared.volume");
        let send = |event| {
            let volume = Arc::clone(&volume);
            sink.send_blocking(Observation::Volume(VolumeReport { volume, event }));
        };
        send(VolumeEvent::Began);
        let mut report = checker.check(engine.get());
        let identity = report.identity.as_ref().map(|facts| &facts.file);
        let pace = pace(config, identity, count);
        // Where `launch` looks, nobody looks from here.
        report.engine_mount = engine.mount_at(&volume.engine_path).or(report.engine_mount);
        send(VolumeEvent::Checked(Box::new(report)));
        match stopped.recv_timeout(pace) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Returns the time from this check to the next one; `count` checks came before it. A volume whose identity
/// is about to be written is looked at again soon: the gate waits for it.
fn pace(config: &VolumeConfig, identity: Option<&IdentityFile>, count: u32) -> Duration {
    match identity {
        Some(IdentityFile::Absent) if count < FIRST_CHECKS => config.interval.min(AT_FIRST),
        Some(IdentityFile::Absent) => config.interval.min(SOON),
        _ => config.interval,
    }
}

/// The state that is kept from one check of a volume to the next.
#[derive(Debug)]
struct Checker {
    directory: PathBuf,
    engine_directory: PathBuf,
    /// Whether the directory is a mount point of its own, and not the data directory below one further up.
    apart: bool,
    writer: write::Writer,
    errorlog: Option<Log>,
    output: Option<Log>,
    dumps: Option<PathBuf>,
    master: Option<Below>,
    /// The sources of the identity; none where the volume has no identity.
    identity: Option<(Expected, Places)>,
}

impl Checker {
    fn new(volume: &Volume, config: &VolumeConfig) -> Self {
        let files = layout::files(config).seen_at(&config.data_dir);
        let has = |used: Use| volume.uses.contains(&used);
        let expected = Expected {
            id: config.expected_id.clone(),
            file: config.expected_id_file.clone(),
        };
        let main = volume.is_main();
        let places = Places {
            master: main.then(|| Below::on(&volume.path, &files.master)),
            instance: has(Use::System)
                .then(|| Below::on(&volume.path, &files.system.join(identity::INSTANCE_ID))),
        };
        let output = config.engine_output.clone().filter(|_| main);
        Self {
            directory: volume.path.clone(),
            engine_directory: volume.engine_path.clone(),
            apart: volume.path != config.data_dir,
            writer: write::Writer::default(),
            errorlog: has(Use::ErrorLog)
                .then(|| Log::below(Below::on(&volume.path, &files.errorlog))),
            output: output.map(Log::at),
            dumps: has(Use::Dump).then(|| files.dump.clone()),
            master: places.master.clone(),
            identity: volume.binds().then(|| {
                let expected = if main { expected } else { Expected::default() };
                (expected, places)
            }),
        }
    }

    /// Makes one check, first what can't block.
    fn check(&mut self, engine_pid: Option<i32>) -> VolumeCheck {
        let proc_root = Path::new(PROC_ROOT);
        let apart = self.apart;
        let directory = &self.directory;
        let engine_mount = engine_pid
            .and_then(|pid| mounts::engine_mount(proc_root, pid, &self.engine_directory, apart));
        let mount = mounts::own_mount(proc_root, directory, apart);
        let master_present = self.master.as_ref().and_then(Below::is_there);
        let write = self.writer.check(directory, master_present == Some(false));
        if let (WriteCheck::Written(_), Some(_)) = (write, &self.master)
            && let Ok(Some(folder)) = Folder::on_volume(directory)
        {
            reserve::keep(&folder);
        }
        let denied = write == WriteCheck::Failed(VolumeFault::PermissionDenied);
        // One that is not there has no identity to be judged.
        let there = write != WriteCheck::Failed(VolumeFault::Missing);
        let identity = self.identity.as_ref().filter(|_| there);
        let identity =
            identity.map(|(expected, places)| identity::facts(directory, expected, places));
        VolumeCheck {
            engine_mount,
            mount,
            write,
            denial: denied.then(|| denial(directory)).flatten(),
            // After the write: if that was refused for want of room, this says of which.
            space: space(directory),
            master_present,
            identity,
            errorlog: self.errorlog.as_mut().and_then(Log::read),
            dumps: self.dumps.as_deref().and_then(dumps::count),
            output: self.output.as_mut().and_then(Log::read),
        }
    }
}

/// Returns the room, as statvfs(3) reports it; absent where it can't.
fn space(data_dir: &Path) -> Option<Space> {
    let room = statvfs(data_dir).ok()?;
    Some(Space {
        total_bytes: room.f_blocks.saturating_mul(room.f_frsize),
        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
        total_inodes: room.f_files,
        free_inodes: room.f_favail,
    })
}

/// Returns the directory that refused the write, with its owner: the supervisor's folder where there is one.
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
