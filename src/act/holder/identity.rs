//! Who this is, among those who contend for the lease.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::Mode;
use tracing::warn;

use super::HolderConfig;
use crate::decide::lease::HolderIdentity;
use crate::records::atomic::Folder;
use crate::records::boot_id;
use crate::records::claims::plain;
use crate::records::identity::{is_id, random_id};

/// The file in `state-dir` with the random name.
const NAME: &str = "holder-id";
const MAX_BYTES: usize = 256;
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The holder that this process works for. All of a pod are one, however often they are started.
pub fn this(config: &HolderConfig) -> HolderIdentity {
    let boot_id = boot_id();
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let id = match &config.pod_uid {
        Some(uid) => uid.clone(),
        None => kept(&config.state_dir).unwrap_or_else(|error| {
            warn!(directory = %config.state_dir.display(), %error,
                "no name for the lease can be kept, the host's is used: give `pod-uid`, or mount a writable directory at state-dir");
            // The boot first: the name is cut where it is too long.
            format!("{boot_id}.{host}")
        }),
    };
    let node = config.node.as_deref().unwrap_or(&host);
    // As it is read back: a name that differs would be another holder's.
    HolderIdentity {
        id: plain(&id),
        node: plain(node),
        boot_id: plain(&boot_id),
    }
}

fn kept(state_dir: &Path) -> io::Result<String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)?;
    let folder = Folder::open(state_dir)?;
    let kept = folder.read(NAME, MAX_BYTES).map_err(io::Error::other)?;
    let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(id) = kept.as_deref().map(str::trim).filter(|id| is_id(id)) {
        return Ok(id.to_owned());
    }
    let id = random_id();
    folder.replace(NAME, id.as_bytes(), MODE)?;
    Ok(id)
}
