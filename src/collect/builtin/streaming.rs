//! Azure SQL Edge's streaming jobs by status.
//!
//! The jobs are read inside their databases, as the tables with data retention are, and need the
//! same permissions.

use super::{Builtin, EachRow, OWN, metrics};
use crate::collect::Output;
use crate::tds::value::Cells;

const BATCH: &str = "\
DECLARE @jobs nvarchar(max) = (
    SELECT STRING_AGG(CAST(N'SELECT N' + QUOTENAME(name, '''') + N' AS db, status, COUNT(*) AS jobs FROM '
        + QUOTENAME(name) + N'.sys.external_streaming_jobs GROUP BY status' AS nvarchar(max)), N'; ')
    FROM sys.databases WHERE database_id > 4 AND state = 0 AND HAS_DBACCESS(name) = 1);
IF @jobs IS NOT NULL EXEC sp_executesql @jobs";

metrics! {
    JOBS: OWN, Gauge "sql_edge_streaming_jobs" ["database", "status"]
        "Streaming jobs of the database.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("streaming", METRICS, BATCH, || Box::new(EachRow(row)))
        .seldom()
        .of_edge();

/// Exposes the number of jobs of one status, for the statuses that are documented
/// (<https://learn.microsoft.com/previous-versions/azure/azure-sql-edge/create-stream-analytics-job>).
fn row(_result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    let status = match cells.integer("status") {
        Some(0) => "created",
        Some(1) => "starting",
        Some(4) => "stopped",
        Some(6) => "failed",
        Some(7) => "idle",
        Some(8) => "processing",
        Some(9) => "degraded",
        Some(_) => "other",
        None => return,
    };
    let database = cells.text("db").unwrap_or_default();
    out.maybe(&JOBS, &[database, status], cells.number("jobs"));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, text};
    use super::*;

    #[test]
    fn statuses_have_their_words() {
        let job = |status| {
            vec![
                ("db", text("orders")),
                ("status", int(status)),
                ("jobs", int(2)),
            ]
        };
        let lines = samples(&COLLECTOR, &[vec![job(8), job(6)], vec![job(77)]]).unwrap();
        assert_eq!(
            lines,
            [
                "sql_edge_streaming_jobs{database=\"orders\",status=\"processing\"} 2",
                "sql_edge_streaming_jobs{database=\"orders\",status=\"failed\"} 2",
                "sql_edge_streaming_jobs{database=\"orders\",status=\"other\"} 2",
            ]
        );
    }
}
