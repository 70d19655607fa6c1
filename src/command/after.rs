//! `stop --after -- COMMAND`: runs a preStop hook that was there before the supervisor, and then the stop.
//!
//! | step | its share of the pod's grace |
//! | --- | --- |
//! | the command, in its own process group | all but [`STOP_RESERVE`], or half if more; then it is ended |
//! | the stop, whatever came of the command | what is left less 5 s, or half of it if that is more |
//!
//! The grace is `termination-grace-period`, and begins with the hook. The command is ended by SIGTERM, and by
//! SIGKILL after at most a second.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::Exit;
use super::control;
use super::table::safe;
use crate::act::order::Order;
use crate::cli::ControlTarget;
use crate::config::parse::parse_pod_grace;
use crate::config::{Environment, Sources};
use crate::inject::names::STOP_RESERVE;

/// The time by which the kubelet may end the grace sooner than it is counted here.
const LEFT_OVER: Duration = Duration::from_secs(5);
/// The time from SIGTERM to SIGKILL for a command that is over its time.
const LAST_WARNING: Duration = Duration::from_secs(1);
/// The shortest grace that a stop takes.
const SHORTEST_STOP: Duration = Duration::from_secs(1);

/// Runs the hook's command and then orders the stop. `grace` is for the stop itself, where it was given.
///
/// # Errors
/// When the result can't be written.
pub fn execute(
    hook: &[OsString],
    grace: Option<Duration>,
    target: &ControlTarget,
    environment: Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let began = Instant::now();
    let sources = Sources::load(target.flags.clone(), environment.clone());
    let whole = match parse_pod_grace(&sources) {
        Ok(whole) => whole,
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    // A hook that fails keeps nobody from a clean stop.
    if let Some(trouble) = run(hook, limit(whole)) {
        let _ = writeln!(
            err,
            "{}",
            safe(&format!("the hook: {trouble}; the stop goes on"))
        );
    }
    let left = remaining(whole, began.elapsed());
    let order = Order::Stop(Some(grace.map_or(left, |grace| grace.min(left))));
    control::execute(order, target, environment, out, err)
}

/// Returns the time limit of the hook's command.
fn limit(grace: Duration) -> Duration {
    grace.saturating_sub(STOP_RESERVE).max(grace / 2)
}

/// Returns the grace of the stop that follows.
fn remaining(grace: Duration, used: Duration) -> Duration {
    let rest = grace.saturating_sub(used);
    let left = rest.saturating_sub(LEFT_OVER).max(rest / 2);
    left.max(SHORTEST_STOP)
}

/// Runs the command within `limit`, and returns what was wrong with it, if anything was.
fn run(hook: &[OsString], limit: Duration) -> Option<String> {
    let (program, arguments) = hook.split_first()?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Some(format!("{}: {error}", program.display())),
    };
    let group = Pid::from_child(&child);
    let (ended, wait) = channel();
    // It ends with the child, which is killed at the latest.
    std::thread::spawn(move || {
        // Nobody waits for it any more where the command outlived its SIGKILL.
        let _ = ended.send(child.wait());
    });
    match wait.recv_timeout(limit) {
        Ok(Ok(status)) if status.success() => None,
        Ok(Ok(status)) => Some(format!("{} ended with {status}", program.display())),
        Ok(Err(error)) => Some(format!("{}: {error}", program.display())),
        Err(_) => {
            end(group, &wait);
            Some(format!(
                "{} ran for {}, which was its share of the grace, and was killed",
                program.display(),
                humantime::format_duration(limit)
            ))
        }
    }
}

/// Ends the command, and the processes that it has started.
fn end(group: Pid, wait: &Receiver<io::Result<ExitStatus>>) {
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended by now; its group is not another's as long as one of it lives.
        let _ = kill_process_group(group, signal);
        if signal == Signal::TERM {
            let _ = wait.recv_timeout(LAST_WARNING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_is_shared_out() {
        let s = Duration::from_secs;
        for (grace, hook) in [(60, 30), (90, 60), (30, 15), (10, 5), (3600, 3570)] {
            assert_eq!(limit(s(grace)), s(hook), "{grace}");
        }
        for (grace, used, left) in [
            (60, 30, 25),
            (60, 0, 55),
            (60, 52, 4),
            (60, 59, 1),
            (10, 20, 1),
        ] {
            assert_eq!(remaining(s(grace), s(used)), s(left), "{grace} {used}");
        }
    }

    #[test]
    fn what_went_wrong_is_said() {
        let hook = |line: &str| ["/bin/sh", "-c", line].map(OsString::from);
        let run = |words: &[OsString]| run(words, Duration::from_secs(60));
        assert_eq!(run(&hook("exit 0")), None);
        assert_eq!(run(&[]), None);
        let failed = run(&hook("exit 3")).expect("it fails");
        assert!(failed.contains("exit status: 3"), "{failed}");
        let missing = run(&["/no/such".into()]).expect("it is not there");
        assert!(missing.contains("/no/such"), "{missing}");
    }

    #[test]
    fn a_hook_that_never_ends_is_killed_with_what_it_started() {
        let file = std::env::temp_dir().join(format!("hook-{}", std::process::id()));
        // Both heed no SIGTERM.
        let line = format!(
            "trap '' TERM; sleep 100000 & echo $$ $! > {}; sleep 100000",
            file.display()
        );
        let hook = ["/bin/sh", "-c", &line].map(OsString::from);
        let said = run(&hook, Duration::from_secs(1)).expect("it is killed");
        assert!(said.contains("was killed"), "{said}");
        let pids = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        for pid in pids.split_whitespace() {
            let lives = || {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            };
            while lives() {
                std::thread::yield_now();
            }
        }
    }
}
