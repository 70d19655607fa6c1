//! The agent's last work: the last messages, the lease's release, the container's termination message.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::lease::Holder;
use super::link::{LinkState, Request};
use super::memory::Memory;
use crate::act::restart::termination::TerminationLog;
use crate::config::Config;
use crate::decide::lease::release::EngineGone;
use crate::decide::observation::ProcessExit;
use crate::link::Cause;

/// For the observers to see what PID 1 has seen: they ask for a status three times, a millisecond apart.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// For the last messages to be taken.
const LAST_MESSAGES: Duration = Duration::from_millis(250);
/// For the lease to be given up; what a stalled volume does not take in this time costs the next pod the
/// wait until it is stale.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// What the last work needs.
#[derive(Debug)]
pub struct End {
    path: Option<PathBuf>,
    log: TerminationLog,
    exits: watch::Receiver<Option<ProcessExit>>,
    state: watch::Receiver<LinkState>,
    shut: watch::Receiver<Vec<Cause>>,
    memory: Memory,
}

impl End {
    /// By the settings; `shut` is why the gate is, or was last.
    #[must_use]
    pub fn new(
        config: &Config,
        exits: watch::Receiver<Option<ProcessExit>>,
        state: watch::Receiver<LinkState>,
        shut: watch::Receiver<Vec<Cause>>,
        memory: Memory,
    ) -> Self {
        Self {
            path: config.termination_log.clone(),
            log: TerminationLog::new(config),
            exits,
            state,
            shut,
            memory,
        }
    }

    /// Does it. The lease is given up where nothing is left that could write (`clear`) and the pod is to
    /// end (`stopping`): the next start in the same pod takes it on without a wait.
    pub async fn finish(
        mut self,
        clear: bool,
        stopping: bool,
        status: Option<i32>,
        link: &mpsc::Sender<Request>,
        holder: &Holder,
    ) {
        if self.state.borrow().is_linked() {
            tokio::time::sleep(LAST_LOOK).await;
        }
        self.explain(status).await;
        let (done, sent) = oneshot::channel();
        if link.try_send(Request::Finish(done)).is_ok() {
            let _ = timeout(LAST_MESSAGES, sent).await;
        }
        let Some(thread) = holder.get().filter(|_| stopping) else {
            return;
        };
        let Some(gone) = EngineGone::in_container(status.is_some(), !clear) else {
            info!("the lease is kept: processes are left that can't be killed at present");
            return;
        };
        let released = spawn_blocking(move || thread.release(gone, RELEASE_PATIENCE)).await;
        if !released.is_ok_and(|released| released) {
            warn!("the lease is not given up: the volume does not answer");
        }
    }

    /// Writes why the container ends, unless somebody has done so already.
    async fn explain(&mut self, status: Option<i32>) {
        let length = self.path.as_ref().map(std::fs::metadata);
        if !matches!(length, Some(Ok(found)) if found.len() == 0) {
            return;
        }
        let message = self.message(status);
        self.log.write(None, message).await;
    }

    fn message(&self, status: Option<i32>) -> String {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut text = format!("{now} sql-edge-supervisor: ");
        let state = self.state.borrow();
        let verdicts = state.received.as_ref().map(|received| &received.verdicts);
        let exit = self.exits.borrow();
        let reasons = match status.map(ExitStatus::from_raw) {
            None => {
                text.push_str("stopped before the engine was started: the gate was shut");
                self.shut.borrow().clone()
            }
            Some(_) if exit.is_some_and(|exit| exit.oom_killed) => {
                text.push_str("the kernel killed the engine for want of memory");
                Vec::new()
            }
            Some(status) => {
                // Writing to a String can't fail, here and below.
                let _ = match (status.code(), status.signal()) {
                    (Some(0), _) => write!(text, "the engine was shut down"),
                    (Some(code), _) => write!(text, "the engine exited with code {code}"),
                    (None, signal) => {
                        let signal = signal.unwrap_or_default();
                        write!(text, "the engine was ended by signal {signal}")
                    }
                };
                let ready = verdicts.and_then(|verdicts| verdicts.ready.as_ref());
                let ready = ready.filter(|_| !status.success());
                ready.map_or_else(Vec::new, |ready| ready.verdict.reasons.clone())
            }
        };
        for (index, reason) in reasons.iter().enumerate() {
            let before = if index == 0 {
                "; the supervisor last saw "
            } else {
                ", "
            };
            let _ = write!(text, "{before}{} ({})", reason.code, reason.evidence);
        }
        let restarts = self.memory.get().restarts_in_all;
        if restarts > 0 {
            let _ = write!(
                text,
                "; before that it was started again in this container {restarts} times"
            );
        }
        text.push('\n');
        text
    }
}
