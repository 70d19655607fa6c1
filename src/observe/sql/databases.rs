//! Databases: the rows of `sys.databases`, and how far those in recovery have come.

use std::time::Duration;

use tiberius::Row;
use tokio::time::Instant;

use super::files::Files;
use super::pace::{Began, is_denied, until_next_quietly};
use crate::config::SqlConfig;
use crate::decide::observation::{
    ContactError, Database, DatabaseList, DatabaseState, DatabasesReport, Observation,
};
use crate::observe::Sink;
use crate::tds::deadline::Deadline;
use crate::tds::standing::Standing;
use crate::tds::value::{Cells, first_chars};

/// The length of a name in characters: `sysname` is `nvarchar(128)`.
const MAX_NAME_CHARS: usize = 128;

/// Bytes of a row of the list at most: its token, an integer, a name, and two numbers of a byte with their
/// lengths; and of the row of its recovery.
const MAX_ROW_BYTES: usize = (1 + 5 + 2 + 2 * MAX_NAME_CHARS + 2 + 2) + (1 + 5 + 5 + 9);

/// The greatest number of bytes of the rest of the answer: its column descriptions, the number of databases,
/// and what an engine sends beside.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// The time in milliseconds that the engine may wait for a lock for this query before it answers 1222.
const LOCK_TIMEOUT_MS: u32 = 1000;

/// The time for which recovery is not asked for after the engine denied it.
const DENIED_RETRY: Duration = Duration::from_secs(60);

/// Lists the databases for ever, each [`databases`](SqlConfig::databases) interval, on a standing connection.
///
/// `required` come first: no limit leaves one of them out.
///
/// # Cancel safety
/// Drop the future to end it; its connection is closed.
pub async fn observe(config: SqlConfig, required: Vec<String>, sink: Sink) {
    let pace = config.databases;
    let max = config.max_databases;
    let mut standing = Standing::new(config);
    let mut denied: Option<Instant> = None;
    let mut files = Files::default();
    loop {
        let began = Began::now(sink.clock());
        let recovery = denied.is_none_or(|at| at.elapsed() >= DENIED_RETRY);
        let batch = batch(max, &required, recovery);
        let mut rows = Rows::default();
        let mut take = |index, row: &Row| rows.take(index, &Cells::from(row), max);
        let deadline = Deadline::after(pace.deadline);
        let query = standing.query_at_most(max_answer_bytes(max), &batch, deadline, &mut take);
        let error = query.await.err();
        if error.as_ref().is_some_and(is_denied) {
            denied = Some(Instant::now());
        }
        if !began.cut_short(sink.clock(), error.as_ref(), pace.deadline) {
            let report = rows.report(max, error.clone());
            sink.send(Observation::Databases(report)).await;
        }
        if error.is_none() {
            let deadline = Deadline::after(pace.deadline);
            files.ask(&mut standing, deadline, &sink).await;
        }
        let next = until_next_quietly(pace.interval, error.as_ref());
        began.wait(next).await;
    }
}

/// Returns the batch that asks for the number of databases, the first `max` of them, and with `recovery` what
/// the engine does to bring databases up: one result set each.
///
/// Without VIEW SERVER STATE `sys.dm_exec_requests` shows the session its own requests only, which
/// is an empty last result; where the engine refuses it altogether the list has arrived before.
fn batch(max: usize, required: &[String], recovery: bool) -> String {
    let first = first(required);
    let list = format!(
        "SET LOCK_TIMEOUT {LOCK_TIMEOUT_MS}; \
         SELECT COUNT(*) AS total FROM sys.databases; \
         SELECT TOP ({max}) database_id, name, state, is_read_only \
         FROM sys.databases ORDER BY {first}database_id;"
    );
    if recovery {
        list + " SELECT database_id, percent_complete, estimated_completion_time \
                FROM sys.dm_exec_requests WHERE command = N'DB STARTUP';"
    } else {
        list
    }
}

/// Returns the greatest number of bytes of an answer with `max` databases. Packets and encryption add to it,
/// 8 bytes and some 30 to each 4 KiB.
fn max_answer_bytes(max: usize) -> usize {
    let rows = max.saturating_mul(MAX_ROW_BYTES);
    MAX_FRAME_BYTES
        .saturating_add(rows)
        .saturating_add(rows / 64)
}

/// Returns the sort key that puts the required databases first; names are compared as the engine compares
/// them.
fn first(required: &[String]) -> String {
    if required.is_empty() {
        return String::new();
    }
    let names: Vec<_> = required.iter().map(|name| literal(name)).collect();
    format!(
        "CASE WHEN name IN ({}) THEN 0 ELSE 1 END, ",
        names.join(", ")
    )
}

