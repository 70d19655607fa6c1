//! The binary under test, built as the README says to build it for an image.

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

/// As in the README. Packed relocations, which the C library applies at the start, save a quarter of a
/// megabyte in a binary that is position-independent and static.
const FLAGS: &str = "-C symbol-mangling-version=v0 -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs,--icf=all,--no-eh-frame-hdr,docker/no-unwind-tables.ld,docker/hot-code.ld";

/// Builds the static binary for this machine; its path.
pub fn build() -> anyhow::Result<PathBuf> {
    let host = host()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    eprintln!(
        "building: RUSTFLAGS=\"{FLAGS}\" cargo build --locked --profile dist \
         --bin sql-edge-supervisor --target {host} (minutes, the first time)"
    );
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if OF_CARGO_RUN
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            build.env_remove(name);
        }
    }
    let status = build
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--profile",
            "dist",
            "--bin",
            "sql-edge-supervisor",
            "--target",
            &host,
        ])
        .env("RUSTFLAGS", FLAGS)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join(host).join("dist/sql-edge-supervisor"))
}

/// The target triple of this machine.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("starting rustc")?;
    let text = String::from_utf8(output.stdout).context("what rustc says")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}
