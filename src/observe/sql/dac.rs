//! The dedicated administrator connection: an engine that answers nobody else may still answer there.
//!
//! It has a scheduler and a listener of its own, TCP port 1434 on loopback, so that it works when all workers
//! are taken (Microsoft, "Diagnostic connection for database administrators"). That is what distinguishes an
//! engine that is busy from one that hangs. There is only one in an engine, and an administrator may need it
//! just then: it is asked only after the ping has been silent for long, and closed right after its one query.
//! It takes a sysadmin; any other login is refused (18456), which is an answer as well, and a line in the
//! engine's log.

use std::time::Duration;

use super::login::login;
use super::pace::Began;
use super::silence::Listener;
use crate::config::SqlConfig;
use crate::decide::observation::Observation;
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::session::Connector;

/// The pause between two attempts where the login is refused there: it is not a sysadmin's, which does not
/// change soon.
const REFUSED_RETRY: Duration = Duration::from_secs(600);

/// Asks each [`login`](SqlConfig::login) interval, under its deadline, for as long as the silence
/// lasts, and first once it has lasted for `patience`. Never with port 0.
///
/// # Cancel safety
/// Drop the future to end it; its connection, if one is open, is closed.
pub async fn observe(config: SqlConfig, patience: Duration, mut silence: Listener, sink: Sink) {
    if config.dac_port == Some(0) {
        return;
    }
    let pace = config.login;
    let mut connector = Connector::to_admin(config);
    loop {
        let _ = silence.lasting(patience).await;
        let began = Began::now(sink.clock());
        let deadline = Deadline::after(pace.deadline);
        let outcome = login(&mut connector, deadline).await;
        let error = outcome.as_ref().err();
        let next = match error {
            Some(error) if error.refuses_login() => pace.interval.max(REFUSED_RETRY),
            _ => pace.interval,
        };
        if !began.cut_short(sink.clock(), error, pace.deadline) {
            sink.send(Observation::Dac(began.attempt(error))).await;
        }
        if let Ok(session) = outcome {
            session.close(deadline).await;
        }
        began.wait(next).await;
    }
}
