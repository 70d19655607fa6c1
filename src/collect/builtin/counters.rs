//! `sys.dm_os_performance_counters`: the engine's counts of its own work, its locks, its buffer
//! pool and each database's log.
//!
//! The name of a counter's object begins with the instance's, which is `SQLServer:` for a default
//! instance on Linux too, and which is cut off. A ratio is one counter divided by another, its
//! base; a counter whose name ends in `/sec` is a count since the engine's start all the same
//! (<https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-os-performance-counters-transact-sql>).

use super::{
    ALLOY, AWARAGI, Builtin, KIB, MILLISECOND, OWN, PAGE_BYTES, SQL_EXPORTER, fresh, metrics,
};
use crate::collect::{Failure, Metric, Output, Reading};
use crate::tds::value::Cells;

/// The hidden database that holds the system's views: nobody can act on it.
const RESOURCE_DATABASE: &str = "mssqlsystemresource";
const TOTAL: &str = "_Total";

const BATCH: &str = "\
SELECT RTRIM(object_name) AS object, RTRIM(counter_name) AS counter,
       RTRIM(instance_name) AS instance, cntr_value AS value
FROM sys.dm_os_performance_counters
WHERE counter_name IN (
    N'Batch Requests/sec', N'SQL Compilations/sec', N'SQL Re-Compilations/sec', N'SQL Attention rate',
    N'Logins/sec', N'Logouts/sec', N'User Connections', N'Errors/sec',
    N'Number of Deadlocks/sec', N'Lock Waits/sec', N'Lock Timeouts/sec', N'Lock Wait Time (ms)',
    N'Latch Waits/sec', N'Page life expectancy', N'Page reads/sec', N'Page writes/sec',
    N'Lazy writes/sec', N'Checkpoint pages/sec', N'Free list stalls/sec', N'Database pages',
    N'Buffer cache hit ratio', N'Buffer cache hit ratio base',
    N'Cache Hit Ratio', N'Cache Hit Ratio Base',
    N'Memory Grants Pending', N'Memory Grants Outstanding',
    N'Stolen Server Memory (KB)', N'Free Memory (KB)', N'Longest Transaction Running Time',
    N'Transactions/sec', N'Write Transactions/sec', N'Active Transactions',
    N'Log Growths', N'Log Flushes/sec', N'Log Flush Waits/sec', N'Log Bytes Flushed/sec',
    N'Log File(s) Size (KB)', N'Log File(s) Used Size (KB)', N'Data File(s) Size (KB)',
    N'Backup/Restore Throughput/sec')";

