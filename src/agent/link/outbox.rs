//! The messages that are still to be sent: events, each once and in their order, then the state of things, of
//! which only the last counts.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::decide::observation::{
    CgroupReport, EngineLog, EngineMount, EngineNetwork, ExitStatus, LeaseReport, Observation,
    ProcessExit, ProcessId, ProcessReport, ProcessRole,
};
use crate::link::{AGENT_HOLDS_LEASE, AgentMessage, Connection, LinkError};

/// The number of events that are kept while nobody takes them; the oldest go first. A life of the engine
/// makes five.
const MAX_EVENTS: usize = 32;

/// The messages that are to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    events: VecDeque<AgentMessage>,
    process: Latest<ProcessReport>,
    cgroup: Latest<CgroupReport>,
    /// The mounts by the engine's directories, the data directory the first.
    mounts: Latest<Vec<(PathBuf, Option<EngineMount>)>>,
    network: Latest<Option<EngineNetwork>>,
    log: Latest<EngineLog>,
    restarts: Latest<u32>,
    lease: Latest<LeaseReport>,
    stop: Latest<i32>,
    /// The protocol's version of the supervisor that is linked, or was last.
    version: u32,
    /// The outer `sqlservr` that was last seen to run.
    running: Option<ProcessId>,
    /// The outer process's end as the observer saw it, without its status.
    vague: Option<ProcessExit>,
    /// The last exit that was queued.
    queued: Option<ProcessExit>,
}

/// A value of which only the last counts.
#[derive(Debug)]
struct Latest<T> {
    value: Option<T>,
    sent: bool,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            value: None,
            sent: true,
        }
    }
}

impl<T: Clone + PartialEq> Latest<T> {
    /// Sets a value that differs from the one before.
    fn set_new(&mut self, value: T) {
        if self.value.as_ref() != Some(&value) {
            self.set(value);
        }
    }

    fn set(&mut self, value: T) {
        *self = Self {
            value: Some(value),
            sent: false,
        };
    }

    fn unsent(&self) -> Option<T> {
        self.value.clone().filter(|_| !self.sent)
    }

    /// Sends the value as this message, where it is unsent.
    async fn send(
        &mut self,
        to: &mut Connection,
        message: impl FnOnce(T) -> AgentMessage,
    ) -> Result<(), LinkError> {
        if let Some(value) = self.unsent() {
            to.send(&message(value)).await?;
            self.sent = true;
        }
        Ok(())
    }
}

