//! The lease: which pod may let an engine write the volume. All here is pure; [`crate::records`] executes
//! the steps.
//!
//! # Protocol
//!
//! In the supervisor's folder on the volume each claim is a file of its own, `lease.<epoch>`, that holds
//! one [`Claim`]. The highest epoch counts. [`LeaseMachine`] returns the next step:
//!
//! | to | steps |
//! | --- | --- |
//! | claim `N` | write the holder's file and take its lock; exclusive create of `lease.N`, write, fsync, fsync of the directory, list: only where `N` is the highest, unlink the lower ones; only then it is held |
//! | renew | open `lease.N` without creating it, read through that descriptor whose it is, write in place, fsync, list |
//! | watch | list, read the highest, look at its holder's lock; unchanged for [`Terms::stale`] on the watcher's own clock it is stale |
//! | release | as a renewal, with [`Claim::released`] set; then it is never held again. Only with a proof that the engine is gone ([`release`]) |
//!
//! A claim is followed by one of the next epoch
//!
//! - at once where it is released, where it is this holder's own, or where its holder is proven to be gone
//!   ([`sight`]): its lock is free, or it was another boot's on a volume of one machine, and the lease is
//!   advisory;
//! - else when it is stale.
//!
//! An agent that is started anew in the same container, and a supervisor in the same pod, claims `N + 1`, and
//! hands on [`Claim::first`], the epoch since which this holder has had it without a break. It does not go on
//! with `N`: a watcher may have found `N` stale already and be about to claim, and only the exclusive
//! create decides between the two.
//!
//! Why the protocol holds:
//! - The highest file is never unlinked and a lower one never wins, so the highest epoch only grows.
//!   Of those who create `lease.N` at most one finds it the highest afterwards, so an epoch has one
//!   holder at most.
//! - A delayed write of an old holder goes through a descriptor of its own file, or finds no such
//!   name: it never touches a later claim.
//! - A crash between any two steps leaves a claim that counts, is stale after a while, or is lower
//!   than another. A torn or empty one is somebody's: it becomes stale like any other.
//! - A holder's file is written, with its lock, before the claim that it belongs to is made, and names the
//!   run that wrote it. Where that is not the claim's run, or there is no such file, nothing follows from it.
//! - The lock lasts as long as the engine, not as long as the process that renews: PID 1 of the container
//!   keeps it and the engine inherits it ([`crate::records::claims::lock`]). A free one means that nothing is
//!   left that could write, so that it is followed at once in a strict lease too.
//!
//! **Invariant:** whether a claim can't be read, written, or judged, nothing is concluded from it: it is
//! neither held nor free, and it is tried again.
//!
//! # The bound
//!
//! Every moment is one of CLOCK_BOOTTIME, in which the time of a suspend counts.
//!
//! *Strict.* A holder counts itself as one until [`Terms::fence`] after the moment at which its last
//! successful renewal **began**, and a renewal that ends later than that does not count. A watcher
//! claims when two looks at least [`Terms::stale`] apart, the second one not begun earlier, found the same
//! contents. Since `fence < stale`, no two holders count themselves as such at one moment, however long
//! any of their threads, writes or answers are delayed. What is left is the time from there to the end
//! of the engine; `stale - fence` (10 s by default) lies in between, so that the other engine does not even
//! exist yet. The holder reports the moment in advance ([`LeaseMachine::run_until`]).
//!
//! | what happens | in launch mode, after that moment an engine may write | in attach mode |
//! | --- | --- | --- |
//! | the volume stalls, or renewals fail | until PID 1's timer has fired and SIGKILL takes effect: milliseconds | until the deciding loop, which asked to be asked at that moment, has sent SIGKILL: milliseconds |
//! | the process that renews is stopped (SIGSTOP), stuck, dead | the same: PID 1 needs nobody | until it runs again: nobody else fences |
//! | the whole container is stopped or frozen | from its thaw until PID 1 has run: milliseconds | from its thaw until the supervisor has run |
//! | the machine is suspended | from its resume until PID 1 has run, whose timer has run out meanwhile | from its resume until the loop's next look, 250 ms at most, which finds the suspend by CLOCK_BOOTTIME before it decides anything |
//! | a hypervisor pauses the virtual machine and its clocks | nothing in it can notice that. From its resume until the next renewal finds a higher claim: [`Terms::renew`], the input and output of one renewal, and SIGKILL | the same |
//!
//! A process in an uninterruptible write ends with that write, whoever kills it.
//!
//! *Advisory.* Only a higher epoch fences. After another holder's claim an engine may write until its
//! own holder's next look ends: a renewal's interval plus the input and output of one renewal, plus
//! any pause of that process. It is for volumes that no other node can attach: there the other one
//! can only be on the same machine, where a held lock shows that it lives, and a claim of another boot is a
//! dead one's.
//!
//! Assumptions: clocks of both nodes run at rates that differ by less than `stale / fence - 1` (half, by
//! default); a holder's process is gone, with its last write, before the next one of the same pod starts
//! (container runtimes wait for it, and PID 1 for its agent); a block device with ext4, xfs, btrfs, f2fs or
//! bcachefs is written by one machine at a time (the storage sees to that, or the file system is lost).
//!
//! # Versions
//!
//! A claim's file is version 1, as in the first release, which reads, follows and is followed by what is
//! written today. What is new stands in the holder's file beside it, which that release leaves alone. That
//! release has no lock and reports nothing of its engine: its claims are judged by their contents alone, and
//! a claim whose holder may be the watcher itself is watched until it is stale.
//!
//! # What is relied upon of the file system
//!
//! | | ext4, xfs, btrfs, tmpfs | NFSv3, NFSv4 | SMB (Azure Files) |
//! | --- | --- | --- | --- |
//! | one creator for a name | link(2), open(2) `O_EXCL` | the same; the server decides, since v3 | create disposition `CREATE_NEW` |
//! | a claim appears with its contents | link(2) of a synced file | the same | no hard links: it may be seen empty for a moment, and counts as held by nobody known |
//! | a renewal meets the unlinked file | one page cache | close-to-open: an open asks the server, ENOENT or ESTALE, whatever listing is cached; so a claim counts only after the lower ones are unlinked | handles of a deleted file are refused |
//! | a watcher sees a renewal | one page cache | close-to-open: fsync and close by the writer, open by the reader | `cache=strict`, the default |
//! | a create is in the creator's next listing | yes | the client's own change drops its cached listing | yes |
//! | a synced claim outlives a crash | fsync of file and directory | server's stable storage | flush |
//! | a lock shows whether its holder lives | fcntl(2) `F_OFD_SETLK` | not relied upon | not relied upon |
//! | a change wakes who waits for it | inotify(7) | changes of this machine only; else the next look | the same |
//!
//! `tests/lease` goes through the interleavings of these steps with crashes of agents, ends of containers,
//! suspends, delays and failures. Two contenders for a strict lease without any of these are exhausted; all
//! other worlds are sampled: breadth first up to a limit, which each test prints, and by long random walks.

