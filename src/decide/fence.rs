//! The fence: an engine that may not write the volume is killed at once.
//!
//! The catalogue marks the reasons that fence ([`super::reason::ReasonInfo::fences`]). Once it is asked
//! for, a fence stays until its process is gone, whatever becomes of the lease: the process has run while
//! another pod may have written. A fence counts against no budget and waits for no hold of liveness.

use super::decision::{Action, Restart};
use super::findings::Findings;
use super::lease::LeaseState;
use super::memory::Tenant;
use super::observation::{ActionStep, RunningProcess};
use super::reason::Reason;
use super::snapshot::Snapshot;

/// The fence under way, and the epoch of the lease under which the engine's process came.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    under_way: Option<Restart>,
    tenant: Option<Tenant>,
}

impl Fence {
    /// Takes in what an earlier run of the supervisor remembered.
    pub fn recall(&mut self, tenant: Option<Tenant>) {
        self.tenant = tenant;
    }

    /// Returns the epoch under which the engine's process came, where that is known.
    #[must_use]
    pub fn tenant(&self) -> Option<Tenant> {
        self.tenant
    }

    /// Takes in the engine's process and the lease of a new snapshot.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        // While nobody can look, what was there is there.
        if snapshot.is_blind() {
            return;
        }
        let there = snapshot.running().map(|process| process.parent);
        // One that can't be seen for a moment is the same when it is seen again.
        self.tenant
            .take_if(|tenant| there.is_some_and(|there| there != tenant.process));
        self.under_way.take_if(|fence| there != Some(fence.parent));
        // An engine that its parent made meanwhile has to end as well.
        if let (Some(fence), Some(process)) = (&mut self.under_way, snapshot.running()) {
            fence.engine = fence.engine.or(process.engine);
        }
        let lease = snapshot.lease.as_ref().map(|seen| &seen.value.state);
        if let (None, Some(process), Some(LeaseState::Held { epoch, .. })) =
            (self.tenant, there, lease)
        {
            self.tenant = Some(Tenant {
                process,
                epoch: *epoch,
            });
        }
    }

    /// Takes in the findings and adds those of a fence. Returns whether a fence is under way.
    pub fn see(&mut self, snapshot: &Snapshot, findings: &mut Findings) -> bool {
        let due = findings.reasons(|reason| reason.info().fences);
        if self.under_way.is_none()
            && !due.is_empty()
            && let Some(process) = snapshot.running()
        {
            self.under_way = Some(fence(process, due));
        }
        let Some(fence) = &self.under_way else {
            return false;
        };
        let codes: Vec<_> = fence.reasons.iter().map(|reason| reason.code()).collect();
        let evidence = format!(
            "for {}: SIGKILL to pid {}",
            codes.join(", "),
            fence.parent.pid
        );
        findings.add(Reason::Fencing, evidence);
        let report = snapshot.action.as_ref().map(|seen| &seen.value);
        let report = report.filter(|report| report.process == fence.parent);
        if let Some(ActionStep::Failed(why)) = report.map(|report| &report.step) {
            findings.add(Reason::FenceFailed, why.as_str());
        }
        true
    }

    /// Returns the fence that is due, if there is one.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.under_way.clone().map(Action::Fence)
    }
}

fn fence(process: &RunningProcess, reasons: Vec<Reason>) -> Restart {
    Restart {
        parent: process.parent,
        engine: process.engine,
        grace: std::time::Duration::ZERO,
        reasons,
    }
}
