//! The lease, held by the agent for as long as the engine may run.
//!
//! | the lease | what PID 1 is sent |
//! | --- | --- |
//! | is held, and strict | the engine may run until `lease-fence` after the beginning of the last renewal |
//! | is held, and advisory | the engine may run |
//! | another holder has taken it | fence |
//! | is not held, and nobody else is known to have it | nothing: a strict one runs out |
//!
//! The thread that renews sends it itself: a main thread that is stuck costs no renewal.
//!
//! **Who holds it.** A supervisor of version 1 holds the lease itself, and the agent does not while one is
//! linked. One of version 2 gives it up to the agent; what a supervisor has claimed before it knew of the
//! agent is taken back, as the same pod's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use super::link::{LinkState, Request};
use super::memory::{Engine, Memory};
use super::pid1::Pid1;
use crate::act::holder::{self, HolderConfig, Keep, LeaseHolder};
use crate::config::{Config, VolumeConfig};
use crate::decide::lease::{Epoch, LeaseState};
use crate::decide::observation::LeaseReport;
use crate::launch::channel::{FENCE, FromAgent, NO_LIMIT};
use crate::link::AGENT_HOLDS_LEASE;
use crate::observe::volume::main_directory;

/// The pause between two tries to start the thread.
const RETRY: Duration = Duration::from_secs(1);
/// The pause before the agent claims again, after another run of this pod has claimed, as one may for a
/// moment.
const KIN_PATIENCE: Duration = Duration::from_millis(500);

/// The task that holds the lease.
#[derive(Debug)]
pub struct Lease {
    config: HolderConfig,
    volume: VolumeConfig,
    patience: Duration,
    pid1: Arc<Pid1>,
    memory: Memory,
    state: watch::Receiver<LinkState>,
    /// The engine that runs, by which a later run of this pod recognizes the claim as its own.
    engine: watch::Receiver<Option<Option<Engine>>>,
    reports: watch::Sender<Option<LeaseReport>>,
    /// The thread that holds the lease, while there is one.
    holder: watch::Sender<Option<LeaseHolder>>,
}

impl Lease {
    /// Returns a task that holds nothing yet.
    #[must_use]
    pub fn new(
        config: &Config,
        pid1: Arc<Pid1>,
        memory: Memory,
        state: watch::Receiver<LinkState>,
        engine: watch::Receiver<Option<Option<Engine>>>,
    ) -> Self {
        Self {
            config: HolderConfig::of(config),
            volume: config.volume.clone(),
            patience: config.launch.gate_patience,
            pid1,
            memory,
            state,
            engine,
            reports: watch::Sender::new(None),
            holder: watch::Sender::new(None),
        }
    }

