//! The troubles that the log has shown lately: they trouble a running engine and end none.

use std::time::Duration;

use super::faults::Rank;
use super::faults::cause::quote;
use super::observation::LoggedMessage;
use super::progress::Mark;
use super::reason::{Outcome, Reason};
use super::snapshot::Snapshot;
use super::time::Time;

/// The time for which a trouble is shown after the log's last message of it.
const SHOWN: Duration = Duration::from_secs(10 * 60);

/// The reasons that the log alone gives, and that change no answer.
const REASONS: [Reason; 3] = [Reason::IoSlow, Reason::EngineFault, Reason::MemoryPagedOut];

/// The moments at which the log last showed each of the troubles.
#[derive(Clone, Debug, Default)]
pub struct Troubles([Mark<u64>; 3]);

impl Troubles {
    /// Forgets everything: another engine writes the log.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes in the messages of the logs. Those that stood there at the first look are old.
    pub fn see(&mut self, snapshot: &Snapshot, now: Time) {
        let readable = snapshot.logs().next().is_some();
        for (mark, reason) in self.0.iter_mut().zip(REASONS) {
            let count: u64 = of(snapshot, reason)
                .map(|message| u64::from(message.count))
                .sum();
            mark.see(readable.then_some(count), now);
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
        let lately = marks.filter(move |(mark, _)| mark.moved_within(SHOWN, now));
        lately.filter_map(move |(mark, reason)| {
            let last = of(snapshot, reason).max_by_key(|message| message.count)?;
            let times = match last.count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            let evidence = format!("{times} since the start: {}", quote(last));
            Some((reason, evidence, mark.moved()?.plus(SHOWN)))
        })
    }
}

fn of(snapshot: &Snapshot, reason: Reason) -> impl Iterator<Item = &LoggedMessage> {
    debug_assert!(reason.info().outcome == Outcome::Notice);
    let messages = snapshot.logs().flat_map(|(_, log)| &log.messages);
    messages.filter(move |message| {
        message
            .fault
            .is_some_and(|fault| fault.reason == reason && fault.rank == Rank::Problem)
    })
}
