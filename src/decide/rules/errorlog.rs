//! The troubles that the engine's log shows and that change no answer.

use std::time::Duration;

use super::super::findings::Findings;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    for (reason, evidence, until) in view.troubles.shown(view.snapshot, view.now) {
        findings.due(until, Duration::ZERO);
        findings.add(reason, evidence);
    }
}
