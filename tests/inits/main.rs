//! What a first process makes of a stop, and of an end by itself: `launch` beside those that others
//! use, on the image's kind of command, each in a PID namespace of its own.
//!
//! `cargo run --example inits` prints a table, and fails where `launch` did not do what it promises.
//! What the others do is shown and changes nothing. It needs root, tini and dumb-init.

#![allow(clippy::expect_used, clippy::panic, reason = "what goes wrong ends it")]
#![allow(clippy::print_stdout, reason = "the table")]

#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;

mod trial;

use std::process::ExitCode;

use trial::{Init, Outcome, Trial};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut right = true;
    println!("<!-- inits:begin -->");
    println!(
        "| first process | clean stop on SIGTERM | its exit status | status when the engine crashes (SIGSEGV) | zombies while it runs | companions cut off without a SIGTERM |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for init in Init::ALL {
        let outcome = Trial::run(*init).await;
        println!("{}", row(*init, &outcome));
        right &= *init != Init::Launch || outcome.is_right();
    }
    println!("<!-- inits:end -->");
    if !right {
        println!("launch did not do what it promises");
    }
    ExitCode::from(u8::from(!right))
}

fn row(init: Init, outcome: &Outcome) -> String {
    let clean = if outcome.clean { "yes" } else { "**no**" };
    let status = |code: Option<i32>| code.map_or_else(|| "killed".to_owned(), |c| c.to_string());
    format!(
        "| {} | {clean} | {} | {} | {} | {} |",
        init.name(),
        status(outcome.stopped),
        status(outcome.crashed),
        outcome.zombies,
        outcome.orphans,
    )
}