/// Returns `text` as a string in a batch, whatever characters are in it.
fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// The rows as they arrive.
#[derive(Debug, Default)]
struct Rows {
    list: DatabaseList,
    /// `database_id` of each database of the list, to join recovery by.
    ids: Vec<i64>,
    /// The number of rows of the list, kept or not.
    seen: usize,
    /// The number of databases.
    total: Option<usize>,
}

impl Rows {
    fn take(&mut self, result_set: usize, cells: &Cells<'_>, max: usize) {
        match result_set {
            0 => {
                self.total = cells
                    .integer("total")
                    .and_then(|total| usize::try_from(total).ok());
            }
            1 => self.take_database(cells, max),
            _ => self.take_recovery(cells),
        }
    }

    fn take_database(&mut self, cells: &Cells<'_>, max: usize) {
        self.seen += 1;
        let (Some(name), Some(state)) = (cells.text("name"), cells.integer("state")) else {
            return;
        };
        if self.list.databases.len() < max {
            self.ids.push(cells.integer("database_id").unwrap_or(-1));
            self.list.databases.push(Database {
                name: first_chars(name, MAX_NAME_CHARS),
                state: DatabaseState::from(state),
                read_only: cells.integer("is_read_only") == Some(1),
                recovery_percent: None,
                recovery_remaining: None,
            });
        }
    }

    fn take_recovery(&mut self, cells: &Cells<'_>) {
        let Some(id) = cells.integer("database_id") else {
            return;
        };
        let Some(index) = self.ids.iter().position(|known| *known == id) else {
            return;
        };
        if let Some(database) = self.list.databases.get_mut(index) {
            database.recovery_percent = cells
                .number("percent_complete")
                .filter(|percent| (0.0..=100.0).contains(percent));
            database.recovery_remaining = cells
                .integer("estimated_completion_time")
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis);
        }
    }

    /// Returns the list, if it is complete; an error of the last result set costs its columns only.
    fn report(mut self, max: usize, error: Option<ContactError>) -> DatabasesReport {
        let complete = self.total.is_some_and(|total| self.seen >= total.min(max));
        match error {
            Some(ContactError::Server(_)) if complete => {}
            Some(error) => return DatabasesReport::Failed(error),
            // sys.databases always has master, so that an empty list means that nothing was read.
            None if self.seen == 0 => {
                return DatabasesReport::Failed(ContactError::Protocol(
                    "sys.databases has no row".to_owned(),
                ));
            }
            None => {}
        }
        let total = self.total.unwrap_or_default().max(self.seen);
        let left_out = total.saturating_sub(self.list.databases.len());
        self.list.left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        DatabasesReport::Listed(self.list)
    }
}

