//! The supervisor ends an engine that has to be restarted, once and by the ladder, or says why not.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use rustix::process::Signal;

use crate::shared::alerts::Scrape;
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::script::Accept;
use crate::support::{Scratch, binary, fast, standin, supervise, unique_name};

const BY_ITSELF: (&str, &str) = ("restart-by", "supervisor");
/// `nobody` of most systems: may look at the engine's processes, and not signal them.
const NOBODY: u32 = 65_534;

/// Waits for a line of the log that begins so; the line.
async fn says(supervisor: &mut Supervisor, message: &str) -> serde_json::Value {
    supervisor
        .event(|event| {
            event["message"]
                .as_str()
                .is_some_and(|m| m.starts_with(message))
        })
        .await
}

/// Whether `/livez` has failed so far.
fn liveness_failed(supervisor: &Supervisor) -> bool {
    let lines = supervisor.log.lines();
    let mut events = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events.any(|event| event["probe"] == "live" && event["message"] == "fails")
}

/// Whether it runs; a dead one that nobody has reaped yet does not.
fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

fn empty_file(scratch: &Scratch) -> PathBuf {
    let path = scratch.path().join("termination-log");
    std::fs::write(&path, "").expect("writable");
    path
}

fn state_file(standin: &StandIn) -> PathBuf {
    standin.options().directory.join("state/state.json")
}

#[tokio::test]
async fn a_hang_ends_by_sigkill_after_sigterm_and_liveness_passes_throughout() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let log = empty_file(&scratch);
    let path = log.display().to_string();
    let more = [
        BY_ITSELF,
        ("termination-log", path.as_str()),
        // The runtime takes its time here.
        ("process-missing-after", "1h"),
    ];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let (parent, child) = (standin.parent_pid(), standin.child_pid());
    standin.signal_child(Signal::STOP).expect("it runs");

    let decided = says(&mut supervisor, "the engine is to be restarted").await;
    assert_eq!(decided["by"], "supervisor");
    assert_eq!(decided["pid"], parent);
    assert_eq!(decided["reasons"], "EngineUnresponsive");
    assert!(
        decided["evidence"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    says(&mut supervisor, "restart: SIGTERM sent").await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    // A slow disk does not hold the restart up.
    let message = until_written(&log, "restart by the supervisor for EngineUnresponsive (").await;
    assert!(message.contains("What to do: "), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    let killed = says(&mut supervisor, "restart: SIGKILL sent").await;
    assert_eq!(
        (&killed["pid"], &killed["engine"]),
        (&parent.into(), &child.into())
    );
    says(&mut supervisor, "restart: the engine's processes are gone").await;
    assert!(!is_there(child), "the engine is gone");
    standin.wait().await.expect("the parent is gone");

    standin
        .restart()
        .await
        .expect("the runtime starts it again");
    supervisor.passes("ready").await;
    let log = &supervisor.log;
    assert!(
        log.contains("by the supervisor for EngineUnresponsive"),
        "{log}"
    );
    assert_eq!(log.matches("restart: SIGTERM sent").count(), 1, "{log}");
    assert!(!liveness_failed(&supervisor), "{log}");
    let status = supervisor.status().await;
    let last = &status["lastRestart"];
    assert_eq!(last["by"], "supervisor", "{status:#}");
    assert_eq!(last["process"]["pid"], parent);
    assert_eq!(last["step"], "done");
    assert_eq!(last["underWay"], false);
    let (_, metrics) = supervisor.get("/metrics").await;
    let series = "engine_restarts_total{by=\"supervisor\",reason=\"EngineUnresponsive\"} 1";
    assert!(metrics.contains(series), "{metrics}");
    assert!(
        metrics.contains("engine_restart_steps_total{step=\"killed\"} 1"),
        "{metrics}"
    );
    let (_, page) = supervisor.get("/").await;
    let (_, page) = page
        .split_once("<h2>Last restart</h2>")
        .expect("it is told");
    for row in [
        "<dt>by</dt><dd>supervisor</dd>",
        "<dt>reasons</dt><dd>EngineUnresponsive</dd>",
    ] {
        assert!(page.contains(row), "{page}");
    }
}

#[tokio::test]
async fn an_engine_that_still_works_is_shut_down_by_sigterm_alone() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[BY_ITSELF]).await;
    supervisor.passes("ready").await;
    let refuse = Command::Accept {
        accept: Accept::Refuse,
    };
    standin.command(refuse).await.expect("it obeys");
    let reset = Command::CloseConnections { reset: true };
    standin.command(reset).await.expect("it obeys");
    let decided = says(&mut supervisor, "the engine is to be restarted").await;
    assert_eq!(decided["reasons"], "ListenerLost");
    says(&mut supervisor, "restart: SIGTERM sent").await;
    let ended = standin.wait().await.expect("it is reaped");
    assert_eq!(
        (ended.code(), ended.signal()),
        (Some(0), None),
        "it shut down"
    );
    says(&mut supervisor, "restart: the engine's processes are gone").await;
    let log = &supervisor.log;
    assert!(!log.contains("restart: SIGKILL sent"), "{log}");
    let errorlog = standin.errorlog().expect("readable");
    let last_words = "SQL Trace was stopped due to server shutdown";
    assert!(errorlog.contains(last_words), "{errorlog}");
}

