//! Kubernetes Events on the pod (events.k8s.io/v1), so that `kubectl describe pod` shows what the
//! supervisor found and did. Off unless `kubernetes-events` is set.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`journal`] | turns decisions into events: pure, with the aggregation and the rate limit |
//! | [`api`] | posts one event to the API server: one request, one deadline |
//!
//! The pod's ServiceAccount needs `create` on `events` in the group `events.k8s.io`, and nothing
//! else. No event is ever read or changed, so that repeats are counted here and not by the API
//! server.
//!
//! **Architecture invariant:** nothing waits for the API server. What can't be sent within the
//! limits below is dropped, with a line in the log; a decision, a probe answer, and a restart never
//! notice.

pub mod api;
pub mod journal;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Reader;
use api::{ApiServer, PostError};
use journal::{Journal, Note};

/// The greatest number of events that wait for the API server. Beyond it the oldest is dropped,
/// since the newest shows how things are.
const MAX_WAITING: usize = 64;
/// The wait after a failed request, doubled with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait after a failed request.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// The greatest number of batches between the two tasks; each holds what one decision changed.
const MAX_BATCHES: usize = 16;

/// An event with the time at which its cause was decided.
type Dated = (SystemTime, Note);

/// Follows the decisions and posts what changes, until the last writer of decisions is gone.
///
/// # Cancel safety
///
/// Dropping the future drops what waits to be sent.
pub async fn follow(server: ApiServer, decisions: Reader) {
    let (sender, batches) = mpsc::channel(MAX_BATCHES);
    tokio::join!(watch(decisions, sender), send(server, batches));
}

/// Turns each decision into events. Where the channel is full, the batch is dropped: this loop
/// never waits, because a decision that it missed would be a change that nobody sees.
async fn watch(mut decisions: Reader, sender: mpsc::Sender<Vec<Dated>>) {
    let mut journal = Journal::default();
    let mut dropped = 0_u64;
    while decisions.changed().await.is_ok() {
        let published = Arc::clone(&decisions.borrow_and_update());
        let Some(decision) = &published.decision else {
            continue;
        };
        let now = SystemTime::now();
        let notes = journal.see(decision);
        if notes.is_empty() {
            continue;
        }
        let batch = notes.into_iter().map(|note| (now, note)).collect();
        if sender.try_send(batch).is_err() {
            dropped += 1;
            if dropped == 1 {
                warn!("events are dropped: the API server does not take them in time");
            }
        }
    }
}

/// Posts the events that arrive, oldest first.
async fn send(server: ApiServer, mut batches: mpsc::Receiver<Vec<Dated>>) {
    let mut waiting: VecDeque<Dated> = VecDeque::new();
    let mut backoff = FIRST_BACKOFF;
    let mut failing = false;
    loop {
        if waiting.is_empty() {
            match batches.recv().await {
                Some(batch) => waiting.extend(batch),
                None => return,
            }
        }
        while let Ok(batch) = batches.try_recv() {
            waiting.extend(batch);
        }
        while waiting.len() > MAX_WAITING {
            waiting.pop_front();
        }
        let Some((at, note)) = waiting.front() else {
            continue;
        };
        match server.post(*at, note).await {
            Ok(()) => {
                waiting.pop_front();
                backoff = FIRST_BACKOFF;
                if std::mem::take(&mut failing) {
                    info!("the API server takes events again");
                }
            }
            // Another try would be refused as well.
            Err(error @ PostError::Refused { .. }) => {
                waiting.pop_front();
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, advice = error.advice(), "an event is dropped");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, advice = error.advice(), "events wait for the API server");
                }
                sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}
