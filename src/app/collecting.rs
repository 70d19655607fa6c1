//! When the engine may be asked for metrics.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use crate::collect::{self, Collecting};
use crate::config::Config;
use crate::decide::decision::{Phase, Verdict};
use crate::decide::reason::Reason;
use crate::exposition::Exposition;
use crate::publish::{self, Published, Reader};

/// Starts the collectors. With them comes what they publish, and the future that tells them whether the
/// engine may be asked, which ends when nothing is decided any more.
///
/// # Errors
///
/// The system has no thread or descriptor left.
pub fn collect(
    config: &Config,
    decisions: &Reader,
) -> io::Result<(
    Collecting,
    watch::Receiver<Arc<Exposition>>,
    impl Future<Output = ()> + use<>,
)> {
    let (tell, may_ask) = watch::channel(false);
    let taken = publish::metrics::names();
    let (collecting, collected) = collect::spawn(config, &taken, may_ask)?;
    Ok((collecting, collected, follow(decisions.clone(), tell)))
}

async fn follow(mut decisions: Reader, tell: watch::Sender<bool>) {
    loop {
        let now = may_ask(&Arc::clone(&decisions.borrow_and_update()));
        tell.send_if_modified(|before| std::mem::replace(before, now) != now);
        if decisions.changed().await.is_err() {
            return;
        }
    }
}

/// It may while it runs and nobody ends it, restarts it or works on it: metrics are not worth a
/// statement that a shutdown would wait for, nor the one connection of a single-user engine.
fn may_ask(published: &Published) -> bool {
    published.decision.as_ref().is_some_and(|decision| {
        decision.phase == Phase::Running
            && decision.live.verdict == Verdict::Pass
            && decision.action.is_none()
            && decision.finding(Reason::Stopping).is_none()
            && decision.finding(Reason::Maintenance).is_none()
    })
}
