use super::super::LeaseState;
use super::super::script::{
    FENCE, LOOK, NANOSECOND, NONCE, OTHER_NONCE, RENEW, STALE, at, contender, failed, hand_in,
    listed, mine, play, rest, seen, theirs, watch,
};
use super::super::sight::{FileSystemReach, HolderDetails, LockState};
use super::*;
use LeaseReply::{Done, Exists, Gone};
use LeaseStep::{Create, List, Lock, Read, Remove, Sync, SyncDirectory, Write};

/// Returns the replies on the way to the first claim on an empty volume. After as many of them as the index
/// says this step is asked for: List, Lock, Create, Write, Sync, SyncDirectory, List.
fn first_claim() -> [LeaseReply; 7] {
    [Done, listed(&[]), Done, Done, Done, Done, Done]
}

/// Returns a contender that has been asked for the last listing of its claim 6, all at the beginning of the
/// script.
fn claiming() -> LeaseMachine {
    let mut released = theirs(5);
    released.released = true;
    let mut machine = contender(true);
    let replies = [
        Done,
        listed(&[2, 5]),
        seen(&released),
        Done,
        Done,
        Done,
        Done,
        Done,
    ];
    hand_in(&mut machine, &replies, replies.len());
    assert_eq!(
        machine.stage,
        LeaseStage::Claiming(WriteStep::List, mine(6, 6), at(0))
    );
    machine
}

/// Returns the steps that follow one look at the claim 4 with this reply.
pub(super) fn look(machine: &mut LeaseMachine, seconds: u64, reply: LeaseReply) -> LeaseStep {
    play(
        machine,
        [(seconds, Done, List), (seconds, listed(&[1, 4]), Read(4))],
    );
    machine.next(reply, at(seconds))
}

/// Asserts that a contender that was asked for its lock makes this claim.
#[track_caller]
pub(super) fn assert_claims(machine: &LeaseMachine, epoch: Epoch, first: Epoch) {
    let LeaseStage::Locking(claim, _) = &machine.stage else {
        panic!("it does not claim: {:?}", machine.stage);
    };
    assert_eq!(*claim, mine(epoch, first));
}

#[test]
fn a_claim_on_an_empty_volume_is_held_once_it_is_made_whole() {
    let mut machine = contender(true);
    let claim = mine(1, 1);
    play(
        &mut machine,
        [
            (0, Done, List),
            (1, listed(&[]), Lock),
            (2, Done, Create(claim.clone())),
            (3, Done, Write(claim)),
            (4, Done, Sync),
            (5, Done, SyncDirectory),
            (6, Done, List),
        ],
    );
    assert_eq!(machine.state(at(6)), LeaseState::Unknown);
    assert_eq!(machine.run_until(), None);
    play(&mut machine, [(7, listed(&[1]), rest(RENEW - 6))]);
    let held = LeaseState::Held {
        epoch: 1,
        first: 1,
        age: Duration::from_secs(8),
    };
    assert_eq!(machine.state(at(9)), held);
    assert_eq!(machine.run_until(), Some(at(1 + FENCE)));
}

#[test]
fn a_claim_is_held_once_the_lower_ones_are_removed() {
    let mut machine = claiming();
    machine.failure = Some("the round before".to_owned());
    machine.lost = Some(Loss { epoch: 2, by: None });
    machine.watch = Some(watch(Record::Torn(1)));
    play(
        &mut machine,
        [(1, listed(&[2, 5, 6]), Remove(2)), (2, Done, Remove(5))],
    );
    assert!(!machine.holds(at(2)));
    play(&mut machine, [(3, Gone, rest(RENEW - 3))]);
    assert!(machine.holds(at(3)));
    assert_eq!(machine.lost, None);
    assert_eq!(machine.watch, None);
    assert_eq!(machine.failure, None);
}

#[test]
fn a_claim_counts_only_where_it_took_less_than_the_fence() {
    for (took, held) in [
        (at(FENCE) - NANOSECOND, true),
        (at(FENCE), false),
        (at(FENCE) + NANOSECOND, false),
    ] {
        let mut machine = claiming();
        let step = machine.next(listed(&[6]), took);
        // The next renewal is due already.
        let pause = if held { 0 } else { LOOK };
        assert_eq!(step, rest(pause), "{took:?}");
        assert_eq!(machine.tenure.is_some(), held, "{took:?}");
        assert_eq!(machine.stage, LeaseStage::Idle);
    }
}

#[test]
fn a_claim_that_somebody_else_has_made_or_removed_is_looked_at_anew() {
    for (count, reply) in [(3, Exists), (4, Gone), (5, Gone), (6, Gone), (7, Gone)] {
        let mut machine = contender(true);
        hand_in(&mut machine, &first_claim(), count);
        play(
            &mut machine,
            [
                (1, reply, List),
                (2, listed(&[1]), Read(1)),
                (3, Gone, rest(LOOK)),
            ],
        );
        assert_eq!(machine.state(at(3)), LeaseState::Unknown, "{count}");
    }
}

#[test]
fn a_claim_below_a_higher_one_is_withdrawn() {
    for reply in [Done, Gone] {
        let mut machine = claiming();
        play(
            &mut machine,
            [
                (1, listed(&[5, 6, 7]), Remove(6)),
                (2, reply, List),
                (3, listed(&[5, 7]), Read(7)),
            ],
        );
        assert_eq!(machine.state(at(3)), LeaseState::Unknown);
    }
}

