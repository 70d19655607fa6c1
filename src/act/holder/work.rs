//! The lease holder's thread: one step of the state machine after the other, with the commands in between.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Duration;

use tracing::{info, warn};

use super::wait::{Wait, Woken, now};
use super::{Command, HolderConfig, Keep, identity};
use crate::decide::lease::{LeaseMachine, LeaseMode, LeaseReply, LeaseState, LeaseStep};
use crate::decide::observation::{LeaseReport, ProcessId};
use crate::parts::turn;
use crate::records::claims::Claims;
use crate::records::claims::lock::HolderFile;
use crate::records::identity::random;

pub(super) struct Work<R> {
    config: HolderConfig,
    wait: Wait,
    report: R,
    /// The state machine of the lease; none where there is no lease, or another process of the same pod
    /// contends for it.
    machine: Option<LeaseMachine>,
    /// Whether the lease is contended for from here.
    contends: bool,
    engine: Option<ProcessId>,
    keep: Option<Keep>,
    claims: Claims,
    released: Option<SyncSender<()>>,
    logged: Option<LeaseState>,
    /// The error of writing the holder's file, as it was logged last.
    complaint: Option<String>,
}

impl<R: Fn(LeaseReport)> Work<R> {
    pub(super) fn new(config: HolderConfig, wait: Wait, keep: Option<Keep>, report: R) -> Self {
        let mut work = Self {
            machine: None,
            contends: config.contends,
            engine: None,
            keep,
            claims: Claims::on(&config.data_dir),
            config,
            wait,
            report,
            released: None,
            logged: None,
            complaint: None,
        };
        work.set_up();
        work
    }

    /// Makes the state machine, where the lease is contended for from here.
    fn set_up(&mut self) {
        self.machine = None;
        if !self.contends || self.config.mode == LeaseMode::Off {
            return;
        }
        let mut me = identity::this(&self.config);
        me.details.engine = self.engine;
        let nonce = u64::from_ne_bytes(random());
        let keep = self.keep.take().or_else(|| self.claims.take_keep());
        let file = HolderFile::new(&me.identity.id, nonce, me.details.clone(), keep);
        self.claims = Claims::on(&self.config.data_dir).with_holder(file);
        self.machine = Some(LeaseMachine::new(me, nonce, self.config.terms()));
    }

    /// Runs until nobody can send commands any more.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut step = LeaseStep::Rest(Duration::ZERO);
        loop {
            let reply = match &step {
                LeaseStep::Rest(span) => {
                    turn("shared.lease");
                    self.tend_holder();
                    self.report();
                    if !self.rest(*span, commands) {
                        return;
                    }
                    LeaseReply::Done
                }
                step => self.claims.execute(step),
            };
            step = match &mut self.machine {
                Some(machine) => machine.next(reply, now()),
                None => LeaseStep::Rest(self.config.renew),
            };
        }
    }

    /// Keeps the holder's file beside its claim up to date.
    fn tend_holder(&mut self) {
        if !self
            .machine
            .as_ref()
            .is_some_and(|machine| machine.holds(now()))
        {
            return;
        }
        let complaint = self
            .claims
            .tend_holder()
            .err()
            .map(|error| error.to_string());
        if let Some(error) = complaint.as_ref().filter(|_| complaint != self.complaint) {
            warn!(%error, "the holder's file beside the claim can't be written");
        }
        self.complaint = complaint;
    }

    /// Reports the lease's state, and answers the command that waits for the release.
    fn report(&mut self) {
        self.report_state();
        // Last of all: who waits for it ends the process.
        let given_up = |machine: &LeaseMachine| machine.is_released();
        if self.machine.as_ref().is_none_or(given_up)
            && let Some(done) = self.released.take()
        {
            // Nobody waits any more where it took too long.
            let _ = done.send(());
        }
    }

    fn report_state(&mut self) {
        let Some(machine) = &self.machine else {
            return;
        };
        let state = machine.state(now());
        let changed = self.logged.as_ref().map(std::mem::discriminant)
            != Some(std::mem::discriminant(&state));
        if changed {
            let holder = &machine.me.identity.id;
            match &state {
                LeaseState::Held { epoch, first, .. } => {
                    info!(epoch, first, holder, "the lease is held");
                }
                LeaseState::Released => info!("the lease is given up"),
                // What is in the way is logged with its reason.
                _ => {}
            }
            self.logged = Some(state.clone());
        }
        (self.report)(LeaseReport {
            state,
            failure: machine.failure.clone(),
            run_until: machine.run_until(),
            left_out: Duration::ZERO,
        });
    }

    /// Rests for `span`, and obeys the commands that are sent. Returns false where the thread is to end.
    fn rest(&mut self, span: Duration, commands: &Receiver<Command>) -> bool {
        let end = now().saturating_add(span);
        // Who holds it looks at its own pace, and makes the changes itself.
        let watches = |machine: &LeaseMachine| !machine.releasing && !machine.holds(now());
        let watches = self.machine.as_ref().is_some_and(watches);
        let data_dir = Some(self.config.data_dir.as_path());
        self.wait.watch_claims(data_dir.filter(|_| watches));
        loop {
            let woken = self.wait.until(end);
            loop {
                let command = match commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return false,
                };
                if self.obey(command) {
                    return true;
                }
            }
            if woken == Woken::Claims || now() >= end {
                return true;
            }
        }
    }

    /// Obeys a command. Returns whether the rest is over with it.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Contend(contends) if contends != self.contends => {
                self.contends = contends;
                self.set_up();
                return true;
            }
            Command::Contend(_) => {}
            Command::SeeEngine(engine) => {
                self.engine = engine;
                self.claims.see_engine(engine);
                if let Some(machine) = &mut self.machine {
                    machine.see_engine(engine);
                }
                self.tend_holder();
            }
            Command::Run(job) => job(&self.config.data_dir),
            Command::Release(done) => {
                self.released = Some(done);
                if let Some(machine) = &mut self.machine {
                    machine.release();
                }
                return true;
            }
        }
        false
    }
}
