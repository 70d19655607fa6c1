//! A client's pod that writes to the Service all the time, and what it has to say.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::cluster::{kubectl, outcome, own};
use crate::images::CLIENT;
use crate::namespace::Namespace;
use crate::pods;
use crate::release::{PASSWORD, PATIENCE, QUIET};

/// As the program prints it, see writer.rs.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub acknowledged: usize,
    pub found: usize,
    pub lost: Vec<i64>,
    gaps: Vec<(u64, u64)>,
    last: u64,
}

impl Report {
    /// The longest time without an acknowledged row.
    pub fn away(&self) -> Duration {
        Duration::from_millis(self.gaps.iter().map(|gap| gap.1).max().unwrap_or(0))
    }

    /// The time without an acknowledged row after `fault`, in milliseconds since 1970, once it is over.
    pub fn away_at(&self, fault: u64) -> Option<Duration> {
        let after = |gap: &&(u64, u64)| gap.0 + gap.1 > fault && gap.0 < fault + SOON;
        let gap = self.gaps.iter().find(after);
        let away = gap.map(|(from, away)| from + away - fault.max(*from));
        // Nothing was noticed, and enough has been written since.
        let none = (self.last > fault + 2 * SOON).then_some(0);
        away.or(none).map(Duration::from_millis)
    }
}

/// Milliseconds within which a fault shows at the client.
const SOON: u64 = 5000;

pub struct Client<'a> {
    namespace: &'a Namespace,
    name: String,
    service: String,
}

impl<'a> Client<'a> {
    /// Starts it; it waits for the service by itself.
    pub fn start(namespace: &'a Namespace, service: &str) -> Self {
        let name = format!("client-{}", service.split(':').next().unwrap_or_default());
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "client"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 10001, "fsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "client", "image": CLIENT, "imagePullPolicy": "Never",
                    "args": ["write", service],
                    "env": [{"name": "MSSQL_SA_PASSWORD", "value": PASSWORD}],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "rows", "mountPath": "/rows"}],
                }],
                "volumes": [{"name": "rows", "emptyDir": {}}],
            },
        });
        if own() {
            pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": QUIET});
        }
        namespace.apply(&pod);
        let client = Self {
            namespace,
            name,
            service: service.to_owned(),
        };
        namespace.pods.until("the client runs", PATIENCE, |pods| {
            let pod = pods.iter().find(|pod| pods::pod_name(pod) == client.name)?;
            pods::running(pod, "client")
        });
        client
    }

    /// What it says, which takes an engine that answers.
    pub fn report(&self) -> Report {
        let line = format!(
            "--namespace {} exec {} -- /client report {}",
            self.namespace.name, self.name, self.service
        );
        let mut said = String::new();
        // The Service learns of a ready pod a moment later.
        for _ in 0..20 {
            let output = outcome(&mut kubectl(line.split(' ')), "");
            if output.status.success() {
                let text = String::from_utf8_lossy(&output.stdout);
                return serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("{text}: {error}"));
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("the client has no report: {said}");
    }

    /// Waits until rows are acknowledged again after what was done.
    pub fn writes(&self) -> Report {
        let before = self.report();
        let mut after = self.report();
        for _ in 0..20 {
            if after.last > before.last {
                return after;
            }
            std::thread::sleep(Duration::from_millis(500));
            after = self.report();
        }
        panic!("no row is acknowledged any more: {after:?}");
    }

    /// The same, and holds all rows against the table.
    pub fn writes_and_lost_nothing(&self) -> Report {
        let after = self.writes();
        assert!(
            after.lost.is_empty(),
            "acknowledged rows are lost: {after:?}"
        );
        assert!(after.found >= after.acknowledged, "{after:?}");
        after
    }
}