#[tokio::test]
async fn a_supervisor_that_may_not_signal_asks_the_kubelet_and_says_why() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    // Where the tests are built, others need not be let in.
    let program = scratch.path().join("supervisor");
    std::fs::copy(binary(), &program).expect("there is room");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    let own = scratch.path().join("own");
    std::fs::create_dir(&own).expect("writable");
    let log = empty_file(&scratch);
    for path in [own.as_path(), log.as_path()] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("this test needs root");
    }
    let mut settings = fast(&own, &name, standin.port(), &standin.data_dir());
    settings.retain(|(key, _)| key != "restart-by");
    settings.push(("termination-log".to_owned(), log.display().to_string()));
    let mut command = Process::new(&program);
    command.uid(NOBODY).gid(NOBODY);
    let environment = [("MSSQL_SA_PASSWORD", standin.password())];
    let mut supervisor = Supervisor::start_with(command, &settings, &environment).await;
    supervisor.passes("ready").await;
    standin.signal_child(Signal::STOP).expect("it runs");
    let failed = says(
        &mut supervisor,
        "restart: the supervisor can't carry it out",
    )
    .await;
    let why = failed["why"].as_str().expect("a reason");
    assert!(
        why.contains("not permitted") && why.contains("uid of sqlservr"),
        "{why}"
    );
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    supervisor.raises("RestartFailed").await;
    let status = supervisor.status().await;
    let last = &status["lastRestart"];
    assert_eq!(
        (&last["by"], &last["failure"]),
        (&"kubelet".into(), &why.into()),
        "{status:#}"
    );
    assert!(is_there(standin.child_pid()), "nothing was done to it");
    // Liveness fails first; the message is written in the same moment.
    let message = until_written(&log, "by the kubelet").await;
    assert!(
        message.contains("the supervisor could not: not permitted"),
        "{message}"
    );
}

