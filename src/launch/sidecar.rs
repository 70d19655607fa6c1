//! This container's end of the link: connects, and connects again, for as long as there is anything
//! to say.

mod outbox;

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info, warn};

use super::partner::{Ends, Heard, Request, State, Told};
use crate::decide::observation::{Observation, Observed};
use crate::link::{
    BEAT, Connection, FromLaunch, FromSidecar, Hello, LinkError, SILENCE, check_version,
};
use outbox::Outbox;

/// From a failure to the next try ...
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// ... doubled each time up to this.
const LAST_RETRY: Duration = Duration::from_secs(2);

/// What keeps the link.
#[derive(Debug)]
pub struct Link {
    socket: PathBuf,
    ends: Ends,
    observations: mpsc::Receiver<Observed<Observation>>,
    outbox: Outbox,
    finish: Option<oneshot::Sender<()>>,
    /// What was wrong at the last try, so that it is said once.
    trouble: Option<String>,
}

enum Event<T> {
    Observed(Observation),
    Requested(Request),
    Other(T),
}

impl Link {
    /// A link over `socket` that takes what `observations` brings.
    #[must_use]
    pub fn new(
        socket: PathBuf,
        ends: Ends,
        observations: mpsc::Receiver<Observed<Observation>>,
    ) -> Self {
        Self {
            socket,
            ends,
            observations,
            outbox: Outbox::default(),
            finish: None,
            trouble: None,
        }
    }

    /// Keeps it until the first process has said its last.
    pub async fn keep(mut self) {
        let mut retry = FIRST_RETRY;
        while self.finish.is_none() {
            match self.connect().await {
                Ok(connection) => {
                    retry = FIRST_RETRY;
                    self.trouble = None;
                    if let Err(error) = self.converse(connection).await {
                        warn!(%error, "the link to the supervisor is lost; the engine runs on");
                    }
                    self.lost();
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

    async fn connect(&self) -> Result<Connection, LinkError> {
        let mut connection = Connection::new(UnixStream::connect(&self.socket).await?)?;
        connection.send(&FromLaunch::Hello(Hello::own())).await?;
        let FromSidecar::Hello(hello) = connection.first().await? else {
            return Err(LinkError::NoHello);
        };
        check_version(hello.version)?;
        info!(socket = %self.socket.display(), pid = hello.pid, version = hello.software,
            "linked with the supervisor");
        Ok(connection)
    }

    /// Says what is wrong, once.
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

    /// Exchanges messages until the end of the connection, or of all.
    async fn converse(&mut self, mut connection: Connection) -> Result<(), LinkError> {
        self.ends.state.send_modify(|state| state.linked = true);
        self.outbox.say_all_again();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
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
            match next(&mut self.observations, &mut self.ends.requests, other).await {
                Event::Observed(observation) => self.outbox.take(observation),
                Event::Requested(request) => self.take(request),
                Event::Other(message) => match message? {
                    Some(message) => {
                        heard = Instant::now();
                        self.hear(message);
                    }
                    None if heard.elapsed() >= SILENCE => return Err(LinkError::Silent),
                    None => connection.send(&FromLaunch::Beat).await?,
                },
            }
        }
    }

    /// Takes what comes while there is nobody to tell it to.
    async fn rest(&mut self, until: Instant) {
        while self.finish.is_none() {
            let pause = sleep_until(until);
            match next(&mut self.observations, &mut self.ends.requests, pause).await {
                Event::Observed(observation) => self.outbox.take(observation),
                Event::Requested(request) => self.take(request),
                Event::Other(()) => return,
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Stop(signal) => self.outbox.stop(signal),
            Request::Ended(exit) => self.outbox.ended(exit),
            Request::Mount(mount) => self.outbox.mount(mount),
            Request::Finish(done) => self.finish = Some(done),
        }
    }

    fn hear(&mut self, message: FromSidecar) {
        match message {
            FromSidecar::Word(word) => {
                let at = Instant::now();
                self.ends.state.send_modify(|state: &mut State| {
                    state.heard = Some(Heard { word: *word, at });
                });
            }
            FromSidecar::StopAccepted(within) => self.tell(Told::StopAccepted(within)),
            FromSidecar::Beat | FromSidecar::Hello(_) => {}
        }
    }

    fn lost(&mut self) {
        self.ends.state.send_modify(|state| state.linked = false);
        self.tell(Told::Lost);
    }

    fn tell(&self, told: Told) {
        // A full queue is that of a first process that has begun to clear up.
        if self.ends.told.try_send(told).is_err() {
            debug!(?told, "nobody waits for it any more");
        }
    }
}

/// The next of all. Cancel safe if `other` is.
async fn next<T>(
    observations: &mut mpsc::Receiver<Observed<Observation>>,
    requests: &mut mpsc::Receiver<Request>,
    other: impl Future<Output = T>,
) -> Event<T> {
    tokio::select! {
        biased;
        // The exits that were seen before the last request of all.
        Some(observed) = observations.recv() => Event::Observed(observed.value),
        Some(request) = requests.recv() => Event::Requested(request),
        other = other => Event::Other(other),
    }
}
