//! What only the SQL container shows of the engine's files: the mounts at its directories, and an errorlog
//! that lies on no volume, as where only `data` is mounted.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use super::link::Request;
use crate::config::VolumeConfig;
use crate::decide::observation::{EngineLog, EngineMount};
use crate::decide::volumes::{Layout, Use};
use crate::observe::volume::log::Log;
use crate::observe::volume::{layout, mount_seen_by};

/// Reports the mounts and the errorlog for ever. What may wait for a volume runs on a thread of its own,
/// which is not waited for.
pub async fn watch(config: VolumeConfig, requests: mpsc::Sender<Request>) {
    // mssql.conf, which names the directories, lies on a volume: until it was read, the data directory is
    // all that is known of.
    let mut directories = vec![config.engine_data_dir.clone()];
    let for_layout = config.clone();
    let mut reading = Some(spawn_blocking(move || {
        let errorlog = layout::files(&for_layout).errorlog;
        (layout::read(&for_layout), errorlog)
    }));
    let mut errorlog: Option<Errorlog> = None;
    let mut ticks = interval(config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(done) = reading.take_if(|reading| reading.is_finished())
            && let Ok((layout, file)) = done.await
        {
            let more = layout
                .volumes
                .iter()
                .map(|volume| volume.engine_path.clone());
            directories.extend(more.filter(|path| *path != config.engine_data_dir));
            errorlog = Errorlog::outside(&layout, file);
        }
        let seen = mounts(&config.engine_data_dir, &directories);
        let mut sent = requests.send(Request::Mounts(seen)).await.is_ok();
        if let Some(log) = errorlog.as_mut().and_then(Errorlog::news) {
            sent &= requests.send(Request::Log(Box::new(log))).await.is_ok();
        }
        if !sent {
            return;
        }
    }
}

fn mounts(data_dir: &Path, directories: &[PathBuf]) -> Vec<(PathBuf, Option<EngineMount>)> {
    let own = std::process::id().cast_signed();
    let seen = |directory: &PathBuf| {
        let apart = directory != data_dir;
        (directory.clone(), mount_seen_by(own, directory, apart))
    };
    directories.iter().map(seen).collect()
}

/// The errorlog, read by one thread at a time.
struct Errorlog {
    log: Option<Log>,
    reading: Option<JoinHandle<(Log, Option<EngineLog>)>>,
    last: Option<EngineLog>,
}

impl Errorlog {
    /// Returns the errorlog at `file`, where it lies on no volume.
    fn outside(layout: &Layout, file: PathBuf) -> Option<Self> {
        let mut outside = layout.outside.iter();
        outside
            .any(|outside| outside.used == Use::ErrorLog)
            .then(|| Self {
                log: Some(Log::at(file)),
                reading: None,
                last: None,
            })
    }

    /// Begins to read the errorlog again, unless that is under way. Returns what was read where it is new.
    fn news(&mut self) -> Option<EngineLog> {
        let done = self.reading.take_if(|reading| reading.is_finished());
        let read = done.and_then(|done| done.now_or_never()?.ok());
        let mut news = None;
        if let Some((log, read)) = read {
            self.log = Some(log);
            if read.is_some() && read != self.last {
                news.clone_from(&read);
                self.last = read;
            }
        }
        if let Some(mut log) = self.log.take() {
            self.reading = Some(spawn_blocking(move || {
                let read = log.read();
                (log, read)
            }));
        }
        news
    }
}
