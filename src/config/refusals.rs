//! Logins that the engine refused. All who log in share them, so that after a change of the password they do
//! not together fill the engine's log, or lock the login out.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::secret::Password;
use crate::decide::observation::ServerError;

/// The time after the first refusal in which nobody logs in with that password. It doubles with each further
/// refusal, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest time in which nobody logs in: a password that was put right in the engine is noticed within
/// it.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The number of doublings from the first pause to the longest.
const MAX_DOUBLINGS: u32 = 5;

const _: () = assert!(FIRST_PAUSE.as_secs() << MAX_DOUBLINGS >= LONGEST_PAUSE.as_secs());

/// The refusal that stands, shared by all clones of this.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The hasher by which passwords are distinguished; the passwords themselves are not kept.
    hasher: RandomState,
    standing: Mutex<Option<Refusal>>,
}

/// A refusal that stands.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    /// The hash of the password that was refused.
    of: u64,
    error: ServerError,
    count: u32,
    /// The time before which nobody logs in with that password.
    until: Instant,
}

impl Refusals {
    /// Returns the refusal that keeps a login with this password from being tried at `now`. Another password
    /// is always tried.
    #[must_use]
    pub fn standing(&self, password: &Password, now: Instant) -> Option<ServerError> {
        let standing = *self.lock();
        let standing = standing.filter(|standing| now < standing.until)?;
        (standing.of == self.hash(password)).then_some(standing.error)
    }

    /// Notes that a login with this password was refused at `now`. Logins that were under way when the first
    /// was refused count as one with it.
    pub fn refused(&self, password: &Password, error: ServerError, now: Instant) {
        let of = self.hash(password);
        let mut standing = self.lock();
        let before = standing.filter(|before| before.of == of);
        if before.is_some_and(|before| now < before.until) {
            return;
        }
        let count = before.map_or(0, |before| before.count.saturating_add(1));
        let pause = FIRST_PAUSE * (1 << count.min(MAX_DOUBLINGS));
        *standing = Some(Refusal {
            of,
            error,
            count,
            until: now + pause.min(LONGEST_PAUSE),
        });
    }

    /// Forgets the refusal, as a login was accepted.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    fn hash(&self, password: &Password) -> u64 {
        self.0.hasher.hash_one(password.expose())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Refusal>> {
        self.0
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::tests::password;
    use super::*;

    const ERROR: ServerError = ServerError {
        number: 18456,
        state: 1,
        class: 14,
    };

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_ends_with_another_password() {
        let refusals = Refusals::default();
        let (old, new) = (password("old"), password("new"));
        let mut now = Instant::now();
        assert_eq!(refusals.standing(&old, now), None);
        for seconds in [5, 10, 20, 40, 80, 120, 120] {
            refusals.refused(&old, ERROR, now);
            // Somebody else whose login was under way.
            refusals.refused(&old, ERROR, now);
            let pause = Duration::from_secs(seconds);
            let last = now + pause - Duration::from_millis(1);
            assert_eq!(refusals.standing(&old, last), Some(ERROR), "{seconds}");
            assert_eq!(refusals.standing(&new, last), None, "{seconds}");
            now += pause;
            assert_eq!(refusals.standing(&old, now), None, "{seconds}");
        }
        refusals.refused(&new, ERROR, now);
        assert_eq!(refusals.standing(&new, now + FIRST_PAUSE), None, "anew");
        refusals.refused(&old, ERROR, now);
        refusals.clone().clear();
        assert_eq!(refusals.standing(&old, now), None);
    }

    /// An hour of a wrong password costs the engine 30 to 40 refused logins, with six observers that try each
    /// second.
    #[test]
    fn an_hour_of_a_wrong_password_is_some_thirty_refusals() {
        let refusals = Refusals::default();
        let wrong = password("wrong");
        let begin = Instant::now();
        let mut reached = 0;
        for second in 0..3600 {
            let now = begin + Duration::from_secs(second);
            for _observer in 0..6 {
                if refusals.standing(&wrong, now).is_none() {
                    reached += 1;
                    refusals.refused(&wrong, ERROR, now);
                }
            }
        }
        assert!((30..=40).contains(&reached), "{reached}");
    }
}
