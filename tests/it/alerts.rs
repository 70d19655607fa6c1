//! What no other test here befalls an engine with: each scrape that raises an alert is recorded and held by
//! `raises` and its like, of which tests/support/alerts.rs tells.

mod engine;
mod group;
mod lease;
mod volume;

use std::time::{Duration, SystemTime};

use nix::sys::{ptrace, wait};
use nix::unistd::Pid;

use crate::shared::alerts::Scrape;
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{
    Accept, Database, DatabaseState, Diagnostics, Effect, Fault, Load, Match, Phase, Script,
    StartPhase,
};
use crate::support::{Scratch, fast, standin, standin_with, supervise, supervisor, unique_name};

const DAY: Duration = Duration::from_secs(86_400);

/// A stand-in with a supervisor that is ready, and whose scrape before all else is kept.
async fn pair(more: &[(&str, &str)]) -> (Supervisor, StandIn, Scratch) {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, more).await;
    supervisor.passes("ready").await;
    supervisor.keeps_a_scrape().await;
    (supervisor, standin, scratch)
}

/// A supervisor of this data directory, where no engine is.
async fn without_engine(scratch: &Scratch, data_dir: &str, more: &[(&str, &str)]) -> Supervisor {
    let directory = scratch.path().join(data_dir);
    let mut settings = fast(scratch.path(), &unique_name(), 1, &directory);
    for (key, value) in more {
        settings.retain(|(before, _)| before != key);
        settings.push(((*key).to_owned(), (*value).to_owned()));
    }
    supervisor(&settings, &[("MSSQL_SA_PASSWORD", "x")]).await
}

async fn obeys(standin: &StandIn, command: Command) {
    standin.command(command).await.expect("it obeys");
}

fn every_request(effect: Effect) -> Command {
    let fault = Fault {
        on: Match::default(),
        effect,
        times: None,
    };
    Command::Faults {
        faults: vec![fault],
    }
}

#[tokio::test]
async fn a_required_database_in_each_state() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut script = Script::default();
    script.databases.push(Database::online("orders"));
    let standin = standin_with(&scratch, &name, |options| options.script(script)).await;
    let more = [("required-databases", "orders")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    for (state, reason) in [
        (DatabaseState::RecoveryPending, "DatabaseRecoveryPending"),
        (DatabaseState::Offline, "DatabaseOffline"),
        (DatabaseState::Emergency, "DatabaseEmergency"),
        (DatabaseState::Restoring, "DatabaseRestoring"),
    ] {
        let database = Database {
            state,
            ..Database::online("orders")
        };
        obeys(&standin, Command::SetDatabase { database }).await;
        supervisor.raises(reason).await;
    }
}

#[tokio::test]
async fn a_component_in_error_and_a_procedure_that_is_refused() {
    let (supervisor, standin, _scratch) = pair(&[]).await;
    let reports = |component: &str| Command::Diagnostics {
        diagnostics: Diagnostics {
            states: [(component.to_owned(), 3)].into(),
            time_scale: 0.05,
            ..Diagnostics::default()
        },
    };
    for (component, reason) in [
        ("resource", "ResourceError"),
        ("query_processing", "SchedulersDeadlocked"),
    ] {
        obeys(&standin, reports(component)).await;
        let reset = Command::CloseConnections { reset: true };
        obeys(&standin, reset).await;
        supervisor.raises(reason).await;
    }
    let fault = Fault {
        on: Match {
            contains: Some("sp_server_diagnostics".to_owned()),
            ..Match::default()
        },
        effect: Effect::Error(SqlError::new(50_000)),
        times: None,
    };
    let faults = vec![fault];
    obeys(&standin, Command::Faults { faults }).await;
    obeys(&standin, Command::CloseConnections { reset: true }).await;
    supervisor.raises("DiagnosticsUnavailable").await;
}

#[tokio::test]
async fn an_engine_that_works_for_longer_than_is_borne() {
    let (supervisor, standin, _scratch) = pair(&[("busy-limit", "2s")]).await;
    let load = Load {
        cpu_threads: 1,
        cpu_percent: 50,
        ..Load::default()
    };
    obeys(&standin, Command::Load { load }).await;
    obeys(&standin, every_request(Effect::Hang)).await;
    supervisor.raises("BusyLimitExceeded").await;
}

#[tokio::test]
async fn a_start_and_a_recovery_that_stand_still() {
    let more = [
        ("startup-stalled-after", "1s"),
        ("required-databases", "orders"),
    ];
    let phase = |phase| StartPhase { phase, ms: None };
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut script = Script {
        start: vec![phase(Phase::Refusing)],
        ..Script::default()
    };
    script.databases.push(Database::online("orders"));
    let standin = standin_with(&scratch, &name, |options| options.script(script)).await;
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.raises("StartupStalled").await;
    obeys(&standin, Command::NextPhase).await;
    supervisor.passes("ready").await;
    let recovering = Phase::Recovering {
        databases: vec!["orders".to_owned()],
        percent: Some(42.0),
    };
    let phases = vec![phase(recovering)];
    obeys(&standin, Command::StartPhases { phases }).await;
    supervisor.raises("RecoveryStalled").await;
}

