//! The supervisor as a real process. Its JSON log is its stream of events: a test that waits for
//! something awaits the line that reports it, and never sleeps.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

use super::alerts::{Recorded, Scrape, compare, missing};
use super::http::{get, try_get};

/// The longest wait: nothing takes this long, and what would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait for the first look at the processes, which comes within a few milliseconds of the start.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// A running supervisor.
pub struct Supervisor {
    child: Child,
    lines: Lines<BufReader<pipe::Receiver>>,
    pub address: String,
    /// The lines so far, as they were written.
    pub log: String,
    /// The scrape before what is to come; the first one, until another is kept.
    before: Option<Scrape>,
}

impl Supervisor {
    /// Starts `binary` with these settings as flags; returns once it supervises.
    pub async fn start(
        binary: &Path,
        settings: &[(String, String)],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_with(Command::new(binary), settings, environment).await
    }

    /// Starts a supervisor as [`Self::start`] does, by a command of the caller's making.
    pub async fn start_with(
        mut command: Command,
        settings: &[(String, String)],
        environment: &[(&str, &str)],
    ) -> Self {
        command.arg("run").env_clear();
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
        let stderr = OwnedFd::from(child.stderr.take().expect("it is piped"));
        let stderr = pipe::Receiver::from_owned_fd(stderr).expect("it is a pipe");
        let mut supervisor = Self {
            child,
            lines: BufReader::new(stderr).lines(),
            address: String::new(),
            log: String::new(),
            before: None,
        };
        let started = supervisor
            .event(|event| event["message"] == "supervising")
            .await;
        let address = started["address"].as_str().expect("an address");
        supervisor.address = address.to_owned();
        supervisor.keeps_a_scrape().await;
        supervisor
    }

    /// Keeps the present scrape as the one before what is to come.
    pub async fn keeps_a_scrape(&mut self) {
        self.before = Some(self.scrape().await);
    }

    /// Returns what a scrape shows now.
    pub async fn scrape(&self) -> Scrape {
        Scrape::of(&self.get("/metrics").await.1)
    }

    /// Returns the next event of the log that is `wanted`.
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

