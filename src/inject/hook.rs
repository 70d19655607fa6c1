//! A preStop hook that is there: it runs before the stop of the supervisor, within its share of the grace.

use super::names::{GRACE, STOP_RESERVE};
use super::node::Node;
use super::refusal::Why;
use super::value::{Value, text};
use super::workload::{Objection, Workload};

/// A hook of the SQL container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A command.
    Exec,
    /// Seconds to wait.
    Sleep(String),
}

/// Seconds of the grace that stay for the stop itself, as of `stop --after`.
pub const RESERVE: u64 = STOP_RESERVE.as_secs();

/// The preStop hook, where there is one.
///
/// # Errors
/// When it is of a kind that no command takes the place of, or where the supervisor is stopped beside it.
pub fn pre_stop(workload: &Workload<'_>, classic: bool) -> Result<Option<Hook>, Objection> {
    let hook = workload.sql().at(&["lifecycle", "preStop"]);
    let Some(hook) = hook.filter(|hook| !hook.is_null() && !hook.entries().is_empty()) else {
        return Ok(None);
    };
    let found = match hook.entries() {
        [one] if one.is("exec") => {
            let command = one.value.get("command").map(Node::items);
            command
                .is_some_and(|words| !words.is_empty())
                .then_some(Hook::Exec)
        }
        [one] if one.is("sleep") => one
            .value
            .text_of("seconds")
            .map(|seconds| Hook::Sleep(seconds.to_owned())),
        _ => None,
    };
    match found {
        Some(_) if classic => Err(Objection::new(Why::PreStopClassic, hook)),
        Some(found) => Ok(Some(found)),
        None => Err(Objection::new(Why::PreStop, hook)),
    }
}

impl Hook {
    /// The hook's own words, where they do not stand in the manifest.
    #[must_use]
    pub fn words(&self) -> Vec<Value> {
        match self {
            Self::Exec => vec![],
            Self::Sleep(seconds) => vec![text("sleep"), text(seconds)],
        }
    }
}

/// The grace of a pod: what it has, and with a hook so much more that the hook keeps what it had.
#[must_use]
pub fn grace(given: Option<u64>, hook: bool) -> u64 {
    /// The API's default of terminationGracePeriodSeconds.
    const DEFAULT: u64 = 30;
    let with_hook = given.unwrap_or(DEFAULT).saturating_add(RESERVE);
    match hook {
        true => GRACE.as_secs().max(with_hook),
        false => GRACE.as_secs().max(given.unwrap_or(0)),
    }
}
