//! The two processes: start, signals, exit, zombies, restarts.

use rustix::process::Signal;

use super::support::{Fixture, number};
use crate::standin::command::Command;

#[tokio::test]
async fn a_journal_row_survives_sigkill() {
    let mut fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let create =
        "IF OBJECT_ID('dbo.journal') IS NULL CREATE TABLE dbo.journal (id bigint, epoch bigint)";
    sql.simple_query(create)
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    for id in 1..=20 {
        let insert = format!("INSERT INTO dbo.journal (id, epoch) VALUES ({id}, 7)");
        sql.simple_query(insert)
            .await
            .unwrap()
            .into_results()
            .await
            .unwrap();
    }
    fixture.engine.signal_child(Signal::KILL).unwrap();
    assert_eq!(fixture.engine.wait().await.unwrap().code(), Some(128 + 9));
    fixture.engine.restart().await.unwrap();
    let mut sql = fixture.connect().await;
    assert_eq!(
        number(&mut sql, "SELECT COUNT(*) FROM dbo.journal").await,
        20
    );
    assert_eq!(
        number(&mut sql, "SELECT MAX(id) FROM dbo.journal WHERE epoch = 7").await,
        20
    );
}

#[tokio::test]
async fn sigterm_to_either_process_is_a_clean_shutdown() {
    for to_parent in [true, false] {
        let mut fixture = Fixture::healthy().await;
        if to_parent {
            fixture.engine.signal_parent(Signal::TERM).unwrap();
        } else {
            fixture.engine.signal_child(Signal::TERM).unwrap();
        }
        assert_eq!(fixture.engine.wait().await.unwrap().code(), Some(0));
        let log = fixture.engine.errorlog().unwrap();
        assert!(
            log.contains("terminating in response to a 'stop' request"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn the_parent_exits_as_the_engine_did() {
    for (command, code) in [
        (Command::Exit { status: 3 }, 3),
        (Command::Die { signal: 11 }, 128 + 11),
        (Command::Die { signal: 6 }, 128 + 6),
    ] {
        let mut fixture = Fixture::healthy().await;
        fixture.engine.command(command).await.unwrap();
        assert_eq!(fixture.engine.wait().await.unwrap().code(), Some(code));
    }
}
