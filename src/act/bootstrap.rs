//! Makes the supervisor's own login in an engine that does not know it yet, by an administrator's.
//!
//! A login that is there already is left as it is, whatever its password: it may be somebody's.

use tiberius::Row;
use tracing::info;

use crate::config::SqlConfig;
use crate::config::refusals::Refusals;
use crate::decide::observation::ContactError;
use crate::tds::deadline::Deadline;
use crate::tds::permissions::{is_there, statements};
use crate::tds::session::Connector;
use crate::tds::value::Cells;

/// How the administrator's connection is named in the engine.
const APPLICATION_NAME: &str = "sql-edge-supervisor/bootstrap";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrapped {
    /// The login was made, with its permissions.
    Made,
    /// There is a login of this name.
    AlreadyThere,
}

/// Makes `sql.user` with the password that it logs in with, as `administrator`, within the deadline of a
/// login for each statement. Each statement is logged, without the password.
///
/// # Errors
/// What kept it from that: of the password's file, of the connection, or of the engine. The login may be
/// there then without its permissions.
///
/// # Cancel safety
/// The connection is closed. The engine may still carry out the statement that it was sent.
pub async fn bootstrap(sql: &SqlConfig, administrator: &str) -> Result<Bootstrapped, ContactError> {
    let unusable =
        |error: crate::config::secret::PasswordError| ContactError::Credentials(error.to_string());
    let password = sql.password.read().map_err(unusable)?;
    let limit = sql.login.deadline;
    let as_administrator = SqlConfig {
        user: administrator.to_owned(),
        password: sql.bootstrap.password.clone(),
        // That it is refused says nothing of the other login.
        refusals: Refusals::default(),
        ..sql.clone()
    };
    let mut connector = Connector::named(as_administrator, APPLICATION_NAME);
    let mut session = connector.open(Deadline::after(limit)).await?;
    let mut known = false;
    let mut take = |_, row: &Row| known = Cells::from(row).integer("id").is_some();
    session = session
        .query(&is_there(&sql.user), Deadline::after(limit), &mut take)
        .await?;
    let outcome = match known {
        true => Bootstrapped::AlreadyThere,
        false => {
            for statement in statements(&sql.user, &password) {
                info!(as = administrator, statement = statement.said, "bootstrap");
                session = session
                    .query(&statement.batch, Deadline::after(limit), &mut |_, _| ())
                    .await?;
            }
            // Who waits because the login was refused need not wait any more.
            sql.refusals.clear();
            Bootstrapped::Made
        }
    };
    session.close(Deadline::after(limit)).await;
    Ok(outcome)
}
