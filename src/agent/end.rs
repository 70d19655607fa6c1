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

use super::link::{LinkState, Request};
use super::memory::Memory;
use crate::act::holder::LeaseHolder;
use crate::act::restart::termination::TerminationLog;
use crate::config::Config;
use crate::decide::lease::LeaseState;
use crate::decide::lease::release::EngineGone;
use crate::decide::observation::{LeaseReport, ProcessExit};
use crate::link::Cause;

/// The time for the observers to see what PID 1 has seen: they ask for a status three times, a millisecond
/// apart.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// The time for the last messages to be taken.
const LAST_MESSAGES: Duration = Duration::from_millis(250);
/// The time for an agent that was just started to claim what the one before held.
const CLAIM_PATIENCE: Duration = Duration::from_millis(500);
/// The time for the lease to be given up; where a stalled volume takes longer, the next pod waits until the
/// lease is stale.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// The agent's last work, with what it needs.
#[derive(Debug)]
pub struct End {
    path: Option<PathBuf>,
    log: TerminationLog,
    exits: watch::Receiver<Option<ProcessExit>>,
    state: watch::Receiver<LinkState>,
    shut: watch::Receiver<Vec<Cause>>,
    lease: watch::Receiver<Option<LeaseReport>>,
    memory: Memory,
}

impl End {
    /// Returns the agent's last work by the settings; `shut` holds why the gate is shut, or was last, and
    /// `lease` the state of the lease.
    #[must_use]
    pub fn new(
        config: &Config,
        exits: watch::Receiver<Option<ProcessExit>>,
        state: watch::Receiver<LinkState>,
        shut: watch::Receiver<Vec<Cause>>,
        lease: watch::Receiver<Option<LeaseReport>>,
        memory: Memory,
    ) -> Self {
        Self {
            path: config.termination_log.clone(),
            log: TerminationLog::new(config),
            exits,
            state,
            shut,
            lease,
            memory,
        }
    }

    /// Does the agent's last work. The lease is given up where nothing is left that could write (`clear`) and
    /// the pod is to end (`stopping`): the next start in the same pod takes it on without a wait.
    pub async fn finish(
        mut self,
        clear: bool,
        stopping: bool,
        status: Option<i32>,
        link: &mpsc::Sender<Request>,
        holder: &watch::Receiver<Option<LeaseHolder>>,
    ) {
        if self.state.borrow().is_linked() {
            tokio::time::sleep(LAST_LOOK).await;
        }
        self.explain(status).await;
        let (done, sent) = oneshot::channel();
        if link.try_send(Request::Finish(done)).is_ok() {
            let _ = timeout(LAST_MESSAGES, sent).await;
        }
        if stopping {
            self.claimed().await;
        }
        let Some(thread) = holder.borrow().clone().filter(|_| stopping) else {
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

    /// Waits until the lease that the agent before this one held is held by this one, where it was started a
    /// moment ago: a claim that is not its own yet can't be given up by it.
    async fn claimed(&mut self) {
        if self.memory.get().held.is_none() {
            return;
        }
        let known = |report: &Option<LeaseReport>| {
            let state = report.as_ref().map(|report| &report.state);
            !matches!(state, None | Some(LeaseState::Unknown))
        };
        // Its sender lives as long as the lease's task.
        let _ = timeout(CLAIM_PATIENCE, self.lease.wait_for(known)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::{ProcessId, ProcessRole};
    use crate::link::{ProbeVerdict, ReadyVerdict, Verdicts};

    use super::super::link::Received;

    fn cause(code: &str, evidence: &str) -> Cause {
        Cause {
            code: code.to_owned(),
            evidence: evidence.to_owned(),
        }
    }

    /// Returns the end after these verdicts on readiness, this exit, and these reasons of a shut gate.
    fn end(ready: Vec<Cause>, exit: Option<ProcessExit>, shut: Vec<Cause>) -> End {
        let verdict = |pass, reasons| ProbeVerdict { pass, reasons };
        let verdicts = Verdicts {
            gate: verdict(true, Vec::new()),
            live: verdict(true, Vec::new()),
            ready: Some(ReadyVerdict {
                verdict: verdict(ready.is_empty(), ready),
                engine: None,
                address: "127.0.0.1:1433".to_owned(),
            }),
            epoch: None,
            command: None,
            termination_message: None,
        };
        let state = LinkState {
            received: Some(Received {
                verdicts,
                at: tokio::time::Instant::now(),
            }),
            ..LinkState::default()
        };
        End {
            path: None,
            log: TerminationLog::of(None, std::path::Path::new("/proc")),
            exits: watch::channel(exit).1,
            state: watch::channel(state).1,
            shut: watch::channel(shut).1,
            lease: watch::channel(None).1,
            memory: Memory::open(None),
        }
    }

    #[test]
    fn each_end_of_the_container_says_why() {
        let killed = ProcessExit {
            process: ProcessId {
                pid: 7,
                start_ticks: 8,
            },
            role: ProcessRole::Engine,
            status: None,
            oom_killed: true,
        };
        let started = vec![cause("StartFailed", "its last error is 17113")];
        let shut = vec![cause("VolumeEmpty", "data/master.mdf is not there")];
        let (exited, ended) = (|code: i32| code << 8, |signal: i32| signal);
        for (end, status, words) in [
            (
                end(vec![], None, shut),
                None,
                "stopped before the engine was started: the gate was shut; the supervisor last saw VolumeEmpty (data/master.mdf is not there)",
            ),
            (
                end(vec![], Some(killed), vec![]),
                Some(ended(9)),
                "the kernel killed the engine for want of memory",
            ),
            (
                end(started, None, vec![]),
                Some(exited(1)),
                "the engine exited with code 1; the supervisor last saw StartFailed (its last error is 17113)",
            ),
            (
                end(vec![], None, vec![]),
                Some(ended(11)),
                "the engine was ended by signal 11",
            ),
            (
                end(vec![], None, vec![]),
                Some(exited(0)),
                "the engine was shut down",
            ),
        ] {
            let message = end.message(status);
            assert!(
                message.ends_with(&format!("sql-edge-supervisor: {words}\n")),
                "{message}"
            );
        }
        let again = end(vec![], None, vec![]);
        again.memory.change(|contents| contents.restarts_in_all = 2);
        let message = again.message(Some(ended(9)));
        let words = "signal 9; before that it was started again in this container 2 times\n";
        assert!(message.ends_with(words), "{message}");
    }
}
