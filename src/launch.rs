//! `launch [-- COMMAND...]`: the first process of the SQL container, as small as an init.
//!
//! It starts the image's own command when the gate is open, passes signals on to the real `sqlservr` below
//! the image's shell, reaps everything, stays until the engine is gone and ends with its status. So a stop is
//! a shutdown and not a crash, and the container's end shows how the engine ended.
//!
//! Whatever needs a network, a format or a look at other processes is the work of [`crate::agent`], a
//! child of it. With the agent gone or stuck it does what it can do alone, and starts another one.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`init`] | the loop |
//! | [`command`] | the command, and what is left of it |
//! | [`image`] | the command of an image, where none is given |
//! | [`agent_process`] | the agent's process |
//! | [`deadline`] | the moment until which the engine may run: the dead-man's switch of a strict lease |
//! | [`channel`] | the messages between PID 1 and the agent |
//! | [`sidecar`] | the first process of the supervisor's own container |
//! | [`log`], [`termination`] | what people read |
//!
//! **Architecture invariant:** no async runtime, no HTTP, no JSON to be read, no walk through `/proc` but at
//! the end, and there only where the kernel does not list a process's children; nothing waits but the one
//! poll(2) of the loop. It has one thread. All times that it waits for are of CLOCK_MONOTONIC, but for the
//! lease's moment.
//!
//! Compared with others that are made to be PID 1:
//!
//! | | tini 0.19 | dumb-init 1.2.5 | this |
//! | --- | --- | --- | --- |
//! | signals | all but faults: child or group | all: session | all named but faults: the engine itself |
//! | SIGTTIN, SIGTTOU | ignored | suspends with the child | ignored |
//! | orphans | reaped; subreaper with `-s` | reaped | reaped; subreaper where it is not PID 1 |
//! | ends when | its child ends | its child ends | the engine ends, whether its shell still runs or not |
//! | left then | killed by the kernel | SIGTERM by its wrapper, then the kernel | SIGTERM, grace, SIGKILL |
//! | exit status | the child's | the child's | the engine's |
//! | a start that fails | 126, 127 | 2 | 126, 127 |

pub mod agent_process;
pub mod backoff;
pub mod channel;
pub mod command;
pub mod deadline;
pub mod image;
pub mod init;
pub mod log;
pub mod sidecar;
pub mod termination;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::config::{Config, EngineRestart, LogConfig};
use crate::decide::lease::LeaseMode;
use agent_process::AgentProcess;
use deadline::Deadline;
use init::Init;
use log::{Log, Value};
use termination::TerminationMessage;

/// The exit code where there is nothing to start, as the shells have it.
const NO_SUCH_COMMAND: u8 = 127;

/// The settings of PID 1.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the lease is a strict one: then no engine runs without a moment until which it may run.
    pub strict: bool,
    /// Whether an engine that has ended may be started again in this container.
    pub in_place: bool,
    /// The address at which the agent answers the kubelet's probes.
    pub listen: SocketAddr,
    /// The path of the container's termination message.
    pub termination_log: PathBuf,
    /// The level and the format of PID 1's log.
    pub log: LogConfig,
    /// The path of this program's own file.
    pub program: PathBuf,
    /// The command to start, with its arguments; empty for what the image starts by itself.
    pub command: Vec<OsString>,
    /// The flags of the agent.
    pub flags: Vec<OsString>,
}

impl Settings {
    /// Returns the settings from the configuration. The agent is given the same flags.
    ///
    /// # Errors
    ///
    /// This program's own file can't be found.
    pub fn new(config: &Config, command: Vec<OsString>, flags: Vec<OsString>) -> io::Result<Self> {
        let termination_log = config.termination_log.clone();
        Ok(Self {
            strict: config.policy.lease == LeaseMode::Strict,
            in_place: config.launch.engine_restart == EngineRestart::InPlace,
            listen: config.launch.listen,
            termination_log: termination_log
                .unwrap_or_else(|| PathBuf::from(termination::DEFAULT_PATH)),
            log: config.log,
            program: std::env::current_exe()?,
            command,
            flags,
        })
    }
}

/// Undoes what PID 1 has done to the signals of a process that it has started.
///
/// # Errors
///
/// The mask can't be set.
pub fn take_signals_back() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Starts the command when the gate is open, and stays until it and its engine are gone. Returns the exit
/// code.
///
/// # Errors
///
/// The system has no descriptor left.
pub fn run(mut settings: Settings) -> anyhow::Result<u8> {
    let log = Log(settings.log);
    let signals = catch_signals().context("signals can't be caught")?;
    if settings.command.is_empty() {
        match image::command(Path::new("/")) {
            Ok(image) => {
                let command = format!("{:?}", image.words);
                let fields = [
                    ("command", Value::Text(&command)),
                    ("image", Value::Text(&image.kind)),
                ];
                log.info("no command is given: the image's own start", &fields);
                settings.command = image.words;
            }
            Err(error) => {
                log.warn("no command is given", &[("error", Value::Text(&error))]);
                return Ok(NO_SUCH_COMMAND);
            }
        }
    }
    let own = Pid::this();
    log.info(
        "launches",
        &[
            ("pid", Value::Number(own.as_raw().into())),
            ("version", Value::Text(&env!("CARGO_PKG_VERSION"))),
        ],
    );
    if own.as_raw() != 1
        && let Err(error) = set_child_subreaper(true)
    {
        log.warn(
            "orphans can't be adopted: they may outlive the engine",
            &[("error", Value::Text(&error))],
        );
    }
    let deadline = Deadline::none(log).context("no timer for the lease")?;
    let mut arguments = vec![OsString::from("agent")];
    arguments.extend(settings.flags.iter().cloned());
    let agent = AgentProcess::new(settings.program.clone(), arguments, settings.listen, log);
    let message = TerminationMessage::at(&settings.termination_log);
    Ok(Init::new(settings, signals, deadline, agent, message).run())
}

/// Has all signals come by a descriptor, but those by which a fault of this process itself ends it. The
/// processes that it starts inherit the mask, see [`take_signals_back`].
fn catch_signals() -> nix::Result<SignalFd> {
    let mut mask = SigSet::all();
    for fault in [
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGABRT,
        Signal::SIGTRAP,
        Signal::SIGSYS,
    ] {
        mask.remove(fault);
    }
    mask.thread_block()?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}
