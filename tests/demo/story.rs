//! What the demo tells.

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::stage::Stage;
use crate::standin::command::Command;
use crate::standin::messages::SqlError;
use crate::standin::script::{Effect, Fault, Match, Script};

/// Sets the stage; then tells the story, or says what to try and shows what happens.
pub async fn run(story: bool) -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    introduce(&stage);
    if !story {
        println!("\nWhat changes is shown here. Ctrl-C ends it.\n");
        loop {
            // Both may be dropped between two events: nothing of a line is lost, and the wait only waits.
            tokio::select! {
                event = stage.supervisor.event_without_limit() => show(&event),
                ended = stage.engine.wait() => {
                    println!("   ... the container has ended with {}: it is started anew", ended?);
                    stage.engine.restart().await?;
                }
            }
        }
    }
    start(&mut stage).await;
    kill(&mut stage).await?;
    hang(&mut stage).await?;
    wrong_password(&mut stage).await?;
    disk_full(&mut stage).await?;
    end(stage).await
}

fn introduce(stage: &Stage) {
    let address = &stage.supervisor.address;
    let pid = stage.engine.child_pid();
    println!("A stand-in for SQL Edge runs as pid {pid}; the supervisor answers:\n");
    for (path, what) in [
        ("/", "all of it, for people"),
        ("/readyz?verbose", "may clients be sent to it? every check"),
        ("/livez", "is there a reason to restart it?"),
        ("/startupz", "has it started?"),
        ("/gatez", "may it be started on this volume?"),
        ("/metrics", "for Prometheus"),
        ("/status", "one JSON document"),
    ] {
        println!("  http://{address}{path:<18} {what}");
    }
    println!("\nTry:\n");
    println!(
        "  kill -STOP {pid}    it hangs: after 4 s (by default 30 s) the supervisor restarts it"
    );
    println!("  kill -KILL {pid}    it dies: not ready in the same moment");
    println!("\nWhen it has ended the demo starts it anew, as the container's runtime does.");
}

fn chapter(title: &str) {
    println!("\n## {title}\n");
}

/// One line for each answer that changed and each reason that came.
fn show(event: &Value) {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let (probe, code) = (text("probe"), text("code"));
    match text("message").as_str() {
        "passes" => println!("   {probe:<8} PASS"),
        "fails" => println!("   {probe:<8} FAIL   {}", text("reasons")),
        "the reason holds no longer" => {}
        "the engine is to be restarted" => {
            println!("   RESTART  by the {}, for {}", text("by"), text("reasons"));
        }
        step if step.starts_with("restart: ") => println!("   {step}"),
        _ if !code.is_empty() => {
            println!("   reason   {code}: {}", text("evidence"));
            let action = text("action");
            if !action.is_empty() {
                println!("            {action}");
            }
        }
        _ => {}
    }
}

/// Shows events until one is `last`.
async fn until(stage: &mut Stage, last: impl Fn(&Value) -> bool) {
    stage
        .supervisor
        .event(|event| {
            show(event);
            last(event)
        })
        .await;
}

fn answers(event: &Value, probe: &str, answer: &str) -> bool {
    event["probe"] == probe && event["message"] == answer
}

async fn start(stage: &mut Stage) {
    chapter("It starts, and recovers the database `orders`, which is required");
    until(stage, |event| answers(event, "ready", "passes")).await;
}

async fn kill(stage: &mut Stage) -> anyhow::Result<()> {
    chapter("The engine is killed: kill -KILL");
    stage.engine.signal_child(Signal::KILL)?;
    until(stage, |event| answers(event, "ready", "fails")).await;
    println!(
        "   ... liveness goes on to pass: there is nothing left to kill, the runtime restarts it"
    );
    stage.engine.restart_with(healthy(stage)).await?;
    until(stage, |event| answers(event, "ready", "passes")).await;
    Ok(())
}

async fn hang(stage: &mut Stage) -> anyhow::Result<()> {
    chapter("The engine hangs: kill -STOP");
    stage.engine.signal_child(Signal::STOP)?;
    until(stage, |event| {
        event["message"] == "restart: the engine's processes are gone"
    })
    .await;
    println!(
        "   ... its container has ended: the runtime starts it anew; the demo does it in its place"
    );
    stage.engine.restart().await?;
    until(stage, |event| answers(event, "ready", "passes")).await;
    Ok(())
}

async fn wrong_password(stage: &mut Stage) -> anyhow::Result<()> {
    chapter("The password is changed in the engine, and not in the secret");
    let rotated = "Rotated_1".to_owned();
    let rotate = Command::SetLogin {
        user: "sa".to_owned(),
        password: rotated.clone(),
    };
    stage.engine.command(rotate).await?;
    until(stage, |event| event["code"] == "LoginFailed").await;
    let (ready, _) = stage.supervisor.get("/readyz").await;
    let (live, _) = stage.supervisor.get("/livez").await;
    ensure!(
        (ready, live) == (200, 200),
        "a wrong password took the engine away"
    );
    println!("   ... it goes on to be ready, as it was proven to be; nothing is restarted");
    println!("   ... the secret follows, and is picked up at the next login");
    std::fs::write(&stage.password_file, rotated).context("the password file")?;
    until(stage, |event| {
        event["code"] == "LoginFailed" && event["message"] == "the reason holds no longer"
    })
    .await;
    Ok(())
}

async fn disk_full(stage: &mut Stage) -> anyhow::Result<()> {
    chapter("The disk is full: the engine answers 1105");
    let faults = vec![Fault {
        on: Match::default(),
        effect: Effect::Error(SqlError::new(1105)),
        times: None,
    }];
    stage.engine.command(Command::Faults { faults }).await?;
    until(stage, |event| answers(event, "ready", "fails")).await;
    let (live, _) = stage.supervisor.get("/livez").await;
    ensure!(live == 200, "a full disk had the engine restarted");
    println!("   ... it stays up, so that you can make room; a restart would not");
    let heal = Command::Faults { faults: Vec::new() };
    stage.engine.command(heal).await?;
    until(stage, |event| answers(event, "ready", "passes")).await;
    Ok(())
}

async fn end(stage: Stage) -> anyhow::Result<()> {
    chapter("The supervisor is stopped: SIGTERM");
    let Stage {
        supervisor, engine, ..
    } = stage;
    let (status, log) = supervisor.terminate().await;
    ensure!(status.success(), "it ended with {status}:\n{log}");
    println!("   it drained and ended with {status}");
    drop(engine);
    Ok(())
}

/// The engine without its slow start.
fn healthy(stage: &Stage) -> Script {
    Script {
        start: Vec::new(),
        ..stage.engine.options().script.clone()
    }
}
