//! sql-edge-supervisor.
pub mod config;
pub mod decide;
pub mod observe;
pub mod publish;
