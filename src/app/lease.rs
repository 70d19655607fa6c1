//! The lease holder, connected with the rest of the supervisor.
//!
//! In launch mode the agent of the SQL container holds the lease, because it lives as long as the engine
//! does: from its link on this holder contends no more in this run, and what it wrote is taken on by the
//! agent, which is the same holder. A run waits for the agent where an earlier one was linked with one.

use std::io;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::linked::{AgentLink, LINK_PATIENCE};
use crate::act::holder::{self, HolderConfig, LeaseHolder};
use crate::act::identities::IdentityBatches;
use crate::config::Config;
use crate::decide::lease::release::EngineGone;
use crate::decide::memory::Memory;
use crate::decide::observation::{LeaseReport, Observation};
use crate::observe::{Sink, volume};
use crate::publish::Reader;

/// The time that the end waits for the lease to be given up; where a stalled volume takes longer, the next
/// pod waits until the lease is stale.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// Starts the lease holder's thread.
///
/// # Errors
///
/// The system has no thread left.
pub fn hold(config: &Config, memory: &Memory, sink: Sink) -> io::Result<LeaseHolder> {
    let mut holder = HolderConfig::of(config);
    holder.contends = !memory.agent;
    let volume = config.volume.clone();
    let place = move || volume::main_directory(&volume);
    let report = move |mut report: LeaseReport| {
        report.left_out = sink.clock().left_out();
        sink.send_blocking(Observation::Lease(report));
    };
    // Nobody beside the engine lives as long as it does: there is no lock.
    holder::spawn(holder, place, None, report)
}

/// Has the holder contend for the lease, unless an agent holds it. With `expected` an earlier run was
/// linked with an agent, and this one waits for it before it contends itself.
pub async fn contend(holder: LeaseHolder, link: AgentLink, expected: bool) {
    if expected && timeout(LINK_PATIENCE, link.linked()).await.is_err() {
        warn!("no agent of the SQL container has come: the supervisor takes the lease itself");
        holder.contend(true);
    }
}

/// Has the identities written that the decisions ask for. Ends when nothing is decided any more.
pub async fn identify(mut decisions: Reader) {
    let mut batches = IdentityBatches::default();
    while decisions.changed().await.is_ok() {
        let wanted = {
            let published = decisions.borrow_and_update();
            let decision = published.decision.as_ref();
            decision.map(|decision| decision.identity_writes.clone())
        };
        batches.offer(&wanted.unwrap_or_default()).await;
    }
}

/// Reports to the lease holder which engine runs, whenever that changes. An engine that `launch` reports is
/// left out: its pid is one of another namespace. Ends with the deciding loop.
pub async fn follow_engine(holder: LeaseHolder, mut decisions: Reader) {
    let mut known = None;
    loop {
        let seen = {
            let published = decisions.borrow_and_update();
            let snapshot = &published.snapshot;
            let running = snapshot.running().filter(|_| snapshot.link.is_none());
            running.map(|process| process.parent)
        };
        if seen.is_some() && seen != known {
            known = seen;
            holder.see_engine(seen);
        }
        if decisions.changed().await.is_err() {
            return;
        }
    }
}

/// Ends the lease holder's work: what was recorded last is written, and the lease is given up where the
/// engine is known to be gone, so that another pod need not wait. `patience` is that of [`EngineGone::seen`].
pub fn conclude(holder: &LeaseHolder, decisions: &Reader, patience: Duration) {
    let gone = {
        let published = decisions.borrow();
        let decision = published.decision.as_ref();
        let (phase, at) = (decision.map(|of| of.phase), decision.map(|of| of.at));
        EngineGone::seen(&published.snapshot, phase, at, patience)
    };
    let Some(gone) = gone else {
        info!("the lease is kept: the engine runs on, or can't be seen");
        if !holder.flush(RELEASE_PATIENCE) {
            warn!("the last entries of the history are not written: the volume does not answer");
        }
        return;
    };
    if !holder.release(gone, RELEASE_PATIENCE) {
        warn!("the lease is not given up: the volume does not answer");
    }
}
