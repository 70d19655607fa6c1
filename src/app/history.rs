//! Records on the volume what the decisions show.

use std::sync::Arc;

use rustix::system::uname;

use crate::act::recorder::Recorder;
use crate::decide::decision::{Action, Decision, LastRestart};
use crate::decide::lease::{Epoch, LeaseState};
use crate::decide::observation::{Observed, ProcessExit, ProcessId};
use crate::decide::reason::Reason;
use crate::publish::{Published, Reader, new_restart};
use crate::records::boot_id;
use crate::records::history::{Entry, Event};

/// Puts entries into the history, signed with the pod and the epoch. Its clones write the same history.
#[derive(Clone, Debug)]
pub struct HistoryWriter {
    recorder: Recorder,
    decisions: Reader,
    pod: Arc<str>,
}

impl HistoryWriter {
    /// Returns a writer that has `recorder` write. Without a pod's uid the host's name stands for the pod, as
    /// it does in Kubernetes.
    pub fn new(pod_uid: Option<&str>, recorder: Recorder, decisions: Reader) -> Self {
        let host = uname().nodename().to_string_lossy().into_owned();
        Self {
            recorder,
            decisions,
            pod: pod_uid.map_or_else(|| host.into(), Into::into),
        }
    }

    /// Has the history record `event` as one that happens now. Returns at once.
    pub fn record(&self, event: Event) {
        // A pod takes the lease once; whoever of it holds the lease after that claims a later epoch.
        let epoch = held(&self.decisions.borrow()).map_or(0, |(epoch, first)| match event {
            Event::LeaseTaken => first,
            _ => epoch,
        });
        self.recorder.record(Entry::now(epoch, &self.pod, event));
    }

    /// Records what the decisions show, each thing once. Ends when nothing is decided any more.
    pub async fn follow(self) {
        let mut decisions = self.decisions.clone();
        let boot = boot_id();
        let mut seen = Seen::default();
        while decisions.changed().await.is_ok() {
            let published = Arc::clone(&decisions.borrow_and_update());
            for event in seen.take(&published, &boot) {
                self.record(event);
            }
        }
    }
}

/// The things that were recorded already.
#[derive(Debug, Default)]
struct Seen {
    /// The first epoch of this pod.
    first: Epoch,
    process: Option<ProcessId>,
    exit: Option<Observed<ProcessExit>>,
    restart: Option<LastRestart>,
    restarts_in_place: u32,
    fenced: Option<ProcessId>,
}

impl Seen {
    /// Returns the events that are new in `now`, in the order in which they came about.
    fn take(&mut self, now: &Published, boot: &str) -> Vec<Event> {
        let Some(decision) = &now.decision else {
            return Vec::new();
        };
        let mut events = Vec::new();
        // The recorder drops it where an earlier run of this pod has recorded it already.
        if let Some((_, first)) = held(now)
            && std::mem::replace(&mut self.first, first) != first
        {
            events.push(Event::LeaseTaken);
        }
        if let Some(last) = self.new_restart(decision) {
            events.push(Event::Restarted {
                by: last.by,
                reasons: last.reasons.iter().map(|r| r.code().to_owned()).collect(),
            });
        }
        if let Some(Action::Fence(fence)) = &decision.action
            && self.fenced != Some(fence.parent)
        {
            self.fenced = Some(fence.parent);
            let evidence = |reason| decision.finding(reason).map(|found| found.evidence.clone());
            let lost = evidence(Reason::LeaseLost).or_else(|| evidence(Reason::LeaseHeldElsewhere));
            events.push(Event::Fenced {
                evidence: lost.unwrap_or_default(),
            });
        }
        if self.exit != now.snapshot.last_exit {
            self.exit.clone_from(&now.snapshot.last_exit);
            events.extend(self.exit.as_ref().map(|exit| Event::Ended {
                process: exit.value.process,
                role: exit.value.role,
                status: exit.value.status,
                oom_killed: exit.value.oom_killed,
            }));
        }
        let process = now.snapshot.running().map(|process| process.parent);
        if let Some(process) = process.filter(|process| self.process != Some(*process)) {
            self.process = Some(process);
            let restarts = now.snapshot.restarts_in_place;
            events.push(Event::Started {
                process,
                boot: boot.to_owned(),
                in_place: std::mem::replace(&mut self.restarts_in_place, restarts) < restarts,
            });
        }
        events
    }

