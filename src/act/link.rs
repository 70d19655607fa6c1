//! The supervisor's end of the link to the SQL container's agent; its messages are in [`crate::link`].
//!
//! One agent at a time: a newer one takes the place of the one before, which has ended or is about to.
//! Its messages go to the function that [`crate::app`] hands in; the verdicts for it come from there too.
//!
//! Limits: [`MAX_GREETINGS`] connections whose other end has sent no hello yet, 2 s for that, 5 s of silence,
//! 64 KiB a line.

use std::future::Future;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

use super::control::BoundSocket;
use crate::link::{
    AgentMessage, BEAT, Connection, Hello, LinkError, SILENCE, SupervisorMessage, Verdicts,
    check_version,
};

/// The number of connections whose other end has sent no hello yet; the next ones wait in the kernel's queue.
pub const MAX_GREETINGS: usize = 4;
/// Pause after an accept that failed for want of descriptors: without it the loop would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// An event of the link.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// An agent has connected, with this version of the protocol. An agent that was connected before is so no
    /// more.
    Linked(u32),
    /// No agent is connected.
    Lost,
    /// The agent has sent this message.
    Message(Box<AgentMessage>),
}

/// The connection to an agent.
#[derive(Debug)]
struct Session {
    connection: Connection,
    beat: Interval,
    last_message: Instant,
    /// The last verdicts that were sent, and the moment of that.
    sent: Option<(Verdicts, Instant)>,
}

enum Event {
    Accepted(std::io::Result<UnixStream>),
    Greeted(Result<(Connection, u32), LinkError>),
    Received(Result<AgentMessage, LinkError>),
    Beat,
    Verdicts,
}

/// Serves the link on its socket; never returns. `receive` takes each event, and returns the answer, if there
/// is one. Each change of `verdicts` is sent, and unchanged verdicts each [`BEAT`], as long as they are
/// published anew. When the future is dropped, the connection ends and the file is removed.
pub async fn serve<H, F>(
    socket: BoundSocket,
    mut verdicts: watch::Receiver<Option<Verdicts>>,
    receive: H,
) where
    H: Fn(LinkEvent) -> F,
    F: Future<Output = Option<SupervisorMessage>>,
{
    let mut greetings = JoinSet::new();
    let mut session: Option<Session> = None;
    loop {
        let event = tokio::select! {
            accepted = socket.listener.accept(), if greetings.len() < MAX_GREETINGS => {
                Event::Accepted(accepted.map(|(stream, _)| stream))
            }
            // A task that was aborted is none of ours.
            Some(Ok(greeted)) = greetings.join_next() => Event::Greeted(greeted),
            event = Session::event(session.as_mut()) => event,
            Ok(()) = verdicts.changed(), if session.is_some() => Event::Verdicts,
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
            (Event::Greeted(Ok((connection, version))), _) => {
                session = Some(Session::new(connection));
                verdicts.mark_changed();
                receive(LinkEvent::Linked(version)).await;
                Ok(())
            }
            (Event::Greeted(Err(error)), _) => {
                warn!(%error, "a connection on the link's socket is refused");
                Ok(())
            }
            (event, Some(session)) => session.take(event, &verdicts, &receive).await,
            (_, None) => Ok(()),
        };
        if let Err(error) = result {
            warn!(%error, "the link to launch is lost; it connects again");
            session = None;
            receive(LinkEvent::Lost).await;
        }
    }
}

/// Takes a connection: receives the hello of its other end, and answers with the supervisor's own.
async fn greet(stream: UnixStream) -> Result<(Connection, u32), LinkError> {
    let mut connection = Connection::new(stream)?;
    let AgentMessage::Hello(hello) = connection.first().await? else {
        return Err(LinkError::NoHello);
    };
    // Before it is judged: the other end says what is wrong, too.
    connection
        .send(&SupervisorMessage::Hello(Hello::own()))
        .await?;
    check_version(hello.version)?;
    info!(
        pid = hello.pid,
        version = hello.software,
        "launch is linked"
    );
    Ok((connection, hello.version))
}

impl Session {
    fn new(connection: Connection) -> Self {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            connection,
            beat,
            last_message: Instant::now(),
            sent: None,
        }
    }

    /// Waits for the next event of the session; for ever where there is none. Cancel safe.
    async fn event(session: Option<&mut Self>) -> Event {
        let Some(session) = session else {
            return std::future::pending().await;
        };
        tokio::select! {
            received = session.connection.receive() => Event::Received(received),
            _ = session.beat.tick() => Event::Beat,
        }
    }

    async fn take<H, F>(
        &mut self,
        event: Event,
        verdicts: &watch::Receiver<Option<Verdicts>>,
        receive: &H,
    ) -> Result<(), LinkError>
    where
        H: Fn(LinkEvent) -> F,
        F: Future<Output = Option<SupervisorMessage>>,
    {
        match event {
            Event::Received(received) => {
                let message = received?;
                self.last_message = Instant::now();
                if let AgentMessage::Beat = message {
                    return Ok(());
                }
                match receive(LinkEvent::Message(Box::new(message))).await {
                    Some(answer) => self.connection.send(&answer).await,
                    None => Ok(()),
                }
            }
            Event::Beat if self.last_message.elapsed() >= SILENCE => Err(LinkError::Silent),
            Event::Beat => self.connection.send(&SupervisorMessage::Beat).await,
            Event::Verdicts => {
                let last = verdicts.borrow().clone();
                self.send(last).await
            }
            Event::Accepted(_) | Event::Greeted(_) => Ok(()),
        }
    }

    /// Sends verdicts that are new, or that were sent so long ago that they would soon be taken for old ones.
    async fn send(&mut self, verdicts: Option<Verdicts>) -> Result<(), LinkError> {
        let Some(verdicts) = verdicts else {
            return Ok(());
        };
        let now = Instant::now();
        let known =
            |(sent, at): &(Verdicts, Instant)| *sent == verdicts && now.duration_since(*at) < BEAT;
        if self.sent.as_ref().is_some_and(known) {
            return Ok(());
        }
        self.sent = Some((verdicts.clone(), now));
        self.connection
            .send(&SupervisorMessage::Verdicts(Box::new(verdicts)))
            .await
    }
}

#[cfg(test)]
mod tests;
