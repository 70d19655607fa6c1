//! Signals, and the stop that some of them ask for.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use rustix::io::Errno;
use rustix::process::pidfd_send_signal;

use super::{Gate, Init, Stop};
use crate::launch::channel::{InitStep, ToAgent};
use crate::launch::log::Value;

/// The time after which a stop that the supervisor has not taken on is carried out here.
pub(super) const ACCEPTED_WITHIN: Duration = Duration::from_secs(1);

impl Init {
    pub(super) fn signal(&mut self, number: u32) {
        let signal = i32::try_from(number).map(Signal::try_from);
        let Ok(Ok(signal)) = signal else {
            self.log.warn(
                "a signal that nobody waits for",
                &[("signal", Value::Number(number.into()))],
            );
            return;
        };
        match signal {
            // What has ended was reaped. A terminal's signals to the background concern nobody.
            Signal::SIGCHLD | Signal::SIGTTIN | Signal::SIGTTOU => {}
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT
                if matches!(self.step, InitStep::Waiting | InitStep::Again) =>
            {
                self.log.info(
                    "asked to stop before the engine was started",
                    &[("signal", Value::Text(&signal))],
                );
                self.gate = Gate::Stopped(signal);
            }
            Signal::SIGTERM | Signal::SIGINT => self.begin_stop(signal),
            signal => self.pass_on(signal),
        }
    }

    fn begin_stop(&mut self, signal: Signal) {
        let fields = [("signal", Value::Text(&signal))];
        if self.stop.is_some() {
            self.log.info("a stop is under way already", &fields);
            return;
        }
        self.log.info("the container is to stop", &fields);
        let wait = match self.agent.send(ToAgent::Stop(signal as i32)) {
            true => ACCEPTED_WITHIN,
            false => Duration::ZERO,
        };
        self.stop = Some(Stop {
            signal,
            due: Instant::now() + wait,
            done: false,
        });
    }

    pub(super) fn stop_now(&mut self, signal: Signal) {
        if let Some(stop) = &mut self.stop {
            stop.done = true;
        }
        self.pass_on(signal);
    }

    /// Sends the signal to the engine, or to the command's first process while there is no engine.
    pub(super) fn pass_on(&mut self, signal: Signal) {
        let (to, pid) = match (&self.engine, self.command) {
            (Some(engine), _) => ("passed on to the engine", engine.pid),
            (None, Some(command)) => ("passed on to the command: there is no engine yet", command),
            (None, None) => return,
        };
        let fields = [
            ("signal", Value::Text(&signal)),
            ("pid", Value::Number(pid.as_raw().into())),
        ];
        self.log.info(to, &fields);
        let known = rustix::process::Signal::from_named_raw(signal as i32);
        let pidfd = self
            .engine
            .as_ref()
            .and_then(|engine| engine.outer.as_ref());
        let ended = match &self.engine {
            Some(engine) => engine.gone,
            // The command is reaped by this process alone.
            None => self.command_status.is_some(),
        };
        let sent = match (pidfd, known) {
            (Some(pidfd), Some(known)) => {
                pidfd_send_signal(pidfd, known).map_err(std::io::Error::from)
            }
            // Once it is reaped, its pid may be another process's.
            _ if ended => Ok(()),
            _ => kill(pid, signal).map_err(std::io::Error::from),
        };
        match sent {
            Err(error) if error.raw_os_error() != Some(Errno::SRCH.raw_os_error()) => {
                self.log.warn(
                    "the signal can't be passed on",
                    &[("error", Value::Text(&error))],
                );
            }
            // It needs none any more.
            Ok(()) | Err(_) => {}
        }
    }
}
