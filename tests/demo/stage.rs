//! The two processes of the demo and where they live.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::shared::scratch::Scratch;
use crate::shared::supervisor::Supervisor;
use crate::standin::handle::{StandIn, StandInOptions};
use crate::standin::script::{Database, Phase, Script, StartPhase};

/// This program's name when it is the engine.
pub const ENGINE: &str = "sqlservr";
/// This program's name when it is the supervisor.
pub const SUPERVISOR: &str = "sql-edge-supervisor";
/// Returns the kernel's name of the engine's processes, at most 15 bytes: another engine on this machine, one
/// of a second demo included, is not ours.
fn comm() -> String {
    format!("sql-demo-{}", std::process::id() % 1_000_000)
}

/// The demo's processes. Dropped, they are gone, and their directory with them.
pub struct Stage {
    pub supervisor: Supervisor,
    pub engine: StandIn,
    pub password_file: PathBuf,
    // the last to go
    _scratch: Scratch,
}

impl Stage {
    pub async fn set() -> anyhow::Result<Self> {
        let scratch = Scratch::new();
        let program = std::env::current_exe().context("the demo's own path")?;
        for name in [ENGINE, SUPERVISOR] {
            symlink(&program, scratch.path().join(name)).context("a link to the demo")?;
        }
        let engine = engine(&scratch).await?;
        let password_file = scratch.path().join("password");
        std::fs::write(&password_file, engine.password()).context("the password file")?;
        let listen = match std::net::TcpListener::bind(("127.0.0.1", 9433)) {
            Ok(_) => "127.0.0.1:9433",
            Err(_) => "127.0.0.1:0",
        };
        let settings = [
            ("listen", listen),
            ("log-format", "json"),
            ("process-name", &comm()),
            ("sql-port", &engine.port().to_string()),
            ("sql-password-file", &password_file.display().to_string()),
            ("data-dir", &engine.data_dir().display().to_string()),
            ("require-mount", "false"),
            (
                "state-dir",
                &scratch.path().join("state").display().to_string(),
            ),
            ("required-databases", "orders"),
            // Faster than the defaults, so that nobody has to wait for half a minute.
            ("process-interval", "200ms"),
            ("ping-interval", "500ms"),
            ("ping-timeout", "500ms"),
            ("login-interval", "1s"),
            ("login-timeout", "1s"),
            ("databases-interval", "500ms"),
            ("databases-timeout", "1s"),
            ("volume-interval", "1s"),
            ("unresponsive-after", "4s"),
            ("ready-freshness", "2s"),
            ("settle", "500ms"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let binary = scratch.path().join(SUPERVISOR);
        let supervisor = Supervisor::start(&binary, &settings, &[]).await;
        Ok(Self {
            supervisor,
            engine,
            password_file,
            _scratch: scratch,
        })
    }
}

/// An engine that takes a moment to start, and then recovers a database.
async fn engine(scratch: &Scratch) -> anyhow::Result<StandIn> {
    let phase = |phase, ms| StartPhase {
        phase,
        ms: Some(ms),
    };
    let recovering = Phase::Recovering {
        databases: vec!["orders".to_owned()],
        percent: None,
    };
    let mut script = Script {
        start: vec![
            phase(Phase::Refusing, 1000),
            phase(Phase::NotReady, 700),
            phase(recovering, 2500),
        ],
        ..Script::default()
    };
    script.databases.push(Database::online("orders"));
    let mut options = StandInOptions::new(scratch.path().join(ENGINE), scratch.path().join("pod"));
    options
        .environment
        .push(("STANDIN_NAME".into(), comm().into()));
    StandIn::start(options.script(script)).await
}
