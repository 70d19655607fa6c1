//! An engine that is well and can't be asked, for each cause: an hour later it is the same process.
//!
//! The hour is scaled as the settings are: `startup-stalled-after`, a quarter of an hour by default, is a second
//! here, and everything else is below it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::shared::supervisor::Supervisor;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, standin, supervise, unique_name};

/// Four quarters of an hour.
const AN_HOUR: Duration = Duration::from_secs(4);

/// A server of HTTP, to the end of the test run.
fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address.port().to_string()
}

/// A peer that accepts and never says a word.
fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().flatten().collect();
        drop(held);
    });
    address.port().to_string()
}

/// Field 22 of /proc/PID/stat, counted behind the command's closing bracket: the start in ticks.
fn start_of(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a command");
    let start = fields.split_whitespace().nth(19).expect("22 fields");
    start.parse().expect("a number")
}

/// The engine with the supervisor beside it, which has this mistake in its settings.
async fn an_hour(mistake: &[(&str, &str)]) -> (StandIn, Supervisor, Scratch) {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let before = (standin.child_pid(), start_of(standin.child_pid()));
    let mut settings = vec![
        ("restart-by", "supervisor"),
        ("startup-stalled-after", "1s"),
        ("unresponsive-after", "1s"),
        ("login-timeout", "500ms"),
        ("listener-lost-after", "1s"),
    ];
    settings.extend(mistake);
    let supervisor = supervise(&standin, &name, &settings).await;
    tokio::time::sleep(AN_HOUR).await;
    let after = (standin.child_pid(), start_of(standin.child_pid()));
    assert_eq!(
        before,
        after,
        "{mistake:?}: {:#}",
        supervisor.status().await
    );
    let status = supervisor.status().await;
    assert!(status["lastRestart"].is_null(), "{mistake:?}: {status:#}");
    assert_eq!(supervisor.get("/livez").await.0, 200, "{mistake:?}");
    (standin, supervisor, scratch)
}

#[tokio::test]
async fn an_engine_that_cannot_be_asked_is_the_same_process_an_hour_later() {
    let (web, silent) = (web_server(), silent_server());
    let mistakes: &[&[(&str, &str)]] = &[
        &[("sql-password-file", "/no/such/file")],
        &[("sql-user", "nobody")],
        &[("sql-port", "1")],
        &[("sql-port", &web)],
        &[("sql-port", &silent)],
        &[("sql-host", "127.0.0.9")],
        &[("sql-host", "no-such-host.invalid")],
        &[("sql-tls", "strict")],
    ];
    let hours = mistakes.iter().map(|mistake| an_hour(mistake));
    futures_util::future::join_all(hours).await;
}

#[tokio::test]
async fn the_cause_is_named() {
    for (mistake, code) in [
        (
            ("sql-password-file", "/no/such/file"),
            "CredentialsUnreadable",
        ),
        (("sql-user", "nobody"), "LoginFailed"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = standin(&scratch, &name).await;
        let mut supervisor = supervise(&standin, &name, &[mistake]).await;
        supervisor.finds(code).await;
    }
}

/// Under `pause` the engine has no connection of the supervisor's; with `resume` it is asked anew.
#[tokio::test]
async fn under_pause_nothing_connects() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let socket = standin.options().directory.join("state/control.sock");
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let order = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::support::binary());
        command.args(arguments).arg("--control-socket").arg(&socket);
        let done = command.status().expect("it runs");
        assert!(done.success(), "{arguments:?}");
    };
    order(&["pause", "--for", "1h"]);
    supervisor.finds("Maintenance").await;
    let logins = async || {
        let statistics = standin.statistics().await.expect("it answers");
        serde_json::to_value(statistics).expect("plain data")
    };
    // Connections that were open are closed first; from then on nothing is counted any more.
    let mut before = logins().await;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = logins().await;
        if now == before {
            break;
        }
        before = now;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(logins().await, before, "ten pings would have been asked");
    assert_eq!(supervisor.get("/readyz").await.0, 200, "as it was proven");
    order(&["resume"]);
    loop {
        let now = logins().await;
        if now != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    supervisor.passes("ready").await;
}
