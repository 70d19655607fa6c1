//! The commands that `launch` starts itself, and what they have in common with it.

use std::ffi::OsString;

use clap::{Arg, Command, value_parser};

use super::commands::settings_arguments;

/// The agent of the SQL container.
pub fn agent_command() -> Command {
    Command::new("agent")
        .about("The part of `launch` that may end; started by it")
        .hide(true)
        .args(settings_arguments())
}

/// The step from `launch` to the image's command.
pub fn exec_command() -> Command {
    Command::new("exec")
        .about("Become a command, with the signals that it had without `launch`; started by it")
        .hide(true)
        .arg(command_argument())
}

/// The command that is to be started.
pub fn command_argument() -> Arg {
    Arg::new("command")
        .value_name("COMMAND")
        .help("What to start, with its arguments; else the image's own start")
        .last(true)
        .num_args(1..)
        .value_parser(value_parser!(OsString))
}
