//! The whole of it: a supervisor on a stand-in that starts, hangs, dies, refuses and recovers.

use rustix::process::Signal;
use serde_json::Value;

use crate::shared::alerts::Scrape;
use crate::standin::command::Command;
use crate::standin::messages::SqlError;
use crate::standin::script::{
    Accept, Database, DatabaseState, Diagnostics, Effect, Fault, LoginAnswer, Match, Phase, Script,
    StartPhase,
};
use crate::support::{Scratch, fast, standin, standin_with, supervise, supervisor, unique_name};

#[tokio::test]
async fn a_healthy_engine_is_started_alive_and_ready() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes_all(&["startup", "gate", "ready"]).await;
    for probe in ["/startupz", "/livez", "/readyz", "/gatez", "/healthz"] {
        supervisor.answers(probe, 200).await;
    }
    // The ping alone may have called it ready.
    let status = supervisor
        .status_with(|status| {
            status["process"]["engine"]["pid"].is_number() && status["sql"]["engineEdition"] == 9
        })
        .await;
    assert_eq!(status["phase"], "running");
    let engine = &status["process"]["engine"]["pid"];
    assert_eq!(*engine, standin.child_pid(), "{status:#}");
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_killed_engine_is_named_and_its_successor_is_ready() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    // The runtime takes its time here.
    let more = [("process-missing-after", "1h"), ("zombie-after", "1h")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    supervisor
        .status_with(|status| status["process"]["state"] == "running")
        .await;
    standin.signal_child(Signal::KILL).expect("it runs");
    let evidence = supervisor.finds("ProcessKilled").await;
    assert!(evidence.contains("signal 9"), "{evidence}");
    supervisor.raises("ProcessKilled").await;
    let (status, body) = supervisor.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("ProcessKilled"), "{body}");
    assert_eq!(
        supervisor.get("/livez").await.0,
        200,
        "the runtime restarts it"
    );
    standin.restart().await.expect("it starts again");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn exit_codes_are_told() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    // It may be ready by an answer before its processes were looked at.
    supervisor
        .status_with(|status| status["process"]["state"] == "running")
        .await;
    let exit = Command::Exit { status: 3 };
    standin.command(exit).await.expect("it obeys");
    let status = standin.wait().await.expect("it is reaped");
    assert_eq!(status.code(), Some(3));
    let evidence = supervisor.finds("ProcessExited").await;
    assert!(evidence.contains("exit code 3"), "{evidence}");
    supervisor.raises("ProcessExited").await;
    assert_eq!(supervisor.fails("live").await, "ProcessMissing");
    supervisor.raises("ProcessMissing").await;
}

#[tokio::test]
async fn a_zombie_is_found() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[("zombie-after", "500ms")]).await;
    supervisor.passes("ready").await;
    standin.command(Command::Zombie).await.expect("it obeys");
    supervisor.fails("ready").await;
    assert_eq!(supervisor.fails("live").await, "ProcessZombie");
    supervisor.raises("ProcessZombie").await;
}

#[tokio::test]
async fn a_hang_fails_liveness_and_an_answer_ends_it() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    supervisor.keeps_a_scrape().await;
    standin.signal_child(Signal::STOP).expect("it runs");
    supervisor.fails("ready").await;
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    supervisor.raises("EngineUnresponsive").await;
    let verdict = "sql_edge_supervisor_probe_verdict{probe=\"ready\"}";
    let is_not_ready = |scrape: &Scrape| scrape.value(verdict) == Some(0.0);
    supervisor
        .raises_when("SqlEdgeNotReady", is_not_ready)
        .await;
    let lost = "sql_edge_supervisor_transitions_total{probe=\"ready\",verdict=\"fail\"}";
    let was_lost = |scrape: &Scrape| scrape.value(lost) >= Some(1.0);
    supervisor
        .raises_by_growth("SqlEdgeFlapping", was_lost)
        .await;
    standin.signal_child(Signal::CONT).expect("it runs");
    supervisor.passes("live").await;
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn an_engine_that_works_hard_is_busy() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let load = crate::standin::script::Load {
        cpu_threads: 1,
        cpu_percent: 50,
        ..Default::default()
    };
    standin
        .command(Command::Load { load })
        .await
        .expect("it obeys");
    let hang = hang_everything();
    standin.command(hang).await.expect("it obeys");
    supervisor.finds("EngineBusy").await;
    // On a busy machine it may be found first for what the listener does.
    let advances = |status: &Value| {
        let findings = status["findings"].to_string();
        findings.contains("but cpu or io advance")
    };
    supervisor.status_with(advances).await;
    supervisor.raises("EngineBusy").await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

