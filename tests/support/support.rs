//! The code that the integration tests, the demo and the benchmark share.

#![allow(
    dead_code,
    reason = "each program that includes this module uses its own part of it"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "what goes wrong here ends the test"
)]

pub mod alerts;
pub mod container;
pub mod http;
pub mod ports;
pub mod scratch;
pub mod supervisor;
pub mod volumes;
pub mod writer;
