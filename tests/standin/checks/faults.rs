//! Scripted faults: errors, hangs, closes, resets, and who is spared.

use std::io::ErrorKind;
use std::time::Duration;

use tiberius::error::Error;

use super::support::{Fixture, error_of, number, until};
use crate::standin::command::Command;
use crate::standin::messages::SqlError;
use crate::standin::script::{Effect, Fault, Load, Match};
use crate::standin::sql::Kind;

fn on(kind: Kind, effect: Effect, times: Option<u32>) -> Command {
    let on = Match {
        kind: Some(kind),
        ..Match::default()
    };
    Command::Faults {
        faults: vec![Fault { on, effect, times }],
    }
}

#[tokio::test]
async fn an_error_comes_as_often_as_scripted_and_only_to_its_kind() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let fault = on(Kind::Ping, Effect::Error(SqlError::new(701)), Some(2));
    fixture.engine.command(fault).await.unwrap();
    assert_eq!(error_of(&mut sql, "SELECT 1").await, Some(701));
    assert_eq!(
        number(&mut sql, "SELECT COUNT(*) FROM sys.databases").await,
        4
    );
    assert_eq!(error_of(&mut sql, "SELECT 1").await, Some(701));
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
}

#[tokio::test]
async fn an_error_of_severity_20_closes_the_connection() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let fault = on(Kind::Ping, Effect::Error(SqlError::new(824)), None);
    fixture.engine.command(fault).await.unwrap();
    assert_eq!(error_of(&mut sql, "SELECT 1").await, Some(824));
    assert_eq!(error_of(&mut sql, "SELECT 1").await, None);
}

#[tokio::test]
async fn a_hang_lasts_until_it_is_healed_and_spares_the_control_socket() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    fixture
        .engine
        .command(on(Kind::Ping, Effect::Hang, None))
        .await
        .unwrap();
    let waiting = tokio::spawn(async move { number(&mut sql, "SELECT 1").await });
    until(async || fixture.counted(Kind::Ping).await > 0).await;
    assert!(!waiting.is_finished());
    fixture
        .engine
        .command(Command::Faults { faults: Vec::new() })
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn close_and_reset_are_told_apart() {
    let fixture = Fixture::healthy().await;
    for (effect, wanted) in [
        (Effect::Close, &[ErrorKind::UnexpectedEof][..]),
        // A reset shows at the next read or at the next write, whichever comes first.
        (
            Effect::Reset,
            &[ErrorKind::ConnectionReset, ErrorKind::BrokenPipe],
        ),
    ] {
        let mut sql = fixture.connect().await;
        fixture
            .engine
            .command(on(Kind::Ping, effect, Some(1)))
            .await
            .unwrap();
        let failed = match sql.simple_query("SELECT 1").await {
            Ok(stream) => stream.into_results().await.map(drop),
            Err(error) => Err(error),
        };
        match failed {
            Err(Error::Io { kind, .. }) => assert!(wanted.contains(&kind), "{kind}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_delay_delays_and_connections_can_be_closed() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let fault = on(Kind::Ping, Effect::Delay { ms: 50 }, Some(1));
    fixture.engine.command(fault).await.unwrap();
    let before = std::time::Instant::now();
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
    assert!(before.elapsed() >= Duration::from_millis(50));
    fixture
        .engine
        .command(Command::CloseConnections { reset: true })
        .await
        .unwrap();
    assert_eq!(error_of(&mut sql, "SELECT 1").await, None);
}

#[tokio::test]
async fn a_waiting_statement_can_be_cancelled() {
    let fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    // The query is dropped unanswered once the server has begun with it.
    tokio::select! {
        _ = sql.simple_query("WAITFOR DELAY '01:00:00'; SELECT 1") => panic!("answered too early"),
        () = until(async || fixture.counted(Kind::WaitFor).await > 0) => {}
    }
    sql.cancel_query().await.unwrap();
    assert_eq!(fixture.engine.statistics().await.unwrap().attentions, 1);
}

#[tokio::test]
async fn memory_grows_and_shrinks_with_the_load() {
    let fixture = Fixture::healthy().await;
    let resident = || {
        let pid = i32::try_from(fixture.engine.child_pid()).unwrap();
        procfs::process::Process::new(pid)
            .unwrap()
            .statm()
            .unwrap()
            .resident
            * 4
            / 1024
    };
    let load = Load {
        memory_mib: 64,
        cpu_threads: 1,
        cpu_percent: 10,
        io_writes_per_second: 10,
    };
    fixture
        .engine
        .command(Command::Load { load })
        .await
        .unwrap();
    until(async || resident() >= 64).await;
    fixture
        .engine
        .command(Command::Load {
            load: Load::default(),
        })
        .await
        .unwrap();
    until(async || resident() < 64).await;
}
