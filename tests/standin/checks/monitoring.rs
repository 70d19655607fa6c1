//! The views and the dialect of monitoring queries.

use serde_json::json;

use super::support::{Fixture, Sql, error_of, number};
use crate::standin::command::Command;
use crate::standin::messages::SqlError;
use crate::standin::script::{Database, Product, View};

/// Every view, with one that is a function.
const VIEWS: [&str; 19] = [
    "sys.databases",
    "sys.master_files",
    "sys.dm_io_virtual_file_stats(NULL, NULL)",
    "sys.dm_os_performance_counters",
    "sys.dm_os_wait_stats",
    "sys.dm_os_schedulers",
    "sys.dm_os_process_memory",
    "sys.dm_os_sys_memory",
    "sys.dm_os_sys_info",
    "sys.dm_exec_sessions",
    "sys.dm_exec_requests",
    "sys.sysprocesses",
    "sys.dm_tran_version_store_space_usage",
    "tempdb.sys.dm_db_file_space_usage",
    "msdb.dbo.backupset",
    "msdb.dbo.sysjobs",
    "msdb.dbo.sysjobservers",
    "orders.sys.tables",
    "orders.sys.external_streaming_jobs",
];

/// A stand-in with a database of its own.
async fn fixture() -> Fixture {
    let fixture = Fixture::healthy().await;
    let database = Database {
        data_retention: true,
        ..Database::online("orders")
    };
    command(&fixture, Command::SetDatabase { database }).await;
    fixture
}

async fn command(fixture: &Fixture, command: Command) {
    fixture.engine.command(command).await.unwrap();
}

/// Returns all rows of all result sets, the cells of a row as text with bars between them.
async fn table(sql: &mut Sql, query: &str) -> Vec<String> {
    let sets = sql.simple_query(query).await.unwrap().into_results().await;
    let rows = sets.unwrap_or_else(|error| panic!("{query}: {error}"));
    let cell = |data: &tiberius::ColumnData<'_>| match data {
        tiberius::ColumnData::U8(Some(n)) => n.to_string(),
        tiberius::ColumnData::I16(Some(n)) => n.to_string(),
        tiberius::ColumnData::I32(Some(n)) => n.to_string(),
        tiberius::ColumnData::I64(Some(n)) => n.to_string(),
        tiberius::ColumnData::F64(Some(n)) => n.to_string(),
        tiberius::ColumnData::Bit(Some(bit)) => bit.to_string(),
        tiberius::ColumnData::String(Some(text)) => text.to_string(),
        tiberius::ColumnData::Numeric(Some(number)) => number.value().to_string(),
        tiberius::ColumnData::Guid(Some(guid)) => guid.to_string(),
        other => format!("{other:?}"),
    };
    rows.iter()
        .flatten()
        .map(|row| {
            let cells: Vec<_> = row.cells().map(|(_, data)| cell(data)).collect();
            cells.join("|")
        })
        .collect()
}

#[tokio::test]
async fn every_view_has_rows_of_its_types() {
    let fixture = fixture().await;
    let mut sql = fixture.connect().await;
    for view in VIEWS {
        let rows = table(&mut sql, &format!("SELECT * FROM {view}")).await;
        assert!(!rows.is_empty(), "{view}");
    }
    let query = "SELECT counter_name FROM sys.dm_os_performance_counters WHERE counter_name = 'Batch Requests/sec'";
    let rows = table(&mut sql, query).await;
    assert_eq!(rows, [format!("{:128}", "Batch Requests/sec")]);
    let query = "SELECT type, backup_size FROM msdb.dbo.backupset WHERE database_name = 'orders'";
    assert_eq!(table(&mut sql, query).await, ["D|4194304"]);
    let query = "SELECT job_id FROM msdb.dbo.sysjobs WHERE name LIKE 'nightly%'";
    assert_eq!(
        table(&mut sql, query).await,
        ["00000000-0000-0000-0000-000000000002"]
    );
}

