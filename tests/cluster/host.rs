//! The machine's view of the pods: their processes, by `/proc`. It holds for kind's nodes too.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The kernel's name of both processes of an engine.
pub const ENGINE: &str = "sqlservr";
/// What is waited for here takes far less.
const PATIENCE: Duration = Duration::from_secs(60);

/// All pids there are.
pub fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("procfs");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

pub fn name(pid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// State and parent, by `/proc/PID/stat`, proc_pid_stat(5).
pub fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut rest = rest.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// The processes of a container, by the id that the kubelet names: `containerd://ID`.
pub fn of_container(id: &str) -> Vec<i32> {
    let id = id.rsplit('/').next().expect("an id");
    let inside = |pid: &i32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        groups.contains(id) && state_and_parent(*pid).is_some_and(|(state, _)| state != 'Z')
    };
    pids().filter(inside).collect()
}

/// The first process of a container, unless that has ended.
pub fn first_of(id: &str) -> Option<i32> {
    let all = of_container(id);
    let outside =
        |pid: &&i32| state_and_parent(**pid).is_some_and(|(_, parent)| !all.contains(&parent));
    all.iter().find(outside).copied()
}

/// The watchdog and the engine of a container.
pub fn engine_of(id: &str) -> (i32, i32) {
    until("an engine", || {
        let named = |pid: &i32| name(*pid).as_deref() == Some(ENGINE);
        let all: Vec<i32> = of_container(id).into_iter().filter(named).collect();
        all.iter().find_map(|pid| {
            let (_, parent) = state_and_parent(*pid)?;
            all.contains(&parent).then_some((parent, *pid))
        })
    })
}

/// It may have ended a moment ago, which is as good.
pub fn signal(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("{signal}: {error}"),
    }
}

/// Asked again and again: nothing tells of it.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gives a command to the stand-in of a container, by its socket there; the reply.
pub fn command(id: &str, command: &Value) -> Value {
    try_command(id, command).expect("it replies")
}

/// The same, where it may end before it replies.
pub fn try_command(id: &str, command: &Value) -> Option<Value> {
    let (_, engine) = engine_of(id);
    let socket = PathBuf::from(format!("/proc/{engine}/root/tmp/sqlservr.sock"));
    let mut stream = until("the stand-in's socket", || {
        UnixStream::connect(&socket).ok()
    });
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    writeln!(stream, "{command}").expect("it listens");
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).ok()?;
    serde_json::from_str(&reply).ok()
}
