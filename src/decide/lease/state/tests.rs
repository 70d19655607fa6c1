use super::super::script::{
    FENCE, FIRST, HELD, NANOSECOND, OTHER_NONCE, at, contender, holder, identity, mine,
    process_details, theirs, uncertain_contender, watch,
};
use super::*;
use crate::decide::observation::ProcessId;

const EPOCH: u64 = 9;
const UNCHANGED: Duration = Duration::from_secs(4);

fn record() -> Record {
    Record::Claim(theirs(EPOCH))
}

fn loss() -> Option<Loss> {
    Some(Loss {
        epoch: HELD,
        by: Some(EPOCH),
    })
}

fn lost(by: Option<u64>, holder: Option<&str>) -> LeaseState {
    LeaseState::Lost {
        epoch: HELD,
        by,
        holder: holder.map(identity),
    }
}

fn elsewhere(holder: Option<&str>, own_pod: bool) -> LeaseState {
    LeaseState::Elsewhere {
        epoch: EPOCH,
        holder: holder.map(identity),
        own_pod,
        unchanged: UNCHANGED,
    }
}

fn watched() -> LeaseState {
    LeaseState::Watched {
        epoch: EPOCH,
        holder: identity("you"),
        unchanged: UNCHANGED,
    }
}

fn held(age: Duration) -> LeaseState {
    LeaseState::Held {
        epoch: HELD,
        first: FIRST,
        age,
    }
}

#[test]
fn a_strict_lease_is_held_for_less_than_the_fence() {
    let fence = Duration::from_secs(FENCE);
    let machine = holder(true);
    for (age, holds) in [
        (Duration::ZERO, true),
        (fence - NANOSECOND, true),
        (fence, false),
        (fence + NANOSECOND, false),
    ] {
        let now = at(0) + age;
        let state = if holds { held(age) } else { lost(None, None) };
        assert_eq!(machine.holds(now), holds, "{age:?}");
        assert_eq!(machine.state(now), state, "{age:?}");
    }
    assert_eq!(machine.run_until(), Some(at(FENCE)));
}

#[test]
fn an_advisory_lease_is_held_without_a_limit() {
    let machine = holder(false);
    for age in [0, FENCE, 100 * FENCE] {
        assert!(machine.holds(at(age)), "{age}");
        assert_eq!(machine.state(at(age)), held(Duration::from_secs(age)));
    }
    assert_eq!(machine.run_until(), None);
}

#[test]
fn what_was_never_held_is_not_held() {
    for strict in [true, false] {
        let machine = contender(strict);
        assert!(!machine.holds(at(0)));
        assert_eq!(machine.run_until(), None);
        assert_eq!(machine.state(at(0)), LeaseState::Unknown);
    }
}

#[test]
fn a_lease_that_is_held_is_held_whatever_was_lost_or_is_watched_or_to_be_released() {
    let mut machine = holder(true);
    machine.lost = loss();
    machine.watch = Some(watch(record()));
    machine.releasing = true;
    assert_eq!(machine.state(at(0)), held(Duration::ZERO));
}

#[test]
fn a_lost_lease_tells_who_has_it_once_that_was_read() {
    let mut machine = contender(true);
    machine.lost = loss();
    assert_eq!(machine.state(at(0)), lost(Some(EPOCH), None));
    machine.watch = Some(watch(Record::Torn(1)));
    assert_eq!(machine.state(at(0)), lost(Some(EPOCH), None));
    machine.watch = Some(watch(record()));
    assert_eq!(machine.state(at(0)), lost(Some(EPOCH), Some("you")));
    let mut machine = uncertain_contender();
    machine.lost = loss();
    machine.watch = Some(watch(record()));
    assert_eq!(machine.state(at(0)), lost(Some(EPOCH), Some("you")));
}

#[test]
fn a_lease_of_the_same_pod_is_elsewhere_and_not_lost() {
    let mut claim = mine(EPOCH, EPOCH);
    claim.nonce = OTHER_NONCE;
    for lost in [None, loss()] {
        let mut machine = contender(true);
        machine.lost = lost;
        machine.watch = Some(watch(Record::Claim(claim.clone())));
        assert_eq!(machine.state(at(0)), elsewhere(Some("me"), true));
    }
}

#[test]
fn a_lease_of_another_pod_is_elsewhere_and_one_that_may_be_its_own_is_watched() {
    for (machine, record, renewed, state) in [
        (
            contender(true),
            record(),
            false,
            elsewhere(Some("you"), false),
        ),
        (
            contender(true),
            Record::Torn(1),
            false,
            elsewhere(None, false),
        ),
        (uncertain_contender(), record(), false, watched()),
        (
            uncertain_contender(),
            record(),
            true,
            elsewhere(Some("you"), false),
        ),
        (
            uncertain_contender(),
            Record::Torn(1),
            false,
            elsewhere(None, false),
        ),
    ] {
        let mut machine = machine;
        let text = format!("{record:?} {renewed}");
        let mut watch = watch(record);
        watch.renewed = renewed;
        machine.watch = Some(watch);
        assert_eq!(machine.state(at(0)), state, "{text}");
    }
}

#[test]
fn the_holder_of_the_engine_that_is_seen_here_is_this_pod() {
    let engine = ProcessId {
        pid: 9,
        start_ticks: 90,
    };
    let mut machine = uncertain_contender();
    machine.see_engine(Some(engine));
    let mut claim = theirs(EPOCH);
    claim.holder.boot_id = machine.me.identity.boot_id.clone();
    let mut details = process_details();
    details.engine = Some(engine);
    let mut watch = watch(Record::Claim(claim.clone()));
    watch.details = Some(details);
    machine.watch = Some(watch);
    let state = LeaseState::Elsewhere {
        epoch: EPOCH,
        holder: Some(claim.holder),
        own_pod: true,
        unchanged: UNCHANGED,
    };
    assert_eq!(machine.state(at(0)), state);
}

#[test]
fn a_lease_that_was_given_up_is_released_whatever_else_is_known() {
    let mut machine = contender(true);
    machine.release();
    assert_eq!(machine.state(at(0)), LeaseState::Released);
    machine.lost = loss();
    assert_eq!(machine.state(at(0)), LeaseState::Released);
    machine.watch = Some(watch(record()));
    assert_eq!(machine.state(at(0)), LeaseState::Released);
}
