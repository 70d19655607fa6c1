//! What every login may read: that the engine answers, its version, its clock.

use super::{ALLOY, AWARAGI, Builtin, EachRow, SQL_EXPORTER, metrics};
use crate::collect::Output;
use crate::tds::value::Cells;

const BATCH: &str = "\
SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
       DATEDIFF_BIG(second, '19700101', GETUTCDATE()) AS unix_time";

metrics! {
    UP: AWARAGI, Gauge "mssql_up" []
        "Whether the engine answers (1) or not (0).";
    VERSION: AWARAGI, Gauge "mssql_product_version" []
        "Major and minor number of the engine's version.";
    TIME_AWARAGI: AWARAGI, Gauge "mssql_instance_local_time" []
        "Number of seconds since epoch on the engine's clock.";
    TIME: ALLOY.and(SQL_EXPORTER), Gauge "mssql_local_time_seconds" []
        "Local time in seconds since epoch (Unix time).";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("server", METRICS, BATCH, || Box::new(EachRow(row))).or_first(0.0);

fn row(_result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    out.sample(&UP, &[], 1.0);
    out.maybe(&VERSION, &[], cells.text("version").and_then(major_minor));
    let time = cells.number("unix_time");
    out.maybe(&TIME_AWARAGI, &[], time);
    out.maybe(&TIME, &[], time);
}

/// Returns the first two numbers of a version as one: for `15.0.2000.1559`, 15 and 0 as 15.0.
fn major_minor(version: &str) -> Option<f64> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    format!("{major}.{minor}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, text};
    use super::*;
    use crate::collect::Collector;

    #[test]
    fn version_and_clock() {
        let row = vec![
            ("version", text("15.0.2000.1559")),
            ("unix_time", int(1_764_000_000)),
        ];
        let lines = samples(&COLLECTOR, &[vec![row]]).unwrap();
        assert_eq!(
            lines,
            [
                "mssql_up 1",
                "mssql_product_version 15",
                "mssql_instance_local_time 1764000000",
                "mssql_local_time_seconds 1764000000",
            ]
        );
    }

    #[test]
    fn an_engine_that_does_not_answer_is_down() {
        let collector = COLLECTOR;
        let otherwise = collector.otherwise();
        assert!(otherwise.is_some_and(|(metric, value)| metric == &UP && value == 0.0));
    }

    #[test]
    fn a_version_that_is_none_is_absent() {
        assert_eq!(major_minor("16.3.4"), Some(16.3));
        for version in ["", "16", "x.1", "1e3.0", "-1.0"] {
            assert_eq!(major_minor(version), None, "{version}");
        }
    }
}
