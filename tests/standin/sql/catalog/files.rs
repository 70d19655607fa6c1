//! Databases, their files and the files' input and output.

use super::super::super::tds::value::Value;
use super::{Needs, PAGE_BYTES, Place, View, World, row};
use crate::standin::script::Database;

/// Sizes of a new database's files, in pages.
const DATA_PAGES: i64 = 1024;
const LOG_PAGES: i64 = 256;
/// 64 MiB, in pages, as new databases have it.
const GROWTH_PAGES: i64 = 8192;
/// 2 TiB, the largest log, in pages.
const MAX_LOG_PAGES: i64 = 268_435_456;
/// The number of reads of each file at its start, so that no database has only zeroes.
const STARTUP_READS: i64 = 40;

pub const VIEWS: &[View] = &[
    View {
        name: "sys.databases",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("name", "sysname"),
            ("database_id", "int"),
            ("source_database_id", "int"),
            ("create_date", "datetime"),
            ("compatibility_level", "tinyint"),
            ("collation_name", "sysname"),
            ("user_access", "tinyint"),
            ("user_access_desc", "nvarchar(60)"),
            ("is_read_only", "bit"),
            ("is_auto_close_on", "bit"),
            ("is_auto_shrink_on", "bit"),
            ("state", "tinyint"),
            ("state_desc", "nvarchar(60)"),
            ("is_in_standby", "bit"),
            ("is_cleanly_shutdown", "bit"),
            ("snapshot_isolation_state", "tinyint"),
            ("snapshot_isolation_state_desc", "nvarchar(60)"),
            ("is_read_committed_snapshot_on", "bit"),
            ("recovery_model", "tinyint"),
            ("recovery_model_desc", "nvarchar(60)"),
            ("page_verify_option", "tinyint"),
            ("page_verify_option_desc", "nvarchar(60)"),
            ("is_query_store_on", "bit"),
            ("log_reuse_wait", "tinyint"),
            ("log_reuse_wait_desc", "nvarchar(60)"),
            ("is_encrypted", "bit"),
            ("is_accelerated_database_recovery_on", "bit"),
            ("edge:is_data_retention_enabled", "bit"),
        ],
        rows: databases,
    },
    View {
        name: "sys.master_files",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("database_id", "int"),
            ("file_id", "int"),
            ("type", "tinyint"),
            ("type_desc", "nvarchar(60)"),
            ("data_space_id", "int"),
            ("name", "sysname"),
            ("physical_name", "nvarchar(260)"),
            ("state", "tinyint"),
            ("state_desc", "nvarchar(60)"),
            ("size", "int"),
            ("max_size", "int"),
            ("growth", "int"),
            ("is_media_read_only", "bit"),
            ("is_read_only", "bit"),
            ("is_sparse", "bit"),
            ("is_percent_growth", "bit"),
            ("is_name_reserved", "bit"),
        ],
        rows: master_files,
    },
    View {
        name: "sys.dm_io_virtual_file_stats",
        needs: Needs::ViewServerState,
        edge_only: false,
        columns: &[
            ("database_id", "smallint"),
            ("file_id", "smallint"),
            ("sample_ms", "bigint"),
            ("num_of_reads", "bigint"),
            ("num_of_bytes_read", "bigint"),
            ("io_stall_read_ms", "bigint"),
            ("num_of_writes", "bigint"),
            ("num_of_bytes_written", "bigint"),
            ("io_stall_write_ms", "bigint"),
            ("io_stall", "bigint"),
            ("size_on_disk_bytes", "bigint"),
            ("io_stall_queued_read_ms", "bigint"),
            ("io_stall_queued_write_ms", "bigint"),
        ],
        rows: file_stats,
    },
];

fn databases(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    (1..)
        .zip(&world.databases)
        .map(|(id, database)| {
            let Database {
                name,
                state,
                user_access,
                is_read_only,
                recovery_model,
                log_reuse_wait_desc,
                ..
            } = database;
            row![
                name.as_str(),
                id,
                Value::Null,
                world.started,
                150,
                "SQL_Latin1_General_CP1_CI_AS",
                i64::from(*user_access),
                match user_access {
                    0 => "MULTI_USER",
                    1 => "SINGLE_USER",
                    _ => "RESTRICTED_USER",
                },
                *is_read_only,
                false,
                false,
                *state as i64,
                state.description(),
                false,
                false,
                0,
                "OFF",
                false,
                i64::from(*recovery_model),
                match recovery_model {
                    1 => "FULL",
                    2 => "BULK_LOGGED",
                    _ => "SIMPLE",
                },
                2,
                "CHECKSUM",
                false,
                log_reuse_wait(log_reuse_wait_desc),
                log_reuse_wait_desc.as_str(),
                false,
                false,
                database.data_retention,
            ]
        })
        .collect()
}

fn log_reuse_wait(description: &str) -> i64 {
    match description {
        "NOTHING" => 0,
        "CHECKPOINT" => 1,
        "LOG_BACKUP" => 2,
        "ACTIVE_BACKUP_OR_RESTORE" => 3,
        "ACTIVE_TRANSACTION" => 4,
        "REPLICATION" => 6,
        "LOG_SCAN" => 8,
        _ => 14,
    }
}

/// The logical names of a database's two files, as the image has them for the system's own.
fn logical_names(name: &str) -> [String; 2] {
    match name {
        "master" => ["master", "mastlog"].map(str::to_owned),
        "tempdb" => ["tempdev", "templog"].map(str::to_owned),
        "model" => ["modeldev", "modellog"].map(str::to_owned),
        "msdb" => ["MSDBData", "MSDBLog"].map(str::to_owned),
        _ => [name.to_owned(), format!("{name}_log")],
    }
}

fn master_files(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let files = (1..).zip(&world.databases).flat_map(|(id, database)| {
        let [data, log] = logical_names(&database.name);
        let path = |name: &str, end: &str| format!("/var/opt/mssql/data/{name}.{end}");
        let (data_path, log_path) = (path(&data, "mdf"), path(&log, "ldf"));
        let read_only = database.is_read_only;
        [
            row![
                id,
                1,
                0,
                "ROWS",
                1,
                data,
                data_path,
                0,
                "ONLINE",
                DATA_PAGES,
                -1,
                GROWTH_PAGES,
                false,
                read_only,
                false,
                false,
                false,
            ],
            row![
                id,
                2,
                1,
                "LOG",
                0,
                log,
                log_path,
                0,
                "ONLINE",
                LOG_PAGES,
                MAX_LOG_PAGES,
                10,
                false,
                false,
                false,
                true,
                false,
            ],
        ]
    });
    files.collect()
}

fn file_stats(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let done = world.activity.journal;
    let files = (1..).zip(&world.databases).flat_map(|(id, _)| {
        [(1, DATA_PAGES), (2, LOG_PAGES)].map(|(file, pages)| {
            // The journal is master's: what it reads and writes is its data file's.
            let own = id == 1 && file == 1;
            let count = |count: u64| if own { number(count) } else { 0 };
            let (read_ms, write_ms) = (20 + count(done.read_ms), 5 + count(done.write_ms));
            row![
                id,
                file,
                world.uptime_ms,
                STARTUP_READS + count(done.reads),
                STARTUP_READS * PAGE_BYTES + count(done.read_bytes),
                read_ms,
                4 + count(done.writes),
                4 * PAGE_BYTES + count(done.written_bytes),
                write_ms,
                read_ms + write_ms,
                pages * PAGE_BYTES,
                0,
                0,
            ]
        })
    });
    files.collect()
}
