//! The lease holder, wired.

use std::io;
use std::time::Duration;

use tracing::{info, warn};

use crate::act::holder::{self, HolderConfig, LeaseHolder};
use crate::config::Config;
use crate::decide::decision::{Decision, Phase};
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
    holder::spawn(holder, move || is_volume(&decisions.borrow()), report)
}

fn is_volume(published: &Published) -> bool {
    let decision = published.decision.as_ref();
    let found = |decision: &Decision| {
        let holds = |reason: &Reason| decision.finding(*reason).is_some();
        NO_VOLUME.iter().any(holds)
    };
    decision.is_some_and(|decision| !found(decision))
}

/// Ends the holder's work: what was recorded last is written, and the lease is given up where the engine
/// is known to be gone, so that another pod need not wait. Where nobody could see it, it may be running still.
///
/// The first process of the SQL container ends right after its engine, and the link with it: what it
/// said last counts for as long as no other one can have started an engine unseen, which is `patience`.
pub fn conclude(holder: &LeaseHolder, decisions: &Reader, patience: Duration) {
    let gone = {
        let published = decisions.borrow();
        let phase = published.decision.as_ref().map(|decision| decision.phase);
        let snapshot = &published.snapshot;
        let now = published.decision.as_ref().map(|decision| decision.at);
        let lost = snapshot.link.as_ref().map(|link| link.at);
        let just_lost = now
            .zip(lost)
            .is_some_and(|(now, lost)| now.since(lost) < patience);
        (snapshot.ended_before_loss && just_lost)
            || (phase == Some(Phase::Gone) && !snapshot.is_blind())
    };
    if !gone {
        info!("the lease is kept: the engine runs on, or can't be seen");
        if !holder.flush(RELEASE_PATIENCE) {
            warn!("the last entries of the history are not written: the volume does not answer");
        }
    } else if !holder.release(RELEASE_PATIENCE) {
        warn!("the lease is not given up: the volume does not answer");
    }
}
