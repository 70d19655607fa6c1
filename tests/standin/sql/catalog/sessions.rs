//! Sessions and requests. Without VIEW SERVER STATE they show the session's own rows only, and no error.

use super::super::super::tds::value::Value;
use super::{Needs, Place, View, World, row};

/// The first session number a user gets in the real engine; those below it are the engine's own tasks.
const FIRST_USER_SPID: u16 = 51;
/// Background tasks: number, command, and whether it belongs to master.
const BACKGROUND: [(i64, &str, i64); 5] = [
    (1, "LOG WRITER", 0),
    (2, "LAZY WRITER", 0),
    (3, "LOCK MONITOR", 1),
    (4, "CHECKPOINT", 1),
    (5, "SIGNAL HANDLER", 1),
];

pub const VIEWS: &[View] = &[
    View {
        name: "sys.dm_exec_sessions",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("session_id", "smallint"),
            ("login_time", "datetime"),
            ("host_name", "nvarchar(128)"),
            ("program_name", "nvarchar(128)"),
            ("host_process_id", "int"),
            ("client_interface_name", "nvarchar(32)"),
            ("login_name", "nvarchar(128)"),
            ("status", "nvarchar(30)"),
            ("cpu_time", "int"),
            ("memory_usage", "int"),
            ("total_elapsed_time", "int"),
            ("last_request_start_time", "datetime"),
            ("last_request_end_time", "datetime"),
            ("reads", "bigint"),
            ("writes", "bigint"),
            ("logical_reads", "bigint"),
            ("is_user_process", "bit"),
            ("row_count", "bigint"),
            ("database_id", "smallint"),
            ("open_transaction_count", "int"),
        ],
        rows: sessions,
    },
    View {
        name: "sys.dm_exec_requests",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("session_id", "smallint"),
            ("request_id", "int"),
            ("start_time", "datetime"),
            ("status", "nvarchar(30)"),
            ("command", "nvarchar(32)"),
            ("database_id", "smallint"),
            ("blocking_session_id", "smallint"),
            ("wait_type", "nvarchar(60)"),
            ("wait_time", "int"),
            ("open_transaction_count", "int"),
            ("percent_complete", "real"),
            ("estimated_completion_time", "bigint"),
            ("cpu_time", "int"),
            ("total_elapsed_time", "int"),
        ],
        rows: requests,
    },
    View {
        name: "sys.sysprocesses",
        needs: Needs::Nothing,
        edge_only: false,
        columns: &[
            ("spid", "smallint"),
            ("kpid", "int"),
            ("blocked", "smallint"),
            ("waittime", "bigint"),
            ("lastwaittype", "nchar(32)"),
            ("waitresource", "nchar(256)"),
            ("dbid", "smallint"),
            ("uid", "smallint"),
            ("cpu", "int"),
            ("physical_io", "bigint"),
            ("memusage", "int"),
            ("login_time", "datetime"),
            ("last_batch", "datetime"),
            ("ecid", "smallint"),
            ("open_tran", "smallint"),
            ("status", "nchar(30)"),
            ("hostname", "nchar(128)"),
            ("program_name", "nchar(128)"),
            ("cmd", "nchar(26)"),
            ("loginame", "nchar(128)"),
        ],
        rows: processes,
    },
];

fn visible(world: &World, spid: i64) -> bool {
    world.view_server_state || spid == i64::from(world.spid)
}

fn sessions(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let background = BACKGROUND.iter().map(|(spid, _, database)| {
        row![
            *spid,
            world.started,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            "sa",
            "background",
            0,
            0,
            0,
            world.started,
            Value::Null,
            0,
            0,
            0,
            false,
            0,
            *database,
            0,
        ]
    });
    let users = world.sessions.iter().map(|session| {
        let own = session.spid == world.spid;
        row![
            i64::from(session.spid),
            session.since,
            session.host.as_str(),
            session.application.as_str(),
            1,
            "stand-in",
            session.login.as_str(),
            if own { "running" } else { "sleeping" },
            0,
            2,
            0,
            session.since,
            session.since,
            0,
            0,
            0,
            session.spid >= FIRST_USER_SPID,
            0,
            world.database_id(&session.database).unwrap_or(1),
            0,
        ]
    });
    background
        .chain(users)
        .filter(|row| matches!(row[0], Value::Int(spid) if visible(world, spid)))
        .collect()
}

fn requests(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let background = BACKGROUND
        .iter()
        .map(|(spid, command, database)| request(*spid, command, *database, 0.0, 0, world));
    let recoveries = (20..).zip(&world.recoveries).map(|(spid, recovery)| {
        request(
            spid,
            "DB STARTUP",
            recovery.database_id,
            recovery.percent,
            recovery.left_ms,
            world,
        )
    });
    let own = request(
        i64::from(world.spid),
        "SELECT",
        world.database_id(&world.database).unwrap_or(1),
        0.0,
        0,
        world,
    );
    recoveries
        .chain(background)
        .chain([own])
        .filter(|row| matches!(row[0], Value::Int(spid) if visible(world, spid)))
        .collect()
}

fn request(
    spid: i64,
    command: &str,
    database_id: i64,
    percent: f64,
    left_ms: i64,
    world: &World,
) -> Vec<Value> {
    let background = spid < i64::from(FIRST_USER_SPID) && command != "DB STARTUP";
    row![
        spid,
        0,
        world.started,
        if background { "background" } else { "running" },
        command,
        database_id,
        0,
        Value::Null,
        0,
        0,
        percent,
        left_ms,
        0,
        0,
    ]
}

fn processes(world: &World, _: &Place<'_>) -> Vec<Vec<Value>> {
    let process = |spid: i64, database: i64, status: &str, who: [&str; 4], since| {
        let [host, application, command, login] = who;
        row![
            spid,
            0,
            0,
            0,
            "MISCELLANEOUS",
            "",
            database,
            1,
            0,
            0,
            2,
            since,
            since,
            0,
            0,
            status,
            host,
            application,
            command,
            login,
        ]
    };
    let background = BACKGROUND.iter().map(|(spid, command, database)| {
        let who = ["", "", command, "sa"];
        process(*spid, *database, "background", who, world.started)
    });
    let users = world.sessions.iter().map(|session| {
        let database = world.database_id(&session.database).unwrap_or(1);
        let who = [
            session.host.as_str(),
            session.application.as_str(),
            "AWAITING COMMAND",
            session.login.as_str(),
        ];
        let spid = i64::from(session.spid);
        process(spid, database, "sleeping", who, session.since)
    });
    background
        .chain(users)
        .filter(|row| matches!(row[0], Value::Int(spid) if visible(world, spid)))
        .collect()
}
