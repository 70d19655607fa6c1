//! The commands of the program. Each writes to the streams that it is given and returns the exit status of
//! the process. A closed standard output is an error of the command; a closed standard error changes no exit
//! code, as nobody is left to read it.

pub mod after;
pub mod check_config;
pub mod client;
pub mod control;
pub mod diagnose;
mod exit;
pub mod gate;
pub mod history;
pub mod inject;
pub mod install;
pub mod probe;
pub mod reasons;
pub mod setup_sql;
pub mod space;
pub mod status;
pub mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;

use anyhow::Context as _;

use crate::cli::{Invocation, Target};
use crate::config::mistake::Mistake;
use crate::config::parse::parse_listen;
use crate::config::{Config, ConfigErrors, Effective, Environment, Flags, Sources, parse};
use crate::launch::log::Log;
use crate::launch::sidecar;
use crate::{agent, app, launch, memory, telemetry};
use client::ServerUrl;
pub use exit::Exit;

/// Runs the command that the command line asked for.
#[must_use]
pub fn execute(invocation: Invocation) -> Exit {
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    let environment = Environment::capture();
    let result = match invocation {
        Invocation::Run(flags) if sidecar::is_first() => Ok(keep(flags, environment, err)),
        Invocation::Run(flags) => Ok(run(flags, environment, err, |config| {
            launch::take_signals_back().context("the first process's signals can't be undone")?;
            app::run(config).map(|()| Exit::Done)
        })),
        Invocation::Launch { flags, command } => Ok(launch(flags, environment, command, err)),
        Invocation::Exec(command) => {
            let (error, code) = launch::command::become_command(&command);
            let program = command.first().cloned().unwrap_or_default();
            // Nobody is left to read it where it can't be written.
            let _ = writeln!(
                err,
                "sql-edge-supervisor: {program:?} can't be run: {error}; give the image's own command after `--`"
            );
            Ok(Exit::Launched(code))
        }
        Invocation::Agent(flags) => Ok(run(flags, environment, err, |config| {
            let memory = app::memory::recalled(&config.state_dir);
            agent::run(config, memory).map(|()| Exit::Done)
        })),
        Invocation::Gate { flags, limit } => Ok(run(flags, environment, err, |config| {
            gate::execute(config, limit, out)
        })),
        Invocation::Install { to } => install::execute(&to, out, err),
        Invocation::Probe {
            probe,
            target,
            verbose,
        } => Ok(probe::execute(probe, &target, environment, verbose, out)),
        Invocation::Status {
            target,
            json,
            watch,
        } => status::execute(&target, environment, json, watch, out, err),
        Invocation::Control { order, target } => {
            control::execute(order, &target, environment, out, err)
        }
        Invocation::StopAfter {
            hook,
            grace,
            target,
        } => after::execute(&hook, grace, &target, environment, out, err),
        Invocation::History(target) => history::execute(&target, environment, out, err),
        Invocation::Space(target) => space::execute(&target, environment, out, err),
        Invocation::CheckConfig { flags, reference } => {
            check_config::execute(flags, environment, reference, out, err)
        }
        Invocation::Reasons { code, format } => reasons::execute(code.as_deref(), format, out, err),
        Invocation::Diagnose(files) => diagnose::execute(&files, &mut io::stdin().lock(), out, err),
        Invocation::Inject(invoked) => inject::execute(invoked, out, err),
        Invocation::SetupSql { login } => setup_sql::execute(&login, out, err),
    };
    match result {
        Ok(exit) => exit,
        // The reader has seen enough, as in `reasons | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(_) => Exit::Failed,
    }
}

/// Prints what is wrong with a command line; help and version, which clap calls errors as well, go to
/// standard output.
#[must_use]
pub fn usage(error: &clap::Error) -> Exit {
    // Nothing can be done where nobody reads it.
    let _ = error.print();
    match error.use_stderr() {
        true => Exit::Usage,
        false => Exit::Done,
    }
}

fn run(
    flags: Flags,
    environment: Environment,
    err: &mut dyn Write,
    supervise: impl FnOnce(Config) -> anyhow::Result<Exit>,
) -> Exit {
    let effective = match load(flags, environment) {
        Ok(effective) => effective,
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            return Exit::Usage;
        }
    };
    telemetry::init(effective.config.log);
    for warning in &effective.warnings {
        tracing::warn!(setting = warning.setting, "{warning}");
    }
    memory::give_back();
    match supervise(effective.config) {
        Ok(exit) => exit,
        Err(error) => {
            tracing::error!("{error:#}");
            Exit::Failed
        }
    }
}

/// Runs as the first process of the supervisor's container, which gives its own arguments to the supervisor;
/// the supervisor warns of what is odd in them.
fn keep(flags: Flags, environment: Environment, err: &mut dyn Write) -> Exit {
    let log = match load(flags, environment) {
        Ok(effective) => Log(effective.config.log),
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            return Exit::Usage;
        }
    };
    memory::give_back();
    match sidecar::run(std::env::args_os().skip(1).collect(), log) {
        Ok(status) => Exit::Launched(status),
        Err(error) => {
            let _ = writeln!(err, "sql-edge-supervisor: {error:#}");
            Exit::Failed
        }
    }
}

/// Runs as PID 1 of the SQL container, which gives its own flags to its agent; the agent warns of what is odd
/// in them.
fn launch(
    flags: Flags,
    environment: Environment,
    command: Vec<OsString>,
    err: &mut dyn Write,
) -> Exit {
    let given = std::env::args_os().skip(2);
    let given = given.take_while(|argument| argument != "--").collect();
    let settings = match load(flags, environment) {
        Ok(effective) => launch::Settings::new(&effective.config, command, given),
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            return Exit::Usage;
        }
    };
    let settings = settings.map_err(anyhow::Error::from);
    memory::give_back();
    match settings.and_then(launch::run) {
        Ok(status) => Exit::Launched(status),
        Err(error) => {
            let _ = writeln!(err, "sql-edge-supervisor: {error:#}");
            Exit::Failed
        }
    }
}

fn load(flags: Flags, environment: Environment) -> Result<Effective, ConfigErrors> {
    parse(&Sources::load(flags, environment))
}

/// Returns the endpoint of the supervisor that `target` means.
fn endpoint(target: &Target, environment: Environment) -> Result<ServerUrl, Box<Mistake>> {
    match &target.url {
        Some(url) => Ok(url.clone()),
        None => {
            let sources = Sources::load(target.flags.clone(), environment);
            parse_listen(&sources).map(|listen: SocketAddr| ServerUrl::from_listen(listen))
        }
    }
}
