//! The binary under test: the one that is shipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What `cargo run` sets for this program and a build script of the next build would take for a
/// change: all would be built anew at each run.
const OF_CARGO_RUN: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// Returns the command that compiles the binary, for this machine, as the image's first stage does, and
/// the path where it puts it.
pub fn compilation() -> (Command, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let binary = target.join("shipped/sql-edge-supervisor");
    let mut command = Command::new("docker/compile");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if OF_CARGO_RUN.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
        .current_dir(root)
        .arg("binary")
        .arg(&binary)
        .env_remove("TARGETARCH");
    (command, binary)
}

/// Builds the binary that is shipped; its path.
pub fn build() -> anyhow::Result<PathBuf> {
    let (mut command, binary) = compilation();
    eprintln!("building: docker/compile binary (minutes, the first time)");
    let status = command.status().context("starting docker/compile")?;
    ensure!(status.success(), "docker/compile binary: {status}");
    Ok(binary)
}
