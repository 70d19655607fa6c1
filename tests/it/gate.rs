//! The command `gate`: what it waits for, what it says meanwhile, and who is let through.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

use crate::support::{Scratch, binary, fast, supervisor, unique_name};

/// Nothing takes this long; what would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);
/// The least that `--timeout` takes.
const SHORT: &str = "1s";

/// A running `gate`, and what it prints.
struct Gate {
    child: Child,
    lines: Lines<BufReader<pipe::Receiver>>,
}

impl Gate {
    /// Of the pod `uid`, on the volume at `data_dir`.
    fn start(scratch: &Path, uid: &str, data_dir: &Path, more: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.arg("gate").env_clear();
        for (key, value) in settings(scratch, uid, data_dir, more) {
            command.arg(format!("--{key}")).arg(value);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let stdout = OwnedFd::from(child.stdout.take().expect("it is piped"));
        let stdout = pipe::Receiver::from_owned_fd(stdout).expect("it is a pipe");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// The next line that contains `text`.
    async fn says(&mut self, text: &str) -> String {
        self.says_one_of(&[text]).await
    }

    /// The next line that contains one of `texts`.
    async fn says_one_of(&mut self, texts: &[&str]) -> String {
        let mut said = String::new();
        let found = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if texts.iter().any(|text| line.contains(text)) {
                    return line;
                }
                said.push_str(&line);
            }
            panic!("it ended without {texts:?}: {said}")
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("it is said")
    }

    /// Waits for the end; the exit code and what it printed until then.
    async fn ends(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let drained = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                said.push_str(&line);
                said.push('\n');
            }
        };
        tokio::time::timeout(PATIENCE, drained)
            .await
            .expect("it ends");
        let status = self.child.wait().expect("it is our child");
        (status.code(), said)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Both fail where it has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A state directory for each pod; the port is nobody's.
fn settings(
    scratch: &Path,
    uid: &str,
    data_dir: &Path,
    more: &[(&str, &str)],
) -> Vec<(String, String)> {
    let own = scratch.join(uid);
    let mut settings = fast(&own, &unique_name(), 1, data_dir);
    let own = [
        ("pod-uid", uid),
        ("lease-renew", "200ms"),
        // A claim that takes this long to make is made anew, in another epoch.
        ("lease-fence", "30s"),
        ("lease-stale", "1h"),
    ];
    for (key, value) in own.iter().chain(more) {
        settings.retain(|(before, _)| before != key);
        settings.push(((*key).to_owned(), (*value).to_owned()));
    }
    settings
}

fn volume(scratch: &Scratch) -> std::path::PathBuf {
    let path = scratch.path().join("volume");
    std::fs::create_dir_all(&path).expect("writable");
    path
}

#[tokio::test]
async fn a_new_volume_is_taken_into_use_and_stays_with_the_pod() {
    let scratch = Scratch::new();
    let volume = volume(&scratch);
    let gate = Gate::start(scratch.path(), "pod-a", &volume, &[]);
    let (code, said) = gate.ends().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("open: the lease is held in epoch 1"),
        "{said}"
    );
    // The pod's own supervisor takes the lease on.
    let own = settings(scratch.path(), "pod-a", &volume, &[]);
    let mut supervisor = supervisor(&own, &[("MSSQL_SA_PASSWORD", "x")]).await;
    supervisor.passes("gate").await;
    let mut other = Gate::start(scratch.path(), "pod-b", &volume, &[]);
    other.says("LeaseHeldElsewhere").await;
    let short = [("timeout", SHORT)];
    let (code, said) = Gate::start(scratch.path(), "pod-c", &volume, &short)
        .ends()
        .await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did not open within 1s"), "{said}");
}

