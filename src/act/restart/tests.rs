use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::SystemTime;

use procfs::process::Process;
use rustix::process::{Pid, kill_process};

use super::*;
use crate::decide::reason::Reason;

const PROC: &str = "/proc";

/// A child that is ended and reaped at the end.
struct Victim(Child);

impl Victim {
    /// A shell that waits, with this disposition of its signals; it has it when this returns.
    fn shell(trap: &str) -> Self {
        let mut child = Command::new("/bin/sh")
            .args([
                "-c",
                &format!("{trap}\necho up; while :; do read line; done"),
            ])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        Self(child)
    }

    fn id(&self) -> ProcessId {
        let pid = i32::try_from(self.0.id()).unwrap();
        let start_ticks = Process::new(pid).unwrap().stat().unwrap().starttime;
        ProcessId { pid, start_ticks }
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn restart(parent: ProcessId, engine: Option<ProcessId>, grace: Duration) -> Restart {
    Restart {
        parent,
        engine,
        grace,
        reasons: vec![Reason::EngineUnresponsive],
    }
}

/// Returns the steps that are reported when `restart` is carried out twice.
async fn steps(name: &str, restart: &Restart) -> Vec<ActionStep> {
    let steps_reported = Mutex::new(Vec::new());
    let report = |report: ActionReport| {
        steps_reported.lock().unwrap().push(report.step);
        std::future::ready(())
    };
    let mut restarter = Restarter {
        name: name.to_owned(),
        proc_root: PROC.into(),
        log: TerminationLog::of(None, Path::new("/nowhere")),
        report,
        begun: None,
        fenced: None,
    };
    restarter.restart(restart, String::new()).await;
    assert!(!restarter.is_new(restart));
    restarter.restart(restart, String::new()).await;
    drop(restarter);
    steps_reported.into_inner().unwrap()
}

#[tokio::test]
async fn who_obeys_sigterm_gets_no_sigkill() {
    let mut victim = Victim::shell("trap 'exit 7' TERM");
    let restart = restart(victim.id(), None, Duration::from_secs(60));
    let steps_reported = steps("sh", &restart).await;
    assert_eq!(steps_reported, [ActionStep::Terminated, ActionStep::Done]);
    assert_eq!(victim.0.wait().unwrap().code(), Some(7));
}

#[tokio::test]
async fn who_is_stopped_or_deaf_gets_sigkill_once_the_grace_is_over() {
    let mut parent = Victim::shell("trap '' TERM");
    let mut engine = Victim::shell("");
    let pid = Pid::from_raw(engine.id().pid).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let restart = restart(parent.id(), Some(engine.id()), Duration::from_millis(20));
    let steps_reported = steps("sh", &restart).await;
    let expected = [ActionStep::Terminated, ActionStep::Killed, ActionStep::Done];
    assert_eq!(steps_reported, expected);
    assert_eq!(parent.0.wait().unwrap().signal(), Some(9));
    assert_eq!(engine.0.wait().unwrap().signal(), Some(9));
}

/// Returns the steps that are reported when `fence` is carried out twice.
async fn fenced(name: &str, fence: &Restart) -> Vec<ActionStep> {
    let steps_reported = Mutex::new(Vec::new());
    let report = |report: ActionReport| {
        steps_reported.lock().unwrap().push(report.step);
        std::future::ready(())
    };
    let mut restarter = Restarter {
        name: name.to_owned(),
        proc_root: PROC.into(),
        log: TerminationLog::of(None, Path::new("/nowhere")),
        report,
        // A restart that was begun and cut short is in nobody's way.
        begun: Some(fence.parent),
        fenced: None,
    };
    restarter.fence(fence, String::new()).await;
    restarter.fence(fence, String::new()).await;
    drop(restarter);
    steps_reported.into_inner().unwrap()
}

#[tokio::test]
async fn who_is_fenced_gets_sigkill_at_once_and_no_sigterm() {
    let mut parent = Victim::shell("trap 'exit 7' TERM");
    let mut engine = Victim::shell("trap 'exit 7' TERM");
    let fence = restart(parent.id(), Some(engine.id()), Duration::from_secs(60));
    assert_eq!(
        fenced("sh", &fence).await,
        [ActionStep::Killed, ActionStep::Done]
    );
    assert_eq!(parent.0.wait().unwrap().signal(), Some(9));
    assert_eq!(engine.0.wait().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn an_engine_whose_parent_is_gone_is_fenced_all_the_same_and_a_stranger_never() {
    let mut engine = Victim::shell("");
    let mut stranger = Victim::shell("");
    let mut earlier = stranger.id();
    earlier.start_ticks -= 1;
    let steps_reported = fenced("sh", &restart(earlier, Some(engine.id()), Duration::ZERO)).await;
    assert_eq!(steps_reported, [ActionStep::Killed, ActionStep::Done]);
    assert_eq!(engine.0.wait().unwrap().signal(), Some(9));
    assert!(stranger.lives());
    let steps_reported = fenced("sqlservr", &restart(stranger.id(), None, Duration::ZERO)).await;
    assert!(
        matches!(&steps_reported[..], [ActionStep::Failed(_)]),
        "{steps_reported:?}"
    );
    assert!(stranger.lives());
}

#[tokio::test]
async fn another_process_under_that_pid_is_not_signalled() {
    let mut stranger = Victim::shell("");
    let mut earlier = stranger.id();
    earlier.start_ticks -= 1;
    // The one that was meant has ended: nothing is left to be done.
    let steps_reported = steps("sh", &restart(earlier, None, Duration::ZERO)).await;
    assert_eq!(steps_reported, [ActionStep::Done]);
    assert!(stranger.lives());

    let steps_reported = steps("sqlservr", &restart(stranger.id(), None, Duration::ZERO)).await;
    assert!(
        matches!(&steps_reported[..], [ActionStep::Failed(why)] if why.contains("is called \"sh\""))
    );
    assert!(stranger.lives());

    // Nor one in the engine's place, whose parent is the right one.
    let mut parent = Victim::shell("trap '' TERM");
    let restart = restart(parent.id(), Some(earlier), Duration::ZERO);
    let steps_reported = steps("sh", &restart).await;
    assert_eq!(steps_reported.last(), Some(&ActionStep::Done));
    assert_eq!(parent.0.wait().unwrap().signal(), Some(9));
    assert!(stranger.lives());
}

#[tokio::test]
async fn pid_1_and_the_supervisor_itself_are_never_signalled() {
    let own = i32::try_from(std::process::id()).unwrap();
    for pid in [-1, 0, 1, own] {
        let start_ticks = Process::new(pid).map_or(0, |process| process.stat().unwrap().starttime);
        let id = ProcessId { pid, start_ticks };
        let refused = Target::confirm(Path::new(PROC), "sh", id);
        assert!(matches!(refused, Err(Obstacle::Untouchable(refused)) if refused == pid));
    }
}

#[tokio::test]
async fn the_message_goes_into_the_containers_file_and_never_through_a_link() {
    let scratch = std::env::temp_dir().join(format!("ses-restart-{}", std::process::id()));
    let dev = scratch.join("7/root/dev");
    fs::create_dir_all(&dev).unwrap();
    let mut log = TerminationLog::of(None, &scratch);
    // Not there: not made.
    log.write(Some(7), "first".to_owned()).await;
    let path = dev.join("termination-log");
    assert!(!path.exists());
    fs::write(&path, "what stood there before, and was longer").unwrap();
    log.write(Some(7), "second".to_owned()).await;
    // A slow disk is not waited for.
    while fs::read_to_string(&path).unwrap() != "second" {
        tokio::task::yield_now().await;
    }

    // A link in the place of the file, then of its directory.
    let precious = scratch.join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    log.write(Some(7), "third".to_owned()).await;
    fs::create_dir(scratch.join("elsewhere")).unwrap();
    fs::write(scratch.join("elsewhere/termination-log"), "precious").unwrap();
    fs::remove_dir_all(&dev).unwrap();
    std::os::unix::fs::symlink(scratch.join("elsewhere"), &dev).unwrap();
    log.write(Some(7), "fourth".to_owned()).await;
    let mut log = TerminationLog::of(Some(&scratch), &scratch);
    log.write(None, "no directory is written".to_owned()).await;
    for path in [precious, scratch.join("elsewhere/termination-log")] {
        assert_eq!(fs::read_to_string(path).unwrap(), "precious");
    }
    fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn the_message_is_a_line_that_the_kubelet_takes_whole() {
    use crate::decide::engine::{State, decide};
    use crate::decide::policy::{Policy, RestartBy};
    use crate::decide::snapshot::Snapshot;
    use crate::decide::time::Time;
    let policy = Policy::default();
    let (_, mut decision) = decide(
        &policy,
        State::new(&policy),
        &Snapshot::default(),
        Time::ZERO,
    );
    let found = crate::decide::decision::Finding {
        reason: Reason::EngineUnresponsive,
        evidence: format!("no answer\nfor 30 s {}", "ä".repeat(4096)),
        since: Time::ZERO,
    };
    decision.findings = vec![found];
    let reasons = [Reason::EngineUnresponsive, Reason::ListenerLost];
    let now = SystemTime::UNIX_EPOCH;
    let by = RestartBy::Supervisor;
    let message = termination::message(now, by, &reasons, &decision, None);
    assert!(message.len() <= 4096 && message.len() > 4000);
    assert!(message.starts_with(
        "1970-01-01T00:00:00Z sql-edge-supervisor: restart by the supervisor for EngineUnresponsive (no answer for 30 s "
    ));
    assert_eq!(message.matches('\n').count(), 1);
    decision.findings.clear();
    let message = termination::message(now, RestartBy::Kubelet, &reasons, &decision, Some("EPERM"));
    assert_eq!(
        message,
        format!(
            "1970-01-01T00:00:00Z sql-edge-supervisor: restart by the kubelet for EngineUnresponsive (-), ListenerLost (-); the supervisor could not: EPERM. What to do: {}\n",
            Reason::EngineUnresponsive.info().action
        )
    );
}