    /// Returns the state of the lease; none while this agent does not contend for it.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<Option<LeaseReport>> {
        self.reports.subscribe()
    }

    /// Returns the thread that holds the lease, while there is one.
    #[must_use]
    pub fn holder(&self) -> watch::Receiver<Option<LeaseHolder>> {
        self.holder.subscribe()
    }

    /// Holds the lease, and reports it over the link. Never ends.
    pub async fn hold(mut self, link: mpsc::Sender<Request>) {
        // The agent before held it: its claim is renewed at once.
        if self.memory.get().held.is_none() {
            let linked = |state: &LinkState| supervisor_holds_lease(state) == Some(false);
            // Its sender lives as long as the link's task.
            let _ = timeout(self.patience, self.state.wait_for(linked)).await;
        }
        loop {
            if supervisor_holds_lease(&self.state.borrow()) == Some(true) {
                self.leave_to_supervisor().await;
            }
            match self.contend(&link) {
                Ok(thread) => {
                    self.holder.send_replace(Some(thread));
                    self.see_engine();
                    self.superseded().await;
                }
                Err(error) => {
                    error!(%error, "the lease's thread can't be started; it is tried again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Waits while a supervisor that holds the lease itself is linked, or is about to be again.
    async fn leave_to_supervisor(&mut self) {
        self.holder.send_replace(None);
        self.reports.send_replace(None);
        self.pid1.send(FromAgent::RunUntil(NO_LIMIT));
        let mut gone = Instant::now();
        while gone.elapsed() < self.patience {
            let holds = supervisor_holds_lease(&self.state.borrow_and_update());
            match holds {
                Some(false) => return,
                Some(true) => gone = Instant::now(),
                None => {}
            }
            let _ = timeout(RETRY.min(self.patience), self.state.changed()).await;
        }
        info!("the supervisor that held the lease is away: the agent takes it");
    }

    fn contend(&self, link: &mpsc::Sender<Request>) -> std::io::Result<LeaseHolder> {
        // What the thread before reported last is no reason to replace the new one.
        self.reports.send_replace(None);
        let volume = self.volume.clone();
        let place = move || main_directory(&volume);
        let (pid1, memory) = (Arc::clone(&self.pid1), self.memory.clone());
        let (reports, link) = (self.reports.clone(), link.clone());
        let config = self.config.clone();
        let report = move |mut report: LeaseReport| {
            recognize(&mut report, |id| holder::is_of_this_pod(&config, id));
            send_limit(&report, &pid1, &memory);
            if !pid1.has_started() || is_certain(&report.state) {
                // A queue that is full belongs to a link that does not run.
                let _ = link.try_send(Request::Lease(report.clone()));
            }
            reports.send_replace(Some(report));
        };
        let to = Arc::clone(&self.pid1);
        let keep = Keep::new(move |lock| to.send_with(FromAgent::Lock, &[lock]));
        holder::spawn(self.config.clone(), place, Some(keep), report)
    }

    fn see_engine(&mut self) {
        let engine = self.engine.borrow_and_update().flatten();
        if let (Some(thread), Some((outer, _))) = (&*self.holder.borrow(), engine) {
            thread.see_engine(Some(outer));
        }
    }

    /// Waits until the thread has to be replaced: another run of this pod has claimed, or an older supervisor
    /// holds the lease.
    async fn superseded(&mut self) {
        let mut reports = self.reports.subscribe();
        loop {
            if supervisor_holds_lease(&self.state.borrow_and_update()) == Some(true) {
                return;
            }
            let by_kin = |report: &Option<LeaseReport>| {
                matches!(
                    report.as_ref().map(|report| &report.state),
                    Some(LeaseState::Elsewhere { own_pod: true, .. })
                )
            };
            if by_kin(&reports.borrow_and_update()) {
                sleep(KIN_PATIENCE).await;
                info!("another one of this pod has claimed the lease: it is claimed back");
                return;
            }
            tokio::select! {
                changed = self.state.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                _ = reports.changed() => {}
                Ok(()) = self.engine.changed() => self.see_engine(),
            }
        }
    }
}

/// Whether the linked supervisor holds the lease itself; none where no supervisor is linked.
fn supervisor_holds_lease(state: &LinkState) -> Option<bool> {
    state.version.map(|version| version < AGENT_HOLDS_LEASE)
}

/// Whether a supervisor may draw conclusions from the state: a claim that is held, or that another holder has
/// followed.
fn is_certain(standing: &LeaseState) -> bool {
    matches!(
        standing,
        LeaseState::Held { .. }
            | LeaseState::Lost {
                by: Some(_),
                holder: Some(_),
                ..
            }
    )
}

/// Takes a claim for this pod's own where `is_own` is true of its holder's id: a supervisor that has just
/// been started may claim before it knows of the agent.
fn recognize(report: &mut LeaseReport, is_own: impl Fn(&str) -> bool) {
    let (epoch, holder) = match &report.state {
        LeaseState::Lost {
            by: Some(epoch),
            holder: Some(holder),
            ..
        }
        | LeaseState::Elsewhere {
            epoch,
            holder: Some(holder),
            own_pod: false,
            ..
        } => (*epoch, holder),
        _ => return,
    };
    if is_own(&holder.id) {
        report.state = LeaseState::Elsewhere {
            epoch,
            holder: Some(holder.clone()),
            own_pod: true,
            unchanged: Duration::ZERO,
        };
    }
}

/// Sends PID 1 until when the engine may run, and remembers the epoch that is held. A fence that PID 1 does not
/// take is sent with the next report: the epoch from which it follows is not remembered before.
fn send_limit(report: &LeaseReport, pid1: &Pid1, memory: &Memory) {
    let runs = pid1.has_started();
    if let Some(until) = run_until(report, memory.get().held, runs) {
        if until == FENCE && runs {
            warn!(?report, "the lease is lost: the engine is fenced");
        }
        if !pid1.send(FromAgent::RunUntil(until)) && until == FENCE {
            return;
        }
    }
    if let LeaseState::Held { epoch, .. } = report.state {
        memory.change(|contents| contents.held = Some(epoch));
    }
}

/// Returns until when the engine may run, for PID 1; none where there is nothing new to send. `held` is the
/// last epoch that this container has held, `runs` whether the command was started.
fn run_until(report: &LeaseReport, held: Option<Epoch>, runs: bool) -> Option<u64> {
    let after = |epoch: Epoch| held.is_some_and(|held| epoch > held);
    match &report.state {
        // Others have had it in between.
        LeaseState::Held { first, .. } if runs && after(*first) => Some(FENCE),
        LeaseState::Held { .. } => Some(report.run_until.map_or(NO_LIMIT, |until| {
            u64::try_from(until.as_nanos()).unwrap_or(NO_LIMIT - 1)
        })),
        // Who has followed has to be known: it may be a supervisor of this pod.
        LeaseState::Lost {
            by: Some(_),
            holder: Some(_),
            ..
        } => Some(FENCE),
        // An agent that has just started does not know what the one before did; the epoch tells.
        LeaseState::Elsewhere {
            epoch,
            holder: Some(_),
            own_pod: false,
            ..
        } if after(*epoch) => Some(FENCE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse::parse;
    use crate::config::raw::Raw;
    use crate::config::{Environment, Flags, Sources};
    use crate::decide::lease::HolderIdentity as Who;
    use crate::launch::channel::InitStep;

    const UNTIL: Duration = Duration::from_secs(117);

    fn until(strict: bool, state: &LeaseState, held: Option<Epoch>, runs: bool) -> Option<u64> {
        let report = LeaseReport {
            state: state.clone(),
            failure: None,
            run_until: strict.then_some(UNTIL),
            left_out: Duration::ZERO,
        };
        run_until(&report, held, runs)
    }

    fn held(epoch: Epoch, first: Epoch) -> LeaseState {
        LeaseState::Held {
            epoch,
            first,
            age: Duration::from_secs(3),
        }
    }

    fn elsewhere(epoch: Epoch, known: bool, own_pod: bool) -> LeaseState {
        LeaseState::Elsewhere {
            epoch,
            holder: known.then(Who::default),
            own_pod,
            unchanged: Duration::ZERO,
        }
    }

    fn lost(by: Option<Epoch>, known: bool) -> LeaseState {
        LeaseState::Lost {
            epoch: 4,
            by,
            holder: known.then(Who::default),
        }
    }

    #[test]
    fn a_supervisor_of_this_pod_is_no_other_holder() {
        for state in [lost(Some(5), true), elsewhere(5, true, false)] {
            let mut report = LeaseReport {
                state: state.clone(),
                failure: None,
                run_until: None,
                left_out: Duration::ZERO,
            };
            recognize(&mut report, |_| false);
            assert_eq!(report.state, state);
            assert_eq!(run_until(&report, Some(4), true), Some(FENCE));
            recognize(&mut report, |id| id == Who::default().id);
            assert_eq!(run_until(&report, Some(4), true), None);
            let own = matches!(report.state, LeaseState::Elsewhere { own_pod: true, .. });
            assert!(own, "{report:?}");
        }
    }

    #[test]
    fn a_strict_lease_has_its_moment() {
        let at = until(true, &held(4, 4), Some(4), true);
        assert_eq!(at, Some(117_000_000_000));
        assert_eq!(until(false, &held(4, 4), Some(4), true), Some(NO_LIMIT));
    }

    /// Returns PID 1's end of a channel, and the agent's, where the command runs.
    fn channel() -> (std::os::fd::OwnedFd, Arc<Pid1>) {
        let (pid1, agent) = crate::launch::channel::pair().unwrap();
        (pid1, Pid1::over(agent, InitStep::Running).unwrap())
    }

    /// Returns the messages that PID 1 has not read yet.
    fn unread(pid1: &std::os::fd::OwnedFd) -> Vec<FromAgent> {
        let next = || crate::launch::channel::receive(pid1).unwrap();
        std::iter::from_fn(next)
            .map(|(message, _)| message)
            .collect()
    }

    fn report(state: LeaseState) -> LeaseReport {
        LeaseReport {
            state,
            failure: None,
            run_until: None,
            left_out: Duration::ZERO,
        }
    }

    #[tokio::test]
    async fn a_fence_that_is_not_taken_is_sent_again() {
        let (pid1, agent) = channel();
        let memory = Memory::open(None);
        memory.change(|contents| contents.held = Some(4));
        // PID 1 does not read for a while.
        while agent.send(FromAgent::Beat) {}
        let followed = report(held(6, 6));
        send_limit(&followed, &agent, &memory);
        let missed = unread(&pid1);
        assert!(missed.iter().all(|message| *message == FromAgent::Beat));
        send_limit(&followed, &agent, &memory);
        assert_eq!(unread(&pid1), [FromAgent::RunUntil(FENCE)]);
        send_limit(&followed, &agent, &memory);
        assert_eq!(unread(&pid1), [FromAgent::RunUntil(NO_LIMIT)]);
    }

    #[tokio::test]
    async fn a_new_thread_is_not_replaced_for_what_the_one_before_reported() {
        let scratch = crate::records::atomic::tests::Scratch::new();
        let directory = scratch.0.display().to_string();
        let flags = ["data-dir", "state-dir"].map(|key| (key, Raw::Text(directory.clone())));
        let flags = Flags {
            values: flags.into_iter().collect(),
            ..Flags::default()
        };
        let password = ("MSSQL_SA_PASSWORD".into(), "secret".into());
        let sources = Sources::load(flags, Environment::from_vars([password]));
        let config = parse(&sources).unwrap().config;
        let (_pid1, agent) = channel();
        let (_linked, state) = watch::channel(LinkState::default());
        let (_seen, engine) = watch::channel(None);
        let lease = Lease::new(&config, agent, Memory::open(None), state, engine);
        lease
            .reports
            .send_replace(Some(report(elsewhere(5, true, true))));
        let (requests, _taken) = mpsc::channel(1);
        let _thread = lease.contend(&requests).unwrap();
        let last = lease
            .reports
            .borrow()
            .as_ref()
            .map(|report| report.state.clone());
        assert!(
            !matches!(last, Some(LeaseState::Elsewhere { .. })),
            "{last:?}"
        );
    }

    #[test]
    fn an_engine_is_fenced_for_what_is_certain() {
        for strict in [true, false] {
            let until = |standing| until(strict, &standing, Some(4), true);
            assert_eq!(until(lost(Some(5), true)), Some(FENCE));
            assert_eq!(until(elsewhere(5, true, false)), Some(FENCE));
            assert_eq!(until(held(6, 6)), Some(FENCE), "others had 5");
            assert_ne!(until(held(6, 4)), Some(FENCE), "a new agent's claim");
            for uncertain in [
                LeaseState::Unknown,
                LeaseState::Released,
                lost(None, false),
                lost(Some(5), false),
                elsewhere(5, false, false),
                elsewhere(5, true, true),
                elsewhere(4, true, false),
            ] {
                assert_eq!(until(uncertain.clone()), None, "{uncertain:?}");
            }
        }
        // Nothing of it was ever held here.
        assert_eq!(until(true, &elsewhere(5, true, false), None, true), None);
        // Nothing runs that could write.
        assert_ne!(until(true, &held(6, 6), Some(4), false), Some(FENCE));
    }
}