#[tokio::test]
async fn of_several_pods_at_one_volume_one_is_let_through() {
    for round in 0..10 {
        let scratch = Scratch::new();
        let volume = volume(&scratch);
        let names = ["pod-a", "pod-b", "pod-c", "pod-d"];
        let gates = names.map(|name| Gate::start(scratch.path(), name, &volume, &[]));
        let mut open = 0;
        for mut gate in gates {
            let said = gate
                .says_one_of(&["open: ", "shut: LeaseHeldElsewhere"])
                .await;
            if said.contains("open: ") {
                assert_eq!(gate.ends().await.0, Some(0));
                open += 1;
            }
        }
        assert_eq!(open, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_volume_that_is_not_the_one_meant_stays_shut() {
    let scratch = Scratch::new();
    let volume = volume(&scratch);
    let never = [("volume-init", "never")];
    let mut gate = Gate::start(scratch.path(), "pod-a", &volume, &never);
    gate.says("shut: VolumeEmpty").await;
    drop(gate);
    let expects = [("volume-id", "orders-1")];
    let (code, said) = Gate::start(scratch.path(), "pod-a", &volume, &expects)
        .ends()
        .await;
    assert_eq!(
        code,
        Some(0),
        "a new volume gets the id that is expected: {said}"
    );
    let other = [("volume-id", "orders-2")];
    let mut gate = Gate::start(scratch.path(), "pod-a", &volume, &other);
    let said = gate.says("shut: VolumeForeign").await;
    assert!(
        said.contains("orders-2") && said.contains("orders-1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_volume_whose_databases_are_gone_stays_shut() {
    let scratch = Scratch::new();
    let volume = volume(&scratch);
    let (code, said) = Gate::start(scratch.path(), "pod-a", &volume, &[])
        .ends()
        .await;
    assert_eq!(code, Some(0), "{said}");
    let engines = [
        ("data/master.mdf", "pages"),
        (
            ".system/instance_id",
            "9A3C4D5E-0000-4000-8000-000000000001",
        ),
    ];
    for (path, contents) in engines {
        let path = volume.join(path);
        std::fs::create_dir_all(path.parent().expect("below the volume")).expect("writable");
        std::fs::write(path, contents).expect("writable");
    }
    // A supervisor that sees the instance notes it.
    let own = settings(scratch.path(), "pod-a", &volume, &[]);
    let mut first = supervisor(&own, &[("MSSQL_SA_PASSWORD", "x")]).await;
    first.passes("gate").await;
    let noted = || {
        let identity = volume.join(".sql-edge-supervisor/identity");
        std::fs::read_to_string(identity).is_ok_and(|text| text.contains("9A3C4D5E"))
    };
    while !noted() {
        assert_eq!(first.get("/livez").await.0, 200);
    }
    drop(first);
    for (path, _) in engines {
        std::fs::remove_file(volume.join(path)).expect("it is ours");
    }
    let mut gate = Gate::start(scratch.path(), "pod-a", &volume, &[]);
    gate.says("shut: VolumeEmpty").await;
    // The wait goes on, and ends by itself once the databases are back.
    for (path, contents) in engines {
        std::fs::write(volume.join(path), contents).expect("writable");
    }
    gate.says("open: ").await;
}

/// The kill comes first, then the claim is stale, then the gate opens. How long that takes is printed,
/// and judged by nobody.
#[tokio::test]
async fn the_volume_of_a_pod_that_was_lost_is_taken_over() {
    let scratch = Scratch::new();
    let volume = volume(&scratch);
    let environment = [("MSSQL_SA_PASSWORD", "x")];
    let lost = [("lease-fence", "1s"), ("lease-stale", "2s")];
    let own = settings(scratch.path(), "pod-a", &volume, &lost);
    let mut holder = supervisor(&own, &environment).await;
    holder.passes("gate").await;
    let mut next = Gate::start(scratch.path(), "pod-b", &volume, &lost);
    let shut = next.says("shut: LeaseHeldElsewhere").await;
    assert!(shut.contains("pod-a"), "{shut}");
    // While the holder renews, the claim does not become stale.
    let renewed = lease_changes(&volume, 15).await;
    assert!(renewed, "the holder renews its claim");
    assert!(next.child.try_wait().expect("our child").is_none());
    holder.signal(Signal::KILL);
    let killed = Instant::now();
    let open = next.says("open: ").await;
    println!(
        "from SIGKILL to the open gate: {:.2} s, with a lease that is stale after 2 s",
        killed.elapsed().as_secs_f64()
    );
    assert!(open.contains("epoch 2"), "{open}");
}

/// Waits until the claim on the volume has changed so many times.
async fn lease_changes(volume: &Path, times: usize) -> bool {
    let claim = volume.join(".sql-edge-supervisor/lease.0000000001");
    let (mut before, mut changes) = (Vec::new(), 0);
    let began = Instant::now();
    while changes <= times && began.elapsed() < PATIENCE {
        let now = std::fs::read(&claim).unwrap_or_default();
        if now != before {
            changes += 1;
            before = now;
        }
        // A file's change raises no event that every file system tells of.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    changes > times
}

#[tokio::test]
async fn a_mistake_and_a_signal_end_the_wait() {
    let scratch = Scratch::new();
    let volume = volume(&scratch);
    let (code, _) = Gate::start(scratch.path(), "pod-a", &volume, &[("lease", "perhaps")])
        .ends()
        .await;
    assert_eq!(code, Some(64));
    let missing = scratch.path().join("absent");
    let mut gate = Gate::start(scratch.path(), "pod-a", &missing, &[]);
    gate.says("shut: VolumeMissing").await;
    kill_process(Pid::from_child(&gate.child), Signal::TERM).expect("it runs");
    gate.says("ended by a signal").await;
    assert_eq!(gate.ends().await.0, Some(1));
}
