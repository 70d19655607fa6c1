//! Diagnostics: the engine's own account of itself, streamed by `sp_server_diagnostics`.
//!
//! It runs on a preemptive thread at high priority, so that it goes on when ordinary queries find
//! no worker: an engine that is silent on the ping but reports here is busy, not dead.
//! <https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-server-diagnostics-transact-sql>

mod report;

use std::time::Duration;

use futures_util::TryStreamExt;
use tiberius::{QueryItem, QueryStream};

use super::pace::{Began, until_next_quietly};
use crate::config::{Pace, SqlConfig};
use crate::decide::observation::{
    AttemptStage, ContactError, DiagnosticsReport, Observation, ServerError,
};
use crate::decide::sql_error::SqlErrorClass;
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::dial::Allowance;
use crate::tds::error::from_tds;
use crate::tds::session::Connector;
use crate::tds::value::Cells;
use report::Collector;

/// The shortest `@repeat_interval` that the procedure accepts, in seconds.
const MIN_REPEAT_SECS: u64 = 5;

/// The time by which a report has to be overdue before silence counts, whatever deadline is configured.
const OVERDUE: Duration = Duration::from_secs(5);

/// The time after which a report that is not complete is taken as it is: its rows come at once.
const SETTLE: Duration = Duration::from_secs(1);

/// The time for which an engine that can't or may not run the procedure is left alone. A permission may be
/// granted meanwhile.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(60);

/// Bytes of one report. The component `events` carries a ring buffer that is not used here but has
/// to be read past.
const MAX_REPORT_BYTES: usize = 4 * 1024 * 1024;

/// Streams for ever; a broken or silent stream is reported and begun anew on a new connection.
///
/// # Cancel safety
/// Drop the future to end it; its connection is closed, which ends the procedure in the engine.
pub async fn observe(config: SqlConfig, sink: Sink) {
    let times = Times::of(&config);
    let mut connector = Connector::new(config);
    loop {
        let began = Began::now(sink.clock());
        let end = stream(&mut connector, &times, &sink).await;
        let next = match &end {
            End::Unavailable(_) => UNAVAILABLE_RETRY,
            End::Failed { error, .. } => until_next_quietly(times.retry, Some(error)),
            End::Over | End::Stalled => times.retry,
        };
        let report = match end {
            End::Unavailable(error) => Some(DiagnosticsReport::Unavailable(error)),
            End::Failed { since, error } => {
                Some(DiagnosticsReport::Failed(since.attempt(Some(&error))))
            }
            End::Over | End::Stalled => None,
        };
        if let Some(report) = report {
            sink.send(Observation::Diagnostics(report)).await;
        }
        began.wait(next).await;
    }
}

/// The limits of one stream.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// The limit for TCP, TLS and login.
    login: Duration,
    /// The `@repeat_interval`, in seconds.
    repeat_secs: u64,
    /// The time without a report after which the stream has failed.
    silence: Duration,
    /// The pause between two beginnings of a stream.
    retry: Duration,
}

impl Times {
    fn of(config: &SqlConfig) -> Self {
        let Pace { interval, deadline } = config.diagnostics;
        let repeat_secs = interval
            .as_millis()
            .div_ceil(1000)
            .clamp(u128::from(MIN_REPEAT_SECS), u128::from(u32::MAX))
            as u64;
        Self {
            login: config.login.deadline,
            repeat_secs,
            silence: deadline.max(Duration::from_secs(repeat_secs) + OVERDUE),
            retry: interval,
        }
    }
}

/// The end of a stream.
enum End {
    /// The engine can't or may not run the procedure.
    Unavailable(ServerError),
    /// The stream broke, or nothing came since `since`.
    Failed { since: Began, error: ContactError },
    /// The procedure returned after it had reported: an engine that does not repeat.
    Over,
    /// The supervisor stood still; what the engine did meanwhile is not known.
    Stalled,
}

