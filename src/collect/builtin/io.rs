//! Input and output of each file: the number of operations, their bytes, and the time spent waiting
//! for them.
//!
//! The other exporters have it by database, each in its own way: awaragi's has the largest value of
//! a database's files in milliseconds, the others have their sum in seconds.

use super::{
    ALLOY, AWARAGI, Builtin, MAX_NAME_CHARS, MILLISECOND, OWN, SQL_EXPORTER, fresh, metrics,
};
use crate::collect::{Failure, Output, Reading};
use crate::tds::value::{Cells, first_chars};

/// The batch. The files' names need VIEW ANY DEFINITION; without it the files are shown by number.
const BATCH: &str = "\
SELECT DB_NAME(s.database_id) AS db, s.file_id, f.name AS file_name,
       s.num_of_reads, s.num_of_bytes_read, s.io_stall_read_ms,
       s.num_of_writes, s.num_of_bytes_written, s.io_stall_write_ms,
       s.io_stall, s.io_stall_queued_read_ms, s.io_stall_queued_write_ms
FROM sys.dm_io_virtual_file_stats(NULL, NULL) AS s
LEFT JOIN sys.master_files AS f ON f.database_id = s.database_id AND f.file_id = s.file_id
ORDER BY s.database_id, s.file_id";

metrics! {
    OPERATIONS: OWN, Counter "sql_edge_file_io_operations_total" ["database", "file", "operation"]
        "Reads and writes of the file.";
    BYTES: OWN, Counter "sql_edge_file_io_bytes_total" ["database", "file", "operation"]
        "Bytes read from and written to the file.";
    STALL: OWN, Counter "sql_edge_file_io_stall_seconds_total" ["database", "file", "operation"]
        "Time that was waited for the file.";
    STALL_ALLOY: ALLOY, Counter "mssql_io_stall_seconds_total" ["db", "operation"]
        "Stall time in seconds per database and I/O operation.";
    STALL_SQL_EXPORTER: SQL_EXPORTER, Counter "mssql_io_stall_seconds" ["db", "operation"]
        "Stall time in seconds per database and I/O operation.";
    STALL_TOTAL_SQL_EXPORTER: SQL_EXPORTER, Counter "mssql_io_stall_total_seconds" ["db"]
        "Total stall time in seconds per database.";
    STALL_AWARAGI: AWARAGI, Counter "mssql_io_stall" ["database", "type"]
        "Wait time (ms) of stall since last restart, of the database's file with the longest.";
    STALL_TOTAL_AWARAGI: AWARAGI, Counter "mssql_io_stall_total" ["database"]
        "Wait time (ms) of stall since last restart, of the database's file with the longest.";
}

pub(super) const COLLECTOR: Builtin = Builtin::new("io", METRICS, BATCH, fresh::<Answer>);

/// The types of awaragi's metric, each with its column.
const TYPES: [(&str, &str); 4] = [
    ("read", "io_stall_read_ms"),
    ("write", "io_stall_write_ms"),
    ("queued_read", "io_stall_queued_read_ms"),
    ("queued_write", "io_stall_queued_write_ms"),
];

/// The sums of the database whose files come just now: the rows are ordered by database.
#[derive(Default)]
struct Answer {
    database: String,
    read_ms: f64,
    write_ms: f64,
    all_ms: f64,
    longest_ms: [f64; TYPES.len()],
    longest_all_ms: f64,
}

impl Reading for Answer {
    fn row(&mut self, _result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        // Without a name: a database that went away meanwhile.
        let Some(database) = cells.text("db").filter(|name| !name.is_empty()) else {
            return;
        };
        if database != self.database {
            self.flush(out);
            self.database = first_chars(database, MAX_NAME_CHARS);
        }
        let number = |name| cells.number(name).unwrap_or_default();
        self.read_ms += number("io_stall_read_ms");
        self.write_ms += number("io_stall_write_ms");
        self.all_ms += number("io_stall");
        self.longest_all_ms = self.longest_all_ms.max(number("io_stall"));
        for (longest, (_, column)) in self.longest_ms.iter_mut().zip(TYPES) {
            *longest = longest.max(number(column));
        }
        let file = match cells.text("file_name") {
            Some(name) => name.to_owned(),
            None => cells.integer("file_id").unwrap_or_default().to_string(),
        };
        for (operation, count, bytes, stall) in [
            (
                "read",
                "num_of_reads",
                "num_of_bytes_read",
                "io_stall_read_ms",
            ),
            (
                "write",
                "num_of_writes",
                "num_of_bytes_written",
                "io_stall_write_ms",
            ),
        ] {
            let labels = [database, file.as_str(), operation];
            out.maybe(&OPERATIONS, &labels, cells.number(count));
            out.maybe(&BYTES, &labels, cells.number(bytes));
            let stall = cells.number(stall).map(|ms| ms * MILLISECOND);
            out.maybe(&STALL, &labels, stall);
        }
    }

