//! sql-edge-supervisor: decides when a SQL Server container is started, alive and ready.
//!
//! It runs beside Azure SQL Edge, or SQL Server on Linux, in the same pod. It watches the `sqlservr`
//! processes, asks the engine real questions over TDS, proves that the volume is mounted and
//! writable, and turns all of it into answers for the kubelet, each with its reason, and into
//! metrics. The promise: *Kubernetes restarts the database when a restart helps, only then, and at
//! once.*
//!
//! # Architecture
//!
//! ```text
//!              observe                      decide                        publish
//!  /proc, pidfd ── process ──┐                                   ┌── /livez /readyz ... ── kubelet
//!  TDS ─── ping, login ──────┤   Snapshot        Decision        │
//!          databases ────────┼──> (fold) ──────> (answers, ──────┼── /metrics ──────── Prometheus
//!          diagnostics, dac ─┤      rules        reasons)        │
//!  volume, errorlog, dumps ──┤      reasons                      └── /status, / ────────── people
//!  cgroup, own clock ────────┘      latches
//!                  Sink                          Published
//! ```
//!
//! 1. An observer ([`observe`]) turns one part of the world into plain values, at its own pace and
//!    under its own deadline, and sends them into the [`observe::Sink`].
//! 2. The loop in [`app`] folds them into one [`decide::snapshot::Snapshot`] and asks the engine,
//!    [`decide::engine::decide`], for a [`decide::decision::Decision`].
//! 3. It publishes the decision, and the HTTP thread ([`publish`]) answers from the last one. What people read
//!    of it, the page and `status`, is one [`summary`] of the document at `/status`.
//! 4. Where the decision asks for it, [`act`] ends the engine's processes, once, and what comes of it enters
//!    as an observation like any other. So does what a person orders over a Unix socket.
//! 5. Apart from all that, [`collect`] asks the engine for its metrics and renders them in the text format
//!    ([`exposition`]); a scrape joins what was rendered last with the supervisor's own.
//!
//! # Invariants
//!
//! Each is enforced by the test named beside it.
//!
//! - [`decide`] does no I/O, reads no clock, logs nothing, returns no error:
//!   `architecture::the_engine_is_pure`.
//! - `observe`, `publish`, `act` and `config` know nothing of each other's insides:
//!   `architecture::modules_import_only_what_they_may`.
//! - No answer fails without a reason: `engine::properties::the_invariants_hold_after_every_step`, as for the
//!   next five.
//! - Liveness fails only where a restart helps.
//! - Each restart rests on evidence that was seen lately, by an observer that could have seen the engine well
//!   ([`decide::reason::Evidence`]).
//! - Readiness rests on a fresh answer of this process.
//! - There is at most one step away from the safe side per window.
//! - The supervisor restarts or the kubelet, never both for one incident, and neither against a hold.
//! - Worse evidence never improves an answer: `engine::properties::worse_evidence_never_improves_an_answer`.
//! - Liveness never fails while a recovery advances:
//!   `engine::properties::liveness_never_fails_while_recovery_advances`.
//! - The same trace gives the same decisions: `engine::properties::the_same_trace_gives_the_same_decisions`.
//! - A hang is not missed, and nothing else is restarted, whether or not the engine can be asked:
//!   `engine::simulation`.
//! - An engine that is well and can't be asked is left alone: `engine::asking`, `it::unasked`.
//! - Only a process whose identity is confirmed is signalled, SIGKILL after the grace: `act::restart` tests.
//! - The budget, a pause and what was proven outlive the supervisor: `it::restart`.
//! - Whatever a collector is answered, the exposition is valid, and verdicts and other collectors stay:
//!   `collect::tests`, `it::collect`.
//! - A loop that stops deciding is reported, not served: `publish::routes` tests.
//!
//! What a *person* has to know, how to install and run it, is in the README and below `docs/`.

pub mod act;
pub mod agent;
pub mod app;
pub mod cli;
pub mod collect;
pub mod command;
pub mod config;
pub mod decide;
pub mod errorlog;
pub mod exposition;
pub mod inject;
pub mod launch;
pub mod link;
pub mod memory;
pub mod observe;
pub mod parts;
pub mod pidfd;
pub mod publish;
pub mod records;
pub mod summary;
mod tds;
pub mod telemetry;
pub mod yaml;
