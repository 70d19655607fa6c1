//! The deciding loop: the only place that folds observations, asks the engine and publishes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::memory::MemoryWriter;
use crate::decide::decision::{Decision, Probe, Verdict};
use crate::decide::engine::{State, decide};
use crate::decide::memory::Memory;
use crate::decide::observation::{LinkReport, Observation, Observed, OperatorCommand};
use crate::decide::policy::Policy;
use crate::decide::reason::{Outcome, Reason};
use crate::decide::snapshot::Snapshot;
use crate::decide::time::Time;
use crate::observe::clock::Clock;
use crate::publish::metrics::Metrics;
use crate::publish::{MAX_TRANSITIONS, Published, Transition, new_restart, restart_by};

/// The longest pause between two decisions, each of which is published: it lets a reader distinguish a loop
/// that has nothing new to report from one that does not run.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// The deciding loop, with what it works with.
pub struct Supervisor {
    policy: Policy,
    clock: Clock,
    observations: mpsc::Receiver<Observed<Observation>>,
    metrics: Arc<Metrics>,
    memory: MemoryWriter,
    publisher: watch::Sender<Arc<Published>>,
    snapshot: Snapshot,
    history: Vec<Transition>,
    last: Option<Decision>,
    sequence: u64,
}

impl Supervisor {
    /// Returns a loop with its reading end.
    pub fn new(
        policy: Policy,
        clock: Clock,
        observations: mpsc::Receiver<Observed<Observation>>,
        metrics: Arc<Metrics>,
        memory: MemoryWriter,
    ) -> (Self, watch::Receiver<Arc<Published>>) {
        let (publisher, reader) = watch::channel(Arc::new(Published::default()));
        let supervisor = Self {
            policy,
            clock,
            observations,
            metrics,
            memory,
            publisher,
            snapshot: Snapshot::default(),
            history: Vec::new(),
            last: None,
            sequence: 0,
        };
        (supervisor, reader)
    }

    /// Decides whenever something was observed, when the engine asked to be asked again, and at
    /// each heartbeat. Ends when all observers have. `memory` is what an earlier run knew.
    pub async fn run(mut self, memory: Memory) {
        if let Some(until) = memory.maintenance_until {
            let command = OperatorCommand::MaintenanceUntil(until);
            self.snapshot.apply(Observed {
                at: Time::ZERO,
                value: Observation::Operator(command),
            });
        }
        self.snapshot.lease_by_agent = memory.agent;
        if memory.linked {
            self.snapshot.apply(Observed {
                at: Time::ZERO,
                value: Observation::Link(LinkReport::Lost),
            });
        }
        let mut state = State::recall(&self.policy, memory);
        loop {
            let now = self.clock.now();
            // Before anything is decided: an engine whose lease ran out meanwhile is fenced with this look.
            if let Some(value) = self.clock.take_stall() {
                self.take(Observed {
                    at: now,
                    value: Observation::Stall(value),
                });
            }
            let (next, decision) = decide(&self.policy, state, &self.snapshot, now);
            state = next;
            self.memory.keep(state.memory(&self.snapshot), now);
            let wake = decision
                .recheck_at
                .map_or(now.plus(HEARTBEAT), |at| at.min(now.plus(HEARTBEAT)));
            self.publish(decision);
            let wake = tokio::time::Instant::from_std(self.clock.instant(wake));
            match tokio::time::timeout_at(wake, self.observations.recv()).await {
                Err(_) => {}
                Ok(None) => return,
                Ok(Some(first)) => {
                    self.take(first);
                    while let Ok(more) = self.observations.try_recv() {
                        self.take(more);
                    }
                }
            }
        }
    }

    fn take(&mut self, observed: Observed<Observation>) {
        self.metrics.record(&observed);
        self.snapshot.apply(observed);
    }

    fn publish(&mut self, decision: Decision) {
        self.remember(&decision);
        self.metrics
            .decided(self.last.as_ref(), &decision, &self.snapshot);
        self.sequence += 1;
        self.publisher.send_replace(Arc::new(Published {
            decision: Some(decision.clone()),
            snapshot: self.snapshot.clone(),
            history: self.history.clone(),
            sequence: self.sequence,
        }));
        // After the publication: who reads the line finds the answer changed already.
        log_changes(self.last.as_ref(), &decision);
        self.last = Some(decision);
    }

    fn remember(&mut self, decision: &Decision) {
        for (probe, reasons) in transitions(self.last.as_ref(), decision) {
            if self.history.len() == MAX_TRANSITIONS {
                self.history.remove(0);
            }
            self.history.push(Transition {
                at: SystemTime::now(),
                probe,
                verdict: decision.answer(probe).verdict,
                reasons,
            });
        }
    }
}

/// Returns the answers that changed, with the reasons: of the failure, or those that went away with it.
fn transitions(before: Option<&Decision>, now: &Decision) -> Vec<(Probe, Vec<Reason>)> {
    let Some(before) = before else {
        return Vec::new();
    };
    let changed = |probe: &Probe| before.answer(*probe).verdict != now.answer(*probe).verdict;
    Probe::ALL
        .into_iter()
        .filter(changed)
        .map(|probe| {
            let answer = match now.answer(probe).verdict {
                Verdict::Fail => now.answer(probe),
                Verdict::Pass => before.answer(probe),
            };
            (probe, answer.reasons.clone())
        })
        .collect()
}

/// Logs a line for each answer that changed and each reason that came or went.
fn log_changes(before: Option<&Decision>, now: &Decision) {
    for finding in &now.findings {
        if before.is_some_and(|before| before.finding(finding.reason).is_some()) {
            continue;
        }
        let info = finding.reason.info();
        let (code, evidence) = (info.code, finding.evidence.as_str());
        match info.outcome {
            Outcome::Wait | Outcome::Notice => info!(code, evidence, "{}", info.summary),
            Outcome::Operator | Outcome::Recreate | Outcome::Restart => {
                warn!(code, evidence, action = info.action, "{}", info.summary);
            }
        }
    }
    if let Some(last) = new_restart(before, now) {
        let evidence = last
            .reasons
            .iter()
            .filter_map(|reason| now.finding(*reason));
        let evidence: Vec<_> = evidence.map(|found| found.evidence.as_str()).collect();
        warn!(
            by = restart_by(last.by),
            pid = last.process.map(|id| id.pid),
            reasons = codes(&last.reasons),
            evidence = evidence.join("; "),
            "the engine is to be restarted"
        );
    }
    let Some(before) = before else { return };
    for finding in &before.findings {
        if now.finding(finding.reason).is_none() {
            info!(code = finding.reason.code(), "the reason holds no longer");
        }
    }
    for (probe, reasons) in transitions(Some(before), now) {
        let codes = codes(&reasons);
        match now.answer(probe).verdict {
            Verdict::Pass => info!(probe = probe.name(), after = codes, "passes"),
            Verdict::Fail => warn!(probe = probe.name(), reasons = codes, "fails"),
        }
    }
}

fn codes(reasons: &[Reason]) -> String {
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code()).collect();
    codes.join(",")
}
