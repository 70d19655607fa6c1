//! Parses, runs, returns the exit code. Nothing else ends the process.

use std::process::ExitCode;

use sql_edge_supervisor::{cli, command, memory, telemetry};

/// The scripts of the linker, so that Cargo links anew where one of them has changed.
const _: [&[u8]; 2] = [
    include_bytes!("../docker/hot-code.ld"),
    include_bytes!("../docker/no-unwind-tables.ld"),
];

fn main() -> ExitCode {
    memory::share();
    telemetry::report_panics();
    // Returning ends the process without waiting for threads that are stuck in I/O.
    match cli::parse(std::env::args_os()) {
        Ok(invocation) => command::execute(invocation).into(),
        Err(error) => command::usage(&error).into(),
    }
}
