//! The supervisor as a real process. Its JSON log is its stream of events: who waits for something
//! awaits the line that says so, and never sleeps.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::http::get;

/// Nothing takes this long; what would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running supervisor.
pub struct Supervisor {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    pub address: String,
    /// Every line so far, as it was written.
    pub log: String,
}

impl Supervisor {
    /// `binary` with these settings as flags; returns once it supervises.
    pub async fn start(
        binary: &Path,
        settings: &[(String, String)],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(binary);
        command.arg("run").env_clear().kill_on_drop(true);
        for (key, value) in settings {
            command.arg(format!("--{key}")).arg(value);
        }
        for (key, value) in environment {
            command.env(key, value);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the supervisor's binary runs");
        let stderr = child.stderr.take().expect("it is piped");
        let mut supervisor = Self {
            child,
            lines: BufReader::new(stderr).lines(),
            address: String::new(),
            log: String::new(),
        };
        let started = supervisor
            .event(|event| event["message"] == "supervising")
            .await;
        let address = started["address"].as_str().expect("an address");
        supervisor.address = address.to_owned();
        supervisor
    }

    /// The next event of the log that is `wanted`.
    pub async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.event_without_limit().await;
                if wanted(&event) {
                    return event;
                }
            }
        });
        match found.await {
            Ok(event) => event,
            Err(_) => panic!("it did not come:\n{}", self.log),
        }
    }

    /// The next event, however long it takes to come.
    pub async fn event_without_limit(&mut self) -> Value {
        let line = self.lines.next_line().await.expect("its log is readable");
        let Some(line) = line else {
            panic!("the supervisor ended:\n{}", self.log)
        };
        self.log.push_str(&line);
        self.log.push('\n');
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// Waits until `probe` fails; its reasons.
    pub async fn fails(&mut self, probe: &str) -> String {
        let event = self
            .event(|event| event["message"] == "fails" && event["probe"] == probe)
            .await;
        event["reasons"].as_str().expect("reasons").to_owned()
    }

    /// Waits until `probe` passes.
    pub async fn passes(&mut self, probe: &str) {
        self.event(|event| event["message"] == "passes" && event["probe"] == probe)
            .await;
    }

    /// Waits until a reason of this code is found; its evidence.
    pub async fn finds(&mut self, code: &str) -> String {
        let event = self
            .event(|event| event["code"] == code && event["evidence"].is_string())
            .await;
        event["evidence"].as_str().expect("evidence").to_owned()
    }

    pub fn pid(&self) -> Pid {
        let id = self.child.id().expect("it runs");
        Pid::from_raw(i32::try_from(id).expect("a pid")).expect("not zero")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// SIGTERM; its exit status.
    pub async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                self.log.push_str(&line);
                self.log.push('\n');
            }
            self.child.wait().await.expect("it is our child")
        });
        let status = ended.await.expect("SIGTERM ends it");
        (status, self.log)
    }

    /// GET; status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path).await
    }

    pub async fn status(&self) -> Value {
        let (_, body) = self.get("/status").await;
        serde_json::from_str(&body).expect("JSON")
    }
}