#[test]
fn a_claim_that_is_not_in_the_list_is_not_held() {
    let mut machine = claiming();
    play(
        &mut machine,
        [(1, listed(&[]), rest(LOOK)), (3, Done, List)],
    );
    assert!(!machine.holds(at(3)));
    let mut machine = claiming();
    play(
        &mut machine,
        [
            (1, listed(&[5]), Remove(5)),
            (1, Done, rest(LOOK)),
            (3, Done, List),
        ],
    );
    assert!(!machine.holds(at(3)));
}

#[test]
fn a_claim_is_not_held_while_a_lower_one_can_not_be_removed() {
    let mut machine = claiming();
    play(
        &mut machine,
        [
            (1, listed(&[2, 5, 6]), Remove(2)),
            (1, failed(), Remove(5)),
            (1, Done, rest(LOOK)),
        ],
    );
    assert!(!machine.holds(at(1)));
    assert_eq!(machine.failure.as_deref(), Some("EIO"));
    play(&mut machine, [(3, Done, List)]);
}

#[test]
fn a_step_that_failed_is_tried_again_after_a_look() {
    for count in 1..=first_claim().len() {
        let mut machine = contender(true);
        hand_in(&mut machine, &first_claim(), count);
        play(&mut machine, [(1, failed(), rest(LOOK))]);
        assert_eq!(machine.failure.as_deref(), Some("EIO"), "{count}");
        assert_eq!(machine.stage, LeaseStage::Idle, "{count}");
        play(&mut machine, [(3, Done, List)]);
    }
    let mut machine = contender(true);
    assert_eq!(look(&mut machine, 0, failed()), rest(LOOK));
    assert_eq!(machine.watch, None);
    assert_eq!(machine.failure.as_deref(), Some("EIO"));
}

#[test]
fn a_claim_of_this_holder_is_followed_at_once_and_its_tenure_goes_on() {
    let mut before = mine(4, 3);
    before.nonce = OTHER_NONCE;
    let mut machine = contender(true);
    assert_eq!(look(&mut machine, 1, seen(&before)), Lock);
    assert_claims(&machine, 5, 3);
}

#[test]
fn a_released_claim_is_followed_at_once_and_begins_a_tenure() {
    for mut released in [theirs(4), mine(4, 3)] {
        released.released = true;
        let mut machine = contender(true);
        assert_eq!(look(&mut machine, 1, seen(&released)), Lock);
        assert_claims(&machine, 5, 5);
    }
}

#[test]
fn a_later_run_of_the_same_holder_is_not_fought_over_the_lease() {
    let mut machine = contender(true);
    machine.lost = Some(Loss { epoch: 2, by: None });
    let mut later = mine(4, 3);
    later.nonce = OTHER_NONCE;
    assert_eq!(look(&mut machine, 1, seen(&later)), rest(LOOK));
    assert_eq!(look(&mut machine, STALE, seen(&later)), rest(LOOK));
    assert_eq!(look(&mut machine, 1 + STALE, seen(&later)), Lock);
    assert_claims(&machine, 5, 5);
}

#[test]
fn a_claim_of_this_run_is_followed_at_once_though_it_was_lost() {
    let mut machine = contender(true);
    machine.lost = Some(Loss { epoch: 4, by: None });
    assert_eq!(look(&mut machine, 1, seen(&mine(4, 3))), Lock);
    assert_claims(&machine, 5, 3);
}

#[test]
fn a_holder_that_is_gone_is_followed_at_once() {
    use FileSystemReach::Machine;
    for (strict, lock, follows) in [
        (true, LockState::Free, true),
        (true, LockState::Held, false),
        (true, LockState::Absent, false),
        // Another boot's: no lock is needed.
        (false, LockState::Absent, true),
        (false, LockState::Held, false),
    ] {
        let sight = Sight {
            details: Some(HolderDetails {
                locks: true,
                ..HolderDetails::default()
            }),
            lock,
            reach: Machine,
            ..Sight::from(Record::Claim(theirs(4)))
        };
        let mut machine = contender(strict);
        let step = look(&mut machine, 1, LeaseReply::Seen(sight));
        let row = format!("strict {strict} {lock:?}");
        assert_eq!(step, if follows { Lock } else { rest(LOOK) }, "{row}");
        if follows {
            assert_claims(&machine, 5, 5);
        }
    }
}

#[test]
fn the_last_epoch_is_claimed_and_none_after_it() {
    for (epoch, step) in [(MAX_EPOCH - 1, Lock), (MAX_EPOCH, rest(STALE))] {
        let mut machine = contender(true);
        let mut before = mine(epoch, 3);
        before.nonce = NONCE + 1;
        play(
            &mut machine,
            [
                (0, Done, List),
                (0, listed(&[epoch]), Read(epoch)),
                (0, seen(&before), step),
            ],
        );
        if epoch == MAX_EPOCH {
            let text = "the highest epoch is used up";
            assert_eq!(machine.failure.as_deref(), Some(text));
            assert_eq!(machine.stage, LeaseStage::Idle);
        } else {
            assert_claims(&machine, MAX_EPOCH, 3);
        }
    }
}
