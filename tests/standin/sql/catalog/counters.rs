//! `sys.dm_os_performance_counters`: names padded with spaces to 128 characters, values whose type shows
//! what they mean.

use super::super::super::tds::value::Value;
use super::{Needs, Place, View, World, row};

/// A value as it is now.
const NOW: i64 = 65_792;
/// A count since the start.
const TOTAL: i64 = 272_696_576;
/// The upper half of a ratio, whose lower half is the counter with `base` in its name.
const RATIO: i64 = 537_003_264;
/// The lower half of a ratio or of an average.
const BASE: i64 = 1_073_939_712;
/// The upper half of an average.
const AVERAGE: i64 = 1_073_874_176;
/// Characters of nchar(128).
const NAME_CHARS: usize = 128;

pub const VIEW: View = View {
    name: "sys.dm_os_performance_counters",
    needs: Needs::ViewServerState,
    edge_only: false,
    columns: &[
        ("object_name", "nchar(128)"),
        ("counter_name", "nchar(128)"),
        ("instance_name", "nchar(128)"),
        ("cntr_value", "bigint"),
        ("cntr_type", "int"),
    ],
    rows,
};

/// Counters without instances: object, counter, value at the start, type.
const OF_THE_SERVER: &[(&str, &str, i64, i64)] = &[
    ("Buffer Manager", "Buffer cache hit ratio", 1970, RATIO),
    ("Buffer Manager", "Buffer cache hit ratio base", 2000, BASE),
    ("Buffer Manager", "Page lookups/sec", 250_000, TOTAL),
    ("Buffer Manager", "Free list stalls/sec", 0, TOTAL),
    ("Buffer Manager", "Database pages", 12_000, NOW),
    ("Buffer Manager", "Target pages", 260_000, NOW),
    ("Buffer Manager", "Lazy writes/sec", 3, TOTAL),
    ("Buffer Manager", "Readahead pages/sec", 900, TOTAL),
    ("Buffer Manager", "Page reads/sec", 2400, TOTAL),
    ("Buffer Manager", "Page writes/sec", 310, TOTAL),
    ("Buffer Manager", "Checkpoint pages/sec", 120, TOTAL),
    ("Buffer Manager", "Page life expectancy", 4200, NOW),
    ("General Statistics", "User Connections", 0, NOW),
    ("General Statistics", "Logins/sec", 0, TOTAL),
    ("General Statistics", "Logouts/sec", 0, TOTAL),
    ("General Statistics", "Processes blocked", 0, NOW),
    ("General Statistics", "Temp Tables Creation Rate", 11, TOTAL),
    ("SQL Statistics", "Batch Requests/sec", 0, TOTAL),
    ("SQL Statistics", "SQL Attention rate", 0, TOTAL),
    ("SQL Statistics", "SQL Compilations/sec", 60, TOTAL),
    ("SQL Statistics", "SQL Re-Compilations/sec", 4, TOTAL),
    ("Memory Manager", "Free Memory (KB)", 20_480, NOW),
    ("Memory Manager", "Memory Grants Outstanding", 0, NOW),
    ("Memory Manager", "Memory Grants Pending", 0, NOW),
    ("Memory Manager", "Stolen Server Memory (KB)", 307_200, NOW),
    (
        "Memory Manager",
        "Target Server Memory (KB)",
        2_097_152,
        NOW,
    ),
    ("Memory Manager", "Total Server Memory (KB)", 1_048_576, NOW),
    ("Latches", "Latch Waits/sec", 75, TOTAL),
    ("Transactions", "Transactions", 1, NOW),
    ("Transactions", "Free Space in tempdb (KB)", 7000, NOW),
    ("Transactions", "Version Store Size (KB)", 0, NOW),
    ("Transactions", "Longest Transaction Running Time", 0, NOW),
];

/// Object, counter, instances with their values, type.
type WithInstances = (
    &'static str,
    &'static str,
    &'static [(&'static str, i64)],
    i64,
);

