//! Azure SQL Edge's data retention: the databases that delete old rows, and in how many tables.
//!
//! The tables are counted inside their databases, only in those with data retention, by one more
//! statement for each in the one batch. That needs CONNECT ANY DATABASE, or a user in each
//! database; a database that the login can't enter has no count.

use super::{Builtin, EachRow, OWN, flag, metrics};
use crate::collect::Output;
use crate::tds::value::Cells;

const BATCH: &str = "\
SELECT name AS db, is_data_retention_enabled AS is_enabled FROM sys.databases WHERE database_id > 4;
DECLARE @tables nvarchar(max) = (
    SELECT STRING_AGG(CAST(N'SELECT N' + QUOTENAME(name, '''') + N' AS db, COUNT(*) AS tables FROM '
        + QUOTENAME(name) + N'.sys.tables WHERE data_retention_period > 0' AS nvarchar(max)), N'; ')
    FROM sys.databases WHERE is_data_retention_enabled = 1 AND state = 0 AND HAS_DBACCESS(name) = 1);
IF @tables IS NOT NULL EXEC sp_executesql @tables";

metrics! {
    IS_ENABLED: OWN, Gauge "sql_edge_data_retention_enabled" ["database"]
        "Whether data retention is on (1) or off (0).";
    TABLES: OWN, Gauge "sql_edge_data_retention_tables" ["database"]
        "Tables whose old rows are deleted.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("data_retention", METRICS, BATCH, || Box::new(EachRow(row)))
        .seldom()
        .of_edge();

fn row(result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    let Some(database) = cells.text("db") else {
        return;
    };
    if result_set == 0 {
        let is_enabled = cells
            .integer("is_enabled")
            .map(|enabled| flag(enabled != 0));
        out.maybe(&IS_ENABLED, &[database], is_enabled);
    } else {
        out.maybe(&TABLES, &[database], cells.number("tables"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, text};
    use super::*;

    #[test]
    fn each_further_result_set_is_a_database() {
        let enabled = vec![
            vec![("db", text("orders")), ("is_enabled", int(1))],
            vec![("db", text("stock")), ("is_enabled", int(0))],
        ];
        let tables = vec![vec![("db", text("orders")), ("tables", int(3))]];
        let lines = samples(&COLLECTOR, &[enabled, tables]).unwrap();
        assert_eq!(
            lines,
            [
                "sql_edge_data_retention_enabled{database=\"orders\"} 1",
                "sql_edge_data_retention_enabled{database=\"stock\"} 0",
                "sql_edge_data_retention_tables{database=\"orders\"} 3",
            ]
        );
    }
}
