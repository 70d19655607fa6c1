//! The identity of this process among those that contend for the lease.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use procfs::process::Process;
use rustix::fs::Mode;
use tracing::debug;

use super::HolderConfig;
use crate::decide::lease::HolderIdentity;
use crate::decide::lease::sight::{HolderDetails, IdentityBasis, OwnHolder, PidNamespace};
use crate::records::atomic::Folder;
use crate::records::boot_id;
use crate::records::claims::plain;

/// The file in `state-dir` with the id under which this pod claimed last.
const NAME: &str = "holder-id";
const MAX_BYTES: usize = 256;
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// The inode of the machine's own pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const MACHINE_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Returns the holder that this process works for. All processes of a pod are one holder, however often they
/// are started: it is named by the pod's uid, without that by the pid namespace, and in the machine's own
/// namespace by the process. An id that an earlier run of the pod used, as kept in `state-dir`, is its own
/// too.
pub fn this(config: &HolderConfig) -> OwnHolder {
    let boot_id = boot_id();
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let namespace = namespace();
    let boot = if boot_id.is_empty() { &*host } else { &boot_id };
    let of_container = namespace.filter(|namespace| namespace.inode != MACHINE_NAMESPACE);
    let (id, basis) = match (&config.pod_uid, of_container) {
        (Some(uid), _) => (uid.clone(), IdentityBasis::Pod),
        (None, Some(PidNamespace { inode, start_ticks })) => (
            format!("{boot}.{inode:x}.{start_ticks:x}"),
            IdentityBasis::Namespace,
        ),
        (None, None) => {
            let started = start_ticks(None).unwrap_or_default();
            let id = format!("{boot}.{}.{started:x}", std::process::id());
            (id, IdentityBasis::Process)
        }
    };
    // As it is read back: a name that differs would be another holder's.
    let id = plain(&id);
    let earlier_ids = match config.pod_uid {
        Some(_) => Vec::new(),
        None => earlier(&config.state_dir, &id).unwrap_or_else(|error| {
            debug!(directory = %config.state_dir.display(), %error, "the holder's id can't be kept");
            Vec::new()
        }),
    };
    OwnHolder {
        identity: HolderIdentity {
            id,
            node: plain(config.node.as_deref().unwrap_or(&host)),
            boot_id: plain(&boot_id),
        },
        earlier_ids,
        details: HolderDetails {
            basis,
            namespace: namespace.unwrap_or_default(),
            engine: None,
            locks: false,
        },
    }
}

/// Whether `id` is the one under which another process of this pod claimed last, as kept in `state-dir`,
/// which the pod's containers share. A supervisor and the agent of its SQL container each have a pid
/// namespace.
#[must_use]
pub fn is_of_this_pod(config: &HolderConfig, id: &str) -> bool {
    let kept = Folder::open(&config.state_dir).map(|folder| folder.read(NAME, MAX_BYTES));
    match kept {
        Ok(Ok(Some(kept))) => config.pod_uid.is_none() && kept.trim_ascii() == id.as_bytes(),
        _ => false,
    }
}

/// Returns the pid namespace of this process; none where /proc does not show its first process.
fn namespace() -> Option<PidNamespace> {
    Some(PidNamespace {
        inode: std::fs::metadata("/proc/self/ns/pid").ok()?.ino(),
        start_ticks: start_ticks(Some(1))?,
    })
}

/// Returns when the process `pid`, or this process without one, was started, in clock ticks.
fn start_ticks(pid: Option<i32>) -> Option<u64> {
    let process = match pid {
        Some(pid) => Process::new(pid),
        None => Process::myself(),
    };
    Some(process.ok()?.stat().ok()?.starttime)
}

/// Returns the id that an earlier run kept, if it differs from `id`, and keeps `id` in its place.
fn earlier(state_dir: &Path, id: &str) -> io::Result<Vec<String>> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)?;
    let folder = Folder::open(state_dir)?;
    let kept = folder.read(NAME, MAX_BYTES).map_err(io::Error::other)?;
    let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    let kept = kept
        .as_deref()
        .map(str::trim)
        .filter(|kept| plain(kept) == **kept);
    if kept == Some(id) {
        return Ok(Vec::new());
    }
    folder.replace(NAME, id.as_bytes(), MODE)?;
    Ok(kept.map(str::to_owned).into_iter().collect())
}
