//! The time limit of an attempt, with everything in it.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::decide::observation::{AttemptStage, ContactError};

/// The moment at which an attempt, with everything in it, is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline at `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// Runs `future` until the deadline; `stage` stands in the error for how far the attempt was.
    ///
    /// # Cancel safety
    /// As `future`: it is dropped at the deadline.
    pub(crate) async fn bound<T>(
        self,
        stage: AttemptStage,
        future: impl Future<Output = Result<T, ContactError>>,
    ) -> Result<T, ContactError> {
        timeout_at(self.0, future)
            .await
            .unwrap_or(Err(ContactError::TimedOut(stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_names_the_stage_it_passed_in() {
        let result: Result<(), _> = Deadline::after(Duration::from_millis(10))
            .bound(AttemptStage::Login, std::future::pending())
            .await;
        assert_eq!(result, Err(ContactError::TimedOut(AttemptStage::Login)));
    }
}
