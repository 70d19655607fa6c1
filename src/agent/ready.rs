//! Readiness, answered in the SQL container: the supervisor's verdict, and what stands while it is away.
//!
//! | the supervisor | `/readyz` |
//! | --- | --- |
//! | is linked and has a verdict | that verdict |
//! | is away, or has just started and does not know yet | its last pass, while it stands |
//! | has never given this engine a pass, or has failed it last | fails |
//!
//! A pass stands for `ready-hold`, as long as it is the same engine and that answers a PRELOGIN at the pace
//! of the pings. A PRELOGIN is the first packet of a TDS connection (MS-TDS 2.2.6.5): it needs no login, and
//! an engine that hangs does not answer it.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info};

use super::link::LinkState;
use super::memory::{Engine, Memory, Pass};
use crate::config::{Config, Pace, TlsMode};
use crate::decide::observation::{AttemptStage, ContactError};
use crate::decide::reason::Reason;
use crate::link::{Cause, ProbeVerdict};
use crate::tds::error::from_io;
use crate::tds::prelogin::exchange;

/// The time after an agent's start for the first look at the processes and the first PRELOGIN.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The sources of the answer to readiness. Its clones share them.
#[derive(Clone, Debug)]
pub struct Readiness {
    hold: Duration,
    freshness: Duration,
    /// The pace of the supervisor's pings, which a PRELOGIN replaces.
    pace: Pace,
    address: String,
    state: watch::Receiver<LinkState>,
    engine: watch::Receiver<Option<Option<Engine>>>,
    memory: Memory,
    held: Arc<watch::Sender<bool>>,
}

impl Readiness {
    /// Returns the readiness by the settings.
    #[must_use]
    pub fn new(
        config: &Config,
        state: watch::Receiver<LinkState>,
        engine: watch::Receiver<Option<Option<Engine>>>,
        memory: Memory,
    ) -> Self {
        Self {
            hold: config.launch.ready_hold,
            freshness: config.policy.ready_freshness,
            pace: config.sql.ping,
            address: config.sql.targets().clients.to_string(),
            state,
            engine,
            memory,
            held: Arc::default(),
        }
    }

    /// Waits for the first look whether an engine runs and answers, for a moment after an agent's start at
    /// most.
    pub async fn looked(&self) {
        let mut engine = self.engine.clone();
        let look = async {
            if self.memory.get().pass.is_some() {
                let _ = engine.wait_for(Option::is_some).await;
                self.ask().await;
            }
        };
        let _ = timeout(FIRST_LOOK, look).await;
    }

    /// Returns the verdict of this moment; none where an older supervisor alone answers readiness.
    #[must_use]
    pub fn verdict(&self) -> Option<ProbeVerdict> {
        let state = self.state.borrow();
        if state.is_old() {
            return None;
        }
        if let Some(ready) = state.fresh().and_then(|verdicts| verdicts.ready.as_ref()) {
            return Some(ready.verdict.clone());
        }
        let running = self.engine.borrow().flatten();
        Some(self.held(self.memory.get().pass, running, now()))
    }

    /// Returns the verdict that stands where the supervisor gives none.
    fn held(&self, pass: Option<Pass>, running: Option<Engine>, now: u64) -> ProbeVerdict {
        let away = |pass: bool, evidence: String| ProbeVerdict {
            pass,
            reasons: vec![Cause {
                code: Reason::SupervisorAway.code().to_owned(),
                evidence,
            }],
        };
        let Some(given) = pass else {
            let why = "no supervisor has called this engine ready";
            return away(false, why.to_owned());
        };
        let ago = |at: u64| Duration::from_millis(now.saturating_sub(at));
        let (given_ago, answered_ago) = (ago(given.at), ago(given.answered));
        let seconds = given_ago.as_secs();
        match running {
            Some(running) if !is_same(given.engine, running) => away(
                false,
                "no supervisor has called this engine process ready".to_owned(),
            ),
            None => away(false, "no engine process is seen".to_owned()),
            Some(_) if given_ago >= self.hold => away(
                false,
                format!("the last pass was given {seconds} s ago: it does not stand any more"),
            ),
            Some(_) if answered_ago >= self.freshness => away(
                false,
                format!(
                    "the engine last answered {} s ago, and the last pass was given {seconds} s ago",
                    answered_ago.as_secs()
                ),
            ),
            Some(_) => away(
                true,
                format!("the last pass, given {seconds} s ago, stands: the same engine answers"),
            ),
        }
    }

    /// Remembers the passes that a supervisor gives, and asks the engine itself while none does. Never ends.
    pub async fn probe(self) {
        let (mut state, mut ticks) = (self.state.clone(), interval(self.pace.interval));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let tick = tokio::select! {
                changed = state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    false
                }
                _ = ticks.tick() => true,
            };
            let ready = {
                let state = state.borrow_and_update();
                state.fresh().and_then(|verdicts| verdicts.ready.clone())
            };
            match (ready, tick) {
                (Some(ready), _) => {
                    self.remember(ready.verdict.pass, ready.engine);
                    self.note(false);
                }
                (None, true) => {
                    let asks = self.memory.get().pass.is_some();
                    self.note(asks);
                    if asks {
                        self.ask().await;
                    }
                }
                (None, false) => {}
            }
        }
    }

    fn remember(&self, pass: bool, engine: Option<Engine>) {
        let (at, answered) = (now(), now());
        self.memory.change(|contents| match (pass, engine) {
            (true, Some(engine)) => {
                contents.pass = Some(Pass {
                    engine,
                    at,
                    answered,
                });
            }
            // A supervisor that does not see the processes yet has called none of them ready.
            (true, None) => {}
            (false, _) => contents.pass = None,
        });
    }

    fn note(&self, held: bool) {
        if self.held.send_replace(held) != held {
            match held {
                true => info!(code = Reason::SupervisorAway.code(), hold = ?self.hold,
                    "the supervisor is away: its last pass stands while the engine answers"),
                false => info!("the supervisor's verdict on readiness counts again"),
            }
        }
    }

    async fn ask(&self) {
        let address = {
            let state = self.state.borrow();
            let received = state.received.as_ref();
            let ready = received.and_then(|received| received.verdicts.ready.as_ref());
            ready.map_or_else(|| self.address.clone(), |ready| ready.address.clone())
        };
        let asked = now();
        match timeout(self.pace.deadline, prelogin(&address)).await {
            Ok(Ok(())) => self.memory.change(|contents| {
                if let Some(pass) = &mut contents.pass {
                    pass.answered = asked;
                }
            }),
            Ok(Err(error)) => debug!(?error, "the engine does not answer a PRELOGIN"),
            Err(_) => debug!("the engine does not answer a PRELOGIN in time"),
        }
    }
}

/// Whether the engine is the same one. A parent that has made, or lost, its engine is the same one still.
fn is_same((parent, engine): Engine, (now, engine_now): Engine) -> bool {
    let other = matches!((engine, engine_now), (Some(a), Some(b)) if a != b);
    parent == now && !other
}

/// Sends the engine a PRELOGIN, and waits for its answer.
async fn prelogin(address: &str) -> Result<(), ContactError> {
    let connected = TcpStream::connect(address).await;
    let mut stream = connected.map_err(|error| from_io(&error, AttemptStage::Connect))?;
    // Any encryption that it offers is an answer.
    exchange(&mut stream, TlsMode::Off).await?;
    Ok(())
}

/// Returns the milliseconds of CLOCK_MONOTONIC.
fn now() -> u64 {
    let span = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
