//! The lease: the interleavings of its protocol on a model of the directory and its containers, all of them
//! where they are few enough, else a sample and long random walks; and a race on real files.

#![allow(clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // how many states were seen, and the trace of a violation

mod explore;
mod race;
mod walk;
mod world;
