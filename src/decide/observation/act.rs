//! The reports on an action, and on the link to `launch`.

use serde::{Deserialize, Serialize};

use super::process::ProcessId;

/// A report on an action on the engine's processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionReport {
    /// The parent `sqlservr` that the action is about.
    pub process: ProcessId,
    /// The step that the action came to.
    pub step: ActionStep,
}

/// The state of the link to `launch`, in whose container the engine runs: with a link, only what `launch`
/// reports of the processes counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkReport {
    /// The link stands; what `launch` sees follows.
    Linked,
    /// The link stood, in this run or in an earlier one. What became of the processes is not known.
    Lost,
}

/// A step that an action came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActionStep {
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
    /// The process is gone.
    Done,
    /// The action can't be executed, or had no effect; the text gives the cause, in a line for people.
    Failed(String),
}
