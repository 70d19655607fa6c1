//! The agent's end of the link to the supervisor: connects, and connects again, for as long as the agent
//! runs.

mod outbox;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::pid1::Pid1;
use crate::decide::observation::{EngineLog, EngineMount, EngineNetwork, LeaseReport, Observation};
use crate::launch::channel::FromAgent;
use crate::link::{
    AGENT_HOLDS_LEASE, AgentMessage, BEAT, Connection, Hello, LinkError, SILENCE,
    SupervisorMessage, Verdicts, check_version,
};
use crate::observe::process::decode;
use outbox::Outbox;

/// The pause between a failure and the next try, doubled each time up to `LAST_RETRY`.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest pause between a failure and the next try.
const LAST_RETRY: Duration = Duration::from_secs(2);

/// The state of the link, with what the supervisor sent last.
#[derive(Clone, Debug, Default)]
pub struct LinkState {
    /// The protocol's version of the supervisor that is linked; none where no supervisor is.
    pub version: Option<u32>,
    /// The protocol's version of the supervisor that was linked last.
    pub last_version: Option<u32>,
    /// The supervisor's last verdicts, kept when it is gone.
    pub received: Option<Received>,
}

/// Verdicts, with the moment of their receipt.
#[derive(Clone, Debug)]
pub struct Received {
    /// The verdicts that were received.
    pub verdicts: Verdicts,
    /// The moment at which the verdicts were received.
    pub at: Instant,
}

impl LinkState {
    /// Whether a supervisor is linked.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.version.is_some()
    }

    /// Whether the supervisor that is linked, or was last, is one that holds the lease itself.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.last_version
            .is_some_and(|version| version < AGENT_HOLDS_LEASE)
    }

    /// Returns the last verdicts, while they count: of a supervisor that is linked, and not silent.
    #[must_use]
    pub fn fresh(&self) -> Option<&Verdicts> {
        let fresh = |received: &&Received| received.at.elapsed() < SILENCE;
        let received = self.received.as_ref().filter(|_| self.is_linked());
        received.filter(fresh).map(|received| &received.verdicts)
    }
}

/// A request to the link to send something to the supervisor.
#[derive(Debug)]
pub enum Request {
    /// The container is asked to stop, by this signal.
    Stop(i32),
    /// The outer `sqlservr` of this pid has ended, with this status where it is known.
    Ended(i32, Option<i32>),
    /// The mounts that are seen at the engine's directories, the data directory the first.
    Mounts(Vec<(PathBuf, Option<EngineMount>)>),
    /// The sockets on which the engine listens.
    Network(Option<EngineNetwork>),
    /// The state of the errorlog, where nobody else can read it.
    Log(Box<EngineLog>),
    /// The number of times that the engine was started again in this container.
    Restarts(u32),
    /// The state of the lease.
    Lease(LeaseReport),
    /// The link is to send what is left, and to answer.
    Finish(oneshot::Sender<()>),
}

/// The link's task.
#[derive(Debug)]
pub struct Link {
    socket: PathBuf,
    requests: mpsc::Receiver<Request>,
    observations: mpsc::Receiver<Observation>,
    state: watch::Sender<LinkState>,
    outbox: Outbox,
    finish: Option<oneshot::Sender<()>>,
    /// The error of the last try, kept so that it is logged once.
    trouble: Option<String>,
}

enum Event<T> {
    Observed(Observation),
    Requested(Request),
    Other(T),
}

impl Link {
    /// Returns a link over `socket` that sends what `requests` and `observations` bring.
    #[must_use]
    pub fn new(
        socket: PathBuf,
        requests: mpsc::Receiver<Request>,
        observations: mpsc::Receiver<Observation>,
        state: watch::Sender<LinkState>,
    ) -> Self {
        Self {
            socket,
            requests,
            observations,
            state,
            outbox: Outbox::default(),
            finish: None,
            trouble: None,
        }
    }

