//! A container: a process in mount and PID namespaces of its own, that can be frozen, killed and told
//! to stop as a runtime does it; its log.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

/// The kernel's name of the engine's two processes in every pod.
pub const ENGINE: &str = "sqlservr";
/// The word by which `launch` starts its agent.
pub const AGENT: &str = "agent";

/// Lines of the supervisor's own log, one JSON object each.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<Value>>>);

impl Events {
    fn push(&self, event: Value) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    /// How many there are so far: where to look from later.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Those from number `from` on that are wanted.
    pub fn since(&self, from: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = events.iter().skip(from);
        later.filter(|event| wanted(event)).cloned().collect()
    }

    /// Those with this message.
    pub fn said(&self, from: usize, message: &str) -> Vec<Value> {
        self.since(from, |event| event["message"] == message)
    }
}

/// One run of a container's command.
pub struct Container {
    /// It makes the namespaces, waits for the command and ends as that did; with it all of it ends.
    wrapper: Child,
}

impl Container {
    /// Runs `command` with `volume` mounted at `at` in its namespaces. Its JSON lines go to `events`, and
    /// as they are to `log`.
    pub fn start(
        command: &[String],
        environment: &[(&str, String)],
        (volume, at): (&Path, &Path),
        events: &Events,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut wrapper = Command::new("setpriv");
        wrapper
            // With this program the wrapper ends, and with that the command.
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args([
                "sh",
                "-c",
                "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"",
            ])
            .args([volume, at])
            .args(command)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut wrapper = wrapper
            .spawn()
            .context("setpriv and unshare (util-linux)")?;
        let stderr = OwnedFd::from(wrapper.stderr.take().context("it is piped")?);
        let lines = BufReader::new(pipe::Receiver::from_owned_fd(stderr)?).lines();
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        tokio::spawn(follow(lines, log, events.clone()));
        Ok(Self { wrapper })
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.wrapper.try_wait().context("waiting for a container")
    }

    /// Its first process, in this program's numbers; none while it starts or ends.
    pub fn first(&self) -> Option<i32> {
        children(i32::try_from(self.wrapper.id()).ok()?)
            .first()
            .copied()
    }

    /// For its first process.
    pub fn signal(&self, signal: Signal) -> bool {
        self.first().is_some_and(|pid| send(pid, signal))
    }

    /// The engine's processes, the outer one first.
    pub fn engine(&self) -> Vec<i32> {
        let mut found = self.processes();
        found.retain(|pid| comm(*pid).is_some_and(|name| name == ENGINE));
        found
    }

    /// The agent of `launch`; none while there is none.
    pub fn agent(&self) -> Option<i32> {
        let children = self.first().map(children).unwrap_or_default();
        let is_agent = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(AGENT.as_bytes())
        };
        children.into_iter().find(is_agent)
    }

    /// All that run in it, parents first.
    pub fn processes(&self) -> Vec<i32> {
        let mut found: Vec<i32> = self.first().into_iter().collect();
        let mut at = 0;
        while let Some(pid) = found.get(at) {
            found.extend(children(*pid));
            at += 1;
        }
        found
    }

    /// For each of its processes, those that are made meanwhile as well.
    pub fn signal_all(&self, signal: Signal) {
        let mut done = Vec::new();
        loop {
            let mut fresh = self.processes();
            fresh.retain(|pid| !done.contains(pid));
            if fresh.is_empty() {
                return;
            }
            for pid in fresh {
                send(pid, signal);
                done.push(pid);
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The end of a namespace's first process ends all of it, frozen or not.
        self.signal(Signal::KILL);
        let _ = self.wrapper.kill();
        let _ = self.wrapper.wait();
    }
}

async fn follow(
    mut lines: tokio::io::Lines<BufReader<pipe::Receiver>>,
    mut log: File,
    events: Events,
) {
    // It ends with the container.
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = writeln!(log, "{line}");
        if let Ok(event) = serde_json::from_str(&line) {
            events.push(event);
        }
    }
}

/// Whether it was there.
pub fn send(pid: i32, signal: Signal) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

fn children(pid: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn comm(pid: i32) -> Option<String> {
    let stat = Process::new(pid).ok()?.stat().ok()?;
    (stat.state != 'Z').then_some(stat.comm)
}
