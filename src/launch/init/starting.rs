//! The start of the command: once the gate is open, and again where the agent decides so.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::{Gate, Init, Stop};
use crate::launch::channel::{InitStep, ToAgent};
use crate::launch::command::{self, Rest};
use crate::launch::log::Value;

/// The time in which the agent decides whether the command is started again; the kubelet would not wait
/// longer either, since an engine that is missing for 15 s fails liveness.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);

impl Init {
    /// Waits until the gate is open, or will not be opened any more; until `deadline` at most.
    pub(super) fn admitted(&mut self, deadline: Option<Instant>) -> Gate {
        loop {
            self.turn(deadline);
            match self.gate {
                // Without a moment until which it may run, a strict lease is none.
                Gate::Open(_) if self.settings.strict && !self.limited => self.gate = Gate::Shut,
                Gate::Open(_) if self.deadline.is_over() => self.gate = Gate::Shut,
                Gate::Shut => {}
                decided => return decided,
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Gate::Shut;
            }
        }
    }

    /// Starts the command anew where the agent decides so. Nothing of the one before may be left (`clear`).
    /// Returns whether it was started.
    pub(super) fn starts_again(&mut self, clear: bool) -> bool {
        let served = self.engine.is_some();
        if !(self.settings.in_place && clear && served && !self.fenced && self.stop.is_none()) {
            return false;
        }
        self.step = InitStep::Again;
        self.gate = Gate::Shut;
        self.agent.send(self.state());
        let epoch = match self.admitted(Some(Instant::now() + AGAIN_WITHIN)) {
            Gate::Open(epoch) => epoch,
            Gate::Stopped(signal) => {
                // The agent, this one or the next, then gives the lease up.
                self.agent.send(ToAgent::Stop(signal as i32));
                self.stop = Some(Stop {
                    signal,
                    due: Instant::now(),
                    done: true,
                });
                return false;
            }
            Gate::Shut | Gate::Left => return false,
        };
        self.rest = Rest::of(Pid::this());
        self.engine = None;
        // Where nothing can be started, the container ends as the engine did.
        let (command, engine) = (self.command_status.take(), self.engine_status.take());
        if self.start(epoch).is_ok() {
            return true;
        }
        (self.command_status, self.engine_status) = (command, engine);
        false
    }

    pub(super) fn start(&mut self, epoch: u64) -> Result<(), u8> {
        match command::start(&self.settings.program, &self.settings.command, epoch) {
            Ok(pid) => {
                let fields = [
                    ("pid", Value::Number(pid.as_raw().into())),
                    ("epoch", Value::Number(epoch.cast_signed())),
                ];
                self.log.info("the command runs", &fields);
                self.command = Some(pid);
                self.step = InitStep::Running;
                // An agent that does not take it says again that the gate is open, and is told again.
                self.agent.send(self.state());
                Ok(())
            }
            Err(error) => {
                let fields = [("error", Value::Text(&error))];
                self.log.warn("nothing can be started", &fields);
                self.message
                    .write(&format_args!("nothing can be started: {error}"));
                Err(command::CANT_RUN)
            }
        }
    }
}