impl From<i64> for DatabaseState {
    fn from(state: i64) -> Self {
        match state {
            0 => Self::Online,
            1 => Self::Restoring,
            2 => Self::Recovering,
            3 => Self::RecoveryPending,
            4 => Self::Suspect,
            5 => Self::Emergency,
            6 => Self::Offline,
            other => Self::Other(u8::try_from(other).unwrap_or(u8::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tiberius::ColumnData;

    use super::*;
    use crate::decide::observation::ServerError;

    fn database(
        id: i32,
        name: &'static str,
        state: u8,
    ) -> [(&'static str, ColumnData<'static>); 4] {
        [
            ("database_id", ColumnData::I32(Some(id))),
            ("name", ColumnData::String(Some(name.into()))),
            ("state", ColumnData::U8(Some(state))),
            ("is_read_only", ColumnData::Bit(Some(false))),
        ]
    }

    /// Returns rows that are to be of so many databases.
    fn of(total: i32) -> Rows {
        let mut rows = Rows::default();
        let cells = [("total", ColumnData::I32(Some(total)))];
        rows.take(0, &Cells::of(&cells), 0);
        rows
    }

    fn recovery(id: i16, percent: f32, ms: i64) -> [(&'static str, ColumnData<'static>); 3] {
        [
            ("database_id", ColumnData::I16(Some(id))),
            ("percent_complete", ColumnData::F32(Some(percent))),
            ("estimated_completion_time", ColumnData::I64(Some(ms))),
        ]
    }

    fn server(number: u32) -> ContactError {
        ContactError::Server(ServerError {
            number,
            state: 1,
            class: 14,
        })
    }

    #[test]
    fn the_required_ones_come_before_the_cap() {
        let none = batch(3, &[], false);
        assert!(none.ends_with("ORDER BY database_id;"), "{none}");
        let required = ["orders".to_owned(), "o'; DROP".to_owned()];
        let some = batch(3, &required, false);
        assert!(
            some.ends_with("ORDER BY CASE WHEN name IN (N'orders', N'o''; DROP') THEN 0 ELSE 1 END, database_id;"),
            "{some}"
        );
    }

    #[test]
    fn as_many_databases_as_may_be_set_fit_into_an_answer() {
        let name = "n".repeat(MAX_NAME_CHARS);
        // A token, an integer, a name in UTF-16 behind its length, and two numbers behind theirs.
        let row = 1 + (1 + 4) + (2 + 2 * name.len()) + (1 + 1) + (1 + 1);
        let recovery = 1 + (1 + 4) + (1 + 4) + (1 + 8);
        for max in [1, 1000, 32_767] {
            let packets = max * (row + recovery) / 4096 * 40;
            assert!(
                max_answer_bytes(max) > max * (row + recovery) + packets,
                "{max}"
            );
        }
    }

    #[test]
    fn recovery_is_joined_by_id() {
        let mut rows = of(2);
        for cells in [database(1, "master", 0), database(5, "orders", 2)] {
            rows.take(1, &Cells::of(&cells), 10);
        }
        rows.take(2, &Cells::of(&recovery(5, 42.5, 61_000)), 10);
        rows.take(2, &Cells::of(&recovery(9, 1.0, 1)), 10);
        let DatabasesReport::Listed(list) = rows.report(10, None) else {
            panic!("the list is complete");
        };
        assert_eq!(list.left_out, 0);
        let [master, orders] = list.databases.as_slice() else {
            panic!("two databases");
        };
        assert_eq!(master.state, DatabaseState::Online);
        assert_eq!(master.recovery_percent, None);
        assert_eq!(orders.state, DatabaseState::Recovering);
        assert_eq!(orders.recovery_percent, Some(42.5));
        assert_eq!(orders.recovery_remaining, Some(Duration::from_secs(61)));
    }

    #[test]
    fn more_than_the_limit_is_counted_not_kept() {
        let mut rows = of(300);
        for (id, name) in [(1, "master"), (2, "tempdb")] {
            rows.take(1, &Cells::of(&database(id, name, 0)), 2);
        }
        let DatabasesReport::Listed(list) = rows.report(2, None) else {
            panic!("complete as far as it was asked for");
        };
        assert_eq!((list.databases.len(), list.left_out), (2, 298));
    }

    #[test]
    fn an_engine_that_ignores_top_is_bounded_all_the_same() {
        let mut rows = of(50);
        for id in 0..50 {
            rows.take(1, &Cells::of(&database(id, "x", 0)), 3);
        }
        let DatabasesReport::Listed(list) = rows.report(3, None) else {
            panic!("complete");
        };
        assert_eq!((list.databases.len(), list.left_out), (3, 47));
    }

    #[test]
    fn a_denied_recovery_costs_its_columns_and_not_the_list() {
        let mut rows = of(1);
        rows.take(1, &Cells::of(&database(1, "master", 0)), 10);
        assert!(is_denied(&server(300)));
        assert!(matches!(
            rows.report(10, Some(server(300))),
            DatabasesReport::Listed(_)
        ));
    }

    #[test]
    fn half_a_list_is_no_list() {
        let mut rows = of(2);
        rows.take(1, &Cells::of(&database(1, "master", 0)), 10);
        assert_eq!(
            rows.report(10, Some(server(1222))),
            DatabasesReport::Failed(server(1222))
        );
        let closed = DatabasesReport::Failed(ContactError::Closed);
        assert_eq!(
            Rows::default().report(10, Some(ContactError::Closed)),
            closed
        );
        assert!(matches!(
            Rows::default().report(10, None),
            DatabasesReport::Failed(ContactError::Protocol(_))
        ));
    }

    #[test]
    fn hostile_cells_are_absent_and_names_are_bounded() {
        let mut rows = of(1);
        let name = "n".repeat(MAX_NAME_CHARS + 50);
        let mut cells = database(1, "", 200);
        cells[1].1 = ColumnData::String(Some(name.into()));
        rows.take(1, &Cells::of(&cells), 10);
        rows.take(2, &Cells::of(&recovery(1, -7.0, -1)), 10);
        let DatabasesReport::Listed(list) = rows.report(10, None) else {
            panic!("complete");
        };
        let database = &list.databases[0];
        assert_eq!(database.name.len(), MAX_NAME_CHARS);
        assert_eq!(database.state, DatabaseState::Other(200));
        assert_eq!(database.recovery_percent, None);
        assert_eq!(database.recovery_remaining, None);
    }

    #[test]
    fn documented_states_are_told_apart() {
        let states: Vec<_> = (0..=6).map(DatabaseState::from).collect();
        assert!(
            states
                .iter()
                .all(|state| !matches!(state, DatabaseState::Other(_)))
        );
        assert_eq!(DatabaseState::from(-1), DatabaseState::Other(u8::MAX));
    }
}