#[tokio::test]
async fn queries_group_join_and_compute() {
    let fixture = fixture().await;
    let mut sql = fixture.connect().await;
    for (query, rows) in [
        (
            "SELECT type_desc, COUNT(*) AS files, SUM(size) * 8 AS kb FROM sys.master_files GROUP BY type_desc \
             HAVING COUNT(*) > 1 ORDER BY kb DESC",
            &["ROWS|5|40960", "LOG|5|10240"][..],
        ),
        (
            "SELECT d.name, f.name, s.num_of_reads FROM sys.databases AS d \
             JOIN sys.master_files f ON f.database_id = d.database_id AND f.type = 0 \
             INNER JOIN sys.dm_io_virtual_file_stats(NULL, NULL) s ON s.database_id = f.database_id \
             AND s.file_id = f.file_id WHERE d.name IN ('orders', 'msdb') ORDER BY d.name",
            &["msdb|MSDBData|40", "orders|orders|40"],
        ),
        (
            "SELECT d.name, b.type FROM sys.databases d LEFT OUTER JOIN msdb.dbo.backupset b \
             ON b.database_name = d.name WHERE d.database_id IN (2, 5) ORDER BY d.database_id",
            &["tempdb|String(None)", "orders|D"],
        ),
        (
            "SELECT CASE WHEN 1 = 2 THEN 'a' WHEN NULL = NULL THEN 'b' ELSE 'c' END, CASE 2 WHEN 2 THEN 7 END, \
             -3 + 2 * (4 - 1) % 4, 7 / 2, 7 / 2.0, 'x' + N'y'",
            &["c|7|-1|3|3.5|xy"],
        ),
        (
            "SELECT name FROM sys.databases WHERE NOT (name LIKE 'm%' OR name = 'tempdb') AND database_id BETWEEN 1 AND 9",
            &["orders"],
        ),
        (
            "SELECT COUNT(*) FROM sys.databases WHERE database_id IN (SELECT database_id FROM sys.master_files WHERE \
             name = 'orders_log') AND EXISTS (SELECT 1 FROM sys.databases)",
            &["1"],
        ),
        (
            "SELECT MAX(x.id) FROM (SELECT database_id AS id FROM sys.databases) AS x UNION ALL SELECT 0",
            &["5", "0"],
        ),
        (
            "SELECT DISTINCT recovery_model_desc FROM sys.databases",
            &["SIMPLE"],
        ),
        (
            "SELECT DATEDIFF(second, '20260101', '2026-01-01 00:01:05'), DATEDIFF_BIG(second, '19700101', '19700102'), \
             TRY_CAST('x' AS int), QUOTENAME('a]b'), QUOTENAME('it''s', ''''), RTRIM('a ') + '.', HAS_DBACCESS('orders'), \
             HAS_DBACCESS('none')",
            &["65|86400|I32(None)|[a]]b]|'it''s'|a.|1|I32(None)"],
        ),
        (
            "SELECT SUM(size), COUNT(name), MIN(name) FROM sys.master_files WHERE 1 = 0",
            &["I32(None)|0|String(None)"],
        ),
    ] {
        assert_eq!(table(&mut sql, query).await, rows, "{query}");
    }
    assert_eq!(error_of(&mut sql, "SELECT 1 / 0").await, Some(8134));
    assert_eq!(error_of(&mut sql, "SELECT 1 WHERE 1").await, Some(4145));
    assert_eq!(error_of(&mut sql, "SELECT FORMAT(1, 'N')").await, Some(195));
}

#[tokio::test]
async fn one_batch_visits_every_database() {
    let fixture = fixture().await;
    command(&fixture, Command::ManyDatabases { count: 50 }).await;
    let mut sql = fixture.connect().await;
    let names = "SELECT N'' + name AS name FROM sys.databases WHERE database_id > 4 AND HAS_DBACCESS(name) = 1";
    assert_eq!(table(&mut sql, names).await.len(), 50);
    let each = "N'SELECT COUNT(*) FROM ' + QUOTENAME(name) + N'.sys.tables'";
    let aggregated = format!(
        "DECLARE @text nvarchar(max) = (SELECT STRING_AGG(CAST({each} AS nvarchar(max)), N'; ') FROM sys.databases \
         WHERE database_id > 4); IF @text IS NOT NULL EXEC sp_executesql @text"
    );
    let gathered = format!(
        "DECLARE @text nvarchar(max) = N''; SELECT @text = @text + {each} + N'; ' FROM sys.databases WHERE database_id > 4 \
         EXEC (@text)"
    );
    for batch in [aggregated, gathered] {
        assert_eq!(table(&mut sql, &batch).await, ["2"; 50], "{batch}");
    }
    let requests = fixture
        .engine
        .statistics()
        .await
        .unwrap()
        .requests_of("checks");
    assert_eq!(requests.batches, 3);
    assert!(requests.busy_us > 0 && requests.bytes > 0);
}

#[tokio::test]
async fn variables_branches_and_caught_errors() {
    let fixture = fixture().await;
    let mut sql = fixture.connect().await;
    for (batch, rows) in [
        (
            "DECLARE @a int = 2, @b nvarchar(10); SET @a = @a + 1; SELECT @a, ISNULL(@b, 'none')",
            &["3|none"][..],
        ),
        (
            "IF EXISTS (SELECT 1 FROM sys.databases WHERE name = 'nobody') SELECT 1 ELSE BEGIN SELECT 2; SELECT 3 END",
            &["2", "3"],
        ),
        (
            "BEGIN TRY SELECT 1; EXEC sp_executesql N'SELECT x FROM nowhere.sys.tables' END TRY \
             BEGIN CATCH SELECT 99 END CATCH; SELECT 5",
            &["1", "99", "5"],
        ),
        (
            "EXEC sp_executesql N'USE msdb; SELECT DB_NAME()'; SELECT DB_NAME()",
            &["msdb", "master"],
        ),
        (
            "IF OBJECT_ID('sys.dm_os_wait_stats') IS NOT NULL SELECT 1",
            &["1"],
        ),
    ] {
        assert_eq!(table(&mut sql, batch).await, rows, "{batch}");
    }
    assert_eq!(error_of(&mut sql, "SELECT @nothing").await, Some(137));
    assert_eq!(
        error_of(&mut sql, "IF 1 = 1 BEGIN SELECT 1").await,
        Some(102)
    );
}

