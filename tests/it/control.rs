//! The control socket: who is obeyed, what an order does, and what may be in the socket's place.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::client::{client, obeyed, order, outcome};
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, binary, fast, standin, supervise, supervisor, unique_name};

/// `nobody` of most systems: neither root nor the user of these tests.
const NOBODY: u32 = 65_534;

fn socket(standin: &StandIn) -> PathBuf {
    standin.options().directory.join("state/control.sock")
}

#[tokio::test]
async fn maintenance_holds_liveness_and_nothing_else() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let socket = socket(&standin);
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let out = obeyed("pause --for 1h", &socket).await;
    assert!(out.contains("liveness is held for 1h"), "{out}");
    supervisor.finds("Maintenance").await;
    supervisor.raises("Maintenance").await;
    assert_eq!(supervisor.get("/readyz").await.0, 200, "it is ready");
    let (_, body) = supervisor.get("/readyz?verbose").await;
    assert!(body.contains("Maintenance"), "{body}");

    // Nothing is asked, so that nothing is found; with `resume` it is asked anew.
    standin.signal_child(Signal::STOP).expect("it runs");
    let (status, body) = supervisor.get("/livez?verbose").await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("Maintenance"), "{body}");

    obeyed("resume", &socket).await;
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    let (_, body) = supervisor.get("/livez?verbose").await;
    assert!(!body.contains("Maintenance"), "{body}");
}

#[tokio::test]
async fn maintenance_ends_by_itself_and_not_with_the_supervisor() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let socket = socket(&standin);
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    obeyed("pause --for 1s", &socket).await;
    supervisor
        .event(|event| {
            event["code"] == "Maintenance" && event["message"] == "the reason holds no longer"
        })
        .await;
    obeyed("pause --for 24h", &socket).await;
    supervisor.finds("Maintenance").await;
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
    assert!(!socket.exists(), "it is removed");
    let mut supervisor = supervise(&standin, &name, &[]).await;
    let evidence = supervisor.finds("Maintenance").await;
    assert!(!evidence.is_empty());
    standin.signal_child(Signal::STOP).expect("it runs");
    assert_eq!(supervisor.get("/livez").await.0, 200, "it is held");
    obeyed("resume", &socket).await;
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
}

#[tokio::test]
async fn a_volume_that_is_not_mounted_is_not_adopted() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let socket = socket(&standin);
    let more = [("require-mount", "true")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.finds("VolumeNotMounted").await;
    let (code, out, err) = order("adopt", &socket).await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("nothing was changed"), "{err}");
    let status = supervisor.status().await;
    assert!(!status.to_string().contains("adopted"), "{status:#}");
}

/// A hang that a restart is asked for, and the restart.
async fn hang_and_restart(standin: &mut StandIn, supervisor: &mut Supervisor) {
    standin.signal_child(Signal::STOP).expect("it runs");
    supervisor.fails("live").await;
    standin.restart().await.expect("it starts again");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn release_ends_the_hold_of_a_used_up_budget() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut standin = standin(&scratch, &name).await;
    let socket = socket(&standin);
    let more = [("restart-budget", "2")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    for _ in 0..2 {
        hang_and_restart(&mut standin, &mut supervisor).await;
    }
    standin.signal_child(Signal::STOP).expect("it runs");
    let evidence = supervisor.finds("RestartBudgetExhausted").await;
    assert_eq!(evidence, "2 restarts did not help");
    let (status, body) = supervisor.get("/livez").await;
    assert_eq!(status, 200, "{body}");
    let out = obeyed("release", &socket).await;
    assert!(out.contains("starts afresh"), "{out}");
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
}

#[tokio::test]
async fn another_user_is_refused_also_where_the_file_lets_him_in() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let socket = socket(&standin);
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    // Where the tests are built, others need not be let in.
    let program = scratch.path().join("client");
    std::fs::copy(binary(), &program).expect("there is room");
    let mode = |path: &Path| {
        let file = std::fs::symlink_metadata(path).expect("it is there");
        file.permissions().mode() & 0o777
    };
    let state_dir = socket.parent().expect("it has one");
    assert_eq!((mode(&socket), mode(state_dir)), (0o600, 0o700));
    let as_nobody = || {
        let mut command = client(&program, "pause --for 1h", &socket);
        command.uid(NOBODY).gid(NOBODY);
        command
    };
    let (code, _, err) = outcome(as_nobody()).await;
    assert_eq!(code, 1);
    assert!(
        err.contains("only root and the supervisor's own user"),
        "{err}"
    );

    let widen = |path: &Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("it is ours");
    };
    widen(state_dir, 0o755);
    let (code, _, err) = outcome(as_nobody()).await;
    assert_eq!(code, 1);
    assert!(
        err.contains("only root and the supervisor's own user"),
        "{err}"
    );

    widen(&socket, 0o666);
    let (code, out, err) = outcome(as_nobody()).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("only root and uid 0 may order"), "{err}");
    let refused = supervisor
        .event(|event| {
            event["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("refused"))
        })
        .await;
    assert_eq!(refused["uid"], NOBODY);
    let status = supervisor.status().await;
    assert!(!status.to_string().contains("Maintenance"), "{status:#}");
}

