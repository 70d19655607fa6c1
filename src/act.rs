//! The part that changes something. The HTTP port only answers questions.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`control`], [`order`] | takes a person's orders, over a Unix socket |
//! | [`link`] | the supervisor's end of the link to the SQL container's agent |
//! | [`restart`] | ends the engine's processes, as the engine of [`crate::decide`] asks for |
//! | [`drain`], [`checkpoint`] | before a stop: waits for the clients, and saves what is in memory |
//! | [`holder`] | holds the lease on the volume |
//! | [`identities`], [`recorder`] | writes the volumes' identities and the history |
//! | [`bootstrap`] | makes the supervisor's own login |
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
