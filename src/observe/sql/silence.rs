//! The silence of the engine: since when the ping has got no answer, which decides whether the administrator
//! connection is asked.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::decide::observation::Attempt;

/// Returns the two ends of a silence: the ping reports it, the observer of the administrator connection waits
/// for it.
#[must_use]
pub fn channel() -> (SilenceSender, Listener) {
    let (sender, listener) = watch::channel(None);
    (SilenceSender(sender), Listener(listener))
}

/// The ping's end of a silence.
#[derive(Debug)]
pub struct SilenceSender(watch::Sender<Option<Instant>>);

impl SilenceSender {
    /// Reports that an attempt ended which had begun at `began`. It is silence where the engine owes an
    /// answer; a refused port, say, is none.
    pub(super) fn report(&self, attempt: &Attempt, began: Instant) {
        let silent = attempt.result.owes_answer();
        self.0.send_if_modified(|since| {
            let changed = since.is_some() != silent;
            if changed {
                *since = silent.then_some(began);
            }
            changed
        });
    }
}

/// The end of the observer of the administrator connection.
#[derive(Debug)]
pub struct Listener(watch::Receiver<Option<Instant>>);

impl Listener {
    /// Waits until the silence has lasted for `span`; returns at once where it has. Returns since when it
    /// lasts.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn lasting(&mut self, span: Duration) -> Instant {
        loop {
            let since = *self.0.borrow_and_update();
            let over = async {
                match since {
                    Some(since) => {
                        sleep_until(since + span).await;
                        since
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                since = over => return since,
                changed = self.0.changed() => if changed.is_err() {
                    // The ping has ended, and so will this.
                    std::future::pending::<()>().await;
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::{AttemptResult, AttemptStage, ContactError};
    use crate::decide::time::Time;

    const SHORT: Duration = Duration::from_millis(1);
    /// A time that no test waits for.
    const FAR: Duration = Duration::from_secs(3600);

    fn failed(error: ContactError) -> Attempt {
        Attempt {
            started: Time::ZERO,
            result: AttemptResult::Failed(error),
        }
    }

    fn silent() -> Attempt {
        failed(ContactError::TimedOut(AttemptStage::Query))
    }

    #[tokio::test]
    async fn it_counts_from_the_first_attempt_that_got_no_answer() {
        let (sender, mut listener) = channel();
        let began = Instant::now();
        sender.report(&silent(), began);
        sender.report(&failed(ContactError::Closed), began + FAR);
        assert_eq!(listener.lasting(SHORT).await, began);
        assert_eq!(listener.lasting(SHORT).await, began, "it lasts still");
    }

    #[tokio::test]
    async fn an_answer_or_a_refusal_ends_it() {
        let answered = Attempt {
            started: Time::ZERO,
            result: AttemptResult::Answered {
                round_trip: Duration::ZERO,
            },
        };
        for end in [answered, failed(ContactError::Refused)] {
            let (sender, mut listener) = channel();
            let began = Instant::now();
            sender.report(&silent(), began);
            sender.report(&end, began);
            sender.report(&silent(), began + SHORT);
            assert_eq!(listener.lasting(SHORT).await, began + SHORT, "{end:?}");
        }
    }

    #[tokio::test]
    async fn an_end_while_it_is_awaited_is_noticed() {
        let (sender, mut listener) = channel();
        let began = Instant::now();
        sender.report(&silent(), began + FAR);
        let waiting = tokio::spawn(async move { listener.lasting(SHORT).await });
        tokio::task::yield_now().await;
        sender.report(&failed(ContactError::Refused), began);
        tokio::task::yield_now().await;
        sender.report(&silent(), began);
        assert_eq!(waiting.await.unwrap(), began);
    }
}
