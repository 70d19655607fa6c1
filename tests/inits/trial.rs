//! One first process, tried.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::shared::container::{Container, fifo, until, with_argument};
use crate::shared::scratch::Scratch;
use crate::standin::command::Command;
use crate::standin::handle::{DEFAULT_PASSWORD, built_binary, send};

/// After SIGTERM, from the kubelet's grace of 30 s, scaled: a container that is there still is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long the engine's shutdown takes: checkpoints take seconds in reality.
const SHUTDOWN: Duration = Duration::from_millis(500);
/// For the dead to be reaped.
const SETTLE: Duration = Duration::from_secs(1);
/// Orphans that end while the engine runs, the image's scripts leave some.
const ORPHANS: usize = 5;
/// For the engine to announce itself; a start takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// The engine's data directory. There is no sidecar: `launch` proves by itself that this is its volume.
const DATA: &str = "mssql";
/// What runs beside the engine.
const COMPANIONS: usize = 2;

/// A first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// The command's shell itself.
    None,
    Tini,
    /// With `-g`: signals go to the whole process group.
    TiniGroup,
    Dumb,
    /// With `-c`: signals go to the child alone.
    DumbSingle,
    Launch,
}

impl Init {
    pub const ALL: &[Self] = &[
        Self::None,
        Self::Tini,
        Self::TiniGroup,
        Self::Dumb,
        Self::DumbSingle,
        Self::Launch,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none (the shell)",
            Self::Tini => "tini",
            Self::TiniGroup => "tini -g",
            Self::Dumb => "dumb-init",
            Self::DumbSingle => "dumb-init -c",
            Self::Launch => "launch",
        }
    }

    fn command(self, scratch: &Path) -> Vec<String> {
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match self {
            Self::None => Vec::new(),
            Self::Tini => words("tini --"),
            Self::TiniGroup => words("tini -g --"),
            Self::Dumb => words("dumb-init --"),
            Self::DumbSingle => words("dumb-init -c --"),
            Self::Launch => {
                let mut command = vec![supervisor().display().to_string()];
                let state = scratch.join("state");
                let settings = format!(
                    "launch --state-dir {} --data-dir {} --require-mount false --disk-full-bytes 1Mi \
                     --gate-patience 10ms --launch-listen 127.0.0.1:0 --log-level warn --",
                    state.display(),
                    scratch.join(DATA).display(),
                );
                command.extend(words(&settings));
                command
            }
        }
    }
}

/// Beside the example's own folder.
fn supervisor() -> PathBuf {
    let own = std::env::current_exe().expect("it runs");
    let found = own
        .ancestors()
        .map(|folder| folder.join("sql-edge-supervisor"))
        .find(|path| path.is_file());
    found.expect("cargo build makes the binary beside the examples")
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The errorlog ends as after a shutdown.
    pub clean: bool,
    /// The container's exit code after SIGTERM; none where it had to be killed.
    pub stopped: Option<i32>,
    /// The same after the engine died of SIGSEGV, which is 139 as a shell writes it.
    pub crashed: Option<i32>,
    /// Dead processes that nobody had reaped while the engine ran.
    pub zombies: usize,
    /// Companions that were not asked to end when the engine had ended, and were cut off by the kernel.
    pub orphans: usize,
}

impl Outcome {
    /// What `launch` promises: a clean stop that is reported as one, the engine's own status after a
    /// crash, no zombies, and a SIGTERM for whatever outlives the engine.
    pub fn is_right(&self) -> bool {
        *self
            == Self {
                clean: true,
                stopped: Some(0),
                crashed: Some(139),
                zombies: 0,
                orphans: 0,
            }
    }
}

/// One container for one question.
pub struct Trial {
    scratch: Scratch,
    container: Container,
}

impl Trial {
    /// Everything that is asked of `init`.
    pub async fn run(init: Init) -> Outcome {
        let mut trial = Self::start(init, 1).await;
        let zombies = trial.zombies().await;
        let last = Command::ShutdownMs {
            ms: SHUTDOWN.as_millis() as u64,
        };
        send(&trial.path("control.sock"), &last)
            .await
            .expect("it obeys");
        trial.container.signal(Signal::TERM);
        let stopped = tokio::time::timeout(GRACE, trial.container.ends()).await;
        let log = std::fs::read_to_string(trial.path("mssql/log/errorlog")).unwrap_or_default();
        let clean = log.contains("SQL Trace was stopped due to server shutdown");
        drop(trial);

        let mut trial = Self::start(init, 2).await;
        // It does not live to answer.
        let _ = send(&trial.path("control.sock"), &Command::Die { signal: 11 }).await;
        let crashed = tokio::time::timeout(GRACE, trial.container.ends()).await;
        let asked = std::fs::read_to_string(trial.path("asked")).unwrap_or_default();
        Outcome {
            clean,
            stopped: stopped.ok().and_then(|status| status.code()),
            crashed: crashed.ok().and_then(|status| status.code()),
            zombies,
            orphans: COMPANIONS - asked.lines().count(),
        }
    }

    /// The image's kind of command below `init`, up and with its orphans dead.
    async fn start(init: Init, count: u32) -> Self {
        let scratch = Scratch::new();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        for folder in ["state", DATA] {
            std::fs::create_dir(scratch.path().join(folder)).expect("writable");
        }
        let mut announced = fifo(&scratch.path().join("announce"));
        let companion = crate::shared::container::marker(init as u32 * 10 + count);
        let engine = built_binary().expect("cargo build makes the stand-in");
        let asked = path("asked");
        std::fs::write(
            scratch.path().join("companion"),
            format!(
                "trap 'echo asked >> {asked}; kill $!; exit' TERM\nsleep {companion} &\nwait\n"
            ),
        )
        .expect("writable");
        let companions = format!("sh {} & ", path("companion")).repeat(COMPANIONS);
        let orphans = "(true &); ".repeat(ORPHANS);
        let script = format!(
            "{companions} {orphans} {} --data-dir {} --control {} --announce {}",
            engine.display(),
            path(DATA),
            path("control.sock"),
            path("announce"),
        );
        let mut command = init.command(scratch.path());
        command.extend(["sh".to_owned(), "-c".to_owned(), script]);
        let environment = [("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD)];
        let container = Container::start(&command, &environment, &scratch.path().join("log"));
        let line = tokio::time::timeout(PATIENCE, announced.next_line()).await;
        if !matches!(line, Ok(Ok(Some(_)))) {
            let log = std::fs::read_to_string(scratch.path().join("log")).unwrap_or_default();
            panic!("no engine started under {}:\n{log}", init.name());
        }
        until(|| (with_argument(&companion).len() == COMPANIONS).then_some(())).await;
        Self { scratch, container }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The dead among what is below the first process, once they have had time to be reaped.
    async fn zombies(&self) -> usize {
        tokio::time::sleep(SETTLE).await;
        let below = self.container.processes();
        below.iter().filter(|process| process.state == 'Z').count()
    }
}
