//! What came of asking the engine.

use super::super::observation::{
    Attempt, AttemptResult, ComponentState, ContactError, Diagnostics, Observed, ServerError, Stage,
};
use super::super::time::Time;

/// One way to reach the engine.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// The last attempt.
    pub last: Option<Observed<Attempt>>,
    /// When a query was last answered with a result.
    pub last_success: Option<Time>,
    /// Failures since then.
    pub failures: u32,
    /// Since when each attempt was refused by the kernel: nothing listens.
    pub refused_since: Option<Time>,
    /// Since when each attempt was left open: accepted, and not answered.
    pub silent_since: Option<Time>,
}

/// Whether the engine, by whatever way, answers.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// When it last answered anything, an error included.
    pub last: Option<Time>,
    /// Since when it has owed an answer: the start of the first attempt after [`Self::last`] that
    /// got none.
    pub owed_since: Option<Time>,
    /// When the listener last took a connection up, answered its prelogin or completed its login, though
    /// no query was answered on it.
    pub greeted: Option<Time>,
}

/// What the diagnostics stream brought.
#[derive(Clone, Debug, Default)]
pub struct DiagnosticsView {
    /// The last report.
    pub last: Option<Observed<Diagnostics>>,
    /// Why there is none, where the engine refuses it.
    pub unavailable: Option<ServerError>,
    /// The error with which the stream failed last, until a report comes.
    pub failed: Option<Observed<ContactError>>,
    /// Reports in a row with `system` in error.
    pub system_errors: u32,
    /// Reports in a row with `resource` in error.
    pub resource_errors: u32,
    /// Reports in a row with `query_processing` in error.
    pub query_processing_errors: u32,
}

impl Contact {
    pub(super) fn apply(&mut self, at: Time, attempt: Attempt) {
        match &attempt.result {
            AttemptResult::Answered { .. } => {
                self.last_success = self.last_success.max(Some(at));
                self.failures = 0;
                self.refused_since = None;
                self.silent_since = None;
            }
            AttemptResult::Failed(error) => {
                self.failures = self.failures.saturating_add(1);
                match error {
                    ContactError::Refused => {
                        self.refused_since.get_or_insert(attempt.started);
                    }
                    _ => self.refused_since = None,
                }
                if attempt.result.owes_answer() {
                    self.silent_since.get_or_insert(attempt.started);
                } else {
                    self.silent_since = None;
                }
            }
        }
        self.last = Some(Observed { at, value: attempt });
    }

    /// The error of the last attempt, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&ContactError> {
        match &self.last.as_ref()?.value.result {
            AttemptResult::Failed(error) => Some(error),
            AttemptResult::Answered { .. } => None,
        }
    }
}

impl Answers {
    pub(super) fn answered(&mut self, at: Time) {
        self.last = self.last.max(Some(at));
        self.owed_since = None;
    }

    pub(super) fn apply(&mut self, at: Time, attempt: &Attempt) {
        if attempt.result.is_answer() {
            self.answered(at);
        } else if attempt.result.owes_answer() {
            let since = self
                .last
                .map_or(attempt.started, |last| last.max(attempt.started));
            self.owed_since.get_or_insert(since);
        }
    }
}

impl Answers {
    /// Notes that the listener took the connection up: the attempt came as far as the login, and for one
    /// whose connection is fresh no further than `furthest`.
    pub(super) fn greet(&mut self, at: Time, result: &AttemptResult, furthest: Stage) {
        if let AttemptResult::Failed(ContactError::TimedOut(stage)) = result
            && (Stage::Login..=furthest).contains(stage)
        {
            self.greeted = self.greeted.max(Some(at));
        }
    }
}

impl AttemptResult {
    /// The engine said something, be it an error: its threads run.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Answered { .. } => true,
            Self::Failed(error) => {
                matches!(error, ContactError::Server(_) | ContactError::Tls(_))
            }
        }
    }

    /// The engine had something to answer and did not. Where nothing was asked (no credentials) or
    /// nobody could be reached, it owes nothing.
    #[must_use]
    pub fn owes_answer(&self) -> bool {
        matches!(
            self,
            Self::Failed(ContactError::TimedOut(_) | ContactError::Closed)
        )
    }
}

impl DiagnosticsView {
    pub(super) fn apply(&mut self, at: Time, value: Diagnostics) {
        let streak = |before: u32, state: Option<ComponentState>| match state {
            Some(ComponentState::Error) => before.saturating_add(1),
            _ => 0,
        };
        self.system_errors = streak(self.system_errors, value.system);
        self.resource_errors = streak(self.resource_errors, value.resource);
        self.query_processing_errors = streak(self.query_processing_errors, value.query_processing);
        self.unavailable = None;
        self.failed = None;
        self.last = Some(Observed { at, value });
    }
}
