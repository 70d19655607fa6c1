//! A SQL container with `launch`, and what is needed around it.

use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{BufReader, Lines};
use tokio::net::unix::pipe;

use crate::shared::container::{Container, all_processes, fifo, marker, process, until};
use crate::shared::supervisor::Supervisor;
use crate::standin::boot::Announcement;
use crate::standin::command::{Command, Reply};
use crate::standin::handle::{DEFAULT_PASSWORD, send};
use crate::support::{Scratch, binary, fast, standin_binary, unique_name};

/// Where everything of one test is.
pub struct Site {
    pub scratch: Scratch,
    pub name: String,
    /// The argument of the companions, by which they are found.
    pub companion: String,
    /// The uid of the containers' processes, with gid 0; root where there is none.
    pub uid: Option<u32>,
    /// Further settings of `launch`.
    pub settings: Vec<(String, String)>,
    /// A command of the shell that is run in the container before `launch`; empty for none.
    pub before: String,
    /// The data directory, where it is another one than the site's own.
    pub volume: Option<PathBuf>,
    announced: Lines<BufReader<pipe::Receiver>>,
    port: u16,
}

impl Site {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("state")).expect("writable");
        std::fs::create_dir(scratch.path().join("mssql")).expect("writable");
        let announced = fifo(&scratch.path().join("announce"));
        let count = unique_name();
        let number = count.rsplit('-').next().and_then(|text| text.parse().ok());
        Self {
            name: count.clone(),
            companion: marker(number.expect("a number")),
            uid: None,
            settings: Vec::new(),
            before: String::new(),
            volume: None,
            announced,
            scratch,
            port: 0,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.volume.clone().unwrap_or_else(|| self.path("mssql"))
    }

    /// Adds settings of `launch`, and of a supervisor that is started here.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            self.settings.push(((*key).to_owned(), (*value).to_owned()));
        }
    }

    /// The agent of `container`, which runs.
    pub async fn agent(&self, container: &Container) -> Pid {
        until(|| self.agent_now(container)).await
    }

    /// The same, if one runs.
    pub fn agent_now(&self, container: &Container) -> Option<Pid> {
        let found = container.processes().into_iter().find(|p| {
            let line = std::fs::read(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default();
            let is_agent = line.split(|byte| *byte == 0).any(|word| word == b"agent");
            p.parent == container.init() && p.state != 'Z' && is_agent
        });
        Pid::from_raw(found?.pid)
    }

    /// The engine's own command line.
    pub fn engine(&self) -> String {
        format!(
            "{} --data-dir {} --port {} --control {} --announce {}",
            standin_binary().display(),
            self.data_dir().display(),
            self.port,
            self.text("control.sock"),
            self.text("announce"),
        )
    }

    /// The image's kind of command.
    pub fn shell(&self) -> Vec<String> {
        let (companion, engine) = (&self.companion, self.engine());
        let script = format!("sleep {companion} & sleep {companion} & {engine}");
        ["sh", "-c", &script].map(str::to_owned).to_vec()
    }

    /// `launch` with `command`, without a supervisor to wait for.
    pub fn launch(&self, command: &[String]) -> Container {
        self.launch_waiting("10ms", command)
    }

    /// `launch` with `command`, which waits for a supervisor for so long.
    pub fn launch_waiting(&self, patience: &str, command: &[String]) -> Container {
        let mut line = self.line(patience);
        line.push("--".to_owned());
        line.extend_from_slice(command);
        if !self.before.is_empty() {
            let script = format!("{} && exec \"$@\"", self.before);
            let before = ["sh", "-c", &script, "sh"].map(str::to_owned);
            line.splice(..0, before);
        }
        self.start(&line)
    }

    /// `launch` without a command, where the directory `image` is /opt, and without a supervisor to wait for.
    pub fn launch_image(&self, image: &str) -> Container {
        // The container has mounts of its own.
        let mount = "mount --bind \"$0\" /opt && exec \"$@\"";
        let mut line = ["sh", "-c", mount, image].map(str::to_owned).to_vec();
        line.extend(self.line("10ms"));
        self.start(&line)
    }

    /// `launch` with its settings.
    fn line(&self, patience: &str) -> Vec<String> {
        let mut line = self.as_user();
        line.extend([binary().display().to_string(), "launch".to_owned()]);
        let own = [
            ("state-dir", self.text("state")),
            ("data-dir", self.data_dir().display().to_string()),
            ("process-name", self.name.clone()),
            ("process-interval", "100ms".to_owned()),
            ("volume-interval", "100ms".to_owned()),
            ("gate-patience", patience.to_owned()),
            ("require-mount", "false".to_owned()),
            ("disk-full-bytes", "1Mi".to_owned()),
            ("volume-timeout", "1s".to_owned()),
            ("ping-interval", "100ms".to_owned()),
            ("ping-timeout", "200ms".to_owned()),
            ("ready-freshness", "1500ms".to_owned()),
            ("settle", "300ms".to_owned()),
            ("sql-port", self.port.max(1).to_string()),
            ("launch-listen", "127.0.0.1:0".to_owned()),
            ("log-format", "json".to_owned()),
            ("termination-log", self.text("termination-log")),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let given = |key: &str| self.settings.iter().any(|(given, _)| given == key);
        let own = own.iter().filter(|(key, _)| !given(key));
        for (key, value) in own.chain(&self.settings) {
            line.extend([format!("--{key}"), value.clone()]);
        }
        line
    }

    /// Where a file with a part's name has it panic.
    pub fn panics(&self) -> String {
        self.text("panics")
    }

    /// The words that make a command run as the containers' user.
    fn as_user(&self) -> Vec<String> {
        let Some(uid) = self.uid else { return vec![] };
        let uid = format!("--reuid={uid}");
        [
            "setpriv",
            &uid,
            "--regid=0",
            "--clear-groups",
            "--no-new-privs",
            "--",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn start(&self, line: &[String]) -> Container {
        let panics = self.panics();
        let environment = [
            ("STANDIN_NAME", self.name.as_str()),
            ("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD),
            ("SQL_EDGE_SUPERVISOR_PANICS", &panics),
        ];
        Container::start(line, &environment, &self.path("launch.log"))
    }

    /// Waits until the engine answers; the next start has the same port.
    pub async fn announced(&mut self) -> Announcement {
        let line = self.announced.next_line();
        let line = tokio::time::timeout(std::time::Duration::from_secs(60), line).await;
        let Ok(Ok(Some(line))) = line else {
            panic!("it does not start:\n{}\n{}", self.log(), self.errorlog());
        };
        let said: Announcement = serde_json::from_str(&line).expect("an announcement");
        self.port = said.port;
        said
    }

    pub async fn command(&self, command: Command) -> Reply {
        let sent = send(&self.path("control.sock"), &command).await;
        sent.expect("the stand-in obeys")
    }

    pub fn errorlog(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("log/errorlog")).unwrap_or_default()
    }

    /// The log of `launch` so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("launch.log")).unwrap_or_default()
    }

    /// The events of its log that bear this message.
    pub fn events(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["message"] == message).collect()
    }

    /// Waits for an event of its log that bears this message; the last one.
    pub async fn says(&self, message: &str) -> Value {
        until(|| self.events(message).pop()).await
    }

    /// Where the agent answers the kubelet's probes.
    pub async fn probes(&self) -> String {
        let said = self.says("answers the kubelet's probes").await;
        said["address"].as_str().expect("an address").to_owned()
    }

    /// The supervisor in a PID namespace of its own: it sees no process of the engine's.
    pub async fn supervisor(&self, more: &[(&str, &str)]) -> Supervisor {
        let mut settings = fast(
            self.scratch.path(),
            &self.name,
            self.port.max(1),
            &self.data_dir(),
        );
        let restart = ("restart-by", "supervisor");
        let shared = self
            .settings
            .iter()
            .filter(|(key, _)| key.starts_with("lease"));
        settings.extend(shared.cloned());
        for (key, value) in [restart].iter().chain(more) {
            settings.retain(|(before, _)| before != key);
            settings.push(((*key).to_owned(), (*value).to_owned()));
        }
        let mut command = std::process::Command::new("unshare");
        command
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
            .args(self.as_user())
            .arg(binary());
        let panics = self.panics();
        let environment = [
            ("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD),
            ("PATH", "/usr/bin:/bin"),
            ("SQL_EDGE_SUPERVISOR_PANICS", &panics),
        ];
        Supervisor::start_with(command, &settings, &environment).await
    }
}

/// SIGKILL to a supervisor; returns once it is gone, and the way is free for another.
pub async fn kill(supervisor: Supervisor) {
    let unshare = supervisor.pid().as_raw_nonzero().get();
    let inner = all_processes().into_iter().find(|p| p.parent == unshare);
    let inner = inner.expect("it runs").pid;
    kill_process(Pid::from_raw(inner).expect("a pid"), Signal::KILL).expect("it runs");
    // It ends once it has reaped the other one, with all its threads.
    until(|| {
        process(unshare)
            .is_none_or(|p| p.state == 'Z')
            .then_some(())
    })
    .await;
    drop(supervisor);
}

/// SIGTERM to the container; how it ended.
pub async fn stop(container: &mut Container) -> ExitStatus {
    container.signal(Signal::TERM);
    container.ends().await
}

/// 17148, and the words after the last checkpoint.
pub fn is_clean(errorlog: &str) -> bool {
    errorlog.contains("in response to a 'stop' request")
        && errorlog.contains("SQL Trace was stopped due to server shutdown")
}
