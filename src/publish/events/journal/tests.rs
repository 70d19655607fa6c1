//! Tests of the journal on decisions that a test makes.

use super::*;
use crate::decide::decision::{LastRestart, Phase, ProbeAnswer};
use crate::decide::policy::RestartBy;

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

fn answer(verdict: Verdict, reasons: &[Reason]) -> ProbeAnswer {
    ProbeAnswer {
        verdict,
        reasons: reasons.to_vec(),
        since: Time::ZERO,
    }
}

/// Returns a decision in which these reasons hold; it is ready, and its gate is open, where there
/// is none.
fn decision(seconds: u64, reasons: &[Reason]) -> Decision {
    let verdict = match reasons.is_empty() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    Decision {
        may_identify: true,
        identity_writes: Vec::new(),
        at: at(seconds),
        phase: Phase::Running,
        startup: answer(verdict, reasons),
        live: answer(Verdict::Pass, &[]),
        ready: answer(verdict, reasons),
        gate: answer(Verdict::Pass, &[]),
        findings: reasons
            .iter()
            .map(|reason| Finding {
                reason: *reason,
                evidence: "seen".to_owned(),
                since: at(seconds),
            })
            .collect(),
        action: None,
        last_restart: None,
        restarts_in_place: 0,
        recheck_at: None,
    }
}

fn reasons(notes: &[Note]) -> Vec<&'static str> {
    notes.iter().map(|note| note.reason).collect()
}

#[test]
fn a_reason_is_told_once_when_it_begins_and_once_when_it_ends() {
    let mut journal = Journal::default();
    assert_eq!(
        reasons(&journal.see(&decision(1, &[]))),
        ["GateOpened", "Ready"]
    );
    let full = [Reason::DiskFull];
    let begun = journal.see(&decision(2, &full));
    assert_eq!(reasons(&begun), ["DiskFull", "NotReady"]);
    assert_eq!(begun[0].kind, Kind::Warning);
    assert!(begun[0].text.contains("Evidence: seen."));
    assert!(begun[0].text.contains(Reason::DiskFull.info().action));
    assert!(journal.see(&decision(3, &full)).is_empty());
    let ended = journal.see(&decision(62, &[]));
    assert_eq!(reasons(&ended), ["ReasonEnded", "Ready"]);
    assert_eq!(ended[0].text, "DiskFull ended after 1m.");
}

#[test]
fn what_repeats_is_counted_and_told_after_the_window() {
    let mut journal = Journal::default();
    let busy = [Reason::EngineBusy];
    let mut noted = Vec::new();
    for turn in 0..10 {
        noted.extend(journal.see(&decision(turn * 20, &busy)));
        noted.extend(journal.see(&decision(turn * 20 + 10, &[])));
    }
    let of = |notes: &[Note], word: &str| notes.iter().filter(|n| n.reason == word).count();
    assert_eq!(
        (of(&noted, "EngineBusy"), of(&noted, "ReasonEnded")),
        (1, 1)
    );
    let later = journal.see(&decision(601, &busy));
    assert!(
        later[0].text.contains("It has begun 9 more times"),
        "{later:?}"
    );
}

#[test]
fn a_storm_leaves_room_for_a_restart() {
    let mut journal = Journal::default();
    let mut noted = 0;
    for (index, reason) in Reason::ALL.iter().enumerate() {
        let more = journal.see(&decision(1, &Reason::ALL[..=index]));
        noted += more
            .iter()
            .filter(|note| note.reason == reason.code())
            .count();
    }
    assert_eq!(
        noted,
        usize::try_from(BURST - RESERVED - 1).expect("it is small")
    );
    let mut restart = decision(2, Reason::ALL);
    restart.last_restart = Some(LastRestart {
        at: at(2),
        before_start: Duration::ZERO,
        by: RestartBy::Supervisor,
        process: None,
        reasons: vec![Reason::EngineUnresponsive],
    });
    let notes = journal.see(&restart);
    assert_eq!(reasons(&notes), ["EngineRestart"]);
    assert!(notes[0].text.contains("EngineUnresponsive: seen"));
    assert!(journal.see(&restart).is_empty(), "one restart is one event");
}

#[test]
fn the_bucket_fills_again() {
    let mut bucket = Bucket::default();
    let now = at(10);
    let taken = (0..100).filter(|_| bucket.take(now, true)).count();
    assert_eq!(taken, usize::try_from(BURST).expect("it is small"));
    assert!(!bucket.take(now.plus(REFILL / 2), true));
    assert!(bucket.take(now.plus(REFILL), true));
    let rested = now.plus(REFILL * (BURST + 10));
    let again = (0..100).filter(|_| bucket.take(rested, true)).count();
    assert_eq!(again, taken);
}

#[test]
fn what_comes_with_every_start_is_silent() {
    let mut journal = Journal::default();
    let notes = journal.see(&decision(1, &SILENT));
    assert_eq!(reasons(&notes), ["GateOpened"]);
}