pub mod machine;
pub mod release;
#[cfg(test)]
mod script;
pub mod sight;
mod stage;
mod state;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use machine::LeaseMachine;
use sight::Sight;

/// The number of a claim; the first one is 1.
pub type Epoch = u64;

/// The highest epoch: ten digits in the file's name.
pub const MAX_EPOCH: Epoch = 9_999_999_999;

/// The mode of the lease: how strongly it binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseMode {
    /// A holder that can't renew in time is fenced, and so is one that sees a higher epoch. For volumes
    /// that several nodes can attach.
    Strict,
    /// Only a higher epoch fences. For volumes that one node at a time can attach.
    Advisory,
    /// No lease is used.
    Off,
}

/// The identity of a claim's holder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderIdentity {
    /// The pod's uid; without one, an id by the pid namespace or the process, see [`sight::IdentityBasis`].
    pub id: String,
    /// The node, for people; empty where it is not known.
    pub node: String,
    /// The kernel's id of the boot in which the holder runs.
    pub boot_id: String,
}

/// The contents of a claim's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The number of the claim, as in the file's name.
    pub epoch: Epoch,
    /// The first epoch that the same holder has had without another one's in between.
    pub first: Epoch,
    /// The holder of the claim.
    pub holder: HolderIdentity,
    /// The number of renewals so far.
    pub heartbeat: u64,
    /// The number of the run of the holder's supervisor that wrote the claim.
    pub nonce: u64,
    /// Whether the claim is free: the holder's engine is known to be gone.
    pub released: bool,
}

