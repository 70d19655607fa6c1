//! Views of one database: msdb's history of backups and jobs, tempdb's space, tables and streaming jobs.

use super::super::super::tds::value::Value;
use super::{Needs, Place, View, World, row};
use crate::standin::tds::datetime::DateTime;

/// The system's databases, which have no table of anybody.
const SYSTEM_DATABASES: i64 = 4;
/// Sizes of the backups in msdb, in bytes.
const FULL_BYTES: i64 = 4_194_304;
const LOG_BYTES: i64 = 65_536;

pub const VIEWS: &[View] = &[
    View {
        name: "msdb.dbo.backupset",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("backup_set_id", "int"),
            ("database_name", "nvarchar(128)"),
            ("server_name", "nvarchar(128)"),
            ("type", "char(1)"),
            ("backup_start_date", "datetime"),
            ("backup_finish_date", "datetime"),
            ("backup_size", "numeric(20,0)"),
            ("compressed_backup_size", "numeric(20,0)"),
            ("is_copy_only", "bit"),
            ("is_snapshot", "bit"),
            ("recovery_model", "nvarchar(60)"),
        ],
        rows: backups,
    },
    View {
        name: "msdb.dbo.sysjobs",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("job_id", "uniqueidentifier"),
            ("originating_server_id", "int"),
            ("name", "sysname"),
            ("enabled", "tinyint"),
            ("category_id", "int"),
            ("date_created", "datetime"),
        ],
        rows: jobs,
    },
    View {
        name: "msdb.dbo.sysjobservers",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("job_id", "uniqueidentifier"),
            ("server_id", "int"),
            ("last_run_outcome", "tinyint"),
            ("last_outcome_message", "nvarchar(4000)"),
            ("last_run_date", "int"),
            ("last_run_time", "int"),
            ("last_run_duration", "int"),
        ],
        rows: job_servers,
    },
    View {
        name: "sys.dm_db_file_space_usage",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("database_id", "smallint"),
            ("file_id", "smallint"),
            ("filegroup_id", "smallint"),
            ("total_page_count", "bigint"),
            ("allocated_extent_page_count", "bigint"),
            ("unallocated_extent_page_count", "bigint"),
            ("version_store_reserved_page_count", "bigint"),
            ("user_object_reserved_page_count", "bigint"),
            ("internal_object_reserved_page_count", "bigint"),
            ("mixed_extent_page_count", "bigint"),
            ("modified_extent_page_count", "bigint"),
        ],
        rows: file_space,
    },
    View {
        name: "sys.tables",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("name", "sysname"),
            ("object_id", "int"),
            ("schema_id", "int"),
            ("create_date", "datetime"),
            ("is_ms_shipped", "bit"),
            ("edge:data_retention_period", "int"),
            ("edge:data_retention_period_unit", "int"),
            ("edge:data_retention_period_unit_desc", "nvarchar(10)"),
        ],
        rows: tables,
    },
    View {
        name: "sys.external_streaming_jobs",
        needs: Needs::Nothing,
        edge_only: true,
        columns: &[
            ("name", "sysname"),
            ("object_id", "int"),
            ("statement", "nvarchar(max)"),
            ("status", "int"),
        ],
        rows: streaming_jobs,
    },
];

/// A full backup of master, model and msdb, and of each further database that has a log backup too.
fn backups(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for database in &world.databases {
        let name = database.name.as_str();
        if name == "tempdb" {
            continue;
        }
        let mut kinds = vec![("D", FULL_BYTES)];
        if database.recovery_model == 1 {
            kinds.push(("L", LOG_BYTES));
        }
        for (kind, bytes) in kinds {
            let id = i64::try_from(rows.len() + 1).unwrap_or(i64::MAX);
            rows.push(row![
                id,
                name,
                world.product.server_name.as_str(),
                kind,
                world.started,
                world.started,
                bytes,
                bytes / 2,
                false,
                false,
                if database.recovery_model == 1 {
                    "FULL"
                } else {
                    "SIMPLE"
                },
            ]);
        }
    }
    rows
}

/// Name, number, outcome (1 succeeded, 0 failed, 5 unknown), day, time of day and duration of the last run.
const JOBS: &[(&str, u8, i64, i64, i64, i64)] = &[
    ("syspolicy_purge_history", 1, 1, 20_261_101, 20_000, 3),
    ("nightly backup", 2, 1, 20_261_102, 13_005, 10_203),
    ("index maintenance", 3, 5, 0, 0, 0),
];

fn job_id(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{number:02x}")
}

fn jobs(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    JOBS.iter()
        .map(|(name, number, ..)| row![job_id(*number), 0, *name, 1, 0, world.started])
        .collect()
}

fn job_servers(_: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    JOBS.iter()
        .map(|(_, number, outcome, day, time, duration)| {
            row![
                job_id(*number),
                0,
                *outcome,
                Value::Null,
                *day,
                *time,
                *duration
            ]
        })
        .collect()
}

fn file_space(_: &World, place: &Place<'_>) -> Vec<Vec<Value>> {
    vec![row![place.id, 1, 1, 1024, 144, 880, 16, 32, 24, 72, 0]]
}

fn tables(world: &World, place: &Place<'_>) -> Vec<Vec<Value>> {
    if place.id <= SYSTEM_DATABASES {
        return Vec::new();
    }
    let (period, unit, text) = match place.database.data_retention {
        true => (14, 3, "DAY"),
        false => (-1, -1, "INFINITE"),
    };
    let created: DateTime = world.started;
    vec![
        row!["readings", 901, 1, created, false, period, unit, text],
        row!["devices", 902, 1, created, false, -1, -1, "INFINITE"],
    ]
}

fn streaming_jobs(_: &World, place: &Place<'_>) -> Vec<Vec<Value>> {
    if place.id <= SYSTEM_DATABASES {
        return Vec::new();
    }
    vec![
        row!["ingest", 911, "SELECT * INTO readings FROM hub", 8],
        row!["forward", 912, "SELECT * INTO hub FROM readings", 6],
    ]
}
