//! How the engine is asked: at which address, as whom, and how often.

use crate::shared::container::until;
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{Effect, Fault, Match};
use crate::support::{Scratch, fast, standin, supervise, supervisor, unique_name};

/// The supervisor of `standin` without these settings, and with those.
async fn supervise_but(
    standin: &StandIn,
    name: &str,
    without: &[&str],
    with: &[(&str, &str)],
    environment: &[(&str, &str)],
) -> Supervisor {
    let own = &standin.options().directory;
    let mut settings = fast(own, name, standin.port(), &standin.data_dir());
    settings.retain(|(key, _)| !without.contains(&key.as_str()));
    settings.extend(with.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    supervisor(&settings, environment).await
}

#[tokio::test]
async fn the_engine_is_asked_where_it_listens_whatever_is_configured() {
    for port in [None, Some("1")] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = standin(&scratch, &name).await;
        let password = [("MSSQL_SA_PASSWORD", standin.password())];
        let port: Vec<_> = port.into_iter().map(|port| ("sql-port", port)).collect();
        let mut supervisor = supervise_but(&standin, &name, &["sql-port"], &port, &password).await;
        supervisor.passes("ready").await;
        assert_eq!(supervisor.get("/livez").await.0, 200);
    }
}

#[tokio::test]
async fn the_port_of_mssql_conf_is_asked_where_no_socket_is_seen() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let conf = format!("[network]\ntcpport = {}\n", standin.port());
    std::fs::write(standin.data_dir().join("mssql.conf"), conf).expect("writable");
    let password = [("MSSQL_SA_PASSWORD", standin.password())];
    // It looks for processes of another name, and so sees none.
    let other = [("process-name", "none-of-these")];
    let without = ["sql-port", "process-name"];
    let mut supervisor = supervise_but(&standin, &name, &without, &other, &password).await;
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn the_port_of_the_errorlog_is_asked_where_no_socket_is_seen() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    // It answers before it has written so.
    let listens = |log: &String| log.contains("Server is listening on [");
    until(|| standin.errorlog().ok().filter(listens)).await;
    let password = [("MSSQL_SA_PASSWORD", standin.password())];
    let other = [("process-name", "none-of-these")];
    let without = ["sql-port", "process-name"];
    let mut supervisor = supervise_but(&standin, &name, &without, &other, &password).await;
    supervisor.passes("ready").await;
}

/// A file with this password, for a login of the supervisor's own.
fn password_file(scratch: &Scratch, password: &str) -> String {
    let file = scratch.path().join("own-password");
    std::fs::write(&file, password).expect("writable");
    file.display().to_string()
}

/// The settings of a login of the supervisor's own, which it makes where it is not there.
fn login_of_its_own(password_file: &str) -> [(&str, &str); 3] {
    [
        ("sql-user", "watcher"),
        ("sql-password-file", password_file),
        ("sql-bootstrap-user", "sa"),
    ]
}

#[tokio::test]
async fn the_supervisor_makes_its_own_login() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let secret = password_file(&scratch, "Own'Secret-1\n");
    let more = login_of_its_own(&secret);
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    for statement in [
        "CREATE LOGIN [watcher]",
        "GRANT VIEW SERVER STATE TO [watcher]",
    ] {
        assert!(supervisor.log.contains(statement), "{}", supervisor.log);
    }
    let (_, log) = supervisor.terminate().await;
    for secret in ["Secret-1", standin.password()] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// The login whose permissions are refused is no login that is there: the next try makes both.
#[tokio::test]
async fn a_login_without_its_permissions_is_taken_back() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let refused = Fault {
        on: Match {
            contains: Some("GRANT VIEW ANY DEFINITION".to_owned()),
            ..Match::default()
        },
        effect: Effect::Error(SqlError::new(4613)),
        times: Some(1),
    };
    let faults = Command::Faults {
        faults: vec![refused],
    };
    standin.command(faults).await.expect("it obeys");
    let secret = password_file(&scratch, "Own-Secret-1");
    let more = login_of_its_own(&secret);
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor
        .event(|event| event["statement"] == "DROP LOGIN [watcher]")
        .await;
    supervisor
        .event(|event| event["message"] == "the supervisor's login could not be made")
        .await;
    drop(supervisor);
    // The next run need not wait for the next try of this one.
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let granted = "GRANT VIEW ANY DEFINITION TO [watcher]";
    assert!(supervisor.log.contains(granted), "{}", supervisor.log);
}

#[tokio::test]
async fn a_login_that_is_there_is_left_as_it_is() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let somebodys = Command::SetLogin {
        user: "watcher".to_owned(),
        password: "Somebody-1".to_owned(),
    };
    standin.command(somebodys).await.expect("it obeys");
    let secret = password_file(&scratch, "Another-1");
    let more = login_of_its_own(&secret);
    let mut supervisor = supervise(&standin, &name, &more).await;
    let said = supervisor
        .event(|event| {
            event["message"]
                .as_str()
                .is_some_and(|text| text.contains("left as it is"))
        })
        .await;
    assert_eq!(said["login"], "watcher");
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    // With the password that it has, it is let in.
    std::fs::write(&secret, "Somebody-1").expect("writable");
    supervisor.passes("ready").await;
}

#[tokio::test]
async fn a_wrong_password_reaches_the_engine_now_and_then_and_a_right_one_at_once() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let secret = scratch.path().join("password");
    std::fs::write(&secret, standin.password()).expect("writable");
    let path = secret.display().to_string();
    let more = [("sql-password-file", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let rotate = Command::SetLogin {
        user: "sa".to_owned(),
        password: "Rotated-1".to_owned(),
    };
    standin.command(rotate).await.expect("it obeys");
    supervisor.finds("LoginFailed").await;
    // Each answer is a look of ours at what several decisions a second were made from: by the end many
    // logins were due, at 100 and 300 ms.
    let mut looks = 0;
    let mut failed = 0.0;
    while failed < 60.0 {
        let (_, metrics) = supervisor.get("/metrics").await;
        failed = attempts(&metrics);
        looks += 1;
        assert!(looks < 1_000_000, "{metrics}");
        tokio::task::yield_now().await;
    }
    let refused = standin.statistics().await.expect("it tells").refused;
    let reached = refused.get("18456").copied().unwrap_or_default();
    assert!((1..=30).contains(&reached), "{refused:?} of {failed}");
    // The Secret follows: nobody waits for the pause to end.
    std::fs::write(&secret, "Rotated-1").expect("writable");
    supervisor
        .event(|event| {
            event["message"] == "the reason holds no longer" && event["code"] == "LoginFailed"
        })
        .await;
}

/// Logins and pings that failed, by the supervisor's own count.
fn attempts(metrics: &str) -> f64 {
    let failed = metrics.lines().filter(|line| {
        let counts = ["sql_edge_supervisor_ping_", "sql_edge_supervisor_login_"];
        counts.iter().any(|name| line.starts_with(name)) && line.contains("failures_total")
    });
    failed
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn a_line_break_that_belongs_to_the_password_is_found_out() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let with_break = Command::SetLogin {
        user: "sa".to_owned(),
        password: "Echoed-1\n".to_owned(),
    };
    standin.command(with_break).await.expect("it obeys");
    let secret = scratch.path().join("password");
    std::fs::write(&secret, "Echoed-1\n").expect("writable");
    let path = secret.display().to_string();
    let more = [("sql-password-file", path.as_str())];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
}
