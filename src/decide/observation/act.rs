//! What became of an action.

use serde::{Deserialize, Serialize};

use super::process::ProcessId;

/// A step of an action on the engine's processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionReport {
    /// The parent `sqlservr` that the action is about.
    pub process: ProcessId,
    /// How far it came.
    pub step: ActionStep,
}

/// Whether there is a way to `launch`, in whose container the engine runs: then its words on the
/// processes count, and nobody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkReport {
    /// There is; what it sees follows.
    Linked,
    /// There was, in this run or in an earlier one. What became of the processes is not known.
    Lost,
}

/// How far an action came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionStep {
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
    /// The process is gone.
    Done,
    /// It can't be carried out, or had no effect; why, in a line for people.
    Failed(String),
}
