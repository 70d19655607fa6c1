//! The directories in which files of databases lie, and the last writes to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Snapshot;
use crate::decide::observation::EngineDirectory;
use crate::decide::time::Time;
use crate::decide::volumes::Volume;

/// A directory in which files of databases lie, with the last writes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryState {
    /// The directory, as the engine names it.
    pub directory: PathBuf,
    /// The number of writes that were done there since the engine started.
    pub writes: u64,
    /// The moments of the last two looks between which there were writes.
    pub wrote: Option<(Time, Time)>,
}

impl Snapshot {
    /// Returns the volume that holds a directory of the engine.
    #[must_use]
    pub fn volume_of(&self, directory: &Path) -> Option<&Arc<Volume>> {
        let volumes = self.volumes.iter().map(|state| &state.volume);
        volumes
            .filter(|volume| directory.starts_with(&volume.engine_path))
            .max_by_key(|volume| volume.engine_path.components().count())
    }

    /// Returns the moment at which a write of the engine to this volume was last seen to be done, of those
    /// that were not done at `since`.
    #[must_use]
    pub fn wrote_since(&self, volume: &str, since: Time) -> Option<Time> {
        let written = self.directories.iter().filter_map(|state| {
            let (from, to) = state.wrote?;
            let on = self.volume_of(&state.directory)?;
            (on.name == volume && from >= since).then_some(to)
        });
        written.max()
    }

    pub(super) fn apply_files(&mut self, at: Time, list: Vec<EngineDirectory>) {
        let before = std::mem::take(&mut self.directories);
        let looked = self.directories_at.replace(at);
        let next = list.into_iter().map(|now| {
            let known = before.iter().find(|known| known.directory == now.directory);
            let wrote = match (known, looked) {
                (Some(known), Some(looked)) if now.writes > known.writes => Some((looked, at)),
                (known, _) => known.and_then(|known| known.wrote),
            };
            DirectoryState {
                directory: now.directory,
                writes: now.writes,
                wrote,
            }
        });
        self.directories = next.collect();
    }
}
