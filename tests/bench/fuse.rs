//! A volume that stalls: a FUSE file system whose daemon can be stopped. Debian's package `bindfs`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// A mount takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A mount raises no event that could be awaited; its table is polled.
const POLL: Duration = Duration::from_millis(5);

/// The mount and its daemon. Dropped, both are gone.
pub struct Fuse {
    daemon: Child,
    at: PathBuf,
}

impl Fuse {
    /// Mounts `source` at `at`.
    pub async fn over(source: &Path, at: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(source).context("the source directory")?;
        std::fs::create_dir_all(at).context("the mount point")?;
        let daemon = Command::new("bindfs")
            .args(["-f", "-o", "allow_other"])
            .args([source, at])
            .spawn()
            .context("starting bindfs (apt-get install bindfs)")?;
        let fuse = Self {
            daemon,
            at: at.to_owned(),
        };
        let began = Instant::now();
        while !fuse.is_mounted()? {
            ensure!(
                began.elapsed() < PATIENCE,
                "bindfs did not mount: needs root and /dev/fuse"
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(fuse)
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    pub fn signal(&self, signal: Signal) {
        // It fails only where the daemon has ended, and then there is nothing to signal.
        let _ = kill_process(Pid::from_child(&self.daemon), signal);
    }

    /// Stops the daemon, unless it has a request of one of these threads in its hands: then it runs on.
    /// Whether it is stopped. `/proc/PID/task` is where the threads are.
    pub fn stop_between_requests(&self, client: Pid) -> anyhow::Result<bool> {
        self.signal(Signal::STOP);
        let daemon = format!("/proc/{}/stat", self.daemon.id());
        // Its threads stop within microseconds, and nothing tells when.
        while !std::fs::read_to_string(&daemon)?.contains(") T ") {
            std::thread::yield_now();
        }
        let tasks = format!("/proc/{}/task", client.as_raw_nonzero());
        for thread in std::fs::read_dir(tasks)? {
            // fs/fuse/dev.c
            let waits_in = std::fs::read_to_string(thread?.path().join("wchan"))?;
            if waits_in == "request_wait_answer" {
                self.signal(Signal::CONT);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_mounted(&self) -> anyhow::Result<bool> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").context("the mount table")?;
        Ok(table.contains(&self.at.display().to_string()))
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        self.signal(Signal::KILL);
        let _ = self.daemon.wait();
    }
}
