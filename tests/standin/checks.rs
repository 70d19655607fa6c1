//! The stand-in checked by itself and by tiberius. `tests/clients` does the same with clients that are not ours.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

#[path = "standin.rs"]
mod standin;

mod checks {
    mod support;

    mod codec;
    mod dac;
    mod faults;
    mod login;
    mod monitoring;
    mod process;
    mod queries;
}
