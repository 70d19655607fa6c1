//! Carries out what the supervisor orders: each order once, however often it is said.

use std::future::Future;

use tokio::sync::watch;

use super::partner::State;
use crate::act::restart::Restarter;
use crate::decide::decision::Restart;
use crate::decide::observation::ActionReport;
use crate::decide::reason::Reason;
use crate::link::{Order, OrderKind};

/// Obeys what is heard. Ends with the link.
pub async fn obey<R, F>(mut state: watch::Receiver<State>, mut restarter: Restarter<R>)
where
    R: Fn(ActionReport) -> F,
    F: Future<Output = ()>,
{
    let mut word_left = None;
    loop {
        let (order, left_word) = {
            let state = state.borrow_and_update();
            let word = state.heard.as_ref().map(|heard| &heard.word);
            (
                word.and_then(|word| word.order.clone()),
                word.and_then(|word| word.left_word.clone()),
            )
        };
        if let Some(order) = order {
            let restart = restart(&order);
            if order.kind == OrderKind::Fence {
                restarter.fence(&restart, order.message).await;
            } else {
                // A fence waits for no grace. Where the restart is cut short by it, the fence kills
                // what the restart would have killed.
                tokio::select! {
                    () = restarter.carry_out(&restart, order.message) => {}
                    () = fenced(state.clone()) => {}
                }
            }
        }
        if left_word.is_some() && left_word != word_left {
            word_left.clone_from(&left_word);
            restarter
                .leave_word(None, left_word.unwrap_or_default())
                .await;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

async fn fenced(mut state: watch::Receiver<State>) {
    let fence = |state: &State| {
        let order = state
            .heard
            .as_ref()
            .and_then(|heard| heard.word.order.as_ref());
        order.is_some_and(|order| order.kind == OrderKind::Fence)
    };
    if state.wait_for(fence).await.is_err() {
        // The link has ended: nobody fences any more.
        std::future::pending::<()>().await;
    }
}

fn restart(order: &Order) -> Restart {
    let known = |code: &String| Reason::from_code(code);
    Restart {
        parent: order.parent,
        engine: order.engine,
        grace: order.grace,
        reasons: order.reasons.iter().filter_map(known).collect(),
    }
}
