//! The decision engine, a pure function: (policy, state, snapshot, time) -> (state, decision).
//!
//! Observations are folded into a [`snapshot`]; [`engine::decide`] applies the [`rules`] to it, and
//! turns their findings into the answers of the probes by the table in [`reason`].
//!
//! | question | file |
//! | --- | --- |
//! | How far is the engine: starting, running, stopping, gone? | [`incarnation`] |
//! | Is a silent engine restarted? Is it ready? | `rules/contact` |
//! | Is a process dead, missing, dumping, being stopped? | `rules/process` |
//! | Does a start stand still, and why did it fail? | `rules/start`, [`faults`] |
//! | What do the probes answer, the one of the start included? | `State::conclude` in [`engine`], [`latch`] |
//! | What does a reason do to each probe, and what has to be seen for it? | [`reason`] |
//! | Who restarts, and is it held back? | [`restart`], [`budget`] |
//! | Who is killed because it may not write? | [`fence`], `rules/lease` |
//! | Which pod holds the lease? | [`lease`] |
//! | May this pod write the volumes? | [`adopt::holds_lease`] |
//! | Is a volume the right one? | [`identity`], [`identity::set`] |
//! | Which identity is written? | `identity/set/writes`; after an operator's command [`adopt`] |
//! | What counts while the supervisor did not run? | [`time`], `snapshot/renewal` |
//! | Up to which age does an observation count? | `rules/seen`, [`policy::Ages`] |
//! | Which reason stands for an error number? | [`sql_error`] |
//! | What does a line of the errorlog mean? | [`faults`], [`troubles`] |
//! | What does a later run of the supervisor know? | [`memory`] |
//!
//! **Architecture invariant:** nothing here reads a clock, does I/O, logs, or returns an error.
//! Everything it knows is in its arguments; everything it wants is in its result.

pub mod adopt;
pub mod budget;
pub mod decision;
pub mod diagnosis;
pub mod engine;
pub mod faults;
pub mod fence;
pub mod findings;
pub mod first_mounts;
pub mod identity;
pub mod incarnation;
pub mod latch;
pub mod lease;
pub mod memory;
pub mod mount;
pub mod observation;
pub mod policy;
pub mod progress;
pub mod reason;
pub mod restart;
pub mod rules;
pub mod snapshot;
pub mod sql_error;
pub mod stop;
pub mod time;
pub mod troubles;
pub mod volumes;
