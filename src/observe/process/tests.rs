//! On real processes; what only fixtures can show is in [`super::table`]'s tests.
//!
//! Each test watches a name of its own, made by a symbolic link: the kernel takes the comm from the
//! name under which a program was started.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::*;
use crate::decide::observation::{ExitStatus, Observed, ProcessExit};
use crate::observe::clock::Clock;
use crate::observe::testing::{AsUser, TempDir, next, unique};

/// The number of times that a process is reaped while the observer asks how it ended.
const REAPINGS: u32 = 1000;

/// The step by which a process is reaped later after its death than the one before: over 200 us in all.
const REAPING_STEP: Duration = Duration::from_nanos(200);

/// Programs under the watched name, and the observer.
struct Rig {
    dir: TempDir,
    name: String,
    engine_pid: EnginePid,
    receiver: Receiver<Observed<Observation>>,
    observer: JoinHandle<()>,
}

/// A process of the test and those it starts: a process group, ended with it.
struct Started(Child);

impl Started {
    fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    fn say(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Starts `program` with a process group and a standard input of its own.
fn start(program: &Path, arguments: &[&str]) -> Started {
    let mut command = Command::new(program);
    command.process_group(0);
    Started(
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

impl Rig {
    fn new() -> Self {
        let dir = TempDir::new();
        let name = unique("sq");
        let (sink, receiver) = Sink::new(Clock::start(Duration::from_secs(5)));
        let engine_pid = EnginePid::default();
        let config = ProcessConfig {
            name: name.clone(),
            interval: Duration::from_millis(200),
            proc_root: PROC_ROOT.into(),
        };
        // The processes of most tests are in the test's own mount namespace: what is there is theirs.
        let data_dir = dir.path().join("mssql");
        std::fs::create_dir(&data_dir).unwrap();
        let volume = WatchedVolume::new(PROC_ROOT.into(), data_dir.clone(), data_dir);
        let observer = tokio::spawn(observe(config, volume, engine_pid.clone(), sink));
        Self {
            dir,
            name,
            engine_pid,
            receiver,
            observer,
        }
    }

    /// `program` under the watched name.
    fn named(&self, program: &str) -> PathBuf {
        let folder = self
            .dir
            .path()
            .join(program.trim_matches('/').replace('/', "-"));
        let link = folder.join(&self.name);
        if !link.exists() {
            std::fs::create_dir(&folder).unwrap();
            symlink(program, &link).unwrap();
        }
        link
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Started {
        start(&self.named(program), arguments)
    }

    fn sleep(&self) -> Started {
        self.start("/bin/sleep", &["1000"])
    }

    /// A shell that runs `script`, in which `$SLEEP` sleeps under the watched name.
    fn shell(&self, script: &str) -> Started {
        let sleep = self.named("/bin/sleep");
        let script = script.replace("$SLEEP", sleep.to_str().unwrap());
        self.start("/bin/sh", &["-c", &script])
    }

    async fn report(&mut self) -> ProcessReport {
        match next(&mut self.receiver).await {
            Observation::Process(report) => report,
            other => panic!("{other:?}"),
        }
    }

    async fn running(&mut self, wanted: impl Fn(&RunningProcess) -> bool) -> RunningProcess {
        loop {
            match self.report().await {
                ProcessReport::Running(running) if wanted(&running) => return running,
                ProcessReport::Exited(exit) => panic!("{exit:?}"),
                ProcessReport::Running(_) | ProcessReport::NotFound => {}
            }
        }
    }

    async fn exited(&mut self) -> ProcessExit {
        loop {
            if let ProcessReport::Exited(exit) = self.report().await {
                return exit;
            }
        }
    }

    async fn not_found(&mut self) {
        loop {
            match self.report().await {
                ProcessReport::NotFound => return,
                ProcessReport::Exited(exit) => panic!("{exit:?}"),
                ProcessReport::Running(_) => {}
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.observer.abort();
    }
}

#[tokio::test]
async fn a_killed_process_exits_is_a_zombie_and_then_gone() {
    let mut rig = Rig::new();
    assert_eq!(rig.report().await, ProcessReport::NotFound);
    assert_eq!(rig.engine_pid.get(), None);
    let mut process = rig.sleep();
    let running = rig.running(|_| true).await;
    assert_eq!(running.parent.pid, process.pid());
    assert_eq!(rig.engine_pid.get(), Some(process.pid()));
    process.signal(Signal::SIGKILL);
    let exit = rig.exited().await;
    assert_eq!(exit.process, running.parent);
    assert_eq!(exit.role, ProcessRole::Parent);
    assert_eq!(exit.status, Some(ExitStatus::Signal(9)));
    assert!(!exit.oom_killed);
    let zombie = rig
        .running(|running| running.state == RunState::Zombie)
        .await;
    assert_eq!(zombie.parent, running.parent);
    assert_eq!(rig.engine_pid.get(), None);
    process.0.wait().unwrap();
    rig.not_found().await;
}

#[tokio::test]
async fn each_way_to_end_is_told() {
    let mut rig = Rig::new();
    for (script, status) in [
        ("read line; exit 7", ExitStatus::Code(7)),
        ("read line; exit 0", ExitStatus::Code(0)),
        ("read line; exit 255", ExitStatus::Code(255)),
        ("read line; kill -ABRT $$", ExitStatus::Signal(6)),
    ] {
        let mut process = rig.shell(script);
        let pid = process.pid();
        rig.running(|running| running.parent.pid == pid).await;
        process.say("go");
        let exit = rig.exited().await;
        assert_eq!(
            (exit.process.pid, exit.status),
            (pid, Some(status)),
            "{script}"
        );
    }
}

#[tokio::test]
async fn the_exit_of_a_reaped_process_is_told_with_its_status() {
    let mut rig = Rig::new();
    let mut process = rig.shell("read line; exit 3");
    rig.running(|_| true).await;
    process.say("go");
    // Reaped before the observer, on this same thread, can look.
    process.0.wait().unwrap();
    assert_eq!(rig.exited().await.status, Some(ExitStatus::Code(3)));
    rig.not_found().await;
}

#[tokio::test]
async fn an_exit_in_the_midst_of_its_reaping_is_told_with_its_status() {
    let rig = Rig::new();
    for number in 0..REAPINGS {
        let mut process = rig.sleep();
        let id = identity(process.pid());
        let mut watch = Watch::open(PROC_ROOT.as_ref(), id, ProcessRole::Parent).unwrap();
        let reaper = std::thread::spawn(move || {
            process.signal(Signal::SIGKILL);
            let pid = Id::Pid(Pid::from_raw(process.pid()));
            waitid(pid, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
            // Each a little later, over all the time in which the observer asks.
            let dead = std::time::Instant::now();
            while dead.elapsed() < REAPING_STEP * number {
                std::hint::spin_loop();
            }
            process.0.wait().unwrap();
        });
        Watch::ended(Some(&watch)).await;
        let exit = watch.take_exit().await.expect("it was taken for alive");
        assert_eq!(exit.status, Some(ExitStatus::Signal(9)));
        reaper.join().unwrap();
    }
}

#[tokio::test]
async fn who_may_not_see_the_exit_code_does_not_take_it_for_zero() {
    let rig = Rig::new();
    let mut process = rig.shell("read line; exit 3");
    let id = identity(process.pid());
    let root = Path::new(PROC_ROOT);
    let _user = AsUser::mssql();
    let mut watch = Watch::open(root, id, ProcessRole::Parent).unwrap();
    process.say("go");
    Watch::ended(Some(&watch)).await;
    let exit = watch.take_exit().await.unwrap();
    assert_eq!(exit.status, None, "no one has reaped it");
    assert_eq!(watch.state(), RunState::Zombie);
    assert_eq!(watch.take_exit().await, None, "told once");
}

fn identity(pid: i32) -> ProcessId {
    let stat = procfs::process::Process::new(pid).unwrap().stat().unwrap();
    table::identity(&stat)
}

#[tokio::test]
async fn a_zombie_found_at_the_start_is_told_as_an_exit_first() {
    let mut rig = Rig::new();
    let process = rig.sleep();
    process.signal(Signal::SIGKILL);
    // Waits for its end without reaping it.
    Watch::ended(
        Watch::open(
            PROC_ROOT.as_ref(),
            identity(process.pid()),
            ProcessRole::Parent,
        )
        .as_ref(),
    )
    .await;
    assert_eq!(rig.exited().await.status, Some(ExitStatus::Signal(9)));
    rig.running(|running| running.state == RunState::Zombie)
        .await;
}

#[tokio::test]
async fn a_stopped_process_is_told_and_runs_on() {
    let mut rig = Rig::new();
    let process = rig.sleep();
    rig.running(|running| running.state == RunState::Sleeping)
        .await;
    process.signal(Signal::SIGSTOP);
    let stopped = rig
        .running(|running| running.state == RunState::Stopped)
        .await;
    assert_eq!(stopped.parent_state, RunState::Stopped);
    process.signal(Signal::SIGCONT);
    rig.running(|running| running.state == RunState::Sleeping)
        .await;
}

#[tokio::test]
async fn parent_and_engine_are_told_apart_and_add_up() {
    let mut rig = Rig::new();
    let mut parent = rig.shell("$SLEEP 1000 & wait; read line; exit 4");
    let both = rig.running(|running| running.engine.is_some()).await;
    let engine = both.engine.unwrap();
    assert_eq!(both.parent.pid, parent.pid());
    assert_ne!(engine.pid, parent.pid());
    assert_eq!(rig.engine_pid.get(), Some(engine.pid));
    assert_eq!(both.threads, Some(2));
    assert!(both.open_fds.unwrap() >= 6, "three each");
    assert!(both.resident_bytes.unwrap() > 0);
    assert!(both.cpu.is_some() && both.io_bytes.is_some());
    kill(Pid::from_raw(engine.pid), Signal::SIGKILL).unwrap();
    let exit = rig.exited().await;
    assert_eq!((exit.process, exit.role), (engine, ProcessRole::Engine));
    assert_eq!(exit.status, Some(ExitStatus::Signal(9)));
    let left = rig.running(|running| running.engine.is_none()).await;
    assert_eq!(left.parent, both.parent);
    assert_eq!(rig.engine_pid.get(), Some(parent.pid()));
    parent.say("go");
    let exit = rig.exited().await;
    assert_eq!(
        (exit.process, exit.role),
        (both.parent, ProcessRole::Parent)
    );
    assert_eq!(exit.status, Some(ExitStatus::Code(4)));
}

#[tokio::test]
async fn an_engine_that_outlives_its_parent_stays_the_engine() {
    let mut rig = Rig::new();
    let parent = rig.shell("$SLEEP 1000 & wait");
    let both = rig.running(|running| running.engine.is_some()).await;
    let engine = both.engine.unwrap();
    parent.signal(Signal::SIGKILL);
    let exit = rig.exited().await;
    assert_eq!(
        (exit.process, exit.role),
        (both.parent, ProcessRole::Parent)
    );
    let orphan = rig.running(|running| running.parent == engine).await;
    assert_eq!(orphan.engine, None);
    assert_eq!(rig.engine_pid.get(), Some(engine.pid));
    kill(Pid::from_raw(engine.pid), Signal::SIGKILL).unwrap();
    let exit = rig.exited().await;
    assert_eq!((exit.process, exit.role), (engine, ProcessRole::Engine));
}

#[tokio::test]
async fn of_strangers_with_one_name_the_oldest_is_watched() {
    let mut rig = Rig::new();
    let strangers: Vec<_> = (0..4).map(|_| rig.sleep()).collect();
    let ids = strangers.iter().map(|process| identity(process.pid()));
    let oldest = ids.min_by_key(|id| (id.start_ticks, id.pid)).unwrap();
    let running = rig.running(|_| true).await;
    assert_eq!(running.parent, oldest);
    assert_eq!(running.engine, None);
    let first = strangers.iter().find(|process| process.pid() == oldest.pid);
    first.unwrap().signal(Signal::SIGKILL);
    rig.exited().await;
    let next = rig
        .running(|running| running.state != RunState::Zombie)
        .await;
    assert_ne!(next.parent, oldest);
}

#[tokio::test]
async fn a_new_process_is_found_after_an_exit_even_beside_a_zombie() {
    let mut rig = Rig::new();
    let first = rig.sleep();
    let before = rig.running(|_| true).await;
    first.signal(Signal::SIGKILL);
    rig.exited().await;
    let second = rig.sleep();
    let after = rig
        .running(|running| running.state != RunState::Zombie)
        .await;
    assert_eq!(after.parent.pid, second.pid());
    assert_ne!(after.parent, before.parent);
}

#[tokio::test]
async fn a_process_that_becomes_another_program_is_let_go_without_an_exit() {
    let mut rig = Rig::new();
    let mut process = rig.shell("read line; exec sleep 1000");
    rig.running(|_| true).await;
    process.say("go");
    rig.not_found().await;
}

#[tokio::test]
async fn a_pid_used_again_is_not_the_same_process() {
    let rig = Rig::new();
    let process = rig.sleep();
    let id = identity(process.pid());
    let earlier = ProcessId {
        start_ticks: id.start_ticks - 1,
        ..id
    };
    let root = Path::new(PROC_ROOT);
    assert!(Watch::open(root, id, ProcessRole::Parent).is_some());
    assert!(Watch::open(root, earlier, ProcessRole::Parent).is_none());
}

#[tokio::test]
async fn a_kill_for_lack_of_memory_is_told_apart() {
    let group = MemoryGroup::new(16 << 20);
    let mut rig = Rig::new();
    let tail = rig.named("/usr/bin/tail");
    let script = format!("read line; exec {} /dev/zero", tail.display());
    let mut process = rig.shell(&script);
    group.add(process.pid());
    rig.running(|_| true).await;
    process.say("go");
    let exit = rig.exited().await;
    assert_eq!(exit.status, Some(ExitStatus::Signal(9)));
    assert!(exit.oom_killed);
}

/// A control group of its own with a limit of memory, of the version that this machine has.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new(limit_bytes: u64) -> Self {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if v1.exists() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Self(parent.join(unique("oom")));
        std::fs::create_dir(&group.0).expect("this test needs root and a writable cgroup mount");
        std::fs::write(group.0.join(limit), limit_bytes.to_string())
            .expect("this test needs the memory controller");
        group
    }

    fn add(&self, pid: i32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A shell command that mounts another volume at `data_dir`, in a mount namespace of its own.
fn elsewhere(data_dir: &Path, then: &str) -> String {
    let data_dir = data_dir.display();
    format!("exec unshare --mount sh -c 'mount -t tmpfs none {data_dir} && {then}'")
}

#[tokio::test]
async fn the_engine_of_another_volume_is_never_watched() {
    let mut rig = Rig::new();
    let data_dir = rig.dir.path().join("mssql");
    // The older one, in the place of another pod's on the same host.
    let exec = format!("exec {} 1000", rig.named("/bin/sleep").display());
    let script = elsewhere(&data_dir, &exec);
    // It has the watched name from the last program on, when the other volume is mounted: what was found to
    // be of this volume once stays so.
    let foreign = start(Path::new("/bin/sh"), &["-c", &script]);
    let comm = format!("/proc/{}/comm", foreign.pid());
    while !std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == rig.name) {
        tokio::task::yield_now().await;
    }
    let own = rig.sleep();
    let running = rig.running(|running| running.parent.pid == own.pid()).await;
    assert_eq!(rig.engine_pid.get(), Some(own.pid()));
    // Its own ends: the other one does not take its place.
    own.signal(Signal::SIGKILL);
    assert_eq!(rig.exited().await.process, running.parent);
    drop(own);
    for _ in 0..3 {
        rig.not_found().await;
    }
    assert_eq!(rig.engine_pid.get(), None);
    let comm = std::fs::read_to_string(comm);
    assert_eq!(comm.unwrap().trim(), rig.name, "it runs still");
}