    /// Returns the next event, however long it takes to come.
    pub async fn event_without_limit(&mut self) -> Value {
        let line = self.lines.next_line().await.expect("its log is readable");
        let Some(line) = line else {
            panic!("the supervisor ended:\n{}", self.log)
        };
        self.log.push_str(&line);
        self.log.push('\n');
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// Waits until `probe` fails; returns its reasons.
    pub async fn fails(&mut self, probe: &str) -> String {
        let event = self
            .event(|event| event["message"] == "fails" && event["probe"] == probe)
            .await;
        event["reasons"].as_str().expect("reasons").to_owned()
    }

    /// Waits until `probe` passes. The engine may answer before the first look at the processes: that is awaited as
    /// well, so that what is done to the engine next is seen.
    pub async fn passes(&mut self, probe: &str) {
        self.event(|event| event["message"] == "passes" && event["probe"] == probe)
            .await;
        if probe == "ready" {
            // Where nobody can look at processes there is no such look.
            let _ = tokio::time::timeout(FIRST_LOOK, self.observes("process")).await;
        }
    }

    /// Waits until the observer has reported something. A supervisor that ends meanwhile is not waited for.
    pub async fn observes(&self, observer: &str) {
        let age = format!("sql_edge_supervisor_observation_age_seconds{{observer=\"{observer}\"}}");
        while let Ok((_, text)) = try_get(&self.address, "/metrics").await {
            if Scrape::of(&text).value(&age).is_some() {
                return;
            }
        }
    }

    /// Waits until each of `probes` has passed, in whatever order.
    pub async fn passes_all(&mut self, probes: &[&str]) {
        let mut missing = probes.to_vec();
        while !missing.is_empty() {
            let event = self.event(|event| event["message"] == "passes").await;
            missing.retain(|probe| event["probe"] != *probe);
        }
    }

    /// Waits until a reason of this code is found; returns its evidence.
    pub async fn finds(&mut self, code: &str) -> String {
        let event = self
            .event(|event| event["code"] == code && event["evidence"].is_string())
            .await;
        event["evidence"].as_str().expect("evidence").to_owned()
    }

    /// Waits until a scrape shows the reason as active, and holds the series that its alert reads against the
    /// recorded ones.
    pub async fn raises(&self, reason: &str) {
        let active = format!("sql_edge_supervisor_reason_active{{reason=\"{reason}\"}}");
        let alert = format!("SqlEdge{reason}");
        self.raises_when(&alert, |scrape| scrape.value(&active) == Some(1.0))
            .await;
    }

    /// Does what [`Self::raises`] does for an alert whose series are `wanted`, and stay so.
    pub async fn raises_when(&self, alert: &str, wanted: impl Fn(&Scrape) -> bool) {
        let after = self.scraped(alert, wanted).await;
        let recorded = Recorded::of(alert, self.was(), Some(&after), false);
        compare(alert, &recorded, &after);
    }

    /// Does what [`Self::raises`] does for an alert whose series grow on as they did until `wanted`.
    pub async fn raises_by_growth(&self, alert: &str, wanted: impl Fn(&Scrape) -> bool) {
        let after = self.scraped(alert, wanted).await;
        let recorded = Recorded::of(alert, self.was(), Some(&after), true);
        compare(alert, &recorded, &after);
    }

    /// Does what [`Self::raises`] does for alerts on a supervisor that can't be scraped, because it is
    /// killed here.
    pub async fn raises_once_killed(mut self, alerts: &[&str]) {
        let before = self.scrape().await;
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is our child");
        let refused = tokio::net::TcpStream::connect(&self.address).await;
        assert!(refused.is_err(), "nobody is there to be scraped");
        for alert in alerts {
            let recorded = Recorded::of(alert, &before, None, false);
            compare(alert, &recorded, &before);
        }
    }

    fn was(&self) -> &Scrape {
        self.before.as_ref().expect("it was scraped at its start")
    }

    /// Returns the first scrape that is `wanted` and shows all that is recorded for the alert.
    async fn scraped(&self, alert: &str, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
        let mut lacks = None;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let scrape = self.scrape().await;
                if wanted(&scrape) {
                    lacks = missing(alert, &scrape);
                    if lacks.is_none() {
                        return scrape;
                    }
                }
            }
        });
        match found.await {
            Ok(scrape) => scrape,
            Err(_) => {
                let findings = &self.status().await["findings"];
                panic!(
                    "no scrape raises {alert}, or shows what is recorded for it ({lacks:?}): {findings:#}\n{}",
                    self.log
                )
            }
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether the process has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Ends the supervisor by SIGTERM; returns its exit status, and its log.
    pub async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        // Its end closes the log. Had it not ended within the patience, the wait would hang.
        let drained = tokio::time::timeout(PATIENCE, async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                self.log.push_str(&line);
                self.log.push('\n');
            }
        });
        drained.await.expect("SIGTERM ends it");
        let status = self.child.wait().expect("it is our child");
        (status, std::mem::take(&mut self.log))
    }

    /// Requests `path` by GET; returns status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path).await
    }

    pub async fn status(&self) -> Value {
        let (_, body) = self.get("/status").await;
        serde_json::from_str(&body).expect("JSON")
    }

    /// Waits until `path` is answered with this status; returns the body.
    pub async fn answers(&self, path: &str, wanted: u16) -> String {
        let asked = tokio::time::timeout(PATIENCE, async {
            loop {
                let (status, body) = self.get(path).await;
                if status == wanted {
                    return body;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        match asked.await {
            Ok(body) => body,
            Err(_) => panic!("{path} is never answered with {wanted}:\n{}", self.log),
        }
    }

    /// Waits for a status that is `wanted`.
    pub async fn status_with(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        let asked = tokio::time::timeout(PATIENCE, async {
            loop {
                status = self.status().await;
                if wanted(&status) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(
            asked.await.is_ok(),
            "it did not come: {status:#}\n{}",
            self.log
        );
        status
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Both fail where it has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
