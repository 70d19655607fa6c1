//! Watches of another holder's claim, until it is stale.

use super::super::LeaseState;
use super::super::script::{
    HELD, LOOK, NANOSECOND, STALE, at, contender, identity, listed, play, rest, seen, theirs,
    uncertain_contender,
};
use super::tests::{assert_claims, look};
use super::*;
use LeaseReply::{Done, Gone};
use LeaseStep::{List, Lock, Read};

#[test]
fn an_unchanged_claim_is_followed_when_it_is_stale() {
    let torn = LeaseReply::Seen(Sight::from(Record::Torn(9)));
    for reply in [seen(&theirs(4)), torn] {
        let mut machine = contender(true);
        // The end of the first look and the beginning of the last one count.
        play(
            &mut machine,
            [
                (0, Done, List),
                (1, listed(&[4]), Read(4)),
                (2, reply.clone(), rest(LOOK)),
                (4, Done, List),
            ],
        );
        machine.next(listed(&[4]), at(2 + STALE) - NANOSECOND);
        play(
            &mut machine,
            [
                (9 + STALE, reply.clone(), rest(LOOK)),
                (2 + STALE, Done, List),
                (2 + STALE, listed(&[4]), Read(4)),
                (2 + STALE, reply, Lock),
            ],
        );
        assert_claims(&machine, 5, 5);
    }
}

#[test]
fn a_claim_that_changes_is_watched_from_the_beginning() {
    let mut machine = contender(true);
    let mut renewed = theirs(4);
    assert_eq!(look(&mut machine, 0, seen(&renewed)), rest(LOOK));
    renewed.heartbeat += 1;
    assert_eq!(look(&mut machine, 9, seen(&renewed)), rest(LOOK));
    assert_eq!(look(&mut machine, STALE, seen(&renewed)), rest(LOOK));
    assert_eq!(look(&mut machine, 9 + STALE, seen(&renewed)), Lock);
}

#[test]
fn a_torn_claim_of_another_epoch_is_watched_from_the_beginning() {
    let mut machine = contender(true);
    let torn = || LeaseReply::Seen(Sight::from(Record::Torn(9)));
    assert_eq!(look(&mut machine, 0, torn()), rest(LOOK));
    play(
        &mut machine,
        [
            (STALE, Done, List),
            (STALE, listed(&[5]), Read(5)),
            (STALE, torn(), rest(LOOK)),
        ],
    );
    let watched = LeaseState::Elsewhere {
        epoch: 5,
        holder: None,
        own_pod: false,
        unchanged: Duration::ZERO,
    };
    assert_eq!(machine.state(at(STALE)), watched);
}

#[test]
fn a_change_between_two_looks_is_a_renewal_unless_it_was_in_the_making() {
    let claim = |heartbeat| {
        Record::Claim(Claim {
            heartbeat,
            ..theirs(4)
        })
    };
    let torn = || Record::Torn(1);
    for (records, renewed) in [
        (vec![claim(0)], false),
        (vec![claim(0), claim(0)], false),
        (vec![claim(0), claim(1)], true),
        (vec![claim(0), claim(1), claim(1)], true),
        (vec![claim(0), claim(1), torn(), claim(2)], true),
        (vec![torn(), claim(0)], false),
        (vec![torn(), Record::Torn(2), claim(0)], false),
    ] {
        let mut machine = uncertain_contender();
        let text = format!("{records:?}");
        for record in records {
            look(&mut machine, 0, LeaseReply::Seen(Sight::from(record)));
        }
        let state = match renewed {
            true => LeaseState::Elsewhere {
                epoch: 4,
                holder: Some(identity("you")),
                own_pod: false,
                unchanged: Duration::ZERO,
            },
            false => LeaseState::Watched {
                epoch: 4,
                holder: identity("you"),
                unchanged: Duration::ZERO,
            },
        };
        assert_eq!(machine.state(at(0)), state, "{text}");
    }
}

#[test]
fn a_claim_of_another_epoch_is_no_renewal_of_the_one_before() {
    let mut machine = uncertain_contender();
    look(&mut machine, 0, seen(&theirs(4)));
    play(
        &mut machine,
        [
            (0, Done, List),
            (0, listed(&[HELD]), Read(HELD)),
            (0, seen(&theirs(HELD)), rest(LOOK)),
        ],
    );
    assert_eq!(machine.watch.map(|watch| watch.renewed), Some(false));
}

#[test]
fn a_listing_that_is_not_answered_as_one_is_asked_for_again() {
    let mut machine = contender(true);
    play(
        &mut machine,
        [(0, Done, List), (1, Gone, rest(LOOK)), (3, Done, List)],
    );
}