#[tokio::test]
async fn an_engine_that_listens_on_another_address() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let supervisor = supervise(&standin, &name, &[("sql-host", "127.0.0.9")]).await;
    supervisor.raises("ListeningElsewhere").await;
}

#[tokio::test]
async fn a_restart_that_waits_for_the_engine() {
    let (supervisor, standin, _scratch) = pair(&[("restart-by", "supervisor")]).await;
    obeys(&standin, Command::IgnoreSigterm { ignore: true }).await;
    let accept = Accept::Refuse;
    obeys(&standin, Command::Accept { accept }).await;
    obeys(&standin, Command::CloseConnections { reset: true }).await;
    supervisor.raises("Restarting").await;
}

#[tokio::test]
async fn a_ping_that_is_answered_late() {
    let more = [
        ("ping-timeout", "5s"),
        ("login-timeout", "5s"),
        ("unresponsive-after", "15s"),
        ("ready-freshness", "10s"),
    ];
    let (supervisor, standin, _scratch) = pair(&more).await;
    obeys(&standin, every_request(Effect::Delay { ms: 600 })).await;
    let counted = |scrape: &Scrape, le: &str| {
        let name = "sql_edge_supervisor_ping_duration_seconds_bucket";
        let series = format!("{name}{{le=\"{le}\"}}");
        scrape.value(&series).unwrap_or_default()
    };
    let is_slow = |scrape: &Scrape| counted(scrape, "1") >= counted(scrape, "0.5") + 2.0;
    supervisor
        .raises_by_growth("SqlEdgePingSlow", is_slow)
        .await;
}

#[tokio::test]
async fn a_supervisor_that_is_killed() {
    let scratch = Scratch::new();
    let supervisor = without_engine(&scratch, "", &[]).await;
    let alerts = ["SqlEdgeSupervisorDown", "SqlEdgeSupervisorGone"];
    supervisor.raises_once_killed(&alerts).await;
}

/// The thread that decides is held by a debugger; the one that answers scrapes goes on.
#[tokio::test]
async fn a_supervisor_whose_deciding_thread_stands_still() {
    let (mut supervisor, _standin, _scratch) = pair(&[]).await;
    let thread = Pid::from_raw(supervisor.pid().as_raw_nonzero().get());
    ptrace::seize(thread, ptrace::Options::empty()).expect("the tests need root");
    loop {
        ptrace::interrupt(thread).expect("it runs");
        wait::waitpid(thread, Some(wait::WaitPidFlag::__WALL)).expect("it stops");
        // It may hold a lock that who answers needs, such as the allocator's: then it is stopped at another moment.
        let asked = supervisor.get("/healthz");
        if tokio::time::timeout(Duration::from_secs(2), asked)
            .await
            .is_ok()
        {
            break;
        }
        ptrace::cont(thread, None).expect("it is held");
    }
    supervisor.keeps_a_scrape().await;
    let series = "sql_edge_supervisor_decision_age_seconds";
    let is_old = |scrape: &Scrape| scrape.value(series) >= Some(1.0);
    supervisor
        .raises_by_growth("SqlEdgeSupervisorNotDeciding", is_old)
        .await;
    ptrace::detach(thread, None).expect("it is held");
}

#[tokio::test]
async fn a_certificate_that_expires() {
    for (days, alert) in [
        (10, "SqlEdgeCertificateExpiring"),
        (1, "SqlEdgeCertificateExpired"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let names = vec!["127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).expect("a name");
        params.not_after = (SystemTime::now() + days * DAY).into();
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let path = |name: &str| scratch.path().join(name);
        std::fs::write(path("cert.pem"), certificate.pem()).expect("writable");
        std::fs::write(path("key.pem"), key.serialize_pem()).expect("writable");
        let standin = standin_with(&scratch, &name, |options| {
            let options = options.argument("--encryption").argument("required");
            let options = options.argument("--tls-cert").argument(path("cert.pem"));
            options.argument("--tls-key").argument(path("key.pem"))
        })
        .await;
        let supervisor = supervise(&standin, &name, &[]).await;
        let series = "sql_edge_tls_certificate_expiry_timestamp_seconds{certificate=\"server\"}";
        let is_seen = |scrape: &Scrape| scrape.value(series).is_some();
        supervisor.raises_when(alert, is_seen).await;
    }
}
