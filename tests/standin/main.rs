//! The stand-in engine as a program of its own, called `sqlservr`.

#[path = "standin.rs"]
mod standin;

fn main() -> std::process::ExitCode {
    standin::main(std::env::args_os())
}
