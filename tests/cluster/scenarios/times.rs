//! How long a client of the Service gets nothing written, ten times for each fault: the tutorial's Deployment as it is,
//! beside the chart with both settings of `engine-restart`, at the same time on the same nodes.
//!
//! It takes almost half an hour, so it is run by its name: `cargo test --test cluster -- --ignored times`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Pod;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::contestants;
use super::nodes::FENCE;
use super::shared::volume;
use crate::client::Client;
use crate::cluster::{kubectl, outcome};
use crate::namespace::Namespace;
use crate::node::{OTHER, Other, preferred};
use crate::pods::{app, pod_name, ready, running};
use crate::release::{PATIENCE, QUIET, Release};
use crate::{engines, host, table};

pub const NAME: &str = "times";

/// TIMES_ROUNDS takes the place of it.
const ROUNDS: usize = 10;
/// The kubelet's third back-off, a hang's 30 s, and a node's loss are shorter.
const LONGEST: Duration = Duration::from_secs(180);
/// From a fault to the first question to the client, and between two.
const FIRST_LOOK: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_secs(2);
/// Nobody restarts an engine without probes that hangs.
const NEVER: Duration = Duration::from_secs(60);

const KILLED: &str = "engine killed, first time";
const AGAIN: &str = "engine killed again at once";
const HUNG: &str = "engine hangs (`unresponsive-after` 30 s)";
const DELETED: &str = "pod deleted";
const FORCED: &str = "pod deleted by force, next one on the same node";
const FROZEN: &str = "node frozen (noticed after 12 s, tolerated for 5 s)";
const OFF: &str = "node without power (noticed after 12 s, tolerated for 5 s)";
const ROWS: [&str; 7] = [KILLED, AGAIN, HUNG, DELETED, FORCED, FROZEN, OFF];

/// Who is measured, in the order of the table's columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Alone,
    Container,
    InPlace,
}

const SUBJECTS: [(Subject, &str); 3] = [
    (Subject::Alone, "Kubernetes alone"),
    (Subject::Container, "ours"),
    (Subject::InPlace, "ours, `engine-restart: in-place`"),
];

/// What was seen of all subjects.
#[derive(Default)]
struct Taken {
    times: Mutex<BTreeMap<(Subject, &'static str), Vec<Duration>>>,
    /// The volumes of each, as the watcher names them.
    volumes: Mutex<BTreeSet<(Subject, String)>>,
}

impl Taken {
    fn time(&self, subject: Subject, row: &'static str, away: Duration) {
        let title = SUBJECTS.iter().find(|(known, _)| *known == subject);
        eprintln!(
            "{row}: {}: {away:.1?}",
            title.map_or("", |(_, title)| title)
        );
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.entry((subject, row)).or_default().push(away);
    }

    /// Looks at which two engines could write one volume of the subject's.
    fn two_engines(&self, subject: Subject) -> usize {
        let volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_subject = volumes.iter().filter(|(whose, _)| *whose == subject);
        let overlaps = of_subject.flat_map(|(_, volume)| engines::overlaps(volume));
        overlaps.map(|overlap| overlap.running).sum()
    }
}

/// A subject in its namespace, with its client.
struct Rig<'a> {
    subject: Subject,
    namespace: &'a Namespace,
    client: Client<'a>,
    taken: &'a Taken,
}

