//! FreeTDS' `tsql` (Debian's package `freetds-bin`), which stands for sqlcmd: a process, a TLS handshake,
//! a login and a query for each check.
//!
//! `tsql` has no option for a file with the password. Without `-P` it asks the terminal, and where
//! there is none it reads standard input: so it gets it here, and no argument shows it. With a
//! terminal it has to be `-P`, as in most probes that can be found.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const PROGRAM: &str = "tsql";
/// What it prints below the row that was asked for.
const ROW: &str = "(1 row affected)";

/// Whether `SELECT 1` is answered within `limit`; then the program is killed, as a container's runtime
/// kills what a probe started.
pub async fn select_one(port: u16, password: &str, limit: Duration) -> anyhow::Result<bool> {
    let password = password.to_owned();
    tokio::task::spawn_blocking(move || select_one_blocking(port, &password, limit))
        .await
        .context("a thread of the benchmark")?
}

/// The same on this thread.
pub fn select_one_blocking(port: u16, password: &str, limit: Duration) -> anyhow::Result<bool> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["-H", "127.0.0.1", "-p", &port.to_string(), "-U", "sa"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut input = String::new();
    if has_terminal() {
        command.args(["-P", password]);
    } else {
        input.push_str(password);
        input.push('\n');
    }
    input.push_str("SELECT 1\ngo\nexit\n");
    let mut child = command
        .spawn()
        .context("starting tsql (apt-get install freetds-bin)")?;
    let exited = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended already: its answer tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let ended = exited.context("a pidfd").and_then(|exited| {
        let mut fds = [PollFd::new(&exited, PollFlags::IN)];
        let limit = Timespec::try_from(limit).context("the probe's timeout")?;
        Ok(poll(&mut fds, Some(&limit))? > 0)
    });
    if !matches!(ended, Ok(true)) {
        // It is our child and not reaped: the number is its own.
        let _ = child.kill();
    }
    let output = child.wait_with_output().context("what tsql says")?;
    let answered = String::from_utf8_lossy(&output.stdout).contains(ROW);
    Ok(ended? && output.status.success() && answered)
}

/// Whether this process, and so the program, has a terminal that could be asked.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
