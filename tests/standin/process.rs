//! The two processes: a watchdog that starts the engine, passes SIGTERM on, reaps, and exits as the engine
//! did.

use std::ffi::{CString, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

/// The variable with the parent's pid, for the engine process alone: it shows the process its role too. Not
/// an argument, because both processes have the same command line in the real thing.
const PARENT_VARIABLE: &str = "STANDIN_PARENT";
/// The variable with the kernel's name of both processes, at most 15 bytes.
pub const NAME_VARIABLE: &str = "STANDIN_NAME";
/// The byte that the engine writes to its parent to be left as a zombie.
pub const DO_NOT_REAP: u8 = b'z';
/// The byte that the engine writes to its parent for a dump; the number of milliseconds follows,
/// little-endian.
const DUMP: u8 = b'd';
/// The number that is added to a signal's for the exit status, as shells do, and the image's scripts with
/// them.
const SIGNAL_EXIT_BASE: i32 = 128;

pub fn is_engine() -> bool {
    std::env::var_os(PARENT_VARIABLE).is_some()
}

/// The name that `ps` and the supervisor see, however the binary is called. Tests that run side by
/// side give each stand-in one of its own, so that no supervisor finds another test's.
pub fn set_name() -> anyhow::Result<()> {
    let name = std::env::var(NAME_VARIABLE).unwrap_or_else(|_| "sqlservr".to_owned());
    let name = CString::new(name).context("the process name")?;
    nix::sys::prctl::set_name(&name).context("setting the process name")
}

/// Ties the engine's life to its parent's.
pub fn follow_parent() -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("asking for the parent's death signal")?;
    // Blocked by the parent, and inherited.
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&forwarded()), None).context("unblocking signals")?;
    // The parent may have died before the request above; then no signal will come.
    let parent = std::os::unix::process::parent_id().to_string();
    if std::env::var(PARENT_VARIABLE).ok() != Some(parent) {
        bail!("the parent process is gone");
    }
    Ok(())
}

fn forwarded() -> SigSet {
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT])
}

/// The watchdog: runs until the engine has ended, and returns its exit status.
pub fn watch(arguments: &[OsString]) -> anyhow::Result<u8> {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&forwarded()), None).context("blocking signals")?;
    let signals =
        SignalFd::with_flags(&forwarded(), SfdFlags::SFD_CLOEXEC).context("opening signalfd")?;
    let (mut requests, requests_in) = io::pipe().context("opening a pipe")?;
    let mut engine = Command::new(own_path(arguments)?)
        .args(arguments.get(1..).unwrap_or_default())
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::from(OwnedFd::from(requests_in)))
        .spawn()
        .context("starting the engine process")?;
    let pid = Pid::from_child(&engine);
    let engine_fd = pidfd_open(pid, PidfdFlags::empty()).context("opening the engine's pidfd")?;
    let zombie = until_ended(&engine_fd, &signals, &mut requests)?;
    if zombie == Zombie::Wanted {
        stay_without_reaping(&signals)?;
    }
    exit_status(&mut engine)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zombie {
    /// The engine is reaped.
    No,
    /// The engine is left as it is until a signal comes.
    Wanted,
    /// The signal for the zombie's parent has come already.
    Over,
}

/// Waits for the engine's end; passes signals on meanwhile.
fn until_ended(
    engine: &OwnedFd,
    signals: &SignalFd,
    requests: &mut io::PipeReader,
) -> anyhow::Result<Zombie> {
    let mut zombie = Zombie::No;
    loop {
        let mut fds = [
            PollFd::new(engine, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(&*requests, PollFlags::IN),
        ];
        // The pipe ends with the engine, or a moment earlier; after its request nothing more is sent over
        // it.
        let watched = if zombie == Zombie::No { 3 } else { 2 };
        match poll(&mut fds[..watched], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for the engine"),
        }
        let [ended, signalled, requested] = fds.map(|fd| fd.revents().contains(PollFlags::IN));
        if requested {
            let mut request = [0];
            let read = requests.read(&mut request).context("reading a request")?;
            match request {
                [DO_NOT_REAP] if read == 1 => zombie = Zombie::Wanted,
                [DUMP] if read == 1 => dump(engine, requests)?,
                _ => {}
            }
        }
        if signalled && zombie == Zombie::No {
            forward(signals, engine)?;
        } else if signalled && zombie == Zombie::Wanted {
            // Its engine may be dying still, but the signal is for the parent of the zombie.
            signals.read_signal().context("reading a signal")?;
            zombie = Zombie::Over;
        }
        if ended {
            return Ok(zombie);
        }
    }
}

/// Asks the parent, over the pipe that is this process's standard input, for a dump.
pub fn ask_for_dump(ms: u32) {
    let mut request = vec![DUMP];
    request.extend(ms.to_le_bytes());
    let pipe = io::stdin().as_fd().try_clone_to_owned();
    // Without a parent there is nobody who could make one.
    let _ = pipe.and_then(|pipe| std::fs::File::from(pipe).write_all(&request));
}

/// Makes the first stage of a dump, which is the watchdog's own work (tests/corpus/recorded/process/03).
fn dump(engine: &OwnedFd, requests: &mut io::PipeReader) -> anyhow::Result<()> {
    let mut ms = [0; 4];
    requests.read_exact(&mut ms).context("reading how long")?;
    let send = |signal| match pidfd_send_signal(engine, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("signalling the engine"),
    };
    send(rustix::process::Signal::STOP)?;
    let _ = writeln!(io::stdout(), "Capturing a dump");
    std::thread::sleep(Duration::from_millis(u32::from_le_bytes(ms).into()));
    send(rustix::process::Signal::CONT)
}

/// Returns the path for exec, which decides the kernel's name of the process: the engine is started by the
/// one given.
fn own_path(arguments: &[OsString]) -> anyhow::Result<PathBuf> {
    let given = arguments
        .first()
        .map(PathBuf::from)
        .filter(|path| path.components().count() > 1);
    given.map_or_else(
        || std::env::current_exe().context("finding the own executable"),
        Ok,
    )
}

fn forward(signals: &SignalFd, engine: &OwnedFd) -> anyhow::Result<()> {
    let Some(info) = signals.read_signal().context("reading a signal")? else {
        return Ok(());
    };
    let signal = if info.ssi_signo == Signal::SIGINT as u32 {
        rustix::process::Signal::INT
    } else {
        rustix::process::Signal::TERM
    };
    match pidfd_send_signal(engine, signal) {
        // It has ended already, which the next poll shows.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("forwarding a signal"),
    }
}

/// Leaves the zombie until SIGTERM or SIGINT.
fn stay_without_reaping(signals: &SignalFd) -> anyhow::Result<()> {
    signals.read_signal().context("waiting for a signal")?;
    Ok(())
}

fn exit_status(engine: &mut Child) -> anyhow::Result<u8> {
    use std::os::unix::process::ExitStatusExt;
    let status = engine.wait().context("reaping the engine")?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNAL_EXIT_BASE + signal))
        .unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}
