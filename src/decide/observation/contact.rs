//! Attempts to be answered by the engine.

use std::time::Duration;

use serde::Serialize;

use super::super::sql_error::{SqlErrorClass, classify};
use super::super::time::Time;

/// An attempt to be answered by the engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The moment at which the attempt began; its [`Observed::at`](super::Observed::at) is when it ended.
    pub started: Time,
    /// The result of the attempt.
    pub result: AttemptResult,
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// The query's result arrived after this long.
    Answered {
        /// The time from the first byte sent to the last one read.
        round_trip: Duration,
    },
    /// The attempt failed with this error.
    Failed(ContactError),
}

/// The error with which an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContactError {
    /// ECONNREFUSED: nothing listens.
    Refused,
    /// The peer closed or reset the connection.
    Closed,
    /// The deadline passed at this stage.
    TimedOut(AttemptStage),
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

impl ContactError {
    /// Returns the class of the error with which the engine answered; absent where it did not, or where the
    /// table does not have the error.
    #[must_use]
    pub fn class(&self) -> Option<SqlErrorClass> {
        match self {
            Self::Server(error) => classify(error.number).map(|row| row.class),
            _ => None,
        }
    }

    /// Whether the engine answered that it refuses the login itself: it is unknown, disabled or expired, or its
    /// password is another one.
    #[must_use]
    pub fn refuses_login(&self) -> bool {
        use SqlErrorClass::{LoginDisabled, LoginFailed, PasswordExpired};
        matches!(
            self.class(),
            Some(LoginFailed | LoginDisabled | PasswordExpired)
        )
    }
}

/// The stage that an attempt reached before its deadline; the stages are in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptStage {
    /// The TCP connect.
    Connect,
    /// The prelogin: the connection was accepted and nothing came back.
    Prelogin,
    /// TLS and login, after the listener had answered the prelogin.
    Login,
    /// The query, after the login.
    Query,
}

/// An ERROR token of the engine. Its text is left out: errors differ by number, and a text may carry names
/// of the user's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerError {
    /// The message number, as in `sys.messages`.
    pub number: u32,
    /// The state of the error.
    pub state: u8,
    /// The severity of the error.
    pub class: u8,
}
