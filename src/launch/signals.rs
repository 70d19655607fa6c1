//! The signals that a first process gets.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// What the runtime, or somebody in the container, may send, and what is done about it.
const HEARD: &[Signal] = &[
    // What has ended is reaped.
    Signal::CHILD,
    // They begin the stop.
    Signal::TERM,
    Signal::INT,
    // They are passed on.
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::CONT,
];

/// What was heard. Nothing is blocked: what is started inherits no mask, and the handlers end with its
/// exec.
#[derive(Debug)]
pub struct Signals {
    heard: Vec<(Signal, unix::Signal)>,
}

impl Signals {
    /// From now on none of them has its default effect.
    ///
    /// # Errors
    ///
    /// The system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let listen = |signal: Signal| unix::signal(SignalKind::from_raw(signal.as_raw()));
        let heard = HEARD
            .iter()
            .map(|signal| Ok((*signal, listen(*signal)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { heard })
    }

    /// The next one. Cancel safe. One notice stands for any number of equal signals, as in the kernel.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let heard = self.heard.iter_mut().find_map(|(signal, stream)| {
                let told = matches!(stream.poll_recv(context), Poll::Ready(Some(())));
                told.then_some(*signal)
            });
            heard.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Whether it ends a first process that has not started anything yet.
#[must_use]
pub fn ends(signal: Signal) -> bool {
    matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT)
}

/// As the shells write the end by a signal.
#[must_use]
pub fn exit_code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}