    /// Keeps the link until the agent's last work is done.
    pub async fn keep(mut self, pid1: Arc<Pid1>) {
        let mut retry = FIRST_RETRY;
        while self.finish.is_none() {
            match self.connect().await {
                Ok((connection, version)) => {
                    retry = FIRST_RETRY;
                    self.trouble = None;
                    self.state.send_modify(|state| {
                        state.version = Some(version);
                        state.last_version = Some(version);
                    });
                    self.outbox.resend(version);
                    if let Err(error) = self.converse(connection, &pid1).await {
                        warn!(%error, "the link to the supervisor is lost; the engine runs on");
                    }
                    self.state.send_modify(|state| state.version = None);
                    // A stop that was left to it is not any more.
                    pid1.send(FromAgent::Declined);
                }
                Err(error) => self.complain(&error),
            }
            self.rest(Instant::now() + retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
        if let Some(finished) = self.finish.take() {
            // It may not have waited so long.
            let _ = finished.send(());
        }
    }

    async fn connect(&self) -> Result<(Connection, u32), LinkError> {
        let mut connection = Connection::new(UnixStream::connect(&self.socket).await?)?;
        connection.send(&AgentMessage::Hello(Hello::own())).await?;
        let SupervisorMessage::Hello(hello) = connection.first().await? else {
            return Err(LinkError::NoHello);
        };
        check_version(hello.version)?;
        info!(socket = %self.socket.display(), pid = hello.pid, version = hello.software,
            "linked with the supervisor");
        if hello.version < AGENT_HOLDS_LEASE {
            warn!(
                version = hello.software,
                "the supervisor is of an older version: it holds the lease itself, and answers readiness on its own port alone"
            );
        }
        Ok((connection, hello.version))
    }

    /// Logs what is wrong, once.
    fn complain(&mut self, error: &LinkError) {
        let text = match error {
            LinkError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                format!(
                    "{error}: run both containers with the same uid (10001 in Microsoft's images)"
                )
            }
            error => error.to_string(),
        };
        if self.trouble.as_ref() != Some(&text) {
            let socket = self.socket.display();
            warn!(%socket, "no link to the supervisor, tried again for ever: {text}");
            self.trouble = Some(text);
        }
    }

    /// Exchanges messages until the connection ends, or the agent's last work is to be done.
    async fn converse(&mut self, mut connection: Connection, pid1: &Pid1) -> Result<(), LinkError> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            self.outbox.send(&mut connection).await?;
            if self.finish.is_some() {
                return Ok(());
            }
            let other = async {
                tokio::select! {
                    message = connection.receive() => message.map(Some),
                    _ = beat.tick() => Ok(None),
                }
            };
            match next(&mut self.observations, &mut self.requests, other).await {
                Event::Observed(observation) => self.outbox.take(observation),
                Event::Requested(request) => self.take(request),
                Event::Other(message) => match message? {
                    Some(message) => {
                        last = Instant::now();
                        self.receive(message, pid1);
                    }
                    None if last.elapsed() >= SILENCE => return Err(LinkError::Silent),
                    None => connection.send(&AgentMessage::Beat).await?,
                },
            }
        }
    }

    /// Takes what comes while there is no supervisor to send it to.
    async fn rest(&mut self, until: Instant) {
        while self.finish.is_none() {
            let pause = sleep_until(until);
            match next(&mut self.observations, &mut self.requests, pause).await {
                Event::Observed(observation) => self.outbox.take(observation),
                Event::Requested(request) => self.take(request),
                Event::Other(()) => return,
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Stop(signal) => self.outbox.stop(signal),
            Request::Ended(pid, status) => self.outbox.ended(pid, status.and_then(decode)),
            Request::Mounts(mounts) => self.outbox.mounts(mounts),
            Request::Network(seen) => self.outbox.network(seen),
            Request::Log(log) => self.outbox.log(*log),
            Request::Restarts(count) => self.outbox.restarts(count),
            Request::Lease(report) => self.outbox.lease(report),
            Request::Finish(done) => self.finish = Some(done),
        }
    }

    fn receive(&self, message: SupervisorMessage, pid1: &Pid1) {
        match message {
            SupervisorMessage::Verdicts(verdicts) => {
                let received = Received {
                    verdicts: *verdicts,
                    at: Instant::now(),
                };
                self.state
                    .send_modify(|state| state.received = Some(received));
            }
            SupervisorMessage::StopAccepted(within) => {
                let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                pid1.send(FromAgent::Accepted(within));
            }
            SupervisorMessage::Beat | SupervisorMessage::Hello(_) => {}
        }
    }
}

/// Waits for the next event of all sources. Cancel safe if `other` is.
async fn next<T>(
    observations: &mut mpsc::Receiver<Observation>,
    requests: &mut mpsc::Receiver<Request>,
    other: impl Future<Output = T>,
) -> Event<T> {
    tokio::select! {
        biased;
        // The exits that were seen before the last request of all.
        Some(observation) = observations.recv() => Event::Observed(observation),
        Some(request) = requests.recv() => Event::Requested(request),
        other = other => Event::Other(other),
    }
}
