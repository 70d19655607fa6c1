//! Results: types, several result sets, the catalogue, the diagnostics stream.

use futures_util::TryStreamExt;
use serde_json::json;
use tiberius::QueryItem;

use super::support::{Fixture, Sql, error_of, number};
use crate::standin::command::Command;
use crate::standin::script::{Answer, Diagnostics};
use crate::standin::sql::Kind;

async fn results(sql: &mut Sql, query: &str) -> Vec<Vec<tiberius::Row>> {
    let stream = sql.simple_query(query).await.unwrap();
    stream.into_results().await.unwrap()
}

/// Two result sets with every type: nullable with a row of values and a row of NULL, then not nullable.
fn every_type(long: &str) -> Answer {
    let columns = [
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "real",
        "float",
        "datetime",
        "nvarchar(20)",
        "varchar(20)",
        "nvarchar(max)",
        "varchar(max)",
    ]
    .map(|name| json!({"name": name, "type": name}));
    let mut fixed = columns.clone();
    for column in &mut fixed {
        column["nullable"] = json!(false);
    }
    let row = json!([
        true,
        255,
        -32768,
        -2147483648_i64,
        i64::MIN,
        0.5,
        0.1,
        "2026-11-23 04:51:00.123",
        "grün",
        "gr\u{fc}n",
        long,
        long
    ]);
    let nulls = json!(vec![serde_json::Value::Null; columns.len()]);
    serde_json::from_value(json!({
        "contains": "every type",
        "results": [
            {"columns": columns, "rows": [row, nulls]},
            {"columns": fixed, "rows": [row]},
        ],
    }))
    .unwrap()
}

#[tokio::test]
async fn every_type_arrives_as_it_was_sent() {
    let fixture = Fixture::healthy().await;
    let long = "ü".repeat(9000);
    let answer = every_type(&long);
    fixture
        .engine
        .command(Command::Answers {
            answers: vec![answer],
        })
        .await
        .unwrap();
    let mut sql = fixture.connect().await;
    let results = results(&mut sql, "SELECT every type").await;
    assert_eq!(results.len(), 2);
    for row in [&results[0][0], &results[1][0]] {
        assert_eq!(row.get::<bool, _>(0), Some(true));
        assert_eq!(row.get::<u8, _>(1), Some(255));
        assert_eq!(row.get::<i16, _>(2), Some(i16::MIN));
        assert_eq!(row.get::<i32, _>(3), Some(i32::MIN));
        assert_eq!(row.get::<i64, _>(4), Some(i64::MIN));
        assert_eq!(row.get::<f32, _>(5), Some(0.5));
        assert_eq!(row.get::<f64, _>(6), Some(0.1));
        assert_eq!(row.get::<&str, _>(8), Some("grün"));
        assert_eq!(row.get::<&str, _>(9), Some("grün"));
        assert_eq!(row.get::<&str, _>(10), Some(long.as_str()));
        assert_eq!(row.get::<&str, _>(11), Some(long.as_str()));
    }
    assert!(
        results[0][1]
            .cells()
            .all(|(_, cell)| format!("{cell:?}").contains("None"))
    );
}

#[tokio::test]
async fn statements_of_a_batch_answer_one_by_one() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let query = "SET NOCOUNT ON; SELECT 1 AS one; /* two */ SELECT @@SPID, DB_NAME() -- three\nUSE msdb; \
                 SELECT SERVERPROPERTY('EngineEdition'), CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) v";
    let results = results(&mut sql, query).await;
    let rows: Vec<_> = results.iter().filter(|set| !set.is_empty()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0][0].columns()[0].name(), "one");
    assert_eq!(rows[1][0].get::<&str, _>(1), Some("master"));
    assert_eq!(rows[2][0].get::<&str, _>("v"), Some("15.0.2000.1559"));
}

