//! The pure engine: by scenario, by property, as an exhaustive grid, and in simulated time.
//!
//! Nothing here starts a process or waits for a clock.

#![allow(clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // a simulation that breaks prints its trace

mod asking;
mod bench;
mod causes;
mod evidence;
mod fencing;
mod grid;
mod invariants;
mod linked;
mod pieces;
mod properties;
mod restarting;
mod scenarios;
mod simulation;
mod starting;
mod stopping;
mod troubles;
mod volumes;
