//! Logging: lines on standard error, text or JSON, from one level on.

use std::io::Write as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{LogConfig, LogFormat};

/// The crate, as a target of events.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// Sends all events of this process to standard error. Has an effect once; there is no colour in
/// the lines, terminal or not.
pub fn init(log: LogConfig) {
    let targets = targets(log.level);
    let builder = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_ansi(false)
        // The default reports a failed write by `eprintln!`, which panics when stderr is closed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // An error here says that a subscriber is set already: a test's own.
    let _ = match log.format {
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish().with(targets)),
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true);
            tracing::subscriber::set_global_default(builder.finish().with(targets))
        }
    };
}

/// Has a panic report where and why, and end the program, and no more. The standard library's own report
/// would walk the stack where `RUST_BACKTRACE` is set, for which the shipped binary has no tables.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // Where standard error is closed nobody reads it.
        let _ = writeln!(std::io::stderr(), "sql-edge-supervisor {panic}");
        // No part goes on without another one; the shipped binary has no way to unwind anyway.
        std::process::abort();
    }));
}

/// Returns the filter of events. At debug and trace the libraries would log packets, and the login's is one
/// of them: they are kept at `warn`.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        // It logs the text of the engine's errors, which may carry names of the user's objects.
        .with_target("tiberius", LevelFilter::OFF)
        .with_target(OWN, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_at_warn_and_the_tds_client_is_silent() {
        let at_trace = targets(Level::TRACE);
        assert!(at_trace.would_enable("sql_edge_supervisor::observe", &Level::TRACE));
        assert!(at_trace.would_enable("hyper::proto", &Level::WARN));
        assert!(!at_trace.would_enable("hyper::proto", &Level::INFO));
        assert!(!at_trace.would_enable("tiberius::client", &Level::ERROR));
        let at_error = targets(Level::ERROR);
        assert!(!at_error.would_enable("hyper::proto", &Level::WARN));
        assert!(!at_error.would_enable("sql_edge_supervisor", &Level::WARN));
    }
}
