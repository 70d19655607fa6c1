//! The scripts of the lease's tests: replies at their moments, and the step that has to follow each.

use std::time::Duration;

use super::machine::LeaseMachine;
use super::sight::{HolderDetails, IdentityBasis, OwnHolder, PidNamespace, Sight};
use super::stage::{Tenure, Watch};
use super::{Claim, Epoch, HolderIdentity, LeaseReply, LeaseStep, Record, Terms};

pub const NANOSECOND: Duration = Duration::from_nanos(1);
pub const RENEW: u64 = 10;
pub const FENCE: u64 = 20;
pub const STALE: u64 = 30;
pub const LOOK: u64 = 2;
/// The number of the contender's run.
pub const NONCE: u64 = 7;
/// The number of a run of somebody else.
pub const OTHER_NONCE: u64 = 8;
/// The epoch of the claim that [`holder`] holds, and the first one of its tenure.
pub const HELD: Epoch = 5;
pub const FIRST: Epoch = 3;

/// Returns the moment that many seconds after the beginning of the script.
pub fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

pub fn rest(seconds: u64) -> LeaseStep {
    LeaseStep::Rest(Duration::from_secs(seconds))
}

pub fn listed(epochs: &[Epoch]) -> LeaseReply {
    LeaseReply::Listed(epochs.to_vec())
}

pub fn seen(claim: &Claim) -> LeaseReply {
    LeaseReply::Seen(Sight::from(Record::Claim(claim.clone())))
}

pub fn found(claim: &Claim) -> LeaseReply {
    LeaseReply::Read(Record::Claim(claim.clone()))
}

pub fn failed() -> LeaseReply {
    LeaseReply::Failed("EIO".to_owned())
}

pub fn identity(id: &str) -> HolderIdentity {
    HolderIdentity {
        id: id.to_owned(),
        node: format!("node of {id}"),
        boot_id: format!("boot of {id}"),
    }
}

/// Returns the contender's claim.
pub fn mine(epoch: Epoch, first: Epoch) -> Claim {
    Claim {
        epoch,
        first,
        holder: identity("me"),
        heartbeat: 0,
        nonce: NONCE,
        released: false,
    }
}

/// Returns the claim of another pod.
pub fn theirs(epoch: Epoch) -> Claim {
    Claim {
        holder: identity("you"),
        nonce: OTHER_NONCE,
        ..mine(epoch, epoch)
    }
}

/// Returns a contender that knows nothing yet, with a pod's uid.
pub fn contender(strict: bool) -> LeaseMachine {
    let me = OwnHolder {
        identity: identity("me"),
        ..OwnHolder::default()
    };
    let seconds = Duration::from_secs;
    let terms = Terms {
        strict,
        renew: seconds(RENEW),
        stale: seconds(STALE),
        fence: seconds(FENCE),
        look: seconds(LOOK),
    };
    LeaseMachine::new(me, NONCE, terms)
}

/// Returns the details of a holder that shares its pid namespace with everybody.
pub fn process_details() -> HolderDetails {
    HolderDetails {
        basis: IdentityBasis::Process,
        namespace: PidNamespace {
            inode: 1,
            start_ticks: 1,
        },
        ..HolderDetails::default()
    }
}

/// Returns a contender that can't prove that a claim is another's before that was renewed.
pub fn uncertain_contender() -> LeaseMachine {
    let mut machine = contender(true);
    machine.me.details = process_details();
    machine
}

/// Returns a contender that holds the claim [`HELD`], renewed at the beginning of the script.
pub fn holder(strict: bool) -> LeaseMachine {
    let mut machine = contender(strict);
    machine.tenure = Some(Tenure {
        claim: mine(HELD, FIRST),
        renewed: at(0),
    });
    machine
}

/// Returns the watch of this claim, read at the beginning of the script, and once more after 4 seconds.
pub fn watch(record: Record) -> Watch {
    Watch {
        epoch: 9,
        record,
        details: None,
        renewed: false,
        since: at(0),
        until: at(4),
    }
}

/// Hands in each reply at its moment, and compares the step that follows.
#[track_caller]
pub fn play<const N: usize>(machine: &mut LeaseMachine, script: [(u64, LeaseReply, LeaseStep); N]) {
    for (row, (seconds, reply, step)) in script.into_iter().enumerate() {
        let text = format!("row {row}: {reply:?} after {seconds} s");
        assert_eq!(machine.next(reply, at(seconds)), step, "{text}");
    }
}

/// Hands in the first `count` of these replies at the beginning of the script.
pub fn hand_in(machine: &mut LeaseMachine, replies: &[LeaseReply], count: usize) {
    for reply in &replies[..count] {
        machine.next(reply.clone(), at(0));
    }
}
