//! Runs the observers that ask the engine, except while somebody works on it.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::config::Config;
use crate::decide::reason::Reason;
use crate::observe::{Sink, sql};
use crate::parts::part;
use crate::publish::{Published, Reader};

/// The divisor of the time at which silence is a hang: after that part of it the administrator connection is
/// asked, late enough for a short silence to pass, and early enough for the answer to count.
const DAC_SHARE: u32 = 3;

/// Runs the observers that connect to the engine; not under `pause`: an engine in single-user mode has one
/// connection, and it belongs to whoever works there. With `resume` they begin anew. Ends when nothing is
/// decided any more.
///
/// # Cancel safety
/// Drop the future to end the observers; their connections are closed.
pub async fn ask(config: Config, mut decisions: Reader, sink: Sink) {
    loop {
        if until(&mut decisions, |paused| !paused).await.is_none() {
            return;
        }
        let mut observers = observers(&config, &sink);
        if until(&mut decisions, |paused| paused).await.is_none() {
            return;
        }
        observers.shutdown().await;
    }
}

/// Waits for a decision for which `wanted` is true, given whether it is under `pause`.
async fn until(decisions: &mut Reader, wanted: impl Fn(bool) -> bool) -> Option<()> {
    loop {
        let published = Arc::clone(&decisions.borrow_and_update());
        if is_paused(&published).is_some_and(&wanted) {
            return Some(());
        }
        decisions.changed().await.ok()?;
    }
}

/// Whether the engine is under `pause`. Absent before the first decision: an earlier run may have been
/// ordered to pause.
fn is_paused(published: &Published) -> Option<bool> {
    let decision = published.decision.as_ref()?;
    Some(decision.finding(Reason::Maintenance).is_some())
}

fn observers(config: &Config, sink: &Sink) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (sender, silence) = sql::silence::channel();
    let patience = config.policy.unresponsive_after / DAC_SHARE;
    let sql = || config.sql.clone();
    let required = config.policy.required_databases.clone();
    tasks.spawn(part(
        "supervisor.ping",
        sql::ping::observe(sql(), sender, sink.clone()),
    ));
    let dac = sql::dac::observe(sql(), patience, silence, sink.clone());
    tasks.spawn(part("supervisor.dac", dac));
    tasks.spawn(part(
        "supervisor.login",
        sql::login::observe(sql(), sink.clone()),
    ));
    let databases = sql::databases::observe(sql(), required, sink.clone());
    tasks.spawn(part("supervisor.databases", databases));
    let diagnostics = sql::diagnostics::observe(sql(), sink.clone());
    tasks.spawn(part("supervisor.diagnostics", diagnostics));
    tasks
}
