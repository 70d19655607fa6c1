//! Whether a client is still connected: a stop waits for the endpoints to take the pod out, and need not wait
//! any longer once there is no client.

use std::future::pending;
use std::time::Duration;

use tiberius::Row;
use tokio::time::sleep;

use crate::config::SqlConfig;
use crate::decide::observation::ContactError;
use crate::tds::deadline::Deadline;
use crate::tds::session::{Connector, Session, is_own_application};
use crate::tds::value::Cells;

/// The application name of the drain's connection, as the engine lists it.
const APPLICATION_NAME: &str = "sql-edge-supervisor/drain";

/// The pause between two looks at the sessions.
const PACE: Duration = Duration::from_millis(100);

/// The query for the sessions. Without VIEW SERVER STATE the view shows the login's own session and no error,
/// so that the permission is asked for first.
const BATCH: &str = "\
SELECT HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') AS is_allowed;
SELECT program_name, COUNT(*) AS sessions FROM sys.dm_exec_sessions
WHERE is_user_process = 1 GROUP BY program_name";

/// Waits until no user's session is left but the supervisor's own; waits for ever where the sessions can't be
/// seen. A failure is not tried again: the caller limits the wait.
///
/// # Cancel safety
/// The connection is closed.
pub async fn nobody_connected(sql: &SqlConfig, limit: Duration) {
    if !limit.is_zero() && left(sql, Deadline::after(limit)).await.is_ok() {
        return;
    }
    pending::<()>().await;
}

/// Returns once all other sessions have ended.
async fn left(sql: &SqlConfig, deadline: Deadline) -> Result<(), ContactError> {
    let mut connector = Connector::named(sql.clone(), APPLICATION_NAME);
    let mut session = connector.open(deadline).await?;
    loop {
        let (next, others) = count(session, deadline).await?;
        session = next;
        match others {
            None => pending().await,
            Some(0) => break,
            Some(_) => sleep(PACE).await,
        }
    }
    session.close(deadline).await;
    Ok(())
}

/// Returns the number of other sessions; none where the login may not see them.
async fn count(
    session: Session,
    deadline: Deadline,
) -> Result<(Session, Option<i64>), ContactError> {
    let (mut allowed, mut others) = (false, 0);
    let mut take = |result, row: &Row| {
        let cells = Cells::from(row);
        if result == 0 {
            allowed = cells.integer("is_allowed") == Some(1);
        } else if !cells.text("program_name").is_some_and(is_own_application) {
            others += cells.integer("sessions").unwrap_or_default();
        }
    };
    let session = session.query(BATCH, deadline, &mut take).await?;
    Ok((session, allowed.then_some(others)))
}