impl Outbox {
    /// Takes an observation in.
    pub fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Process(ProcessReport::Exited(exit)) => self.seen(exit),
            Observation::Process(report) => {
                if let ProcessReport::Running(process) = &report {
                    self.running = Some(process.parent);
                }
                self.process.set(report);
            }
            Observation::Cgroup(report) => self.cgroup.set(report),
            Observation::Action(report) => self.event(AgentMessage::Action(report)),
            // No other observer runs here.
            _ => {}
        }
    }

    /// Sets the mounts that are seen at the engine's directories, the data directory the first.
    pub fn mounts(&mut self, mounts: Vec<(PathBuf, Option<EngineMount>)>) {
        self.mounts.set_new(mounts);
    }

    /// Sets the sockets on which the engine listens.
    pub fn network(&mut self, seen: Option<EngineNetwork>) {
        self.network.set_new(seen);
    }

    /// Sets the state of the errorlog.
    pub fn log(&mut self, log: EngineLog) {
        self.log.set(log);
    }

    /// Sets the number of times that the engine was started again in this container.
    pub fn restarts(&mut self, count: u32) {
        self.restarts.set_new(count);
    }

    /// Sets the state of the lease.
    pub fn lease(&mut self, report: LeaseReport) {
        self.lease.set(report);
    }

    /// Sets that the container is asked to stop, by `signal`.
    pub fn stop(&mut self, signal: i32) {
        self.stop.set(signal);
    }

    /// Takes in that the outer process has ended, as PID 1 knows. It counts unless the observer knew as well,
    /// which alone knows of a kill for want of memory.
    pub fn ended(&mut self, pid: i32, status: Option<ExitStatus>) {
        if self.queued.is_some_and(|queued| queued.process.pid == pid) {
            return;
        }
        let vague = self.vague.filter(|vague| vague.process.pid == pid);
        let known = vague.map(|vague| vague.process).or(self.running);
        // An agent that was started after the end knows of no such process.
        let Some(process) = known.filter(|process| process.pid == pid) else {
            return;
        };
        self.queue(ProcessExit {
            process,
            role: ProcessRole::Parent,
            status,
            oom_killed: vague.is_some_and(|vague| vague.oom_killed),
        });
    }

    fn seen(&mut self, exit: ProcessExit) {
        let known = self
            .queued
            .is_some_and(|queued| queued.process == exit.process);
        match (exit.role, exit.status) {
            _ if known => {}
            // Who reaps it is about to tell.
            (ProcessRole::Parent, None) => self.vague = Some(exit),
            _ => self.queue(exit),
        }
    }

    fn queue(&mut self, exit: ProcessExit) {
        self.queued = Some(exit);
        // What was seen before is sent after the events, and would bring the dead back to life.
        self.process = Latest::default();
        self.event(AgentMessage::Process(ProcessReport::Exited(exit)));
    }

    fn event(&mut self, event: AgentMessage) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Prepares for a new supervisor, of this version of the protocol: the state has to be sent as a whole.
    pub fn resend(&mut self, version: u32) {
        self.version = version;
        self.process.sent = false;
        self.cgroup.sent = false;
        self.mounts.sent = false;
        self.network.sent = false;
        self.log.sent = false;
        self.restarts.sent = false;
        self.lease.sent = false;
        self.stop.sent = false;
    }

    /// Sends what is unsent.
    ///
    /// # Errors
    ///
    /// The connection is of no use any more; what was not taken is still unsent.
    pub async fn send(&mut self, to: &mut Connection) -> Result<(), LinkError> {
        while let Some(event) = self.events.front() {
            to.send(event).await?;
            self.events.pop_front();
        }
        // Before the process that was started: it is what explains that one.
        self.restarts.send(to, AgentMessage::Restarts).await?;
        self.process.send(to, AgentMessage::Process).await?;
        let boxed = |report| AgentMessage::Cgroup(Box::new(report));
        self.cgroup.send(to, boxed).await?;
        let version = self.version;
        let mounts = |mounts| mounts_message(mounts, version);
        self.mounts.send(to, mounts).await?;
        self.network.send(to, AgentMessage::Network).await?;
        let boxed = |log| AgentMessage::Log(Box::new(log));
        self.log.send(to, boxed).await?;
        let boxed = |report| AgentMessage::Lease(Box::new(report));
        self.lease.send(to, boxed).await?;
        self.stop.send(to, AgentMessage::StopRequested).await
    }
}