    fn new_restart<'a>(&mut self, decision: &'a Decision) -> Option<&'a LastRestart> {
        let last = new_restart(None, decision)?;
        let new = self.restart.as_ref() != Some(last);
        self.restart = Some(last.clone());
        new.then_some(last)
    }
}

/// Returns the epoch that this supervisor holds, and the first one of its pod.
fn held(published: &Published) -> Option<(Epoch, Epoch)> {
    match published.snapshot.lease.as_ref()?.value.state {
        LeaseState::Held { epoch, first, .. } => Some((epoch, first)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decision::Restart;
    use crate::decide::observation::{
        ExitStatus, Observation, ProcessReport, ProcessRole, RunState, RunningProcess,
    };
    use crate::decide::policy::{Policy, RestartBy};
    use crate::decide::snapshot::Snapshot;
    use crate::decide::time::Time;
    use std::time::Duration;

    fn id(pid: i32) -> ProcessId {
        ProcessId {
            pid,
            start_ticks: 1,
        }
    }

    fn running(pid: i32) -> Observation {
        Observation::Process(ProcessReport::Running(RunningProcess {
            parent: id(pid),
            engine: None,
            parent_state: RunState::Sleeping,
            state: RunState::Sleeping,
            dumper: None,
            cpu: None,
            io_bytes: None,
            resident_bytes: None,
            threads: None,
            open_fds: None,
            companions: 0,
        }))
    }

    fn exit(pid: i32) -> Observation {
        Observation::Process(ProcessReport::Exited(ProcessExit {
            process: id(pid),
            role: ProcessRole::Parent,
            status: Some(ExitStatus::Code(0)),
            oom_killed: false,
        }))
    }

    fn published(observations: Vec<Observation>) -> Published {
        let mut snapshot = Snapshot::default();
        for value in observations {
            snapshot.apply(Observed {
                at: Time::ZERO,
                value,
            });
        }
        let policy = Policy::default();
        let state = crate::decide::engine::State::new(&policy);
        let (_, decision) = crate::decide::engine::decide(&policy, state, &snapshot, Time::ZERO);
        Published {
            decision: Some(decision),
            snapshot,
            ..Published::default()
        }
    }

    #[test]
    fn a_life_is_told_once_and_in_order() {
        let mut seen = Seen::default();
        let start = seen.take(&published(vec![running(7)]), "b");
        assert!(matches!(&start[..], [Event::Started { process, .. }] if *process == id(7)));
        assert_eq!(seen.take(&published(vec![running(7)]), "b"), []);
        // The end of one and the start of the next may come to light together.
        let next = seen.take(&published(vec![running(7), exit(7), running(8)]), "b");
        assert!(
            matches!(&next[..], [Event::Ended { process, .. }, Event::Started { .. }] if *process == id(7)),
            "{next:?}"
        );
    }

    #[test]
    fn a_restart_and_a_fence_are_told_once() {
        let mut seen = Seen::default();
        let mut now = published(vec![running(7)]);
        seen.take(&now, "b");
        let decision = now.decision.as_mut().expect("decided");
        decision.last_restart = Some(LastRestart {
            at: Time::ZERO,
            before_start: Duration::ZERO,
            by: RestartBy::Supervisor,
            process: Some(id(7)),
            reasons: vec![Reason::EngineUnresponsive],
        });
        decision.action = Some(Action::Fence(Restart {
            parent: id(7),
            engine: None,
            grace: Duration::ZERO,
            reasons: vec![Reason::LeaseLost],
        }));
        let events = seen.take(&now, "b");
        assert!(
            matches!(&events[..], [Event::Restarted { .. }, Event::Fenced { .. }]),
            "{events:?}"
        );
        assert_eq!(seen.take(&now, "b"), []);
    }

    #[test]
    fn what_an_earlier_run_asked_for_is_not_told_again() {
        let mut seen = Seen::default();
        let mut now = published(vec![]);
        let decision = now.decision.as_mut().expect("decided");
        decision.last_restart = Some(LastRestart {
            at: Time::ZERO,
            before_start: Duration::from_secs(9),
            by: RestartBy::Kubelet,
            process: None,
            reasons: vec![Reason::ProcessMissing],
        });
        assert_eq!(seen.take(&now, "b"), []);
    }
}
