//! What a person tells the supervisor to do. The HTTP port answers questions and changes nothing;
//! whatever changes something comes over the Unix socket of [`control`].
//!
//! **Architecture invariant:** nothing here observes, decides or publishes. An [`order::Order`] leaves
//! as a value through the function that [`crate::app`] hands in, and comes back to the engine as an
//! observation like any other.

pub mod control;
pub mod order;
