//! The link between the agent of the SQL container and the supervisor: one JSON object a line over a Unix
//! socket on which the supervisor listens.
//!
//! | from the agent | when |
//! | --- | --- |
//! | [`AgentMessage::Hello`] | first |
//! | a report | as the agent observes something new, and the last of each kind after a reconnection |
//! | [`AgentMessage::Action`] | at each step of a command |
//! | [`AgentMessage::StopRequested`] | the container is asked to stop |
//!
//! Reports are [`AgentMessage::Process`], [`AgentMessage::Cgroup`], [`AgentMessage::Mounts`],
//! [`AgentMessage::Network`], [`AgentMessage::Log`], [`AgentMessage::Restarts`], [`AgentMessage::Lease`].
//!
//! | from the supervisor | when |
//! | --- | --- |
//! | [`SupervisorMessage::Hello`] | in answer to the agent's |
//! | [`SupervisorMessage::Verdicts`] | at each change, and about each second while it decides |
//! | [`SupervisorMessage::StopAccepted`] | it carries the stop out |
//!
//! Both send a beat each [`BEAT`]; a silence of [`SILENCE`] ends the connection.
//!
//! **Versions.** The two come from one image as a rule, but a pod's containers are not replaced at the same
//! moment: versions that differ by one understand each other. A message of a kind, or with a field of a kind,
//! that the reader does not know is passed over.
//!
//! | version | what it brought |
//! | --- | --- |
//! | 1 | the above, but for the rest of this table; the supervisor holds the lease |
//! | 2 | the agent holds the lease and reports it; the readiness verdict goes to the agent |
//! | 2 | the mounts of all volumes come from the agent, instead of [`AgentMessage::Mount`] |
//! | 2 | where the engine listens, and an errorlog that lies on no volume, come from the agent |
//!
//! With another end of version 1 each behaves as version 1 did, and logs it: the supervisor holds the lease,
//! and `/readyz` is the supervisor's alone.
//!
//! **Trust.** Either may make the other act, so that each asks the kernel for the other one's user
//! (SO_PEERCRED in unix(7)), which has to be the same, or root. The socket's mode 0600 demands the same.
//!
//! This module stands apart because both ends need it, and are on different sides of the crate.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::decide::decision::{Decision, ProbeAnswer, Verdict};
use crate::decide::observation::{
    ActionReport, CgroupReport, EngineLog, EngineMount, EngineNetwork, LeaseReport, ProcessId,
    ProcessReport,
};
use crate::decide::reason::Reason;

/// The version of the protocol.
pub const VERSION: u32 = 2;
/// The first version in which the agent holds the lease and answers `/readyz`.
pub const AGENT_HOLDS_LEASE: u32 = 2;
/// Bytes of a line at most. The longest one names every reason with its evidence, some 20 KiB.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// The pause between two beats, by which each end shows that it is there.
pub const BEAT: Duration = Duration::from_secs(1);
/// The time without a message after which the other end counts as gone.
pub const SILENCE: Duration = Duration::from_secs(5);
/// The time for the exchange of the first messages, and for each message to be taken.
pub const EXCHANGE: Duration = Duration::from_secs(2);

const _: () = assert!(BEAT.as_secs() * 3 <= SILENCE.as_secs());
const _: () = assert!(EXCHANGE.as_secs() < SILENCE.as_secs());

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 4096;
/// Root, who may do everything.
const ROOT: u32 = 0;

/// The first message of either end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's version of the protocol, [`VERSION`].
    pub version: u32,
    /// The pid in the sender's own namespace; for people.
    pub pid: u32,
    /// The program's version; for people.
    pub software: String,
}

