//! Makes the supervisor's own login in an engine that does not have it yet, with an administrator's login.
//!
//! The new password is part of a batch, so that the connection is encrypted unless it stays on this host,
//! whatever `sql-tls` says of the other ones.
//!
//! A login of that name that exists already is left as it is, whatever its password: it may be somebody's.

use std::time::Duration;

use tiberius::Row;
use tracing::{info, warn};

use crate::config::SqlConfig;
use crate::config::refusals::Refusals;
use crate::decide::observation::ContactError;
use crate::tds::deadline::Deadline;
use crate::tds::permissions::{Statement, drop_login, is_there, statements};
use crate::tds::session::{Connector, Session};
use crate::tds::value::Cells;

/// The application name of the administrator's connection, as the engine lists it.
const APPLICATION_NAME: &str = "sql-edge-supervisor/bootstrap";

/// The outcome of the bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrapped {
    /// The login was made, with its permissions.
    Made,
    /// A login of this name exists already. It is left as it is.
    AlreadyThere,
}

/// Makes `sql.user` with the password that it logs in with, as `administrator`, within the deadline of a
/// login for each statement. Each statement is logged, without the password.
///
/// # Errors
/// Returns the error of the password's file, of the connection, or of the engine. A login that was made and
/// did not get its permissions is dropped again, so that the next try makes both; where that fails too it
/// stays, and its missing permissions are named by the reasons.
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
    // The new password goes over it.
    let mut connector = Connector::for_secrets(as_administrator, APPLICATION_NAME);
    let mut session = connector.open(Deadline::after(limit)).await?;
    let mut known = false;
    let mut take = |_, row: &Row| known = Cells::from(row).integer("id").is_some();
    session = session
        .query(&is_there(&sql.user), Deadline::after(limit), &mut take)
        .await?;
    let outcome = match known {
        true => Bootstrapped::AlreadyThere,
        false => {
            let [create, grants @ ..] = statements(&sql.user, &password);
            session = run(session, &create, administrator, limit).await?;
            for grant in grants {
                session = match run(session, &grant, administrator, limit).await {
                    Ok(session) => session,
                    Err(error) => {
                        take_back(&mut connector, &sql.user, administrator, limit).await;
                        return Err(error);
                    }
                };
            }
            // Who waits because the login was refused need not wait any more.
            sql.refusals.clear();
            Bootstrapped::Made
        }
    };
    session.close(Deadline::after(limit)).await;
    Ok(outcome)
}

async fn run(
    session: Session,
    statement: &Statement,
    administrator: &str,
    limit: Duration,
) -> Result<Session, ContactError> {
    info!(as = administrator, statement = statement.said, "bootstrap");
    let deadline = Deadline::after(limit);
    session
        .query(&statement.batch, deadline, &mut |_, _| ())
        .await
}

/// Drops the login that was just made, as far as the engine can be reached.
async fn take_back(connector: &mut Connector, login: &str, administrator: &str, limit: Duration) {
    let dropped = async {
        let session = connector.open(Deadline::after(limit)).await?;
        run(session, &drop_login(login), administrator, limit).await
    };
    match dropped.await {
        Ok(session) => session.close(Deadline::after(limit)).await,
        Err(error) => warn!(
            login,
            ?error,
            "the login is there without its permissions, and could not be dropped: run the output of `setup-sql`"
        ),
    }
}
