//! From the start of the command to the end of everything below it.
//!
//! | step | what happens |
//! | --- | --- |
//! | start | the command runs; the outer `sqlservr` below it is looked for |
//! | run | everything that ends is reaped; signals are passed on to the engine |
//! | stop | the supervisor is told, and sees to it; without it the signal goes to the engine |
//! | end | the engine is gone, or there was none and the command has ended |
//! | clear | what is left gets SIGTERM, and SIGKILL in the end |
//!
//! **The exit status** is the engine's: of waitpid(2) where it was this process's child, which it is
//! once its own parent is dead; of its pidfd where another one has reaped it (Linux 6.15). Where
//! neither tells, it is the command's, whose shell passes on how its last command ended.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{info, warn};

use super::children::{Children, exit_code};
use super::engine::Engine;
use super::partner::{Partner, Told};
use super::signals::Signals;
use crate::config::ProcessConfig;
use crate::observe::process;

/// How often the engine is looked for after the start ...
const SEARCH: Duration = Duration::from_millis(100);
/// ... for this long; from then on at the slower pace, at which the end of one without a pidfd is
/// looked for as well.
const SEARCH_SPAN: Duration = Duration::from_secs(30);
const SLOW_SEARCH: Duration = Duration::from_secs(1);

/// A stop that the supervisor does not take on in this time is carried out here.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(1);
/// The supervisor's order to end the engine may be this late.
const ORDER_SLACK: Duration = Duration::from_secs(2);
/// The longest stop that is left to the supervisor. The kubelet's own grace is shorter as a rule.
const LONGEST_STOP: Duration = Duration::from_secs(3600);

/// The engine's parent reaps it within this time, as a rule at once.
const STATUS_WITHIN: Duration = Duration::from_millis(500);
/// From SIGTERM to SIGKILL for the shell and its other children.
const REST_GRACE: Duration = Duration::from_secs(3);
/// The same where an engine is left whose parent has died: it may be writing.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
/// What is still there this long after SIGKILL is left to the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// How often is looked whether it has gone.
const CLEARING: Duration = Duration::from_millis(20);

/// The first process, from the start of its command on.
#[derive(Debug)]
pub struct Init {
    name: String,
    proc_root: PathBuf,
    own: i32,
    signals: Signals,
    children: Children,
    partner: Partner,
    engine: Option<Engine>,
    stop: Option<Stop>,
    began: Instant,
    next_look: Instant,
}

/// A stop under way.
#[derive(Clone, Copy, Debug)]
struct Stop {
    signal: Signal,
    /// When the signal is passed on, unless the supervisor has ordered the end by then.
    due: Instant,
    /// Somebody has sent the engine its signal.
    done: bool,
}

enum Event {
    Signal(Signal),
    EngineEnded,
    Told(Told),
    Time,
}

impl Init {
    /// One that looks after `children`.
    #[must_use]
    pub fn new(
        config: &ProcessConfig,
        signals: Signals,
        children: Children,
        partner: Partner,
    ) -> Self {
        let now = Instant::now();
        Self {
            name: config.name.clone(),
            proc_root: config.proc_root.clone(),
            own: own_pid(),
            signals,
            children,
            partner,
            engine: None,
            stop: None,
            began: now,
            next_look: now,
        }
    }

    /// Runs to the end; the exit code.
    pub async fn run(mut self) -> u8 {
        while !self.is_over() {
            match self.event().await {
                Event::Signal(Signal::CHILD) | Event::EngineEnded | Event::Time => {}
                Event::Signal(Signal::TERM) => self.begin_stop(Signal::TERM),
                Event::Signal(Signal::INT) => self.begin_stop(Signal::INT),
                Event::Signal(signal) => self.pass_on(signal),
                Event::Told(told) => self.hear(told),
            }
        }
        self.clear().await
    }

    async fn event(&mut self) -> Event {
        let wake = match &self.stop {
            Some(stop) if !stop.done => stop.due.min(self.next_look),
            _ => self.next_look,
        };
        tokio::select! {
            biased;
            () = Engine::ended(self.engine.as_ref()) => Event::EngineEnded,
            signal = self.signals.next() => Event::Signal(signal),
            told = self.partner.told() => Event::Told(told),
            () = sleep_until(wake) => Event::Time,
        }
    }

    /// Reaps, looks, does what is due, and says whether this is the end.
    fn is_over(&mut self) -> bool {
        self.children.reap();
        let command_ended = self.children.command_status().is_some();
        if self.engine.is_none() && (command_ended || Instant::now() >= self.next_look) {
            self.look();
        }
        if self
            .stop
            .is_some_and(|stop| !stop.done && Instant::now() >= stop.due)
        {
            self.stop_now();
        }
        self.schedule();
        match &self.engine {
            Some(engine) => engine.is_gone(),
            None => command_ended,
        }
    }

    fn look(&mut self) {
        let found = process::outermost_below(&self.proc_root, &self.name, self.own);
        self.engine = found.and_then(|id| Engine::open(&self.proc_root, id));
        let Some(engine) = &self.engine else { return };
        info!(pid = engine.id.pid, "the engine runs");
        // What was sent to the command has come too early for the engine.
        if let Some(stop) = self.stop.filter(|stop| stop.done) {
            info!(pid = engine.id.pid, signal = ?stop.signal, "it is to stop at once");
            engine.signal(stop.signal);
        }
    }

