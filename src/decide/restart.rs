//! The restarts of the engine: the side that restarts it, and the progress of that.
//!
//! That the engine is to be restarted is decided by the rules. This file decides who does it, never
//! two of them for one incident: the supervisor, where it may and has a process to signal; else the
//! kubelet, to whom liveness fails.

use std::time::Duration;

use super::decision::{Action, LastRestart, Restart, Verdict};
use super::findings::{Findings, seconds};
use super::observation::{ActionReport, ActionStep, ProcessId, RunState};
use super::policy::{Policy, RestartBy};
use super::reason::Reason;
use super::snapshot::Snapshot;
use super::time::Time;

/// The time for a process to be gone after SIGKILL, and for that to be seen. One that is still there has a
/// thread in an uninterruptible wait: a new pod may help, and liveness fails for the kubelet.
pub const HANDOVER_AFTER: Duration = Duration::from_secs(10);

/// The restart under way, and the last one.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    under_way: Option<(Restart, Time)>,
    /// The process on which the supervisor's own try had no effect, and the cause.
    given_up: Option<(ProcessId, String)>,
    /// Whether the last restart was executed, and no other process has come since.
    fulfilled: bool,
    /// Whether the restart is left to the kubelet, so that liveness fails.
    with_kubelet: bool,
    last: Option<LastRestart>,
}

impl Restarts {
    /// Takes in the reasons for which a restart is due (none: it is not), and returns the verdict of
    /// liveness.
    pub fn see(
        &mut self,
        policy: &Policy,
        snapshot: &Snapshot,
        due: &[Reason],
        findings: &mut Findings,
        now: Time,
    ) -> Verdict {
        let target = target(snapshot);
        self.follow(
            target,
            snapshot.is_blind(),
            snapshot.action.as_ref().map(|seen| &seen.value),
            findings,
        );
        self.begin_stop(target, snapshot.terminate, now);
        let wanted = !due.is_empty() || findings.has(Reason::Stopping);
        if let Some((_, why)) = self.given_up.as_ref().filter(|_| wanted) {
            findings.add(Reason::RestartFailed, why.as_str());
        }
        if self.under_way.is_none() && !due.is_empty() {
            let able = target.filter(|_| self.given_up.is_none());
            match (policy.restart_by, able) {
                (RestartBy::Supervisor, Some(target)) => self.begin(policy, target, due, now),
                (RestartBy::Supervisor, None) if link_may_come_back(snapshot, findings) => {}
                _ => return self.hand_over(target, due, now),
            }
        }
        self.with_kubelet = false;
        if let Some((restart, since)) = &self.under_way
            && !restart.is_stop()
        {
            findings.add(Reason::Restarting, describe(restart, now.since(*since)));
        }
        Verdict::Pass
    }

    /// Drops the restart that is under way, because a fence takes its place.
    pub fn give_way(&mut self) {
        self.under_way = None;
        self.with_kubelet = false;
    }

