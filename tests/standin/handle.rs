//! Starting and driving a stand-in from a test or the demo.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

pub use super::boot::Announcement;
use super::command::{Command, Reply, Statistics, Status};
use super::script::Script;

pub const DEFAULT_PASSWORD: &str = "Stand-in_1";
/// SIGKILL takes effect at once unless the disk holds the process.
const KILL_TIMEOUT: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// The options by which a stand-in is started. Everything it writes is under `directory`; the caller owns
/// that.
#[derive(Clone, Debug)]
pub struct StandInOptions {
    /// A path that ends in `sqlservr`: the program, or a link to one that calls `standin::main`.
    pub binary: PathBuf,
    /// The directory of `mssql` (the data directory), the control socket and the output. Its path is short: a
    /// socket's path is limited.
    pub directory: PathBuf,
    /// Further arguments, such as `--encryption required`.
    pub arguments: Vec<OsString>,
    /// Further environment.
    pub environment: Vec<(OsString, OsString)>,
    pub port: u16,
    pub password: String,
    pub script: Script,
    pub start_timeout: Duration,
}

impl StandInOptions {
    pub fn new(binary: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            directory: directory.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            port: 0,
            password: DEFAULT_PASSWORD.to_owned(),
            script: Script::default(),
            start_timeout: Duration::from_secs(30),
        }
    }

    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("mssql")
    }

    /// Returns the path of what the processes wrote to standard output and error.
    pub fn output(&self) -> PathBuf {
        self.directory.join("output.log")
    }
}

/// A running stand-in. Dropping it kills its two processes, and no others.
#[derive(Debug)]
pub struct StandIn {
    options: StandInOptions,
    announcement: Announcement,
    parent: Child,
    parent_fd: AsyncFd<OwnedFd>,
    /// Refers to the engine process even after its number is used again.
    child_fd: OwnedFd,
}

