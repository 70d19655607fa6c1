//! The engine, asked over TDS.

pub mod permissions;
