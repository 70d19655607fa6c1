//! The ladder of a stop: not ready -> the endpoints drain, or nobody is connected -> CHECKPOINT -> SIGTERM ->
//! SIGKILL.
//!
//! How the grace is split is [`crate::decide::stop`]'s business; the signals are sent by
//! [`crate::act::restart`], as for a restart, because the deciding loop asks for it once this file has sent
//! it the command.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::history::HistoryWriter;
use crate::act::checkpoint::{Checkpoints, checkpoint};
use crate::act::drain::nobody_connected;
use crate::act::order::Obeyed;
use crate::act::restart::GONE_AFTER;
use crate::config::{Config, SqlConfig, StopConfig};
use crate::decide::observation::{
    ActionStep, ExitStatus, Observation, Observed, OperatorCommand, ProcessExit, ProcessId,
};
use crate::decide::policy::Policy;
use crate::decide::snapshot::Snapshot;
use crate::decide::stop::{Shares, Situation, shares};
use crate::observe::Sink;
use crate::publish::{Published, Reader};
use crate::records::history::Event;

/// The time after the last signal for its effect to be seen.
const SEEN_AFTER: Duration = Duration::from_secs(1);

/// The outcome of a stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped {
    /// The outer process that was stopped; none where none was seen.
    pub process: Option<ProcessId>,
    /// Whether the outer process is gone.
    pub gone: bool,
    /// Whether the outer process ended by itself, with status 0 as far as that is known.
    pub clean: bool,
    /// Whether the engine was judged hung, so that nothing was drained or saved.
    pub hung: bool,
    /// The time that the whole stop took.
    pub lasted: Duration,
    /// The checkpoints, where some were tried.
    pub checkpoints: Option<Checkpoints>,
}

impl Stopped {
    /// Creates the outcome of a stop that has done nothing yet. What has ended already, also where its
    /// processes are still seen, is not stopped.
    fn before(situation: &Situation) -> Self {
        Self {
            process: situation.target.filter(|_| situation.runs),
            gone: !situation.runs,
            clean: !situation.runs,
            hung: situation.hung,
            lasted: Duration::ZERO,
            checkpoints: None,
        }
    }
}

/// Stops the engine, one stop at a time: a caller that asks while one is under way waits for the same one.
#[derive(Clone, Debug)]
pub struct Stopper {
    with: Arc<With>,
    under_way: Arc<Mutex<Option<UnderWay>>>,
}

/// A stop that was begun.
#[derive(Clone, Debug)]
struct UnderWay {
    /// The outcome, once the stop has ended.
    outcome: watch::Receiver<Option<Stopped>>,
    /// The moment by which the engine's end is commanded, unless the stop has ended before.
    commands_by: Instant,
}

impl UnderWay {
    /// Whether the stop goes on: it has no outcome, and its task did not end without one.
    fn goes_on(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }
}

#[derive(Debug)]
struct With {
    sql: SqlConfig,
    stop: StopConfig,
    policy: Policy,
    decisions: Reader,
    sink: Sink,
    history: HistoryWriter,
}

impl Stopper {
    /// Returns a stopper that works by the settings.
    pub fn new(config: &Config, decisions: Reader, sink: Sink, history: HistoryWriter) -> Self {
        let with = With {
            sql: config.sql.clone(),
            stop: config.stop,
            policy: config.policy.clone(),
            decisions,
            sink,
            history,
        };
        Self {
            with: Arc::new(with),
            under_way: Arc::default(),
        }
    }

    /// Stops the engine within `grace`, or the one of the settings; returns when it is gone, or when
    /// nothing more can be done.
    ///
    /// # Errors
    /// The reason why the stop was not begun, or that it had no effect.
    ///
    /// # Cancel safety
    /// A stop that was begun goes on.
    pub async fn stop(&self, grace: Option<Duration>) -> Obeyed {
        let StopConfig {
            pod_grace,
            grace: default,
            ..
        } = self.with.stop;
        let grace = grace.unwrap_or(default);
        if grace > pod_grace {
            return Err(format!(
                "a grace of {grace:?} is longer than the pod's {pod_grace:?} (termination-grace-period): the kubelet would kill the engine in the midst of it; nothing was changed"
            ));
        }
        let mut outcome = self.join_or_begin(grace).outcome;
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(stopped)) => tell(stopped),
            _ => Err("the supervisor ends: the stop was not waited for".to_owned()),
        }
    }

    /// Begins a stop within the grace of the settings, unless one is under way. Returns the time within which
    /// the engine's end is commanded; none where no process of it can be seen and no stop is under way: an
    /// agent that has just taken the place of another has reported none yet.
    pub fn begin(&self) -> Option<Duration> {
        let seen = self.with.situation().target.is_some();
        if !seen && !self.lock().as_ref().is_some_and(UnderWay::goes_on) {
            return None;
        }
        let stop = self.join_or_begin(self.with.stop.grace);
        Some(stop.commands_by.saturating_duration_since(Instant::now()) + SEEN_AFTER)
    }

    fn lock(&self) -> MutexGuard<'_, Option<UnderWay>> {
        // Held for no await, and poisoned by no panic that the process outlives.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn join_or_begin(&self, grace: Duration) -> UnderWay {
        let mut slot = self.lock();
        if let Some(stop) = slot.as_ref().filter(|stop| stop.goes_on()) {
            info!("stop: one is under way already, and its end is waited for");
            return stop.clone();
        }
        let situation = self.with.situation();
        let shares = shares(&self.with.policy, grace, self.with.stop.drain, &situation);
        let (done, outcome) = watch::channel(None);
        let stop = UnderWay {
            outcome,
            commands_by: Instant::now() + shares.drain + shares.checkpoint,
        };
        *slot = Some(stop.clone());
        let with = Arc::clone(&self.with);
        tokio::spawn(async move {
            let stopped = with.climb(grace, situation, shares).await;
            let _ = done.send(Some(stopped));
        });
        stop
    }
}

