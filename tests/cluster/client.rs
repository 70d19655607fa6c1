//! A client's pod that writes to the Service all the time, and what it has to say.

use std::time::{Duration, Instant};

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

    /// The longest time without an acknowledged row around `fault`, in milliseconds since 1970; absent until rows are
    /// acknowledged again, some time after it.
    pub fn away_at(&self, fault: u64) -> Option<Duration> {
        let around = |gap: &&(u64, u64)| gap.0 + gap.1 > fault && gap.0 < fault + SOON;
        let away = |gap: &(u64, u64)| gap.0 + gap.1 - fault.max(gap.0);
        let longest = self.gaps.iter().filter(around).map(away).max();
        let over = self.last > fault + SOON;
        over.then(|| Duration::from_millis(longest.unwrap_or(0)))
    }
}

/// From a pod that is ready to a row of a client that was away: its own patience, a few times.
const AGAIN: Duration = Duration::from_secs(30);
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

    /// What it has noted so far, whether or not an engine answers.
    pub fn notes(&self) -> Report {
        self.says("notes")
    }

    /// What it says, which takes an engine that answers.
    pub fn report(&self) -> Report {
        self.says("report")
    }

    fn says(&self, command: &str) -> Report {
        let line = format!(
            "--namespace {} exec {} -- /client {command} {}",
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
    pub fn writes(&self) {
        let before = self.notes().last;
        let began = Instant::now();
        while self.notes().last <= before {
            assert!(began.elapsed() < AGAIN, "no row is acknowledged any more");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// The same, and holds all rows against the table.
    pub fn writes_and_lost_nothing(&self) -> Report {
        self.writes();
        let after = self.report();
        assert!(
            after.lost.is_empty(),
            "acknowledged rows are lost: {after:?}"
        );
        assert!(after.found >= after.acknowledged, "{after:?}");
        after
    }
}
