//! The pods of a namespace, as a watch of the API tells of them.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use serde::Deserialize;

use crate::cluster::kubectl;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Pod,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, Pod>,
    /// When which pod became ready, or ceased to be.
    ready: Vec<(Instant, String, bool)>,
    ended: bool,
}

/// A running watch.
pub struct Pods {
    shared: Arc<(Mutex<State>, Condvar)>,
    kubectl: Child,
}

impl Pods {
    pub fn watch(namespace: &str) -> Self {
        let line = ["get", "pods", "--namespace", namespace, "--watch"];
        let line = line
            .iter()
            .chain(&["--output-watch-events", "--output=json"]);
        let mut kubectl = kubectl(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let stdout = kubectl.stdout.take().expect("it is piped");
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let heard = Arc::clone(&shared);
        std::thread::spawn(move || {
            let events = serde_json::Deserializer::from_reader(std::io::BufReader::new(stdout));
            for event in events.into_iter::<Event>() {
                let Ok(event) = event else { break };
                lock(&heard.0).take(event);
                heard.1.notify_all();
            }
            lock(&heard.0).ended = true;
            heard.1.notify_all();
        });
        Self { shared, kubectl }
    }

    /// Waits until there is what is looked for among the pods that are there; an hour of nothing is no answer.
    pub fn until<T>(&self, what: &str, seconds: u64, found: impl Fn(&[&Pod]) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let mut state = lock(&self.shared.0);
        loop {
            let pods: Vec<&Pod> = state.pods.values().collect();
            if let Some(found) = found(&pods) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let are: Vec<String> = pods.iter().map(|pod| summary(pod)).collect();
            assert!(!state.ended, "the watch of the pods ended: {what}");
            assert!(
                !left.is_zero(),
                "after {seconds} s still not: {what}\n{}",
                are.join("\n")
            );
            let waited = self.shared.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Since then: how long in all no pod was ready but the client's.
    pub fn not_ready_since(&self, from: Instant, was_ready: bool) -> Duration {
        let state = lock(&self.shared.0);
        let mut ready: BTreeMap<&str, bool> = BTreeMap::new();
        let (mut since, mut away) = (from, Duration::ZERO);
        let mut any = was_ready;
        for (at, pod, is) in &state.ready {
            ready.insert(pod, *is);
            let now = ready.values().any(|ready| *ready);
            if *at < from {
                any = now;
                continue;
            }
            if !any {
                away += at.duration_since(since);
            }
            since = *at;
            any = now;
        }
        if !any {
            away += since.elapsed();
        }
        away
    }
}

impl State {
    fn take(&mut self, event: Event) {
        let Some(uid) = event.object.metadata.uid.clone() else {
            return;
        };
        let was = self.pods.get(&uid).is_some_and(ready);
        let is = event.kind != "DELETED" && ready(&event.object);
        let helper = app(&event.object) == "client";
        if was != is && !helper {
            self.ready.push((Instant::now(), uid.clone(), is));
        }
        if event.kind == "DELETED" {
            self.pods.remove(&uid);
        } else {
            self.pods.insert(uid, event.object);
        }
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        // The script has become kubectl by exec.
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The application that a pod belongs to.
pub fn app(pod: &Pod) -> &str {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get("app.kubernetes.io/name"))
        .map_or("", String::as_str)
}

pub fn pod_name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Ready, and not about to go.
pub fn ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let ready = |mut all: Box<dyn Iterator<Item = _> + '_>| {
        all.any(|c: &k8s_openapi::api::core::v1::PodCondition| {
            c.type_ == "Ready" && c.status == "True"
        })
    };
    pod.metadata.deletion_timestamp.is_none() && ready(Box::new(conditions))
}

/// What the kubelet says of a container, ordinary or sidecar.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = [&status.container_statuses, &status.init_container_statuses];
    all.into_iter()
        .flatten()
        .flatten()
        .find(|container| container.name == name)
}

/// The id of a container that runs.
pub fn running(pod: &Pod, name: &str) -> Option<String> {
    let container = container(pod, name)?;
    container.state.as_ref()?.running.as_ref()?;
    container.container_id.clone()
}

pub fn restarts(pod: &Pod, name: &str) -> i32 {
    container(pod, name).map_or(0, |container| container.restart_count)
}

/// How its last life ended.
pub fn last_end<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStateTerminated> {
    let container = container(pod, name)?;
    let ends = [&container.last_state, &container.state];
    ends.into_iter()
        .flatten()
        .find_map(|state| state.terminated.as_ref())
}

/// For people.
pub fn summary(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let containers = status.iter().flat_map(|s| {
        [&s.init_container_statuses, &s.container_statuses]
            .into_iter()
            .flatten()
            .flatten()
    });
    let containers: Vec<String> = containers
        .map(|c| {
            let state = c.state.as_ref().map(|s| (&s.waiting, &s.terminated));
            let why = match state {
                Some((Some(waiting), _)) => waiting.reason.clone().unwrap_or_default(),
                Some((_, Some(ended))) => format!("exit {}", ended.exit_code),
                _ => "runs".to_owned(),
            };
            format!(
                "{} {why} ready={} restarts={}",
                c.name, c.ready, c.restart_count
            )
        })
        .collect();
    let phase = status.and_then(|s| s.phase.as_deref()).unwrap_or_default();
    let going = pod.metadata.deletion_timestamp.is_some();
    format!(
        "  {} {phase} going={going}: {}",
        pod_name(pod),
        containers.join("; ")
    )
}
