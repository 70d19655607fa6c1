//! The lease: who may let an engine write the volume. Pure; [`crate::records`] carries the steps out.
//!
//! # Protocol
//!
//! In the supervisor's folder on the volume each claim is a file of its own, `lease.<epoch>`, that holds
//! one [`Claim`]. The highest epoch counts. [`LeaseMachine`] says which step comes next:
//!
//! | to | steps |
//! | --- | --- |
//! | claim `N` | exclusive create of `lease.N`, write, fsync, fsync of the directory, list: only where `N` is the highest, unlink the lower ones; only then it is held |
//! | renew | open `lease.N` without creating it, read through that descriptor whose it is, write in place, fsync, list |
//! | watch | list, read the highest; unchanged for [`Terms::stale`] on the watcher's own clock it is stale |
//! | release | as a renewal, with [`Claim::released`] set; then it is never held again |
//!
//! A stale or a released claim is followed by one of the next epoch, and so is one of the same holder, at
//! once: a supervisor that is started anew in the same pod claims `N + 1`, and hands on
//! [`Claim::first`], the epoch since which this holder has had it without a break. It does not go on
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
//!
//! # The bound
//!
//! *Strict.* A holder counts itself as one until [`Terms::fence`] after the moment at which its last
//! successful renewal **began**, and a renewal that ends later than that does not count. A watcher
//! claims when two looks at least [`Terms::stale`] apart, the second one not begun earlier, found the same
//! contents. Since `fence < stale`, no two holders count themselves as such at one moment, however long
//! any of their threads, writes or answers are delayed. What is left is the time from there to the end
//! of the engine. An engine may write at most this long after the lease ended:
//! - the supervisor runs: until its deciding loop looks (asked for at that very moment) and SIGKILL
//!   takes effect: scheduling, milliseconds; a process in an uninterruptible write ends with that
//!   write. `stale - fence` (10 s by default) lies in between, so that the other engine does not even
//!   exist yet.
//! - supervisor and engine are paused together (SIGSTOP of the pod, the node, a virtual machine): from
//!   their resume until the loop has noticed, one tick of the supervised clock (250 ms), and SIGKILL.
//! - the supervisor alone is stopped or dead: until it runs again. Nobody else fences.
//!
//! *Advisory.* Only a higher epoch fences. After another holder's claim an engine may write until its
//! own supervisor's next look ends: a renewal's interval plus the input and output of one renewal, plus
//! any pause of the supervisor. It is for volumes that no other node can attach: there the other one
//! can only be on the same machine.
//!
//! Assumptions: clocks of both nodes run at rates that differ by less than `stale / fence - 1` (half, by
//! default); CLOCK_BOOTTIME counts suspended time; a supervisor's process is gone, with its last write,
//! before the next one of the same pod starts (container runtimes wait for it).
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
//!
//! `tests/lease` goes through every interleaving of these steps with crashes, pauses and delays.

pub mod machine;
mod stage;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use machine::LeaseMachine;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HolderIdentity {
    /// The pod's uid, or a random name that outlives the supervisor but not its pod.
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
    /// Read this claim.
    Read(Epoch),
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
    /// What stands there.
    Read(Record),
    /// There is such a file already.
    Exists,
    /// There is no such file (any more).
    Gone,
    /// It failed; why, in a line for people.
    Failed(String),
}

/// How it stands with the lease, as one contender knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
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
    /// Somebody else does, or may.
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
