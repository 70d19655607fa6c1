//! The contacts with the engine, and its answers.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::observation::{
    Attempt, AttemptResult, AttemptStage, ComponentState, ContactError, Diagnostics, Observed,
    ServerError,
};
use super::super::time::Time;

/// The number of reports of diagnostics whose moments are kept: no setting asks for more in a row.
const ARRIVALS: usize = 100;

/// A way to reach the engine, with the results of its attempts.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// The last attempt.
    pub last: Option<Observed<Attempt>>,
    /// The moment at which a query was last answered with a result.
    pub last_success: Option<Time>,
    /// The number of failed attempts since then.
    pub failures: u32,
    /// The moment since which each attempt was refused by the kernel: nothing listens.
    pub refused_since: Option<Time>,
    /// The moment since which each attempt was left open: accepted, and not answered.
    pub silent_since: Option<Time>,
}

/// The answers of the engine, by whatever way.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The moment at which the engine last answered anything, an error included.
    pub last: Option<Time>,
    /// The moment since which the engine has owed an answer: the start of the first attempt after
    /// [`Self::last`] that got none.
    pub owed_since: Option<Time>,
    /// The moment at which the listener last took a connection up, answered its prelogin or completed its
    /// login, though no query was answered on it.
    pub greeted: Option<Time>,
}

/// The state of the diagnostics stream.
#[derive(Clone, Debug, Default)]
pub struct DiagnosticsView {
    /// The last report.
    pub last: Option<Observed<Diagnostics>>,
    /// The error with which the engine refuses the stream, if it does.
    pub unavailable: Option<ServerError>,
    /// The error with which the stream failed last, until a report comes.
    pub failed: Option<Observed<ContactError>>,
    /// The moments of the last reports, the latest last.
    pub(super) arrivals: VecDeque<Time>,
    /// The number of reports in a row with `system` in error.
    pub system_errors: u32,
    /// The number of reports in a row with `resource` in error.
    pub resource_errors: u32,
    /// The number of reports in a row with `query_processing` in error.
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

    /// Returns the error of the last attempt, if it failed.
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
    /// Takes in that the listener took a connection up: the attempt timed out in the login or later, but
    /// no later than in `furthest`.
    pub(super) fn greet(&mut self, at: Time, result: &AttemptResult, furthest: AttemptStage) {
        if let AttemptResult::Failed(ContactError::TimedOut(stage)) = result
            && (AttemptStage::Login..=furthest).contains(stage)
        {
            self.greeted = self.greeted.max(Some(at));
        }
    }
}

impl AttemptResult {
    /// Whether the engine answered, be it with an error: its threads run.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Answered { .. } => true,
            Self::Failed(error) => {
                matches!(error, ContactError::Server(_) | ContactError::Tls(_))
            }
        }
    }

    /// Whether the engine had something to answer and did not. Where nothing was asked (no credentials) or
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
    /// Returns the number of the last reports of which each came within `apart` of the one before.
    #[must_use]
    pub fn in_a_row(&self, apart: Duration) -> u32 {
        let later = self.arrivals.iter().rev();
        let pairs = later.clone().zip(later.skip(1));
        let close = pairs.take_while(|(at, before)| at.since(**before) < apart);
        let first = self.arrivals.len().min(1);
        u32::try_from(first + close.count()).unwrap_or(u32::MAX)
    }

    /// Begins to count reports in a row anew.
    pub(super) fn count_anew(&mut self) {
        self.system_errors = 0;
        self.resource_errors = 0;
        self.query_processing_errors = 0;
    }

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
        if self.arrivals.len() == ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(at);
        self.last = Some(Observed { at, value });
    }
}
