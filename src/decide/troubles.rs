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

/// The moments at which a trouble was last shown, by each log.
#[derive(Clone, Debug, Default)]
struct Marks {
    errorlog: Mark<u64>,
    output: Mark<u64>,
}

impl Marks {
    fn of_log(&mut self, name: &str) -> &mut Mark<u64> {
        match name {
            "errorlog" => &mut self.errorlog,
            _ => &mut self.output,
        }
    }

    fn last(&self) -> Option<Time> {
        self.errorlog.moved().max(self.output.moved())
    }
}

/// The moments at which each log last showed each of the troubles.
#[derive(Clone, Debug, Default)]
pub struct Troubles([Marks; REASONS.len()]);

impl Troubles {
    /// Forgets everything: another engine writes the log.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes in the messages of the logs. Those that stood there at the first look are old.
    pub fn see(&mut self, snapshot: &Snapshot, now: Time) {
        for (name, log) in snapshot.logs() {
            for (marks, reason) in self.0.iter_mut().zip(REASONS) {
                let counts = of(log, reason).map(|message| u64::from(message.count));
                marks.of_log(name).rise(counts.sum(), now);
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
            let until = marks.last()?.plus(SHOWN);
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
