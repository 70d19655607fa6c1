//! What is still to be said: events, each once and in their order, then the state of things, of which
//! only the last counts.

use std::collections::VecDeque;

use crate::decide::observation::{
    CgroupReport, EngineMount, Observation, ProcessExit, ProcessReport, ProcessRole,
};
use crate::link::{Connection, FromLaunch, LinkError};

/// Events kept while nobody takes them; the oldest go first. A life of the engine makes five.
const MAX_EVENTS: usize = 32;

/// What is to be said.
#[derive(Debug, Default)]
pub struct Outbox {
    events: VecDeque<FromLaunch>,
    process: Latest<ProcessReport>,
    cgroup: Latest<CgroupReport>,
    mount: Latest<Option<EngineMount>>,
    stop: Latest<i32>,
    /// The outer process's end as the observer saw it, while it did not see how.
    vague: Option<ProcessExit>,
    /// The last one that was told.
    told: Option<ProcessExit>,
}

/// A value of which only the last counts.
#[derive(Debug)]
struct Latest<T> {
    value: Option<T>,
    said: bool,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            value: None,
            said: true,
        }
    }
}

impl<T: Clone> Latest<T> {
    fn set(&mut self, value: T) {
        *self = Self {
            value: Some(value),
            said: false,
        };
    }

    fn unsaid(&self) -> Option<T> {
        self.value.clone().filter(|_| !self.said)
    }
}

