//! A mount, as the kernel lists it.

use serde::{Deserialize, Serialize};

/// A mount at a volume's directory (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The `major:minor` number of the device.
    pub device: String,
    /// The directory of that file system that is mounted.
    pub root: String,
    /// The type of the file system.
    pub fs_type: String,
    /// Whether the mount or its super block is read-only.
    pub read_only: bool,
}

impl Mount {
    /// Whether `other` is a mount of the same directory of the same file system.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (&self.device, &self.root) == (&other.device, &other.root)
    }
}
