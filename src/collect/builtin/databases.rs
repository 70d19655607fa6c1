//! Databases: their states and options, and the reason why each log's space can't be used again
//! yet.

use super::{AWARAGI, Builtin, EachRow, OWN, flag, metrics, timestamp, word};
use crate::collect::Output;
use crate::tds::value::Cells;

/// The value of `sys.databases.state` for a database that is online.
const ONLINE: i64 = 0;

const BATCH: &str = "\
SELECT name, state, state_desc, user_access_desc, recovery_model_desc, page_verify_option_desc,
       compatibility_level, is_read_only, is_query_store_on, log_reuse_wait_desc,
       DATEDIFF_BIG(second, '19700101', create_date) AS created,
       DATEDIFF(second, GETDATE(), GETUTCDATE()) AS to_utc
FROM sys.databases ORDER BY database_id";

metrics! {
    STATE_AWARAGI: AWARAGI, Gauge "mssql_database_state" ["database"]
        "Databases states: 0=ONLINE 1=RESTORING 2=RECOVERING 3=RECOVERY_PENDING 4=SUSPECT 5=EMERGENCY 6=OFFLINE 7=COPYING 10=OFFLINE_SECONDARY";
    INFO: OWN, Gauge "sql_edge_database_info"
        ["compatibility_level", "database", "page_verify", "query_store", "read_only", "recovery_model", "state", "user_access"]
        "1, with the database's state and options.";
    IS_ONLINE: OWN, Gauge "sql_edge_database_online" ["database"]
        "Whether the database is online (1) or not (0).";
    CREATED: OWN, Gauge "sql_edge_database_created_timestamp_seconds" ["database"]
        "When the database was created, in seconds since 1970; tempdb's is the engine's start.";
    REUSE_WAIT: OWN, Gauge "sql_edge_database_log_reuse_wait" ["database", "reason"]
        "1 for what the log waits for before its space can be used again; `nothing` where it need not wait.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("databases", METRICS, BATCH, || Box::new(EachRow(row)));

fn row(_result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    let (Some(name), Some(state)) = (cells.text("name"), cells.integer("state")) else {
        return;
    };
    out.maybe(&STATE_AWARAGI, &[name], cells.number("state"));
    out.sample(&IS_ONLINE, &[name], flag(state == ONLINE));
    out.maybe(&CREATED, &[name], timestamp(cells, "created"));
    let on = |column| match cells.integer(column) {
        Some(0) => "off",
        Some(_) => "on",
        None => "",
    };
    let level = cells
        .integer("compatibility_level")
        .map(|level| level.to_string());
    let info = [
        &level.unwrap_or_default(),
        name,
        &word(cells, "page_verify_option_desc"),
        on("is_query_store_on"),
        on("is_read_only"),
        &word(cells, "recovery_model_desc"),
        &word(cells, "state_desc"),
        &word(cells, "user_access_desc"),
    ];
    out.sample(&INFO, &info, 1.0);
    if cells.text("log_reuse_wait_desc").is_some() {
        out.sample(
            &REUSE_WAIT,
            &[name, &word(cells, "log_reuse_wait_desc")],
            1.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples, text};
    use super::*;

    #[test]
    fn state_options_and_what_the_log_waits_for() {
        let orders = vec![
            ("name", text("orders")),
            ("state", int(4)),
            ("state_desc", text("SUSPECT")),
            ("user_access_desc", text("MULTI_USER")),
            ("recovery_model_desc", text("FULL")),
            ("page_verify_option_desc", text("CHECKSUM")),
            ("compatibility_level", int(150)),
            ("is_read_only", int(0)),
            ("is_query_store_on", int(1)),
            ("log_reuse_wait_desc", text("LOG_BACKUP")),
            ("created", int(1_764_000_000)),
            ("to_utc", int(0)),
        ];
        // A row whose name is missing is nobody's.
        let lines = samples(&COLLECTOR, &[vec![orders, vec![("state", int(0))]]]).unwrap();
        assert_eq!(
            lines,
            [
                "mssql_database_state{database=\"orders\"} 4",
                "sql_edge_database_online{database=\"orders\"} 0",
                "sql_edge_database_created_timestamp_seconds{database=\"orders\"} 1764000000",
                "sql_edge_database_info{compatibility_level=\"150\",database=\"orders\",page_verify=\"checksum\",\
                 query_store=\"on\",read_only=\"off\",recovery_model=\"full\",state=\"suspect\",user_access=\"multi_user\"} 1",
                "sql_edge_database_log_reuse_wait{database=\"orders\",reason=\"log_backup\"} 1",
            ]
        );
    }
}
