//! Requests that run, the sessions that block others, and the progress of long requests.

mod blocking;

use super::{Builtin, ByStatus, MILLISECOND, OWN, PERCENT, fresh, metrics, word};
use crate::collect::{Failure, Output, Reading};
use crate::tds::value::{Cells, first_chars};
use blocking::Blocking;

/// The longest word in characters: `status` is `nvarchar(30)`, `command` is `nvarchar(32)`.
const MAX_WORD_CHARS: usize = 32;

/// The batch. Without VIEW SERVER STATE the view shows the own request and no error. The
/// collector's own request is left out, as it shows nothing of the engine.
const BATCH: &str = "\
SELECT HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') AS is_allowed;
SELECT r.session_id, r.blocking_session_id, r.status, r.command, DB_NAME(r.database_id) AS db,
       r.wait_time, r.total_elapsed_time, r.percent_complete, s.is_user_process
FROM sys.dm_exec_requests AS r
JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
WHERE r.session_id <> @@SPID";

metrics! {
    REQUESTS: OWN, Gauge "sql_edge_requests" ["status"]
        "Requests of users.";
    BLOCKED: OWN, Gauge "sql_edge_requests_blocked" []
        "Requests that wait for another session.";
    HEADS: OWN, Gauge "sql_edge_blocking_heads" []
        "Sessions that block others and are not blocked themselves.";
    CHAIN: OWN, Gauge "sql_edge_blocking_chain_length" []
        "Sessions that wait one behind the other in the longest chain, without its head.";
    BLOCKED_TIME: OWN, Gauge "sql_edge_blocked_seconds" []
        "For how long the request has waited that is blocked longest.";
    LONGEST: OWN, Gauge "sql_edge_longest_request_seconds" []
        "Age of the oldest request of a user.";
    PROGRESS: OWN, Gauge "sql_edge_request_progress_ratio" ["command", "database"]
        "How far backups, restores, checks and recoveries have come, 0 to 1.";
}

/// The statuses that a request can have; others are shown as they come.
const STATUSES: [&str; 6] = [
    "background",
    "rollback",
    "running",
    "runnable",
    "sleeping",
    "suspended",
];

pub(super) const COLLECTOR: Builtin = Builtin::new("requests", METRICS, BATCH, fresh::<Answer>);

#[derive(Default)]
struct Answer {
    is_allowed: bool,
    statuses: ByStatus,
    blocking: Blocking,
    blocked_ms: f64,
    longest_ms: f64,
}

impl Reading for Answer {
    fn row(&mut self, result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        if result_set == 0 {
            self.is_allowed = cells.integer("is_allowed") == Some(1);
            return;
        }
        let session = cells.integer("session_id").unwrap_or_default();
        let blocker = cells.integer("blocking_session_id").unwrap_or_default();
        if self.blocking.take(session, blocker) {
            let waited = cells.number("wait_time").unwrap_or_default();
            self.blocked_ms = self.blocked_ms.max(waited);
        }
        if let Some(percent) = cells
            .number("percent_complete")
            .filter(|percent| *percent > 0.0)
        {
            let command = first_chars(&word(cells, "command"), MAX_WORD_CHARS);
            let database = cells.text("db").unwrap_or_default();
            out.sample(&PROGRESS, &[&command, database], percent * PERCENT);
        }
        if cells.integer("is_user_process") != Some(1) {
            return;
        }
        let elapsed = cells.number("total_elapsed_time").unwrap_or_default();
        self.longest_ms = self.longest_ms.max(elapsed);
        let status = first_chars(&word(cells, "status"), MAX_WORD_CHARS);
        self.statuses.add(status, 1.0);
    }

    fn finish(self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        if !self.is_allowed {
            return Err(Failure::Denied);
        }
        self.statuses.expose(&REQUESTS, &STATUSES, out);
        let chains = self.blocking.chains();
        out.sample(&BLOCKED, &[], chains.blocked);
        out.sample(&HEADS, &[], chains.heads);
        out.sample(&CHAIN, &[], chains.longest);
        out.sample(&BLOCKED_TIME, &[], self.blocked_ms * MILLISECOND);
        out.sample(&LONGEST, &[], self.longest_ms * MILLISECOND);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn request(session: i64, blocker: i64, waited: i64) -> Row {
        vec![
            ("session_id", int(session)),
            ("blocking_session_id", int(blocker)),
            ("status", text("suspended")),
            ("wait_time", int(waited)),
            ("total_elapsed_time", int(waited + 500)),
            ("is_user_process", int(1)),
        ]
    }

    #[test]
    fn requests_chains_and_progress() {
        let backup = vec![
            ("session_id", int(60)),
            ("blocking_session_id", int(0)),
            ("status", text("running")),
            ("command", text("BACKUP DATABASE")),
            ("db", text("orders")),
            ("percent_complete", int(25)),
            ("is_user_process", int(0)),
        ];
        let rows = vec![request(51, 52, 2000), request(52, 53, 9000), backup];
        let allowed = vec![vec![("is_allowed", int(1))]];
        let lines = samples(&COLLECTOR, &[allowed, rows]).unwrap();
        for line in [
            "sql_edge_requests{status=\"suspended\"} 2",
            "sql_edge_requests{status=\"running\"} 0",
            "sql_edge_requests_blocked 2",
            "sql_edge_blocking_heads 1",
            "sql_edge_blocking_chain_length 2",
            "sql_edge_blocked_seconds 9",
            "sql_edge_longest_request_seconds 9.5",
            "sql_edge_request_progress_ratio{command=\"backup database\",database=\"orders\"} 0.25",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line} in {lines:#?}"
            );
        }
    }

    #[test]
    fn the_own_request_alone_is_no_answer() {
        let denied = vec![vec![("is_allowed", int(0))]];
        assert_eq!(samples(&COLLECTOR, &[denied]), Err(Failure::Denied));
    }
}
