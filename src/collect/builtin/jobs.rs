//! The Agent's jobs: whether each is enabled, and how its last run ended.
//!
//! The collector needs SELECT on `msdb.dbo.sysjobs` and `msdb.dbo.sysjobservers`.

use super::{Builtin, MAX_ROWS, OWN, fresh, metrics, timestamp};
use crate::collect::{Output, Reading};
use crate::tds::value::Cells;

/// Values of `last_run_outcome`: 0 failed, 1 succeeded, 3 cancelled, 5 unknown, which is never run.
const SUCCEEDED: i64 = 1;
const UNKNOWN: i64 = 5;

/// The batch. Days, times of day and durations are numbers whose digits are a date's, such as
/// 20261102 or 13005. A day that is none, as of a job that never ran, gives NULL.
const BATCH: &str = "\
SELECT j.name, j.enabled, s.last_run_outcome AS outcome,
       DATEDIFF_BIG(second, '19700101', TRY_CAST(CAST(NULLIF(s.last_run_date, 0) AS char(8)) AS datetime))
           + s.last_run_time / 10000 * 3600 + s.last_run_time / 100 % 100 * 60 + s.last_run_time % 100 AS began,
       s.last_run_duration / 10000 * 3600 + s.last_run_duration / 100 % 100 * 60
           + s.last_run_duration % 100 AS duration,
       DATEDIFF(second, GETDATE(), GETUTCDATE()) AS to_utc
FROM msdb.dbo.sysjobs AS j
LEFT JOIN msdb.dbo.sysjobservers AS s ON s.job_id = j.job_id
ORDER BY j.name";

metrics! {
    ENABLED: OWN, Gauge "sql_edge_agent_job_enabled" ["job_name"]
        "Whether the job is enabled (1) or not (0).";
    LAST_SUCCEEDED: OWN, Gauge "sql_edge_agent_job_last_run_succeeded" ["job_name"]
        "Whether the last run succeeded (1) or failed or was cancelled (0); absent before the first.";
    LAST_BEGAN: OWN, Gauge "sql_edge_agent_job_last_run_timestamp_seconds" ["job_name"]
        "When the last run began, in seconds since 1970; absent before the first.";
    LAST_DURATION: OWN, Gauge "sql_edge_agent_job_last_run_duration_seconds" ["job_name"]
        "How long the last run took; absent before the first.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("jobs", METRICS, BATCH, fresh::<Answer>).seldom();

/// The state of a reading: the number of jobs that have come.
#[derive(Default)]
struct Answer {
    jobs: usize,
}

impl Reading for Answer {
    fn row(&mut self, _result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        let Some(name) = cells.text("name") else {
            return;
        };
        self.jobs += 1;
        if self.jobs > MAX_ROWS {
            out.leave_out(&ENABLED);
            return;
        }
        let is_enabled = cells
            .integer("enabled")
            .map(|enabled| super::flag(enabled != 0));
        out.maybe(&ENABLED, &[name], is_enabled);
        let Some(outcome) = cells
            .integer("outcome")
            .filter(|outcome| *outcome != UNKNOWN)
        else {
            return;
        };
        out.sample(&LAST_SUCCEEDED, &[name], super::flag(outcome == SUCCEEDED));
        out.maybe(&LAST_BEGAN, &[name], timestamp(cells, "began"));
        out.maybe(&LAST_DURATION, &[name], cells.number("duration"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, samples_of, text};
    use super::*;

    fn job(name: &str, outcome: i64) -> Row {
        vec![
            ("name", text(name)),
            ("enabled", int(1)),
            ("outcome", int(outcome)),
            ("began", int(1_764_000_000)),
            ("duration", int(3723)),
            ("to_utc", int(0)),
        ]
    }

    #[test]
    fn a_job_succeeded_failed_or_never_ran() {
        let lines = samples(
            &COLLECTOR,
            &[vec![job("backup", 1), job("purge", 0), job("new", UNKNOWN)]],
        )
        .unwrap();
        assert_eq!(
            lines,
            [
                "sql_edge_agent_job_enabled{job_name=\"backup\"} 1",
                "sql_edge_agent_job_enabled{job_name=\"purge\"} 1",
                "sql_edge_agent_job_enabled{job_name=\"new\"} 1",
                "sql_edge_agent_job_last_run_succeeded{job_name=\"backup\"} 1",
                "sql_edge_agent_job_last_run_succeeded{job_name=\"purge\"} 0",
                "sql_edge_agent_job_last_run_timestamp_seconds{job_name=\"backup\"} 1764000000",
                "sql_edge_agent_job_last_run_timestamp_seconds{job_name=\"purge\"} 1764000000",
                "sql_edge_agent_job_last_run_duration_seconds{job_name=\"backup\"} 3723",
                "sql_edge_agent_job_last_run_duration_seconds{job_name=\"purge\"} 3723",
            ]
        );
    }

    #[test]
    fn jobs_are_bounded() {
        let jobs = (0..500).map(|number| job(&number.to_string(), 1)).collect();
        let lines = samples_of("sql_edge_agent_job_enabled", &COLLECTOR, &[jobs]);
        assert_eq!(lines.len(), MAX_ROWS);
    }
}