/// Runs the procedure on a new connection and reports until it ends.
async fn stream(connector: &mut Connector, times: &Times, sink: &Sink) -> End {
    let mut since = Began::now(sink.clock());
    let batch = format!(
        "EXEC sp_server_diagnostics @repeat_interval = {}",
        times.repeat_secs
    );
    let mut session = match connector.open(Deadline::after(times.login)).await {
        Ok(session) => session,
        Err(error) => return end(since, error, times.login, sink),
    };
    let allowance = session.allowance();
    since = Began::now(sink.clock());
    let deadline = Deadline::after(times.silence);
    let mut rows = match session.stream(&batch, deadline, MAX_REPORT_BYTES).await {
        Ok(rows) => rows,
        Err(error) => return end(since, error, times.silence, sink),
    };
    let mut collector = Collector::default();
    let mut reported = false;
    loop {
        match next_report(&mut rows, &mut collector, &allowance, times.silence).await {
            Ok(Some(diagnostics)) => {
                reported = true;
                since = Began::now(sink.clock());
                let report = DiagnosticsReport::Report(diagnostics);
                sink.send(Observation::Diagnostics(report)).await;
            }
            Ok(None) if reported => return End::Over,
            Ok(None) => {
                let error = ContactError::Protocol(
                    "sp_server_diagnostics returned without a report".to_owned(),
                );
                return End::Failed { since, error };
            }
            Err(error) => return end(since, error, times.silence, sink),
        }
    }
}

fn end(since: Began, error: ContactError, limit: Duration, sink: &Sink) -> End {
    if since.cut_short(sink.clock(), Some(&error), limit) {
        return End::Stalled;
    }
    use SqlErrorClass::{PermissionMissing, Unsupported};
    if let ContactError::Server(server) = error
        && matches!(error.class(), Some(PermissionMissing | Unsupported))
    {
        return End::Unavailable(server);
    }
    End::Failed { since, error }
}

/// Reads on until a report is complete; returns none where the stream is over.
///
/// `tiberius` shows the end of a result set only by the beginning of the next, ten seconds later. A
/// report is therefore complete when each component that is used has come, or when nothing more
/// comes for [`SETTLE`].
async fn next_report(
    rows: &mut QueryStream<'_>,
    collector: &mut Collector,
    allowance: &Allowance,
    silence: Duration,
) -> Result<Option<crate::decide::observation::Diagnostics>, ContactError> {
    let mut deadline = Deadline::after(silence);
    loop {
        let next = async {
            rows.try_next()
                .await
                .map_err(|error| from_tds(&error, AttemptStage::Query))
        };
        let item = match deadline.bound(AttemptStage::Query, next).await {
            Err(ContactError::TimedOut(_)) if collector.is_open() => {
                return Ok(collector.finish());
            }
            item => item?,
        };
        match item {
            None => return Ok(collector.finish()),
            Some(QueryItem::Metadata(_)) => {
                allowance.set(MAX_REPORT_BYTES);
                if let Some(before) = collector.begin() {
                    return Ok(Some(before));
                }
            }
            Some(QueryItem::Row(row)) => {
                collector.take(&Cells::from(&row));
                if collector.is_complete() {
                    return Ok(collector.finish());
                }
            }
        }
        if collector.is_open() {
            deadline = Deadline::after(SETTLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::endpoint::Endpoint;
    use crate::config::refusals::Refusals;
    use crate::config::secret::PasswordSource;
    use crate::config::{BootstrapConfig, TlsMode};

    fn config(interval: Duration, deadline: Duration) -> SqlConfig {
        let pace = Pace { interval, deadline };
        SqlConfig {
            host: Some("127.0.0.1".to_owned()),
            port: Some(1),
            dac_port: Some(0),
            endpoint: Endpoint::default(),
            refusals: Refusals::default(),
            user: "sa".to_owned(),
            password: PasswordSource::Missing,
            tls: TlsMode::Off,
            tls_ca: None,
            tls_server_name: None,
            bootstrap: BootstrapConfig::default(),
            ping: pace,
            login: pace,
            databases: pace,
            diagnostics: pace,
            max_databases: 1,
        }
    }

    #[test]
    fn the_repeat_interval_is_whole_seconds_and_never_refused() {
        let repeat = |ms| Times::of(&config(Duration::from_millis(ms), Duration::ZERO)).repeat_secs;
        assert_eq!([repeat(0), repeat(4000), repeat(10_000)], [5, 5, 10]);
        assert_eq!(repeat(10_001), 11);
    }

    #[test]
    fn silence_is_longer_than_the_repeat_interval() {
        let times = Times::of(&config(Duration::from_secs(10), Duration::from_secs(1)));
        assert_eq!(times.silence, Duration::from_secs(15));
        let times = Times::of(&config(Duration::from_secs(10), Duration::from_secs(30)));
        assert_eq!(times.silence, Duration::from_secs(30));
    }
}
