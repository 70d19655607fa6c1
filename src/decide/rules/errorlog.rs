//! What the engine's log tells of its troubles, where nobody has to act on an answer.

use std::time::Duration;

use super::super::findings::Findings;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    for (reason, evidence, until) in view.troubles.shown(view.snapshot, view.now) {
        findings.due(until, Duration::ZERO);
        findings.add(reason, evidence);
    }
}
