//! What the engine says where nobody asks it: its logs, its dumps, its administrator connection.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::shared::alerts::Scrape;
use crate::standin::command::Command;
use crate::standin::failure::FailStart;
use crate::standin::handle::StandIn;
use crate::standin::script::{
    Accept, Dac, Diagnostics, Effect, Fault, Match, Phase, Script, StartPhase,
};
use crate::support::{Scratch, standin, standin_with, supervise, unique_name};

/// A stand-in whose start stands still in `phase`.
async fn starting(scratch: &Scratch, name: &str, phase: Phase) -> StandIn {
    standin_with(scratch, name, |options| {
        options.script(Script {
            start: vec![StartPhase { phase, ms: None }],
            ..Script::default()
        })
    })
    .await
}

/// Waits until the administrators' port has been asked so often.
async fn administrators(standin: &StandIn, count: u64) {
    let asked = async {
        while standin
            .statistics()
            .await
            .expect("it answers")
            .administrators
            < count
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let limit = Duration::from_secs(60);
    let asked = tokio::time::timeout(limit, asked).await;
    asked.expect("the administrators' port is asked again and again");
}

#[tokio::test]
async fn an_engine_that_answers_the_administrator_alone_is_busy() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin_with(&scratch, &name, |options| {
        options.argument("--dac-port").argument("0")
    })
    .await;
    let port = standin.dac_port().to_string();
    // Three pings in a row that a busy machine makes late would be silence.
    let more = [("sql-dac-port", port.as_str()), ("ping-timeout", "1s")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let asked = standin.statistics().await.expect("it answers");
    assert_eq!(asked.administrators, 0, "it may be needed by somebody else");
    let diagnostics = Diagnostics {
        silent: true,
        ..Diagnostics::default()
    };
    let silent = Command::Diagnostics { diagnostics };
    standin.command(silent).await.expect("it obeys");
    let hang = Fault {
        on: Match::default(),
        effect: Effect::Hang,
        times: None,
    };
    let faults = Command::Faults { faults: vec![hang] };
    standin.command(faults).await.expect("it obeys");
    supervisor.finds("EngineBusy").await;
    // Each 300 ms one: longer than silence may last; that it does no harm is what is tested.
    administrators(&standin, 10).await;
    let answered = |status: &Value| {
        status["sql"]["dac"]["result"] == "answered"
            && status["findings"].to_string().contains("EngineBusy")
    };
    supervisor.status_with(answered).await;
    let (code, body) = supervisor.get("/readyz?verbose").await;
    assert_eq!(code, 503);
    assert!(!body.contains("EngineUnresponsive"), "{body}");

    let hang = Command::Dac { dac: Dac::Hang };
    standin.command(hang).await.expect("it obeys");
    // While the listener takes connections up it is still no hang.
    let deaf = Command::Accept {
        accept: Accept::Hang,
    };
    standin.command(deaf).await.expect("it obeys");
    supervisor.finds("EngineUnresponsive").await;
    let hears = Command::Accept {
        accept: Accept::Answer,
    };
    standin.command(hears).await.expect("it obeys");
    let healed = Command::Faults { faults: Vec::new() };
    standin.command(healed).await.expect("it obeys");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn the_recovery_of_master_is_told_by_the_errorlog() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let phase = Phase::Recovering {
        databases: vec!["master".to_owned()],
        percent: Some(42.0),
    };
    let standin = starting(&scratch, &name, phase).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    // The log is read without a ping, which may be later, and between two of its lines.
    let told = |status: &Value| {
        let findings = status["findings"].to_string();
        status["sql"]["ping"]["errorKind"] == "refused"
            && status["volume"]["loggedRecovery"]["percent"] == 42
            && findings.contains("master, 42 %")
    };
    let status = supervisor.status_with(told).await;
    let recovering =
        |finding: &&Value| finding["reason"] == "Recovering" || finding["code"] == "Recovering";
    let findings = status["findings"].as_array().expect("a list");
    let evidence = findings.iter().find(recovering).expect("it is found")["evidence"].to_string();
    assert!(evidence.contains("errorlog"), "{evidence}");
    let (_, metrics) = supervisor.get("/metrics").await;
    let progress = "sql_edge_recovery_progress_ratio 0.42";
    assert!(metrics.contains(progress), "{metrics}");
    standin.command(Command::NextPhase).await.expect("it obeys");
    supervisor.passes("ready").await;
    // The log's end of it is seen at the next check of the volume, which is no event of its own.
    supervisor
        .status_with(|status| status["volume"]["loggedRecovery"].is_null())
        .await;
}

#[tokio::test]
async fn a_start_that_fails_is_named() {
    for (why, code) in [
        (FailStart::Evaluation, "EvaluationExpired"),
        (FailStart::Eula, "EulaNotAccepted"),
        (FailStart::Password, "SaPasswordRejected"),
        (FailStart::Memory, "MemoryTooSmall"),
        (FailStart::SystemDir, "DataDirectoryDenied"),
        (FailStart::Master, "MasterFileDenied"),
        (FailStart::Listen, "ListenFailed"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = starting(&scratch, &name, Phase::Refusing).await;
        let output = standin.options().output().display().to_string();
        let more = [("engine-output", output.as_str())];
        let mut supervisor = supervise(&standin, &name, &more).await;
        supervisor.finds("Starting").await;
        let fail = Command::FailStart { why };
        standin.command(fail).await.expect("it obeys");
        supervisor.finds(code).await;
        supervisor.raises(code).await;
        let (status, body) = supervisor.get("/readyz?verbose").await;
        assert_eq!(status, 503);
        assert!(body.contains(code), "{body}");
    }
}

#[tokio::test]
async fn a_core_that_grows_is_a_dump_in_progress() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes_all(&["gate", "ready"]).await;
    supervisor.keeps_a_scrape().await;
    // A dump stops the engine: that is what makes a growing core an excuse.
    standin.signal_child(Signal::STOP).expect("it runs");
    let log = standin.data_dir().join("log");
    let temp = log.join("core.sqlservr.32.temp");
    std::fs::create_dir(&temp).expect("writable");
    let mut core = std::fs::File::create(temp.join("core")).expect("writable");
    // It grows for as long as it takes, as a real one does: what grew before the engine owed an answer
    // excuses nothing.
    let grow = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            core.write_all(&[0; 4096]).expect("writable");
        }
    };
    let found = async {
        let evidence = supervisor.finds("DumpInProgress").await;
        supervisor.raises("DumpInProgress").await;
        evidence
    };
    let evidence = tokio::select! {
        evidence = found => evidence,
        () = grow => String::new(),
    };
    let has_dumped = |scrape: &Scrape| scrape.value("sql_edge_dumps") == Some(1.0);
    supervisor
        .raises_when("SqlEdgeCrashDumps", has_dumped)
        .await;
    assert!(evidence.contains("core"), "{evidence}");
    let status = supervisor.status().await;
    let dumps = &status["volume"]["dumps"];
    assert_eq!(dumps["count"], 1, "{status:#}");
    assert!(dumps["writingBytes"].as_u64() >= Some(4096), "{status:#}");
    assert_eq!(supervisor.get("/livez").await.0, 200);
    standin.signal_child(Signal::CONT).expect("it runs");
    supervisor.passes("ready").await;
}
