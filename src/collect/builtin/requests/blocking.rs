//! Sessions that wait for other sessions, and the chains that they form.

use std::collections::{HashMap, HashSet};

/// The greatest number of sessions that are kept; what is above is counted as blocked and is in no
/// chain. The engine has at most 32,767 sessions.
const MAX_BLOCKED: usize = 4096;

/// The blocked sessions, each with the one that it waits for.
#[derive(Debug, Default)]
pub(super) struct Blocking {
    blockers: HashMap<i64, i64>,
    blocked: u32,
}

/// The blocked requests, the heads of chains, and the length of the longest chain, as samples'
/// values.
#[derive(Debug, PartialEq)]
pub(super) struct Chains {
    pub(super) blocked: f64,
    pub(super) heads: f64,
    pub(super) longest: f64,
}

impl Blocking {
    /// Takes a request's session and the session that blocks it; returns whether it is blocked. A
    /// blocker of 0 is nobody; one below 0 is no session, but an orphaned transaction, a recovery
    /// or a latch without owner. A session that waits for its own threads is not blocked.
    pub(super) fn take(&mut self, session: i64, blocker: i64) -> bool {
        if blocker == 0 || blocker == session {
            return false;
        }
        self.blocked = self.blocked.saturating_add(1);
        if self.blockers.len() < MAX_BLOCKED {
            self.blockers.entry(session).or_insert(blocker);
        }
        true
    }

    pub(super) fn chains(&self) -> Chains {
        let heads: HashSet<_> = self
            .blockers
            .values()
            .filter(|blocker| !self.blockers.contains_key(blocker))
            .collect();
        let mut lengths = HashMap::new();
        let longest = self
            .blockers
            .keys()
            .map(|session| self.length(*session, &mut lengths));
        Chains {
            blocked: f64::from(self.blocked),
            longest: f64::from(longest.max().unwrap_or_default()),
            heads: f64::from(u32::try_from(heads.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Returns the number of blocked sessions from `session` up to the head of its chain. A circle,
    /// which is a deadlock that was not found yet, ends where it began.
    fn length(&self, session: i64, lengths: &mut HashMap<i64, u32>) -> u32 {
        let mut path = Vec::new();
        let mut on_path = HashSet::new();
        let mut at = session;
        let mut length = loop {
            if let Some(known) = lengths.get(&at) {
                break *known;
            }
            let Some(blocker) = self.blockers.get(&at) else {
                break 0;
            };
            if !on_path.insert(at) {
                break 0;
            }
            path.push(at);
            at = *blocker;
        };
        for session in path.into_iter().rev() {
            length += 1;
            lengths.insert(session, length);
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(pairs: &[(i64, i64)]) -> (f64, f64, f64) {
        let mut blocking = Blocking::default();
        for (session, blocker) in pairs {
            blocking.take(*session, *blocker);
        }
        let Chains {
            blocked,
            heads,
            longest,
        } = blocking.chains();
        (blocked, heads, longest)
    }

    #[test]
    fn nobody_waits() {
        assert_eq!(chains(&[(51, 0), (52, 52)]), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_tree_has_one_head_and_its_longest_way_counts() {
        // 60 blocks 51 and 52; 52 blocks 53, which blocks 54.
        assert_eq!(
            chains(&[(54, 53), (51, 60), (53, 52), (52, 60)]),
            (4.0, 1.0, 3.0)
        );
    }

    #[test]
    fn a_blocker_without_a_session_is_a_head() {
        assert_eq!(chains(&[(51, -2), (52, 51), (70, 71)]), (3.0, 2.0, 2.0));
    }

    #[test]
    fn a_circle_ends() {
        let (blocked, heads, longest) = chains(&[(51, 52), (52, 53), (53, 51), (54, 53)]);
        assert_eq!((blocked, heads), (4.0, 0.0));
        assert!((3.0..=4.0).contains(&longest), "{longest}");
    }

    #[test]
    fn more_than_the_limit_is_counted_and_the_longest_chain_is_linear() {
        let all: Vec<_> = (0..10_000)
            .map(|session| (session + 1, session + 2))
            .collect();
        let (blocked, heads, longest) = chains(&all);
        assert_eq!((blocked, heads), (10_000.0, 1.0));
        assert_eq!(longest, 4096.0);
    }
}