impl Outbox {
    /// Takes an observation in.
    pub fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Process(ProcessReport::Exited(exit)) => self.seen(exit),
            Observation::Process(report) => self.process.set(report),
            Observation::Cgroup(report) => self.cgroup.set(report),
            Observation::Action(report) => self.event(FromLaunch::Action(report)),
            // No other observer runs here.
            _ => {}
        }
    }

    /// What is seen at the engine's data directory.
    pub fn mount(&mut self, mount: Option<EngineMount>) {
        if self.mount.value.as_ref() != Some(&mount) {
            self.mount.set(mount);
        }
    }

    /// The container is asked to stop.
    pub fn stop(&mut self, signal: i32) {
        self.stop.set(signal);
    }

    /// The outer process has ended, as its first process knows. It counts unless the observer knew
    /// as well, which alone knows of a kill for want of memory.
    pub fn ended(&mut self, exit: ProcessExit) {
        if self.told.is_some_and(|told| told.process == exit.process) {
            return;
        }
        let vague = self.vague.filter(|vague| vague.process == exit.process);
        self.tell(ProcessExit {
            oom_killed: vague.is_some_and(|vague| vague.oom_killed),
            ..exit
        });
    }

    fn seen(&mut self, exit: ProcessExit) {
        let known = self.told.is_some_and(|told| told.process == exit.process);
        match (exit.role, exit.status) {
            _ if known => {}
            // Who reaps it is about to tell.
            (ProcessRole::Parent, None) => self.vague = Some(exit),
            _ => self.tell(exit),
        }
    }

    fn tell(&mut self, exit: ProcessExit) {
        self.told = Some(exit);
        // What was seen before is said after the events, and would bring the dead back to life.
        self.process = Latest::default();
        self.event(FromLaunch::Process(ProcessReport::Exited(exit)));
    }

    fn event(&mut self, event: FromLaunch) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// To somebody new: the state has to be said as a whole.
    pub fn say_all_again(&mut self) {
        self.process.said = false;
        self.cgroup.said = false;
        self.mount.said = false;
        self.stop.said = false;
    }

    /// Sends what is unsaid.
    ///
    /// # Errors
    ///
    /// The connection is of no use any more; what was not taken is still unsaid.
    pub async fn send(&mut self, to: &mut Connection) -> Result<(), LinkError> {
        while let Some(event) = self.events.front() {
            to.send(event).await?;
            self.events.pop_front();
        }
        if let Some(report) = self.process.unsaid() {
            to.send(&FromLaunch::Process(report)).await?;
            self.process.said = true;
        }
        if let Some(report) = self.cgroup.unsaid() {
            to.send(&FromLaunch::Cgroup(Box::new(report))).await?;
            self.cgroup.said = true;
        }
        if let Some(mount) = self.mount.unsaid() {
            to.send(&FromLaunch::Mount(mount)).await?;
            self.mount.said = true;
        }
        if let Some(signal) = self.stop.unsaid() {
            to.send(&FromLaunch::StopRequested(signal)).await?;
            self.stop.said = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::decide::observation::{ActionReport, ActionStep, ExitStatus, ProcessId};

    const ENGINE: ProcessId = ProcessId {
        pid: 7,
        start_ticks: 8,
    };

    fn exit(role: ProcessRole, code: Option<i32>, oom_killed: bool) -> ProcessExit {
        ProcessExit {
            process: ENGINE,
            role,
            status: code.map(ExitStatus::Code),
            oom_killed,
        }
    }

    async fn said(outbox: &mut Outbox) -> Vec<FromLaunch> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut ours = Connection::new(ours).unwrap();
        outbox.send(&mut ours).await.unwrap();
        drop(ours);
        let mut theirs = Connection::new(theirs).unwrap();
        let mut all = Vec::new();
        while let Ok(message) = theirs.receive().await {
            all.push(message);
        }
        all
    }

    #[tokio::test]
    async fn events_are_said_once_and_the_state_to_each_anew() {
        let mut outbox = Outbox::default();
        assert!(said(&mut outbox).await.is_empty());
        let report = ActionReport {
            process: ENGINE,
            step: ActionStep::Terminated,
        };
        outbox.take(Observation::Process(ProcessReport::NotFound));
        outbox.take(Observation::Action(report.clone()));
        outbox.mount(Some(EngineMount::NotMounted));
        outbox.stop(15);
        let state = [
            FromLaunch::Process(ProcessReport::NotFound),
            FromLaunch::Mount(Some(EngineMount::NotMounted)),
            FromLaunch::StopRequested(15),
        ];
        let first = said(&mut outbox).await;
        assert_eq!(first[0], FromLaunch::Action(report));
        assert_eq!(first[1..], state);
        outbox.mount(Some(EngineMount::NotMounted));
        assert!(said(&mut outbox).await.is_empty(), "nothing is new");
        outbox.say_all_again();
        assert_eq!(said(&mut outbox).await, state);
    }

    #[tokio::test]
    async fn an_end_is_told_once_with_all_that_is_known() {
        let told = |exit| FromLaunch::Process(ProcessReport::Exited(exit));
        // The observer saw that memory ran out, and not how it ended.
        let mut outbox = Outbox::default();
        let seen = |exit| Observation::Process(ProcessReport::Exited(exit));
        outbox.take(seen(exit(ProcessRole::Parent, None, true)));
        assert!(said(&mut outbox).await.is_empty());
        outbox.ended(exit(ProcessRole::Parent, Some(137), false));
        let both = told(exit(ProcessRole::Parent, Some(137), true));
        assert_eq!(said(&mut outbox).await, [both]);
        // It saw everything.
        let mut outbox = Outbox::default();
        let all = exit(ProcessRole::Parent, Some(0), false);
        outbox.take(seen(all));
        outbox.ended(all);
        assert_eq!(said(&mut outbox).await, [told(all)]);
        // It saw it too late.
        let mut outbox = Outbox::default();
        outbox.ended(all);
        outbox.take(seen(all));
        assert_eq!(said(&mut outbox).await, [told(all)]);
    }

    #[tokio::test]
    async fn what_was_seen_before_an_end_is_not_said_after_it() {
        let mut outbox = Outbox::default();
        outbox.take(Observation::Process(ProcessReport::NotFound));
        let end = exit(ProcessRole::Parent, Some(0), false);
        outbox.take(Observation::Process(ProcessReport::Exited(end)));
        let told = FromLaunch::Process(ProcessReport::Exited(end));
        assert_eq!(said(&mut outbox).await, [told]);
        outbox.say_all_again();
        assert!(said(&mut outbox).await.is_empty());
        outbox.take(Observation::Process(ProcessReport::NotFound));
        let after = FromLaunch::Process(ProcessReport::NotFound);
        assert_eq!(said(&mut outbox).await, [after]);
    }

    #[tokio::test]
    async fn what_nobody_takes_is_bounded() {
        let mut outbox = Outbox::default();
        for code in 0..100 {
            let step = ActionStep::Failed(code.to_string());
            let process = ENGINE;
            outbox.take(Observation::Action(ActionReport { process, step }));
        }
        let all = said(&mut outbox).await;
        assert_eq!(all.len(), MAX_EVENTS);
        let last = ActionStep::Failed("99".to_owned());
        let is_last = matches!(all.last(), Some(FromLaunch::Action(report)) if report.step == last);
        assert!(is_last);
    }
}
