//! The preStop hook that the SQL container has already: it runs before the stop of the supervisor, within its
//! share of the grace.

use super::names::{GRACE, STOP_RESERVE};
use super::refusal::Why;
use super::value::{Value, text};
use super::workload::{Objection, Workload};

/// A preStop hook of the SQL container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A hook that runs a command.
    Exec,
    /// A hook that waits for a number of seconds.
    Sleep(String),
}

/// The seconds of the grace that stay for the stop itself, as with `stop --after`.
pub const RESERVE: u64 = STOP_RESERVE.as_secs();

/// Returns the preStop hook, where there is one.
///
/// # Errors
/// When the hook is of a kind that no command can replace, or where the supervisor is stopped at the same
/// time.
pub fn pre_stop(workload: &Workload<'_>, classic: bool) -> Result<Option<Hook>, Objection> {
    let hook = workload.sql().at(&["lifecycle", "preStop"]);
    let Some(hook) = hook.filter(|hook| !hook.is_null() && !hook.entries().is_empty()) else {
        return Ok(None);
    };
    let found = match hook.entries() {
        [one] if one.is("exec") => {
            let has_command = !one.value.items_of("command").is_empty();
            has_command.then_some(Hook::Exec)
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
    /// Returns the words of the hook's command, where they do not stand in the manifest.
    #[must_use]
    pub fn words(&self) -> Vec<Value> {
        match self {
            Self::Exec => vec![],
            Self::Sleep(seconds) => vec![text("sleep"), text(seconds)],
        }
    }
}

/// Returns the grace of a pod in seconds: the one that it has, and with a hook so much more that the hook
/// keeps what it had.
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