/// Returns the message of the mounts. In version 1 there is one volume, which is the data directory's.
fn mounts_message(mounts: Vec<(PathBuf, Option<EngineMount>)>, version: u32) -> AgentMessage {
    if version >= AGENT_HOLDS_LEASE {
        return AgentMessage::Mounts(mounts);
    }
    let first = mounts.into_iter().next();
    AgentMessage::Mount(first.and_then(|(_, mount)| mount))
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::decide::observation::{ActionReport, ActionStep, ExitStatus, ProcessId};
    use crate::link::VERSION;

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

    async fn sent(outbox: &mut Outbox) -> Vec<AgentMessage> {
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
    async fn events_are_sent_once_and_the_state_to_each_anew() {
        let mut outbox = Outbox::default();
        assert!(sent(&mut outbox).await.is_empty());
        let report = ActionReport {
            process: ENGINE,
            step: ActionStep::Terminated,
        };
        outbox.take(Observation::Process(ProcessReport::NotFound));
        outbox.take(Observation::Action(report.clone()));
        let data = PathBuf::from("/var/opt/mssql");
        let mounts = vec![
            (data.clone(), Some(EngineMount::NotMounted)),
            (data.join("data"), None),
        ];
        outbox.mounts(mounts.clone());
        outbox.network(None);
        outbox.log(EngineLog::default());
        outbox.stop(15);
        let mut state = vec![
            AgentMessage::Process(ProcessReport::NotFound),
            AgentMessage::Mounts(mounts.clone()),
            AgentMessage::Network(None),
            AgentMessage::Log(Box::default()),
            AgentMessage::StopRequested(15),
        ];
        outbox.resend(VERSION);
        let first = sent(&mut outbox).await;
        assert_eq!(first[0], AgentMessage::Action(report));
        assert_eq!(first[1..], state);
        outbox.mounts(mounts);
        outbox.network(None);
        assert!(sent(&mut outbox).await.is_empty(), "nothing is new");
        outbox.resend(VERSION);
        assert_eq!(sent(&mut outbox).await, state);
        // One of version 1 knows the data directory's mount alone.
        state[1] = AgentMessage::Mount(Some(EngineMount::NotMounted));
        outbox.resend(1);
        assert_eq!(sent(&mut outbox).await, state);
    }

    #[tokio::test]
    async fn an_end_is_sent_once_with_all_that_is_known() {
        let queued = |exit| AgentMessage::Process(ProcessReport::Exited(exit));
        // The observer saw that memory ran out, and not how it ended.
        let mut outbox = Outbox::default();
        let seen = |exit| Observation::Process(ProcessReport::Exited(exit));
        outbox.take(seen(exit(ProcessRole::Parent, None, true)));
        assert!(sent(&mut outbox).await.is_empty());
        outbox.ended(ENGINE.pid, Some(ExitStatus::Code(137)));
        let both = queued(exit(ProcessRole::Parent, Some(137), true));
        assert_eq!(sent(&mut outbox).await, [both]);
        // It saw everything.
        let mut outbox = Outbox::default();
        let all = exit(ProcessRole::Parent, Some(0), false);
        outbox.take(seen(all));
        outbox.ended(ENGINE.pid, Some(ExitStatus::Code(0)));
        assert_eq!(sent(&mut outbox).await, [queued(all)]);
        // An agent that never saw it has nothing to send.
        let mut outbox = Outbox::default();
        outbox.ended(ENGINE.pid, Some(ExitStatus::Code(0)));
        assert!(sent(&mut outbox).await.is_empty());
    }

    #[tokio::test]
    async fn what_was_seen_before_an_end_is_not_sent_after_it() {
        let mut outbox = Outbox::default();
        outbox.take(Observation::Process(ProcessReport::NotFound));
        let end = exit(ProcessRole::Parent, Some(0), false);
        outbox.take(Observation::Process(ProcessReport::Exited(end)));
        let end = AgentMessage::Process(ProcessReport::Exited(end));
        assert_eq!(sent(&mut outbox).await, [end]);
        outbox.resend(VERSION);
        assert!(sent(&mut outbox).await.is_empty());
        outbox.take(Observation::Process(ProcessReport::NotFound));
        let after = AgentMessage::Process(ProcessReport::NotFound);
        assert_eq!(sent(&mut outbox).await, [after]);
    }

    #[tokio::test]
    async fn what_nobody_takes_is_bounded() {
        let mut outbox = Outbox::default();
        for code in 0..100 {
            let step = ActionStep::Failed(code.to_string());
            let process = ENGINE;
            outbox.take(Observation::Action(ActionReport { process, step }));
        }
        let all = sent(&mut outbox).await;
        assert_eq!(all.len(), MAX_EVENTS);
        let last = ActionStep::Failed("99".to_owned());
        let is_last =
            matches!(all.last(), Some(AgentMessage::Action(report)) if report.step == last);
        assert!(is_last);
    }
}
