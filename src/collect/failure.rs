//! Classifies what went wrong with a connection as the reason why a collector has nothing to show.

use tracing::{debug, info, warn};

use super::Failure;
use crate::decide::observation::ContactError;
use crate::decide::sql_error::SqlErrorClass;

/// The engine's error where it waited for a lock as long as it may (SET LOCK_TIMEOUT).
const LOCK_TIMEOUT: u32 = 1222;

/// A failure, with the detail that the log has beside its word.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// The detail, without any text of the engine's.
    pub(super) detail: String,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            detail: String::new(),
        }
    }
}

impl Trouble {
    /// Makes the trouble of a connection that could not be made.
    pub(super) fn of_connecting(error: &ContactError) -> Self {
        Self {
            failure: Failure::of_connecting(error),
            detail: format!("{error:?}"),
        }
    }

    /// Makes the trouble of a batch that was not answered; `used_up` where no more of the answer
    /// may be read.
    pub(super) fn of_query(error: &ContactError, used_up: bool) -> Self {
        Self {
            failure: Failure::of_query(error, used_up),
            detail: format!("{error:?}"),
        }
    }
}

impl Failure {
    /// Classifies a connection that could not be made.
    fn of_connecting(error: &ContactError) -> Self {
        match error {
            ContactError::Server(_) if error.refuses_login() => Self::LoginFailed,
            ContactError::Server(_) => Self::Unreachable,
            ContactError::Credentials(_) => Self::LoginFailed,
            ContactError::TimedOut(_) => Self::TimedOut,
            ContactError::Refused
            | ContactError::Closed
            | ContactError::Unreachable(_)
            | ContactError::Tls(_)
            | ContactError::Protocol(_) => Self::Unreachable,
        }
    }

    /// Classifies a batch that was not answered; `used_up` where no more of the answer may be read.
    fn of_query(error: &ContactError, used_up: bool) -> Self {
        match error {
            _ if used_up => Self::TooLong,
            ContactError::Server(answer) if answer.number == LOCK_TIMEOUT => Self::TimedOut,
            ContactError::Server(_) => match error.class() {
                Some(SqlErrorClass::PermissionMissing) => Self::Denied,
                Some(SqlErrorClass::Unsupported) => Self::Unsupported,
                _ => Self::EngineError,
            },
            ContactError::TimedOut(_) => Self::TimedOut,
            ContactError::Protocol(_) => Self::Malformed,
            ContactError::Refused
            | ContactError::Closed
            | ContactError::Unreachable(_)
            | ContactError::Tls(_)
            | ContactError::Credentials(_) => Self::Unreachable,
        }
    }
}

/// Logs how a collector fares now; called only when that has changed.
pub(super) fn log_outcome(collector: &str, result: Result<usize, (Failure, String)>) {
    match result {
        Ok(series) => info!(collector, series, "collects"),
        Err((failure, detail)) => {
            let reason = failure.word();
            // The ping logs it, in one line for all collectors.
            if failure == Failure::Unreachable {
                debug!(collector, reason, detail, "does not collect");
            } else {
                warn!(collector, reason, detail, "does not collect");
            }
        }
    }
}