#[tokio::test]
async fn a_script_changes_rows_and_refuses_views() {
    let fixture = fixture().await;
    let mut sql = fixture.connect().await;
    let view: View = serde_json::from_value(json!({
        "rows": [
            {"session_id": 51, "blocking_session_id": 60, "wait_time": 5},
            {"session_id": 52, "blocking_session_id": 51},
        ],
        "patches": [{"of": {"session_id": 51}, "set": {"command": "UPDATE"}}],
    }))
    .unwrap();
    let name = "sys.dm_exec_requests".to_owned();
    command(&fixture, Command::SetView { name, view }).await;
    let query = "SELECT session_id, blocking_session_id, command FROM sys.dm_exec_requests";
    assert_eq!(
        table(&mut sql, query).await,
        ["51|60|UPDATE", "52|51|String(None)"]
    );
    for (number, name, query) in [
        (
            229,
            "msdb.dbo.backupset",
            "SELECT COUNT(*) FROM msdb.dbo.backupset",
        ),
        (
            208,
            "orders.sys.tables",
            "SELECT COUNT(*) FROM orders.sys.tables",
        ),
        (
            300,
            "sys.master_files",
            "SELECT COUNT(*) FROM master.sys.master_files",
        ),
    ] {
        let view = View {
            error: Some(SqlError::new(number)),
            ..View::default()
        };
        let name = name.to_owned();
        command(
            &fixture,
            Command::SetView {
                name: name.clone(),
                view,
            },
        )
        .await;
        assert_eq!(error_of(&mut sql, query).await, u32::try_from(number).ok());
        command(&fixture, Command::ForgetView { name }).await;
        assert!(number > 0 && self::number(&mut sql, query).await > 0);
    }
}

#[tokio::test]
async fn permissions_and_products_differ() {
    let fixture = fixture().await;
    command(&fixture, Command::ViewServerState { granted: false }).await;
    let mut sql = fixture.connect().await;
    let _other = fixture.connect().await;
    for view in [
        "sys.dm_exec_sessions",
        "sys.sysprocesses",
        "sys.dm_exec_requests",
    ] {
        assert_eq!(
            number(&mut sql, &format!("SELECT COUNT(*) FROM {view}")).await,
            1,
            "{view}"
        );
    }
    let query = "SELECT COUNT(*) FROM sys.dm_os_wait_stats";
    assert_eq!(error_of(&mut sql, query).await, Some(300));
    command(&fixture, Command::ViewServerState { granted: true }).await;
    let query = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE is_user_process = 1 AND program_name = 'checks'";
    assert_eq!(number(&mut sql, query).await, 2);
    let retention = "SELECT COUNT(*) FROM sys.databases WHERE is_data_retention_enabled = 1";
    assert_eq!(number(&mut sql, retention).await, 1);
    let product = Product {
        engine_edition: 3,
        ..Product::default()
    };
    command(&fixture, Command::Product { product }).await;
    assert_eq!(error_of(&mut sql, retention).await, Some(207));
    let jobs = "SELECT status FROM orders.sys.external_streaming_jobs";
    assert_eq!(error_of(&mut sql, jobs).await, Some(208));
    let database = Database {
        accessible: false,
        ..Database::online("orders")
    };
    command(&fixture, Command::SetDatabase { database }).await;
    assert_eq!(
        error_of(&mut sql, "SELECT name FROM orders.sys.tables").await,
        Some(916)
    );
    assert_eq!(number(&mut sql, "SELECT HAS_DBACCESS('orders')").await, 0);
}

#[tokio::test]
async fn counters_grow_with_what_is_done() {
    let fixture = fixture().await;
    let mut sql = fixture.connect().await;
    let counter = |name: &str| {
        format!(
            "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = '{name}'"
        )
    };
    let (batches, logins) = (counter("Batch Requests/sec"), counter("Logins/sec"));
    let before = number(&mut sql, &batches).await;
    assert_eq!(number(&mut sql, &batches).await, before + 1);
    let before = number(&mut sql, &logins).await;
    let _other = fixture.connect().await;
    assert!(number(&mut sql, &logins).await >= before);
    let writes =
        "SELECT SUM(num_of_bytes_written) FROM sys.dm_io_virtual_file_stats(DB_ID('master'), 1)";
    let before = number(&mut sql, writes).await;
    let insert = "CREATE TABLE dbo.journal (id bigint, epoch bigint); INSERT INTO dbo.journal (id, epoch) VALUES (1, 1)";
    assert!(table(&mut sql, insert).await.is_empty());
    assert!(number(&mut sql, writes).await > before);
}
