//! The lease in attach mode, on real files: who is followed, who is fenced, and who is left alone.

use std::path::Path;

use rustix::process::{Pid, test_kill_process};
use sql_edge_supervisor::decide::lease::{Claim, Epoch, HolderIdentity};
use sql_edge_supervisor::records::claims::block::encode;

use crate::standin::handle::StandIn;
use crate::support::{Scratch, standin, supervise, unique_name};

/// A claim of another's would not become stale while a test runs.
const LASTING: [(&str, &str); 3] = [
    ("lease", "advisory"),
    ("lease-renew", "100ms"),
    ("lease-stale", "1h"),
];

fn state_dir(standin: &StandIn) -> std::path::PathBuf {
    standin.options().directory.join("state")
}

fn runs(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Waits until the holder's file beside the claim names the engine.
async fn until_recorded(standin: &StandIn) {
    let folder = standin.data_dir().join(".sql-edge-supervisor");
    let engine = format!("\nengine {} ", standin.parent_pid());
    loop {
        let files = std::fs::read_dir(&folder).expect("it is there").flatten();
        let holders =
            files.filter(|file| file.file_name().to_string_lossy().starts_with("holder."));
        let mut texts = holders.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        if texts.any(|text| text.contains(&engine)) {
            return;
        }
        // A file of another process raises no event here.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Writes the claim of somebody else on the volume.
pub fn claimed(data_dir: &Path, epoch: Epoch) {
    let folder = data_dir.join(".sql-edge-supervisor");
    std::fs::create_dir_all(&folder).expect("it is writable");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
    let claim = Claim {
        epoch,
        first: epoch,
        holder: HolderIdentity {
            id: "34c6b743-0466-4b6c-8396-bd1c7fa6afcd".to_owned(),
            node: "node".to_owned(),
            boot_id: boot.trim().to_owned(),
        },
        heartbeat: 3,
        nonce: 5,
        released: false,
    };
    let name = format!("lease.{epoch:010}");
    std::fs::write(folder.join(name), encode(&claim)).expect("writable");
}

/// Measured before it was mended: SIGKILL to the engine 6 ms after the second supervisor's start.
#[tokio::test]
async fn a_supervisor_that_has_lost_its_state_leaves_its_own_engine_alone() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut first = supervise(&standin, &name, &LASTING).await;
    first.passes_all(&["gate", "ready"]).await;
    until_recorded(&standin).await;
    // SIGKILL; and with the container's file system goes the random name that it had.
    drop(first);
    std::fs::remove_dir_all(state_dir(&standin)).expect("it is there");
    let second = supervise(&standin, &name, &LASTING).await;
    second
        .status_with(|status| status["lease"]["state"] == "held")
        .await;
    second.answers("/gatez", 200).await;
    // All that it has said, and not only what was read of it meanwhile.
    let (_, log) = second.terminate().await;
    assert!(
        !log.contains("Fencing") && !log.contains("SIGKILL"),
        "{log}"
    );
    assert!(runs(standin.child_pid()) && runs(standin.parent_pid()));
}

/// A claim of a random name, as a supervisor of the first release left it, may be that of this pod's own.
#[tokio::test]
async fn a_claim_that_may_be_ones_own_is_waited_for_and_kills_nothing() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    claimed(&standin.data_dir(), 7);
    let short = [
        ("lease-renew", "100ms"),
        ("lease-fence", "1s"),
        ("lease-stale", "5s"),
    ];
    let mut supervisor = supervise(&standin, &name, &short).await;
    // A change of evidence raises no event.
    let state = loop {
        let status = supervisor.status().await;
        let state = status["lease"]["state"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned();
        if state != "unknown" {
            break state;
        }
    };
    assert_eq!(state, "watched", "{}", supervisor.log);
    let held = supervisor
        .event(|event| event["message"] == "the lease is held" || event["code"] == "Fencing")
        .await;
    assert_eq!(held["epoch"], 8, "{}", supervisor.log);
    supervisor.passes("gate").await;
    assert!(!supervisor.log.contains("SIGKILL"), "{}", supervisor.log);
    assert!(runs(standin.child_pid()) && runs(standin.parent_pid()));
}
