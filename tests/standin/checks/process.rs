//! The two processes: start, signals, exit, zombies, restarts.

use rustix::process::Signal;

use super::support::{Fixture, connect, error_of, number, until};
use crate::standin::command::Command;
use crate::standin::handle::{ScratchDirectory, StandIn, StandInOptions, built_binary};
use crate::standin::script::Phase;
use crate::standin::sql::Kind;

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
    assert_eq!(fixture.exit_code().await, Some(128 + 9));
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
async fn a_journal_row_has_the_epoch_of_its_writer_unless_the_client_gives_one() {
    let fixture = Fixture::start(|mut options| {
        let epoch = ("SQL_EDGE_SUPERVISOR_EPOCH".into(), "41".into());
        options.environment.push(epoch);
        options
    })
    .await;
    let mut sql = fixture.connect().await;
    let batch = "CREATE TABLE dbo.journal (id bigint, epoch bigint); \
                 INSERT INTO dbo.journal (id) VALUES (1), (2); \
                 INSERT INTO dbo.journal (id, epoch) VALUES (3, 7); \
                 INSERT INTO dbo.journal (epoch, id) VALUES (8, 4)";
    sql.simple_query(batch)
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    for (epoch, id) in [(41, 2), (7, 3), (8, 4)] {
        let last = format!("SELECT MAX(id) FROM dbo.journal WHERE epoch = {epoch}");
        assert_eq!(number(&mut sql, &last).await, id);
    }
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
        assert_eq!(fixture.exit_code().await, Some(0));
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
        assert_eq!(fixture.exit_code().await, Some(code));
    }
}

#[tokio::test]
async fn a_zombie_stays_until_its_parent_is_told_to_end() {
    let mut fixture = Fixture::healthy().await;
    let pid = i32::try_from(fixture.engine.child_pid()).unwrap();
    fixture.engine.command(Command::Zombie).await.unwrap();
    let state = || {
        procfs::process::Process::new(pid)
            .unwrap()
            .stat()
            .unwrap()
            .state
    };
    until(async || state() == 'Z').await;
    fixture.engine.signal_parent(Signal::TERM).unwrap();
    assert_eq!(fixture.exit_code().await, Some(0));
}

#[tokio::test]
async fn sigterm_can_be_ignored() {
    let fixture = Fixture::healthy().await;
    fixture
        .engine
        .command(Command::IgnoreSigterm { ignore: true })
        .await
        .unwrap();
    fixture.engine.signal_child(Signal::TERM).unwrap();
    let mut sql = fixture.connect().await;
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
}

#[tokio::test]
async fn while_stopping_logins_get_6005_with_18451_and_requests_6005() {
    let mut fixture = Fixture::healthy().await;
    fixture
        .engine
        .command(Command::ShutdownMs { ms: 600_000 })
        .await
        .unwrap();
    let mut sql = fixture.connect().await;
    let mut busy = fixture.connect().await;
    let busy = tokio::spawn(async move { error_of(&mut busy, "WAITFOR DELAY '01:00:00'").await });
    until(async || fixture.counted(Kind::WaitFor).await > 0).await;
    fixture.engine.signal_parent(Signal::TERM).unwrap();
    assert_eq!(busy.await.unwrap(), Some(6005));
    until(async || fixture.engine.status().await.unwrap().phase == Phase::Stopping).await;
    assert_eq!(error_of(&mut sql, "SELECT 1").await, Some(6005));
    let refused = connect(fixture.config()).await.unwrap_err();
    assert_eq!(refused.code(), Some(6005), "the first of the two");
    // 17148, and then the refusal, which is written behind the answer.
    let path = fixture.engine.data_dir().join("log/errorlog");
    until(async || {
        let log = std::fs::read_to_string(&path).unwrap();
        log.find("'stop' request")
            .is_some_and(|stop| log[stop..].contains("Error: 18451"))
    })
    .await;
    fixture
        .engine
        .command(Command::ShutdownMs { ms: 0 })
        .await
        .unwrap();
    assert_eq!(fixture.exit_code().await, Some(0));
}

#[tokio::test]
async fn both_processes_are_called_sqlservr_and_die_together() {
    let mut fixture = Fixture::healthy().await;
    let process = |pid: u32| procfs::process::Process::new(i32::try_from(pid).unwrap());
    let child = process(fixture.engine.child_pid()).unwrap().stat().unwrap();
    let parent = process(fixture.engine.parent_pid())
        .unwrap()
        .stat()
        .unwrap();
    assert_eq!(
        (child.comm.as_str(), parent.comm.as_str()),
        ("sqlservr", "sqlservr")
    );
    assert_eq!(child.ppid, parent.pid);
    fixture.engine.signal_parent(Signal::KILL).unwrap();
    fixture.exit_code().await;
    // Gone, or a zombie where nobody reaps orphans.
    let state = || process(fixture.engine.child_pid()).and_then(|child| child.stat());
    until(async || state().map_or(true, |stat| stat.state == 'Z')).await;
}

#[tokio::test]
async fn the_errorlog_rotates_and_the_instance_keeps_its_identity() {
    let mut fixture = Fixture::healthy().await;
    let identity = fixture.engine.data_dir().join(".system/instance_id");
    let before = std::fs::read_to_string(&identity).unwrap();
    fixture.engine.restart().await.unwrap();
    assert_eq!(std::fs::read_to_string(&identity).unwrap(), before);
    assert!(fixture.engine.data_dir().join("log/errorlog.1").exists());
    assert!(fixture.engine.data_dir().join("data/master.mdf").exists());
}

#[tokio::test]
async fn a_torn_record_is_dropped_at_the_next_start() {
    let mut fixture = Fixture::healthy().await;
    let mut sql = fixture.connect().await;
    let rows =
        "CREATE TABLE journal (id bigint, epoch bigint); INSERT journal VALUES (1, 1), (2, 1)";
    sql.simple_query(rows)
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    fixture.engine.kill();
    let path = fixture.engine.data_dir().join("data/journal.mdf");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    fixture.engine.restart().await.unwrap();
    assert_eq!(fixture.engine.status().await.unwrap().journal_rows, 1);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_reported_as_the_engine_does() {
    let directory = ScratchDirectory::new().unwrap();
    let options = StandInOptions::new(built_binary().unwrap(), directory.path());
    std::fs::write(options.data_dir(), "not a directory").unwrap();
    let error = format!("{:#}", StandIn::start(options).await.unwrap_err());
    assert!(
        error.contains("The system directory [/.system] could not be created"),
        "{error}"
    );
}
