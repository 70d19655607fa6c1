//! The troubles that the log of a running engine shows: how long they are shown, and of whom.

use std::time::Duration;

use sql_edge_supervisor::decide::observation::EngineLog;
use sql_edge_supervisor::decide::reason::Reason;

use crate::bench::*;

const IDLE: Duration = Duration::ZERO;

const SLOW: &str = "SQL Server has encountered 3 occurrence(s) of I/O requests taking longer than 15 seconds to complete on file [/var/opt/mssql/data/a.mdf].";

/// The time for which a trouble is shown.
const SHOWN: Duration = Duration::from_secs(600);

/// A check of the volume finds this errorlog.
fn find(bench: &mut Bench, errorlog: EngineLog) {
    let mut check = healthy_volume();
    check.errorlog = Some(errorlog);
    bench.see(volume(check));
}

fn slow(bench: &Bench) -> Option<&str> {
    let finding = bench.decision.finding(Reason::IoSlow)?;
    Some(&finding.evidence)
}

#[test]
fn a_trouble_is_shown_for_ten_minutes_after_its_last_message() {
    let mut bench = Bench::ready(kubelet());
    find(&mut bench, wrote(1000, &[SLOW]));
    assert_eq!(
        slow(&bench),
        Some(&*format!("once since the start: {SLOW}"))
    );
    bench.live_for(seconds(30), IDLE, &answered_result());
    find(&mut bench, wrote(2000, &[SLOW, SLOW]));
    let twice = format!("2 times since the start: {SLOW}");
    bench.live_for(SHOWN - SECOND, IDLE, &answered_result());
    assert_eq!(slow(&bench), Some(&*twice));
    bench.pass(SECOND - Duration::from_nanos(1));
    assert_eq!(slow(&bench), Some(&*twice));
    bench.pass(Duration::from_nanos(1));
    assert_eq!(slow(&bench), None);
}

#[test]
fn what_stood_in_the_log_at_the_first_look_is_old() {
    let mut bench = Bench::new(kubelet());
    bench.see(running(1, IDLE));
    find(&mut bench, wrote(1000, &[SLOW]));
    assert_eq!(slow(&bench), None);
}

#[test]
fn a_log_that_is_lost_for_a_check_shows_nothing_new() {
    let mut bench = Bench::ready(kubelet());
    let both = |errorlog: &[&str], output: Option<&[&str]>| {
        let mut check = healthy_volume();
        check.errorlog = Some(wrote(1000, errorlog));
        check.output = output.map(|lines| wrote(1000, lines));
        volume(check)
    };
    bench.see(both(&[SLOW], Some(&[SLOW])));
    bench.live_for(SHOWN + SECOND, IDLE, &answered_result());
    assert_eq!(slow(&bench), None);
    for output in [None, Some(&[SLOW][..]), Some(&[]), Some(&[])] {
        bench.see(both(&[SLOW], output));
        assert_eq!(slow(&bench), None, "{output:?}");
    }
    bench.see(both(&[SLOW], Some(&[SLOW])));
    assert!(slow(&bench).is_some(), "the output has begun anew");
}

#[test]
fn the_troubles_of_one_engine_are_not_those_of_the_next() {
    let mut bench = Bench::ready(kubelet());
    find(&mut bench, wrote(1000, &[SLOW]));
    assert!(slow(&bench).is_some());
    bench.pass(SECOND);
    bench.see(running(2, IDLE));
    find(&mut bench, wrote(1100, &[SLOW]));
    assert_eq!(slow(&bench), None);
}

#[test]
fn each_trouble_is_told_by_its_own_messages_and_the_end_of_an_engine_is_none() {
    let cases: [(&[&str], _); 4] = [
        (&[SLOW], vec![Reason::IoSlow]),
        (
            &["Process 0:0:0 appears to be non-yielding on Scheduler 1."],
            vec![Reason::EngineFault],
        ),
        (
            &[
                "Error: 18456, Severity: 14, State: 8.",
                "Login failed for user 'sa'.",
            ],
            vec![],
        ),
        (
            &["SQL Server is terminating because of fatal exception c0000005."],
            vec![],
        ),
    ];
    for (lines, expected) in cases {
        let mut bench = Bench::ready(kubelet());
        find(&mut bench, wrote(1000, lines));
        let all = [Reason::IoSlow, Reason::EngineFault, Reason::MemoryPagedOut];
        let found: Vec<_> = all.into_iter().filter(|one| bench.has(*one)).collect();
        assert_eq!(found, expected, "{lines:?}");
    }
}
