//! `log/errorlog`, in the engine's format, with its rotation to errorlog.1 to .6 at each start.
//!
//! A thread of its own writes: a stalled volume must not stall the tasks that only want to log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::tds::datetime::DateTime;
use super::tds::encode_utf16;

const KEPT_LOGS: u32 = 6;
/// Lines that wait for a slow disk; more are dropped.
const QUEUE_LINES: usize = 1024;
const SOURCE_WIDTH: usize = 12;
const BYTE_ORDER_MARK: [u8; 2] = [0xff, 0xfe];

enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

pub struct ErrorLog {
    queue: SyncSender<Entry>,
    enabled: Arc<AtomicBool>,
}

impl ErrorLog {
    /// Rotates the old logs and starts a new one.
    pub fn start(log_dir: &Path, utf16: bool) -> io::Result<Self> {
        let path = log_dir.join("errorlog");
        for number in (1..KEPT_LOGS).rev() {
            let old = log_dir.join(format!("errorlog.{number}"));
            if old.exists() {
                fs::rename(old, log_dir.join(format!("errorlog.{}", number + 1)))?;
            }
        }
        if path.exists() {
            fs::rename(&path, log_dir.join("errorlog.1"))?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if utf16 {
            file.write_all(&BYTE_ORDER_MARK)?;
        }
        let (queue, entries) = sync_channel(QUEUE_LINES);
        thread::Builder::new()
            .name("errorlog".to_owned())
            .spawn(move || write_entries(&file, utf16, &entries))?;
        Ok(Self {
            queue,
            enabled: Arc::new(AtomicBool::new(true)),
        })
    }

    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Writes a line: `2026-11-23 04:51:00.12 Server      SQL Server is now ready ...`
    pub fn line(&self, source: &str, text: &str) {
        if !self.enabled.load(Ordering::Relaxed) {
            return;
        }
        // Hundredths of a second, unlike everywhere else.
        let time: String = DateTime::now().to_string().chars().take(22).collect();
        let line = format!("{time} {source:SOURCE_WIDTH$}{text}\n");
        // When the queue is full the disk stands still; the engine would block here, a test double must not.
        let _ = self.queue.try_send(Entry::Line(line));
    }

    /// Waits until all lines so far are written, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        let (done, finished) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(done)).is_ok() {
            // A timeout means that the disk stalls; the caller goes on without the log.
            let _ = finished.recv_timeout(limit);
        }
    }
}

fn write_entries(mut file: &File, utf16: bool, entries: &Receiver<Entry>) {
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) => {
                let written = if utf16 {
                    file.write_all(&encode_utf16(&line))
                } else {
                    file.write_all(line.as_bytes())
                };
                // The container's output has the text as well, and survives a full volume.
                let _ = io::stdout().write_all(line.as_bytes());
                if let Err(error) = written {
                    let _ = writeln!(io::stderr(), "errorlog: {error}");
                }
            }
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
