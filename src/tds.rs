//! A client of the engine over TDS: connections with a login, and the reading of their answers.
//!
//! It stands apart because the code that observes the engine and the code that acts on it both use
//! it, and must not know of each other.
//!
//! **Architecture invariants.**
//! - An attempt has one [`deadline`] over name resolution, TCP, TLS, login and query; nothing in here
//!   waits without one, and nothing is read without a limit of bytes.
//! - A connection is used again only after a complete answer. `Session::query` takes it
//!   by value and gives it back on success, so that a timeout, an error or a dropped future closes
//!   it: a TDS connection abandoned in the middle of an answer would hand that answer to the next
//!   question.
//! - The engine's texts and the password appear in no error.

pub(crate) mod certificate;
pub(crate) mod channel;
pub(crate) mod deadline;
pub(crate) mod dial;
pub(crate) mod error;
pub(crate) mod permissions;
pub(crate) mod prelogin;
pub(crate) mod session;
pub(crate) mod standing;
pub(crate) mod trust;
pub(crate) mod value;
