//! The control group, the supervisor itself, and the maintenance that an operator ordered.

use std::time::Duration;

use super::super::findings::{Findings, seconds};
use super::super::reason::Reason;
use super::View;

/// The time for which a stall of the supervisor is shown after it ended.
const STALL_SHOWN: Duration = Duration::from_secs(60);

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    if let Some(cgroup) = view.cgroup() {
        if cgroup.frozen == Some(true) {
            findings.add(Reason::CgroupFrozen, "the freezer holds it");
        }
        if let Some(ratio) = cgroup.throttled_ratio
            && view.throttled()
        {
            let percent = ratio * 100.0;
            let evidence = format!("{percent:.0} % of the last periods were throttled");
            findings.add(Reason::CpuThrottled, evidence);
        }
    }
    if let Some(stall) = &view.snapshot.stall
        && !findings.due(stall.at, STALL_SHOWN)
    {
        let evidence = format!("it did not run for {}", seconds(stall.value));
        findings.add(Reason::SupervisorStalled, evidence);
    }
    if let Some(until) = view.snapshot.maintenance_until
        && !findings.due(until, Duration::ZERO)
    {
        let evidence = format!("for another {}", seconds(until.since(view.now)));
        findings.add(Reason::Maintenance, evidence);
    }
}
