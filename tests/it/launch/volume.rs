//! Two pods and one volume: the second one waits for as long as the first one's engine may run.

use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::agent::{PATIENT, Prober, ready};
use super::rig::{Site, kill, stop};
use crate::shared::container::until;
use crate::shared::volumes::{Image, Kind};

/// Rounds of the short version; `LAUNCH_CRASH_LOOPS` gives another number.
const CRASH_LOOPS: u64 = 6;

fn crash_loops() -> u64 {
    let given = std::env::var("LAUNCH_CRASH_LOOPS").ok();
    given.map_or(CRASH_LOOPS, |text| {
        text.parse().expect("a number of rounds")
    })
}

const TIMES: [(&str, &str); 3] = [
    ("lease-renew", "300ms"),
    ("lease-fence", "4s"),
    ("lease-stale", "6s"),
];

/// A site of another pod on the same volume.
fn second(first: &Site, mode: &str) -> Site {
    let mut site = Site::new();
    site.volume = Some(first.data_dir());
    site.set(&[("lease", mode)]);
    site.set(&TIMES);
    site
}

fn first(mode: &str) -> Site {
    let mut site = Site::new();
    site.set(&[("lease", mode)]);
    site.set(&TIMES);
    site
}

async fn crash_loop(mode: &str) {
    let mut a = first(mode);
    a.set(&PATIENT);
    let (supervisor, mut container, address) = ready(&mut a).await;
    let mut b = second(&a, mode);
    let mut waiting = b.launch(&b.shell());
    until(|| b.log().contains("is held by").then_some(())).await;
    let prober = Prober::start(&address);
    kill(supervisor).await;
    for round in 0..crash_loops() {
        // Down for longer than a claim takes to be stale, in some rounds.
        let down = if round % 3 == 2 { 7000 } else { 300 };
        tokio::time::sleep(Duration::from_millis(down)).await;
        let supervisor = a.supervisor(&[]).await;
        tokio::time::sleep(Duration::from_millis(211 * (round % 5))).await;
        kill(supervisor).await;
        assert!(b.events("the command runs").is_empty(), "{}", b.log());
    }
    let (asked, cut) = prober.end().await;
    assert_eq!(cut, 0, "{}", a.log());
    assert!(asked > 0, "{mode}");
    assert!(!a.log().contains("fence: SIGKILL"), "{}", a.log());
    assert!(b.events("the command runs").is_empty(), "{}", b.log());
    // It is its turn once the other one has ended.
    assert_eq!(stop(&mut container).await.code(), Some(0), "{}", a.log());
    b.announced().await;
    assert_eq!(stop(&mut waiting).await.code(), Some(0), "{}", b.log());
}

#[tokio::test]
async fn a_supervisor_in_a_crash_loop_gives_no_volume_away_strict() {
    crash_loop("strict").await;
}

#[tokio::test]
async fn a_supervisor_in_a_crash_loop_gives_no_volume_away_advisory() {
    crash_loop("advisory").await;
}

#[tokio::test]
async fn pid_1_fences_in_time_with_the_agent_stopped() {
    let mut a = first("strict");
    let (supervisor, mut container, _) = ready(&mut a).await;
    std::fs::write(a.path("termination-log"), "").expect("writable");
    kill(supervisor).await;
    let mut b = second(&a, "strict");
    let mut waiting = b.launch(&b.shell());
    until(|| b.log().contains("is held by").then_some(())).await;
    kill_process(a.agent(&container).await, Signal::STOP).expect("it runs");
    assert_eq!(container.ends().await.code(), Some(137), "{}", a.log());
    b.announced().await;
    // The second one may run as soon as PID 1 of the first one is gone, which this test may see later.
    let moment = |event: &Value| event["timestamp"].as_str().expect("a time").to_owned();
    let fence = a.says(
        "fence: SIGKILL to everything, the lease on the volume was not renewed in time or is lost",
    );
    let (fence, ran) = (fence.await, b.says("the command runs").await);
    assert!(moment(&fence) < moment(&ran), "{fence}\n{ran}");
    assert_eq!(stop(&mut waiting).await.code(), Some(0), "{}", b.log());
}

async fn stalled(mode: &str) -> Site {
    let mut site = first(mode);
    let image = Image::mounted(Kind::Ext4, site.scratch.path(), &site.path("image"));
    site.volume = Some(image.path().to_owned());
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    image.freeze();
    match mode {
        "strict" => {
            until(|| {
                site.log()
                    .contains("fence: SIGKILL to everything")
                    .then_some(())
            })
            .await;
            image.thaw();
            assert_eq!(container.ends().await.code(), Some(137), "{}", site.log());
        }
        _ => {
            // Longer than a renewal counts for.
            tokio::time::sleep(Duration::from_secs(8)).await;
            image.thaw();
            assert!(container.runs(), "{}", site.log());
            assert_eq!(stop(&mut container).await.code(), Some(0), "{}", site.log());
        }
    }
    drop(container);
    drop(image);
    site
}

#[tokio::test]
async fn a_stalled_volume_fences_a_strict_lease_alone() {
    stalled("strict").await;
    let site = stalled("advisory").await;
    assert!(!site.log().contains("fence: SIGKILL"), "{}", site.log());
}
