//! The wait for the start of the engine on this volume.
//!
//! | the supervisor | what follows |
//! | --- | --- |
//! | reports that the gate is open | the start, once the agent holds the lease |
//! | reports that it is shut | the wait goes on, its reasons are logged |
//! | can't be reached | after `gate-patience` the agent judges by its own checks |
//! | can't be reached, and its last verdict was a lasting no | the wait goes on: it is the wrong volume |
//!
//! The agent's own checks follow the supervisor's rules: the volume is mounted, writable and of a known
//! identity, and the lease is held. A no is lasting where it does not pass by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::link::LinkState;
use super::pid1::Pid1;
use crate::act::identities::IdentityBatches;
use crate::config::Config;
use crate::decide::decision::Decision;
use crate::decide::engine::{State, decide};
use crate::decide::lease::{LeaseMode, LeaseState};
use crate::decide::memory::Memory;
use crate::decide::observation::{LeaseReport, Observation, Observed};
use crate::decide::policy::Policy;
use crate::decide::reason::{Outcome, Reason};
use crate::decide::snapshot::Snapshot;
use crate::launch::channel::FromAgent;
use crate::link::{AGENT_HOLDS_LEASE, Cause, ProbeVerdict};
use crate::observe::clock::Clock;
use crate::observe::process::EnginePid;
use crate::observe::volume::VolumeThreads;
use crate::observe::{Sink, clock, volume};

/// The pause between two looks at the gate where nothing changes, and between two messages to PID 1 that it
/// is open.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The gate, with what it is judged by.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The settings.
    pub config: Config,
    /// The memory of an earlier supervisor of this pod.
    pub memory: Memory,
    /// The state of the link.
    pub state: watch::Receiver<LinkState>,
    /// The state of the lease.
    pub reports: watch::Receiver<Option<LeaseReport>>,
    /// The reasons why the gate is shut.
    pub shut: watch::Sender<Vec<Cause>>,
}

impl Gate {
    /// Sends PID 1 the message that the command may be started, again and again while it may. Never ends.
    pub async fn watch(mut self, pid1: Arc<Pid1>) {
        let patience = self.config.launch.gate_patience;
        let mut own: Option<OwnChecks> = None;
        let mut silent_since = Instant::now();
        info!("waits for the supervisor to open the gate");
        loop {
            let state = self.state.borrow_and_update().clone();
            let lease = self.reports.borrow_and_update().clone();
            let gate = state.fresh().map(|verdicts| verdicts.gate.clone());
            if gate.is_some() {
                silent_since = Instant::now();
                own = None;
            }
            let lasting = lasting(&state);
            let alone = gate.is_none() && silent_since.elapsed() >= patience;
            let gate = match (gate, lasting) {
                (Some(gate), _) => Some(gate),
                (None, Some(why)) => {
                    self.complain(&[why], "the supervisor is gone, and its last verdict was a no that stands until it says otherwise");
                    None
                }
                (None, None) if alone => match &mut own {
                    Some(own) => own.gate(lease.as_ref()).await,
                    None => {
                        own = OwnChecks::start(&self.config, &self.memory);
                        None
                    }
                },
                (None, None) => None,
            };
            match &gate {
                Some(gate) if gate.pass => match self.epoch(&state, lease.as_ref()) {
                    Some(epoch) => {
                        if own.is_some() {
                            warn!(
                                ?patience,
                                "the supervisor can't be reached: the gate is opened by the agent's own checks"
                            );
                        }
                        pid1.send(FromAgent::Start(epoch));
                    }
                    None => self.complain(&[not_held(lease.as_ref())], "the gate is shut"),
                },
                Some(gate) => self.complain(&gate.reasons, "the gate is shut"),
                None => {}
            }
            self.rest(own.as_mut()).await;
        }
    }

    async fn rest(&mut self, own: Option<&mut OwnChecks>) {
        let look = Instant::now() + LOOK_AGAIN;
        let observed = async {
            match own {
                Some(own) => own.observe().await,
                None => std::future::pending().await,
            }
        };
        let (state, reports) = (&mut self.state, &mut self.reports);
        let changed = async {
            tokio::select! {
                changed = state.changed() => changed.is_ok(),
                changed = reports.changed() => changed.is_ok(),
                () = observed => true,
            }
        };
        if let Ok(false) = timeout_at(look, changed).await {
            // Their senders end with this agent.
            std::future::pending::<()>().await;
        }
    }

    /// Returns the epoch under which the engine may be started, zero without a lease; none where the lease is
    /// not held.
    fn epoch(&self, state: &LinkState, lease: Option<&LeaseReport>) -> Option<u64> {
        let old = state
            .version
            .is_some_and(|version| version < AGENT_HOLDS_LEASE);
        match lease.map(|report| &report.state) {
            _ if self.config.policy.lease == LeaseMode::Off => Some(0),
            Some(LeaseState::Held { epoch, .. }) => Some(*epoch),
            // Its gate is open, so that it holds the lease.
            _ if old => Some(
                state
                    .fresh()
                    .and_then(|verdicts| verdicts.epoch)
                    .unwrap_or(0),
            ),
            _ => None,
        }
    }

