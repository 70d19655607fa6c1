//! The metrics with a name of another exporter that are not quite what that exporter makes of it.

use std::fmt::Write as _;

/// The part of a metric that differs from the other exporter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differing {
    /// The word after `# TYPE`.
    Type,
    /// The labels, of which the metric has more.
    Labels,
    /// The value, which differs now and then.
    Value,
}

/// A metric that differs from the metric of the same name of another exporter.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The profile of the exporter that differs.
    pub profile: &'static str,
    /// The metric's name.
    pub name: &'static str,
    /// The part that differs.
    pub differing: Differing,
    /// The difference in words, and the reason for it.
    pub why: &'static str,
}

const fn row(
    profile: &'static str,
    name: &'static str,
    differing: Differing,
    why: &'static str,
) -> Difference {
    Difference {
        profile,
        name,
        differing,
        why,
    }
}

const GROWS: &str = "a counter here, a gauge there: it only grows, and a type changes no query";
const BOTH: &str = "has `db` and `database`, and `state`: a selector ignores a label more";
const BOTH_OF_LOG: &str = "has `db` and `database`: a selector ignores a label more";

/// All differences. That there is no other is shown by `it::collectors::names`.
#[rustfmt::skip]
pub const DIFFERENCES: &[Difference] = &[
    row("alloy", "mssql_connections", Differing::Labels, BOTH),
    row("sql-exporter", "mssql_connections", Differing::Labels, BOTH),
    row("sql-exporter", "mssql_log_growths", Differing::Labels, BOTH_OF_LOG),
    row("sql-exporter", "mssql_buffer_cache_hit_ratio", Differing::Value,
        "a percentage, as Alloy has it; there it is the numerator alone, which says nothing"),
    row("awaragi", "mssql_connections", Differing::Labels, BOTH),
    row("awaragi", "mssql_client_connections", Differing::Value,
        "at most 200 pairs of client and database; the others are counted as left out"),
    row("awaragi", "mssql_log_growths", Differing::Labels, BOTH_OF_LOG),
    row("awaragi", "mssql_log_growths", Differing::Type, GROWS),
    row("awaragi", "mssql_transactions", Differing::Type, GROWS),
    row("awaragi", "mssql_transactions", Differing::Value,
        "without `mssqlsystemresource`, the hidden database of the system's views"),
    row("awaragi", "mssql_deadlocks", Differing::Type, GROWS),
    row("awaragi", "mssql_user_errors", Differing::Type, GROWS),
    row("awaragi", "mssql_kill_connection_errors", Differing::Type, GROWS),
    row("awaragi", "mssql_batch_requests", Differing::Type, GROWS),
    row("awaragi", "mssql_page_fault_count", Differing::Type, GROWS),
    row("awaragi", "mssql_page_read_total", Differing::Type, GROWS),
    row("awaragi", "mssql_page_write_total", Differing::Type, GROWS),
    row("awaragi", "mssql_lazy_write_total", Differing::Type, GROWS),
    row("awaragi", "mssql_page_checkpoint_total", Differing::Type, GROWS),
    row("awaragi", "mssql_io_stall", Differing::Type, GROWS),
    row("awaragi", "mssql_io_stall_total", Differing::Type, GROWS),
];

/// Returns the table of docs/metrics.md between `<!-- differences:begin -->` and
/// `<!-- differences:end -->`.
#[must_use]
pub fn differences() -> String {
    let mut table = String::from("| profile | metric | difference |\n| --- | --- | --- |\n");
    for difference in DIFFERENCES {
        let Difference {
            profile, name, why, ..
        } = difference;
        // Writing to a String can't fail.
        let _ = writeln!(table, "| {profile} | `{name}` | {why} |");
    }
    table
}
