//! The records that the supervisor keeps on the volume, in [`FOLDER`], and how they are read and written.
//!
//! | file | holds | written |
//! | --- | --- | --- |
//! | `identity` | which volume this is, and whose instance | whole, by rename ([`atomic`]) |
//! | `history` | what happened to the engine | whole, by rename ([`history`]) |
//! | `reserve` | nothing: room for the others on a full volume ([`reserve`]) | when there is room |
//! | `lease.<epoch>` | whose engine may write the volume | exclusively made, then in place ([`claims`]) |
//! | `holder.<hash>` | who holds the lease, under a lock while the holder runs | in place ([`claims::lock`]) |
//!
//! A leaf: it knows the values of [`crate::decide`] and nothing else, and judges nothing. Any call may wait
//! for as long as the device does, so that only threads that nobody waits for may call it.
//!
//! All of them are opened [`beneath`] the data directory, without following links.
//!
//! **Architecture invariant:** nothing is written over that was not understood. It is kept aside first. The
//! exceptions hold nothing that anybody misses: a `holder` file, whose lock counts and not its text, the
//! `reserve`, and what a write that was cut short has left (`.new`).

pub mod atomic;
pub mod beneath;
pub mod claims;
pub mod history;
pub mod identity;
pub mod reserve;

/// The supervisor's folder in the data directory.
pub const FOLDER: &str = ".sql-edge-supervisor";

/// Returns the kernel's name for this boot: records of pids, and of clocks that begin with the boot, are
/// valid within it. Empty where the kernel does not report it.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}
