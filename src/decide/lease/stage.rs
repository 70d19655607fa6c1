//! The claims that a contender holds, has lost or watches, and the step that it is at.

use std::time::Duration;

use super::sight::HolderDetails;
use super::{Claim, Epoch, Record};

/// A claim that is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// The claim as it was last written.
    pub claim: Claim,
    /// The moment at which the last successful renewal began.
    pub renewed: Duration,
}

/// A claim that was held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    /// The epoch that was held.
    pub epoch: Epoch,
    /// The higher epoch that was seen, if one was.
    pub by: Option<Epoch>,
}

/// A claim that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The contents of the claim's file.
    pub record: Record,
    /// The details of the holder when they were last read.
    pub details: Option<HolderDetails>,
    /// Whether the claim was seen to be renewed.
    pub renewed: bool,
    /// The moment at which these contents were first read to their end.
    pub since: Duration,
    /// The moment at which these contents were last read to their end.
    pub until: Duration,
}

/// The step whose reply is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeaseStage {
    /// A rest between two rounds.
    Idle,
    /// The list of the claims, to find the highest one.
    Looking,
    /// The read of the highest claim; the moment at which it was asked for.
    Reading(Epoch, Duration),
    /// The taking of the holder's lock, before this claim is made; the moment at which that began.
    Locking(Claim, Duration),
    /// The making of a claim, or its first write or syncs; the moment at which that began.
    Claiming(WriteStep, Claim, Duration),
    /// The removal of the lower claims, once this one is made; the moment at which that began, the epochs
    /// that are left, and whether all went well so far.
    Clearing(Claim, Duration, Vec<Epoch>, bool),
    /// The removal of the contender's own claim where it is not the highest.
    Withdrawing,
    /// The opening of the contender's own claim, to renew or release it; the moment at which that began.
    Opening(Duration),
    /// The write into the own claim, its sync, and the list afterwards; the moment at which the renewal
    /// began.
    Renewing(WriteStep, Claim, Duration),
    /// The list of the claims, after the file of the own claim was not found.
    Missing(Claim),
    /// The release; whether the record is written already.
    Releasing(bool),
}

/// The part of making, or of renewing, a claim that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteStep {
    /// The file is being made.
    Create,
    /// The record is being written.
    Write,
    /// The file is being synced.
    Sync,
    /// The directory is being synced.
    SyncDirectory,
    /// The claims are being listed.
    List,
}
