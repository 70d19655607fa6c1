//! The state of the lease on the volume: held, held elsewhere, not renewed, lost.

use super::super::findings::{Findings, seconds};
use super::super::lease::{Epoch, HolderIdentity, LeaseMode, LeaseState};
use super::super::memory::Tenant;
use super::super::observation::LeaseReport;
use super::super::reason::Reason;
use super::super::time::Time;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    if view.policy.lease == LeaseMode::Off {
        findings.add(Reason::LeaseOff, "`lease` is off");
        return;
    }
    let Some(report) = view.snapshot.lease.as_ref().map(|seen| &seen.value) else {
        not_held(view, "nothing was read of it yet".to_owned(), findings);
        return;
    };
    match &report.state {
        LeaseState::Held { epoch, first, .. } => held(view, *epoch, *first, report, findings),
        LeaseState::Elsewhere {
            epoch,
            holder: Some(holder),
            own_pod: false,
            ..
        } => {
            let evidence = format!("epoch {epoch} is held by {}", who(holder));
            findings.add(Reason::LeaseHeldElsewhere, evidence);
        }
        LeaseState::Elsewhere {
            epoch,
            holder: Some(_),
            ..
        } => {
            let evidence = format!("epoch {epoch} is held by another supervisor of this pod");
            findings.add(Reason::LeaseNotHeld, evidence);
        }
        LeaseState::Elsewhere { epoch, .. } => {
            let evidence = format!("whose epoch {epoch} is can't be read: empty or torn");
            not_held(view, evidence, findings);
        }
        LeaseState::Watched {
            epoch,
            holder,
            unchanged,
        } => {
            let evidence = format!(
                "epoch {epoch} is held by {}, which may be this pod itself: it has not changed for {}",
                who(holder),
                seconds(*unchanged)
            );
            not_held(view, because(&evidence, report), findings);
        }
        LeaseState::Unknown => not_held(view, because("it is not taken yet", report), findings),
        LeaseState::Released => findings.add(Reason::LeaseNotHeld, "it was released"),
        LeaseState::Lost { epoch, by, holder } => {
            let evidence = match (by, holder) {
                (Some(by), Some(holder)) => {
                    format!("epoch {epoch} was followed by {by} of {}", who(holder))
                }
                (Some(by), None) => format!("epoch {epoch} was followed by {by}"),
                (None, _) => because(&format!("epoch {epoch} was not renewed in time"), report),
            };
            // An advisory lease ends an engine only for another holder that is known: whoever has followed may
            // be this pod itself.
            match view.policy.lease == LeaseMode::Strict || holder.is_some() {
                true => findings.add(Reason::LeaseLost, evidence),
                false => not_held(view, evidence, findings),
            }
        }
    }
}

fn held(
    view: &View<'_>,
    epoch: Epoch,
    first: Epoch,
    report: &LeaseReport,
    findings: &mut Findings,
) {
    // One that has ended, or was never seen again, writes nothing: it must not keep the gate shut.
    let there = view.snapshot.running().map(|process| process.parent);
    let stale = |tenant: &Tenant| tenant.epoch < first && there == Some(tenant.process);
    if let Some(tenant) = view.tenant.filter(stale) {
        let evidence = format!(
            "pid {} came under epoch {}, and others held the lease before epoch {first}",
            tenant.process.pid, tenant.epoch
        );
        findings.add(Reason::LeaseLost, evidence);
    }
    let Some(renewed) = view.snapshot.lease_renewed else {
        return;
    };
    let left = view.policy.lease_fence.saturating_sub(renewed.age);
    if !findings.due(renewed.at, left) {
        return;
    }
    let lasted = seconds(renewed.now(view.now));
    let evidence = because(
        &format!("epoch {epoch} was last renewed {lasted} ago"),
        report,
    );
    let reason = match view.policy.lease {
        LeaseMode::Strict => Reason::LeaseLost,
        LeaseMode::Advisory | LeaseMode::Off => Reason::LeaseNotRenewed,
    };
    findings.add(reason, evidence);
}

/// Adds a finding for a lease that is not held, where nobody else is known to hold it. A strict lease of an
/// engine that runs all the same is lost, once the time of a renewal has passed since the supervisor's start:
/// an earlier run may have renewed it last. Where the agent of the SQL container holds the lease, its PID 1
/// ends the engine in time.
fn not_held(view: &View<'_>, evidence: String, findings: &mut Findings) {
    let strict = view.policy.lease == LeaseMode::Strict
        && view.snapshot.running().is_some()
        && !view.snapshot.lease_by_agent;
    match strict && findings.due(Time::ZERO, view.policy.lease_fence) {
        true => findings.add(Reason::LeaseLost, evidence),
        false => findings.add(Reason::LeaseNotHeld, evidence),
    }
}

fn because(what: &str, report: &LeaseReport) -> String {
    match &report.failure {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    }
}

fn who(holder: &HolderIdentity) -> String {
    match holder.node.as_str() {
        "" => holder.id.clone(),
        node => format!("{} on {node}", holder.id),
    }
}
