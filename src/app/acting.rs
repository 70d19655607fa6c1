//! Executes the action of a decision: a restart or a fence.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use super::linked::AgentLink;
use crate::act::restart::{Restarter, termination};
use crate::decide::decision::{Action, Verdict};
use crate::decide::observation::ActionReport;
use crate::decide::policy::RestartBy;
use crate::publish::{Published, Reader};

/// Has the restarts carried out that the decisions ask for, and leaves a termination message for those that
/// are left to the kubelet; not where the agent does so. Ends when nothing is decided any more.
///
/// Reads the last decision, as every reader does: the deciding loop never waits for it.
pub async fn act<R, F>(mut decisions: Reader, link: AgentLink, mut restarter: Restarter<R>)
where
    R: Fn(ActionReport) -> F,
    F: Future<Output = ()>,
{
    let mut live = Verdict::Pass;
    while decisions.changed().await.is_ok() {
        let published = Arc::clone(&decisions.borrow_and_update());
        let Some(decision) = &published.decision else {
            continue;
        };
        let before = std::mem::replace(&mut live, decision.live.verdict);
        if link.acts() {
            continue;
        }
        if let Some(Action::Fence(fence)) = &decision.action {
            let message = termination::before(fence, SystemTime::now(), decision);
            restarter.fence(fence, message).await;
        } else if let Some(Action::Restart(restart)) = &decision.action {
            if restarter.is_new(restart) {
                let message = termination::before(restart, SystemTime::now(), decision);
                // A fence waits for no grace: it kills what the restart would have killed.
                tokio::select! {
                    () = restarter.restart(restart, message) => {}
                    () = fenced(decisions.clone()) => {}
                }
            }
        } else if (before, live) == (Verdict::Pass, Verdict::Fail) {
            let now = SystemTime::now();
            let reasons = &decision.live.reasons;
            let failed = published.failed_restart();
            let message = termination::message(now, RestartBy::Kubelet, reasons, decision, failed);
            let process = decision.last_restart.as_ref().and_then(|last| last.process);
            restarter
                .leave_message(process.map(|id| id.pid), message)
                .await;
        }
    }
}

/// Waits for a decision that fences.
async fn fenced(mut decisions: Reader) {
    let fences = |published: &Arc<Published>| {
        let decision = published.decision.as_ref();
        let action = decision.and_then(|decision| decision.action.as_ref());
        matches!(action, Some(Action::Fence(_)))
    };
    if decisions.wait_for(fences).await.is_err() {
        // Nothing is decided any more.
        std::future::pending::<()>().await;
    }
}
