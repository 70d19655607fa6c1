//! The mounts that the running engine was first seen with: a volume that is taken away or replaced
//! beneath it shows by the difference.
//!
//! Device and root distinguish one mount from another for as long as the engine has files open on it: an
//! open file keeps the file system alive, also one that is unmounted lazily, and so its device number is
//! not given to another. Mounting the same volume again therefore makes no difference, as it makes none
//! to the engine.

use super::mount::Mount;
use super::observation::{EngineMount, VolumeCheck};

/// The first mount at a volume's directory.
#[derive(Clone, Debug, Default)]
pub struct FirstMounts {
    /// The mount that the supervisor saw first.
    first: Option<Mount>,
    /// Whether the engine was seen to have that mount too: only then can it lose it.
    engines_too: bool,
}

/// A mount that is another one than at first, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced<'a> {
    /// The side that sees the change, as evidence names it.
    pub seen_by: &'static str,
    /// The mount that there was at first.
    pub first: &'a Mount,
    /// The mount that there is now, if there is one.
    pub now: Option<&'a Mount>,
}

impl FirstMounts {
    /// Takes in a check that began while the engine ran.
    pub fn see(&mut self, check: &VolumeCheck) {
        if self.first.is_none() {
            self.first.clone_from(&check.mount);
        }
        if let (Some(first), Some(theirs)) = (&self.first, engines(check)) {
            self.engines_too |= theirs.same(first);
        }
    }

    /// Returns the views in which the mount is not as it was, the supervisor's first. A view that can't be
    /// had now is not compared.
    pub fn replaced<'a>(&'a self, check: &'a VolumeCheck) -> impl Iterator<Item = Replaced<'a>> {
        let visible = self.engines_too && check.engine_mount.is_some();
        let ours = ("the supervisor", check.mount.as_ref(), true);
        let theirs = ("sqlservr", engines(check), visible);
        let views = [ours, theirs].into_iter();
        views.filter_map(|(seen_by, now, comparable)| {
            let first = self.first.as_ref().filter(|_| comparable)?;
            let replaced = Replaced {
                seen_by,
                first,
                now,
            };
            (!now.is_some_and(|now| now.same(first))).then_some(replaced)
        })
    }
}

fn engines(check: &VolumeCheck) -> Option<&Mount> {
    match check.engine_mount.as_ref()? {
        EngineMount::Mounted(mount) => Some(mount),
        EngineMount::NotMounted => None,
    }
}