/// The result of reading a claim's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The file holds a whole claim.
    Claim(Claim),
    /// The file is empty, torn, or written by something else; a sum over its bytes.
    Torn(u64),
}

impl Record {
    /// Returns the holder of the claim, where it can be read.
    #[must_use]
    pub fn holder(&self) -> Option<&HolderIdentity> {
        match self {
            Self::Claim(claim) => Some(&claim.holder),
            Self::Torn(_) => None,
        }
    }
}

/// The times of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Whether a holder that can't renew in time stops being the holder.
    pub strict: bool,
    /// The time from the start of one renewal to the start of the next.
    pub renew: Duration,
    /// The time after which a claim that has not changed is nobody's.
    pub stale: Duration,
    /// The time for which a renewal counts, from its start, and within which it has to end. Less than
    /// [`Self::stale`].
    pub fence: Duration,
    /// The time from one look at another holder's claim to the next, and from a failed step to the next try.
    pub look: Duration,
}

/// A step of the protocol on the folder of claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseStep {
    /// Do nothing for this long.
    Rest(Duration),
    /// List the claims.
    List,
    /// Read the claim of this epoch, and look who holds it.
    Read(Epoch),
    /// Write the holder's file beside the claim to come, and take the holder's lock.
    Lock,
    /// Create the file of this claim, which must not exist, and keep it open.
    Create(Claim),
    /// Open the file of the claim of this epoch, which must exist, keep it open, and read it.
    Open(Epoch),
    /// Write this claim into the open file, in place.
    Write(Claim),
    /// Sync the open file.
    Sync,
    /// Sync the directory.
    SyncDirectory,
    /// Remove the file of the claim of this epoch.
    Remove(Epoch),
}

/// The reply to a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseReply {
    /// The step is done. After [`LeaseStep::Rest`]: the time is over, or something else was to be done.
    Done,
    /// The epochs of all claims that are there, in ascending order.
    Listed(Vec<Epoch>),
    /// The contents of the claim, after [`LeaseStep::Open`].
    Read(Record),
    /// The contents of the claim and the state of its holder, after [`LeaseStep::Read`].
    Seen(Sight),
    /// The file exists already.
    Exists,
    /// The file does not exist, or not any more.
    Gone,
    /// The step failed; the text gives the cause, in a line for people.
    Failed(String),
}

/// The state of the lease, as one contender knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseState {
    /// Nothing is known of the lease yet.
    Unknown,
    /// The lease is held by this contender.
    Held {
        /// The epoch of the contender's claim.
        epoch: Epoch,
        /// The first epoch since which this holder has had the lease without a break.
        first: Epoch,
        /// The time since the last successful renewal began.
        age: Duration,
    },
    /// The lease is held by another contender.
    Elsewhere {
        /// The highest epoch.
        epoch: Epoch,
        /// The holder of the highest claim, where it can be read.
        holder: Option<HolderIdentity>,
        /// Whether the holder is another run of this pod's own supervisor.
        own_pod: bool,
        /// The time for which the claim has not changed.
        unchanged: Duration,
    },
    /// A claim exists that may be this holder's own or another's. It is watched until it is stale. No engine is
    /// ended for the claim itself; one under a strict lease is ended because nothing is held.
    Watched {
        /// The highest epoch.
        epoch: Epoch,
        /// The holder that the claim names.
        holder: HolderIdentity,
        /// The time for which the claim has not changed.
        unchanged: Duration,
    },
    /// The lease was held by this contender, and is not any more.
    Lost {
        /// The epoch that was held.
        epoch: Epoch,
        /// The higher epoch that was seen; absent where the claim could not be renewed in time, or its
        /// file has gone.
        by: Option<Epoch>,
        /// The holder of the higher epoch, where it was read.
        holder: Option<HolderIdentity>,
    },
    /// The lease was released, and this run never takes it again.
    Released,
}
