//! Logins: refusals, phases. Their encryption is checked in tests/clients/check.py, by clients of other makers.

use tiberius::{AuthMethod, error::Error};

use super::support::{Fixture, connect, number, until};
use crate::standin::command::{Command, Reply};
use crate::standin::messages::SqlError;
use crate::standin::script::{
    Accept, Database, DatabaseState, LoginAnswer, Phase, Script, StartPhase,
};

async fn refusal(fixture: &Fixture) -> Option<u32> {
    connect(fixture.config())
        .await
        .err()
        .and_then(|error| error.code())
}

#[tokio::test]
async fn a_wrong_password_is_18456_and_logged_with_its_state() {
    let fixture = Fixture::healthy().await;
    let mut config = fixture.config();
    config.authentication(AuthMethod::sql_server("sa", "wrong"));
    let error = connect(config).await.unwrap_err();
    let Error::Server(token) = error else {
        panic!("{error}")
    };
    assert_eq!(
        (token.code(), token.state(), token.class()),
        (18_456, 1, 14)
    );
    assert_eq!(
        fixture
            .engine
            .statistics()
            .await
            .unwrap()
            .refused_with(18_456),
        1
    );
}

#[tokio::test]
async fn scripted_logins_answer_with_any_number() {
    let fixture = Fixture::healthy().await;
    for number in [18_470, 18_487, 18_488, 17_809, 17_300, 4242] {
        let login = LoginAnswer::Errors(vec![SqlError::new(number), SqlError::new(18_456)]);
        fixture
            .engine
            .command(Command::Login { login })
            .await
            .unwrap();
        assert_eq!(refusal(&fixture).await, u32::try_from(number).ok());
    }
    fixture.engine.command(Command::Reset).await.unwrap();
    fixture
        .engine
        .command(Command::Paused { paused: true })
        .await
        .unwrap();
    assert_eq!(refusal(&fixture).await, Some(17_142));
}

#[tokio::test]
async fn a_database_that_cannot_open_is_4060_then_18456() {
    let fixture = Fixture::healthy().await;
    let database = Database {
        state: DatabaseState::Suspect,
        ..Database::online("shop")
    };
    fixture
        .engine
        .command(Command::SetDatabase { database })
        .await
        .unwrap();
    let mut config = fixture.config();
    config.database("shop");
    let error = connect(config).await.unwrap_err();
    assert_eq!(error.code(), Some(4060));
}

#[tokio::test]
async fn the_start_goes_through_its_phases() {
    let phases = [
        Phase::Refusing,
        Phase::ClosingAtAccept,
        Phase::NotReady,
        Phase::Upgrading {
            administrators: false,
        },
        Phase::Recovering {
            databases: vec!["shop".to_owned()],
            percent: Some(40.0),
        },
    ];
    let start = phases.map(|phase| StartPhase { phase, ms: None }).to_vec();
    let script = Script {
        start,
        ..Script::default()
    };
    let fixture = Fixture::start(|options| options.script(script)).await;
    let next = || async { fixture.engine.command(Command::NextPhase).await.unwrap() };

    let refused = connect(fixture.config()).await.unwrap_err();
    assert!(
        matches!(refused, Error::Io { kind, .. } if kind == std::io::ErrorKind::ConnectionRefused)
    );
    assert!(!fixture.engine.status().await.unwrap().listening);
    next().await;
    assert_eq!(connect(fixture.config()).await.unwrap_err().code(), None);
    next().await;
    assert_eq!(refusal(&fixture).await, Some(17_187));
    next().await;
    assert_eq!(refusal(&fixture).await, Some(18_401));
    next().await;
    let mut sql = fixture.connect().await;
    let state = "SELECT CAST(state AS int) FROM sys.databases WHERE name = 'shop'";
    assert_eq!(number(&mut sql, state).await, 2);
    let percent = "SELECT CAST(percent_complete AS int) FROM sys.dm_exec_requests WHERE command = 'DB STARTUP'";
    assert_eq!(number(&mut sql, percent).await, 40);
    next().await;
    assert_eq!(fixture.engine.status().await.unwrap().phase, Phase::Ready);
}

#[tokio::test]
async fn what_happens_before_the_login_can_be_scripted() {
    let fixture = Fixture::healthy().await;
    for accept in [Accept::Refuse, Accept::Close, Accept::Reset] {
        fixture
            .engine
            .command(Command::Accept { accept })
            .await
            .unwrap();
        assert!(connect(fixture.config()).await.is_err(), "{accept:?}");
    }
    fixture
        .engine
        .command(Command::Accept {
            accept: Accept::Hang,
        })
        .await
        .unwrap();
    let waiting = tokio::spawn(connect(fixture.config()));
    until(async || fixture.engine.status().await.unwrap().connections > 0).await;
    assert!(!waiting.is_finished());
    fixture
        .engine
        .command(Command::Accept {
            accept: Accept::Answer,
        })
        .await
        .unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_script_survives_the_control_socket() {
    let fixture = Fixture::healthy().await;
    let script = Script {
        login: LoginAnswer::Errors(vec![SqlError::with_message(18_456, "no")]),
        start: vec![StartPhase {
            phase: Phase::Recovering {
                databases: vec!["a".to_owned()],
                percent: Some(1.5),
            },
            ms: Some(5),
        }],
        ..Script::default()
    };
    let set = Command::SetScript {
        script: Box::new(script.clone()),
    };
    fixture.engine.command(set).await.unwrap();
    let reply = fixture.engine.command(Command::Script).await.unwrap();
    assert_eq!(
        reply,
        Reply::Script {
            script: Box::new(script)
        }
    );
}

#[tokio::test]
async fn recovery_tells_its_progress_and_ends_in_ready() {
    let fixture = Fixture::healthy().await;
    let recovers = async |ms| {
        let phases = vec![StartPhase {
            phase: Phase::Recovering {
                databases: vec!["shop".to_owned()],
                percent: None,
            },
            ms: Some(ms),
        }];
        fixture
            .engine
            .command(Command::StartPhases { phases })
            .await
            .unwrap();
    };
    // An hour, so that there is something to see.
    recovers(3_600_000).await;
    assert!(fixture.engine.status().await.unwrap().percent.is_some());
    recovers(100).await;
    until(async || fixture.engine.status().await.unwrap().phase == Phase::Ready).await;
    until(async || {
        fixture
            .engine
            .errorlog()
            .unwrap()
            .ends_with("No user action is required.\n")
    })
    .await;
    let log = fixture.engine.errorlog().unwrap();
    assert!(log.contains("Recovery of database 'shop' (5) is "), "{log}");
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_hanging_login_leaves_nothing_behind() {
    let fixture = Fixture::healthy().await;
    let login = LoginAnswer::Hang;
    fixture
        .engine
        .command(Command::Login { login })
        .await
        .unwrap();
    let waiting = tokio::spawn(connect(fixture.config()));
    until(async || fixture.engine.status().await.unwrap().connections > 0).await;
    waiting.abort();
    until(async || fixture.engine.status().await.unwrap().connections == 0).await;
}