fn hang_everything() -> Command {
    Command::Faults {
        faults: vec![Fault {
            on: Match::default(),
            effect: Effect::Hang,
            times: None,
        }],
    }
}

#[tokio::test]
async fn a_lost_listener_is_restarted() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let refuse = Command::Accept {
        accept: Accept::Refuse,
    };
    standin.command(refuse).await.expect("it obeys");
    let reset = Command::CloseConnections { reset: true };
    standin.command(reset).await.expect("it obeys");
    assert_eq!(supervisor.fails("live").await, "ListenerLost");
    supervisor.raises("ListenerLost").await;
}

#[tokio::test]
async fn errors_of_the_login_by_number() {
    for (number, code) in [
        (17142, "Paused"),
        (18461, "SingleUser"),
        (18451, "AdministratorsOnly"),
        (17892, "LogonTriggerRefuses"),
        (17809, "ConnectionsExhausted"),
        (18401, "ScriptUpgrade"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = standin(&scratch, &name).await;
        let mut supervisor = supervise(&standin, &name, &[]).await;
        supervisor.passes("ready").await;
        let login = LoginAnswer::Errors(vec![SqlError::new(number)]);
        standin
            .command(Command::Login { login })
            .await
            .expect("it obeys");
        let evidence = supervisor.finds(code).await;
        assert!(evidence.contains(&number.to_string()), "{evidence}");
        supervisor.raises(code).await;
        let (status, _) = supervisor.get("/livez").await;
        assert_eq!(status, 200, "{code}");
    }
}

#[tokio::test]
async fn a_rotated_password_is_picked_up_and_readiness_stays_meanwhile() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let file = scratch.path().join("password");
    std::fs::write(&file, standin.password()).expect("writable");
    let path = file.display().to_string();
    let more = [("sql-password-file", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;

    let rotate = Command::SetLogin {
        user: "sa".to_owned(),
        password: "Another_1".to_owned(),
    };
    standin.command(rotate).await.expect("it obeys");
    supervisor.finds("LoginFailed").await;
    // As it was proven.
    supervisor.answers("/readyz", 200).await;

    std::fs::write(&file, "Another_1\n").expect("writable");
    supervisor
        .event(|event| {
            event["code"] == "LoginFailed" && event["message"] == "the reason holds no longer"
        })
        .await;
    supervisor.answers("/readyz", 200).await;
}

#[tokio::test]
async fn a_password_that_never_worked_is_not_ready_and_not_restarted() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let file = scratch.path().join("password");
    std::fs::write(&file, "wrong").expect("writable");
    let path = file.display().to_string();
    let more = [("sql-password-file", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    let evidence = supervisor.finds("LoginFailed").await;
    assert!(evidence.contains("18456"), "{evidence}");
    supervisor.raises("LoginFailed").await;
    let (status, body) = supervisor.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("LoginFailed"), "{body}");
    assert_eq!(supervisor.get("/livez").await.0, 200);
    assert_eq!(supervisor.get("/startupz").await.0, 200, "it answers");
}

#[tokio::test]
async fn an_unreadable_password_file_is_named_and_mended_without_a_restart() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let file = scratch.path().join("password");
    let path = file.display().to_string();
    let more = [("sql-password-file", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    let evidence = supervisor.finds("CredentialsUnreadable").await;
    assert!(evidence.contains(&path), "{evidence}");
    supervisor.raises("CredentialsUnreadable").await;
    std::fs::write(&file, standin.password()).expect("writable");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn a_port_where_nothing_is_gives_a_reason_and_no_restart() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let settings = fast(scratch.path(), &name, 1, scratch.path());
    let mut supervisor = supervisor(&settings, &[("MSSQL_SA_PASSWORD", "x")]).await;
    let evidence = supervisor.finds("NotYetObserved").await;
    assert!(!evidence.is_empty());
    supervisor.raises("NotYetObserved").await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    let (status, body) = supervisor.get("/readyz?verbose").await;
    assert_eq!(status, 503);
    assert!(body.contains("NotYetObserved"), "{body}");
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_start_is_followed_phase_by_phase() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let phases = [
        Phase::Refusing,
        Phase::NotReady,
        Phase::Upgrading {
            administrators: false,
        },
    ];
    let start = phases.map(|phase| StartPhase { phase, ms: None }).to_vec();
    let standin = standin_with(&scratch, &name, |options| {
        options.script(Script {
            start,
            ..Script::default()
        })
    })
    .await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.finds("Starting").await;
    supervisor.raises("Starting").await;
    assert_eq!(supervisor.get("/startupz").await.0, 503);
    standin.command(Command::NextPhase).await.expect("it obeys");
    standin.command(Command::NextPhase).await.expect("it obeys");
    let evidence = supervisor.finds("ScriptUpgrade").await;
    assert!(evidence.contains("18401"), "{evidence}");
    standin.command(Command::NextPhase).await.expect("it obeys");
    supervisor.passes("ready").await;
    assert_eq!(supervisor.get("/startupz").await.0, 200);
}

#[tokio::test]
async fn a_required_database_counts_and_recovers_with_a_percentage() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let orders = |state| Command::SetDatabase {
        database: Database {
            state,
            ..Database::online("orders")
        },
    };
    standin
        .command(orders(DatabaseState::Suspect))
        .await
        .expect("it obeys");
    let more = [("required-databases", "orders")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.finds("DatabaseSuspect").await;
    supervisor.raises("DatabaseSuspect").await;
    let suspect = "sql_edge_databases{state=\"suspect\"}";
    let is_suspect = |scrape: &Scrape| scrape.value(suspect) == Some(1.0);
    supervisor
        .raises_when("SqlEdgeDatabaseNotOnline", is_suspect)
        .await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    standin
        .command(orders(DatabaseState::Online))
        .await
        .expect("it obeys");
    supervisor.passes("ready").await;
    let recovering = Phase::Recovering {
        databases: vec!["orders".to_owned()],
        percent: Some(42.0),
    };
    let phases = vec![StartPhase {
        phase: recovering,
        ms: None,
    }];
    standin
        .command(Command::StartPhases { phases })
        .await
        .expect("it obeys");
    supervisor.finds("Recovering").await;
    let body = supervisor.answers("/readyz", 503).await;
    assert!(body.contains("42 %"), "{body}");
    standin.command(Command::NextPhase).await.expect("it obeys");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn a_system_error_of_diagnostics_fails_liveness() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let diagnostics = |system: u8| Command::Diagnostics {
        diagnostics: Diagnostics {
            states: [("system".to_owned(), system)].into(),
            time_scale: 0.05,
            ..Diagnostics::default()
        },
    };
    standin.command(diagnostics(1)).await.expect("it obeys");
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    standin.command(diagnostics(3)).await.expect("it obeys");
    assert_eq!(supervisor.fails("live").await, "SystemError");
    let body = supervisor.answers("/readyz", 503).await;
    assert!(body.contains("SystemError"), "{body}");
    supervisor.raises("SystemError").await;
}

#[tokio::test]
async fn a_missing_permission_and_a_missing_procedure_are_no_failure() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let deny = Command::ViewServerState { granted: false };
    standin.command(deny).await.expect("it obeys");
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    supervisor.answers("/readyz", 200).await;
}

#[tokio::test]
async fn a_pause_of_the_supervisor_fails_nothing() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let more = [
        ("decision-stale-after", "1s"),
        // Less than the pause, and more than a busy machine takes away without one.
        ("ready-freshness", "3500ms"),
        ("volume-timeout", "3500ms"),
    ];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    supervisor.keeps_a_scrape().await;
    supervisor.signal(Signal::STOP);
    // Longer than every threshold of the fast supervisor; the pause itself is what is tested.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    supervisor.signal(Signal::CONT);
    supervisor.finds("SupervisorStalled").await;
    supervisor.raises("SupervisorStalled").await;
    let has_stalled =
        |scrape: &Scrape| scrape.value("sql_edge_supervisor_stalled_seconds_total") > Some(1.0);
    supervisor
        .raises_by_growth("SqlEdgeSupervisorStarved", has_stalled)
        .await;
    supervisor.answers("/readyz", 200).await;
    assert!(!supervisor.log.contains("\"fails\""), "{}", supervisor.log);
}

#[tokio::test]
async fn the_engine_stops_cleanly_and_that_is_seen() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let slow = Command::ShutdownMs { ms: 1500 };
    standin.command(slow).await.expect("it obeys");
    standin.signal_parent(Signal::TERM).expect("it runs");
    supervisor.fails("ready").await;
    let evidence = supervisor.finds("ProcessExited").await;
    assert!(evidence.contains("exit code 0"), "{evidence}");
}
