//! The mounts that the running engine was first seen with: a volume that is taken away or replaced
//! beneath it shows by the difference.
//!
//! Device and root tell one mount from another for as long as the engine has files open on it: an open
//! file keeps the file system alive, also one that is unmounted lazily, and so its device number is not
//! given to another. Mounting the same volume again therefore makes no difference, as it makes none to
//! the engine.

use super::observation::{EngineMount, Mount, VolumeCheck};

/// The first mount at the data directory, as either side saw it.
#[derive(Clone, Debug, Default)]
pub struct FirstMounts {
    ours: Option<Mount>,
    engines: Option<Mount>,
}

/// Another mount than at first, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced<'a> {
    /// Who sees it, in evidence.
    pub seen_by: &'static str,
    /// The mount that there was at first.
    pub first: &'a Mount,
    /// The one that there is now.
    pub now: Option<&'a Mount>,
}

impl FirstMounts {
    /// Takes in a check that began while the engine ran.
    pub fn see(&mut self, check: &VolumeCheck) {
        keep(&mut self.ours, check.mount.as_ref());
        keep(&mut self.engines, engines(check));
    }

    /// What is not as it was, the supervisor's view first. What can't be seen now is not compared.
    pub fn replaced<'a>(&'a self, check: &'a VolumeCheck) -> impl Iterator<Item = Replaced<'a>> {
        let ours = ("the supervisor", &self.ours, check.mount.as_ref(), true);
        let visible = check.engine_mount.is_some();
        let theirs = ("sqlservr", &self.engines, engines(check), visible);
        [ours, theirs]
            .into_iter()
            .filter_map(|(seen_by, first, now, visible)| {
                let first = first.as_ref().filter(|_| visible)?;
                let replaced = Replaced {
                    seen_by,
                    first,
                    now,
                };
                (!now.is_some_and(|now| now.same(first))).then_some(replaced)
            })
    }
}

fn keep(first: &mut Option<Mount>, seen: Option<&Mount>) {
    if first.is_none() {
        *first = seen.cloned();
    }
}

fn engines(check: &VolumeCheck) -> Option<&Mount> {
    match check.engine_mount.as_ref()? {
        EngineMount::Mounted(mount) => Some(mount),
        EngineMount::NotMounted => None,
    }
}

impl Mount {
    /// Whether the same directory of the same file system is mounted.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (&self.device, &self.root) == (&other.device, &other.root)
    }
}