metrics! {
    BATCHES: OWN, Counter "sql_edge_batch_requests_total" []
        "Batches that the engine received.";
    BATCHES_ALLOY: ALLOY, Counter "mssql_batch_requests_total" []
        "Number of command batches.";
    BATCHES_OTHERS: SQL_EXPORTER.and(AWARAGI), Counter "mssql_batch_requests" []
        "Number of command batches.";
    COMPILATIONS: OWN, Counter "sql_edge_compilations_total" []
        "Times that a statement was compiled.";
    RECOMPILATIONS: OWN, Counter "sql_edge_recompilations_total" []
        "Times that a statement was compiled anew.";
    ATTENTIONS: OWN, Counter "sql_edge_attentions_total" []
        "Requests that clients gave up waiting for.";
    LOGINS: OWN, Counter "sql_edge_logins_total" []
        "Logins, those from a pool included.";
    LOGOUTS: OWN, Counter "sql_edge_logouts_total" []
        "Logouts.";
    USER_CONNECTIONS: OWN, Gauge "sql_edge_user_connections" []
        "Users that are connected.";
    ERRORS: OWN, Counter "sql_edge_errors_total" ["type"]
        "Errors that the engine raised.";
    USER_ERRORS_ALLOY: ALLOY, Counter "mssql_user_errors_total" []
        "Number of user errors.";
    USER_ERRORS: SQL_EXPORTER.and(AWARAGI), Counter "mssql_user_errors" []
        "Number of user errors.";
    KILLED_ALLOY: ALLOY, Counter "mssql_kill_connection_errors_total" []
        "Number of severe errors that caused the engine to kill the connection.";
    KILLED: SQL_EXPORTER.and(AWARAGI), Counter "mssql_kill_connection_errors" []
        "Number of severe errors that caused the engine to kill the connection.";
    DEADLOCKS: OWN, Counter "sql_edge_deadlocks_total" []
        "Lock requests that ended in a deadlock.";
    DEADLOCKS_ALLOY: ALLOY, Counter "mssql_deadlocks_total" []
        "Number of lock requests that resulted in a deadlock.";
    DEADLOCKS_OTHERS: SQL_EXPORTER.and(AWARAGI), Counter "mssql_deadlocks" []
        "Number of lock requests that resulted in a deadlock.";
    LOCK_WAITS: OWN, Counter "sql_edge_lock_waits_total" []
        "Lock requests that had to wait.";
    LOCK_TIMEOUTS: OWN, Counter "sql_edge_lock_timeouts_total" []
        "Lock requests that timed out, NOWAIT included.";
    LOCK_WAIT_TIME: OWN, Counter "sql_edge_lock_wait_seconds_total" []
        "Time that lock requests waited.";
    LATCH_WAITS: OWN, Counter "sql_edge_latch_waits_total" []
        "Latch requests that had to wait.";
    PAGE_LIFE: OWN, Gauge "sql_edge_page_life_expectancy_seconds" []
        "Time that a page stays in the buffer pool without being used.";
    PAGE_LIFE_SECONDS: ALLOY.and(SQL_EXPORTER), Gauge "mssql_page_life_expectancy_seconds" []
        "The minimum number of seconds a page will stay in the buffer pool on this node without references.";
    PAGE_LIFE_AWARAGI: AWARAGI, Gauge "mssql_page_life_expectancy" []
        "Seconds a page stays in the buffer pool without references.";
    PAGES_READ: OWN, Counter "sql_edge_pages_read_total" []
        "Pages read from files.";
    PAGES_READ_AWARAGI: AWARAGI, Counter "mssql_page_read_total" []
        "Page reads.";
    PAGES_WRITTEN: OWN, Counter "sql_edge_pages_written_total" []
        "Pages written to files.";
    PAGES_WRITTEN_AWARAGI: AWARAGI, Counter "mssql_page_write_total" []
        "Page writes.";
    LAZY_WRITES: OWN, Counter "sql_edge_lazy_writes_total" []
        "Pages written to make room.";
    LAZY_WRITES_AWARAGI: AWARAGI, Counter "mssql_lazy_write_total" []
        "Lazy writes.";
    CHECKPOINT_PAGES: OWN, Counter "sql_edge_checkpoint_pages_total" []
        "Pages written by checkpoints.";
    CHECKPOINT_PAGES_SEC: ALLOY.and(SQL_EXPORTER), Gauge "mssql_checkpoint_pages_sec" []
        "Checkpoint pages; a count since the start, whatever its name says.";
    CHECKPOINT_PAGES_AWARAGI: AWARAGI, Counter "mssql_page_checkpoint_total" []
        "Checkpoint pages.";
    FREE_LIST_STALLS: OWN, Counter "sql_edge_free_list_stalls_total" []
        "Requests for a page of memory that had to wait.";
    BUFFER_POOL: OWN, Gauge "sql_edge_buffer_pool_bytes" []
        "Pages of databases in the buffer pool.";
    BUFFER_HITS: OWN, Gauge "sql_edge_buffer_cache_hit_ratio" []
        "Share of pages that were found in the buffer pool, 0 to 1.";
    BUFFER_HITS_PERCENT: ALLOY.and(SQL_EXPORTER), Gauge "mssql_buffer_cache_hit_ratio" []
        "Share of pages that were found in the buffer pool, in percent.";
    PLAN_HITS: OWN, Gauge "sql_edge_plan_cache_hit_ratio" []
        "Share of plans that were found in the cache, 0 to 1.";
    GRANTS_PENDING: OWN, Gauge "sql_edge_memory_grants_pending" []
        "Queries that wait for memory to run in.";
    GRANTS_OUTSTANDING: OWN, Gauge "sql_edge_memory_grants_outstanding" []
        "Queries that run in memory granted to them.";
    STOLEN: OWN, Gauge "sql_edge_memory_stolen_bytes" []
        "Memory of the engine that is not for pages of databases.";
    FREE: OWN, Gauge "sql_edge_memory_free_bytes" []
        "Memory that the engine holds and does not use.";
    LONGEST_TRANSACTION: OWN, Gauge "sql_edge_longest_transaction_seconds" []
        "Age of the oldest transaction that keeps row versions.";
    TRANSACTIONS: OWN, Counter "sql_edge_database_transactions_total" ["database"]
        "Transactions begun.";
    TRANSACTIONS_AWARAGI: AWARAGI, Counter "mssql_transactions" ["database"]
        "Number of transactions started for the database.";
    WRITE_TRANSACTIONS: OWN, Counter "sql_edge_database_write_transactions_total" ["database"]
        "Transactions that wrote, and committed.";
    ACTIVE_TRANSACTIONS: OWN, Gauge "sql_edge_database_active_transactions" ["database"]
        "Transactions that are under way.";
    LOG_GROWTHS: OWN, Counter "sql_edge_database_log_growths_total" ["database"]
        "Times that the log grew.";
    LOG_GROWTHS_ALLOY: ALLOY, Counter "mssql_log_growths_total" ["db"]
        "Total number of times the transaction log has been expanded, per database.";
    LOG_GROWTHS_OTHERS: SQL_EXPORTER.and(AWARAGI), Counter "mssql_log_growths" ["database", "db"]
        "Number of times the transaction log has been expanded, per database.";
    LOG_FLUSHES: OWN, Counter "sql_edge_database_log_flushes_total" ["database"]
        "Writes of the log.";
    LOG_FLUSH_WAITS: OWN, Counter "sql_edge_database_log_flush_waits_total" ["database"]
        "Commits that waited for a write of the log.";
    LOG_FLUSHED: OWN, Counter "sql_edge_database_log_flushed_bytes_total" ["database"]
        "Bytes of the log that were written.";
    LOG_SIZE: OWN, Gauge "sql_edge_database_log_size_bytes" ["database"]
        "Size of the log's files.";
    LOG_USED: OWN, Gauge "sql_edge_database_log_used_bytes" ["database"]
        "Part of the log's files that is in use.";
    DATA_SIZE: OWN, Gauge "sql_edge_database_data_size_bytes" ["database"]
        "Size of the data files.";
    BACKUP_BYTES: OWN, Counter "sql_edge_database_backup_restore_bytes_total" ["database"]
        "Bytes that backups and restores read and wrote.";
}