impl Rig<'_> {
    /// The pod, once it is ready and the client's rows are acknowledged.
    fn settled(&self) -> Pod {
        let pod = self
            .namespace
            .pods
            .until("a ready pod", PATIENCE * 2, |pods| {
                pods.iter()
                    .find(|pod| app(pod) != "client" && ready(pod))
                    .map(|pod| (*pod).clone())
            });
        let volume = volume(&pod);
        // A pod that was deleted by force may be there still, and the client with it.
        host::until("one engine on the volume", || {
            let engines = engines::running();
            (engines.get(&volume).map_or(0, Vec::len) == 1).then_some(())
        });
        self.client.writes();
        let volumes = &self.taken.volumes;
        let mut volumes = volumes.lock().unwrap_or_else(PoisonError::into_inner);
        volumes.insert((self.subject, volume));
        pod
    }

    /// How long the client is without an acknowledged row around `fault`.
    fn measure(&self, row: &'static str, fault: impl FnOnce(&Pod)) {
        let pod = self.settled();
        let at = now();
        fault(&pod);
        self.note(row, at);
    }

    /// Waits until the client's rows are acknowledged again after the fault of that moment.
    fn note(&self, row: &'static str, at: u64) {
        let began = Instant::now();
        // Asking is work for the machine that is measured: not before there can be an answer, and seldom.
        std::thread::sleep(FIRST_LOOK);
        let away = loop {
            if let Some(away) = self.client.notes().away_at(at) {
                break away;
            }
            assert!(began.elapsed() < LONGEST, "{row}: no row any more");
            std::thread::sleep(LOOK);
        };
        self.taken.time(self.subject, row, away);
    }

    fn signal(&self, pod: &Pod, signal: Signal) {
        let container = running(pod, "sql").expect("it runs");
        host::signal(host::engine_of(&container).1, signal);
    }

    /// Two pods' lives: one is killed twice and deleted, the next one hangs and is deleted by force.
    fn live(&self) {
        if self.subject != Subject::Alone {
            self.knows_its_engine();
        }
        self.measure(KILLED, |pod| self.signal(pod, Signal::SIGKILL));
        if self.subject != Subject::Alone {
            self.knows_its_engine();
        }
        self.measure(AGAIN, |pod| self.signal(pod, Signal::SIGKILL));
        self.measure(DELETED, |pod| self.delete(pod, "--wait=false"));
        if self.subject != Subject::Alone {
            self.measure(HUNG, |pod| self.signal(pod, Signal::SIGSTOP));
        }
        self.measure(FORCED, |pod| {
            self.delete(pod, "--wait=false --force --grace-period=0");
        });
    }

    /// An engine that was never ready would be a start that has failed.
    fn knows_its_engine(&self) {
        let pod = self.settled();
        let line = format!(
            "--namespace {} exec {} --container=supervisor -- /sql-edge-supervisor probe ready",
            self.namespace.name,
            pod_name(&pod)
        );
        host::until("the supervisor calls it ready", || {
            let asked = outcome(&mut kubectl(line.split(' ')), "");
            asked.status.success().then_some(())
        });
    }

    fn delete(&self, pod: &Pod, how: &str) {
        self.namespace
            .ask(&format!("delete pod {} {how}", pod_name(pod)));
    }

    /// Has its pod on the node that fails, where it prefers to be.
    fn moves_to_other(&self) {
        loop {
            let pod = self.settled();
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            if node == Some(OTHER) {
                return;
            }
            let name = pod_name(&pod);
            self.namespace
                .ask(&format!("delete pod {name} --timeout=60s"));
        }
    }

    /// Without probes nobody sees it; it is let go on afterwards.
    fn hangs_for_ever(&self) {
        let pod = self.settled();
        let before = now();
        self.signal(&pod, Signal::SIGSTOP);
        std::thread::sleep(NEVER);
        self.signal(&pod, Signal::SIGCONT);
        self.client.writes();
        let away = self.client.notes().away_at(before).expect("rows again");
        assert!(away >= NEVER, "something ended the hang");
    }
}

/// The tutorial's Deployment without probes, its one replica where `node` says.
fn alone(namespace: &Namespace, node: &Value) -> String {
    let mut template = contestants::pod("alone", json!({}));
    template["spec"]["volumes"] = json!([
        {"name": "tools", "emptyDir": {}},
        {"name": "sqldata", "persistentVolumeClaim": {"claimName": "alone"}},
    ]);
    for (key, value) in node.as_object().into_iter().flatten() {
        template["spec"][key] = value.clone();
    }
    let labels = json!({"app": "alone"});
    namespace.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "alone"},
         "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "alone"},
         "spec": {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alone"},
         "spec": {"selector": labels, "ports": [{"port": 1433}]}},
    ]}));
    "alone:1433".to_owned()
}