impl Hello {
    /// Returns the hello of this process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            version: VERSION,
            pid: std::process::id(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A message of the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgentMessage {
    /// The first message.
    Hello(Hello),
    /// A report of the agent's process observer.
    Process(ProcessReport),
    /// The readings of the SQL container's control group.
    Cgroup(Box<CgroupReport>),
    /// The mount at the engine's data directory in the SQL container; none where it can't be read. It goes
    /// to a supervisor of version 1.
    Mount(Option<EngineMount>),
    /// The mounts at the engine's directories in the SQL container, the data directory the first; none where
    /// one can't be read.
    Mounts(Vec<(PathBuf, Option<EngineMount>)>),
    /// The sockets on which the engine's processes listen; none while no engine is seen.
    Network(Option<EngineNetwork>),
    /// The state of the errorlog, where it lies on the SQL container's own file system and nobody else can
    /// read it.
    Log(Box<EngineLog>),
    /// The state of the lease that the agent holds or wants.
    Lease(Box<LeaseReport>),
    /// The number of times that the engine was started again in the SQL container.
    Restarts(u32),
    /// A step of a command.
    Action(ActionReport),
    /// The container was asked to stop, by this signal.
    StopRequested(i32),
    /// The agent runs.
    Beat,
}

/// A message of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SupervisorMessage {
    /// The first message.
    Hello(Hello),
    /// The verdicts of the last decision.
    // The name on the wire since version 1.
    #[serde(rename = "word")]
    Verdicts(Box<Verdicts>),
    /// The supervisor carries the stop out: within this time the command to end the engine comes.
    StopAccepted(Duration),
    /// The supervisor runs.
    Beat,
}

/// The supervisor's last decision. All of it is sent each time, so that nothing is lost with a
/// connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdicts {
    /// Whether the engine may be started.
    pub gate: ProbeVerdict,
    /// Whether there is no reason to restart the engine.
    pub live: ProbeVerdict,
    /// Whether clients may be sent to the engine; absent while a supervisor that has just started does
    /// not know yet, and always with one of version 1.
    #[serde(default)]
    pub ready: Option<ReadyVerdict>,
    /// The volume's epoch, if it has one.
    pub epoch: Option<u64>,
    /// The command to be carried out now. The same one is carried out once, however often it is sent.
    // The name on the wire since version 1.
    #[serde(rename = "order")]
    pub command: Option<Command>,
    /// The termination message for a restart that is left to the kubelet.
    // The name on the wire since version 1.
    #[serde(rename = "leftWord")]
    pub termination_message: Option<String>,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeVerdict {
    /// Whether the probe passes.
    pub pass: bool,
    /// The reasons why the probe fails; empty where it passes.
    pub reasons: Vec<Cause>,
}

impl ProbeVerdict {
    /// Returns the verdict of `answer`, which is one of `decision`'s, with the evidence of its reasons.
    #[must_use]
    pub fn new(answer: &ProbeAnswer, decision: &Decision) -> Self {
        let cause = |reason: &Reason| Cause {
            code: reason.code().to_owned(),
            evidence: decision.finding(*reason).map_or_else(
                || reason.info().summary.to_owned(),
                |found| found.evidence.clone(),
            ),
        };
        Self {
            pass: answer.verdict == Verdict::Pass,
            reasons: answer.reasons.iter().map(cause).collect(),
        }
    }
}

/// The readiness verdict, and the engine that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyVerdict {
    /// The verdict.
    pub verdict: ProbeVerdict,
    /// The outer `sqlservr` and the engine below it; absent where the supervisor sees none.
    pub engine: Option<(ProcessId, Option<ProcessId>)>,
    /// The address at which the supervisor asks the engine: a host, a colon and a port.
    pub address: String,
}

/// A reason of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The code of the reason.
    pub code: String,
    /// The evidence of the reason.
    pub evidence: String,
}

/// A command to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The kind of the command.
    pub kind: CommandKind,
    /// The outer `sqlservr`, as the agent named it.
    pub parent: ProcessId,
    /// The engine below the outer `sqlservr`.
    pub engine: Option<ProcessId>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The codes of the reasons.
    pub reasons: Vec<String>,
    /// The termination message, one line; empty where none is to be written.
    pub message: String,
}

/// The kind of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommandKind {
    /// End the engine: SIGTERM, the grace, SIGKILL.
    Restart,
    /// End the engine at once by SIGKILL: another pod has the volume.
    Fence,
}