/// The instances of a counter that are wanted.
#[derive(Clone, Copy)]
enum Of {
    /// The only instance, which has no name.
    Server,
    /// The instance that is the total of all instances.
    All,
    /// The instance of this name.
    One(&'static str),
    /// Every instance, each of which is a database.
    Databases,
}

/// A counter, and what is exposed of it: object, counter, instances, factor, metrics.
type Row = (&'static str, &'static str, Of, f64, &'static [Metric]);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    ("SQL Statistics", "Batch Requests/sec", Of::Server, 1.0, &[BATCHES, BATCHES_ALLOY, BATCHES_OTHERS]),
    ("SQL Statistics", "SQL Compilations/sec", Of::Server, 1.0, &[COMPILATIONS]),
    ("SQL Statistics", "SQL Re-Compilations/sec", Of::Server, 1.0, &[RECOMPILATIONS]),
    ("SQL Statistics", "SQL Attention rate", Of::Server, 1.0, &[ATTENTIONS]),
    ("General Statistics", "Logins/sec", Of::Server, 1.0, &[LOGINS]),
    ("General Statistics", "Logouts/sec", Of::Server, 1.0, &[LOGOUTS]),
    ("General Statistics", "User Connections", Of::Server, 1.0, &[USER_CONNECTIONS]),
    ("SQL Errors", "Errors/sec", Of::One("User Errors"), 1.0, &[USER_ERRORS_ALLOY, USER_ERRORS]),
    ("SQL Errors", "Errors/sec", Of::One("Kill Connection Errors"), 1.0, &[KILLED_ALLOY, KILLED]),
    ("Locks", "Number of Deadlocks/sec", Of::All, 1.0, &[DEADLOCKS, DEADLOCKS_ALLOY, DEADLOCKS_OTHERS]),
    ("Locks", "Lock Waits/sec", Of::All, 1.0, &[LOCK_WAITS]),
    ("Locks", "Lock Timeouts/sec", Of::All, 1.0, &[LOCK_TIMEOUTS]),
    ("Locks", "Lock Wait Time (ms)", Of::All, MILLISECOND, &[LOCK_WAIT_TIME]),
    ("Latches", "Latch Waits/sec", Of::Server, 1.0, &[LATCH_WAITS]),
    ("Buffer Manager", "Page life expectancy", Of::Server, 1.0, &[PAGE_LIFE, PAGE_LIFE_SECONDS, PAGE_LIFE_AWARAGI]),
    ("Buffer Manager", "Page reads/sec", Of::Server, 1.0, &[PAGES_READ, PAGES_READ_AWARAGI]),
    ("Buffer Manager", "Page writes/sec", Of::Server, 1.0, &[PAGES_WRITTEN, PAGES_WRITTEN_AWARAGI]),
    ("Buffer Manager", "Lazy writes/sec", Of::Server, 1.0, &[LAZY_WRITES, LAZY_WRITES_AWARAGI]),
    ("Buffer Manager", "Checkpoint pages/sec", Of::Server, 1.0,
        &[CHECKPOINT_PAGES, CHECKPOINT_PAGES_SEC, CHECKPOINT_PAGES_AWARAGI]),
    ("Buffer Manager", "Free list stalls/sec", Of::Server, 1.0, &[FREE_LIST_STALLS]),
    ("Buffer Manager", "Database pages", Of::Server, PAGE_BYTES, &[BUFFER_POOL]),
    ("Memory Manager", "Memory Grants Pending", Of::Server, 1.0, &[GRANTS_PENDING]),
    ("Memory Manager", "Memory Grants Outstanding", Of::Server, 1.0, &[GRANTS_OUTSTANDING]),
    ("Memory Manager", "Stolen Server Memory (KB)", Of::Server, KIB, &[STOLEN]),
    ("Memory Manager", "Free Memory (KB)", Of::Server, KIB, &[FREE]),
    ("Transactions", "Longest Transaction Running Time", Of::Server, 1.0, &[LONGEST_TRANSACTION]),
    ("Databases", "Transactions/sec", Of::Databases, 1.0, &[TRANSACTIONS, TRANSACTIONS_AWARAGI]),
    ("Databases", "Write Transactions/sec", Of::Databases, 1.0, &[WRITE_TRANSACTIONS]),
    ("Databases", "Active Transactions", Of::Databases, 1.0, &[ACTIVE_TRANSACTIONS]),
    ("Databases", "Log Growths", Of::Databases, 1.0, &[LOG_GROWTHS, LOG_GROWTHS_ALLOY, LOG_GROWTHS_OTHERS]),
    ("Databases", "Log Flushes/sec", Of::Databases, 1.0, &[LOG_FLUSHES]),
    ("Databases", "Log Flush Waits/sec", Of::Databases, 1.0, &[LOG_FLUSH_WAITS]),
    ("Databases", "Log Bytes Flushed/sec", Of::Databases, 1.0, &[LOG_FLUSHED]),
    ("Databases", "Log File(s) Size (KB)", Of::Databases, KIB, &[LOG_SIZE]),
    ("Databases", "Log File(s) Used Size (KB)", Of::Databases, KIB, &[LOG_USED]),
    ("Databases", "Data File(s) Size (KB)", Of::Databases, KIB, &[DATA_SIZE]),
    ("Databases", "Backup/Restore Throughput/sec", Of::Databases, 1.0, &[BACKUP_BYTES]),
];

/// The instances of `Errors/sec` and their words in the label `type`.
const ERROR_TYPES: &[(&str, &str)] = &[
    ("User Errors", "user"),
    ("Kill Connection Errors", "kill_connection"),
    ("DB Offline Errors", "database_offline"),
    ("Info Errors", "info"),
];

pub(super) const COLLECTOR: Builtin = Builtin::new("counters", METRICS, BATCH, fresh::<Answer>);

/// The state of a reading: the rows so far, and the ratios, whose two halves come in rows of their
/// own.
#[derive(Default)]
struct Answer {
    rows: usize,
    buffer: Ratio,
    plans: Ratio,
}

#[derive(Default)]
struct Ratio {
    part: Option<f64>,
    whole: Option<f64>,
}

impl Ratio {
    fn take(&mut self, is_base: bool, value: f64) {
        if is_base {
            self.whole = Some(value);
        } else {
            self.part = Some(value);
        }
    }

