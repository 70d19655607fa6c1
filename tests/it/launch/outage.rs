//! A supervisor that dies again and again, and stays away: the engine runs on, `/livez` passes, and
//! what it says when it is back is heard.
//!
//! The long version kills it at random moments for ten minutes and keeps it down for five:
//! `LAUNCH_OUTAGE_SECONDS=600 LAUNCH_DOWN_SECONDS=300 cargo test --test it outage -- --nocapture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::agent::WAITING;
use super::rig::{Site, kill, stop};
use crate::shared::http::try_get;

/// Kills of the short version.
const KILLS: u32 = 20;
/// The longest life of a supervisor between two of them.
const LONGEST_LIFE: Duration = Duration::from_millis(1500);

fn seconds(variable: &str) -> Option<Duration> {
    let text = std::env::var(variable).ok()?;
    Some(Duration::from_secs(
        text.parse().expect("a number of seconds"),
    ))
}

/// A number below `limit`, from one and the same sequence each time.
fn random(state: &mut u64, limit: u64) -> u64 {
    // xorshift64, Marsaglia 2003
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % limit
}

#[tokio::test]
async fn a_supervisor_that_dies_costs_nothing_and_is_heard_when_it_is_back() {
    let mut site = Site::new();
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    let address = site.probes().await;
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    // As fast as answers come: whatever the moment, the answer is 200.
    let probe = tokio::spawn(async move {
        loop {
            let begun = Instant::now();
            match try_get(&address, "/livez").await {
                Ok((200, _)) => count.fetch_add(1, Ordering::Relaxed),
                Err(_) if begun.elapsed() >= WAITING => continue,
                other => return format!("{other:?}"),
            };
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (outage, began) = (seconds("LAUNCH_OUTAGE_SECONDS"), Instant::now());
    let (mut state, mut kills) = (0x5eed_u64, 0);
    while outage.map_or(kills < KILLS, |outage| began.elapsed() < outage) {
        let supervisor = site.supervisor(&[]).await;
        let life = random(&mut state, LONGEST_LIFE.as_millis() as u64);
        tokio::time::sleep(Duration::from_millis(life)).await;
        kill(supervisor).await;
        kills += 1;
    }
    let down = seconds("LAUNCH_DOWN_SECONDS").unwrap_or(Duration::from_secs(6));
    tokio::time::sleep(down).await;
    let ended = site.events("the agent has ended; the engine runs on");
    assert!(ended.is_empty(), "{}", site.log());
    assert!(!probe.is_finished(), "{:?}", probe.await);
    assert!(container.runs(), "{}", site.log());
    let linked = site.events("linked with the supervisor").len();
    println!(
        "{kills} kills in {:?}, {linked} links, then {down:?} without; {} answers, all 200",
        began.elapsed() - down,
        asked.load(Ordering::Relaxed)
    );
    assert!(linked > 0, "{}", site.log());
    assert!(
        site.events("restart: SIGTERM sent").is_empty(),
        "{}",
        site.log()
    );

    // It hangs while nobody looks: the verdict comes with the supervisor's return.
    probe.abort();
    let outer = container.finds(&site.name, |_| true).await.pid;
    let inner = container.finds(&site.name, |p| p.parent == outer).await.pid;
    kill_process(Pid::from_raw(inner).expect("a pid"), Signal::STOP).expect("it runs");
    let mut supervisor = site.supervisor(&[]).await;
    let decided = supervisor
        .event(|event| event["message"] == "the engine is to be restarted")
        .await;
    assert_eq!(decided["by"], "supervisor", "{decided}");
    // Right behind the verdict it is gone, and back again: the verdict arrives all the same.
    kill(supervisor).await;
    let _supervisor = site.supervisor(&[]).await;
    assert_eq!(container.ends().await.code(), Some(137), "{}", site.log());
    let mut container = site.launch(&site.shell());
    site.announced().await;
    site.says("the engine runs").await;
    assert_eq!(stop(&mut container).await.code(), Some(0));
}
