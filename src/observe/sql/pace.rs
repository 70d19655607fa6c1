//! How long to wait between attempts, and what to report of one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::decide::observation::{Attempt, AttemptResult, ContactError};
use crate::decide::sql_error::SqlErrorClass;
use crate::decide::time::Time;
use crate::observe::clock::Clock;

/// The pause between attempts while the port is refused: an attempt costs a SYN and a RST over loopback, and
/// the pause decides how soon readiness follows the engine's first "listening".
pub(super) const REFUSED_RETRY: Duration = Duration::from_millis(250);

/// The pause between attempts where a process listens that does not serve yet (17187, accept and close): each
/// attempt may cost a TLS handshake, and a line in the engine's log.
pub(super) const STARTING_RETRY: Duration = Duration::from_secs(1);

/// The pause between attempts while the login is disabled or locked out (18470, 18486): each attempt may
/// prolong the lock.
pub(super) const LOCKED_OUT_RETRY: Duration = Duration::from_secs(60);

/// The pause between attempts of the observers that are not there to test the login, while it is refused
/// (18456, 18487 ...): the engine writes each refusal to its log.
pub(super) const LOGIN_REFUSED_RETRY: Duration = Duration::from_secs(10);

/// The shortest interval, whatever is configured: an attempt that fails at once must not spin.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

const _: () = assert!(
    MIN_INTERVAL.as_nanos() < REFUSED_RETRY.as_nanos()
        && REFUSED_RETRY.as_nanos() < STARTING_RETRY.as_nanos()
        && STARTING_RETRY.as_nanos() < LOGIN_REFUSED_RETRY.as_nanos()
        && LOGIN_REFUSED_RETRY.as_nanos() < LOCKED_OUT_RETRY.as_nanos()
);

/// The beginning of an attempt, on the supervised clock (for the report) and on tokio's (for the pace).
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    started: Time,
    instant: Instant,
}

impl Began {
    /// Returns the beginning of an attempt that begins now.
    pub(super) fn now(clock: &Clock) -> Self {
        Self {
            started: clock.now(),
            instant: Instant::now(),
        }
    }

    /// Returns the moment, on tokio's clock.
    pub(super) fn instant(&self) -> Instant {
        self.instant
    }

    /// Returns the report of an attempt that ends now with `error`, or with an answer.
    pub(super) fn attempt(&self, error: Option<&ContactError>) -> Attempt {
        let result = match error {
            None => AttemptResult::Answered {
                round_trip: self.instant.elapsed(),
            },
            Some(error) => AttemptResult::Failed(error.clone()),
        };
        Attempt {
            started: self.started,
            result,
        }
    }

    /// Whether the deadline passed only because the supervisor itself stood still: the engine did not get
    /// `limit` to answer in, so that nothing was observed.
    pub(super) fn cut_short(
        &self,
        clock: &Clock,
        error: Option<&ContactError>,
        limit: Duration,
    ) -> bool {
        matches!(error, Some(ContactError::TimedOut(_)))
            && clock.now().since(self.started) < limit / 2
    }

    /// Waits until `span` after the beginning of the attempt; not at all where that has passed.
    pub(super) async fn wait(&self, span: Duration) {
        sleep_until(self.instant + span.max(MIN_INTERVAL)).await;
    }
}

/// Returns the time from the beginning of one attempt to that of the next, for an observer that tests the
/// login.
pub(super) fn until_next(interval: Duration, error: Option<&ContactError>) -> Duration {
    match error {
        Some(ContactError::Refused) => interval.min(REFUSED_RETRY),
        Some(ContactError::Closed) => interval.min(STARTING_RETRY),
        Some(error @ ContactError::Server(_)) => match error.class() {
            Some(SqlErrorClass::Starting) => interval.min(STARTING_RETRY),
            Some(SqlErrorClass::LoginDisabled) => interval.max(LOCKED_OUT_RETRY),
            _ => interval,
        },
        _ => interval,
    }
}

/// Returns the time from the beginning of one attempt to that of the next, for an observer that needs a login
/// but is not there to test it.
pub(super) fn until_next_quietly(interval: Duration, error: Option<&ContactError>) -> Duration {
    match error {
        // The ping finds out soon enough; two more knocks a second would tell nothing new.
        Some(ContactError::Refused) => interval.min(STARTING_RETRY),
        Some(error) if login_refused(error) => interval.max(LOGIN_REFUSED_RETRY),
        _ => until_next(interval, error),
    }
}

/// Whether the engine answers and refuses this login.
pub(super) fn login_refused(error: &ContactError) -> bool {
    use SqlErrorClass::{LoginFailed, LogonTrigger, PasswordExpired};
    matches!(
        error.class(),
        Some(LoginFailed | LogonTrigger | PasswordExpired)
    )
}

/// Whether the engine answers that this login may not see what was asked for, or that there is no such thing:
/// the next answer will be the same.
pub(super) fn is_denied(error: &ContactError) -> bool {
    use SqlErrorClass::{PermissionMissing, Unsupported};
    matches!(error.class(), Some(PermissionMissing | Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::AttemptStage;
    use crate::decide::observation::ServerError;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn server(number: u32) -> Option<ContactError> {
        Some(ContactError::Server(ServerError {
            number,
            state: 1,
            class: 14,
        }))
    }

    #[test]
    fn the_configured_pace_holds_while_the_engine_answers() {
        for error in [None, server(18456), server(922), server(18401), server(99)] {
            assert_eq!(until_next(INTERVAL, error.as_ref()), INTERVAL, "{error:?}");
        }
        let silent = Some(ContactError::TimedOut(AttemptStage::Query));
        assert_eq!(until_next(INTERVAL, silent.as_ref()), INTERVAL);
    }

    #[test]
    fn a_start_is_watched_closely() {
        let refused = Some(ContactError::Refused);
        assert_eq!(until_next(INTERVAL, refused.as_ref()), REFUSED_RETRY);
        assert_eq!(until_next(INTERVAL, server(17187).as_ref()), STARTING_RETRY);
        let faster = Duration::from_millis(100);
        assert_eq!(until_next(faster, refused.as_ref()), faster);
    }

    #[test]
    fn a_locked_login_is_left_alone() {
        assert_eq!(
            until_next(INTERVAL, server(18486).as_ref()),
            LOCKED_OUT_RETRY
        );
        let slower = Duration::from_secs(300);
        assert_eq!(until_next(slower, server(18470).as_ref()), slower);
    }

    #[test]
    fn those_who_do_not_test_the_login_do_not_fill_the_log() {
        assert_eq!(
            until_next_quietly(INTERVAL, server(18456).as_ref()),
            LOGIN_REFUSED_RETRY
        );
        assert_eq!(until_next_quietly(INTERVAL, None), INTERVAL);
        assert_eq!(
            until_next_quietly(INTERVAL, server(18486).as_ref()),
            LOCKED_OUT_RETRY
        );
    }

    #[test]
    fn a_timeout_that_the_supervisor_slept_through_is_none() {
        let clock = Clock::start(Duration::from_secs(1));
        let began = Began::now(&clock);
        let limit = Duration::from_secs(2);
        let late = Some(ContactError::TimedOut(AttemptStage::Query));
        assert!(began.cut_short(&clock, late.as_ref(), limit));
        assert!(!began.cut_short(&clock, late.as_ref(), Duration::ZERO));
        assert!(!began.cut_short(&clock, None, limit));
    }
}
