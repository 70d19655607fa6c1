//! Parses, runs, returns the exit code. Nothing else ends the process.

use std::process::ExitCode;

use sql_edge_supervisor::{cli, command, memory, telemetry};

fn main() -> ExitCode {
    memory::share();
    telemetry::report_panics();
    // Returning ends the process without waiting for threads that are stuck in I/O.
    match cli::parse(std::env::args_os()) {
        Ok(invocation) => command::execute(invocation).into(),
        Err(error) => command::usage(&error).into(),
    }
}
