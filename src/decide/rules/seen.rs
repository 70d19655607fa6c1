//! The observations that grow old: a rule takes them from here, up to their age, and an older one is absent.
//!
//! Others count until the next one comes, whatever their age, and are read from the snapshot itself: the checks
//! of the volumes and the lease, whose rules judge their ages; the properties of the server; and the error of
//! the last attempt ([`Contact::error`]) or list of databases, unless a restart would rest on it
//! ([`View::tried_lately`]).

use std::time::Duration;

use super::super::observation::{
    CgroupReport, ContactError, DatabaseList, Diagnostics, EngineLog, ListenersReport, Observed,
    RunningProcess,
};
use super::super::snapshot::Contact;
use super::View;

impl View<'_> {
    /// Returns the engine's process, if it was looked at just now.
    #[must_use]
    pub fn process(&self) -> Option<&RunningProcess> {
        self.snapshot.running().filter(|_| self.watches())
    }

    /// Whether somebody looks at the processes: the last report on them is fresh.
    #[must_use]
    pub fn watches(&self) -> bool {
        let process = self.snapshot.process.as_ref();
        process.is_some_and(|seen| self.is_fresh(seen, self.policy.ages.process))
    }

    /// Returns the addresses on which the engine listens and the one at which it is asked.
    #[must_use]
    pub fn listeners(&self) -> Option<&ListenersReport> {
        self.fresh(self.snapshot.listeners.as_ref(), self.policy.ages.listeners)
    }

    /// Returns the last report of `sp_server_diagnostics`.
    #[must_use]
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        let last = self.snapshot.diagnostics.last.as_ref();
        self.fresh(last, self.policy.ages.diagnostics)
    }

    /// Returns the list of databases.
    #[must_use]
    pub fn databases(&self) -> Option<&DatabaseList> {
        self.fresh(self.snapshot.databases.as_ref(), self.policy.ages.databases)
    }

    /// Returns the report on the control group.
    #[must_use]
    pub fn cgroup(&self) -> Option<&CgroupReport> {
        self.fresh(self.snapshot.cgroup.as_ref(), self.policy.ages.cgroup)
    }

    /// Returns the logs of this start of the engine, with their names.
    pub fn logs(&self) -> impl Iterator<Item = (&'static str, &EngineLog)> {
        self.snapshot.logs_since(self.engine.since)
    }

    /// Whether `contact` was tried lately.
    #[must_use]
    pub fn tried_lately(&self, contact: &Contact) -> bool {
        let last = contact.last.as_ref();
        last.is_some_and(|last| self.is_fresh(last, self.policy.ages.contact))
    }

    /// Whether the questions go to the engine that is watched, in a manner that it understands. A question
    /// that another peer leaves open or refuses counts against nobody, nor does one that this engine could
    /// never answer.
    ///
    /// The engine has answered in this run; or in an earlier one, and it is at the address that is asked now
    /// (its processes are seen to listen there, or that is where it answered). A peer that closes such a
    /// question unanswered may not have understood it: encryption may be configured otherwise than before.
    #[must_use]
    pub fn asks_the_engine(&self) -> bool {
        let listeners = self.listeners();
        let asked = listeners.and_then(|listeners| listeners.asked);
        let serves = match (listeners, asked) {
            (Some(listeners), Some(asked)) if listeners.listens() == Some(true) => {
                listeners.serves(asked)
            }
            _ => None,
        };
        let before = self.engine.answered_at;
        let there = serves == Some(true) || (before.is_some() && before == asked);
        let ping = self.snapshot.ping.error();
        let unanswered = matches!(ping, Some(ContactError::TimedOut(_)));
        serves != Some(false)
            && (self.snapshot.answers.last.is_some()
                || (self.engine.started && there && unanswered))
    }

    fn fresh<'a, T>(&self, seen: Option<&'a Observed<T>>, age: Duration) -> Option<&'a T> {
        seen.filter(|seen| self.is_fresh(seen, age))
            .map(|seen| &seen.value)
    }

    fn is_fresh<T>(&self, seen: &Observed<T>, age: Duration) -> bool {
        self.now.since(seen.at) < age
    }
}