impl With {
    async fn climb(&self, grace: Duration, situation: Situation, shares: Shares) -> Stopped {
        let began = Instant::now();
        let before = self.last_exit();
        let Shares {
            drain,
            checkpoint: saving,
            kill_at,
        } = shares;
        info!(
            ?grace,
            hung = situation.hung,
            pid = situation.target.map(|id| id.pid),
            "stop: not ready from now on"
        );
        let mut stopped = Stopped::before(&situation);
        if situation.runs {
            self.say(OperatorCommand::Stopping).await;
            let parent = situation.target;
            let gone = tokio::select! {
                biased;
                gone = self.gone_by(parent, began + drain) => gone,
                () = nobody_connected(&self.sql, drain) => {
                    info!("stop: nobody is connected");
                    false
                }
            };
            if !gone && !saving.is_zero() {
                stopped.checkpoints = self.save(&situation.databases, parent, saving).await;
            }
            if let Some(parent) = parent {
                let left = (began + kill_at).saturating_duration_since(Instant::now());
                self.say(OperatorCommand::Terminate {
                    parent,
                    grace: left,
                })
                .await;
                let end = Instant::now() + left + GONE_AFTER + SEEN_AFTER;
                stopped.gone = self.gone_by(Some(parent), end).await;
                let exit = exit_after(self.decisions.clone(), before).await;
                stopped.clean =
                    stopped.gone && ended_cleanly(&self.decisions.borrow(), parent, exit);
            }
        }
        stopped.lasted = began.elapsed();
        if stopped.process.is_some() && stopped.gone {
            self.history.record(event(&stopped));
        }
        match tell(&stopped) {
            Ok(text) => info!(clean = stopped.clean, "stop: {text}"),
            Err(text) => warn!("stop: {text}"),
        }
        stopped
    }

    async fn say(&self, command: OperatorCommand) {
        self.sink.send(Observation::Operator(command)).await;
    }

    fn situation(&self) -> Situation {
        let published = self.decisions.borrow();
        match &published.decision {
            Some(decision) => Situation::of(&published.snapshot, decision),
            None => Situation::default(),
        }
    }

    /// Whether `parent` is gone, or ends before `end`. A process that was never seen does not end.
    async fn gone_by(&self, parent: Option<ProcessId>, end: Instant) -> bool {
        let mut decisions = self.decisions.clone();
        let gone = |published: &Arc<Published>| {
            parent.is_some_and(|parent| is_gone(&published.snapshot, parent))
        };
        matches!(timeout_at(end, decisions.wait_for(gone)).await, Ok(Ok(_)))
    }

    fn last_exit(&self) -> Option<Observed<ProcessExit>> {
        self.decisions.borrow().snapshot.last_exit.clone()
    }

    /// Makes the checkpoints; returns none where the engine ended meanwhile.
    async fn save(
        &self,
        databases: &[String],
        parent: Option<ProcessId>,
        limit: Duration,
    ) -> Option<Checkpoints> {
        if databases.is_empty() {
            return None;
        }
        let made = tokio::select! {
            made = checkpoint(&self.sql, databases, limit) => made,
            true = self.gone_by(parent, Instant::now() + limit) => return None,
        };
        match &made.error {
            None => info!(databases = made.done, lasted = ?made.lasted, "stop: checkpoints made"),
            Some(error) => warn!(
                done = made.done,
                wanted = made.wanted,
                ?error,
                "stop: not all checkpoints were made; the engine makes its own at a clean shutdown"
            ),
        }
        Some(made)
    }
}

/// Whether `parent` is known to run no more. While no agent is linked, or a new one has not looked yet, nothing
/// is known, unless the last report before was that there is no engine.
fn is_gone(snapshot: &Snapshot, parent: ProcessId) -> bool {
    let there = snapshot.running().map(|process| process.parent);
    let unknown = snapshot.is_blind() && !snapshot.ended_before_loss;
    !unknown && there != Some(parent)
}

