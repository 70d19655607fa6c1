//! The shipped binary on real processes, sockets, files and signals.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;

mod alerts;
mod asking;
mod cli;
mod client;
mod collect;
mod collectors;
mod control;
mod events;
mod filesystems;
mod gate;
mod launch;
mod lease;
mod limits;
mod live;
mod restart;
mod stop;
mod support;
mod told;
mod unasked;
mod verdicts;
mod volume;
