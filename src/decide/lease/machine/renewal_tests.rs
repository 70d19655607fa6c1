//! Renewals and releases of a claim that is held, and its losses.

use super::super::LeaseState;
use super::super::script::{
    FENCE, FIRST, HELD, LOOK, NANOSECOND, OTHER_NONCE, RENEW, STALE, at, contender, failed, found,
    hand_in, holder, listed, mine, play, rest, seen, theirs,
};
use super::*;
use LeaseReply::{Done, Exists, Gone};
use LeaseStep::{Create, List, Lock, Open, Remove, Sync, SyncDirectory, Write};

/// Returns the replies on the way to a renewal. After as many of them as the index says this step is asked
/// for: Open, Write, Sync, List.
fn renewal() -> [LeaseReply; 4] {
    [Done, found(&mine(HELD, FIRST)), Done, Done]
}

/// Returns a holder that has got that many replies of [`renewal`], all at the beginning of the script.
fn renewing(strict: bool, count: usize) -> LeaseMachine {
    let mut machine = holder(strict);
    hand_in(&mut machine, &renewal(), count);
    machine
}

fn renewed() -> Claim {
    Claim {
        heartbeat: 1,
        ..mine(HELD, FIRST)
    }
}

fn released() -> Claim {
    Claim {
        released: true,
        ..renewed()
    }
}

fn lost(by: Option<Epoch>) -> LeaseState {
    LeaseState::Lost {
        epoch: HELD,
        by,
        holder: None,
    }
}

/// Asserts that the lease is lost at once, and looked at.
#[track_caller]
fn assert_loses(mut machine: LeaseMachine, reply: LeaseReply, now: Duration, by: Option<Epoch>) {
    let text = format!("{:?} {reply:?}", machine.stage);
    assert_eq!(machine.next(reply, now), List, "{text}");
    assert_eq!(machine.stage, LeaseStage::Looking, "{text}");
    assert_eq!(machine.state(now), lost(by), "{text}");
    assert_eq!(machine.tenure, None, "{text}");
}

#[test]
fn a_claim_that_is_renewed_in_time_stays_held() {
    for strict in [true, false] {
        let mut machine = holder(strict);
        machine.failure = Some("the renewal before".to_owned());
        play(
            &mut machine,
            [
                (10, Done, Open(HELD)),
                (11, found(&mine(HELD, FIRST)), Write(renewed())),
                (12, Done, Sync),
                (13, Done, List),
                (14, listed(&[1, HELD]), rest(RENEW - 4)),
            ],
        );
        let held = LeaseState::Held {
            epoch: HELD,
            first: FIRST,
            age: Duration::from_secs(5),
        };
        assert_eq!(machine.state(at(15)), held);
        assert_eq!(machine.failure, None);
        let again = Claim {
            heartbeat: 2,
            ..renewed()
        };
        play(
            &mut machine,
            [
                (20, Done, Open(HELD)),
                (20, found(&renewed()), Write(again)),
            ],
        );
    }
}

#[test]
fn a_higher_claim_ends_a_renewal() {
    for strict in [true, false] {
        let machine = renewing(strict, 4);
        assert_loses(machine, listed(&[HELD, 8]), at(1), Some(8));
    }
}

#[test]
fn a_file_that_is_not_the_own_one_any_more_is_never_written() {
    let mut others = mine(HELD, FIRST);
    others.nonce = OTHER_NONCE;
    for reply in [found(&others), found(&mine(HELD + 1, FIRST))] {
        for strict in [true, false] {
            assert_loses(renewing(strict, 1), reply.clone(), at(1), None);
        }
    }
    let torn = LeaseReply::Read(Record::Torn(1));
    assert_loses(renewing(true, 1), torn, at(1), None);
}

#[test]
fn a_strict_claim_whose_file_has_gone_is_lost() {
    for count in 1..=3 {
        assert_loses(renewing(true, count), Gone, at(1), None);
    }
    assert_loses(renewing(true, 4), listed(&[]), at(1), None);
    assert_loses(renewing(true, 4), listed(&[1]), at(1), None);
}

#[test]
fn an_advisory_claim_whose_file_has_gone_is_made_anew() {
    for (count, reply) in [
        (1, Gone),
        (2, Gone),
        (3, Gone),
        (4, listed(&[])),
        (4, listed(&[1])),
        (1, LeaseReply::Read(Record::Torn(1))),
    ] {
        for left in [&[][..], &[1], &[HELD]] {
            let mut machine = renewing(false, count);
            let claim = mine(HELD + 1, FIRST);
            play(
                &mut machine,
                [
                    (1, reply.clone(), List),
                    (2, listed(left), Lock),
                    (3, Done, Create(claim.clone())),
                    (4, Done, Write(claim)),
                    (5, Done, Sync),
                    (6, Done, SyncDirectory),
                    (7, Done, List),
                ],
            );
            let held = |epoch, age| LeaseState::Held {
                epoch,
                first: FIRST,
                age: Duration::from_secs(age),
            };
            assert_eq!(machine.state(at(7)), held(HELD, 7));
            let text = "its own claim has gone from the volume";
            assert_eq!(machine.failure.as_deref(), Some(text));
            play(&mut machine, [(8, listed(&[HELD + 1]), rest(RENEW - 6))]);
            assert_eq!(machine.state(at(8)), held(HELD + 1, 6));
        }
    }
}

