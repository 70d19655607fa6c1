//! CHECKPOINT in each database, before the engine is stopped: its shutdown has less to write then, and
//! the next start less to recover.
//!
//! It takes a member of `db_owner`, `db_backupoperator` or `sysadmin` (Microsoft, "CHECKPOINT"). Any
//! other login is refused (262), which costs nothing but the time that is saved by it: a clean shutdown
//! makes a checkpoint of its own.

use std::time::{Duration, Instant};

use crate::config::SqlConfig;
use crate::decide::observation::ContactError;
use crate::tds::deadline::Deadline;
use crate::tds::session::Connector;

/// What became of the checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoints {
    /// Databases in which one was made.
    pub done: usize,
    /// Databases in which one was wanted.
    pub wanted: usize,
    /// How long all of it took.
    pub lasted: Duration,
    /// Why not in all.
    pub error: Option<ContactError>,
}

/// Makes a checkpoint in each of `databases`, on one connection of its own, within `limit` in all. It
/// ends at the first failure: the next one would fail alike, and the time is wanted elsewhere.
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
    let mut session = Connector::new(sql.clone()).open(deadline).await?;
    for database in databases {
        let batch = format!("USE {}; CHECKPOINT;", quoted(database));
        session = session.query(&batch, deadline, &mut |_, _| ()).await?;
        *done += 1;
    }
    session.close(deadline).await;
    Ok(())
}

/// As an identifier in brackets, whatever is in it (QUOTENAME).
fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(quoted("sales"), "[sales]");
        assert_eq!(quoted("a]; DROP DATABASE b"), "[a]]; DROP DATABASE b]");
    }
}
