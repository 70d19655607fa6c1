//! The administrator connection, and starts that fail.

use tiberius::{AuthMethod, Config};

use super::support::{Fixture, connect, number, until};
use crate::standin::command::Command;
use crate::standin::failure::FailStart;
use crate::standin::handle::{ScratchDirectory, StandIn, StandInOptions, built_binary};
use crate::standin::messages::SqlError;
use crate::standin::script::{Dac, Effect, Fault, LoginAnswer, Match};

async fn with_dac() -> Fixture {
    Fixture::start(|options| options.argument("--dac-port").argument("0")).await
}

fn administrator(fixture: &Fixture) -> Config {
    let mut config = fixture.config();
    config.port(fixture.engine.dac_port());
    config
}

#[tokio::test]
async fn the_administrator_is_answered_while_everybody_else_hangs() {
    let fixture = with_dac().await;
    let hang = Fault {
        on: Match::default(),
        effect: Effect::Hang,
        times: None,
    };
    let login = LoginAnswer::Errors(vec![SqlError::new(17_142)]);
    for command in [
        Command::Faults { faults: vec![hang] },
        Command::Login { login },
    ] {
        fixture.engine.command(command).await.unwrap();
    }
    let mut sql = connect(administrator(&fixture)).await.unwrap();
    assert_eq!(number(&mut sql, "SELECT 1").await, 1);
}

#[tokio::test]
async fn there_is_one_at_a_time() {
    let fixture = with_dac().await;
    let sql = connect(administrator(&fixture)).await.unwrap();
    assert!(connect(administrator(&fixture)).await.is_err());
    drop(sql);
    until(async || connect(administrator(&fixture)).await.is_ok()).await;
    assert!(fixture.engine.statistics().await.unwrap().administrators >= 3);
}

#[tokio::test]
async fn it_is_for_the_administrator_only() {
    let fixture = with_dac().await;
    let login = Command::SetLogin {
        user: "monitor".to_owned(),
        password: "Stand-in_2".to_owned(),
    };
    fixture.engine.command(login).await.unwrap();
    let mut config = administrator(&fixture);
    config.authentication(AuthMethod::sql_server("monitor", "Stand-in_2"));
    let refused = connect(config).await.err().unwrap();
    assert_eq!(refused.code(), Some(18_456));
}

#[tokio::test]
async fn its_port_can_be_closed() {
    let fixture = with_dac().await;
    let refuse = Command::Dac { dac: Dac::Refuse };
    fixture.engine.command(refuse).await.unwrap();
    until(async || connect(administrator(&fixture)).await.is_err()).await;
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_exits_with_1() {
    for name in FailStart::NAMES {
        let scratch = ScratchDirectory::new().unwrap();
        let options = StandInOptions::new(built_binary().unwrap(), scratch.path());
        let options = options.argument("--fail-start").argument(name);
        let output = options.output();
        assert!(StandIn::start(options).await.is_err());
        let said = std::fs::read_to_string(output).unwrap();
        let word = match name {
            "evaluation" => "The evaluation period has expired",
            "eula" => "(EULA) must be accepted",
            "password" => "Unable to set system administrator password",
            "memory" => "at least 2000 megabytes",
            "system-dir" => "[/.system] could not be created",
            "master" => "Error 5(Access is denied.)",
            "tempdb" => "Could not create tempdb",
            _ => "Error: 17826",
        };
        assert!(said.contains(word), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_running_start_can_be_made_to_fail() {
    let mut fixture = Fixture::healthy().await;
    let fail = Command::FailStart {
        why: FailStart::Master,
    };
    fixture.engine.command(fail).await.unwrap();
    assert_eq!(fixture.exit_code().await, Some(1));
    let log = fixture.engine.errorlog().unwrap();
    assert!(
        log.contains("Error: 17113, Severity: 16, State: 1."),
        "{log}"
    );
}
