//! Files: their sizes, and how far and in what steps they may grow. The files of databases that
//! belong to others need VIEW ANY DEFINITION.

use super::{AWARAGI, Builtin, EachRow, OWN, PAGE_BYTES, PERCENT, metrics, word};
use crate::collect::Output;
use crate::tds::value::Cells;

const PAGE_KIB: f64 = 8.0;
/// The `max_size` of a file that may fill the disk.
const UNLIMITED: f64 = -1.0;

const BATCH: &str = "\
SELECT DB_NAME(database_id) AS db, name, type_desc, physical_name,
       size, max_size, growth, is_percent_growth
FROM sys.master_files ORDER BY database_id, file_id";

metrics! {
    SIZE_AWARAGI: AWARAGI, Gauge "mssql_database_filesize" ["database", "filename", "logicalname", "type"]
        "Physical sizes of files used by database in KB, their names and types (0=rows, 1=log, 2=filestream, 3=n/a 4=fulltext(before v2008 of MSSQL))";
    SIZE: OWN, Gauge "sql_edge_file_size_bytes" ["database", "file", "type"]
        "Size of the file.";
    MAX_SIZE: OWN, Gauge "sql_edge_file_max_size_bytes" ["database", "file", "type"]
        "Size that the file may grow to; absent where only the disk limits it.";
    GROWTH: OWN, Gauge "sql_edge_file_growth_bytes" ["database", "file", "type"]
        "Step in which the file grows, 0 where it does not; absent where the step is a share.";
    GROWTH_RATIO: OWN, Gauge "sql_edge_file_growth_ratio" ["database", "file", "type"]
        "Step in which the file grows, as a share of its size; absent where the step is fixed.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("files", METRICS, BATCH, || Box::new(EachRow(row))).seldom();

fn row(_result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    let (Some(database), Some(name), Some(pages)) =
        (cells.text("db"), cells.text("name"), cells.number("size"))
    else {
        return;
    };
    let path = cells.text("physical_name").unwrap_or_default();
    let type_desc = cells.text("type_desc").unwrap_or_default();
    let labels = [database, path, name, type_desc];
    out.sample(&SIZE_AWARAGI, &labels, pages * PAGE_KIB);
    let labels = [database, name, &word(cells, "type_desc")];
    out.sample(&SIZE, &labels, pages * PAGE_BYTES);
    let max_pages = match cells.number("max_size") {
        Some(UNLIMITED) | None => None,
        // The file does not grow.
        Some(0.0) => Some(pages),
        max_pages => max_pages,
    };
    out.maybe(
        &MAX_SIZE,
        &labels,
        max_pages.map(|pages| pages * PAGE_BYTES),
    );
    let growth = cells.number("growth");
    match cells.integer("is_percent_growth") {
        Some(0) => out.maybe(&GROWTH, &labels, growth.map(|pages| pages * PAGE_BYTES)),
        Some(_) => out.maybe(&GROWTH_RATIO, &labels, growth.map(|share| share * PERCENT)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn file(name: &str, kind: &str, max_pages: i64, growth: i64, is_percent: i64) -> Row {
        vec![
            ("db", text("orders")),
            ("name", text(name)),
            ("type_desc", text(kind)),
            ("physical_name", text("/data/x")),
            ("size", int(128)),
            ("max_size", int(max_pages)),
            ("growth", int(growth)),
            ("is_percent_growth", int(is_percent)),
        ]
    }

    #[test]
    fn sizes_limits_and_steps() {
        let rows = vec![
            file("data", "ROWS", -1, 64, 0),
            file("log", "LOG", 256, 10, 1),
            file("old", "ROWS", 0, 0, 0),
        ];
        let lines = samples(&COLLECTOR, &[rows]).unwrap();
        let of = |family: &str, file: &str, kind: &str, value: &str| {
            format!("{family}{{database=\"orders\",file=\"{file}\",type=\"{kind}\"}} {value}")
        };
        for line in [
            "mssql_database_filesize{database=\"orders\",filename=\"/data/x\",logicalname=\"log\",type=\"LOG\"} 1024".to_owned(),
            of("sql_edge_file_size_bytes", "data", "rows", "1048576"),
            of("sql_edge_file_max_size_bytes", "log", "log", "2097152"),
            of("sql_edge_file_max_size_bytes", "old", "rows", "1048576"),
            of("sql_edge_file_growth_bytes", "data", "rows", "524288"),
            of("sql_edge_file_growth_bytes", "old", "rows", "0"),
            of("sql_edge_file_growth_ratio", "log", "log", "0.1"),
        ] {
            assert!(lines.contains(&line), "{line} in {lines:#?}");
        }
        let limits = lines
            .iter()
            .filter(|line| line.starts_with("sql_edge_file_max_size"));
        assert_eq!(limits.count(), 2);
    }
}