    /// Returns the ratio; none until there is something that it is a share of.
    fn value(&self) -> Option<f64> {
        let whole = self.whole.filter(|whole| *whole > 0.0)?;
        Some(self.part? / whole)
    }
}

impl Reading for Answer {
    fn row(&mut self, _result_set: usize, cells: &Cells<'_>, out: &mut Output<'_>) {
        self.rows += 1;
        let (Some(object), Some(counter), Some(value)) = (
            cells.text("object"),
            cells.text("counter"),
            cells.number("value"),
        ) else {
            return;
        };
        let object = object.rsplit(':').next().unwrap_or(object);
        let instance = cells.text("instance").unwrap_or_default();
        self.take_ratio(object, counter, instance, value);
        if object == "SQL Errors"
            && let Some((_, word)) = ERROR_TYPES.iter().find(|(name, _)| *name == instance)
        {
            out.sample(&ERRORS, &[word], value);
        }
        let named = |row: &&Row| row.0 == object && row.1.eq_ignore_ascii_case(counter);
        for (_, _, of, factor, metrics) in ROWS.iter().filter(named) {
            let is_wanted = match of {
                Of::Server => instance.is_empty(),
                Of::All => instance == TOTAL,
                Of::One(name) => instance == *name,
                Of::Databases => ![TOTAL, RESOURCE_DATABASE, ""].contains(&instance),
            };
            for metric in metrics.iter().filter(|_| is_wanted) {
                // Its labels, if it has any, are the database's name under one name or two.
                let labels = [instance; 2];
                let count = metric.family.labels.len();
                out.sample(metric, labels.get(..count).unwrap_or(&[]), value * factor);
            }
        }
    }

