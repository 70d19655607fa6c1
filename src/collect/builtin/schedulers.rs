//! Schedulers and workers: whether requests wait for a processor or for a worker.

use super::{Builtin, EachRow, OWN, metrics, timestamp};
use crate::collect::Output;
use crate::tds::value::Cells;

/// The batch. Hidden schedulers, which serve the engine itself, and the one of the administrator's
/// connection are left out.
const BATCH: &str = "\
SELECT COUNT(*) AS schedulers, SUM(current_tasks_count) AS tasks,
       SUM(runnable_tasks_count) AS runnable, SUM(current_workers_count) AS workers,
       SUM(active_workers_count) AS active, SUM(work_queue_count) AS queued,
       SUM(pending_disk_io_count) AS disk_ios, SUM(CAST(yield_count AS bigint)) AS yields
FROM sys.dm_os_schedulers WHERE status = N'VISIBLE ONLINE';
SELECT cpu_count, max_workers_count,
       DATEDIFF_BIG(second, '19700101', sqlserver_start_time) AS started,
       DATEDIFF(second, GETDATE(), GETUTCDATE()) AS to_utc
FROM sys.dm_os_sys_info";

metrics! {
    SCHEDULERS_ONLINE: OWN, Gauge "sql_edge_schedulers" []
        "Schedulers that run users' requests.";
    TASKS: OWN, Gauge "sql_edge_tasks" []
        "Tasks of the schedulers.";
    RUNNABLE: OWN, Gauge "sql_edge_runnable_tasks" []
        "Tasks that wait for a processor.";
    WORKERS: OWN, Gauge "sql_edge_workers" ["state"]
        "Workers of the schedulers.";
    WORKERS_MAX: OWN, Gauge "sql_edge_workers_max" []
        "Workers that the engine may create.";
    QUEUED: OWN, Gauge "sql_edge_work_queue_tasks" []
        "Tasks that wait for a worker.";
    DISK_IOS: OWN, Gauge "sql_edge_pending_disk_ios" []
        "Reads and writes that wait to be completed.";
    YIELDS: OWN, Counter "sql_edge_scheduler_yields_total" []
        "Times that the schedulers yielded; stands still where a scheduler hangs.";
    CPUS: OWN, Gauge "sql_edge_cpus" []
        "Processors that the engine sees.";
    STARTED: OWN, Gauge "sql_edge_server_start_timestamp_seconds" []
        "When the engine started, in seconds since 1970.";
}

pub(super) const COLLECTOR: Builtin =
    Builtin::new("schedulers", METRICS, BATCH, || Box::new(EachRow(row)));

fn row(result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
    if result_set > 0 {
        out.maybe(&CPUS, &[], cells.number("cpu_count"));
        out.maybe(&WORKERS_MAX, &[], cells.number("max_workers_count"));
        out.maybe(&STARTED, &[], timestamp(cells, "started"));
        return;
    }
    for (metric, name) in [
        (SCHEDULERS_ONLINE, "schedulers"),
        (TASKS, "tasks"),
        (RUNNABLE, "runnable"),
        (QUEUED, "queued"),
        (DISK_IOS, "disk_ios"),
        (YIELDS, "yields"),
    ] {
        out.maybe(&metric, &[], cells.number(name));
    }
    let active = cells.number("active");
    out.maybe(&WORKERS, &["active"], active);
    let idle = cells
        .number("workers")
        .zip(active)
        .map(|(all, active)| (all - active).max(0.0));
    out.maybe(&WORKERS, &["idle"], idle);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{int, samples};
    use super::*;

    #[test]
    fn workers_are_active_or_idle_and_the_start_is_in_utc() {
        let schedulers = vec![
            ("schedulers", int(2)),
            ("workers", int(24)),
            ("active", int(10)),
            ("queued", int(1)),
        ];
        // An engine one hour east of UTC, whose clock ticked between two readings.
        let info = vec![
            ("max_workers_count", int(512)),
            ("started", int(1_764_003_600)),
            ("to_utc", int(-3599)),
        ];
        let lines = samples(&COLLECTOR, &[vec![schedulers], vec![info]]).unwrap();
        assert_eq!(
            lines,
            [
                "sql_edge_schedulers 2",
                "sql_edge_work_queue_tasks 1",
                "sql_edge_workers{state=\"active\"} 10",
                "sql_edge_workers{state=\"idle\"} 14",
                "sql_edge_workers_max 512",
                "sql_edge_server_start_timestamp_seconds 1764000000",
            ]
        );
    }
}
