//! The connections that are open, and the choice of those that have to go.
//!
//! One rule serves against slow heads, idle keep-alive, and peers that do not read their answer:
//! what counts is the time since a connection's last complete request, or since it was accepted.
//! Past the limit the connection is closed; and when there are too many, the one that has waited
//! longest makes room for a new one. A kubelet sends its request at once, so that clients that hold
//! on to their connections can't lock it out. Its connection would go only if as many new ones as
//! the limit allows were accepted between its own accept and its request's arrival, well under a
//! millisecond.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The open connections. A clone refers to the same ones.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    waiting_since: Instant,
    close: Arc<Notify>,
}

/// The place of one connection. When it is dropped, the place is free again.
#[derive(Debug)]
pub struct Slot {
    id: u64,
    close: Arc<Notify>,
    connections: Connections,
}

impl Connections {
    /// Takes a place for a connection accepted at `now`.
    pub fn open(&self, now: Instant) -> Slot {
        let close = Arc::new(Notify::new());
        let mut inner = self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        let entry = Entry {
            waiting_since: now,
            close: Arc::clone(&close),
        };
        inner.open.insert(id, entry);
        Slot {
            id,
            close,
            connections: self.clone(),
        }
    }

    /// Closes the connection that has waited longest without a complete request.
    pub fn close_longest_waiting(&self) {
        let mut inner = self.lock();
        // A scan: it happens at the limit only, over as many connections as the limit allows.
        let oldest = inner
            .open
            .iter()
            .min_by_key(|(id, entry)| (entry.waiting_since, **id))
            .map(|(id, _)| *id);
        if let Some(entry) = oldest.and_then(|id| inner.open.remove(&id)) {
            entry.close.notify_one();
        }
    }

    /// Closes every connection that has waited for `limit` or longer.
    pub fn close_waiting_for(&self, limit: Duration, now: Instant) {
        self.lock().open.retain(|_, entry| {
            let keep = now.saturating_duration_since(entry.waiting_since) < limit;
            if !keep {
                entry.close.notify_one();
            }
            keep
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Records that a complete request has arrived.
    pub fn requested(&self, now: Instant) {
        if let Some(entry) = self.connections.lock().open.get_mut(&self.id) {
            entry.waiting_since = now;
        }
    }

    /// Waits until this connection has to be closed.
    ///
    /// Cancel safety: a notice given while nobody waits is kept for the next call.
    pub async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_closed(slot: &Slot) -> bool {
        slot.closed().now_or_never().is_some()
    }

    #[test]
    fn the_one_that_waits_longest_goes_first() {
        let connections = Connections::default();
        let start = Instant::now();
        let slow = connections.open(start);
        let served = connections.open(start);
        let new = connections.open(start + SECOND);
        served.requested(start + SECOND * 2);
        connections.close_longest_waiting();
        assert!(is_closed(&slow));
        connections.close_longest_waiting();
        assert!(is_closed(&new));
        assert!(!is_closed(&served));
    }

    #[test]
    fn none_is_closed_twice_and_an_empty_table_is_fine() {
        let connections = Connections::default();
        connections.close_longest_waiting();
        let slot = connections.open(Instant::now());
        connections.close_longest_waiting();
        connections.close_longest_waiting();
        assert!(is_closed(&slot));
        assert!(!is_closed(&slot));
        slot.requested(Instant::now());
        drop(slot);
        assert!(connections.lock().open.is_empty());
    }

    #[test]
    fn waiting_ends_at_the_limit() {
        let connections = Connections::default();
        let start = Instant::now();
        let slow = connections.open(start);
        let served = connections.open(start);
        served.requested(start + SECOND);
        connections.close_waiting_for(SECOND * 2, start + SECOND * 2 - Duration::from_nanos(1));
        assert!(!is_closed(&slow));
        connections.close_waiting_for(SECOND * 2, start + SECOND * 2);
        assert!(is_closed(&slow));
        assert!(!is_closed(&served));
    }

    #[test]
    fn a_dropped_connection_leaves_no_entry() {
        let connections = Connections::default();
        let slots: Vec<_> = (0..100).map(|_| connections.open(Instant::now())).collect();
        assert_eq!(connections.lock().open.len(), 100);
        drop(slots);
        assert!(connections.lock().open.is_empty());
    }
}
