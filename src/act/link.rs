//! The supervisor's end of the link to `launch`; what is said on it is in [`crate::link`].
//!
//! One `launch` at a time: a newer one takes the place of the one before, whose container has ended
//! or is about to. What it says leaves through the function that [`crate::app`] hands in; what it is
//! told comes from there too.
//!
//! Limits: [`MAX_GREETINGS`] that have not said who they are, 2 s for that, 5 s of silence, 64 KiB a
//! line.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::control::BindError;
use super::control::socket::{self, SocketFile};
use crate::link::{
    BEAT, Connection, FromLaunch, FromSidecar, Hello, LinkError, SILENCE, Word, check_version,
};

/// Connections that have not said who they are; the next ones wait in the kernel's queue.
pub const MAX_GREETINGS: usize = 4;
/// Pause after an accept that failed for want of descriptors: without it the loop would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// What is heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A `launch` is there. One that was there before is not any more.
    Linked,
    /// None is.
    Lost,
    /// It says this.
    Said(Box<FromLaunch>),
}

/// A link that has its socket and does not serve yet. Dropped, the file is removed.
#[derive(Debug)]
pub struct Bound {
    // Before the listener, so that it is dropped first: see `SocketFile`.
    file: SocketFile,
    listener: UnixListener,
}

/// Makes the socket at `path`, mode 0600, as [`super::control::bind`] does.
///
/// # Errors
///
/// See [`BindError`].
pub async fn bind(path: &Path) -> Result<Bound, BindError> {
    let (listener, file) = socket::bind(path).await?;
    Ok(Bound { file, listener })
}

/// The `launch` at the other end.
#[derive(Debug)]
struct Session {
    connection: Connection,
    beat: Interval,
    heard: Instant,
    /// The last word that it was told, and when.
    told: Option<(Word, Instant)>,
}

enum Event {
    Accepted(std::io::Result<UnixStream>),
    Greeted(Result<Connection, LinkError>),
    Said(Result<FromLaunch, LinkError>),
    Beat,
    Word,
}

impl Bound {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Serves; never returns. `hear` takes what is heard, and gives what is to be answered, if
    /// anything is. Of `words` each change is told, and one that stands still each [`BEAT`], as long as
    /// it is published anew. Dropped, this ends the connection and removes the file.
    pub async fn serve<H, F>(self, mut words: watch::Receiver<Option<Word>>, hear: H)
    where
        H: Fn(Heard) -> F,
        F: Future<Output = Option<FromSidecar>>,
    {
        let mut greetings = JoinSet::new();
        let mut session: Option<Session> = None;
        loop {
            let event = tokio::select! {
                accepted = self.listener.accept(), if greetings.len() < MAX_GREETINGS => {
                    Event::Accepted(accepted.map(|(stream, _)| stream))
                }
                // A task that was aborted is none of ours.
                Some(Ok(greeted)) = greetings.join_next() => Event::Greeted(greeted),
                event = Session::event(session.as_mut()) => event,
                Ok(()) = words.changed(), if session.is_some() => Event::Word,
            };
            let result = match (event, &mut session) {
                (Event::Accepted(Ok(stream)), _) => {
                    greetings.spawn(greet(stream));
                    Ok(())
                }
                (Event::Accepted(Err(error)), _) => {
                    warn!(%error, "cannot accept a connection on the link's socket");
                    sleep(ACCEPT_BACKOFF).await;
                    Ok(())
                }
                (Event::Greeted(Ok(connection)), _) => {
                    session = Some(Session::new(connection));
                    words.mark_changed();
                    hear(Heard::Linked).await;
                    Ok(())
                }
                (Event::Greeted(Err(error)), _) => {
                    warn!(%error, "a connection on the link's socket is refused");
                    Ok(())
                }
                (event, Some(session)) => session.take(event, &words, &hear).await,
                (_, None) => Ok(()),
            };
            if let Err(error) = result {
                warn!(%error, "the link to launch is lost; it connects again");
                session = None;
                hear(Heard::Lost).await;
            }
        }
    }
}

/// Takes a connection whose other end is the right one, and says who it is.
async fn greet(stream: UnixStream) -> Result<Connection, LinkError> {
    let mut connection = Connection::new(stream)?;
    let FromLaunch::Hello(hello) = connection.first().await? else {
        return Err(LinkError::NoHello);
    };
    // Before it is judged: the other end says what is wrong, too.
    connection.send(&FromSidecar::Hello(Hello::own())).await?;
    check_version(hello.version)?;
    info!(
        pid = hello.pid,
        version = hello.software,
        "launch is linked"
    );
    Ok(connection)
}

impl Session {
    fn new(connection: Connection) -> Self {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            connection,
            beat,
            heard: Instant::now(),
            told: None,
        }
    }

    /// What comes next; never anything where there is nobody. Cancel safe.
    async fn event(session: Option<&mut Self>) -> Event {
        let Some(session) = session else {
            return std::future::pending().await;
        };
        tokio::select! {
            said = session.connection.receive() => Event::Said(said),
            _ = session.beat.tick() => Event::Beat,
        }
    }

    async fn take<H, F>(
        &mut self,
        event: Event,
        words: &watch::Receiver<Option<Word>>,
        hear: &H,
    ) -> Result<(), LinkError>
    where
        H: Fn(Heard) -> F,
        F: Future<Output = Option<FromSidecar>>,
    {
        match event {
            Event::Said(said) => {
                let said = said?;
                self.heard = Instant::now();
                if let FromLaunch::Beat = said {
                    return Ok(());
                }
                match hear(Heard::Said(Box::new(said))).await {
                    Some(answer) => self.connection.send(&answer).await,
                    None => Ok(()),
                }
            }
            Event::Beat if self.heard.elapsed() >= SILENCE => Err(LinkError::Silent),
            Event::Beat => self.connection.send(&FromSidecar::Beat).await,
            Event::Word => {
                let word = words.borrow().clone();
                self.tell(word).await
            }
            Event::Accepted(_) | Event::Greeted(_) => Ok(()),
        }
    }

    /// Tells a word that is new, or that was told long enough ago to be taken for an old one soon.
    async fn tell(&mut self, word: Option<Word>) -> Result<(), LinkError> {
        let Some(word) = word else { return Ok(()) };
        let now = Instant::now();
        let known = |(told, at): &(Word, Instant)| *told == word && now.duration_since(*at) < BEAT;
        if self.told.as_ref().is_some_and(known) {
            return Ok(());
        }
        self.told = Some((word.clone(), now));
        self.connection
            .send(&FromSidecar::Word(Box::new(word)))
            .await
    }
}

#[cfg(test)]
mod tests;