    fn finish(mut self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        self.flush(out);
        Ok(())
    }
}

impl Answer {
    /// Exposes the database whose rows are complete, and begins anew.
    fn flush(&mut self, out: &mut Output<'_>) {
        let done = std::mem::take(self);
        let database = done.database.as_str();
        if database.is_empty() {
            return;
        }
        for (operation, ms) in [("read", done.read_ms), ("write", done.write_ms)] {
            out.sample(&STALL_ALLOY, &[database, operation], ms * MILLISECOND);
            out.sample(
                &STALL_SQL_EXPORTER,
                &[database, operation],
                ms * MILLISECOND,
            );
        }
        out.sample(
            &STALL_TOTAL_SQL_EXPORTER,
            &[database],
            done.all_ms * MILLISECOND,
        );
        for ((name, _), ms) in TYPES.iter().zip(done.longest_ms) {
            out.sample(&STALL_AWARAGI, &[database, name], ms);
        }
        out.sample(&STALL_TOTAL_AWARAGI, &[database], done.longest_all_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn file(database: &str, id: i64, name: Option<&str>, read_ms: i64, write_ms: i64) -> Row {
        let mut row = vec![
            ("db", text(database)),
            ("file_id", int(id)),
            ("num_of_reads", int(10)),
            ("num_of_bytes_read", int(8192)),
            ("io_stall_read_ms", int(read_ms)),
            ("num_of_writes", int(5)),
            ("num_of_bytes_written", int(512)),
            ("io_stall_write_ms", int(write_ms)),
            ("io_stall", int(read_ms + write_ms)),
            ("io_stall_queued_read_ms", int(0)),
            ("io_stall_queued_write_ms", int(1)),
        ];
        row.extend(name.map(|name| ("file_name", text(name))));
        row
    }

    #[test]
    fn files_are_shown_and_databases_are_summed_each_exporter_in_its_way() {
        let rows = vec![
            file("orders", 1, Some("orders"), 1000, 200),
            file("orders", 2, Some("orders_log"), 500, 3000),
            file("stock", 1, None, 0, 0),
            vec![("file_id", int(1)), ("io_stall", int(7))],
        ];
        let lines = samples(&COLLECTOR, &[rows]).unwrap();
        for line in [
            "sql_edge_file_io_operations_total{database=\"orders\",file=\"orders\",operation=\"read\"} 10",
            "sql_edge_file_io_bytes_total{database=\"orders\",file=\"orders_log\",operation=\"write\"} 512",
            "sql_edge_file_io_stall_seconds_total{database=\"orders\",file=\"orders_log\",operation=\"write\"} 3",
            "sql_edge_file_io_stall_seconds_total{database=\"stock\",file=\"1\",operation=\"read\"} 0",
            "mssql_io_stall_seconds_total{db=\"orders\",operation=\"read\"} 1.5",
            "mssql_io_stall_seconds{db=\"orders\",operation=\"write\"} 3.2",
            "mssql_io_stall_total_seconds{db=\"orders\"} 4.7",
            "mssql_io_stall{database=\"orders\",type=\"read\"} 1000",
            "mssql_io_stall{database=\"orders\",type=\"queued_write\"} 1",
            "mssql_io_stall_total{database=\"orders\"} 3500",
            "mssql_io_stall_total{database=\"stock\"} 0",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
        let of_alloy = lines
            .iter()
            .filter(|line| line.starts_with("mssql_io_stall_seconds_total"));
        assert_eq!(of_alloy.count(), 4);
    }
}
