//! The demo: a stand-in for SQL Edge, and the supervisor on it.
//!
//! `cargo run --release --example demo` starts both and says what to try; with `-- --story` it tells
//! a story by itself and ends. Both are real processes: this program, executed again under another
//! name. Ctrl-C leaves nothing behind.

#![allow(clippy::print_stdout)] // it is there to print

#[path = "../support/support.rs"]
mod shared;
mod stage;
#[path = "../standin/standin.rs"]
mod standin;
mod story;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use sql_edge_supervisor::{cli, command};

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from);
    match called.as_deref().and_then(|path| path.file_name()) {
        Some(name) if name == OsStr::new(stage::ENGINE) => standin::main(std::env::args_os()),
        Some(name) if name == OsStr::new(stage::SUPERVISOR) => {
            match cli::parse(std::env::args_os()) {
                Ok(invocation) => command::execute(invocation).into(),
                Err(error) => command::usage(&error).into(),
            }
        }
        _ => demo(),
    }
}

fn demo() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let story = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--story"] => true,
        _ => {
            println!("usage: demo [--story]");
            return ExitCode::from(64);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                ended = story::run(story) => ended,
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