    /// Returns the restart that is due, if there is one.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let (restart, _) = self.under_way.as_ref()?;
        Some(Action::Restart(restart.clone()))
    }

    /// Returns the last restart that was asked for.
    #[must_use]
    pub fn last(&self) -> Option<&LastRestart> {
        self.last.as_ref()
    }

    /// Takes in the last restart that an earlier run of the supervisor remembered.
    pub fn recall(&mut self, last: Option<LastRestart>) {
        self.last = last;
    }

    /// Ends the restart under way when its process is gone, and gives it up where it had no effect.
    fn follow(
        &mut self,
        target: Option<(ProcessId, Option<ProcessId>)>,
        blind: bool,
        report: Option<&ActionReport>,
        findings: &mut Findings,
    ) {
        // While nobody can look it is taken to be there still.
        let known = self.under_way.as_ref().map(|(restart, _)| restart.parent);
        let known = known.or(self.given_up.as_ref().map(|(process, _)| *process));
        let seen = target.map(|(parent, _)| parent);
        let there = seen.or(known.filter(|_| blind));
        self.given_up
            .take_if(|(process, _)| Some(*process) != there);
        self.fulfilled &= there.is_none();
        let Some((restart, since)) = &self.under_way else {
            return;
        };
        let parent = restart.parent;
        if there != Some(parent) {
            self.fulfilled = there.is_none();
            self.under_way = None;
            return;
        }
        let failure = report.filter(|report| report.process == parent);
        let why = match failure.map(|report| &report.step) {
            Some(ActionStep::Failed(why)) => why.clone(),
            _ if findings.due(*since, restart.grace + HANDOVER_AFTER) => {
                "it is still there after SIGKILL".to_owned()
            }
            _ => return,
        };
        self.given_up = Some((parent, why));
        self.under_way = None;
    }

    /// Begins to end the engine because somebody wants it stopped. That is no restart: none is noted, and
    /// none is counted. A restart that is under way ends the same process anyway.
    fn begin_stop(
        &mut self,
        target: Option<(ProcessId, Option<ProcessId>)>,
        terminate: Option<(ProcessId, Duration)>,
        now: Time,
    ) {
        let (Some((parent, engine)), Some((wanted, grace))) = (target, terminate) else {
            return;
        };
        if self.under_way.is_none() && self.given_up.is_none() && parent == wanted {
            let restart = Restart {
                parent,
                engine,
                grace,
                reasons: vec![Reason::Stopping],
            };
            self.under_way = Some((restart, now));
        }
    }

    fn begin(
        &mut self,
        policy: &Policy,
        (parent, engine): (ProcessId, Option<ProcessId>),
        due: &[Reason],
        now: Time,
    ) {
        let lifeless = due.iter().any(|reason| reason.info().lifeless);
        let grace = match lifeless {
            true => policy.unresponsive_grace,
            false => policy.restart_grace,
        };
        let reasons = due.to_vec();
        self.note(RestartBy::Supervisor, Some(parent), due, now);
        let restart = Restart {
            parent,
            engine,
            grace,
            reasons,
        };
        self.under_way = Some((restart, now));
    }

    fn hand_over(
        &mut self,
        target: Option<(ProcessId, Option<ProcessId>)>,
        due: &[Reason],
        now: Time,
    ) -> Verdict {
        // Where the supervisor has ended the engine and no process has come since, the kubelet's restart is of
        // the same incident, which is noted already.
        if !std::mem::replace(&mut self.with_kubelet, true) && !self.fulfilled {
            self.note(
                RestartBy::Kubelet,
                target.map(|(parent, _)| parent),
                due,
                now,
            );
        }
        Verdict::Fail
    }

    fn note(&mut self, by: RestartBy, process: Option<ProcessId>, due: &[Reason], now: Time) {
        self.last = Some(LastRestart {
            at: now,
            before_start: Duration::ZERO,
            by,
            process,
            reasons: due.to_vec(),
        });
    }
}

/// Returns the processes to signal: none where none is seen, or where the outer one is dead already.
fn target(snapshot: &Snapshot) -> Option<(ProcessId, Option<ProcessId>)> {
    let process = snapshot.running()?;
    let alive = process.parent_state != RunState::Zombie;
    alive.then_some((process.parent, process.engine))
}

/// Whether the link may come back: `launch` connects again within seconds, and can end the engine then.
/// For so long the kubelet is not asked to.
fn link_may_come_back(snapshot: &Snapshot, findings: &mut Findings) -> bool {
    let since = snapshot.link.as_ref().map(|link| link.at);
    snapshot.is_blind() && since.is_some_and(|at| !findings.due(at, HANDOVER_AFTER))
}

fn describe(restart: &Restart, lasted: Duration) -> String {
    let codes: Vec<_> = restart.reasons.iter().map(|reason| reason.code()).collect();
    format!(
        "for {}: SIGTERM to pid {} {} ago, SIGKILL {} after it",
        codes.join(", "),
        restart.parent.pid,
        seconds(lasted),
        seconds(restart.grace),
    )
}
