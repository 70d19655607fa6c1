//! The end, by the dead-man's switch or by itself: what is left of the command, and the agent's last work.

use std::cell::Cell;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use rustix::process::pidfd_send_signal;

use super::{Init, has_ended};
use crate::launch::channel::{FENCE, InitStep, NO_LIMIT, ToAgent};
use crate::launch::command::exit_code;
use crate::launch::log::Value;
use crate::pidfd::wait_status;

/// The time in which the engine's parent reaps it, which it does at once as a rule.
const STATUS_WITHIN: Duration = Duration::from_millis(500);
/// The grace between SIGTERM and SIGKILL for the shell and its other children.
const REST_GRACE: Duration = Duration::from_secs(3);
/// The grace between SIGTERM and SIGKILL where an engine is left whose parent has died: it may be writing.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
/// The time after SIGKILL past which a process that is still there is left to the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two looks whether what is left of the command has gone.
const CLEARING: Duration = Duration::from_millis(20);
/// The time for an agent that has just ended to be started once more.
const AGENT_WITHIN: Duration = Duration::from_secs(1);
/// The time for the agent's last work: the last messages, the lease's release, the termination message.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

impl Init {
    /// Takes in until when the engine may run.
    pub(super) fn run_until(&mut self, until: u64) {
        self.limited = true;
        if self.settings.strict && until == NO_LIMIT {
            self.log.warn(
                "the lease is strict and is kept by a supervisor of an older version: nobody kills the engine if that one hangs",
                &[],
            );
        }
        // What was lost does not come back: the processes have run while another pod may have written.
        if self.fenced {
            return;
        }
        self.deadline.set(until);
        // At once: the next message may be of a lease that was taken anew.
        if until == FENCE && self.step == InitStep::Running {
            self.fence();
        }
    }

    /// Carries out the dead-man's switch: nothing of the command may run on.
    pub(super) fn fence(&mut self) {
        if !std::mem::replace(&mut self.fenced, true) {
            self.log.warn(
                "fence: SIGKILL to everything, the lease on the volume was not renewed in time or is lost",
                &[("engine", Value::Number(self.engine.as_ref().map_or(0, |engine| engine.pid.as_raw()).into()))],
            );
        }
        if let Some(engine) = &self.engine {
            for pidfd in [&engine.outer, &engine.inner].into_iter().flatten() {
                // One that has ended needs none.
                let _ = pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
            }
            if engine.outer.is_none() && !engine.gone {
                // ESRCH: it has ended.
                let _ = kill(engine.pid, Signal::SIGKILL);
            }
        }
        self.rest.kill(self.log);
        // Whatever runs was killed. A process that was being started meanwhile is ended by `clear`.
        self.deadline.set(NO_LIMIT);
        self.message.write(&format_args!(
            "fenced: the engine was killed, because the lease on its volume was lost or could not be renewed in time"
        ));
        if let Some(engine) = &mut self.engine {
            engine.gone = true;
        }
    }

    /// Ends what is left of the command. Returns whether nothing is left.
    pub(super) fn clear(&mut self) -> bool {
        if self.engine.is_some() && !self.fenced {
            let deadline = Instant::now() + STATUS_WITHIN;
            self.until(deadline, |init| init.status().is_some());
        }
        if let Some(engine) = &self.engine {
            self.agent.send(ToAgent::Ended {
                pid: engine.pid.as_raw(),
                status: self.status(),
            });
        }
        let orphan = self
            .engine
            .as_ref()
            .and_then(|engine| engine.inner.as_ref());
        let orphan = orphan.is_some_and(|inner| !has_ended(inner));
        if orphan {
            self.log.warn("an engine is left without its parent", &[]);
        }
        let grace = match orphan {
            true => ORPHAN_GRACE,
            false => REST_GRACE,
        };
        let mut clear = false;
        for (signal, wait) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, KILLED_WITHIN)] {
            if self.fenced && signal == Signal::SIGTERM {
                continue;
            }
            let deadline = Instant::now() + wait;
            loop {
                self.reap();
                clear = !self.rest.signal(signal, self.agent.pid(), self.log);
                if clear || Instant::now() >= deadline {
                    break;
                }
                self.turn(Some(Instant::now() + CLEARING));
            }
            if clear {
                break;
            }
        }
        clear
    }

    /// Has the agent do its last work. Returns the exit code.
    pub(super) fn leave(mut self, clear: bool) -> u8 {
        self.step = InitStep::Ended;
        // The engine may have become this process's child, with the shell's death, and was reaped since.
        let status = self.status().or(self.command_status);
        self.finish(clear, status);
        match status {
            Some(status) => {
                let code = exit_code(status);
                self.log
                    .info("ended", &[("status", Value::Number(code.into()))]);
                code
            }
            None if self.fenced => exit_code(Signal::SIGKILL as i32),
            None => {
                self.log
                    .warn("the engine has ended, and how it did is not known", &[]);
                1
            }
        }
    }

    /// Returns the status with which the engine ended, or the command where there is no engine.
    fn status(&self) -> Option<i32> {
        let Some(engine) = &self.engine else {
            return self.command_status;
        };
        self.engine_status.or_else(|| {
            let outer = engine.outer.as_ref()?;
            wait_status(outer).ok().flatten()
        })
    }

    /// Has the agent do its last work, and ends it.
    pub(super) fn finish(&mut self, clear: bool, status: Option<i32>) {
        self.step = InitStep::Ended;
        // There is nothing left to be signalled. The next agent still has to know that the pod ends.
        if let Some(stop) = &mut self.stop {
            stop.done = true;
        }
        // One that has just ended, or ends without having done it, is followed by another one, which is asked.
        let asked = Cell::new(None);
        let ask = |init: &Self| {
            let agent = init.agent.pid();
            if agent != asked.get() && init.agent.send(ToAgent::Finish { clear, status }) {
                asked.set(agent);
            }
            asked.get().is_some()
        };
        self.until(Instant::now() + AGENT_WITHIN, ask);
        if asked.get().is_some() {
            self.until(Instant::now() + FINISH_WITHIN, |init| {
                ask(init) && init.agent.is_done()
            });
        }
        self.agent.retire();
    }
}
