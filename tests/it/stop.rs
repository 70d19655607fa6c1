//! `stop`: drained, saved, ended by SIGTERM, within the grace; and what is left out where the engine hangs.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::client::{order, outcome};
use crate::shared::supervisor::Supervisor;
use crate::shared::writer::{Target, connect};
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{Effect, Fault, Match};
use crate::standin::sql::Kind;
use crate::support::{Scratch, binary, standin, supervise, unique_name};

/// No endpoint is to be waited for here.
const NO_DRAIN: (&str, &str) = ("stop-drain", "0s");
/// Neither an engine that is slow to answer, nor one that is slow to come back, is what is tested.
const PATIENT: [(&str, &str); 2] = [
    ("unresponsive-after", "1h"),
    ("process-missing-after", "1h"),
];
const LAST_WORDS: &str = "SQL Trace was stopped due to server shutdown";

fn socket(standin: &StandIn) -> PathBuf {
    standin.options().directory.join("state/control.sock")
}

fn target(standin: &StandIn) -> Target {
    Target {
        port: standin.port(),
        password: standin.password().to_owned(),
    }
}

async fn pair(more: &[(&str, &str)]) -> (Scratch, StandIn, Supervisor) {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut settings = vec![NO_DRAIN, PATIENT[0], PATIENT[1]];
    settings.extend(more);
    let mut supervisor = supervise(&standin, &name, &settings).await;
    supervisor.passes("ready").await;
    // A stop makes checkpoints in the databases that were seen.
    supervisor.observes("databases").await;
    (scratch, standin, supervisor)
}

async fn checkpoints(standin: &StandIn) -> u64 {
    let statistics = standin.statistics().await.expect("it answers");
    let of = |kinds: &std::collections::BTreeMap<Kind, u64>| kinds.get(&Kind::Checkpoint).copied();
    statistics.statements.values().filter_map(of).sum()
}

/// What `status` shows of the history, once the stop is in it. It is written behind the answer.
async fn remembered(standin: &StandIn, supervisor: &Supervisor) -> String {
    let look = async || {
        let mut command = std::process::Command::new(binary());
        command.args(["status", "--listen", supervisor.address.as_str()]);
        command
            .arg("--data-dir")
            .arg(standin.data_dir())
            .env_clear();
        let (code, out, err) = outcome(command).await;
        assert_eq!(code, 0, "{err}");
        out
    };
    let written = async {
        loop {
            let text = look().await;
            if let Some((_, events)) = text.split_once("Last events on the volume")
                && events.contains("stop")
            {
                return events.to_owned();
            }
        }
    };
    let limit = std::time::Duration::from_secs(60);
    let written = tokio::time::timeout(limit, written).await;
    written.expect("the history is written")
}

#[tokio::test]
async fn a_stop_saves_and_ends_the_engine_cleanly_and_the_next_one_runs() {
    let (_scratch, mut standin, mut supervisor) = pair(&[]).await;
    let socket = socket(&standin);
    let (code, out, err) = order("stop --grace 20s", &socket).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let pid = standin.parent_pid();
    assert!(
        out.starts_with(&format!("pid {pid} ended cleanly after ")),
        "{out}"
    );
    // master, model and msdb; what is in tempdb is not kept anyway.
    assert!(
        out.contains("with checkpoints in 3 of 3 databases"),
        "{out}"
    );
    let ended = standin.wait().await.expect("it is reaped");
    assert_eq!((ended.code(), ended.signal()), (Some(0), None));
    assert!(standin.errorlog().expect("readable").contains(LAST_WORDS));
    let log = &supervisor.log;
    assert!(!log.contains("SIGKILL"), "{log}");

    let text = remembered(&standin, &supervisor).await;
    assert!(
        text.contains("clean, after ") && text.contains("checkpoints in 3 of 3"),
        "{text}"
    );

    let (code, again, _) = order("stop", &socket).await;
    assert_eq!(code, 0);
    assert!(again.starts_with("no engine runs"), "{again}");
    // As a runtime does that was not told to end the pod.
    standin.restart().await.expect("it starts");
    supervisor.passes("ready").await;
    let status = supervisor.status().await;
    assert!(
        status["lastRestart"].is_null(),
        "a stop is no restart: {status:#}"
    );
}