    /// Logs why the gate is shut, when that has changed.
    fn complain(&self, causes: &[Cause], message: &'static str) {
        let codes = |causes: &[Cause]| -> Vec<String> {
            causes.iter().map(|cause| cause.code.clone()).collect()
        };
        let before = codes(&self.shut.borrow());
        self.shut.send_replace(causes.to_vec());
        if before == codes(causes) {
            return;
        }
        for cause in causes {
            warn!(code = cause.code, evidence = cause.evidence, "{message}");
        }
    }
}

fn not_held(lease: Option<&LeaseReport>) -> Cause {
    let failure = lease.and_then(|report| report.failure.clone());
    let evidence = match lease.map(|report| &report.state) {
        Some(LeaseState::Elsewhere {
            epoch,
            holder: Some(holder),
            ..
        }) => format!("lease {epoch} is held by {} on {}", holder.id, holder.node),
        _ => "it is not taken yet".to_owned(),
    };
    Cause {
        code: Reason::LeaseNotHeld.code().to_owned(),
        evidence: match failure {
            Some(why) => format!("{evidence}: {why}"),
            None => evidence,
        },
    }
}

/// Returns a reason for which the gate was shut last and which time alone does not mend. A reason that a
/// later version gives, and this one does not know, is taken for such a one.
fn lasting(state: &LinkState) -> Option<Cause> {
    let gate = &state.received.as_ref()?.verdicts.gate;
    let lasts = |cause: &&Cause| {
        Reason::from_code(&cause.code).is_none_or(|reason| reason.info().outcome != Outcome::Wait)
    };
    gate.reasons
        .iter()
        .filter(|_| !gate.pass)
        .find(lasts)
        .cloned()
}

/// The gate's rules on what is observed here: the volume and the lease.
#[derive(Debug)]
pub struct Judge {
    policy: Policy,
    clock: Clock,
    sink: Sink,
    observations: mpsc::Receiver<Observed<Observation>>,
    state: State,
    snapshot: Snapshot,
}

impl Judge {
    /// Returns a judge that has observed nothing yet. `memory` is what an earlier run knew.
    #[must_use]
    pub fn new(config: &Config, memory: Memory) -> Self {
        let clock = Clock::start(config.http.decision_stale_after);
        let (sink, observations) = Sink::new(clock.clone());
        Self {
            policy: config.policy.clone(),
            clock,
            sink,
            observations,
            state: State::recall(&config.policy, memory),
            snapshot: Snapshot::default(),
        }
    }

    /// Returns the sink for observations.
    #[must_use]
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Returns the snapshot of what was observed.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes in an observation of this moment.
    pub fn take(&mut self, value: Observation) {
        let at = self.clock.now();
        self.snapshot.apply(Observed { at, value });
    }

    /// Decides on what was observed so far.
    pub fn decide(&mut self) -> Decision {
        while let Ok(observed) = self.observations.try_recv() {
            self.snapshot.apply(observed);
        }
        let now = self.clock.now();
        let (next, decision) = decide(&self.policy, self.state.clone(), &self.snapshot, now);
        self.state = next;
        decision
    }

    /// Waits for an observation, for `limit` at most. Cancel safe.
    pub async fn observe(&mut self, limit: Duration) {
        if let Ok(Some(observed)) = timeout(limit, self.observations.recv()).await {
            self.snapshot.apply(observed);
        }
    }
}

/// The agent's own checks.
struct OwnChecks {
    judge: Judge,
    /// The writer of the identities. A supervisor that is linked writes them itself; these checks run only
    /// without one.
    identities: IdentityBatches,
    _volume: VolumeThreads,
    ticks: JoinHandle<()>,
}

impl Drop for OwnChecks {
    fn drop(&mut self) {
        self.ticks.abort();
    }
}

impl OwnChecks {
    fn start(config: &Config, memory: &Memory) -> Option<Self> {
        let judge = Judge::new(config, memory.clone());
        let volume = volume::spawn(config.volume.clone(), EnginePid::default(), judge.sink());
        match volume {
            Ok(volume) => Some(Self {
                ticks: tokio::spawn(clock::observe(judge.sink())),
                judge,
                identities: IdentityBatches::default(),
                _volume: volume,
            }),
            Err(error) => {
                error!(%error, "the volume's thread can't be started; it is tried again");
                None
            }
        }
    }

    async fn observe(&mut self) {
        self.judge.observe(LOOK_AGAIN).await;
    }

    /// Returns the verdict on the gate by what was observed so far.
    async fn gate(&mut self, lease: Option<&LeaseReport>) -> Option<ProbeVerdict> {
        if let Some(report) = lease {
            // The agent is its holder: nobody stands between.
            self.judge.take(Observation::Lease(report.clone()));
        }
        let decision = self.judge.decide();
        self.identities.offer(&decision.identity_writes).await;
        Some(ProbeVerdict::new(&decision.gate, &decision))
    }
}