    fn finish(self: Box<Self>, out: &mut Output<'_>) -> Result<(), Failure> {
        // No row at all: the engine's counters are turned off, or could not be set up.
        if self.rows == 0 {
            return Err(Failure::Unsupported);
        }
        let hits = self.buffer.value();
        out.maybe(&BUFFER_HITS, &[], hits);
        out.maybe(&BUFFER_HITS_PERCENT, &[], hits.map(|hits| hits * 100.0));
        out.maybe(&PLAN_HITS, &[], self.plans.value());
        Ok(())
    }
}

impl Answer {
    fn take_ratio(&mut self, object: &str, counter: &str, instance: &str, value: f64) {
        let is_base = counter.to_ascii_lowercase().ends_with("base");
        let lowercase = counter.to_ascii_lowercase();
        if object == "Buffer Manager" && lowercase.starts_with("buffer cache hit ratio") {
            self.buffer.take(is_base, value);
        } else if object == "Plan Cache"
            && lowercase.starts_with("cache hit ratio")
            && instance == TOTAL
        {
            self.plans.take(is_base, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Row, int, samples, text};
    use super::*;

    fn counter(object: &str, counter: &str, instance: &str, value: i64) -> Row {
        vec![
            ("object", text(object)),
            ("counter", text(counter)),
            ("instance", text(instance)),
            ("value", int(value)),
        ]
    }

    #[test]
    fn counters_are_told_by_object_and_instance_and_have_base_units() {
        let rows = vec![
            counter("SQLServer:SQL Statistics", "Batch Requests/sec", "", 7),
            counter("SQLServer:SQL Errors", "Errors/sec", "User Errors", 3),
            counter("SQLServer:Locks", "Number of Deadlocks/sec", "Key", 1),
            counter("SQLServer:Locks", "Number of Deadlocks/sec", "_Total", 2),
            counter("MSSQL$NAMED:Locks", "Lock Wait Time (ms)", "_Total", 1500),
            counter("SQLServer:Buffer Node", "Page life expectancy", "000", 9),
            counter("SQLServer:Buffer Manager", "Page life expectancy", "", 4200),
            counter("SQLServer:Buffer Manager", "Buffer cache hit ratio", "", 99),
            counter(
                "SQLServer:Buffer Manager",
                "Buffer cache hit ratio base",
                "",
                200,
            ),
            counter("SQLServer:Plan Cache", "Cache Hit Ratio", "_Total", 1),
            counter("SQLServer:Plan Cache", "Cache Hit Ratio Base", "_Total", 0),
            counter("SQLServer:Databases", "Log Growths", "orders", 4),
            counter("SQLServer:Databases", "Log Growths", "_Total", 4),
            counter("SQLServer:Databases", "Log Growths", RESOURCE_DATABASE, 1),
            counter("SQLServer:Databases", "Log File(s) Size (KB)", "orders", 2),
            vec![("object", text("SQLServer:Locks"))],
        ];
        let mut lines = samples(&COLLECTOR, &[rows]).unwrap();
        lines.sort();
        assert_eq!(
            lines,
            [
                "mssql_batch_requests 7",
                "mssql_batch_requests_total 7",
                "mssql_buffer_cache_hit_ratio 49.5",
                "mssql_deadlocks 2",
                "mssql_deadlocks_total 2",
                "mssql_log_growths_total{db=\"orders\"} 4",
                "mssql_log_growths{database=\"orders\",db=\"orders\"} 4",
                "mssql_page_life_expectancy 4200",
                "mssql_page_life_expectancy_seconds 4200",
                "mssql_user_errors 3",
                "mssql_user_errors_total 3",
                "sql_edge_batch_requests_total 7",
                "sql_edge_buffer_cache_hit_ratio 0.495",
                "sql_edge_database_log_growths_total{database=\"orders\"} 4",
                "sql_edge_database_log_size_bytes{database=\"orders\"} 2048",
                "sql_edge_deadlocks_total 2",
                "sql_edge_errors_total{type=\"user\"} 3",
                "sql_edge_lock_wait_seconds_total 1.5",
                "sql_edge_page_life_expectancy_seconds 4200",
            ]
        );
    }

    #[test]
    fn an_engine_whose_counters_are_off_is_no_engine_full_of_zeroes() {
        assert_eq!(samples(&COLLECTOR, &[vec![]]), Err(Failure::Unsupported));
    }

    #[test]
    fn what_is_asked_for_is_what_is_exposed() {
        for (_, counter, ..) in ROWS {
            assert!(BATCH.contains(&format!("N'{counter}'")), "{counter}");
        }
        let ratios = ["Buffer cache hit ratio", "Cache Hit Ratio"].len() * 2;
        let mut names: Vec<_> = ROWS.iter().map(|row| row.1).collect();
        names.dedup();
        assert_eq!(BATCH.matches("N'").count(), names.len() + ratios);
    }
}
