//! The part that changes something. The HTTP port answers questions; what a person orders comes over the Unix
//! socket of [`control`], what the engine of [`crate::decide`] asks for is carried out by [`restart`]; before
//! a stop [`drain`] looks whether clients are left, and [`checkpoint`] saves what is in memory.
//!
//! **Architecture invariant:** nothing here observes, decides or publishes. An [`order::Order`], and
//! each step of a restart, leaves as a value through the function that [`crate::app`] hands in, and
//! comes back to the engine as an observation like any other.

pub mod bootstrap;
pub mod checkpoint;
pub mod control;
pub mod drain;
pub mod holder;
pub mod identities;
pub mod link;
pub mod order;
pub mod recorder;
pub mod restart;
