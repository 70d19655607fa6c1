//! A stand-in for the SQL Server engine, as the supervisor meets it: two processes called `sqlservr`, a TDS
//! port, a data directory, an errorlog. It is for tests and the demo; it is never shipped, and nothing in it
//! uses the crate that it tests.
//!
//! ```text
//! sqlservr --data-dir DIR [--port 0] [--dac-port 0] [--control SOCKET] [--script FILE] [--announce FILE]
//!          [--encryption off|on|required|not-supported|strict] [--tls-cert PEM --tls-key PEM]
//!          [--listen-address 127.0.0.1] [--errorlog-utf16] [--max-connections 512]
//!          [--fail-start evaluation|eula|password|memory|system-dir|master|listen]
//! ```
//!
//! The password of `sa` comes from `MSSQL_SA_PASSWORD` or `SA_PASSWORD`. Once the first phase has begun, one
//! JSON line gives both pids, the ports and the control socket ([`handle::Announcement`]). From Rust, use
//! [`handle::StandIn`].
//!
//! # What is where
//!
//! | module | what it does |
//! | --- | --- |
//! | `process` | the watchdog: starts the engine, forwards SIGTERM, reaps, exits as the engine did |
//! | [`failure`] | starts that fail, with the messages of the image |
//! | `boot` | the engine process from its first file to its clean shutdown |
//! | `engine` | the state that all tasks share |
//! | `lifecycle` | the phases of a start; `server` opens and closes the port by them |
//! | `session`, `login`, [`tds`] | a client's connection on the wire |
//! | [`sql`] | the SQL that is understood, and its answers |
//! | `store`, `datadir`, `errorlog` | what is on the volume |
//! | `control`, [`command`], [`script`] | what a test may change while it runs |
//! | `load` | cpu, writes and memory beside the answers |
//!
//! # What it imitates
//!
//! - Parent and child with the kernel's name `sqlservr` and the same command line. The child dies with its
//!   parent (PR_SET_PDEATHSIG); the parent exits with the child's status, 128 + signal when it was killed.
//!   SIGTERM to either is a clean shutdown: the availability manager's line and 17148 in the errorlog (17147
//!   on SIGINT), 6005 and 18451 in one answer for logins, 6005, 18456 and 596 and the end of the connection
//!   for requests, exit 0.
//! - TDS 7.2 to 7.4, and TDS 8 (`strict`, TLS first): prelogin, TLS 1.2 inside prelogin packets for the
//!   login or the whole session, LOGIN7, batches, `sp_executesql` and procedures by name, transaction
//!   requests, attention, connection reset, packet sizes.
//! - SELECT with joins, derived tables and uncorrelated subqueries, WHERE, GROUP BY, HAVING, ORDER BY, TOP,
//!   DISTINCT, UNION ALL, arithmetic, CASE and the functions that monitoring queries use; `DECLARE`, `SET`,
//!   `SELECT @name = ...`, `IF`, `BEGIN TRY`, `EXEC (text)`, `sp_executesql`; from the views that exporters
//!   read: databases, files and their input and output, counters, waits, schedulers, memory, sessions,
//!   requests, tempdb, backups and jobs in msdb, tables with data retention and streaming jobs. What is easy
//!   is counted for real (batches, logins, connections, the journal's writes); the rest is made up, and
//!   `set_view` changes or refuses it.
//! - `USE`, `CHECKPOINT`, `WAITFOR DELAY`, `EXEC sp_server_diagnostics`; `CREATE TABLE`, `INSERT`, `SELECT`
//!   on `dbo.journal (id, epoch)`, whose rows are on disk before they are acknowledged, and whose epoch,
//!   where the client gives none, is that of the environment's `SQL_EDGE_SUPERVISOR_EPOCH`, or 0. Anything
//!   else: 102, 207, 208 or 2812, or a scripted answer.
//! - With `--dac-port`, the dedicated administrator connection: one at a time, for `sa` alone, answering
//!   whatever hangs.
//! - An empty volume silently becomes a new instance; one that cannot be used gives the image's messages and
//!   exit 1.
//!
//! # What it does not
//!
//! Transactions (each INSERT is durable by itself), permissions other than VIEW SERVER STATE and what
//! `set_view` refuses, correlated subqueries, exact numerics with a fraction (they are floats), MARS,
//! integrated logins, prepared statements and cursors, collations other than the default. The password
//! always comes from the environment, though the real engine keeps the one of the volume's first start. Two
//! things are easier than in reality: 18401 refuses `sa` too unless the script has it otherwise, and
//! `sp_server_diagnostics` can be sped up.
//!
//! # Commands of the control socket
//!
//! One JSON object a line, `{"command": NAME, ...}`; one reply a line,
//! `{"reply": "done" | "refused" | ...}`. The reply comes when the change is in force, the listener's
//! state included. Fields are those of [`command::Command`].
//!
//! | command | effect |
//! | --- | --- |
//! | `status`, `statistics`, `reset_statistics`, `script`, `certificate` | read (or zero) the state |
//! | `set_script`, `reset` | the whole script at once; back to a healthy engine |
//! | `start_phases`, `next_phase` | refusing, closing_at_accept, not_ready, recovering, upgrading, ready |
//! | `accept` | before the login: answer, refuse, close, reset, hang, tls_garbage |
//! | `login`, `set_login`, `paused` | any errors or none at all; passwords; 17142 |
//! | `faults` | by kind, text or application: delay, hang, error, close, reset; always or so many times |
//! | `answers` | result sets of any type for batches that contain a text |
//! | `databases`, `set_database`, `remove_database`, `many_databases` | the databases, up to 1,000 |
//! | `view_server_state`, `product` | permissions; SQL Server in Edge's place |
//! | `set_view`, `forget_view` | rows and errors of a view |
//! | `diagnostics` | states, attributes, silence, missing procedure, time scale |
//! | `write_errorlog`, `log_line` | the errorlog stands still; a line of one's own |
//! | `dac` | the administrator connection: answer, refuse, hang |
//! | `fail_start` | the start fails: the image's words, and exit 1 |
//! | `load`, `close_connections` | work beside the answers; every client is hung up on |
//! | `ignore_sigterm`, `shutdown_ms`, `exit`, `die`, `zombie` | how the process ends, or does not |
//!
//! A hang holds its requests until the fault is removed and never touches the control socket. For a frozen
//! process use SIGSTOP: then the control socket is frozen too, as it should be.

#![allow(
    dead_code,
    reason = "each program that includes this module uses its own part of it"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a double burns time by sleeping, says by dying what is wrong with it, and logs as the real thing does"
)]

pub mod boot;
pub mod command;
mod control;
mod datadir;
mod engine;
mod errorlog;
pub mod failure;
pub mod handle;
mod lifecycle;
mod load;
mod login;
mod logins;
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
        Err(error) => {
            // Help is no failure; clap knows which of the two it is.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
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