#[tokio::test]
async fn a_restart_that_is_the_kubelets_signals_nobody_and_leaves_word() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let log = empty_file(&scratch);
    let path = log.display().to_string();
    let more = [("termination-log", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    standin.signal_child(Signal::STOP).expect("it runs");
    let decided = says(&mut supervisor, "the engine is to be restarted").await;
    assert_eq!(decided["by"], "kubelet");
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    let message = until_written(&log, "restart by the kubelet for EngineUnresponsive (").await;
    assert!(!message.contains("could not"), "{message}");
    assert!(is_there(standin.child_pid()));
    let log = &supervisor.log;
    assert!(!log.contains("restart: SIG"), "{log}");
}

/// The file once it contains `part`; written by another process, whose log does not tell.
async fn until_written(path: &Path, part: &str) -> String {
    let mut text = String::new();
    let written = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            text = std::fs::read_to_string(path).unwrap_or_default();
            if text.contains(part) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(
        written.await.is_ok(),
        "no {part} in {}: {text}",
        path.display()
    );
    text
}

/// A hang that ends in a restart, and the runtime's part of it.
async fn hang(standin: &mut StandIn, supervisor: &mut Supervisor) {
    standin.signal_child(Signal::STOP).expect("it runs");
    says(supervisor, "restart: the engine's processes are gone").await;
    standin.restart().await.expect("it starts again");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn a_used_up_budget_is_held_by_the_next_supervisor_until_released() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let more = [BY_ITSELF];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    for _ in 0..3 {
        hang(&mut standin, &mut supervisor).await;
    }
    standin.signal_child(Signal::STOP).expect("it runs");
    let evidence = supervisor.finds("RestartBudgetExhausted").await;
    assert_eq!(evidence, "3 restarts did not help");
    supervisor.raises("RestartBudgetExhausted").await;
    let restarts = |name: &'static str| move |scrape: &Scrape| scrape.sum(name) >= 3.0;
    let ordered = restarts("sql_edge_supervisor_engine_restarts_total");
    supervisor.raises_when("SqlEdgeRestarted", ordered).await;
    let begun = restarts("sql_edge_process_restarts_total");
    supervisor.raises_when("SqlEdgeRestartStorm", begun).await;
    until_written(&state_file(&standin), "\"held\":true").await;
    until_written(&state_file(&standin), "\"started\":true").await;
    // SIGKILL: it can't say goodbye.
    drop(supervisor);

    let mut supervisor = supervise(&standin, &name, &more).await;
    let evidence = supervisor.finds("RestartBudgetExhausted").await;
    assert_eq!(evidence, "3 restarts did not help");
    assert_eq!(supervisor.get("/livez").await.0, 200);
    assert!(is_there(standin.child_pid()), "it is left alone");
    let status = supervisor.status().await;
    assert_eq!(status["lastRestart"]["by"], "supervisor", "{status:#}");

    let socket = standin.options().directory.join("state/control.sock");
    let release = Process::new(binary())
        .arg("release")
        .arg("--control-socket")
        .arg(&socket)
        .env_clear()
        .output();
    assert!(release.expect("it runs").status.success());
    says(&mut supervisor, "restart: SIGKILL sent").await;
    standin.wait().await.expect("the parent is gone");
}

#[tokio::test]
async fn a_supervisor_that_starts_beside_a_hang_finds_it_as_if_it_had_run() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let more = [BY_ITSELF, ("startup-stalled-after", "1h")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    // An answer may come before the first look at the processes, and only what an engine with a
    // process proved is remembered.
    until_written(&state_file(&standin), "\"started\":true").await;
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
    standin.signal_child(Signal::STOP).expect("it runs");
    let mut supervisor = supervise(&standin, &name, &more).await;
    let log = &supervisor.log;
    assert!(log.contains("an earlier run is remembered"), "{log}");
    let decided = says(&mut supervisor, "the engine is to be restarted").await;
    assert_eq!(decided["reasons"], "EngineUnresponsive");
    standin.wait().await.expect("the parent is gone");
}

#[tokio::test]
async fn a_memory_that_cant_be_used_is_kept_aside_and_said() {
    for (content, why) in [
        ("{\"version\":1,\"mem", "it is not what a supervisor writes"),
        ("{\"version\":2}", "it is of version 2"),
        ("[1]", "it is not what a supervisor writes"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = standin(&scratch, &name).await;
        let file = state_file(&standin);
        let directory = file.parent().expect("it has one");
        std::fs::create_dir(directory).expect("writable");
        std::fs::write(&file, content).expect("writable");
        let mut supervisor = supervise(&standin, &name, &[]).await;
        let log = &supervisor.log;
        assert!(
            log.contains("is refused and kept aside") && log.contains(why),
            "{log}"
        );
        supervisor.passes("ready").await;
        // The last write has a second at the end, and no more.
        until_written(&file, "\"started\":true").await;
        let (exit, log) = supervisor.terminate().await;
        assert_eq!(exit.code(), Some(0), "{log}");
        let names = std::fs::read_dir(directory).expect("readable");
        let aside: Vec<_> = names
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.display().to_string().contains("state.json.refused-"))
            .collect();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert_eq!(
            std::fs::read_to_string(&aside[0]).expect("readable"),
            content
        );
        let mode = std::fs::metadata(&file)
            .expect("there is a new one")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
