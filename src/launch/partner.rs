//! The supervisor, as the first process sees it: asked for nothing that it must not live without.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::decide::observation::{self, EngineMount, ProcessExit, ProcessId, ProcessRole};
use crate::link::Word;

/// The last messages may take this long at the end: the exit status is worth that much.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// An observer asks for a status three times, a millisecond apart. It runs on this thread: when this
/// has passed for one, it has for the other.
const LAST_LOOK: Duration = Duration::from_millis(20);
/// Messages that may wait for each other, in either direction.
const QUEUE: usize = 16;

/// What is known of the supervisor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// It is there.
    pub linked: bool,
    /// Its last word, kept when it is gone.
    pub heard: Option<Heard>,
}

/// A word and its moment.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What was said.
    pub word: Word,
    /// When it came.
    pub at: Instant,
}

/// What the supervisor, or its order's execution, means for a stop.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// It sees to the stop: the order comes within this time.
    StopAccepted(Duration),
    /// It is gone.
    Lost,
    /// On its order the engine was sent its SIGTERM.
    Terminated,
}

/// What the link is told by the first process.
#[derive(Debug)]
pub enum Request {
    /// The container is asked to stop.
    Stop(i32),
    /// The outer `sqlservr` has ended.
    Ended(ProcessExit),
    /// What is seen at the engine's data directory.
    Mount(Option<EngineMount>),
    /// Say what is left to say, and answer.
    Finish(oneshot::Sender<()>),
}

/// The first process's end of the link.
#[derive(Debug)]
pub struct Partner {
    requests: mpsc::Sender<Request>,
    told: mpsc::Receiver<Told>,
    state: watch::Receiver<State>,
}

/// The other ends, for the task that keeps the link.
#[derive(Debug)]
pub struct Ends {
    /// What is requested.
    pub requests: mpsc::Receiver<Request>,
    /// For what matters to a stop.
    pub told: mpsc::Sender<Told>,
    /// For what is known.
    pub state: watch::Sender<State>,
}

impl Partner {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Ends) {
        let (request, requests) = mpsc::channel(QUEUE);
        let (tell, told) = mpsc::channel(QUEUE);
        let (publish, state) = watch::channel(State::default());
        let partner = Self {
            requests: request,
            told,
            state,
        };
        let ends = Ends {
            requests,
            told: tell,
            state: publish,
        };
        (partner, ends)
    }

    /// What is known, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// A way to tell the link more.
    #[must_use]
    pub fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    /// Something that matters to a stop. Cancel safe.
    pub async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            // Nobody keeps the link any more.
            None => std::future::pending().await,
        }
    }

    /// Tells the supervisor to see to the stop; false where it can't be told.
    pub fn request_stop(&self, signal: Signal) -> bool {
        let asked = self.requests.try_send(Request::Stop(signal.as_raw()));
        asked.is_ok() && self.state.borrow().linked
    }

    /// Tells it how the outer `sqlservr` has ended.
    pub fn engine_ended(&self, process: ProcessId, status: Option<ExitStatus>) {
        let told = ProcessExit {
            process,
            role: ProcessRole::Parent,
            status: status.and_then(status_of),
            // Its observer knows better, see there.
            oom_killed: false,
        };
        // A queue that is full belongs to a link that does not run.
        let _ = self.requests.try_send(Request::Ended(told));
    }

    /// Waits a moment for the observers to see what has happened, and for the last messages to be taken.
    pub async fn finish(&self) {
        if self.state.borrow().linked {
            sleep(LAST_LOOK).await;
        }
        let (done, finished) = oneshot::channel();
        if self.requests.try_send(Request::Finish(done)).is_ok() {
            let _ = timeout(LAST_WORDS, finished).await;
        }
    }
}

fn status_of(status: ExitStatus) -> Option<observation::ExitStatus> {
    let code = status.code().map(observation::ExitStatus::Code);
    code.or_else(|| status.signal().map(observation::ExitStatus::Signal))
}