/// Installs the subject; the address of its Service.
fn deploy(subject: Subject, namespace: &Namespace, on_other: bool) -> String {
    let mut values = match on_other {
        true => preferred(),
        false => json!({}),
    };
    match subject {
        Subject::Alone => {
            let node = match on_other {
                false => json!({"nodeSelector": {"kubernetes.io/hostname": QUIET}}),
                true => json!({
                    "nodeSelector": null,
                    "affinity": values["affinity"],
                    "tolerations": (["not-ready", "unreachable"].map(|state| json!({
                        "key": format!("node.kubernetes.io/{state}"), "operator": "Exists",
                        "effect": "NoExecute", "tolerationSeconds": 5,
                    }))),
                }),
            };
            alone(namespace, &node)
        }
        Subject::Container => Release::install(namespace, "sql", &values).service(),
        Subject::InPlace => {
            values["supervisor"] = json!({"settings": {"engine-restart": "in-place"}});
            Release::install(namespace, "sql", &values).service()
        }
    }
}

/// Installs all subjects, each in one of the namespaces.
fn rigs<'a>(namespaces: &'a [Namespace], on_other: bool, taken: &'a Taken) -> Vec<Rig<'a>> {
    let each = namespaces.iter().zip(SUBJECTS);
    each.map(|(namespace, (subject, _))| {
        let service = deploy(subject, namespace, on_other);
        Rig {
            subject,
            namespace,
            client: Client::start(namespace, &service),
            taken,
        }
    })
    .collect()
}

/// Does it to all of them at the same time.
fn each(rigs: &[Rig<'_>], run: impl Fn(&Rig<'_>) + Sync) {
    std::thread::scope(|scope| {
        for rig in rigs {
            scope.spawn(|| run(rig));
        }
    });
}

/// The node under all of them fails in both ways, so many times.
fn nodes(rounds: usize, taken: &Taken) {
    let other = Other::alone();
    let namespaces = SUBJECTS.map(|_| Namespace::new("node"));
    let rigs = rigs(&namespaces, true, taken);
    for (row, how) in [(FROZEN, "freeze"), (OFF, "kill")] {
        for _ in 0..rounds {
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method is of one lifetime, the closure of any"
            )]
            each(&rigs, |rig| rig.moves_to_other());
            let at = now();
            other.fail(how);
            each(&rigs, |rig| rig.note(row, at));
            other.heal();
        }
    }
}

/// What befalls a pod, so many times.
fn lives(rounds: usize, taken: &Taken) {
    let namespaces = SUBJECTS.map(|_| Namespace::new(NAME));
    each(&rigs(&namespaces, false, taken), |rig| {
        if rig.subject == Subject::Alone {
            rig.hangs_for_ever();
        }
        for _ in 0..rounds {
            rig.live();
        }
    });
}

pub fn run() {
    let rounds = std::env::var("TIMES_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let taken = Taken::default();
    // The pods of the one are on a node that nothing is done to.
    std::thread::scope(|scope| {
        scope.spawn(|| nodes(rounds, &taken));
        lives(rounds, &taken);
    });
    print(rounds, &taken);
    for subject in [Subject::Container, Subject::InPlace] {
        let looks = taken.two_engines(subject);
        assert!(looks <= FENCE * rounds, "two engines at {looks} looks");
    }
}

fn print(rounds: usize, taken: &Taken) {
    let times = taken.times.lock().unwrap_or_else(PoisonError::into_inner);
    for row in ROWS {
        let columns = SUBJECTS.map(|(subject, title)| {
            let Some(all) = times.get(&(subject, row)) else {
                return format!("{title} never (watched for {} s)", NEVER.as_secs());
            };
            let mut all = all.clone();
            all.sort_unstable();
            let seconds = |at: usize| all.get(at).map_or(0.0, Duration::as_secs_f64);
            format!(
                "{title} {:.1} s, {:.1} s",
                seconds(all.len() / 2),
                seconds(all.len() - 1)
            )
        });
        let what = format!("{row}: median and longest of {rounds}, without an acknowledged row");
        table::note(NAME, &what, &columns.join("; "));
    }
    let looks = SUBJECTS.map(|(subject, title)| format!("{title} {}", taken.two_engines(subject)));
    let what = "looks, every 50 ms, at which two engines could write one volume";
    table::note(NAME, what, &looks.join("; "));
}

/// As the client's notes have it.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
