//! Sessions: how many there are, from which hosts, and in which databases.
//!
//! Without VIEW SERVER STATE the views show the own session and no error, so that the batch asks
//! for the permission first.

use std::collections::BTreeMap;

use super::{
    ALLOY, AWARAGI, Builtin, ByStatus, MAX_NAME_CHARS, MAX_ROWS, OWN, SQL_EXPORTER, fresh, metrics,
    word,
};
use crate::collect::{Failure, Output, Reading};
use crate::tds::value::{Cells, first_chars};

/// The batch. `sys.sysprocesses` has a row for each thread of a session; the other exporters count
/// those.
const BATCH: &str = "\
SELECT HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') AS is_allowed;
SELECT DB_NAME(dbid) AS db, COUNT(*) AS sessions FROM sys.sysprocesses GROUP BY dbid;
SELECT DB_NAME(database_id) AS db, host_name AS host, status, is_user_process,
       COUNT(*) AS sessions, SUM(CASE WHEN open_transaction_count > 0 THEN 1 ELSE 0 END) AS in_transaction
FROM sys.dm_exec_sessions GROUP BY database_id, host_name, status, is_user_process";

metrics! {
    CONNECTIONS: ALLOY.and(SQL_EXPORTER).and(AWARAGI), Gauge "mssql_connections" ["database", "db", "state"]
        "Number of active connections, those of the engine itself included.";
    CLIENT_CONNECTIONS: AWARAGI, Gauge "mssql_client_connections" ["client", "database"]
        "Number of active client connections.";
    SESSIONS: OWN, Gauge "sql_edge_sessions" ["status"]
        "Sessions of users.";
    SYSTEM_SESSIONS: OWN, Gauge "sql_edge_system_sessions" []
        "Sessions of the engine itself.";
    IN_TRANSACTION: OWN, Gauge "sql_edge_sessions_with_open_transaction" []
        "Sessions of users with an open transaction.";
    DATABASE_SESSIONS: OWN, Gauge "sql_edge_database_sessions" ["database"]
        "Sessions of users in the database.";
}

/// The statuses that a user's session can have; others are shown as they come.
const STATUSES: [&str; 4] = ["running", "sleeping", "dormant", "preconnect"];

pub(super) const COLLECTOR: Builtin = Builtin::new("sessions", METRICS, BATCH, fresh::<Answer>);

#[derive(Default)]
struct Answer {
    is_allowed: bool,
    statuses: ByStatus,
    databases: BTreeMap<String, f64>,
    /// Sessions by host and database; bounded, since any client may name any host.
    clients: BTreeMap<(String, String), f64>,
    system: f64,
    in_transaction: f64,
}

impl Reading for Answer {
    fn row(&mut self, result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        let database = cells.text("db").unwrap_or_default();
        let sessions = cells.number("sessions");
        match result_set {
            0 => self.is_allowed = cells.integer("is_allowed") == Some(1),
            1 => out.maybe(&CONNECTIONS, &[database, database, "current"], sessions),
            _ => self.session(database, sessions.unwrap_or_default(), cells, out),
        }
    }

    fn finish(self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        if !self.is_allowed {
            return Err(Failure::Denied);
        }
        self.statuses.expose(&SESSIONS, &STATUSES, out);
        out.sample(&SYSTEM_SESSIONS, &[], self.system);
        out.sample(&IN_TRANSACTION, &[], self.in_transaction);
        for (database, sessions) in &self.databases {
            out.sample(&DATABASE_SESSIONS, &[database], *sessions);
        }
        for ((client, database), sessions) in &self.clients {
            out.sample(&CLIENT_CONNECTIONS, &[client, database], *sessions);
        }
        Ok(())
    }
}

impl Answer {
    fn session(&mut self, database: &str, sessions: f64, cells: &Cells<'_>, out: &mut Output<'_>) {
        if cells.integer("is_user_process") != Some(1) {
            self.system += sessions;
            return;
        }
        self.in_transaction += cells.number("in_transaction").unwrap_or_default();
        let status = first_chars(&word(cells, "status"), MAX_NAME_CHARS);
        self.statuses.add(status, sessions);
        if !out.admits(database) {
            return;
        }
        let database = first_chars(database, MAX_NAME_CHARS);
        // The client may send whatever it likes as its host.
        let host = first_chars(cells.text("host").unwrap_or_default(), MAX_NAME_CHARS);
        let client = (host, database.clone());
        if self.clients.contains_key(&client) || self.clients.len() < MAX_ROWS {
            *self.clients.entry(client).or_default() += sessions;
        } else {
            out.leave_out(&CLIENT_CONNECTIONS);
        }
        *self.databases.entry(database).or_default() += sessions;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, samples_of, text};
    use super::*;

    fn allowed(is_allowed: i64) -> Vec<Row> {
        vec![vec![("is_allowed", int(is_allowed))]]
    }

    fn session(database: &str, host: &str, status: &str, sessions: i64) -> Row {
        vec![
            ("db", text(database)),
            ("host", text(host)),
            ("status", text(status)),
            ("is_user_process", int(1)),
            ("sessions", int(sessions)),
            ("in_transaction", int(1)),
        ]
    }

    #[test]
    fn sessions_are_added_by_status_by_database_and_by_client() {
        let processes = vec![
            vec![("db", text("orders")), ("sessions", int(4))],
            // The engine's own tasks are in no database.
            vec![("sessions", int(20))],
        ];
        let sessions = vec![
            session("orders", "web-1", "Sleeping", 3),
            session("orders", "web-1", "running", 1),
            vec![
                ("db", text("master")),
                ("is_user_process", int(0)),
                ("sessions", int(30)),
            ],
        ];
        let lines = samples(&COLLECTOR, &[allowed(1), processes, sessions]).unwrap();
        for line in [
            "mssql_connections{database=\"orders\",db=\"orders\",state=\"current\"} 4",
            "mssql_connections{database=\"\",db=\"\",state=\"current\"} 20",
            "sql_edge_sessions{status=\"sleeping\"} 3",
            "sql_edge_sessions{status=\"dormant\"} 0",
            "sql_edge_system_sessions 30",
            "sql_edge_sessions_with_open_transaction 2",
            "sql_edge_database_sessions{database=\"orders\"} 4",
            "mssql_client_connections{client=\"web-1\",database=\"orders\"} 4",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
    }

    #[test]
    fn the_own_session_alone_is_no_answer() {
        let sets = [
            allowed(0),
            vec![],
            vec![session("master", "pod", "running", 1)],
        ];
        assert_eq!(samples(&COLLECTOR, &sets), Err(Failure::Denied));
        assert_eq!(samples(&COLLECTOR, &[]), Err(Failure::Denied));
    }

    #[test]
    fn hosts_are_bounded() {
        let sessions = (0..1000).map(|host| session("orders", &host.to_string(), "running", 1));
        let sets = [allowed(1), vec![], sessions.collect()];
        let clients = samples_of("mssql_client_connections", &COLLECTOR, &sets);
        assert_eq!(clients.len(), MAX_ROWS);
        let all = samples_of("sql_edge_database_sessions", &COLLECTOR, &sets);
        assert_eq!(
            all,
            ["sql_edge_database_sessions{database=\"orders\"} 1000"]
        );
    }
}
