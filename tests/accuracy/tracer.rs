//! A tracer that holds the engine, as the dump writer of SQL Server on Linux does, and a process of the
//! dump writer's name beside it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::Context as _;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// The name by which the supervisor knows the dump writer.
pub const DUMPER: &str = "paldumper";

/// The tracer's thread: only the thread that attached can detach. Dropped, the engine goes on.
pub struct Tracer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    dumper: Option<Child>,
}

impl Tracer {
    /// Stops `pid`. `dumper` is the link by which this program is [`DUMPER`], where it is to be seen.
    pub fn attach(pid: u32, dumper: Option<&Path>) -> anyhow::Result<Self> {
        let dumper = dumper.map(start_dumper).transpose()?;
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || hold(pid, &stopped));
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            dumper,
        })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Its thread ends when nobody can tell it anything any more.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(mut dumper) = self.dumper.take() {
            let _ = dumper.kill();
            let _ = dumper.wait();
        }
    }
}

fn hold(pid: u32, stopped: &Receiver<()>) {
    let Ok(pid) = i32::try_from(pid).map(Pid::from_raw) else {
        return;
    };
    if ptrace::attach(pid).is_err() {
        return;
    }
    // The stop that attaching brings about; an engine that ends instead needs no tracer.
    let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
    let _ = stopped.recv();
    let _ = ptrace::detach(pid, None);
}

fn start_dumper(link: &Path) -> anyhow::Result<Child> {
    Command::new(PathBuf::from(link))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("starting the dump writer")
}

/// The dump writer: it is there until its standard input ends.
pub fn be_dumper() -> std::process::ExitCode {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::ExitCode::SUCCESS
}
