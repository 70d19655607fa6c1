//! Side by side on the same cluster: the tutorial's Deployment as it is, with the probes that others give it, and the
//! chart. The probes are those of the accuracy benchmark, see tests/accuracy/contestant.rs.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::Client;
use crate::images::{CLIENT, STANDIN};
use crate::namespace::Namespace;
use crate::pods::{Pods, ready, restarts, running};
use crate::release::{PASSWORD, PATIENCE, QUIET, Release};
use crate::{host, table};

pub const NAME: &str = "side by side";
/// What has not been restarted by then is not going to be: the longest of them takes 3 times 10 s, 5 s, and a grace of
/// 30 s.
const HANG: Duration = Duration::from_secs(110);
/// An engine that computes and answers nobody: longer than three failed checks of 10 s and 5 s, and the grace of 30 s
/// until the start that shows it.
const BUSY: Duration = Duration::from_secs(90);

/// A Deployment that is none of ours.
struct Other {
    name: &'static str,
    title: &'static str,
    probes: fn() -> Value,
}

const OTHERS: [Other; 3] = [
    Other {
        name: "none",
        title: "the tutorial's, without probes",
        probes: || json!({}),
    },
    Other {
        name: "tcp",
        title: "tcpSocket",
        probes: || {
            let check = json!({"port": 1433});
            json!({
                "livenessProbe": {"tcpSocket": check, "initialDelaySeconds": 30, "periodSeconds": 15},
                "readinessProbe": {"tcpSocket": check, "initialDelaySeconds": 20, "periodSeconds": 10},
            })
        },
    },
    Other {
        name: "exec",
        title: "exec `SELECT 1`",
        probes: || {
            let check = json!({"command": ["/tools/client", "check", "127.0.0.1:1433"]});
            let probe = |delay: u32, failures: u32| json!({"exec": check, "initialDelaySeconds": delay, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": failures});
            json!({"startupProbe": probe(15, 10), "livenessProbe": probe(5, 3), "readinessProbe": probe(5, 3)})
        },
    },
];

/// The tutorial's pod, with a program that logs in as sqlcmd does in the image.
pub fn pod(name: &str, probes: Value) -> Value {
    let mut sql = json!({
        "name": "sql", "image": format!("{}:{}", STANDIN.0, STANDIN.1), "imagePullPolicy": "Never",
        "env": [{"name": "MSSQL_SA_PASSWORD", "value": PASSWORD}, {"name": "ACCEPT_EULA", "value": "Y"}],
        "volumeMounts": [{"name": "sqldata", "mountPath": "/var/opt/mssql"}, {"name": "tools", "mountPath": "/tools"}],
    });
    for (key, probe) in probes.as_object().into_iter().flatten() {
        sql[key] = probe.clone();
    }
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "securityContext": {"fsGroup": 10001},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "initContainers": [{
                "name": "tools", "image": CLIENT, "imagePullPolicy": "Never",
                "command": ["/usr/bin/install", "/client", "/tools/client"],
                "volumeMounts": [{"name": "tools", "mountPath": "/tools"}],
            }],
            "containers": [sql],
            "volumes": [{"name": "tools", "emptyDir": {}}, {"name": "sqldata", "emptyDir": {}}],
        },
    })
}

fn deploy(namespace: &Namespace, other: &Other) {
    let mut template = pod(other.name, (other.probes)());
    if crate::cluster::own() {
        template["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": QUIET});
    }
    let labels = json!({"app": other.name});
    namespace.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": other.name},
         "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": other.name},
         "spec": {"selector": labels, "ports": [{"port": 1433}]}},
    ]}));
}

/// A contestant in its namespace, with its client.
struct Rig<'a> {
    title: &'static str,
    namespace: &'a Namespace,
    client: Client<'a>,
}

/// What became of it.
struct Outcome {
    restarted_wrongly: bool,
    /// From the hang to the next start.
    hang_ended: Option<Duration>,
}