/// The reason why a connection is of no use, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other end closed the connection.
    #[error("it was closed")]
    Closed,
    /// No message of the other end was received for [`SILENCE`].
    #[error("nothing was heard for {} s", SILENCE.as_secs())]
    Silent,
    /// A message was not taken in time, or no first one came.
    #[error("the other end takes or gives no message")]
    Stuck,
    /// A line is too long.
    #[error("a line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// A line is not JSON.
    #[error("a line is not JSON: is something else using the socket?")]
    Malformed,
    /// The first message is no hello.
    #[error("it does not begin with a greeting")]
    NoHello,
    /// The versions are too far apart.
    #[error(
        "it speaks version {0} of the protocol, this is {VERSION}: run both containers from one release"
    )]
    Version(u32),
    /// A process of another user is at the other end.
    #[error(
        "uid {peer} is at the other end, and this is uid {own}: run both containers with the same uid (10001 in Microsoft's images)"
    )]
    Stranger {
        /// The user of the other end.
        peer: u32,
        /// The user of this process.
        own: u32,
    },
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An end of a connection.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    inbound: Vec<u8>,
    /// The number of bytes of `inbound` that hold no end of a line.
    scanned: usize,
}

impl Connection {
    /// Takes a stream, if a process of the same user, or of root, is at its other end.
    ///
    /// # Errors
    /// [`LinkError::Stranger`], or the kernel does not report the user.
    pub fn new(stream: UnixStream) -> Result<Self, LinkError> {
        let own = rustix::process::geteuid().as_raw();
        let peer = stream.peer_cred()?.uid();
        if peer != own && peer != ROOT {
            return Err(LinkError::Stranger { peer, own });
        }
        Ok(Self {
            stream,
            inbound: Vec::new(),
            scanned: 0,
        })
    }

    /// Returns the next message that can be understood. Cancel safe: what was read is kept.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        loop {
            while let Some(line) = self.line() {
                match serde_json::from_slice(&line) {
                    Ok(message) => return Ok(message),
                    // Of a later version.
                    Err(error) if error.is_data() => {}
                    Err(_) => return Err(LinkError::Malformed),
                }
            }
            if self.inbound.len() >= MAX_LINE_BYTES {
                return Err(LinkError::TooLong);
            }
            self.stream.readable().await?;
            let mut chunk = [0; CHUNK_BYTES];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => self.inbound.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a whole line out of what was read.
    fn line(&mut self) -> Option<Vec<u8>> {
        let unseen = &self.inbound[self.scanned..];
        let Some(at) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.inbound.len();
            return None;
        };
        let line = self.inbound.drain(..=self.scanned + at).collect();
        self.scanned = 0;
        Some(line)
    }

    /// Sends a message. Not cancel safe: half of it may be sent, so that the connection has to be dropped
    /// then, as after an error.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), LinkError> {
        let mut line = serde_json::to_vec(message).map_err(io::Error::from)?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(LinkError::TooLong);
        }
        match timeout(EXCHANGE, self.stream.write_all(&line)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(LinkError::Stuck),
        }
    }

    /// Waits for the first message, which has to come in time.
    ///
    /// # Errors
    /// The message does not come.
    pub async fn first<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        let first = timeout(EXCHANGE, self.receive()).await;
        first.unwrap_or(Err(LinkError::Stuck))
    }
}

