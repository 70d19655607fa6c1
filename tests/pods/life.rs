//! The life of a pod: it comes up, its engine is killed, it is stopped, and the next one goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::journal;
use crate::manifest::Mode;
use crate::pod::{Pod, SQL, SUPERVISOR, Volume, kill};

/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows that show that a client is served.
const ROWS: u64 = 20;
/// CAP_NET_BIND_SERVICE, capabilities(7), as /proc has it.
const NET_BIND_SERVICE: u64 = 1 << 10;

#[tokio::test]
async fn a_pod_with_launch_lives() {
    life(Mode::Launch).await;
}

#[tokio::test]
async fn a_pod_with_a_shared_pid_namespace_lives() {
    life(Mode::Attach).await;
}

async fn life(mode: Mode) {
    let volume = Volume::new();
    let mut pod = Pod::play(mode, &volume);
    pod.runs().await;
    pod.passes("ready").await;
    let failed = pod.asked_by_the_kubelet().await;
    assert!(failed.is_empty(), "{failed:?}");
    is_hardened(&pod);
    sees(&pod).await;
    let epoch = pod.epoch().await;

    let writer = pod.writer(1).await;
    writer.acknowledges(ROWS).await;
    is_killed(&pod).await;
    writer.acknowledges(ROWS).await;
    is_stopped(&pod).await;
    let written = writer.written();
    let name = pod.name.clone();
    drop((writer, pod));
    has_all(&volume, &written.acknowledged);

    let mut next = Pod::play(mode, &volume);
    next.runs().await;
    next.passes("ready").await;
    assert!(next.epoch().await > epoch, "another pod, another epoch");
    let first = i64::try_from(written.attempted()).expect("few rows") + 1;
    let writer = next.writer(first).await;
    writer.acknowledges(ROWS).await;
    let mut all = written.acknowledged;
    all.extend(writer.written().acknowledged);
    has_all(&volume, &all);
    let clean = |entry: &Value| entry["event"] == "stopped" && entry["clean"] == true;
    let history = history(&next);
    assert!(
        history
            .iter()
            .any(|entry| entry["pod"] == *name && clean(entry)),
        "{history:?}"
    );
}

/// What the kernel has of both containers, by /proc/PID/status and mountinfo, proc(5).
fn is_hardened(pod: &Pod) {
    for (container, bounding) in [(SUPERVISOR, 0), (SQL, NET_BIND_SERVICE)] {
        let status = pod.proc_file(container, "status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} in {status}")).trim()
        };
        assert_eq!(field("Uid:"), ["10001"; 4].join("\t"), "{container}");
        let capabilities = |name| u64::from_str_radix(field(name), 16).expect("hexadecimal");
        assert_eq!(capabilities("CapBnd:"), bounding, "{container}");
        // podman gives an added one to the process as well, which containerd does not.
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(capabilities(set) & !bounding, 0, "{container} {set}");
        }
        assert_eq!(field("NoNewPrivs:"), "1", "{container}");
        assert_eq!(field("Seccomp:"), "2", "{container} is filtered");
    }
    let mounts = pod.proc_file(SUPERVISOR, "mountinfo");
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5));
    assert!(
        options.is_some_and(|options| options.starts_with("ro")),
        "{root:?}"
    );
}

/// What the supervisor sees of it all.
async fn sees(pod: &Pod) {
    let status = pod.status().await;
    assert_eq!(status["process"]["state"], "running", "{status}");
    assert_eq!(status["lease"]["holder"], Value::Null, "{status}");
    let volume = &status["volume"];
    assert!(volume["identity"]["volumeId"].is_string(), "{volume}");
    if pod.mode == Mode::Launch {
        // The first look at the control group comes some seconds after the first at the processes.
        let looked = tokio::time::timeout(PATIENCE, async {
            loop {
                let limit = pod.status().await["cgroup"]["memoryLimitBytes"].take();
                if !limit.is_null() {
                    return limit;
                }
            }
        });
        let limit = looked.await.expect("the control group is looked at");
        assert_eq!(limit, 2_u64 << 30, "the container's own limit");
    }
}

/// The engine is killed: its container ends, which is seen and said; started again, it serves.
async fn is_killed(pod: &Pod) {
    let inner = *pod.engine().get(1).expect("two processes");
    kill(inner);
    assert_eq!(
        pod.ends(SQL).await,
        128 + 9,
        "the container ends as the engine did"
    );
    // Whoever is not the parent may learn too late how it ended: the kernel forgets that with the reaped.
    let code = match pod.mode {
        Mode::Attach => "Process",
        Mode::Launch | Mode::Classic | Mode::Field(_) => "ProcessKilled",
    };
    pod.fails("ready", code).await;
    pod.passes("live").await;
    pod.start(SQL);
    pod.passes("ready").await;
    let history = history(pod);
    let ended = |entry: &&Value| entry["event"] == "ended";
    assert!(history.iter().any(|entry| ended(&entry)), "{history:?}");
}

/// As the kubelet deletes a pod: preStop, SIGTERM to what is left, the sidecar last.
async fn is_stopped(pod: &Pod) {
    let hook = pod.stop_hook();
    let said = String::from_utf8_lossy(&hook.stdout).into_owned();
    assert!(
        hook.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&hook.stderr)
    );
    assert_eq!(pod.ends(SQL).await, 0, "{said}: a clean end");
    pod.terminate(SUPERVISOR);
    assert_eq!(pod.ends(SUPERVISOR).await, 0);
}

pub fn history(pod: &Pod) -> Vec<Value> {
    let output = pod.exec(SUPERVISOR, &["/sql-edge-supervisor", "history", "--json"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Whether all these rows are on the volume, once each; how many there are.
pub fn has_all(volume: &Volume, acknowledged: &[i64]) -> usize {
    has_all_in(&volume.path(), acknowledged)
}

/// The same in the engine's directory at this place.
pub fn has_all_in(directory: &Path, acknowledged: &[i64]) -> usize {
    let rows = journal::read(directory).expect("the table");
    let mut ids = BTreeSet::new();
    for (id, _) in &rows {
        assert!(ids.insert(*id), "row {id} is there twice");
    }
    let lost: Vec<_> = acknowledged.iter().filter(|id| !ids.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    rows.len()
}
