//! The engine, asked over TDS: what it answers, how long that takes, and how it fails.
//!
//! | observer | connection | what for |
//! | --- | --- | --- |
//! | [`ping`] | standing | does it answer at once |
//! | [`login`] | a fresh one each time, closed again | would a new client be served |
//! | [`databases`] | standing | `sys.databases` and the progress of recovery |
//! | [`diagnostics`] | standing, streaming | what the engine reports of itself |
//! | [`dac`] | a fresh one, only while the ping is silent | does it answer an administrator |
//!
//! Three connections stand and a fourth lives for the milliseconds of a login. They are not shared:
//! a connection serves one request at a time, so a slow `sys.databases` on the ping's connection
//! would look like an engine that does not answer.
//!
//! The client itself, its deadlines and its limits are `crate::tds`.
//!
//! **Architecture invariant:** the engine's texts and the password appear in no observation.

pub mod dac;
pub mod databases;
pub mod diagnostics;
mod files;
pub mod login;
pub mod ping;
pub mod silence;

mod pace;
#[cfg(test)]
mod peers;