#[test]
fn an_advisory_claim_whose_file_has_gone_is_lost_to_a_higher_one() {
    for count in 1..=3 {
        let mut machine = renewing(false, count);
        play(
            &mut machine,
            [(1, Gone, List), (2, listed(&[8]), LeaseStep::Read(8))],
        );
        assert!(machine.holds(at(2)));
        let mut later_run = mine(8, 8);
        later_run.nonce = OTHER_NONCE;
        for claim in [theirs(8), later_run] {
            assert_loses(machine.clone(), seen(&claim), at(3), Some(8));
        }
    }
}

/// The round before made the claim and failed after that.
#[test]
fn an_advisory_claim_is_not_lost_to_the_holders_own_higher_one() {
    let mut machine = renewing(false, 1);
    play(
        &mut machine,
        [
            (1, Gone, List),
            (2, listed(&[]), Lock),
            (3, Done, Create(mine(HELD + 1, FIRST))),
            (4, failed(), rest(LOOK)),
            (6, Done, Open(HELD)),
            (7, Gone, List),
            (8, listed(&[HELD + 1]), LeaseStep::Read(HELD + 1)),
            (9, seen(&mine(HELD + 1, FIRST)), Lock),
            (10, Done, Create(mine(HELD + 2, FIRST))),
        ],
    );
    assert!(machine.holds(at(10)));
}

#[test]
fn an_advisory_claim_is_not_lost_to_a_torn_one_that_nobody_completes() {
    let torn = || LeaseReply::Seen(Sight::from(Record::Torn(1)));
    let round = |from: u64, next| {
        [
            (from, Done, Open(HELD)),
            (from, Gone, List),
            (from, listed(&[HELD + 1]), LeaseStep::Read(HELD + 1)),
            (from, torn(), next),
        ]
    };
    let mut machine = holder(false);
    play(&mut machine, round(10, rest(LOOK)));
    play(&mut machine, round(9 + STALE, rest(LOOK)));
    assert!(machine.holds(at(9 + STALE)));
    play(&mut machine, round(10 + STALE, Lock));
    play(&mut machine, [(50, Done, Create(mine(HELD + 2, FIRST)))]);
}

#[test]
fn an_advisory_claim_stays_held_where_no_listing_tells_otherwise() {
    for reply in [Gone, failed()] {
        let mut machine = renewing(false, 1);
        play(
            &mut machine,
            [
                (1, Gone, List),
                (2, reply, rest(LOOK)),
                (4, Done, Open(HELD)),
            ],
        );
        assert!(machine.holds(at(4)));
    }
}

#[test]
fn an_advisory_claim_that_is_made_anew_is_lost_to_who_was_first() {
    let mut machine = renewing(false, 1);
    play(
        &mut machine,
        [
            (1, Gone, List),
            (2, listed(&[]), Lock),
            (3, Done, Create(mine(HELD + 1, FIRST))),
        ],
    );
    let mut withdrawn = machine.clone();
    assert_loses(machine, Exists, at(4), Some(HELD + 1));
    hand_in(&mut withdrawn, &[Done, Done, Done, Done], 4);
    let step = withdrawn.next(listed(&[HELD + 1, 9]), at(8));
    assert_eq!(step, Remove(HELD + 1));
    assert_eq!(withdrawn.state(at(8)), lost(Some(9)));
    play(&mut withdrawn, [(9, Done, List)]);
}

#[test]
fn a_strict_claim_that_was_not_renewed_in_time_is_lost() {
    let late = at(FENCE);
    assert_loses(holder(true), Done, late, None);
    for (count, reply) in [(1, found(&mine(HELD, FIRST))), (4, listed(&[HELD]))] {
        assert_loses(renewing(true, count), reply.clone(), late, None);
        let mut machine = renewing(true, count);
        let step = machine.next(reply, late - NANOSECOND);
        let expected = if count == 1 {
            Write(renewed())
        } else {
            rest(0)
        };
        assert_eq!(step, expected);
        assert!(machine.tenure.is_some());
    }
    let mut machine = holder(true);
    assert_eq!(machine.next(Done, late - NANOSECOND), Open(HELD));
}

