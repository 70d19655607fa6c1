//! The wait for the supervisor's leave to start the engine on this volume.
//!
//! | the supervisor | what follows |
//! | --- | --- |
//! | says that the gate is open | the start |
//! | says that it is shut | the wait goes on, its reasons are logged |
//! | can't be reached | after `gate-patience` the start, loudly: a dead supervisor must not cost a database |
//! | can't be reached, and another pod's lease lives | the wait goes on: two engines must not write one volume |
//! | can't be reached, and its last word was a no that does not pass by itself | the wait goes on: the volume is not the right one |

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use super::lease::Claims;
use super::partner::State;
use crate::decide::reason::{Outcome, Reason};
use crate::link::{Answer, SILENCE, Why};

/// From one look at another's lease to the next, where no supervisor looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// With whose leave the engine is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The supervisor's, with the volume's epoch.
    Given(Option<u64>),
    /// Nobody's.
    Taken,
}

/// Waits for the gate. Cancel safe.
pub async fn wait(
    mut state: watch::Receiver<State>,
    patience: Duration,
    mut claims: Claims,
) -> Leave {
    let mut held = None;
    let mut silent_since = Instant::now();
    let mut said: Vec<String> = Vec::new();
    info!("waits for the supervisor to open the gate");
    loop {
        let (linked, answer, epoch) = {
            let state = state.borrow_and_update();
            let heard = state.heard.as_ref();
            let fresh = heard.filter(|heard| state.linked && heard.at.elapsed() < SILENCE);
            silent_since = silent_since.max(heard.map_or(silent_since, |heard| heard.at));
            (
                fresh.is_some(),
                heard.map(|heard| heard.word.gate.clone()),
                fresh.and_then(|heard| heard.word.epoch),
            )
        };
        match &answer {
            Some(gate) if linked && gate.pass => return Leave::Given(epoch),
            Some(gate) if linked => complain(gate, &mut said),
            _ => {}
        }
        let lasting = answer.as_ref().and_then(lasting);
        let deadline = silent_since + patience;
        if !linked && lasting.is_none() && Instant::now() >= deadline {
            let Some(obstacle) = claims.obstacle().await else {
                warn!(
                    ?patience,
                    "the supervisor can't be reached: the engine is started without its word. Nobody has checked the volume"
                );
                return Leave::Taken;
            };
            if held.as_ref() != Some(&obstacle) {
                warn!("the supervisor can't be reached, and {obstacle}: another engine may run");
                held = Some(obstacle);
            }
            let _ = timeout(LOOK_AGAIN, state.changed()).await;
            continue;
        }
        if let Some(why) = lasting.filter(|_| !linked) {
            warn!(
                code = why.code,
                evidence = why.evidence,
                "the supervisor is gone, and its last word was a no that stands until it says otherwise"
            );
            // Only it can change that.
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            continue;
        }
        // While it speaks, silence is looked for too.
        let look = match linked {
            true => Instant::now() + SILENCE,
            false => deadline,
        };
        let _ = timeout_at(look, state.changed()).await;
    }
}

/// Says why the gate is shut, when that has changed.
fn complain(gate: &Answer, said: &mut Vec<String>) {
    let codes: Vec<_> = gate.reasons.iter().map(|why| why.code.clone()).collect();
    if codes == *said {
        return;
    }
    for why in &gate.reasons {
        warn!(code = why.code, evidence = why.evidence, "the gate is shut");
    }
    *said = codes;
}

/// A reason for which the gate is shut and which time alone does not mend. One that a later version
/// gives, and this one does not know, is taken for one.
fn lasting(gate: &Answer) -> Option<Why> {
    let lasts = |why: &&Why| {
        Reason::from_code(&why.code).is_none_or(|reason| reason.info().outcome != Outcome::Wait)
    };
    gate.reasons
        .iter()
        .filter(|_| !gate.pass)
        .find(lasts)
        .cloned()
}
