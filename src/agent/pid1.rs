//! The agent's end of the channel to PID 1, which it inherits as its standard input.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as Socket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tracing::debug;

use crate::launch::channel::{self, FromAgent, InitStep, ToAgent};

/// The channel to PID 1.
#[derive(Debug)]
pub struct Pid1 {
    // The socket is a SOCK_SEQPACKET one, for which tokio has no type. Only its descriptor is used.
    socket: UnixDatagram,
    started: AtomicBool,
}

/// The state of PID 1, and the descriptors that it keeps, at an agent's start.
#[derive(Debug)]
pub struct Start {
    /// The step that PID 1 is at.
    pub step: InitStep,
    /// The signal by which the container was asked to stop; zero where it was not.
    pub stop: i32,
    /// The file with the memory of earlier agents.
    pub memory: Option<File>,
    /// The listening socket for the probes.
    pub listener: Option<TcpListener>,
}

impl Pid1 {
    /// Takes the channel, with its first message, from standard input.
    ///
    /// # Errors
    ///
    /// Standard input is no such channel.
    pub fn open() -> io::Result<(Arc<Self>, Start)> {
        let inherited = io::stdin().as_fd().try_clone_to_owned()?;
        let (message, [memory, listener]) =
            channel::receive(&inherited)?.ok_or(io::ErrorKind::NotConnected)?;
        let ToAgent::State { step, stop } = message else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let listener = listener.map(TcpListener::from);
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
        }
        let start = Start {
            step,
            stop,
            memory: memory.map(File::from),
            listener,
        };
        Ok((Self::over(inherited, step)?, start))
    }

    /// Returns the agent's end of `channel`, where PID 1 is at this step.
    ///
    /// # Errors
    ///
    /// The runtime can't watch the channel.
    pub fn over(channel: OwnedFd, step: InitStep) -> io::Result<Arc<Self>> {
        let socket = UnixDatagram::from_std(Socket::from(channel))?;
        let started = AtomicBool::new(step != InitStep::Waiting);
        Ok(Arc::new(Self { socket, started }))
    }

    /// Sends a message, from any thread. Waits for nothing: a message that PID 1 does not take is sent again,
    /// or has a deadline there. Returns whether it was taken.
    pub fn send(&self, message: FromAgent) -> bool {
        self.send_with(message, &[])
    }

    /// Sends a message with descriptors, from any thread. Waits for nothing. Returns whether it was taken.
    pub fn send_with(&self, message: FromAgent, descriptors: &[BorrowedFd<'_>]) -> bool {
        let sent = channel::send(&self.socket, message, descriptors);
        if let Err(error) = sent {
            debug!(%error, ?message, "PID 1 does not take a message");
        }
        sent.is_ok()
    }

    /// Whether PID 1 has reported that the command was started.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// Receives the next message; returns none once PID 1 is gone. Cancel safe.
    pub async fn receive(&self) -> Option<ToAgent> {
        loop {
            let received = self
                .socket
                .async_io(Interest::READABLE, || {
                    match channel::receive::<ToAgent>(&self.socket) {
                        Ok(Some((message, _))) => Ok(message),
                        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                        Err(errno) => Err(errno.into()),
                    }
                })
                .await;
            match received {
                Ok(message) => {
                    if let ToAgent::State { step, .. } = message {
                        let started = step != InitStep::Waiting;
                        self.started.store(started, Ordering::Relaxed);
                    }
                    return Some(message);
                }
                Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => {}
                Err(_) => return None,
            }
        }
    }
}