#[test]
fn an_advisory_claim_is_renewed_however_late() {
    let mut machine = holder(false);
    play(
        &mut machine,
        [
            (900, Done, Open(HELD)),
            (910, found(&mine(HELD, FIRST)), Write(renewed())),
            (920, Done, Sync),
            (930, Done, List),
            (940, listed(&[HELD]), rest(0)),
        ],
    );
    assert!(machine.holds(at(940)));
}

#[test]
fn a_renewal_that_failed_is_tried_again_while_it_is_held() {
    for count in 1..=renewal().len() {
        let mut machine = renewing(true, count);
        play(&mut machine, [(1, failed(), rest(LOOK))]);
        assert_eq!(machine.failure.as_deref(), Some("EIO"), "{count}");
        assert!(machine.holds(at(1)), "{count}");
        assert_eq!(machine.run_until(), Some(at(FENCE)), "{count}");
        play(&mut machine, [(3, Done, Open(HELD))]);
    }
}

#[test]
fn a_released_claim_is_never_taken_again() {
    for strict in [true, false] {
        let mut machine = holder(strict);
        machine.release();
        assert!(!machine.is_released(), "it is held");
        play(
            &mut machine,
            [
                (10, Done, Open(HELD)),
                (11, found(&mine(HELD, FIRST)), Write(released())),
            ],
        );
        assert!(!machine.holds(at(11)));
        assert_eq!(machine.run_until(), None);
        assert_eq!(machine.state(at(11)), LeaseState::Released);
        assert!(!machine.is_released(), "it is not written yet");
        play(&mut machine, [(12, Done, Sync)]);
        assert!(!machine.is_released(), "it is not synced yet");
        play(&mut machine, [(13, Done, rest(LOOK))]);
        assert!(machine.is_released());
        play(
            &mut machine,
            [(15, Done, rest(STALE)), (15 + STALE, Done, rest(STALE))],
        );
        assert_eq!(machine.state(at(99)), LeaseState::Released);
        assert!(machine.is_released());
    }
}

#[test]
fn a_release_that_can_not_be_written_is_over_all_the_same() {
    for replies in [&[Gone][..], &[failed()], &[Done, Gone], &[Done, failed()]] {
        let mut machine = holder(true);
        machine.release();
        hand_in(&mut machine, &renewal(), 2);
        let steps = replies
            .iter()
            .map(|reply| machine.next(reply.clone(), at(1)));
        assert_eq!(steps.last(), Some(rest(LOOK)), "{replies:?}");
        assert_eq!(machine.state(at(1)), LeaseState::Released);
        assert!(machine.is_released(), "{replies:?}");
    }
}

#[test]
fn a_claim_that_is_lost_is_not_looked_for_once_it_is_to_be_released() {
    for (strict, count, reply, seconds) in [
        (true, 0, Done, FENCE),
        (true, 1, Gone, 1),
        (false, 1, Gone, 1),
        (false, 1, LeaseReply::Read(Record::Torn(1)), 1),
        (false, 4, listed(&[HELD, 8]), 1),
        (false, 4, listed(&[]), 1),
    ] {
        let mut machine = renewing(strict, count);
        machine.release();
        let text = format!("strict {strict}, {count}, {reply:?}");
        assert_eq!(machine.next(reply, at(seconds)), rest(LOOK), "{text}");
        assert!(machine.is_released(), "{text}");
        assert_eq!(machine.next(Done, at(seconds)), rest(STALE), "{text}");
    }
}

#[test]
fn what_is_to_be_released_while_it_is_claimed_is_released_after_that() {
    let mut machine = contender(true);
    let replies = [Done, listed(&[]), Done, Done, Done, Done, Done];
    hand_in(&mut machine, &replies, replies.len());
    machine.release();
    assert!(!machine.is_released(), "the claim may still be made");
    play(
        &mut machine,
        [
            (1, listed(&[1]), rest(RENEW - 1)),
            (2, Done, Open(1)),
            (
                3,
                found(&mine(1, 1)),
                Write(Claim {
                    heartbeat: 1,
                    released: true,
                    ..mine(1, 1)
                }),
            ),
        ],
    );
}

#[test]
fn nothing_is_released_before_it_is_asked_for() {
    let mut machine = contender(true);
    assert!(!machine.is_released());
    play(&mut machine, [(0, Done, List)]);
    assert!(!machine.is_released());
    assert!(!holder(true).is_released());
    let mut machine = contender(true);
    machine.release();
    assert!(machine.is_released(), "there is nothing to release");
}

#[test]
fn the_engine_under_the_claim_is_what_others_are_shown() {
    let engine = Some(ProcessId {
        pid: 9,
        start_ticks: 90,
    });
    let mut machine = contender(true);
    machine.see_engine(engine);
    assert_eq!(machine.me.details.engine, engine);
    machine.see_engine(None);
    assert_eq!(machine.me.details.engine, None);
}
