//! The last backup of each database and kind, from msdb: its end, its size, its duration.
//!
//! The collector needs SELECT on `msdb.dbo.backupset`. Tools that copy files or take snapshots of a
//! volume leave no row there; a database without any backup has no sample, and is found by
//! `sql_edge_database_info`.

use super::{Builtin, EachRow, OWN, metrics, timestamp};
use crate::collect::Output;
use crate::tds::value::Cells;

/// The batch. Databases that were dropped keep their history, and are left out.
const BATCH: &str = "\
SELECT b.database_name AS db, b.type, CAST(b.backup_size AS bigint) AS bytes,
       DATEDIFF(second, b.backup_start_date, b.backup_finish_date) AS duration,
       DATEDIFF_BIG(second, '19700101', b.backup_finish_date) AS finished,
       DATEDIFF(second, GETDATE(), GETUTCDATE()) AS to_utc
FROM msdb.dbo.backupset AS b
JOIN (SELECT MAX(backup_set_id) AS last_id FROM msdb.dbo.backupset
      WHERE type IN ('D', 'I', 'L') GROUP BY database_name, type) AS latest
    ON latest.last_id = b.backup_set_id
WHERE DB_ID(b.database_name) IS NOT NULL
ORDER BY b.database_name";

metrics! {
    FINISHED: OWN, Gauge "sql_edge_backup_last_finish_timestamp_seconds" ["database", "type"]
        "When the last backup ended, in seconds since 1970; absent without one.";
    SIZE: OWN, Gauge "sql_edge_backup_last_size_bytes" ["database", "type"]
        "Size of the last backup before compression.";
    DURATION: OWN, Gauge "sql_edge_backup_last_duration_seconds" ["database", "type"]
        "How long the last backup took.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("backups", METRICS, BATCH, || Box::new(EachRow(row))).seldom();

fn row(_result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    let kind = match cells.text("type").map(str::trim_end) {
        Some("D") => "full",
        Some("I") => "differential",
        Some("L") => "log",
        _ => return,
    };
    let Some(database) = cells.text("db") else {
        return;
    };
    let labels = [database, kind];
    out.maybe(&FINISHED, &labels, timestamp(cells, "finished"));
    out.maybe(&SIZE, &labels, cells.number("bytes"));
    out.maybe(&DURATION, &labels, cells.number("duration"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn backup(kind: &str) -> Row {
        vec![
            ("db", text("orders")),
            ("type", text(kind)),
            ("bytes", int(4096)),
            ("duration", int(7)),
            ("finished", int(1_764_000_000)),
            ("to_utc", int(1)),
        ]
    }

    #[test]
    fn the_last_of_each_kind() {
        // Files and partial backups are of another kind.
        let lines = samples(&COLLECTOR, &[vec![backup("D"), backup("L"), backup("F")]]).unwrap();
        assert_eq!(lines.len(), 6);
        for line in [
            "sql_edge_backup_last_finish_timestamp_seconds{database=\"orders\",type=\"full\"} 1764000000",
            "sql_edge_backup_last_size_bytes{database=\"orders\",type=\"log\"} 4096",
            "sql_edge_backup_last_duration_seconds{database=\"orders\",type=\"full\"} 7",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
    }
}
