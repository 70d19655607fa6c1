//! A stand-in for the SQL Server engine.

#![allow(
    dead_code,
    reason = "each program that includes this module uses its own part of it"
)]

mod boot;
pub mod command;
mod control;
mod datadir;
mod engine;
mod errorlog;
pub mod handle;
mod lifecycle;
mod load;
mod login;
pub mod messages;
mod options;
mod process;
pub mod script;
mod server;
mod session;
pub mod sql;
mod store;
pub mod tds;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the stand-in, parent or engine; `arguments` begin with the path that was executed.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let options = match options::parse(arguments.iter().cloned()) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let ended = process::set_name().and_then(|()| {
        if process::is_engine() {
            process::follow_parent()?;
            boot::run(options)
        } else {
            process::watch(&arguments)
        }
    });
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sqlservr: {error:#}");
            ExitCode::FAILURE
        }
    }
}
