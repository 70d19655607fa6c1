//! The part of `/status` that shows the last restart of the engine.

use serde::Serialize;

use super::Seconds;
use super::parts::Pid;
use crate::decide::decision::Action;
use crate::decide::observation::ActionStep;
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::publish::view::View;
use crate::publish::words;

/// The last restart that was asked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRestart<'a> {
    age_seconds: Seconds,
    by: RestartBy,
    reasons: &'a [Reason],
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Pid>,
    /// Whether the supervisor is restarting the engine now.
    under_way: bool,
    /// The last step of the restart that the supervisor reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_age_seconds: Option<Seconds>,
    /// The reason why the supervisor could not restart the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
}

impl<'a> LastRestart<'a> {
    pub fn of(view: &'a View) -> Option<Self> {
        let (last, ago) = view.last_restart()?;
        let seen = view.published.snapshot.action.as_ref();
        let seen = seen.filter(|seen| last.process == Some(seen.value.process));
        let failure = seen.and_then(|seen| match &seen.value.step {
            ActionStep::Failed(why) => Some(why.as_str()),
            _ => None,
        });
        let under_way = view
            .decision()
            .and_then(|decision| decision.action.as_ref());
        Some(Self {
            age_seconds: Seconds(ago),
            by: last.by,
            reasons: &last.reasons,
            process: last.process.map(Pid::from),
            under_way: matches!(under_way, Some(Action::Restart(_))),
            step: seen.map(|seen| words::restart_step(&seen.value.step)),
            step_age_seconds: seen.map(|seen| Seconds(view.ago(seen.at))),
            failure,
        })
    }
}
