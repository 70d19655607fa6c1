//! CHECKPOINT in each database, before the engine is stopped: its shutdown has less to write then, and
//! the next start less to recover.
//!
//! It takes a member of `db_owner`, `db_backupoperator` or `sysadmin` (Microsoft, "CHECKPOINT"). Any other
//! login is refused (262), which loses only the time that the checkpoints would have saved: a clean shutdown
//! makes a checkpoint of its own.

use std::time::{Duration, Instant};

use crate::config::SqlConfig;
use crate::decide::observation::ContactError;
use crate::tds::deadline::Deadline;
use crate::tds::permissions::bracketed;
use crate::tds::session::Connector;

/// The outcome of the checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoints {
    /// The number of databases in which a checkpoint was made.
    pub done: usize,
    /// The number of databases in which a checkpoint was wanted.
    pub wanted: usize,
    /// The time that all checkpoints took together.
    pub lasted: Duration,
    /// The first error, where not every database got its checkpoint.
    pub error: Option<ContactError>,
}

/// Makes a checkpoint in each of `databases`, on a connection of its own, within `limit` in all. Where the
/// engine refuses one (a database in single-user mode, a secondary replica) the others are made all the
/// same; a login that may make none (262) and a connection that fails end it: the next would fail alike,
/// and the time is wanted elsewhere.
///
/// # Cancel safety
/// The connection is closed. The engine may still carry out the checkpoint that was asked for.
pub async fn checkpoint(sql: &SqlConfig, databases: &[String], limit: Duration) -> Checkpoints {
    let began = Instant::now();
    let mut done = 0;
    let error = each(sql, databases, Deadline::after(limit), &mut done)
        .await
        .err();
    Checkpoints {
        done,
        wanted: databases.len(),
        lasted: began.elapsed(),
        error,
    }
}

async fn each(
    sql: &SqlConfig,
    databases: &[String],
    deadline: Deadline,
    done: &mut usize,
) -> Result<(), ContactError> {
    let mut connector = Connector::new(sql.clone());
    let mut open = Some(connector.open(deadline).await?);
    let mut refused = None;
    for database in databases {
        let session = match open.take() {
            Some(session) => session,
            None => connector.open(deadline).await?,
        };
        let batch = format!("USE {}; CHECKPOINT;", bracketed(database));
        match session.query(&batch, deadline, &mut |_, _| ()).await {
            Ok(session) => {
                *done += 1;
                open = Some(session);
            }
            Err(error) if is_of_one_database(&error) => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(refused.unwrap_or(error)),
        }
    }
    if let Some(session) = open {
        session.close(deadline).await;
    }
    refused.map_or(Ok(()), Err)
}

/// Whether the engine's answer is about this database alone, so that another may be answered differently.
fn is_of_one_database(error: &ContactError) -> bool {
    /// The error "CHECKPOINT permission denied".
    const DENIED: u32 = 262;
    matches!(error, ContactError::Server(error) if error.number != DENIED)
}
