use super::*;
use crate::decide::observation::{LinkReport, Observed, ProcessReport};

const PATIENCE: Duration = Duration::from_secs(5);
const NANOSECOND: Duration = Duration::from_nanos(1);

fn at(elapsed: Duration) -> Option<Time> {
    Some(Time::from_start(Duration::from_secs(100) + elapsed))
}

/// Returns a snapshot whose link was lost after 100 seconds.
fn unlinked(ended_before_loss: bool) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.link = at(Duration::ZERO).map(|at| Observed {
        at,
        value: LinkReport::Lost,
    });
    snapshot.ended_before_loss = ended_before_loss;
    snapshot
}

/// Returns the snapshot with a report that no process is there.
fn with_process(mut snapshot: Snapshot) -> Snapshot {
    snapshot.process = at(Duration::ZERO).map(|at| Observed {
        at,
        value: ProcessReport::NotFound,
    });
    snapshot
}

#[test]
fn an_end_that_was_reported_counts_for_less_than_the_patience() {
    for (snapshot, at, gone) in [
        (unlinked(true), at(Duration::ZERO), true),
        (unlinked(true), at(PATIENCE - NANOSECOND), true),
        (unlinked(true), at(PATIENCE), false),
        (unlinked(true), at(PATIENCE + NANOSECOND), false),
        (unlinked(true), None, false),
        (unlinked(false), at(Duration::ZERO), false),
        (Snapshot::default(), at(Duration::ZERO), false),
    ] {
        let proof = EngineGone::seen(&snapshot, Some(Phase::Running), at, PATIENCE);
        let row = format!("{} {at:?}", snapshot.ended_before_loss);
        assert_eq!(proof.is_some(), gone, "{row}");
    }
}

#[test]
fn a_phase_counts_only_where_somebody_can_look() {
    for phase in Phase::ALL {
        for (snapshot, can_look) in [
            (Snapshot::default(), true),
            (with_process(Snapshot::default()), true),
            (with_process(unlinked(false)), true),
            (unlinked(false), false),
        ] {
            let proof = EngineGone::seen(&snapshot, Some(phase), None, PATIENCE);
            let gone = phase == Phase::Gone && can_look;
            assert_eq!(proof.is_some(), gone, "{phase:?} {can_look}");
        }
    }
    assert!(EngineGone::seen(&Snapshot::default(), None, None, PATIENCE).is_none());
}

#[test]
fn an_engine_that_was_started_is_gone_with_the_last_process_of_its_container() {
    for (was_started, processes_left, gone) in [
        (false, false, true),
        (false, true, true),
        (true, false, true),
        (true, true, false),
    ] {
        let proof = EngineGone::in_container(was_started, processes_left);
        assert_eq!(proof.is_some(), gone, "{was_started} {processes_left}");
    }
}