impl Rig<'_> {
    fn pods(&self) -> &Pods {
        &self.namespace.pods
    }

    /// The container's id, once it is ready with so many restarts.
    fn ready(&self, restarted: i32) -> String {
        self.pods().until("ready", PATIENCE * 2, |pods| {
            pods.iter().find_map(|pod| {
                (ready(pod) && restarts(pod, "sql") >= restarted)
                    .then(|| running(pod, "sql"))
                    .flatten()
            })
        })
    }

    fn restarts(&self) -> i32 {
        self.pods().until("its pod", 1, |pods| {
            pods.iter()
                .find(|pod| crate::pods::container(pod, "sql").is_some())
                .map(|pod| restarts(pod, "sql"))
        })
    }

    /// Whether it is restarted within that time, and after how long.
    fn restarted_within(&self, restarted: i32, limit: Duration) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if self.restarts() > restarted {
                return Some(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }

    fn compete(&self) -> Outcome {
        let note = |what: &str, figure: &str| {
            table::note(NAME, &format!("{}: {what}", self.title), figure);
        };
        let seconds = |took: Option<Duration>| {
            took.map_or_else(
                || format!("never (watched for {} s)", HANG.as_secs()),
                |took| format!("{:.1} s", took.as_secs_f64()),
            )
        };
        // Busy first: what restarts here restarts for nothing.
        let id = self.ready(0);
        let busy = json!({"command": "load", "load": {"cpu_threads": 1, "cpu_percent": 20}});
        host::try_command(&id, &busy);
        host::try_command(&id, &json!({"command": "accept", "accept": "hang"}));
        let wrong = self.restarted_within(0, BUSY);
        note(
            "an engine that computes and takes no login for 90 s",
            if wrong.is_some() {
                "restarted, wrongly"
            } else {
                "left alone"
            },
        );
        let mut restarted = self.restarts();
        if wrong.is_none() {
            host::try_command(&id, &json!({"command": "accept", "accept": "answer"}));
            host::try_command(&id, &json!({"command": "load", "load": {}}));
        }

        let id = self.ready(restarted);
        host::signal(host::engine_of(&id).1, Signal::SIGKILL);
        let began = Instant::now();
        restarted += 1;
        let id = self.ready(restarted);
        note("SIGKILL, until ready", &seconds(Some(began.elapsed())));

        host::signal(host::engine_of(&id).1, Signal::SIGSTOP);
        let began = Instant::now();
        let took = self.restarted_within(restarted, HANG);
        note("SIGSTOP, until the next start", &seconds(took));
        if took.is_some() {
            self.ready(restarted + 1);
        }
        let away = self.pods().not_ready_since(began, true);
        let away = format!("{:.1} s", away.as_secs_f64());
        note("of that time, until ready again, out of the Service", &away);
        if took.is_some() {
            self.client.writes_and_lost_nothing();
        }
        Outcome {
            restarted_wrongly: wrong.is_some(),
            hang_ended: took,
        }
    }
}

pub fn run() {
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for other in &OTHERS {
            running.push(scope.spawn(|| {
                let namespace = Namespace::new(&format!("beside-{}", other.name));
                deploy(&namespace, other);
                let client = Client::start(&namespace, &format!("{}:1433", other.name));
                let rig = Rig {
                    title: other.title,
                    namespace: &namespace,
                    client,
                };
                rig.compete();
            }));
        }
        running.push(scope.spawn(|| {
            let namespace = Namespace::new("beside-ours");
            let release = Release::install(&namespace, "sql", &json!({}));
            let client = Client::start(&namespace, &release.service());
            let rig = Rig {
                title: "ours",
                namespace: &namespace,
                client,
            };
            let ours = rig.compete();
            assert!(
                !ours.restarted_wrongly,
                "an engine that computes was restarted"
            );
            assert!(
                ours.hang_ended.is_some(),
                "an engine that hangs was not restarted"
            );
        }));
        for running in running {
            running.join().expect("a contestant competes");
        }
    });
}
