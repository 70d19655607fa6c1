//! Ping: one small query on a standing connection.

use super::pace::{Began, login_refused, until_next};
use super::silence::SilenceSender;
use crate::config::SqlConfig;
use crate::decide::observation::{ContactError, Observation};
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::standing::Standing;

/// The query of the ping. It touches no table: it needs a session, a worker and a scheduler that runs it.
pub(super) const QUERY: &str = "SELECT 1";

/// Pings for ever, each [`ping`](SqlConfig::ping) interval, one attempt after the other; faster while nothing
/// serves yet, and hardly at all while the login is locked out (see `pace`). Reports to `silence` whether it
/// is answered.
///
/// # Cancel safety
/// Drop the future to end it; its connection is closed.
pub async fn observe(config: SqlConfig, silence: SilenceSender, sink: Sink) {
    let (pace, login_interval) = (config.ping, config.login.interval);
    let mut standing = Standing::new(config);
    loop {
        let began = Began::now(sink.clock());
        let error = ping(&mut standing, Deadline::after(pace.deadline))
            .await
            .err();
        if !began.cut_short(sink.clock(), error.as_ref(), pace.deadline) {
            let attempt = began.attempt(error.as_ref());
            silence.report(&attempt, began.instant());
            sink.send(Observation::Ping(attempt)).await;
        }
        // Refused by name, each ping would be a login: no more of them than the login observer
        // makes, lest the engine's log fills and the login is locked out.
        let interval = match &error {
            Some(error) if login_refused(error) => pace.interval.max(login_interval),
            _ => pace.interval,
        };
        began.wait(until_next(interval, error.as_ref())).await;
    }
}

async fn ping(standing: &mut Standing, deadline: Deadline) -> Result<(), ContactError> {
    let mut rows = 0_usize;
    standing
        .query(QUERY, deadline, &mut |_, _| rows += 1)
        .await?;
    answered(rows)
}

/// Checks that an answer has the row that was asked for; without it, it counts as none.
pub(super) fn answered(rows: usize) -> Result<(), ContactError> {
    match rows {
        0 => Err(ContactError::Protocol(
            "the answer to SELECT 1 has no row".to_owned(),
        )),
        _ => Ok(()),
    }
}