#[tokio::test]
async fn the_catalogue_gives_the_columns_asked_for() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let query = "select d.state_desc as s, name, [database_id] from master.sys.databases AS d \
                 where d.name in (N'MSDB', 'master') and state = 0 order by name desc";
    let sets = results(&mut sql, query).await;
    let names: Vec<_> = sets[0]
        .iter()
        .map(|row| row.get::<&str, _>("name").unwrap())
        .collect();
    assert_eq!(names, ["msdb", "master"]);
    assert_eq!(sets[0][0].get::<&str, _>(0), Some("ONLINE"));
    assert_eq!(sets[0][0].get::<i32, _>(2), Some(4));
    assert_eq!(
        error_of(&mut sql, "SELECT nonsense FROM sys.databases").await,
        Some(207)
    );
    assert_eq!(
        error_of(&mut sql, "SELECT 1 FROM sys.nothing").await,
        Some(208)
    );
    assert_eq!(error_of(&mut sql, "FROBNICATE").await, Some(102));
    assert_eq!(
        error_of(&mut sql, "EXEC dbo.nothing 1, 'x'").await,
        Some(2812)
    );
    assert_eq!(
        number(&mut sql, "SELECT COUNT(*) FROM sys.databases").await,
        4
    );
    let counted = fixture.engine.statistics().await.unwrap();
    assert_eq!(counted.statements_by_kind(Kind::Databases), 3);
    assert_eq!(counted.statements_of("checks"), 6);
}

#[tokio::test]
async fn parameters_reach_the_statement() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let stream = sql
        .query(
            "SELECT name FROM sys.databases WHERE name = @P1 AND database_id = @P2",
            &[&"tempdb", &2_i32],
        )
        .await
        .unwrap();
    let row = stream.into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<&str, _>(0), Some("tempdb"));
}

#[tokio::test]
async fn a_missing_permission_is_300_then_297() {
    let fixture = Fixture::healthy().await;
    fixture
        .engine
        .command(Command::ViewServerState { granted: false })
        .await
        .unwrap();
    let mut sql = fixture.connect().await;
    let query = "SELECT sqlserver_start_time FROM sys.dm_os_sys_info";
    assert_eq!(error_of(&mut sql, query).await, Some(300));
    assert_eq!(
        error_of(&mut sql, "EXEC sp_server_diagnostics").await,
        Some(300)
    );
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
}

#[tokio::test]
async fn diagnostics_stream_a_result_set_each_interval() {
    let fixture = Fixture::healthy().await;
    let mut diagnostics = Diagnostics {
        time_scale: 0.001,
        ..Diagnostics::default()
    };
    diagnostics.states.insert("system".to_owned(), 3);
    diagnostics
        .attributes
        .entry("system".to_owned())
        .or_default()
        .insert("intervalDumpRequests".to_owned(), "101".to_owned());
    fixture
        .engine
        .command(Command::Diagnostics { diagnostics })
        .await
        .unwrap();
    let mut sql = fixture.connect().await;
    let query = "EXEC sp_server_diagnostics @repeat_interval = 10";
    let mut stream = sql.simple_query(query).await.unwrap();
    let mut sets = 0;
    let mut rows = Vec::new();
    while sets < 4 {
        match stream.try_next().await.unwrap().unwrap() {
            QueryItem::Metadata(_) => sets += 1,
            QueryItem::Row(row) => rows.push(row),
        }
    }
    drop(stream);
    assert_eq!(rows.len(), 15);
    assert_eq!(rows[0].get::<&str, _>("component_name"), Some("system"));
    assert_eq!(rows[0].get::<&str, _>("state_desc"), Some("error"));
    let data = rows[0].get::<&str, _>("data").unwrap();
    assert!(data.contains("intervalDumpRequests=\"101\""), "{data}");
    sql.cancel_query().await.unwrap();
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
    assert_eq!(fixture.engine.statistics().await.unwrap().attentions, 1);
    let one_shot = results(&mut sql, "EXEC sp_server_diagnostics").await;
    assert_eq!(one_shot[0].len(), 5);
    assert_eq!(
        error_of(&mut sql, "EXEC sp_server_diagnostics 3").await,
        Some(17_072)
    );
}
