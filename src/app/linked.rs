//! The link to `launch`, wired: whose eyes count, what is told, and what is done about what is heard.
//!
//! **Whose eyes.** Once a `launch` was there in this run, what the supervisor itself sees of the
//! processes and of their control group means nothing: in a PID namespace of its own it sees none, in
//! a shared one the same ones twice. [`watch_here`] is the one place that decides it. The same holds
//! for what is to be done: an order names processes as `launch` sees them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use super::carry_out::failure;
use crate::act::link::Heard;
use crate::act::restart::termination;
use crate::config::Config;
use crate::decide::decision::{Action, Decision, ProbeAnswer, Restart, Verdict};
use crate::decide::observation::{LinkReport, Observation, ProcessId};
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::link::{Answer, FromLaunch, FromSidecar, Order, OrderKind, Why, Word};
use crate::observe::process::EnginePid;
use crate::observe::process::volume::WatchedVolume;
use crate::observe::{Sink, cgroup, listeners, process};
use crate::publish::{Published, Reader};

/// How long a run waits for the `launch` that an earlier one was linked with before it looks for
/// itself: longer than the kubelet's longest pause between two starts of a container, 5 minutes.
const LINK_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The way to `launch`. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Link {
    /// There was one in this run.
    linked: watch::Sender<bool>,
    engine: EnginePid,
    sink: Sink,
}

impl Link {
    /// One that nobody is at the other end of.
    #[must_use]
    pub fn new(engine: EnginePid, sink: Sink) -> Self {
        Self {
            linked: watch::Sender::new(false),
            engine,
            sink,
        }
    }

    /// Whether what is to be done is done by `launch`.
    #[must_use]
    pub fn acts(&self) -> bool {
        *self.linked.borrow()
    }

    /// Takes in what is heard; the answer, if there is one. `stop` begins a stop that is asked for,
    /// and says within which time it orders the engine's end, if it can.
    pub async fn hear(
        self,
        heard: Heard,
        stop: impl FnOnce() -> Option<Duration>,
    ) -> Option<FromSidecar> {
        let observation = match heard {
            Heard::Linked => {
                self.linked.send_replace(true);
                self.engine.set_mount(None);
                Observation::Link(LinkReport::Linked)
            }
            Heard::Lost => {
                self.engine.set_mount(None);
                Observation::Link(LinkReport::Lost)
            }
            Heard::Said(said) => match *said {
                FromLaunch::Process(report) => Observation::Process(report),
                FromLaunch::Cgroup(report) => Observation::Cgroup(*report),
                FromLaunch::Action(report) => Observation::Action(report),
                FromLaunch::Mount(mount) => {
                    self.engine.set_mount(mount);
                    return None;
                }
                FromLaunch::StopRequested(signal) => {
                    info!(signal, "the SQL container is asked to stop");
                    return stop().map(FromSidecar::StopAccepted);
                }
                FromLaunch::Hello(_) | FromLaunch::Beat => return None,
            },
        };
        self.sink.send(observation).await;
        None
    }

    /// Turns each decision into a word. Ends when nothing is decided any more.
    pub async fn speak(self, mut decisions: Reader, words: watch::Sender<Option<Word>>) {
        let mut speaker = Speaker::default();
        while decisions.changed().await.is_ok() {
            let published = Arc::clone(&decisions.borrow_and_update());
            if let Some(word) = speaker.word(&published) {
                words.send_replace(Some(word));
            }
        }
    }
}

/// Watches the processes from here until a `launch` does; with `expected`, not before it had its time
/// to come. Ends then.
pub async fn watch_here(config: Config, link: Link, expected: bool) {
    let mut linked = link.linked.subscribe();
    if expected {
        // Its sender is in `link`. Whether it came is asked again below.
        let _ = timeout(LINK_PATIENCE, linked.wait_for(|linked| *linked)).await;
    }
    let (engine, sink) = (link.engine.clone(), link.sink.clone());
    let watch = async {
        let volume = WatchedVolume::following(
            config.process.proc_root.clone(),
            config.volume.data_dir,
            config.volume.engine_data_dir,
        )
        .await;
        tokio::join!(
            listeners::observe(config.process.proc_root.clone(), engine.clone()),
            process::observe(config.process, volume, engine.clone(), sink.clone()),
            cgroup::observe(config.cgroup_interval, engine.clone(), sink),
        )
    };
    tokio::select! {
        biased;
        _ = linked.wait_for(|linked| *linked) => {}
        _ = watch => {}
    }
    link.engine.set(None);
    link.engine.set_network(None);
}

/// Makes words. The termination messages bear the time of their first word, so that the same order is
/// the same word.
#[derive(Debug, Default)]
struct Speaker {
    message: Option<(ProcessId, OrderKind, String)>,
    left_word: Option<String>,
}

impl Speaker {
    fn word(&mut self, published: &Published) -> Option<Word> {
        let decision = published.decision.as_ref()?;
        let action = decision.action.as_ref();
        let order = action.map(|action| self.order(action, decision));
        self.leave(published, decision);
        Some(Word {
            gate: answer(&decision.gate, decision),
            live: answer(&decision.live, decision),
            epoch: published.snapshot.epoch(),
            order,
            left_word: self.left_word.clone(),
        })
    }

    fn order(&mut self, action: &Action, decision: &Decision) -> Order {
        let (kind, restart) = match action {
            Action::Restart(restart) => (OrderKind::Restart, restart),
            Action::Fence(restart) => (OrderKind::Fence, restart),
        };
        let known = |(parent, as_kind, _): &&(ProcessId, OrderKind, String)| {
            (*parent, *as_kind) == (restart.parent, kind)
        };
        let message = match self.message.as_ref().filter(known) {
            Some((_, _, message)) => message.clone(),
            None => termination::before(restart, SystemTime::now(), decision),
        };
        self.message = Some((restart.parent, kind, message.clone()));
        order(kind, restart, message)
    }

    /// The message for a restart that is left to the kubelet, while it is.
    fn leave(&mut self, published: &Published, decision: &Decision) {
        let left = decision.live.verdict == Verdict::Fail && decision.action.is_none();
        match left {
            false => self.left_word = None,
            true => {
                self.left_word.get_or_insert_with(|| {
                    let (now, by) = (SystemTime::now(), RestartBy::Kubelet);
                    let reasons = &decision.live.reasons;
                    termination::message(now, by, reasons, decision, failure(published))
                });
            }
        }
    }
}

fn order(kind: OrderKind, restart: &Restart, message: String) -> Order {
    let code = |reason: &Reason| reason.code().to_owned();
    Order {
        kind,
        parent: restart.parent,
        engine: restart.engine,
        grace: restart.grace,
        reasons: restart.reasons.iter().map(code).collect(),
        message,
    }
}

fn answer(answer: &ProbeAnswer, decision: &Decision) -> Answer {
    let why = |reason: &Reason| Why {
        code: reason.code().to_owned(),
        evidence: decision.finding(*reason).map_or_else(
            || reason.info().summary.to_owned(),
            |found| found.evidence.clone(),
        ),
    };
    Answer {
        pass: answer.verdict == Verdict::Pass,
        reasons: answer.reasons.iter().map(why).collect(),
    }
}
