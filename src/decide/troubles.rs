//! The troubles that the log has shown lately: they trouble a running engine and end none.

use std::time::Duration;

use super::faults::Rank;
use super::faults::cause::quote;
use super::observation::{EngineLog, LoggedMessage};
use super::progress::Mark;
use super::reason::{Outcome, Reason};
use super::snapshot::Snapshot;
use super::time::Time;

/// The time for which a trouble is shown after the log's last message of it.
const SHOWN: Duration = Duration::from_secs(10 * 60);

/// The reasons that the log alone gives, and that change no answer.
const REASONS: [Reason; 3] = [Reason::IoSlow, Reason::EngineFault, Reason::MemoryPagedOut];

/// The logs of an engine, as a snapshot calls them.
const LOGS: [&str; 2] = ["errorlog", "output"];

/// The moments at which each log last showed each of the troubles.
#[derive(Clone, Debug, Default)]
pub struct Troubles([[Mark<u64>; LOGS.len()]; REASONS.len()]);

impl Troubles {
    /// Forgets everything: another engine writes the log.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes in the messages of the logs. Those that stood there at the first look are old.
    pub fn see(&mut self, snapshot: &Snapshot, now: Time) {
        for (marks, reason) in self.0.iter_mut().zip(REASONS) {
            for (mark, name) in marks.iter_mut().zip(LOGS) {
                let log = snapshot.logs().find(|(known, _)| *known == name);
                let count = log.map(|(_, log)| {
                    let counts = of(log, reason).map(|message| u64::from(message.count));
                    counts.sum()
                });
                mark.rise(count, now);
            }
        }
    }

    /// Returns the troubles that are shown now, each with its evidence from the log and the moment until
    /// which it is shown.
    pub fn shown<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        now: Time,
    ) -> impl Iterator<Item = (Reason, String, Time)> + 'a {
        let marks = self.0.iter().zip(REASONS);
        marks.filter_map(move |(marks, reason)| {
            let until = marks.iter().filter_map(Mark::moved).max()?.plus(SHOWN);
            if now >= until {
                return None;
            }
            let logs = snapshot.logs().flat_map(|(_, log)| of(log, reason));
            let most = logs.max_by_key(|message| message.count)?;
            let times = match most.count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            let evidence = format!("{times} since the start: {}", quote(most));
            Some((reason, evidence, until))
        })
    }
}

fn of(log: &EngineLog, reason: Reason) -> impl Iterator<Item = &LoggedMessage> {
    debug_assert!(reason.info().outcome == Outcome::Notice);
    log.messages.iter().filter(move |message| {
        message
            .fault
            .is_some_and(|fault| fault.reason == reason && fault.rank == Rank::Problem)
    })
}