impl StandIn {
    /// Starts the processes and returns once the first phase has begun: by default, once logins are answered.
    pub async fn start(options: StandInOptions) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.directory).context("creating the directory")?;
        let script = options.directory.join("script.json");
        std::fs::write(&script, serde_json::to_vec(&options.script)?)
            .context("writing the script")?;
        let announce = fresh_fifo(&options.directory.join("announce"))?;
        let receiver = pipe::OpenOptions::new()
            .open_receiver(&announce)
            .context("opening the FIFO")?;
        let mut parent = spawn(&options, &script, &announce)?;
        let found = Self::attach(&options, receiver, &parent).await;
        match found {
            Ok((announcement, parent_fd, child_fd)) => Ok(Self {
                options,
                announcement,
                parent,
                parent_fd,
                child_fd,
            }),
            Err(error) => {
                // It is our own child and not yet reaped, so the number is still its own.
                let _ = parent.kill();
                let _ = parent.wait();
                let output = std::fs::read_to_string(options.output()).unwrap_or_default();
                Err(error.context(output))
            }
        }
    }

    async fn attach(
        options: &StandInOptions,
        receiver: pipe::Receiver,
        parent: &Child,
    ) -> anyhow::Result<(Announcement, AsyncFd<OwnedFd>, OwnedFd)> {
        let parent_fd = pidfd(parent.id())?;
        #[expect(
            deprecated,
            reason = "unsound for borrowed descriptors only; this one is owned"
        )]
        let parent_fd = AsyncFd::new(parent_fd).context("watching the process")?;
        let mut line = String::new();
        let mut reader = BufReader::new(receiver);
        let announced = async {
            tokio::select! {
                read = reader.read_line(&mut line) => read.map(|_| ()).context("reading the announcement"),
                _ = parent_fd.readable() => bail!("the stand-in ended before it was up"),
            }
        };
        tokio::time::timeout(options.start_timeout, announced)
            .await
            .context("the stand-in did not come up in time")??;
        let announcement: Announcement =
            serde_json::from_str(&line).context("parsing the announcement")?;
        let child_fd = pidfd(announcement.child_pid)?;
        Ok((announcement, parent_fd, child_fd))
    }

    pub fn port(&self) -> u16 {
        self.announcement.port
    }

    /// Returns the port of the administrator connection; zero without one.
    pub fn dac_port(&self) -> u16 {
        self.announcement.dac_port.unwrap_or_default()
    }

    pub fn parent_pid(&self) -> u32 {
        self.announcement.parent_pid
    }

    /// Returns the pid of the engine process.
    pub fn child_pid(&self) -> u32 {
        self.announcement.child_pid
    }

    pub fn control(&self) -> PathBuf {
        control_path(&self.options)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir()
    }

    pub fn password(&self) -> &str {
        &self.options.password
    }

    pub fn options(&self) -> &StandInOptions {
        &self.options
    }

    /// Returns the errorlog so far.
    pub fn errorlog(&self) -> io::Result<String> {
        std::fs::read_to_string(self.data_dir().join("log/errorlog"))
    }

    /// Sends one command; an error when the stand-in refuses it or does not answer within ten seconds.
    pub async fn command(&self, command: Command) -> anyhow::Result<Reply> {
        send(&self.control(), &command).await
    }

    pub async fn status(&self) -> anyhow::Result<Status> {
        match self.command(Command::Status).await? {
            Reply::Status(status) => Ok(status),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    pub async fn statistics(&self) -> anyhow::Result<Statistics> {
        match self.command(Command::Statistics).await? {
            Reply::Statistics(statistics) => Ok(statistics),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    /// Returns the server's certificate, PEM.
    pub async fn certificate(&self) -> anyhow::Result<String> {
        match self.command(Command::Certificate).await? {
            Reply::Certificate { pem } => Ok(pem),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    /// Signals the engine process; nothing happens when it has ended.
    pub fn signal_child(&self, signal: Signal) -> io::Result<()> {
        tolerate_ended(pidfd_send_signal(&self.child_fd, signal))
    }

    pub fn signal_parent(&self, signal: Signal) -> io::Result<()> {
        tolerate_ended(pidfd_send_signal(self.parent_fd.get_ref(), signal))
    }

    /// Waits until the parent has exited, and reaps it.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.parent_fd.readable().await?.retain_ready();
        self.parent.wait()
    }

    /// Kills what still runs and starts again, on the same directory and port, with the script of the
    /// options.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let mut options = self.options.clone();
        options.port = self.announcement.port;
        *self = Self::start(options).await?;
        Ok(())
    }

    /// Restarts as [`StandIn::restart`] does, with another script.
    pub async fn restart_with(&mut self, script: Script) -> anyhow::Result<()> {
        self.options.script = script;
        self.restart().await
    }

    /// Sends SIGKILL to both processes, as on a node that loses power.
    pub fn kill(&mut self) {
        // Either may have ended; neither number is used, so nobody else can be hit.
        let _ = self.signal_child(Signal::KILL);
        let _ = self.signal_parent(Signal::KILL);
        let _ = self.parent.wait();
        // The engine is not our child: without this its port and files might still be in use after the
        // return.
        let mut fds = [PollFd::new(&self.child_fd, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&KILL_TIMEOUT));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tolerate_ended(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}

fn pidfd(pid: u32) -> anyhow::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pidfd_open(pid.context("no such pid")?, PidfdFlags::empty()).context("opening a pidfd")
}

fn control_path(options: &StandInOptions) -> PathBuf {
    options.directory.join("control.sock")
}

fn fresh_fifo(path: &Path) -> anyhow::Result<PathBuf> {
    if path.exists() {
        std::fs::remove_file(path).context("removing the old FIFO")?;
    }
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))
        .context("making a FIFO")?;
    Ok(path.to_owned())
}

fn spawn(options: &StandInOptions, script: &Path, announce: &Path) -> anyhow::Result<Child> {
    // To files, so that the stand-in never waits for a reader.
    let output = File::options()
        .create(true)
        .append(true)
        .open(options.output())
        .context("opening the output")?;
    std::process::Command::new(&options.binary)
        .arg("--data-dir")
        .arg(options.data_dir())
        .args(["--port", &options.port.to_string()])
        .arg("--control")
        .arg(control_path(options))
        .arg("--script")
        .arg(script)
        .arg("--announce")
        .arg(announce)
        .args(&options.arguments)
        .env("MSSQL_SA_PASSWORD", &options.password)
        .envs(options.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("sharing the output")?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("starting {}", options.binary.display()))
}

/// Sends one command to a control socket.
pub async fn send(control: &Path, command: &Command) -> anyhow::Result<Reply> {
    let conversation = async {
        let mut stream = UnixStream::connect(control)
            .await
            .context("connecting to the control socket")?;
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        ensure!(!answer.is_empty(), "the stand-in closed the control socket");
        match serde_json::from_str(&answer)? {
            Reply::Refused { reason } => bail!("refused: {reason}"),
            reply => Ok(reply),
        }
    };
    tokio::time::timeout(CONTROL_TIMEOUT, conversation)
        .await
        .context("the control socket did not answer in time")?
}

/// Returns the program `sqlservr` beside the running test: Cargo puts examples there, but names no variable
/// for them.
pub fn built_binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding the own executable")?;
    let target = own
        .ancestors()
        .find(|path| path.join("examples").is_dir())
        .context("finding the build directory")?;
    let binary = target.join("examples/sqlservr");
    ensure!(
        binary.exists(),
        "{} is missing: cargo build --example sqlservr",
        binary.display()
    );
    Ok(binary)
}

/// A directory that is removed when dropped.
#[derive(Debug)]
pub struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    pub fn new() -> anyhow::Result<Self> {
        let template = std::env::temp_dir().join("standin.XXXXXX");
        nix::unistd::mkdtemp(&template)
            .map(Self)
            .context("making a scratch directory")
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        // Left-overs in the temporary directory are better than a panic in drop.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
