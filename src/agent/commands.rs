//! Carries out what the supervisor commands: each command once, however often it is sent.

use std::future::Future;

use tokio::sync::watch;

use super::link::LinkState;
use crate::act::restart::Restarter;
use crate::decide::decision::Restart;
use crate::decide::observation::ActionReport;
use crate::decide::reason::Reason;
use crate::link::{Command, CommandKind};

/// Obeys the commands that are received. Ends with the link.
pub async fn obey<R, F>(mut state: watch::Receiver<LinkState>, mut restarter: Restarter<R>)
where
    R: Fn(ActionReport) -> F,
    F: Future<Output = ()>,
{
    let mut written = None;
    loop {
        let (command, message) = {
            let state = state.borrow_and_update();
            let verdicts = state.received.as_ref().map(|received| &received.verdicts);
            (
                verdicts.and_then(|verdicts| verdicts.command.clone()),
                verdicts.and_then(|verdicts| verdicts.termination_message.clone()),
            )
        };
        if let Some(command) = command {
            let restart = restart(&command);
            if command.kind == CommandKind::Fence {
                restarter.fence(&restart, command.message).await;
            } else {
                // A fence waits for no grace. Where the restart is cut short by it, the fence kills
                // what the restart would have killed.
                tokio::select! {
                    () = restarter.restart(&restart, command.message) => {}
                    () = fenced(state.clone()) => {}
                }
            }
        }
        if message.is_some() && message != written {
            written.clone_from(&message);
            restarter
                .leave_message(None, message.unwrap_or_default())
                .await;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

async fn fenced(mut state: watch::Receiver<LinkState>) {
    let fence = |state: &LinkState| {
        let received = state.received.as_ref();
        let command = received.and_then(|received| received.verdicts.command.as_ref());
        command.is_some_and(|command| command.kind == CommandKind::Fence)
    };
    if state.wait_for(fence).await.is_err() {
        // The link has ended: nobody fences any more.
        std::future::pending::<()>().await;
    }
}

fn restart(command: &Command) -> Restart {
    let known = |code: &String| Reason::from_code(code);
    Restart {
        parent: command.parent,
        engine: command.engine,
        grace: command.grace,
        reasons: command.reasons.iter().filter_map(known).collect(),
    }
}
