//! A connection that is kept between queries.

use tiberius::Row;

use super::deadline::Deadline;
use super::session::{Connector, MAX_ANSWER_BYTES, Session};
use crate::config::SqlConfig;
use crate::decide::observation::ContactError;

/// A connection that is kept between queries, and made anew when it is gone.
pub(crate) struct Standing {
    connector: Connector,
    session: Option<Session>,
}

impl Standing {
    pub(crate) fn new(config: SqlConfig) -> Self {
        Self {
            connector: Connector::new(config),
            session: None,
        }
    }

    /// Runs `batch` as [`Self::query_at_most`] does, with an answer of ordinary length.
    ///
    /// # Errors
    /// As [`Self::query_at_most`].
    pub(crate) async fn query(
        &mut self,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<(), ContactError> {
        self.query_at_most(MAX_ANSWER_BYTES, batch, deadline, each)
            .await
    }

    /// Runs `batch`, whose answer has at most `max_bytes`, on the connection that is kept, or on a new one.
    ///
    /// A connection found closed is replaced once: the engine or an administrator may have ended it
    /// since the last query, which shows nothing about whether the engine answers now.
    ///
    /// # Errors
    /// As [`Connector::open`] and [`Session::query_at_most`].
    ///
    /// # Cancel safety
    /// The connection is closed; the next call makes a new one.
    pub(crate) async fn query_at_most(
        &mut self,
        max_bytes: usize,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<(), ContactError> {
        if let Some(session) = self.session.take() {
            let mut rows = 0_usize;
            let mut count = |index: usize, row: &Row| {
                rows += 1;
                each(index, row);
            };
            match session
                .query_at_most(max_bytes, batch, deadline, &mut count)
                .await
            {
                Ok(session) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(ContactError::Closed) if rows == 0 => {}
                Err(error) => return Err(error),
            }
        }
        let session = self.connector.open(deadline).await?;
        let query = session.query_at_most(max_bytes, batch, deadline, each);
        self.session = Some(query.await?);
        Ok(())
    }
}
