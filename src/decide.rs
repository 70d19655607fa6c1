//! The decision engine, a pure function: (policy, state, snapshot, time) -> (state, decision).
//!
//! Observations are folded into a [`snapshot`]; [`engine::decide`] applies the [`rules`] to it, and
//! turns their findings into the answers of the probes by the table in [`reason`].
//!
//! **Architecture invariant:** nothing here reads a clock, does I/O, logs, or returns an error.
//! Everything it knows is in its arguments; everything it wants is in its result.

pub mod adopt;
pub mod budget;
pub mod decision;
pub mod diagnosis;
pub mod engine;
pub mod faults;
pub mod fence;
pub mod findings;
pub mod first_mounts;
pub mod identity;
pub mod incarnation;
pub mod latch;
pub mod lease;
pub mod memory;
pub mod mount;
pub mod observation;
pub mod policy;
pub mod progress;
pub mod reason;
pub mod restart;
pub mod rules;
pub mod snapshot;
pub mod sql_error;
pub mod stop;
pub mod time;
pub mod troubles;
pub mod volumes;
