//! The messages between PID 1 and its agent: of fixed size, over a socket pair that keeps their bounds.
//!
//! | from PID 1 | when |
//! | --- | --- |
//! | [`ToAgent::State`] | first, to each agent that it starts, with the descriptors of [`Kept`] |
//! | [`ToAgent::State`] | the command was started, or may be started again |
//! | [`ToAgent::Stop`] | the container is asked to stop |
//! | [`ToAgent::Look`] | the command has ended, and no engine is known |
//! | [`ToAgent::Ended`] | the engine has ended |
//! | [`ToAgent::Finish`] | everything has ended: the last work, and the agent's own end |
//!
//! | from the agent | when |
//! | --- | --- |
//! | [`FromAgent::Beat`] | each [`BEAT`] |
//! | [`FromAgent::RunUntil`] | at each renewal of the lease; [`FENCE`] where it is lost |
//! | [`FromAgent::Lock`] | the lease is taken, with the descriptor of the lock beside its claim |
//! | [`FromAgent::Start`] | the gate is open |
//! | [`FromAgent::Leave`] | the command is not to be started again |
//! | [`FromAgent::Engine`] | an engine was found, with its pidfds |
//! | [`FromAgent::NoEngine`] | PID 1 asked for the engine, and there is none |
//! | [`FromAgent::Accepted`], [`FromAgent::Declined`], [`FromAgent::Terminated`] | during a stop |
//!
//! Nothing in here allocates.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The pause between two reports of the agent that it runs.
pub const BEAT: Duration = Duration::from_secs(1);
/// The silence after which an agent is killed, and another one is started.
pub const SILENCE: Duration = Duration::from_secs(8);
/// The value of [`FromAgent::RunUntil`] by which the engine is killed at once.
pub const FENCE: u64 = 0;
/// The value of [`FromAgent::RunUntil`] for a moment that never comes.
pub const NO_LIMIT: u64 = u64::MAX;

const _: () = assert!(BEAT.as_secs() * 4 <= SILENCE.as_secs());

/// Bytes of a message: a kind, an `i32`, two `u64`.
const BYTES: usize = 24;
/// The number of descriptors that go with a message at most.
const DESCRIPTORS: usize = 2;

/// The descriptors that PID 1 keeps for its agents, from one to the next.
#[derive(Debug, Default)]
pub struct Kept {
    /// A file in memory for what has to outlive an agent.
    pub memory: Option<OwnedFd>,
    /// The socket that listens for the kubelet's probes; absent where the port could not be taken.
    pub listener: Option<OwnedFd>,
}

/// The step that PID 1 is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitStep {
    /// The command was not started yet.
    Waiting,
    /// The command was started.
    Running,
    /// The command has ended, and so has the engine.
    Ended,
    /// The command has ended, nothing of it is left, and it may be started again.
    Again,
}

/// A message of PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToAgent {
    /// The state of PID 1: the first message to an agent, and sent again when the command was started or may
    /// be started again.
    State {
        /// The step that PID 1 is at.
        step: InitStep,
        /// The signal by which the container was asked to stop; zero where it was not.
        stop: i32,
    },
    /// The container is asked to stop, by this signal.
    Stop(i32),
    /// PID 1 asks whether there is an engine.
    Look,
    /// The outer `sqlservr` has ended.
    Ended {
        /// The pid of the outer `sqlservr`.
        pid: i32,
        /// The exit status as of waitpid(2), where it is known.
        status: Option<i32>,
    },
    /// Everything has ended.
    Finish {
        /// Whether nothing of the command is left, so that no process of it can write any more.
        clear: bool,
        /// The status with which the container ends, as of waitpid(2); none where nothing was started.
        status: Option<i32>,
    },
}

/// A message of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromAgent {
    /// The agent runs.
    Beat,
    /// The engine may run until this moment, in nanoseconds of CLOCK_BOOTTIME.
    RunUntil(u64),
    /// The command may be started, under this epoch of the lease; zero without a lease.
    Start(u64),
    /// An engine was found, whose outer `sqlservr` has this pid. The pidfds of that process and of the engine
    /// below it come along, where the kernel gives them.
    Engine(i32),
    /// PID 1 asked for the engine, and there is none.
    NoEngine,
    /// PID 1 is to keep this descriptor, and to have the engine inherit it: the lock beside the lease's
    /// claim.
    Lock,
    /// The supervisor carries the stop out: within this many milliseconds the engine gets its SIGTERM.
    Accepted(u64),
    /// The supervisor does not carry the stop out.
    Declined,
    /// The engine was sent its SIGTERM.
    Terminated,
    /// The command is not to be started again, so that the container ends.
    Leave,
}

