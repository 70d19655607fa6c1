//! A container, as far as its processes go: a PID namespace of its own with a first process in it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

/// The longest wait: nothing takes this long, and what would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A first process, and all that is below it.
pub struct Container {
    /// The process of unshare(1), which ends as its child, the first process, does.
    unshare: Child,
    /// The pid and the pidfd of the first process; none where it ended before it was found.
    init: Option<(i32, OwnedFd)>,
    ended: AsyncFd<OwnedFd>,
    log: PathBuf,
}

/// A process of the container, as this namespace sees it.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub name: String,
    pub state: char,
}

impl Container {
    /// Starts `command` as the first process of a PID namespace with its own `/proc`. Its standard
    /// error goes to `log`.
    pub fn start(command: &[String], environment: &[(&str, &str)], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let unshare = Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
            .args(command)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file.expect("the log is writable"))
            .spawn()
            .expect("unshare runs: the tests need root and util-linux");
        let init_pid = only_child(&unshare);
        Self {
            ended: watched(Pid::from_child(&unshare)),
            init: init_pid.and_then(|pid| Some((pid, pidfd(pid)?))),
            unshare,
            log: log.to_owned(),
        }
    }

    /// Signals the first process, as the runtime does.
    pub fn signal(&self, signal: Signal) {
        if let Some((_, init)) = &self.init {
            // It may have ended.
            let _ = pidfd_send_signal(init, signal);
        }
    }

    /// Returns the pid of the first process, as this namespace sees it.
    pub fn init(&self) -> i32 {
        self.init.as_ref().map_or(0, |(pid, _)| *pid)
    }

    /// Returns every process below the first one, without that one itself.
    pub fn processes(&self) -> Vec<Process> {
        let all = all_processes();
        let mut below: Vec<i32> = self.init.iter().map(|(pid, _)| *pid).collect();
        let mut found: Vec<Process> = Vec::new();
        while let Some(parent) = below.pop() {
            for process in all.iter().filter(|process| process.parent == parent) {
                below.push(process.pid);
                found.push(process.clone());
            }
        }
        found
    }

    /// Waits until a process below the first one has this name and is `wanted`.
    pub async fn finds(&self, name: &str, wanted: impl Fn(&Process) -> bool) -> Process {
        until(|| {
            let found = self.processes();
            found.into_iter().find(|p| p.name == name && wanted(p))
        })
        .await
    }

    /// Waits for the container's end; returns its exit status as the runtime sees it.
    pub async fn ends(&mut self) -> ExitStatus {
        match tokio::time::timeout(PATIENCE, self.ended.readable()).await {
            Ok(ended) => ended.expect("a pidfd").retain_ready(),
            Err(_) => panic!("it does not end: {}", self.state()),
        }
        self.unshare.wait().expect("it is our child")
    }

    /// Describes the container, for the case that it does not do what it should.
    fn state(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let outer = process(self.unshare.id().cast_signed());
        let (init, below) = (process(self.init()), self.processes());
        format!(
            "unshare {outer:?}, its first process {init:?}, below it {below:#?}; its log:\n{log}"
        )
    }

    /// Whether the container runs.
    pub fn runs(&mut self) -> bool {
        self.unshare.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The namespace ends with its first process.
        self.signal(Signal::KILL);
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

/// Asks again and again, for changes that no event reports.
pub async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("it comes to be in time")
}

/// Makes a FIFO, and returns the lines that are written to it.
pub fn fifo(path: &Path) -> Lines<BufReader<pipe::Receiver>> {
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(path, mode).expect("a FIFO");
    // Writable too, so that it does not end between two writers.
    let receiver = pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(path);
    BufReader::new(receiver.expect("a FIFO opens")).lines()
}

fn only_child(unshare: &Child) -> Option<i32> {
    let parent = i32::try_from(unshare.id()).expect("a pid");
    loop {
        let child = all_processes().into_iter().find(|p| p.parent == parent);
        if let Some(child) = child {
            return Some(child.pid);
        }
        // It forks, or ends by an error, in no time.
        if process(parent).is_none_or(|unshare| unshare.state == 'Z') {
            return None;
        }
        std::thread::yield_now();
    }
}

/// Opens a pidfd; none where the process has ended.
fn pidfd(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn watched(pid: Pid) -> AsyncFd<OwnedFd> {
    let fd = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
    #[expect(
        deprecated,
        reason = "unsound for borrowed descriptors only; this one is owned"
    )]
    AsyncFd::new(fd).expect("a runtime")
}

pub fn all_processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("procfs");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect()
}

/// Reads a process from `/proc/PID/stat`, proc_pid_stat(5).
pub fn process(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut rest = rest.split(' ');
    Some(Process {
        pid,
        name: name.to_owned(),
        state: rest.next()?.chars().next()?,
        parent: rest.next()?.parse().ok()?,
    })
}

/// Returns the word that tells a test of one run from those of others: a duration that no other sleeps.
pub fn marker(count: u32) -> String {
    // A day and more: nobody waits for it.
    (100_000 + u64::from(std::process::id() % 100_000) * 10 + u64::from(count)).to_string()
}

/// Returns the processes anywhere whose command line holds this word.
pub fn with_argument(word: &str) -> Vec<PathBuf> {
    let holds = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let found = line
            .split(|byte| *byte == 0)
            .any(|argument| argument == word.as_bytes());
        found.then(|| PathBuf::from(format!("/proc/{pid}")))
    };
    let alive = all_processes().into_iter().filter(|p| p.state != 'Z');
    alive.filter_map(|p| holds(p.pid)).collect()
}
