//! The container's termination message: what `kubectl describe pod` shows of its last end.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, OFlags, openat};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::config::Config;
use crate::decide::decision::{Decision, Restart};
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;

/// The time that a restart waits for its message; the file is the container's, whose disk may stall.
pub const WAIT: Duration = Duration::from_millis(250);

/// Bytes of the message that the kubelet reads.
const MAX_BYTES: usize = 4096;

/// The termination message, written over at each restart.
#[derive(Debug)]
pub struct TerminationLog {
    path: Option<PathBuf>,
    proc_root: PathBuf,
    /// The write that was not waited for to its end; no other one begins while it stalls.
    pending: Option<JoinHandle<()>>,
}

impl TerminationLog {
    /// Returns the log at the path of the settings, or at the kubelet's default.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            path: config.termination_log.clone(),
            proc_root: config.process.proc_root.clone(),
            pending: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn of(path: Option<&Path>, proc_root: &Path) -> Self {
        Self {
            path: path.map(Path::to_owned),
            proc_root: proc_root.to_owned(),
            pending: None,
        }
    }

    /// Writes `message` for the container of `parent`, where it can be reached; a failure costs a
    /// line in the log and nothing else.
    pub async fn write(&mut self, parent: Option<i32>, message: String) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| !pending.is_finished())
        {
            info!("no termination message: the one before is still being written");
            return;
        }
        let place = match (&self.path, parent) {
            (Some(path), _) => Place::Given(path.clone()),
            (None, Some(pid)) => Place::Of(self.proc_root.join(pid.to_string())),
            (None, None) => return,
        };
        let mut job = spawn_blocking(move || match place.write(&message) {
            Ok(()) => debug!(?place, "termination message written"),
            Err(error) => info!(%error, ?place, "no termination message"),
        });
        if timeout(WAIT, &mut job).await.is_err() {
            info!("the termination message is not waited for: its file does not answer");
            self.pending = Some(job);
        }
    }
}

/// The place of the message's file.
#[derive(Debug)]
enum Place {
    /// The path of the settings.
    Given(PathBuf),
    /// The kubelet's default path in the file system of the process of this `/proc` directory.
    Of(PathBuf),
}

impl Place {
    fn write(&self, message: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match self {
            Self::Given(path) => openat(CWD, path, flags, Mode::empty()),
            // One step after the other, and no symbolic link in any: an absolute one in the engine's
            // file system would lead into the supervisor's own.
            Self::Of(process) => {
                let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root = openat(CWD, process.join("root"), directory, Mode::empty())?;
                let dev = openat(root, "dev", directory | OFlags::NOFOLLOW, Mode::empty())?;
                openat(dev, "termination-log", flags, Mode::empty())
            }
        };
        let mut file = File::from(file?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        file.set_len(0)?;
        file.write_all(message.as_bytes())
    }
}

/// Returns the message before the first signal of `restart`; empty for a stop that somebody ordered, where
/// there is nothing to explain.
#[must_use]
pub fn before(restart: &Restart, now: SystemTime, decision: &Decision) -> String {
    match restart.is_stop() {
        true => String::new(),
        false => message(now, RestartBy::Supervisor, &restart.reasons, decision, None),
    }
}

/// Returns the message: one line with the time, who restarts, the reasons with their evidence, and what to do
/// about the first of them. `before` is why the supervisor could not do it itself, if it tried.
#[must_use]
pub fn message(
    now: SystemTime,
    by: RestartBy,
    reasons: &[Reason],
    decision: &Decision,
    before: Option<&str>,
) -> String {
    let who = match by {
        RestartBy::Supervisor => "the supervisor",
        RestartBy::Kubelet => "the kubelet",
    };
    let now = humantime::format_rfc3339_seconds(now);
    let mut line = format!("{now} sql-edge-supervisor: restart by {who} for ");
    for (index, reason) in reasons.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let evidence = decision
            .finding(*reason)
            .map(|found| found.evidence.as_str());
        // Writing to a String can't fail, here and below.
        let _ = write!(
            line,
            "{comma}{} ({})",
            reason.code(),
            evidence.unwrap_or("-")
        );
    }
    if let Some(before) = before {
        let _ = write!(line, "; the supervisor could not: {before}");
    }
    if let Some(first) = reasons.first() {
        let _ = write!(line, ". What to do: {}", first.info().action);
    }
    one_line(&line)
}

/// Returns `text` on a line of at most [`MAX_BYTES`].
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if line.len() + c.len_utf8() >= MAX_BYTES {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line.push('\n');
    line
}
