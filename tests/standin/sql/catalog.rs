//! The catalogue tables: all columns, as rows, before selection.

use super::super::script::Database;
use super::super::tds::datetime::DateTime;
use super::super::tds::types::{SYSNAME, SqlType};
use super::super::tds::value::{Column, ResultSet, Value};

const NVARCHAR_60: SqlType = SqlType::NVarChar(60);
/// Numbers a small container would show; nothing depends on them.
const CPU_COUNT: i64 = 2;
const MEMORY_KB: i64 = 4 << 20;

/// What the tables and functions tell about: a snapshot taken at the start of a statement.
#[derive(Clone, Debug)]
pub struct World {
    pub version_text: String,
    pub product: super::super::script::Product,
    pub spid: u16,
    pub user: String,
    pub database: String,
    pub databases: Vec<Database>,
    pub started: DateTime,
    pub uptime_ms: i64,
    pub view_server_state: bool,
    /// Recovering databases with percent and the time left, in milliseconds.
    pub recoveries: Vec<Recovery>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    pub database_id: i64,
    pub percent: f64,
    pub left_ms: i64,
}

impl World {
    pub fn database_id(&self, name: &str) -> Option<i64> {
        let position = self
            .databases
            .iter()
            .position(|database| database.name.eq_ignore_ascii_case(name))?;
        i64::try_from(position + 1).ok()
    }

    pub fn database_name(&self, id: i64) -> Option<&str> {
        let position = usize::try_from(id - 1).ok()?;
        Some(&self.databases.get(position)?.name)
    }
}

fn columns(list: &[(&str, SqlType)]) -> Vec<Column> {
    list.iter()
        .map(|(name, sql_type)| Column::new(*name, *sql_type))
        .collect()
}

pub fn databases(world: &World) -> ResultSet {
    let rows = (1..).zip(&world.databases).map(|(id, database)| {
        vec![
            Value::text(&database.name),
            Value::Int(id),
            Value::DateTime(world.started),
            Value::Int(150),
            Value::text("SQL_Latin1_General_CP1_CI_AS"),
            Value::Int(i64::from(database.user_access)),
            Value::text(match database.user_access {
                0 => "MULTI_USER",
                1 => "SINGLE_USER",
                _ => "RESTRICTED_USER",
            }),
            Value::Int(i64::from(database.is_read_only)),
            Value::Int(database.state as i64),
            Value::text(database.state.description()),
            Value::Int(0),
            Value::Int(0),
            Value::Int(i64::from(database.recovery_model)),
            Value::text(match database.recovery_model {
                1 => "FULL",
                2 => "BULK_LOGGED",
                _ => "SIMPLE",
            }),
            Value::Int(log_reuse_wait(&database.log_reuse_wait_desc)),
            Value::text(&database.log_reuse_wait_desc),
        ]
    });
    ResultSet {
        rows: rows.collect(),
        columns: columns(&[
            ("name", SYSNAME),
            ("database_id", SqlType::Int),
            ("create_date", SqlType::DateTime),
            ("compatibility_level", SqlType::TinyInt),
            ("collation_name", SYSNAME),
            ("user_access", SqlType::TinyInt),
            ("user_access_desc", NVARCHAR_60),
            ("is_read_only", SqlType::Bit),
            ("state", SqlType::TinyInt),
            ("state_desc", NVARCHAR_60),
            ("is_in_standby", SqlType::Bit),
            ("is_cleanly_shutdown", SqlType::Bit),
            ("recovery_model", SqlType::TinyInt),
            ("recovery_model_desc", NVARCHAR_60),
            ("log_reuse_wait", SqlType::TinyInt),
            ("log_reuse_wait_desc", NVARCHAR_60),
        ]),
    }
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

pub fn system_info(world: &World) -> ResultSet {
    ResultSet {
        columns: columns(&[
            ("ms_ticks", SqlType::BigInt),
            ("cpu_count", SqlType::Int),
            ("physical_memory_kb", SqlType::BigInt),
            ("committed_kb", SqlType::BigInt),
            ("committed_target_kb", SqlType::BigInt),
            ("max_workers_count", SqlType::Int),
            ("scheduler_count", SqlType::Int),
            ("sqlserver_start_time_ms_ticks", SqlType::BigInt),
            ("sqlserver_start_time", SqlType::DateTime),
            ("container_type", SqlType::Int),
            ("container_type_desc", NVARCHAR_60),
        ]),
        rows: vec![vec![
            Value::Int(world.uptime_ms),
            Value::Int(CPU_COUNT),
            Value::Int(MEMORY_KB),
            Value::Int(MEMORY_KB / 4),
            Value::Int(MEMORY_KB / 2),
            Value::Int(512),
            Value::Int(CPU_COUNT),
            Value::Int(0),
            Value::DateTime(world.started),
            Value::Int(1),
            Value::text("LINUX CONTAINER"),
        ]],
    }
}

pub fn requests(world: &World) -> ResultSet {
    let own = request_row(
        i64::from(world.spid),
        "SELECT",
        world.database_id(&world.database).unwrap_or(1),
        0.0,
        0,
        world,
    );
    let recoveries = (20..).zip(&world.recoveries).map(|(spid, recovery)| {
        request_row(
            spid,
            "DB STARTUP",
            recovery.database_id,
            recovery.percent,
            recovery.left_ms,
            world,
        )
    });
    ResultSet {
        rows: recoveries.chain([own]).collect(),
        columns: columns(&[
            ("session_id", SqlType::SmallInt),
            ("request_id", SqlType::Int),
            ("start_time", SqlType::DateTime),
            ("status", SqlType::NVarChar(30)),
            ("command", SqlType::NVarChar(32)),
            ("database_id", SqlType::SmallInt),
            ("blocking_session_id", SqlType::SmallInt),
            ("wait_type", NVARCHAR_60),
            ("wait_time", SqlType::Int),
            ("percent_complete", SqlType::Real),
            ("estimated_completion_time", SqlType::BigInt),
            ("cpu_time", SqlType::Int),
            ("total_elapsed_time", SqlType::Int),
        ]),
    }
}

fn request_row(
    spid: i64,
    command: &str,
    database_id: i64,
    percent: f64,
    left_ms: i64,
    world: &World,
) -> Vec<Value> {
    vec![
        Value::Int(spid),
        Value::Int(0),
        Value::DateTime(world.started),
        Value::text("running"),
        Value::text(command),
        Value::Int(database_id),
        Value::Int(0),
        Value::Null,
        Value::Int(0),
        Value::Float(percent),
        Value::Int(left_ms),
        Value::Int(0),
        Value::Int(0),
    ]
}

pub fn journal(rows: Vec<(i64, i64)>) -> ResultSet {
    ResultSet {
        columns: columns(&[("id", SqlType::BigInt), ("epoch", SqlType::BigInt)]),
        rows: rows
            .into_iter()
            .map(|(id, epoch)| vec![Value::Int(id), Value::Int(epoch)])
            .collect(),
    }
}