/// A message that can be written into, and read from, `BYTES`.
pub trait Message: Sized {
    /// Returns the kind, the `i32` and the two `u64` of the message.
    fn parts(self) -> (u8, i32, u64, u64);
    /// Returns the message of these parts; none where no message has them.
    fn of(parts: (u8, i32, u64, u64)) -> Option<Self>;
}

/// Returns a status as the second number of a message: 0 for none.
fn number(status: Option<i32>) -> u64 {
    status.map_or(0, |status| u64::from(status.cast_unsigned()) + 1)
}

fn status(number: u64) -> Option<i32> {
    let raw = u32::try_from(number.checked_sub(1)?).ok()?;
    Some(raw.cast_signed())
}

impl Message for ToAgent {
    fn parts(self) -> (u8, i32, u64, u64) {
        match self {
            Self::State { step, stop } => (1, stop, step as u64, 0),
            Self::Stop(signal) => (2, signal, 0, 0),
            Self::Look => (3, 0, 0, 0),
            Self::Ended { pid, status } => (4, pid, number(status), 0),
            Self::Finish { clear, status } => (5, 0, number(status), u64::from(clear)),
        }
    }

    fn of(parts: (u8, i32, u64, u64)) -> Option<Self> {
        Some(match parts {
            (1, stop, step, _) => {
                let all = [
                    InitStep::Waiting,
                    InitStep::Running,
                    InitStep::Ended,
                    InitStep::Again,
                ];
                let step = all.into_iter().find(|known| *known as u64 == step)?;
                Self::State { step, stop }
            }
            (2, signal, ..) => Self::Stop(signal),
            (3, ..) => Self::Look,
            (4, pid, number, _) => Self::Ended {
                pid,
                status: status(number),
            },
            (5, _, number, clear) => Self::Finish {
                clear: clear != 0,
                status: status(number),
            },
            _ => return None,
        })
    }
}

impl Message for FromAgent {
    fn parts(self) -> (u8, i32, u64, u64) {
        match self {
            Self::Beat => (1, 0, 0, 0),
            Self::RunUntil(until) => (2, 0, until, 0),
            Self::Start(epoch) => (3, 0, epoch, 0),
            Self::Engine(pid) => (4, pid, 0, 0),
            Self::NoEngine => (5, 0, 0, 0),
            Self::Accepted(within) => (6, 0, within, 0),
            Self::Declined => (7, 0, 0, 0),
            Self::Terminated => (8, 0, 0, 0),
            Self::Lock => (9, 0, 0, 0),
            Self::Leave => (10, 0, 0, 0),
        }
    }

    fn of(parts: (u8, i32, u64, u64)) -> Option<Self> {
        Some(match parts {
            (1, ..) => Self::Beat,
            (2, _, until, _) => Self::RunUntil(until),
            (3, _, epoch, _) => Self::Start(epoch),
            (4, pid, ..) => Self::Engine(pid),
            (5, ..) => Self::NoEngine,
            (6, _, within, _) => Self::Accepted(within),
            (7, ..) => Self::Declined,
            (8, ..) => Self::Terminated,
            (9, ..) => Self::Lock,
            (10, ..) => Self::Leave,
            _ => return None,
        })
    }
}

/// The descriptors that came with a message, in the order in which they were sent.
pub type Descriptors = [Option<OwnedFd>; DESCRIPTORS];