/// Returns the exit that follows on `before`, which is an earlier engine's: that a process is not there any
/// more may be seen before its exit status is, which is waited for a moment.
async fn exit_after(
    mut decisions: Reader,
    before: Option<Observed<ProcessExit>>,
) -> Option<ProcessExit> {
    let reaped = |published: &Arc<Published>| published.snapshot.last_exit != before;
    let published = timeout_at(Instant::now() + SEEN_AFTER, decisions.wait_for(reaped)).await;
    let exit = published.ok()?.ok()?.snapshot.last_exit.as_ref()?.value;
    Some(exit)
}

/// Whether the process ended without SIGKILL, and with status 0 where that was seen.
fn ended_cleanly(published: &Published, parent: ProcessId, exit: Option<ProcessExit>) -> bool {
    let snapshot = &published.snapshot;
    let killed = snapshot.action.as_ref().is_some_and(|report| {
        report.value.process == parent && report.value.step == ActionStep::Killed
    });
    let status = exit.and_then(|exit| exit.status);
    !killed && matches!(status, None | Some(ExitStatus::Code(0)))
}

fn event(stopped: &Stopped) -> Event {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let made = stopped.checkpoints.as_ref();
    Event::Stopped {
        clean: stopped.clean,
        millis: millis(stopped.lasted),
        checkpoints: made.map_or(0, |made| made.done),
        wanted: made.map_or(0, |made| made.wanted),
        checkpoint_millis: made.map_or(0, |made| millis(made.lasted)),
    }
}

/// Returns the outcome of the stop as a text, for the caller that asked for it.
fn tell(stopped: &Stopped) -> Obeyed {
    let lasted = format!("{:.1} s", stopped.lasted.as_secs_f64());
    let Some(process) = stopped.process else {
        return match stopped.gone {
            true => Ok("no engine runs: there is nothing to stop".to_owned()),
            false => Err(format!(
                "not ready for {lasted}; no process of the engine can be seen here to be signalled: its container's own SIGTERM has to reach it"
            )),
        };
    };
    let pid = process.pid;
    if !stopped.gone {
        return Err(format!(
            "pid {pid} is still there after {lasted}: see the reason RestartFailed"
        ));
    }
    let how = match (stopped.clean, stopped.hung) {
        (true, _) => "ended cleanly",
        (false, true) => "hung and was ended",
        (false, false) => "did not end cleanly",
    };
    let mut text = format!("pid {pid} {how} after {lasted}");
    if let Some(made) = &stopped.checkpoints {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            ", with checkpoints in {} of {} databases",
            made.done, made.wanted
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::{LinkReport, ProcessRole};
    use crate::decide::time::Time;

    fn published(start_ticks: u64, status: ExitStatus) -> Arc<Published> {
        let process = ProcessId {
            pid: 9,
            start_ticks,
        };
        let mut published = Published::default();
        published.snapshot.last_exit = Some(Observed {
            at: Time::default(),
            value: ProcessExit {
                process,
                role: ProcessRole::Engine,
                status: Some(status),
                oom_killed: false,
            },
        });
        Arc::new(published)
    }

    /// As where the container's SIGTERM comes after a preStop hook has ended the engine.
    #[test]
    fn what_has_ended_already_is_not_stopped_again() {
        let target = ProcessId {
            pid: 8,
            start_ticks: 2,
        };
        for runs in [true, false] {
            let situation = Situation {
                target: Some(target),
                runs,
                ..Situation::default()
            };
            let stopped = Stopped::before(&situation);
            assert_eq!(stopped.process.is_some(), runs, "it goes into the history");
            assert_eq!(stopped.gone, !runs);
        }
    }

    #[test]
    fn an_engine_of_which_nothing_is_known_is_not_gone() {
        let parent = ProcessId {
            pid: 8,
            start_ticks: 2,
        };
        let mut snapshot = Snapshot::default();
        assert!(
            is_gone(&snapshot, parent),
            "nobody is linked, and none is seen"
        );
        for (value, ended, gone) in [
            (LinkReport::Lost, false, false),
            (LinkReport::Linked, false, false),
            (LinkReport::Lost, true, true),
        ] {
            let at = Time::default();
            snapshot.link = Some(Observed { at, value });
            snapshot.ended_before_loss = ended;
            assert_eq!(is_gone(&snapshot, parent), gone, "{value:?} {ended}");
        }
    }

    #[tokio::test]
    async fn how_an_earlier_engine_ended_says_nothing_of_this_one() {
        let (publisher, decisions) = watch::channel(published(1, ExitStatus::Signal(9)));
        let before = decisions.borrow().snapshot.last_exit.clone();
        let waiting = tokio::spawn(exit_after(decisions, before));
        let parent = ProcessId {
            pid: 8,
            start_ticks: 2,
        };
        publisher.send_replace(published(2, ExitStatus::Code(0)));
        let exit = waiting.await.unwrap();
        assert_eq!(exit.and_then(|exit| exit.status), Some(ExitStatus::Code(0)));
        assert!(ended_cleanly(&publisher.borrow(), parent, exit));
    }
}
