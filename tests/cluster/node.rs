//! The nodes that are made to fail, and the disks that are filled and broken: own clusters only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::cluster::{ask, run, script};

/// The node that things are done to.
pub const OTHER: &str = "node-2";

/// Alone with the second node.
pub struct Other {
    _alone: MutexGuard<'static, ()>,
}

impl Other {
    pub fn alone() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        // A scenario that failed has healed the node all the same.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _alone: alone }
    }

    /// `freeze`, `kill` or `cut`.
    pub fn fail(&self, how: &str) {
        run(script("node").args(["fail", OTHER, how]), "");
    }

    pub fn heal(&self) {
        run(script("node").args(["heal", OTHER]), "");
        ask(&format!(
            "wait --for=condition=Ready node/{OTHER} --timeout=60s"
        ));
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.heal();
        ask(&format!("uncordon {OTHER}"));
    }
}

/// Values of a release that runs on the second node as long as that is there, on a volume that both can reach, and
/// leaves a node that is gone after 5 s.
pub fn preferred() -> Value {
    json!({
        "nodeSelector": {"kubernetes.io/hostname": null},
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "preference": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [OTHER]}]},
        }]}},
        "persistence": {"accessMode": "ReadWriteMany"},
        "failover": {"tolerationSeconds": 5},
    })
}