/// Checks whether a version of the protocol is understood here.
///
/// # Errors
/// [`LinkError::Version`].
pub fn check_version(version: u32) -> Result<(), LinkError> {
    match VERSION.abs_diff(version) {
        0 | 1 => Ok(()),
        _ => Err(LinkError::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Connection::new(ours).unwrap(), theirs)
    }

    fn word(evidence: &str) -> SupervisorMessage {
        let why = Cause {
            code: "VolumeEmpty".to_owned(),
            evidence: evidence.to_owned(),
        };
        let parent = ProcessId {
            pid: 7,
            start_ticks: 8,
        };
        SupervisorMessage::Verdicts(Box::new(Verdicts {
            gate: ProbeVerdict {
                pass: false,
                reasons: vec![why],
            },
            live: ProbeVerdict {
                pass: true,
                reasons: Vec::new(),
            },
            ready: None,
            epoch: Some(3),
            command: Some(Command {
                kind: CommandKind::Fence,
                parent,
                engine: None,
                grace: Duration::from_millis(1500),
                reasons: vec!["LeaseLost".to_owned()],
                message: "a\nb".to_owned(),
            }),
            termination_message: None,
        }))
    }

    #[tokio::test]
    async fn what_is_sent_arrives() {
        let (mut ours, theirs) = pair().await;
        let mut theirs = Connection::new(theirs).unwrap();
        let sent = [
            word("x"),
            SupervisorMessage::Beat,
            SupervisorMessage::Hello(Hello::own()),
            SupervisorMessage::StopAccepted(Duration::from_millis(10)),
        ];
        for message in &sent {
            ours.send(message).await.unwrap();
        }
        for message in &sent {
            assert_eq!(
                &theirs.receive::<SupervisorMessage>().await.unwrap(),
                message
            );
        }
        let cgroup = CgroupReport {
            throttled_ratio: Some(0.25),
            ..CgroupReport::default()
        };
        let sent = [
            AgentMessage::Cgroup(Box::new(cgroup)),
            AgentMessage::Mount(Some(EngineMount::NotMounted)),
            AgentMessage::Process(ProcessReport::NotFound),
            AgentMessage::StopRequested(15),
        ];
        for message in &sent {
            theirs.send(message).await.unwrap();
            assert_eq!(&ours.receive::<AgentMessage>().await.unwrap(), message);
        }
        drop(ours);
        let end = theirs.receive::<SupervisorMessage>().await;
        assert!(matches!(end, Err(LinkError::Closed)), "{end:?}");
    }

    #[tokio::test]
    async fn a_later_version_is_understood_as_far_as_it_goes() {
        let (mut ours, mut theirs) = pair().await;
        let lines = concat!(
            "{\"dance\":{\"how\":\"well\"}}\n",
            "{\"process\":{\"asleep\":{}}}\n",
            "{\"hello\":{\"version\":3,\"pid\":1,\"software\":\"9\",\"mood\":\"good\"}}\n",
            "\"beat\"\n",
        );
        // In two parts, in the middle of a line.
        theirs.write_all(&lines.as_bytes()[..50]).await.unwrap();
        let rest = async {
            tokio::task::yield_now().await;
            theirs.write_all(&lines.as_bytes()[50..]).await.unwrap();
        };
        let (first, ()) = tokio::join!(ours.first::<AgentMessage>(), rest);
        let Ok(AgentMessage::Hello(hello)) = first else {
            panic!("{first:?}");
        };
        assert!(check_version(hello.version).is_ok());
        assert!(matches!(check_version(4), Err(LinkError::Version(4))));
        let next = ours.receive::<AgentMessage>().await.unwrap();
        assert_eq!(next, AgentMessage::Beat);
    }

    #[tokio::test]
    async fn lines_are_json_and_not_endless() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let garbage = ours.receive::<AgentMessage>().await;
        assert!(matches!(garbage, Err(LinkError::Malformed)), "{garbage:?}");
        let (mut ours, mut theirs) = pair().await;
        let flood = async {
            let blanks = vec![b' '; MAX_LINE_BYTES + CHUNK_BYTES];
            // It may not be taken to its end.
            let _ = theirs.write_all(&blanks).await;
        };
        let endless = async {
            let end = ours.receive::<AgentMessage>().await;
            drop(ours);
            end
        };
        let (endless, ()) = tokio::join!(endless, flood);
        assert!(matches!(endless, Err(LinkError::TooLong)), "{endless:?}");
        let (mut ours, _theirs) = pair().await;
        let long = ours.send(&word(&"x".repeat(MAX_LINE_BYTES))).await;
        assert!(matches!(long, Err(LinkError::TooLong)), "{long:?}");
    }

    #[tokio::test]
    async fn one_that_takes_nothing_is_given_up() {
        let (mut ours, _theirs) = pair().await;
        let full = loop {
            if let Err(error) = ours.send(&word(&"x".repeat(32 * 1024))).await {
                break error;
            }
        };
        assert!(matches!(full, LinkError::Stuck), "{full:?}");
    }
}