    fn schedule(&mut self) {
        let now = Instant::now();
        let watched = self.engine.as_ref().is_some_and(Engine::is_watched);
        if now < self.next_look && !watched {
            return;
        }
        self.next_look = now
            + match now.duration_since(self.began) < SEARCH_SPAN && self.engine.is_none() {
                true => SEARCH,
                false => SLOW_SEARCH,
            };
    }

    /// The engine's, or the command's first process's while there is no engine.
    fn pass_on(&mut self, signal: Signal) {
        if self.engine.is_none() {
            self.look();
        }
        match &self.engine {
            Some(engine) => {
                info!(?signal, pid = engine.id.pid, "passed on to the engine");
                engine.signal(signal);
            }
            None => {
                let pid = self.children.command_pid();
                info!(
                    ?signal,
                    pid, "passed on to the command: there is no engine yet"
                );
                self.children.signal_command(signal);
            }
        }
    }

    fn begin_stop(&mut self, signal: Signal) {
        if let Some(stop) = &self.stop {
            info!(?signal, first = ?stop.signal, "a stop is under way already");
            return;
        }
        let linked = self.partner.request_stop(signal);
        info!(?signal, linked, "the container is to stop");
        let wait = match linked {
            true => ACCEPTED_WITHIN,
            false => Duration::ZERO,
        };
        self.stop = Some(Stop {
            signal,
            due: Instant::now() + wait,
            done: false,
        });
    }

    fn hear(&mut self, told: Told) {
        let Some(stop) = &mut self.stop else { return };
        match told {
            Told::StopAccepted(within) if !stop.done => {
                info!(?within, "the supervisor sees to the stop");
                stop.due = Instant::now() + within.min(LONGEST_STOP) + ORDER_SLACK;
            }
            Told::Lost if !stop.done => {
                info!("the supervisor is gone in the middle of the stop");
                stop.due = Instant::now();
            }
            Told::Terminated => stop.done = true,
            Told::StopAccepted(_) | Told::Lost => {}
        }
    }

    fn stop_now(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.done = true;
            let signal = stop.signal;
            self.pass_on(signal);
        }
    }

    /// Ends what is left; the exit code.
    async fn clear(mut self) -> u8 {
        if self.engine.is_some() {
            self.until(Instant::now() + STATUS_WITHIN, Self::status_is_known)
                .await;
        }
        let early = self.status();
        let command = self.children.command_status();
        if let (Some(engine), Some(status)) = (&self.engine, early) {
            self.partner.engine_ended(engine.id, Some(status));
        }
        let orphan = process::outermost_below(&self.proc_root, &self.name, self.own);
        if let Some(orphan) = orphan {
            warn!(pid = orphan.pid, "an engine is left without its parent");
        }
        let grace = match orphan {
            Some(_) => ORPHAN_GRACE,
            None => REST_GRACE,
        };
        for (signal, wait) in [(Signal::TERM, grace), (Signal::KILL, KILLED_WITHIN)] {
            if self.signal_rest(signal) == 0 {
                break;
            }
            self.until(Instant::now() + wait, Self::is_clear).await;
        }
        self.children.reap();
        // The shell's death has made its children this process's own.
        let status = early.or_else(|| self.status());
        if let (Some(engine), None) = (&self.engine, early) {
            self.partner.engine_ended(engine.id, status);
        }
        self.partner.finish().await;
        self.exit_code(status, command)
    }

    fn exit_code(&self, engine: Option<ExitStatus>, command: Option<ExitStatus>) -> u8 {
        let who = match &self.engine {
            Some(_) => "the engine",
            None => "the command",
        };
        match (engine, command) {
            (Some(status), _) => {
                info!(%status, "{who} has ended");
                exit_code(status)
            }
            (None, Some(status)) => {
                info!(%status, "the engine has ended; the kernel does not tell how: this is the command's status");
                exit_code(status)
            }
            (None, None) => {
                warn!("the engine has ended, and how it did is not known");
                1
            }
        }
    }

    /// How that ended for which this process is there.
    fn status(&self) -> Option<ExitStatus> {
        match &self.engine {
            Some(engine) => self
                .children
                .status_of(engine.id.pid)
                .or_else(|| engine.status()),
            None => self.children.command_status(),
        }
    }

    fn status_is_known(&self) -> bool {
        self.status().is_some()
    }

    fn is_clear(&self) -> bool {
        process::below(&self.proc_root, self.own).is_empty()
    }

    /// Waits until `met` or the deadline; reaps meanwhile.
    async fn until(&mut self, deadline: Instant, met: fn(&Self) -> bool) {
        loop {
            self.children.reap();
            if met(self) || Instant::now() >= deadline {
                return;
            }
            let next = deadline.min(Instant::now() + CLEARING);
            let _ = timeout_at(next, self.signals.next()).await;
        }
    }

    /// Signals all that lives below this process; how many that are.
    fn signal_rest(&self, signal: Signal) -> usize {
        let rest = process::below(&self.proc_root, self.own);
        for id in &rest {
            let Some(pid) = Pid::from_raw(id.pid) else {
                continue;
            };
            // It may have ended since the look: then there is nothing to do.
            let _ = kill_process(pid, signal);
        }
        if !rest.is_empty() {
            info!(
                ?signal,
                processes = rest.len(),
                "for what is left in the container"
            );
        }
        rest.len()
    }
}

/// This process's pid; none is above what the type holds (PID_MAX_LIMIT is 2^22).
pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}