/// The settings of a supervisor without an engine, and its socket.
fn alone(scratch: &Scratch) -> (Vec<(String, String)>, PathBuf) {
    let settings = fast(scratch.path(), &unique_name(), 1, scratch.path());
    (settings, scratch.path().join("state/control.sock"))
}

const PASSWORD: &[(&str, &str)] = &[("MSSQL_SA_PASSWORD", "x")];

/// A supervisor that must not start; what it says.
async fn refused(settings: &[(String, String)]) -> String {
    let mut command = Command::new(binary());
    command.arg("run").env_clear().stdin(Stdio::null());
    for (key, value) in settings {
        command.arg(format!("--{key}")).arg(value);
    }
    let (code, _, err) = outcome(command).await;
    assert_eq!(code, 1, "{err}");
    err
}

#[tokio::test]
async fn a_killed_supervisors_socket_is_replaced() {
    let scratch = Scratch::new();
    let (settings, socket) = alone(&scratch);
    let first = supervisor(&settings, PASSWORD).await;
    assert!(socket.exists());
    // SIGKILL: it can't tidy up.
    drop(first);
    assert!(socket.exists());
    let (code, _, err) = order("release", &socket).await;
    assert_eq!(code, 1);
    assert!(err.contains("nobody listens on it any more"), "{err}");
    let _second = supervisor(&settings, PASSWORD).await;
    obeyed("release", &socket).await;
}

#[tokio::test]
async fn a_living_supervisors_socket_is_not_taken() {
    let scratch = Scratch::new();
    let (settings, socket) = alone(&scratch);
    let _first = supervisor(&settings, PASSWORD).await;
    let err = refused(&settings).await;
    assert!(err.contains("another supervisor answers"), "{err}");
    assert!(err.contains(&socket.display().to_string()), "{err}");
    obeyed("release", &socket).await;
}

#[tokio::test]
async fn what_is_no_socket_is_neither_used_nor_removed() {
    let scratch = Scratch::new();
    let (settings, socket) = alone(&scratch);
    std::fs::create_dir(scratch.path().join("state")).expect("writable");
    std::fs::write(&socket, "precious").expect("writable");
    let err = refused(&settings).await;
    assert!(
        err.contains("is not a socket and is left as it is"),
        "{err}"
    );
    let content = std::fs::read_to_string(&socket).expect("it is there");
    assert_eq!(content, "precious");
    std::fs::remove_file(&socket).expect("it is ours");

    let elsewhere = scratch.path().join("elsewhere.sock");
    let _listener = UnixListener::bind(&elsewhere).expect("writable");
    symlink(&elsewhere, &socket).expect("writable");
    let err = refused(&settings).await;
    assert!(
        err.contains("is not a socket and is left as it is"),
        "{err}"
    );
    assert!(socket.is_symlink() && elsewhere.exists());
}

#[tokio::test]
async fn a_state_directory_that_cant_be_made_costs_no_probe() {
    let scratch = Scratch::new();
    let (mut settings, _) = alone(&scratch);
    // Not even root makes a directory below a file.
    let file = scratch.path().join("file");
    std::fs::write(&file, "").expect("writable");
    settings.retain(|(key, _)| key != "state-dir");
    let state_dir = file.join("state").display().to_string();
    settings.push(("state-dir".to_owned(), state_dir));
    let mut supervisor = supervisor(&settings, PASSWORD).await;
    let log = &supervisor.log;
    assert_eq!(log.matches("no control socket").count(), 1, "{log}");
    supervisor.finds("NotYetObserved").await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    assert_eq!(supervisor.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn without_a_supervisor_an_order_names_the_socket() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("state/control.sock");
    for words in ["pause --for 30m", "resume", "release"] {
        let (code, out, err) = order(words, &socket).await;
        assert_eq!((code, out.as_str()), (1, ""), "{words}");
        assert!(err.contains(&socket.display().to_string()), "{err}");
        assert!(err.contains("is the supervisor running"), "{err}");
    }
    // The variable says where as well as the flag does.
    let mut command = Command::new(binary());
    command
        .arg("release")
        .env_clear()
        .env("SUPERVISOR_STATE_DIR", scratch.path());
    let (code, _, err) = outcome(command).await;
    assert_eq!(code, 1);
    let expected = scratch.path().join("control.sock").display().to_string();
    assert!(err.contains(&expected), "{err}");
}
