//! What has to hold on any real engine. Without more these tests run on the stand-in, as all others do; where
//! `LIVE_SQL` names a server, they run on that one (`tests/run --live`):
//!
//! | variable | what |
//! | --- | --- |
//! | `LIVE_SQL` | its address, `127.0.0.1:1433` |
//! | `LIVE_SQL_PASSWORD` | the password of `sa` |
//! | `LIVE_SQL_DATA_DIR` | its `/var/opt/mssql`, as this machine sees it: a bind mount of its container |
//! | `LIVE_SQL_PROCESS` | the kernel's name of its processes, `sqlservr` |
//!
//! It has to run on this machine, where its processes can be seen. Nothing of it is stopped or killed; a login
//! `sql_edge_live` is made in it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt as _;

use crate::collectors::first_turns;
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, binary, fast, standin, supervisor, unique_name};

/// The login that `setup-sql` makes here.
const LOGIN: &str = "sql_edge_live";
/// As the password policy wants it: long, and of three kinds of characters.
const LOGIN_PASSWORD: &str = "Looks-0nly-and-changes-nothing";

/// An engine, the real one or the stand-in.
struct Engine {
    port: u16,
    password: String,
    data_dir: PathBuf,
    process: String,
    scratch: Scratch,
    _standin: Option<StandIn>,
}

impl Engine {
    async fn there() -> Self {
        let scratch = Scratch::new();
        let Ok(address) = std::env::var("LIVE_SQL") else {
            let process = unique_name();
            let standin = standin(&scratch, &process).await;
            return Self {
                port: standin.port(),
                password: standin.password().to_owned(),
                data_dir: standin.data_dir(),
                process,
                scratch,
                _standin: Some(standin),
            };
        };
        let given = |name: &str| {
            let value = std::env::var(name);
            value.unwrap_or_else(|_| {
                panic!("{name} is needed with LIVE_SQL, see the head of this file")
            })
        };
        let (host, port) = address.rsplit_once(':').expect("LIVE_SQL is HOST:PORT");
        assert_eq!(host, "127.0.0.1", "the engine has to run on this machine");
        Self {
            port: port.parse().expect("the port of LIVE_SQL is a number"),
            password: given("LIVE_SQL_PASSWORD"),
            data_dir: given("LIVE_SQL_DATA_DIR").into(),
            process: std::env::var("LIVE_SQL_PROCESS").unwrap_or_else(|_| "sqlservr".to_owned()),
            scratch,
            _standin: None,
        }
    }

    /// A supervisor on it, which looks and does not act.
    async fn supervise(&self, own: &str, more: &[(&str, &str)], password: &str) -> Supervisor {
        let own = self.scratch.path().join(own);
        let mut settings = fast(&own, &self.process, self.port, &self.data_dir);
        // The tests run side by side, and each is a pod of its own to the lease.
        let more = [
            ("lease", "off"),
            ("ping-timeout", "2s"),
            ("databases-timeout", "5s"),
            ("login-timeout", "5s"),
            ("unresponsive-after", "30s"),
            ("ready-freshness", "6s"),
        ]
        .iter()
        .chain(more);
        for (key, value) in more {
            settings.retain(|(before, _)| before != key);
            settings.push(((*key).to_owned(), (*value).to_owned()));
        }
        supervisor(&settings, &[("MSSQL_SA_PASSWORD", password)]).await
    }

    /// Runs a script of batches, each ended by GO, as `sa`.
    async fn run(&self, script: &str) {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(self.port);
        config.authentication(AuthMethod::sql_server("sa", &self.password));
        config.encryption(EncryptionLevel::NotSupported);
        config.trust_cert();
        let stream = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("it listens");
        let mut client = Client::connect(config, stream.compat_write())
            .await
            .expect("sa may log in");
        for batch in script
            .split("\nGO\n")
            .filter(|batch| !batch.trim().is_empty())
        {
            let answer = client.simple_query(batch).await.expect("it is sent");
            answer
                .into_results()
                .await
                .unwrap_or_else(|error| panic!("{batch}: {error}"));
        }
    }
}

/// The first `/status` that is as `wanted`; it is asked again and again, as each answer may be the one.
async fn until(supervisor: &Supervisor, wanted: impl Fn(&Value) -> bool) -> Value {
    let asked = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let status = supervisor.status().await;
            if wanted(&status) {
                return status;
            }
        }
    });
    asked.await.expect("it comes to that")
}

#[tokio::test]
async fn each_probe_is_answered() {
    let engine = Engine::there().await;
    let mut supervisor = engine.supervise("a", &[], &engine.password).await;
    supervisor.passes_all(&["startup", "ready"]).await;
    assert_eq!(supervisor.get("/livez").await.0, 200);
    let seen = |status: &Value| {
        status["sql"]["version"].is_string() && status["process"]["engine"]["pid"].is_number()
    };
    let status = until(&supervisor, seen).await;
    assert_eq!(status["phase"], "running", "{status:#}");
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
    assert!(!log.contains(&engine.password));
}

#[tokio::test]
async fn a_wrong_password_is_named_and_restarts_nothing() {
    let engine = Engine::there().await;
    let mut supervisor = engine.supervise("a", &[], "certainly-not-it").await;
    supervisor.finds("LoginFailed").await;
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_login_that_may_only_look_sees_enough() {
    let engine = Engine::there().await;
    let script = std::process::Command::new(binary())
        .args(["setup-sql", "--login", LOGIN])
        .output()
        .expect("it runs");
    let script = String::from_utf8(script.stdout).expect("T-SQL");
    engine
        .run(&script.replace("<password>", LOGIN_PASSWORD))
        .await;
    let more = [("sql-user", LOGIN)];
    let mut supervisor = engine.supervise("a", &more, LOGIN_PASSWORD).await;
    supervisor.passes("ready").await;
    // A complete report of the diagnostics takes the engine five seconds.
    let diagnostics = |status: &Value| status["sql"]["diagnostics"]["system"].is_string();
    until(&supervisor, diagnostics).await;
    let (_, body) = supervisor.get("/readyz?verbose").await;
    assert!(!body.contains("PermissionMissing"), "{body}");
}

#[tokio::test]
async fn each_collector_succeeds_or_is_of_another_product() {
    let engine = Engine::there().await;
    let mut supervisor = engine.supervise("a", &[], &engine.password).await;
    for (collector, reason) in first_turns(&mut supervisor).await {
        assert_eq!(reason, "unsupported", "{collector}");
    }
    let (_, metrics) = supervisor.get("/metrics").await;
    for family in [
        "mssql_connections",
        "mssql_io_stall_seconds_total",
        "sql_edge_wait_seconds_total",
    ] {
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{family}");
    }
}