/// Returns a new channel: PID 1's end, and the agent's.
///
/// # Errors
///
/// The system has no descriptor left.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    // Either end is non-blocking: whoever is stuck must not hold up the other one.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Sends `message`, with these descriptors. Waits for nothing.
///
/// # Errors
///
/// EAGAIN where the other end does not read; EPIPE or ECONNRESET where it is gone.
pub fn send<M: Message>(
    to: impl AsFd,
    message: M,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let (kind, small, first, second) = message.parts();
    let mut bytes = [0; BYTES];
    bytes[0] = kind;
    bytes[4..8].copy_from_slice(&small.to_le_bytes());
    bytes[8..16].copy_from_slice(&first.to_le_bytes());
    bytes[16..].copy_from_slice(&second.to_le_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOMEM);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match sendmsg(&to, &[IoSlice::new(&bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            sent => return sent.map(drop),
        }
    }
}

/// Receives the next message that this version understands; returns none where there is none. Waits for
/// nothing.
///
/// # Errors
///
/// ECONNRESET where the other end is gone.
pub fn receive<M: Message>(from: impl AsFd) -> Result<Option<(M, Descriptors)>, Errno> {
    loop {
        let mut bytes = [0; BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = match recvmsg(&from, &mut into, &mut control, flags) {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(errno),
            Ok(received) if received.bytes == 0 => return Err(Errno::CONNRESET),
            Ok(received) => received,
        };
        let mut descriptors = Descriptors::default();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                for (place, descriptor) in descriptors.iter_mut().zip(rights) {
                    *place = Some(descriptor);
                }
            }
        }
        let field = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let small = bytes[4..8].try_into().map_or(0, i32::from_le_bytes);
        let message = M::of((bytes[0], small, field(8), field(16)));
        if let Some(message) = message.filter(|_| received.bytes == BYTES) {
            return Ok(Some((message, descriptors)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_as_it_was_sent() {
        let (pid1, agent) = pair().unwrap();
        let down = [
            ToAgent::State {
                step: InitStep::Running,
                stop: 15,
            },
            ToAgent::State {
                step: InitStep::Again,
                stop: 0,
            },
            ToAgent::Stop(2),
            ToAgent::Look,
            ToAgent::Ended {
                pid: 7,
                status: Some(9),
            },
            ToAgent::Ended {
                pid: 7,
                status: None,
            },
            ToAgent::Finish {
                clear: true,
                status: Some(0),
            },
        ];
        for message in down {
            send(&pid1, message, &[]).unwrap();
            let (received, _) = receive::<ToAgent>(&agent).unwrap().unwrap();
            assert_eq!(received, message);
        }
        let up = [
            FromAgent::Beat,
            FromAgent::RunUntil(NO_LIMIT),
            FromAgent::Start(3),
            FromAgent::Engine(7),
            FromAgent::NoEngine,
            FromAgent::Accepted(1500),
            FromAgent::Declined,
            FromAgent::Terminated,
            FromAgent::Lock,
            FromAgent::Leave,
        ];
        for message in up {
            send(&agent, message, &[]).unwrap();
            let (received, _) = receive::<FromAgent>(&pid1).unwrap().unwrap();
            assert_eq!(received, message);
        }
        assert!(receive::<FromAgent>(&pid1).unwrap().is_none());
        drop(agent);
        let end = receive::<FromAgent>(&pid1).map(drop);
        assert_eq!(end, Err(Errno::CONNRESET));
    }

    #[test]
    fn descriptors_come_along_and_a_later_version_is_passed_over() {
        let (pid1, agent) = pair().unwrap();
        let (mine, theirs) = pair().unwrap();
        let both = [mine.as_fd(), theirs.as_fd()];
        let flags = SendFlags::NOSIGNAL;
        rustix::net::send(&agent, &[200; BYTES], flags).unwrap();
        rustix::net::send(&agent, &[1], flags).unwrap();
        send(&agent, FromAgent::Engine(7), &both).unwrap();
        let (message, [outer, inner]) = receive::<FromAgent>(&pid1).unwrap().unwrap();
        assert_eq!(message, FromAgent::Engine(7));
        // They are the two ends of one pair.
        send(outer.unwrap(), FromAgent::Beat, &[]).unwrap();
        let (message, [none, _]) = receive::<FromAgent>(inner.unwrap()).unwrap().unwrap();
        assert!(message == FromAgent::Beat && none.is_none());
    }

    #[test]
    fn nobody_waits_for_one_who_does_not_read() {
        let (pid1, _agent) = pair().unwrap();
        let full = (0..100_000).find_map(|_| send(&pid1, ToAgent::Look, &[]).err());
        assert_eq!(full, Some(Errno::AGAIN));
    }
}