/// Longer than any test may take: it has to be cut short.
const LONG_DRAIN: [(&str, &str); 2] = [("termination-grace-period", "1h"), ("stop-drain", "15m")];

#[tokio::test]
async fn a_stop_waits_for_clients_and_for_nobody_else() {
    let (_scratch, mut standin, mut supervisor) = pair(&LONG_DRAIN).await;
    let mut client = connect(&target(&standin)).await.expect("it is let in");
    let socket = socket(&standin);
    let stopping = tokio::spawn(async move { order("stop --grace 1h", &socket).await });
    supervisor.finds("Stopping").await;
    // It is looked many times while the client works.
    for _ in 0..20 {
        let answer = client.simple_query("SELECT 1").await;
        answer.expect("it is served");
        let served = supervisor.get("/livez").await.0;
        assert_eq!(served, 200);
    }
    assert!(!stopping.is_finished());
    client.close().await.expect("it is open");
    supervisor
        .event(|event| event["message"] == "stop: nobody is connected")
        .await;
    let (code, out, err) = stopping.await.expect("no panic");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("ended cleanly"), "{out}");
    standin.wait().await.expect("it is reaped");
}

#[tokio::test]
async fn two_stops_at_once_are_one() {
    let (_scratch, mut standin, mut supervisor) = pair(&LONG_DRAIN).await;
    let client = connect(&target(&standin)).await.expect("it is let in");
    let socket = socket(&standin);
    let stopping = || {
        let socket = socket.clone();
        tokio::spawn(async move { order("stop --grace 1h", &socket).await })
    };
    let one = stopping();
    supervisor.finds("Stopping").await;
    let other = stopping();
    supervisor
        .event(|event| {
            event["message"] == "stop: one is under way already, and its end is waited for"
        })
        .await;
    client.close().await.expect("it is open");
    let (one, other) = tokio::join!(one, other);
    let (one, other) = (one.expect("no panic"), other.expect("no panic"));
    assert_eq!(one, other);
    assert_eq!(one.0, 0, "{}", one.2);
    assert!(one.1.contains("ended cleanly"), "{}", one.1);
    standin.wait().await.expect("it is reaped");
}

/// Whether somebody is connected can't be seen then: the drain has its full time.
#[tokio::test]
async fn a_login_that_may_not_see_sessions_drains_for_the_whole_time() {
    let (_scratch, standin, mut supervisor) = pair(&[("stop-drain", "1s")]).await;
    let blind = Fault {
        on: Match {
            contains: Some("dm_exec_sessions".to_owned()),
            application: Some("sql-edge-supervisor/drain".to_owned()),
            ..Match::default()
        },
        effect: Effect::Error(SqlError::new(300)),
        times: None,
    };
    let faults = Command::Faults {
        faults: vec![blind],
    };
    standin.command(faults).await.expect("it obeys");
    let (code, _, err) = order("stop", &socket(&standin)).await;
    assert_eq!(code, 0, "{err}");
    supervisor
        .event(|event| {
            event["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("stop: pid"))
        })
        .await;
    assert!(
        !supervisor.log.contains("nobody is connected"),
        "{}",
        supervisor.log
    );
}

#[tokio::test]
async fn while_it_stops_the_engine_is_alive_and_not_ready() {
    let (_scratch, standin, mut supervisor) = pair(&LONG_DRAIN).await;
    let client = connect(&target(&standin)).await.expect("it is let in");
    let socket = socket(&standin);
    let stopping = tokio::spawn(async move { order("stop --grace 1h", &socket).await });
    supervisor.finds("Stopping").await;
    supervisor.raises("Stopping").await;
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
    client.close().await.expect("it is open");
    let (code, _, err) = stopping.await.expect("no panic");
    assert_eq!(code, 0, "{err}");
}

/// A third of the grace, and no more, goes into them.
#[tokio::test]
async fn checkpoints_that_do_not_end_are_given_up() {
    let (_scratch, standin, _supervisor) = pair(&[]).await;
    let fault = Fault::hang(Kind::Checkpoint);
    let faults = Command::Faults {
        faults: vec![fault],
    };
    standin.command(faults).await.expect("it obeys");
    let (code, out, err) = order("stop --grace 9s", &socket(&standin)).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("ended cleanly"), "{out}");
    assert!(out.contains("checkpoints in 0 of 3"), "{out}");
}

