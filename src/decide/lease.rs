//! The lease: who may let an engine write the volume. Pure; [`crate::records`] carries the steps out.
//!
//! # Protocol
//!
//! In the supervisor's folder on the volume each claim is a file of its own, `lease.<epoch>`, that holds
//! one [`Claim`]. The highest epoch counts. [`LeaseMachine`] says which step comes next:
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
//! Why it holds:
//! - The highest file is never unlinked and a lower one never wins, so the highest epoch only grows.
//!   Of those who create `lease.N` at most one finds it the highest afterwards, so an epoch has one
//!   holder at most.
//! - A delayed write of an old holder goes through a descriptor of its own file, or finds no such
//!   name: it never touches a later claim.
//! - A crash between any two steps leaves a claim that counts, is stale after a while, or is lower
//!   than another. A torn or empty one is somebody's: it becomes stale like any other.
//! - A holder's file is written, with its lock, before the claim that it speaks of is made, and names the run
//!   that wrote it. Where that is not the claim's run, or there is no such file, nothing follows from it.
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
//! exist yet. The holder says the moment in advance ([`LeaseMachine::run_until`]).
//!
//! | what happens | in launch mode, after that moment an engine may write | in attach mode |
//! | --- | --- | --- |
//! | the volume stalls, or renewals fail | until PID 1's timer has fired and SIGKILL takes effect: milliseconds | until the deciding loop, which asked to be asked at that moment, has sent SIGKILL: milliseconds |
//! | the process that renews is stopped (SIGSTOP), stuck, dead | the same: PID 1 needs nobody | until it runs again: nobody else fences |
//! | the whole container is stopped or frozen | from its thaw until PID 1 has run: milliseconds | from its thaw until the supervisor has run |
//! | the machine is suspended | from its resume until PID 1 has run, whose timer has run out meanwhile | from its resume until the loop's next look, 250 ms at most, which finds the suspend by CLOCK_BOOTTIME before it decides anything |
//! | a hypervisor pauses the virtual machine and its clocks | nothing in it can tell. From its resume until the next renewal finds a higher claim: [`Terms::renew`], the input and output of one renewal, and SIGKILL | the same |
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
//! bcachefs is written by one machine at a time (the storage sees to that, or the file system is lost anyway).
//!
//! # Versions
//!
//! A claim's file is version 1, as in the first release, which reads, follows and is followed by what is
//! written today. What is new stands in the holder's file beside it, which that release leaves alone. It has no
//! lock and tells nothing of its engine: its claims are judged by their contents alone, and a holder that can't
//! be told from oneself is watched, as long as it takes to be stale.
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
//! | a lock tells whether its holder lives | fcntl(2) `F_OFD_SETLK` | not relied upon | not relied upon |
//! | a change wakes who waits for it | inotify(7) | changes of this machine only; else the next look | the same |
//!
//! `tests/lease` goes through the interleavings of these steps with crashes of agents, ends of containers,
//! suspends, delays and failures. Two contenders for a strict lease without any of these are exhausted; all
//! other worlds are sampled: breadth first up to a limit, which each test prints, and by long random walks.

pub mod machine;
pub mod release;
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

/// How strongly the lease binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseMode {
    /// A holder that can't renew in time is fenced, and so is one that sees a higher epoch. For volumes
    /// that several nodes can attach.
    Strict,
    /// Only a higher epoch fences. For volumes that one node at a time can attach.
    Advisory,
    /// There is no lease.
    Off,
}

/// Who holds a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderIdentity {
    /// The pod's uid; without one the pid namespace or the process, see [`sight::IdentityBasis`].
    pub id: String,
    /// The node, for people; empty where it is not known.
    pub node: String,
    /// The kernel's name for the holder's boot.
    pub boot_id: String,
}

/// What stands in a claim's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its number, as in the file's name.
    pub epoch: Epoch,
    /// The first epoch that the same holder has had without another one's in between.
    pub first: Epoch,
    /// Whose it is.
    pub holder: HolderIdentity,
    /// Counts renewals.
    pub heartbeat: u64,
    /// Which run of the holder's supervisor wrote it.
    pub nonce: u64,
    /// The holder's engine is known to be gone: the claim is free.
    pub released: bool,
}

/// What was read of a claim's file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// A whole one.
    Claim(Claim),
    /// Empty, torn, or written by something else; a sum over its bytes.
    Torn(u64),
}

impl Record {
    /// Whose it is, where that can be told.
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
    /// Whether a holder that can't renew in time is none any more.
    pub strict: bool,
    /// From the start of one renewal to the start of the next.
    pub renew: Duration,
    /// A claim unchanged for this long is nobody's.
    pub stale: Duration,
    /// A renewal counts for this long from its start, and has to end within it. Less than
    /// [`Self::stale`].
    pub fence: Duration,
    /// From one look at another holder's claim to the next, and from a failed step to the next try.
    pub look: Duration,
}

/// The next step, on the folder of claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseStep {
    /// Do nothing for so long.
    Rest(Duration),
    /// List the claims.
    List,
    /// Read this claim, and look who holds it.
    Read(Epoch),
    /// Say beside the claim to come who its holder is, and take the holder's lock.
    Lock,
    /// Make this claim's file, which must not exist; keep it open.
    Create(Claim),
    /// Open this claim's file, which must exist, keep it open, and read it.
    Open(Epoch),
    /// Write this claim into the open file, in place.
    Write(Claim),
    /// Sync the open file.
    Sync,
    /// Sync the directory.
    SyncDirectory,
    /// Remove this claim's file.
    Remove(Epoch),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseReply {
    /// It is done. After [`LeaseStep::Rest`]: the time is over, or something else was to be done.
    Done,
    /// The epochs that are there, in ascending order.
    Listed(Vec<Epoch>),
    /// What stands there, after [`LeaseStep::Open`].
    Read(Record),
    /// What stands there and who holds it, after [`LeaseStep::Read`].
    Seen(Sight),
    /// There is such a file already.
    Exists,
    /// There is no such file (any more).
    Gone,
    /// It failed; why, in a line for people.
    Failed(String),
}

/// How it stands with the lease, as one contender knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseState {
    /// Nothing is known yet.
    Unknown,
    /// This one holds it.
    Held {
        /// Its epoch.
        epoch: Epoch,
        /// Since which epoch without a break.
        first: Epoch,
        /// Since when the last successful renewal has been under way or past.
        age: Duration,
    },
    /// Somebody else does.
    Elsewhere {
        /// The highest epoch.
        epoch: Epoch,
        /// Whose it is, where that can be told.
        holder: Option<HolderIdentity>,
        /// It is another run of this pod's own supervisor.
        own_pod: bool,
        /// For how long it has not changed.
        unchanged: Duration,
    },
    /// There is a claim, and whose it is can't be told from this holder's own. It is watched until it is
    /// stale; no engine is ended for it.
    Watched {
        /// The highest epoch.
        epoch: Epoch,
        /// Who it says that it is.
        holder: HolderIdentity,
        /// For how long it has not changed.
        unchanged: Duration,
    },
    /// This one held it and does not any more.
    Lost {
        /// The epoch that it held.
        epoch: Epoch,
        /// The higher one that was seen; none where it could not be renewed in time, or its file has
        /// gone.
        by: Option<Epoch>,
        /// Whose that is, where it was read.
        holder: Option<HolderIdentity>,
    },
    /// It was released, and this run never takes it again.
    Released,
}
