//! What the data directory is on, and what happens to it. Mounts need root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::fuse::Fuse;
use crate::scenario::{Volume, VolumeDeed};

/// Above the default of `disk-full-bytes`, 64 MiB, and little more: what fills it is memory.
const MEMORY_SIZE: &str = "size=72m";
const FILLING: &str = "backup.bak";

/// A mount at the data directory. Dropped, it is gone.
pub struct Mounted {
    at: PathBuf,
    fuse: Option<Fuse>,
}

impl Mounted {
    /// Mounts `kind` at `at`, with room for itself in `scratch`.
    pub async fn over(kind: Volume, at: &Path, scratch: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(at).context("the data directory")?;
        let mut mounted = Self {
            at: at.to_owned(),
            fuse: None,
        };
        match kind {
            Volume::Memory => mount(&["-t", "tmpfs", "-o", MEMORY_SIZE, "accuracy"], at)?,
            Volume::Disk => {
                let disk = scratch.join("disk");
                std::fs::create_dir_all(&disk).context("a directory on the disk")?;
                mount(&["--bind", &disk.display().to_string()], at)?;
            }
            Volume::Fuse => mounted.fuse = Some(Fuse::over(&scratch.join("disk"), at).await?),
        }
        Ok(mounted)
    }

    pub fn change(&self, deed: VolumeDeed) -> anyhow::Result<()> {
        match deed {
            VolumeDeed::Fill => self.fill(),
            VolumeDeed::Empty => {
                std::fs::remove_file(self.at.join(FILLING)).context("what fills the volume")
            }
            // The engine keeps its files open for writing; a read-only bind over it does not mind.
            VolumeDeed::ReadOnly => {
                mount(&["--bind", &self.at.display().to_string()], &self.at)?;
                mount(&["-o", "remount,bind,ro"], &self.at)
            }
            VolumeDeed::Writable | VolumeDeed::Unmount => umount(&self.at),
            VolumeDeed::Cover => mount(&["-t", "tmpfs", "-o", MEMORY_SIZE, "accuracy"], &self.at),
            VolumeDeed::Stall => self.signal(Signal::STOP),
            VolumeDeed::Resume => self.signal(Signal::CONT),
        }
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let fuse = self.fuse.as_ref().context("the volume can't stall")?;
        fuse.signal(signal);
        Ok(())
    }

    fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.at.join(FILLING)).context("filling the volume")?;
        let zeros = vec![0_u8; 1 << 20];
        while file.write_all(&zeros).is_ok() {}
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.fuse.take());
        // One mount may cover another; the first that fails says that there is none left.
        while umount(&self.at).is_ok() {}
    }
}

fn mount(arguments: &[&str], at: &Path) -> anyhow::Result<()> {
    run(Command::new("mount").args(arguments).arg(at))
}

fn umount(at: &Path) -> anyhow::Result<()> {
    run(Command::new("umount").arg("-l").arg(at))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("mount")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {error} (it takes root to mount)"
    );
    Ok(())
}
