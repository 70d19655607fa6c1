//! tempdb's space, and the row versions that fill it.

use super::{Builtin, EachRow, KIB, OWN, PAGE_BYTES, metrics};
use crate::collect::Output;
use crate::tds::value::Cells;

/// The batch. Databases without row versions, which are almost all, are left out.
const BATCH: &str = "\
SELECT SUM(unallocated_extent_page_count) AS free_pages,
       SUM(user_object_reserved_page_count) AS user_objects,
       SUM(internal_object_reserved_page_count) AS internal_objects,
       SUM(version_store_reserved_page_count) AS version_store,
       SUM(mixed_extent_page_count) AS mixed_extents
FROM tempdb.sys.dm_db_file_space_usage;
SELECT DB_NAME(database_id) AS db, reserved_space_kb
FROM sys.dm_tran_version_store_space_usage WHERE reserved_space_kb > 0";

metrics! {
    SPACE: OWN, Gauge "sql_edge_tempdb_bytes" ["use"]
        "Space of tempdb's data files by what it is used for.";
    VERSIONS: OWN, Gauge "sql_edge_version_store_bytes" ["database"]
        "Space in tempdb of the database's row versions; absent where there are none.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("tempdb", METRICS, BATCH, || Box::new(EachRow(row)));

fn row(result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    if result_set > 0 {
        let bytes = cells.number("reserved_space_kb").map(|kb| kb * KIB);
        out.maybe(&VERSIONS, &[cells.text("db").unwrap_or_default()], bytes);
        return;
    }
    for (label, column) in [
        ("free", "free_pages"),
        ("user_objects", "user_objects"),
        ("internal_objects", "internal_objects"),
        ("version_store", "version_store"),
        ("mixed_extents", "mixed_extents"),
    ] {
        let bytes = cells.number(column).map(|pages| pages * PAGE_BYTES);
        out.maybe(&SPACE, &[label], bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, text};
    use super::*;

    #[test]
    fn pages_and_kilobytes_become_bytes() {
        let space = vec![("free_pages", int(2)), ("version_store", int(1))];
        let versions = vec![("db", text("orders")), ("reserved_space_kb", int(64))];
        let lines = samples(&COLLECTOR, &[vec![space], vec![versions]]).unwrap();
        assert_eq!(
            lines,
            [
                "sql_edge_tempdb_bytes{use=\"free\"} 16384",
                "sql_edge_tempdb_bytes{use=\"version_store\"} 8192",
                "sql_edge_version_store_bytes{database=\"orders\"} 65536",
            ]
        );
    }
}