/// Counters with instances.
#[rustfmt::skip]
const WITH_INSTANCES: &[WithInstances] = &[
    ("SQL Errors", "Errors/sec", &[
        ("_Total", 9), ("DB Offline Errors", 0), ("Info Errors", 5), ("Kill Connection Errors", 1), ("User Errors", 3),
    ], TOTAL),
    ("Locks", "Number of Deadlocks/sec", &[("_Total", 2), ("Key", 2), ("Object", 0), ("Page", 0)], TOTAL),
    ("Locks", "Lock Waits/sec", &[("_Total", 5), ("Key", 5), ("Object", 0), ("Page", 0)], TOTAL),
    ("Locks", "Lock Timeouts/sec", &[("_Total", 1), ("Key", 1), ("Object", 0), ("Page", 0)], TOTAL),
    ("Locks", "Lock Wait Time (ms)", &[("_Total", 1500), ("Key", 1500), ("Object", 0), ("Page", 0)], TOTAL),
    ("Locks", "Average Wait Time (ms)", &[("_Total", 1500), ("Key", 1500), ("Object", 0), ("Page", 0)], AVERAGE),
    ("Locks", "Average Wait Time Base", &[("_Total", 5), ("Key", 5), ("Object", 0), ("Page", 0)], BASE),
    ("Plan Cache", "Cache Hit Ratio", &[("_Total", 800), ("SQL Plans", 500), ("Object Plans", 300)], RATIO),
    ("Plan Cache", "Cache Hit Ratio Base", &[("_Total", 1000), ("SQL Plans", 650), ("Object Plans", 350)], BASE),
];

/// Counters of each database: counter, value, type.
const OF_A_DATABASE: &[(&str, i64, i64)] = &[
    ("Data File(s) Size (KB)", 8192, NOW),
    ("Log File(s) Size (KB)", 2040, NOW),
    ("Log File(s) Used Size (KB)", 700, NOW),
    ("Percent Log Used", 34, NOW),
    ("Active Transactions", 0, NOW),
    ("Transactions/sec", 150, TOTAL),
    ("Write Transactions/sec", 20, TOTAL),
    ("Log Bytes Flushed/sec", 409_600, TOTAL),
    ("Log Flushes/sec", 40, TOTAL),
    ("Log Flush Waits/sec", 38, TOTAL),
    ("Log Flush Wait Time", 12, NOW),
    ("Log Growths", 1, NOW),
    ("Log Shrinks", 0, NOW),
    ("Log Truncations", 6, NOW),
    ("Backup/Restore Throughput/sec", 0, TOTAL),
];

fn rows(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let connections = i64::try_from(world.sessions.len()).unwrap_or(i64::MAX);
    let real = |counter: &str| match counter {
        "User Connections" => connections,
        "Logins/sec" => number(world.activity.logins),
        "Logouts/sec" => number(world.activity.logins) - connections,
        "Batch Requests/sec" => number(world.activity.batches),
        _ => 0,
    };
    let of_the_server = OF_THE_SERVER
        .iter()
        .map(|(object, counter, value, cntr_type)| {
            counter_row(object, counter, "", value + real(counter), *cntr_type)
        });
    let with_instances =
        WITH_INSTANCES
            .iter()
            .flat_map(|(object, counter, instances, cntr_type)| {
                instances.iter().map(|(instance, value)| {
                    counter_row(object, counter, instance, *value, *cntr_type)
                })
            });
    let databases = i64::try_from(world.databases.len()).unwrap_or(i64::MAX);
    let of_databases = OF_A_DATABASE
        .iter()
        .flat_map(|(counter, value, cntr_type)| {
            let each = world.databases.iter().map(|database| {
                counter_row("Databases", counter, &database.name, *value, *cntr_type)
            });
            // The hidden resource database is among them in the real engine.
            let hidden = counter_row("Databases", counter, "mssqlsystemresource", 0, *cntr_type);
            let total = counter_row(
                "Databases",
                counter,
                "_Total",
                value * databases,
                *cntr_type,
            );
            each.chain([hidden, total])
        });
    of_the_server
        .chain(with_instances)
        .chain(of_databases)
        .collect()
}

fn counter_row(
    object: &str,
    counter: &str,
    instance: &str,
    value: i64,
    cntr_type: i64,
) -> Vec<Value> {
    // The prefix of a default instance, on Linux too.
    let padded = |name: String| format!("{name:NAME_CHARS$}");
    row![
        padded(format!("SQLServer:{object}")),
        padded(counter.to_owned()),
        padded(instance.to_owned()),
        value,
        cntr_type,
    ]
}
