//! Login: what a new client meets. A fresh connection each time: TCP, TLS, login, query.

use tiberius::Row;

use super::pace::{Began, STARTING_RETRY, until_next};
use super::ping;
use crate::config::SqlConfig;
use crate::decide::observation::{Certificates, ContactError, Observation, ServerProperties};
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::session::{Connector, Session};
use crate::tds::value::{Cells, first_chars};

/// The query for the properties of the engine. Cast, because `SERVERPROPERTY` returns `sql_variant`.
const PROPERTIES: &str = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version, \
     CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition, \
     CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition, \
     CAST(SERVERPROPERTY('IsSingleUser') AS int) AS single_user";

/// Characters kept of a property; they are `nvarchar(128)` in the engine.
const MAX_PROPERTY_CHARS: usize = 128;

/// Logs in for ever, each [`login`](SqlConfig::login) interval; at most once a second while nothing listens,
/// and each minute while the login is locked out (see `pace`). After a login that worked it reports what the
/// engine is, and after any login until when its certificate is valid, when that is new.
///
/// # Cancel safety
/// Drop the future to end it; its connection, if one is open, is closed.
pub async fn observe(config: SqlConfig, sink: Sink) {
    let pace = config.login;
    let mut connector = Connector::new(config);
    let mut certificates = Certificates::default();
    loop {
        let began = Began::now(sink.clock());
        let deadline = Deadline::after(pace.deadline);
        let outcome = login(&mut connector, deadline).await;
        let error = outcome.as_ref().err();
        if !began.cut_short(sink.clock(), error, pace.deadline) {
            sink.send(Observation::Login(began.attempt(error))).await;
        }
        if connector.certificates() != certificates {
            certificates = connector.certificates();
            sink.send(Observation::Certificates(certificates)).await;
        }
        // The ping finds out soon enough that a port which was refused is open.
        let next = match error {
            Some(ContactError::Refused) => pace.interval.min(STARTING_RETRY),
            error => until_next(pace.interval, error),
        };
        if let Ok(session) = outcome
            && let Some(properties) = properties(session, deadline).await
        {
            sink.send(Observation::Server(properties)).await;
        }
        began.wait(next).await;
    }
}

/// Opens a fresh connection, and runs one query on it.
pub(super) async fn login(
    connector: &mut Connector,
    deadline: Deadline,
) -> Result<Session, ContactError> {
    let mut rows = 0_usize;
    let session = connector
        .open(deadline)
        .await?
        .query(ping::QUERY, deadline, &mut |_, _| rows += 1)
        .await?;
    ping::answered(rows)?;
    Ok(session)
}

/// Asks what the engine is and closes the connection. That the login worked was reported before: where this
/// fails there is merely nothing to report.
async fn properties(session: Session, deadline: Deadline) -> Option<ServerProperties> {
    let mut found = None;
    let mut take = |_, row: &Row| found = read(&Cells::from(row));
    let session = session.query(PROPERTIES, deadline, &mut take).await.ok()?;
    session.close(deadline).await;
    found
}

fn read(cells: &Cells<'_>) -> Option<ServerProperties> {
    let text = |name| {
        let text = cells.text(name)?;
        Some(first_chars(text, MAX_PROPERTY_CHARS))
    };
    Some(ServerProperties {
        version: text("version")?,
        edition: text("edition").unwrap_or_default(),
        engine_edition: cells
            .integer("engine_edition")
            .and_then(|value| i32::try_from(value).ok())
            .unwrap_or_default(),
        single_user: cells.integer("single_user").map(|value| value != 0),
    })
}

#[cfg(test)]
mod tests {
    use tiberius::ColumnData;

    use super::*;

    #[test]
    fn properties_are_read_from_the_row() {
        let cells = [
            (
                "version",
                ColumnData::String(Some("15.0.2000.155916".into())),
            ),
            (
                "edition",
                ColumnData::String(Some("Azure SQL Edge Developer (64-bit)".into())),
            ),
            ("engine_edition", ColumnData::I32(Some(9))),
            ("single_user", ColumnData::I32(Some(1))),
        ];
        let expected = ServerProperties {
            version: "15.0.2000.155916".to_owned(),
            edition: "Azure SQL Edge Developer (64-bit)".to_owned(),
            engine_edition: 9,
            single_user: Some(true),
        };
        assert_eq!(read(&Cells::of(&cells)), Some(expected));
    }

    #[test]
    fn without_a_version_nothing_is_known() {
        let cells = [("version", ColumnData::String(None))];
        assert_eq!(read(&Cells::of(&cells)), None);
    }
}
