//! The logins that clients have made. A real engine keeps them in master: they are there after its next
//! start.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Name to password, as `CREATE LOGIN` gave them.
pub type Logins = BTreeMap<String, String>;

fn file(data: &Path) -> PathBuf {
    data.join("logins.json")
}

/// Reads the logins of the data directory; none where none was ever made there.
pub fn read(data: &Path) -> Logins {
    let text = std::fs::read(file(data)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Writes the logins, whole or not at all.
pub fn write(data: &Path, logins: &Logins) -> io::Result<()> {
    let next = data.join("logins.next");
    std::fs::write(&next, serde_json::to_vec(logins)?)?;
    std::fs::rename(next, file(data))
}
