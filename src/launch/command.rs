//! The command: its start, its signals, and what is left of it below PID 1 when it has ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command as Process, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::log::{Log, Value};

/// The variable by which the engine's processes know the volume's epoch.
pub const EPOCH_VARIABLE: &str = "SQL_EDGE_SUPERVISOR_EPOCH";

/// The file with the children of this thread, and so of this process, which has no other. Kernels have it
/// where they were built with CONFIG_PROC_CHILDREN.
const CHILDREN: &str = "/proc/thread-self/children";
/// Bytes that are read of `CHILDREN`: some hundred children; the others follow when these have ended.
const MAX_BYTES: usize = 4096;
/// The directory with a directory of each process.
const PROCESSES: &str = "/proc";
/// Bytes that are read of a process's `stat`: more than its first four fields have.
const MAX_STAT_BYTES: usize = 256;
/// The number of children whose SIGTERM is remembered.
const REMEMBERED: usize = 64;

/// The exit code of a command that exists and can't be run, as the shells have it.
pub const CANT_RUN: u8 = 126;
/// The exit code of a command that does not exist, as the shells have it.
const NOT_FOUND: u8 = 127;

/// Starts `command`, which is not empty, in this process group: a terminal's signals reach it and the
/// engine as they would without a PID 1 between. Returns its pid. This `program` itself is started, and
/// becomes the command by [`become_command`].
///
/// # Errors
///
/// The system has no process left.
pub fn start(program: &Path, command: &[OsString], epoch: u64) -> io::Result<Pid> {
    let mut process = Process::new(program);
    process.arg("exec").arg("--").args(command);
    process.env_remove(EPOCH_VARIABLE);
    if epoch != 0 {
        process.env(EPOCH_VARIABLE, epoch.to_string());
    }
    // Dropped, the child is neither waited for nor killed: it is reaped with all the others.
    let child = process.spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Becomes `command`, with the signals as they were before PID 1 took them. Returns, where that fails, the
/// error and the exit code for it.
#[must_use]
pub fn become_command(command: &[OsString]) -> (io::Error, u8) {
    let (program, arguments) = command.split_first().unzip();
    let program = program.cloned().unwrap_or_default();
    let error = match super::take_signals_back() {
        Ok(()) => Process::new(program)
            .args(arguments.unwrap_or_default())
            .exec(),
        Err(error) => error,
    };
    let code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANT_RUN,
    };
    (error, code)
}

/// The processes that are left of the command, below this process.
#[derive(Debug)]
pub struct Rest {
    /// Whether this process is PID 1 of its namespace: then every process in it may be signalled.
    is_first: bool,
    /// The processes that were sent SIGTERM.
    asked: [i32; REMEMBERED],
    count: usize,
}

impl Rest {
    /// Returns the rest below the process `own`.
    #[must_use]
    pub fn of(own: Pid) -> Self {
        Self {
            is_first: own.as_raw() == 1,
            asked: [0; REMEMBERED],
            count: 0,
        }
    }

    /// Signals each child but `spared`, with SIGTERM once. Returns whether there is such a child. The
    /// children of a child become children of this process when it has ended.
    pub fn signal(&mut self, signal: Signal, spared: Option<Pid>, log: Log) -> bool {
        let mut found = false;
        let listed = each_child(|child| {
            if Some(child) == spared {
                return;
            }
            found = true;
            if signal == Signal::SIGTERM && !self.is_new(child.as_raw()) {
                return;
            }
            if let Err(error) = kill(child, signal) {
                let fields = [
                    ("pid", Value::Number(child.as_raw().into())),
                    ("error", Value::Text(&error)),
                ];
                log.warn("a process that is left can't be signalled", &fields);
            }
        });
        // Without a procfs there may be anything.
        found || listed.is_err() && self.is_first && kill_all(signal)
    }

    fn is_new(&mut self, pid: i32) -> bool {
        if self.asked[..self.count].contains(&pid) {
            return false;
        }
        if let Some(place) = self.asked.get_mut(self.count) {
            *place = pid;
            self.count += 1;
        }
        true
    }

    /// Kills everything at once. Where this process is not PID 1 of its namespace, it kills its own children:
    /// what they leave follows, see [`Self::signal`].
    pub fn kill(&mut self, log: Log) {
        if !self.is_first || !kill_all(Signal::SIGKILL) {
            self.signal(Signal::SIGKILL, None, log);
        }
    }
}

/// Calls `found` with each child of this process. A kernel that does not list them (without
/// CONFIG_PROC_CHILDREN) is asked for the parent of every process instead.
fn each_child(mut found: impl FnMut(Pid)) -> io::Result<()> {
    let mut bytes = [0; MAX_BYTES];
    let Ok(length) = File::open(CHILDREN).and_then(|mut file| file.read(&mut bytes)) else {
        return each_child_by_parent(found);
    };
    // The last one, if it is cut, has no blank behind it.
    for word in bytes[..length].split_inclusive(|byte| *byte == b' ') {
        let text = word.strip_suffix(b" ").map(str::from_utf8);
        if let Some(Ok(Ok(pid))) = text.map(|text| text.map(str::parse)) {
            found(Pid::from_raw(pid));
        }
    }
    Ok(())
}

/// Calls `found` with each process whose parent is this one.
fn each_child_by_parent(mut found: impl FnMut(Pid)) -> io::Result<()> {
    let own = Pid::this();
    for entry in fs::read_dir(PROCESSES)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(Ok(pid)) = name.to_str().map(str::parse) else {
            continue;
        };
        let mut bytes = [0; MAX_STAT_BYTES];
        // One that can't be read has ended.
        let read = File::open(entry.path().join("stat")).and_then(|mut file| file.read(&mut bytes));
        if read.is_ok_and(|length| parent(&bytes[..length]) == Some(own)) {
            found(Pid::from_raw(pid));
        }
    }
    Ok(())
}

/// Returns the parent of a process by its `stat`, the fourth field; the second one, its name in parentheses,
/// may contain anything (proc_pid_stat(5)).
fn parent(stat: &[u8]) -> Option<Pid> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = str::from_utf8(&stat[end + 1..]).ok()?;
    let parent = text.split_ascii_whitespace().nth(1)?;
    Some(Pid::from_raw(parent.parse().ok()?))
}

/// Signals everything in this PID namespace but PID 1 itself, which has to be the caller (kill(2)). Returns
/// whether there is anything.
fn kill_all(signal: Signal) -> bool {
    kill(Pid::from_raw(-1), signal).is_ok()
}

/// Returns the exit code as the shells pass it on: the code, or 128 and the signal's number.
#[must_use]
pub fn exit_code(raw: i32) -> u8 {
    let status = ExitStatus::from_raw(raw);
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_by_its_parent_as_well() {
        let mut child = Process::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let mut found = Vec::new();
        each_child_by_parent(|child| found.push(child)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&pid), "{found:?}");
        assert!(!found.contains(&Pid::this()), "{found:?}");
    }

    #[test]
    fn a_name_does_not_hide_the_parent() {
        for stat in ["7 (sh) S 12 7 7 0", "7 (a) S 1 (b)) R 12 7 7 0"] {
            assert_eq!(parent(stat.as_bytes()), Some(Pid::from_raw(12)), "{stat}");
        }
        for stat in ["", "7 (sh", "7 (sh) S", "7 (sh) S x"] {
            assert_eq!(parent(stat.as_bytes()), None, "{stat}");
        }
    }
}
