//! The gate alone, for an init container: the volume's checks and the lease, judged by the same engine
//! as in the running supervisor, until nothing keeps the gate shut.
//!
//! The engine is not observed: it does not run yet. The lease is kept at the end, in the name of this pod, so
//! that the pod's own supervisor takes it on without a wait. No other pod gets it between the two, unless the
//! supervisor takes longer to come than a claim takes to become stale.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::supervise::HEARTBEAT;
use super::{lease, memory};
use crate::agent::gate::Judge;
use crate::config::Config;
use crate::decide::decision::{Decision, Finding, Verdict};
use crate::decide::reason::Reason;
use crate::observe::process::EnginePid;
use crate::observe::{clock, volume};
use crate::publish::Published;

/// An event of the wait for the gate.
#[derive(Clone, Debug, PartialEq)]
pub enum GateEvent {
    /// The gate is shut for these reasons, which differ from those before.
    Shut(Vec<Finding>),
    /// The gate is open, and the lease is held in this epoch; none without a lease.
    Open(Option<u64>),
    /// The gate did not open in this time.
    TimedOut(Duration),
    /// The wait was ended by a signal.
    Stopped,
}

/// Waits until the gate is open, for `limit` at most, and reports each change. Returns whether it is open.
///
/// # Errors
///
/// The system has no thread or handler left.
pub fn wait(
    config: Config,
    limit: Duration,
    mut tell: impl FnMut(GateEvent),
) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime can't be built")?;
    let result = runtime.block_on(async {
        // The first process of a container has no default for either.
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be caught")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be caught")?;
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
        };
        let end = watch_volume(config, limit, &mut tell, stopped).await?;
        let open = matches!(end, GateEvent::Open(_));
        tell(end);
        Ok(open)
    });
    // A volume that stalls must not delay the end.
    runtime.shutdown_background();
    result
}

async fn watch_volume(
    config: Config,
    limit: Duration,
    tell: &mut impl FnMut(GateEvent),
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<GateEvent> {
    let deadline = Instant::now() + limit;
    // It is read, and left to the supervisor to write.
    let (memory, _) =
        memory::open(&config.state_dir).context("the memory's thread can't be started")?;
    let judge = Judge::new(&config, memory.clone());
    let (publisher, decisions) = watch::channel(Arc::new(Published::default()));
    let ticks = tokio::spawn(clock::observe(judge.sink()));
    let volume = volume::spawn(config.volume.clone(), EnginePid::default(), judge.sink())
        .context("the volume's thread can't be started")?;
    let holder = lease::hold(&config, &memory, judge.sink())
        .context("the lease holder's thread can't be started")?;
    let identities = tokio::spawn(lease::identify(decisions));
    let end = tokio::select! {
        epoch = until_open(judge, publisher, tell) => GateEvent::Open(epoch),
        () = tokio::time::sleep_until(deadline) => GateEvent::TimedOut(limit),
        () = stopped => GateEvent::Stopped,
    };
    ticks.abort();
    identities.abort();
    drop((volume, holder));
    Ok(end)
}

/// Returns the epoch of the lease once nothing keeps the gate shut.
async fn until_open(
    mut judge: Judge,
    publisher: watch::Sender<Arc<Published>>,
    tell: &mut impl FnMut(GateEvent),
) -> Option<u64> {
    let mut said: Vec<Reason> = Vec::new();
    loop {
        let decision = judge.decide();
        if decision.gate.verdict == Verdict::Pass {
            return judge.snapshot().epoch();
        }
        if decision.gate.reasons != said {
            said.clone_from(&decision.gate.reasons);
            tell(GateEvent::Shut(shut(&decision)));
        }
        publisher.send_replace(Arc::new(Published {
            decision: Some(decision),
            snapshot: judge.snapshot().clone(),
            ..Published::default()
        }));
        judge.observe(HEARTBEAT).await;
    }
}

/// Returns the findings that keep the gate shut.
fn shut(decision: &Decision) -> Vec<Finding> {
    let reasons = decision.gate.reasons.iter();
    reasons
        .filter_map(|reason| decision.finding(*reason).cloned())
        .collect()
}
