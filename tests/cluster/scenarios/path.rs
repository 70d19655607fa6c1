//! Where the time goes between `kubectl delete pod` and the next pod that is ready: step by step, by the logs of both
//! pods and the API's watch.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::cluster::{kubectl, outcome};
use crate::namespace::Namespace;
use crate::pods::{pod_name, uid};
use crate::release::{PATIENCE, Release};
use crate::table;

pub const NAME: &str = "path of a deletion";
const ROUNDS: usize = 5;

/// By what the end of a step is known.
enum Mark {
    /// The pod that is deleted says it, in this container.
    Before(&'static str, &'static str),
    /// The API tells of the next pod.
    Created,
    /// The next pod says it.
    After(&'static str, &'static str),
    /// The API calls the next pod ready.
    Ready,
}

use Mark::{After, Before, Created, Ready};

const STEPS: &[(&str, Mark)] = &[
    (
        "the kubelet runs preStop",
        Before("supervisor", "stop: not ready from now on"),
    ),
    (
        "nobody is connected",
        Before("supervisor", "stop: nobody is connected"),
    ),
    (
        "CHECKPOINT in each database",
        Before("supervisor", "stop: checkpoints made"),
    ),
    (
        "SIGTERM, the engine's own shutdown",
        Before("supervisor", "ended cleanly"),
    ),
    (
        "the agent gives the lease up and ends",
        Before("sql", "the agent has done its work"),
    ),
    ("containers and pod end, the next pod is made", Created),
    (
        "scheduled, volume and sandbox, the supervisor runs",
        After("supervisor", "supervising"),
    ),
    ("the SQL container's start", After("sql", "launches")),
    (
        "link, lease, gate, the command",
        After("sql", "the command runs"),
    ),
    (
        "the engine's own start",
        After("sql", "now ready for client connections"),
    ),
    ("readinessProbe, the pod is ready", Ready),
];

/// A container's log, read while it is written.
struct Log(Child);

impl Log {
    fn follow(namespace: &Namespace, pod: &Pod, container: &str) -> Self {
        let line = format!(
            "--namespace {} logs {} --container={container} --timestamps --follow",
            namespace.name,
            pod_name(pod)
        );
        let mut kubectl = kubectl(line.split(' '));
        let kubectl = kubectl.stdin(Stdio::null()).stdout(Stdio::piped());
        Self(kubectl.spawn().expect("kubectl runs"))
    }

    /// All of it: it ends with the container.
    fn text(mut self) -> String {
        let mut text = String::new();
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        stdout.read_to_string(&mut text).expect("UTF-8");
        self.0.wait().expect("it ends");
        text
    }
}

/// When the log last said it.
fn said(log: &str, words: &str) -> SystemTime {
    let line = log.lines().rev().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("nobody said {words:?}:\n{log}"));
    let at = line.split(' ').next().expect("a timestamp");
    humantime::parse_rfc3339(at).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn log_of(namespace: &Namespace, pod: &Pod, container: &str) -> String {
    let line = format!(
        "--namespace {} logs {} --container={container} --timestamps",
        namespace.name,
        pod_name(pod)
    );
    let output = outcome(&mut kubectl(line.split(' ')), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Deletes a pod; the end of each step.
fn walk(release: &Release<'_>, pod: &Pod) -> (Pod, Vec<Duration>) {
    let namespace = release.namespace;
    let logs = ["supervisor", "sql"].map(|container| Log::follow(namespace, pod, container));
    let began = SystemTime::now();
    namespace.ask(&format!("delete pod {} --wait=false", pod_name(pod)));
    release.until("the next pod", PATIENCE, |next| {
        (uid(next) != uid(pod)).then_some(())
    });
    let created = SystemTime::now();
    let next = release.ready_after(pod, PATIENCE);
    let ready = SystemTime::now();
    let before = logs.map(Log::text);
    let after = ["supervisor", "sql"].map(|container| log_of(namespace, &next, container));
    let of = |logs: &[String; 2], container: &str, words: &str| {
        said(&logs[usize::from(container == "sql")], words)
    };
    let ends = STEPS.iter().map(|(_, mark)| match mark {
        Before(container, words) => of(&before, container, words),
        After(container, words) => of(&after, container, words),
        Created => created,
        Ready => ready,
    });
    let since = |at: SystemTime| at.duration_since(began).unwrap_or_default();
    (next, ends.map(since).collect())
}

pub fn run() {
    let namespace = Namespace::new("path");
    let release = Release::install(&namespace, "sql", &json!({}));
    let mut pod = release.ready();
    let mut walks = Vec::new();
    for _ in 0..ROUNDS {
        let (next, ends) = walk(&release, &pod);
        pod = next;
        walks.push(ends);
    }
    let mut before = Duration::ZERO;
    for (at, (step, _)) in STEPS.iter().enumerate() {
        let mut ends: Vec<Duration> = walks.iter().map(|ends| ends[at]).collect();
        ends.sort_unstable();
        let end = ends[ROUNDS / 2];
        let took = end.saturating_sub(before).as_secs_f64();
        let figure = format!("{took:.2} s, over at {:.2} s", end.as_secs_f64());
        table::note(NAME, &format!("{step} (medians of {ROUNDS})"), &figure);
        before = end;
    }
}
