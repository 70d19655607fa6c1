//! Decides by the published decisions whether the engine may be asked for metrics.

use std::sync::Arc;

use tokio::sync::watch;

use crate::decide::decision::{Phase, Verdict};
use crate::decide::reason::Reason;
use crate::publish::{Published, Reader};

/// Returns whether the engine may be asked, kept up to date by the future that comes with it; the future ends
/// when nothing is decided any more.
pub fn watch_engine(decisions: Reader) -> (watch::Receiver<bool>, impl Future<Output = ()>) {
    let (tell, may_ask) = watch::channel(false);
    (may_ask, follow(decisions, tell))
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

/// Whether the engine may be asked: it runs, and nobody ends it, restarts it or works on it. Metrics are not
/// worth a statement that a shutdown would wait for, nor the one connection of a single-user engine.
fn may_ask(published: &Published) -> bool {
    published.decision.as_ref().is_some_and(|decision| {
        decision.phase == Phase::Running
            && decision.live.verdict == Verdict::Pass
            && decision.action.is_none()
            && decision.finding(Reason::Stopping).is_none()
            && decision.finding(Reason::Maintenance).is_none()
    })
}
