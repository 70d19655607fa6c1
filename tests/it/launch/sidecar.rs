//! `run` as the first process of its container: a fault of the supervisor is none of the container.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

use crate::shared::container::{Container, process, until};
use crate::standin::handle::DEFAULT_PASSWORD;
use crate::support::{Scratch, binary, fast, unique_name};

/// The exit code of a wrong configuration.
const USAGE: i32 = 64;

struct Sidecar {
    scratch: Scratch,
    container: Container,
}

impl Sidecar {
    fn start(more: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new();
        let mut settings = fast(scratch.path(), &unique_name(), 1, scratch.path());
        for (key, value) in more {
            settings.retain(|(before, _)| before != key);
            settings.push(((*key).to_owned(), (*value).to_owned()));
        }
        let mut line = vec![binary().display().to_string(), "run".to_owned()];
        for (key, value) in settings {
            line.extend([format!("--{key}"), value]);
        }
        let environment = [("MSSQL_SA_PASSWORD", DEFAULT_PASSWORD)];
        let container = Container::start(&line, &environment, &scratch.path().join("log"));
        Self { scratch, container }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// The supervisor that supervises, once `before` of them have.
    async fn supervises(&self, before: usize) -> Pid {
        until(|| (self.log().matches("\"supervising\"").count() > before).then_some(())).await;
        let of = self.container.init();
        let child = || {
            let all = self.container.processes();
            all.into_iter().find(|p| p.parent == of && p.state != 'Z')
        };
        Pid::from_raw(until(child).await.pid).expect("a pid")
    }
}

#[tokio::test]
async fn a_supervisor_that_dies_is_started_anew_in_the_same_container() {
    let mut sidecar = Sidecar::start(&[]);
    let mut pids = BTreeSet::new();
    for (before, signal) in [Signal::KILL, Signal::ABORT, Signal::KILL]
        .into_iter()
        .enumerate()
    {
        let supervisor = sidecar.supervises(before).await;
        assert!(pids.insert(supervisor.as_raw_pid()), "another process");
        kill_process(supervisor, signal).expect("it runs");
    }
    sidecar.supervises(pids.len()).await;
    assert!(sidecar.container.runs());
    sidecar.container.signal(Signal::TERM);
    let ended = sidecar.container.ends().await;
    assert!(ended.success(), "{ended}: {}", sidecar.log());
}

#[tokio::test]
async fn a_stop_between_two_supervisors_ends_the_container() {
    let mut sidecar = Sidecar::start(&[]);
    let supervisor = sidecar.supervises(0).await;
    // The stop is there before the end is: no other one is started.
    kill_process(supervisor, Signal::STOP).expect("it runs");
    let stopped = || process(supervisor.as_raw_pid()).filter(|process| process.state == 'T');
    until(stopped).await;
    sidecar.container.signal(Signal::TERM);
    until(|| is_pending(supervisor, Signal::TERM).then_some(())).await;
    kill_process(supervisor, Signal::KILL).expect("it runs");
    let ended = sidecar.container.ends().await;
    assert_eq!(ended.code(), Some(128 + 9), "{}", sidecar.log());
}

/// Whether a signal waits for a process that is stopped, by the hexadecimal mask of proc_pid_status(5).
fn is_pending(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid()));
    let status = status.unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// A stopped one is alive and can't say that it is healthy.
#[tokio::test]
async fn a_supervisor_that_is_not_healthy_is_replaced() {
    let mut sidecar = Sidecar::start(&[]);
    let supervisor = sidecar.supervises(0).await;
    kill_process(supervisor, Signal::STOP).expect("it runs");
    let next = sidecar.supervises(1).await;
    assert_ne!(next, supervisor);
    assert!(
        sidecar.log().contains("has not been healthy"),
        "{}",
        sidecar.log()
    );
    sidecar.container.signal(Signal::TERM);
    assert!(sidecar.container.ends().await.success());
}

#[tokio::test]
async fn a_wrong_configuration_ends_the_container() {
    let mut sidecar = Sidecar::start(&[("settle", "soon")]);
    let ended = sidecar.container.ends().await;
    assert_eq!(ended.code(), Some(USAGE), "{}", sidecar.log());
    assert!(sidecar.log().contains("settle"), "{}", sidecar.log());
}

#[tokio::test]
async fn an_end_of_its_own_ends_the_container() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut sidecar = Sidecar::start(&[("listen", &address)]);
    let ended = sidecar.container.ends().await;
    assert_eq!(ended.code(), Some(1), "{}", sidecar.log());
}