/// A secondary replica (976), one that is being restored (927), single-user mode (924): the others are saved all
/// the same. A login that may make no checkpoint (262) may make none anywhere.
#[tokio::test]
async fn a_database_that_refuses_a_checkpoint_costs_the_others_nothing() {
    for (number, done) in [(976, 2), (924, 2), (262, 1)] {
        let (_scratch, standin, _supervisor) = pair(&[]).await;
        // The second of master, model and msdb.
        let fault = Fault {
            on: Match {
                kind: Some(Kind::Checkpoint),
                contains: Some("[model]".to_owned()),
                ..Match::default()
            },
            effect: Effect::Error(SqlError::new(number)),
            times: None,
        };
        let faults = vec![fault];
        let obeys = standin.command(Command::Faults { faults }).await;
        obeys.expect("it obeys");
        let (code, out, err) = order("stop --grace 20s", &socket(&standin)).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let wanted = format!("with checkpoints in {done} of 3 databases");
        assert!(out.contains(&wanted), "{number}: {out}");
    }
}

#[tokio::test]
async fn a_hung_engine_is_neither_saved_nor_waited_for() {
    let (_scratch, mut standin, mut supervisor) = pair(&[("unresponsive-after", "2s")]).await;
    let before = checkpoints(&standin).await;
    standin.signal_child(Signal::STOP).expect("it runs");
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    let (code, out, err) = order("stop --grace 25s", &socket(&standin)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("hung and was ended"), "{out}");
    assert!(!out.contains("checkpoints"), "{out}");
    assert_eq!(before, 0);
    let ended = standin.wait().await.expect("it is reaped");
    assert_ne!(ended.code(), Some(0), "it did not shut down");
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_before_the_grace_ends() {
    let (_scratch, mut standin, supervisor) = pair(&[]).await;
    let ignore = Command::IgnoreSigterm { ignore: true };
    standin.command(ignore).await.expect("it obeys");
    let (code, out, err) = order("stop --grace 3s", &socket(&standin)).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("did not end cleanly"), "{out}");
    standin.wait().await.expect("it is reaped");
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_grace_beyond_the_pods_is_refused_and_changes_nothing() {
    let (_scratch, standin, supervisor) = pair(&[]).await;
    let (code, out, err) = order("stop --grace 45s", &socket(&standin)).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("longer than the pod's 30s"), "{err}");
    assert!(err.contains("nothing was changed"), "{err}");
    standin.status().await.expect("it runs");
    supervisor.answers("/readyz", 200).await;
}

/// `stop --after -- sh -c SCRIPT` within this grace of the pod: code and standard error.
async fn stop_after(standin: &StandIn, grace: &str, script: &str) -> (i32, String) {
    let mut command = std::process::Command::new(binary());
    command
        .args([
            "stop",
            "--termination-grace-period",
            grace,
            "--control-socket",
        ])
        .arg(socket(standin))
        .args(["--after", "--", "/bin/sh", "-c", script])
        .env_clear();
    let (code, _, err) = outcome(command).await;
    (code, err)
}

#[tokio::test]
async fn a_hook_that_was_there_runs_before_the_stop() {
    let grace = ("termination-grace-period", "60s");
    let (scratch, mut standin, _supervisor) = pair(&[grace]).await;
    let seen = scratch.path().join("seen");
    // Its failure keeps nobody from the stop.
    let script = format!(
        "kill -0 {} && echo alive > {}; exit 7",
        standin.parent_pid(),
        seen.display()
    );
    let (code, err) = stop_after(&standin, "60s", &script).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("exit status: 7; the stop goes on"), "{err}");
    assert_eq!(
        std::fs::read_to_string(&seen).unwrap_or_default(),
        "alive\n"
    );
    let ended = standin.wait().await.expect("it is reaped");
    assert_eq!((ended.code(), ended.signal()), (Some(0), None));
    assert!(standin.errorlog().expect("readable").contains(LAST_WORDS));
}

#[tokio::test]
async fn a_hook_that_never_ends_leaves_the_stop_its_time() {
    let (_scratch, mut standin, _supervisor) = pair(&[]).await;
    let (code, err) = stop_after(&standin, "10s", "sleep 100000").await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("ran for 5s, which was its share"), "{err}");
    standin.wait().await.expect("it is reaped");
}
