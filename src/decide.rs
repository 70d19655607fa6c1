//! The pure engine: (policy, state, snapshot, time) -> (state, decision).
//!
//! **Architecture invariant:** nothing here reads a clock, does I/O, logs, or returns an error.
//! Everything it knows is in its arguments; everything it wants is in its result.

pub mod decision;
pub mod observation;
pub mod policy;
pub mod reason;
pub mod snapshot;
pub mod sql_error;
pub mod time;
