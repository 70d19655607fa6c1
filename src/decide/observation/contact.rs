//! Attempts to be answered by the engine.

use std::time::Duration;

use serde::Serialize;

use super::super::time::Time;

/// One attempt to be answered by the engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began; its [`Observed::at`](super::Observed::at) is when it ended.
    pub started: Time,
    /// How it ended.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// The query's result arrived after this long.
    Answered {
        /// From the first byte sent to the last one read.
        round_trip: Duration,
    },
    /// It did not.
    Failed(ContactError),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContactError {
    /// ECONNREFUSED: nothing listens.
    Refused,
    /// The peer closed or reset the connection.
    Closed,
    /// The deadline passed.
    TimedOut(Stage),
    /// No route, name not resolved, or another error of the network below TCP.
    Unreachable(String),
    /// The engine answered with an error.
    Server(ServerError),
    /// TLS could not be agreed upon, or the certificate was refused.
    Tls(String),
    /// The peer does not speak TDS, or not as it should.
    Protocol(String),
    /// The supervisor has no usable credentials; nothing was sent.
    Credentials(String),
}

/// How far an attempt came before its deadline, in the order of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// TCP connect.
    Connect,
    /// Prelogin: the connection was accepted and nothing came back.
    Prelogin,
    /// TLS and login, after the listener had answered the prelogin.
    Login,
    /// The query.
    Query,
}

/// An ERROR token of the engine. Its text is left out: errors are told apart by number, and a text
/// may carry names of the user's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerError {
    /// Message number, as in `sys.messages`.
    pub number: u32,
    /// State.
    pub state: u8,
    /// Severity.
    pub class: u8,
}
