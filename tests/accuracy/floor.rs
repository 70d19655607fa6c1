//! How late this machine wakes a thread while the suite runs: the part of a lateness that is nobody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PACE: Duration = Duration::from_millis(10);

/// A thread that sleeps and looks how late it wakes.
pub struct Floor {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Floor {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut late = Vec::new();
            let mut next = Instant::now() + PACE;
            while !stopped.load(Ordering::Relaxed) {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "what is measured is how late a sleep ends"
                )]
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                let now = Instant::now();
                late.push(now.saturating_duration_since(next));
                next = now + PACE;
            }
            late
        });
        Self { stop, thread }
    }

    /// How late it was, by share: sorted.
    pub fn end(self) -> Lateness {
        self.stop.store(true, Ordering::Relaxed);
        let mut late = self.thread.join().unwrap_or_default();
        late.sort_unstable();
        Lateness(late)
    }
}

/// Sorted.
#[derive(Debug, Default)]
pub struct Lateness(Vec<Duration>);

impl Lateness {
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let index = rank.saturating_sub(1).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or_default()
    }
}
