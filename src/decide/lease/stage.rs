//! What a contender has in its hands, and how far it is.

use std::time::Duration;

use super::sight::HolderDetails;
use super::{Claim, Epoch, Record};

/// A claim that is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// What was last written.
    pub claim: Claim,
    /// When the last successful renewal began.
    pub renewed: Duration,
}

/// A claim that was held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    /// Its epoch.
    pub epoch: Epoch,
    /// The higher one that was seen.
    pub by: Option<Epoch>,
}

/// A claim that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// Its epoch.
    pub epoch: Epoch,
    /// What stands in it.
    pub record: Record,
    /// What its holder said of itself when that was last read.
    pub details: Option<HolderDetails>,
    /// It was seen to be renewed.
    pub renewed: bool,
    /// When that was first read to its end.
    pub since: Duration,
    /// When it was last read to its end.
    pub until: Duration,
}

/// The step whose reply is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A rest.
    Idle,
    /// The list, to find the highest claim.
    Looking,
    /// The highest claim; when that was asked for.
    Reading(Epoch, Duration),
    /// The taking of the holder's lock, before this claim is made; since when that has been under way.
    Locking(Claim, Duration),
    /// The making of a claim, or its first write or syncs.
    Claiming(Making, Claim, Duration),
    /// The removal of the lower claims, of which some are left; whether all went well so far.
    Clearing(Claim, Duration, Vec<Epoch>, bool),
    /// The removal of a claim of its own that is not the highest.
    Withdrawing,
    /// The opening of its own claim, to renew or release it.
    Opening(Duration),
    /// The write into it, its sync, and the list afterwards.
    Renewing(Making, Claim, Duration),
    /// The list, after its own file was not found.
    Missing(Claim),
    /// The release; whether it is written.
    Releasing(bool),
}

/// How far the making, or the renewal, of a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Making {
    /// The file is being made.
    Create,
    /// Its record is being written.
    Write,
    /// It is being synced.
    Sync,
    /// The directory is being synced.
    SyncDirectory,
    /// The claims are being listed.
    List,
}
