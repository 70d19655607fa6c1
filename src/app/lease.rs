//! The lease holder, wired.

use std::io;
use std::time::Duration;

use tracing::{info, warn};

use crate::act::holder::{self, HolderConfig, LeaseHolder};
use crate::config::Config;
use crate::decide::decision::Decision;
use crate::decide::lease::release::EngineGone;
use crate::decide::memory::Memory;
use crate::decide::observation::Observation;
use crate::decide::reason::Reason;
use crate::observe::Sink;
use crate::publish::{Published, Reader};

/// How long the end waits for the lease to be given up; what a stalled volume does not take in this
/// time costs the next pod the wait until it is stale.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// While one of these holds, or before anything was decided, what lies at the data directory may not be
/// the volume: nothing is written there as its identity.
const NO_VOLUME: [Reason; 7] = [
    Reason::VolumeUnchecked,
    Reason::VolumeNotMounted,
    Reason::VolumeMissing,
    Reason::VolumeEphemeral,
    Reason::VolumeMismatch,
    Reason::VolumeReplaced,
    Reason::VolumeDisconnected,
];

/// Starts the lease holder's thread.
///
/// # Errors
///
/// The system has no thread left.
pub fn hold(
    config: &Config,
    memory: &Memory,
    decisions: Reader,
    sink: Sink,
) -> io::Result<LeaseHolder> {
    let holder = HolderConfig::of(config, memory.volume_id.clone());
    let report = move |report| sink.send_blocking(Observation::Lease(report));
    // Nobody beside the engine lives as long as it does: there is no lock.
    holder::spawn(holder, move || is_volume(&decisions.borrow()), None, report)
}

fn is_volume(published: &Published) -> bool {
    let decision = published.decision.as_ref();
    let found = |decision: &Decision| {
        let holds = |reason: &Reason| decision.finding(*reason).is_some();
        NO_VOLUME.iter().any(holds)
    };
    decision.is_some_and(|decision| !found(decision))
}

/// Says to the lease holder which engine runs, whenever that changes. One that `launch` reports is left out:
/// its pid is one of another namespace. Ends with the deciding loop.
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
