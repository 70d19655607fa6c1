//! How long `/livez` takes: alone, with everything stalled around it, and beside many scrapes.
//!
//! Four kinds of request take turns, each at 100 a second: the supervisor and the floor
//! ([`crate::floor`]), each on a kept connection and on a new one. The pace is the client's own,
//! whatever the answers take, so that this is what a kubelet sees and no test of throughput. What is
//! timed begins with the first system call for a request (for a new connection, connect(2)) and ends
//! with the last byte of its answer. Client and servers share the machine.
//!
//! **Noise.** A window in which the bare thread of the floor itself comes near the limit says nothing
//! about the supervisor: it is measured again, a few times. Which window counts is decided by the
//! floor alone. If none was quiet, the figure is called too noisy, which is no pass.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Plan;
use crate::client::{Answer, Client, get_once, sleep_until};
use crate::floor::Floor;
use crate::load::{SlowHeads, scrapes};
use crate::report::{Report, Samples, Verdict};
use crate::rig::{FAST, Rig, Setup, blocking, many_databases};

const LIMIT: Duration = Duration::from_millis(1);
/// From one request to the next: each of the four kinds comes every 10 ms.
const PACE: Duration = Duration::from_micros(2500);
/// A window is quiet while the floor's p99 is below this: half of the limit.
const QUIET: Duration = Duration::from_micros(500);
/// Windows that are tried, for a quiet one.
pub const WINDOWS: u32 = 8;
/// Rounds that are not counted.
const WARM_UP: u32 = 20;
pub const SLOW_HEADS: u32 = 200;
pub const SCRAPES_A_SECOND: u32 = 50;

/// The times of each kind.
#[derive(Default)]
pub struct Times {
    kept: Samples,
    new: Samples,
    floor_kept: Samples,
    floor_new: Samples,
}

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let setup = Setup {
        settings: FAST,
        script: many_databases(),
        fuse: true,
    };
    let mut rig = Rig::start(plan, setup).await?;
    let rounds = plan.scale(1000, 50);
    let address = rig.address;

    let windows = plan.scale(WINDOWS, 1);
    let times = quiet(address, rounds, windows).await?;
    add(report, "alone", true, &times);

    let load = scrapes(address, SCRAPES_A_SECOND)?;
    let times = quiet(address, rounds, windows).await?;
    load.end()?;
    add(report, "50 scrapes a second", false, &times);

    stall(&mut rig).await?;
    let slow = SlowHeads::start(address, SLOW_HEADS);
    while slow.opened() < SLOW_HEADS as usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let times = quiet(address, rounds, windows).await?;
    slow.end()?;
    let what = "engine hung, volume stalled, 200 slow heads";
    add(report, what, true, &times);
    Ok(())
}

/// The engine hangs and the volume stalls, and both have been noticed.
async fn stall(rig: &mut Rig) -> anyhow::Result<()> {
    rig.stall_volume().await?;
    rig.hang_engine().await
}

impl Times {
    fn quiet(&self) -> bool {
        self.floor_kept.p99().max(self.floor_new.p99()) < QUIET
    }
}

/// The first quiet window, or the last.
pub async fn quiet(address: SocketAddr, rounds: u32, windows: u32) -> anyhow::Result<Times> {
    let mut times = Times::default();
    for _ in 0..windows {
        times = blocking(move || take_turns(address, rounds)).await?;
        if times.quiet() {
            break;
        }
    }
    Ok(times)
}

fn take_turns(address: SocketAddr, rounds: u32) -> anyhow::Result<Times> {
    let (floor_kept, floor_new) = (Floor::start()?, Floor::start()?);
    let mut kept = Client::connect(address)?;
    let mut floor = Client::connect(floor_kept.address)?;
    let mut times = Times::default();
    let mut next = Instant::now();
    for round in 0..rounds + WARM_UP {
        let mut turn = |samples: &mut Samples, get: &mut dyn FnMut() -> std::io::Result<Answer>| {
            next += PACE;
            sleep_until(next);
            let began = Instant::now();
            let answer = get()?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
            if round >= WARM_UP {
                samples.push(answer.at.duration_since(began));
            }
            Ok(())
        };
        turn(&mut times.kept, &mut || kept.get("/livez"))?;
        turn(&mut times.floor_kept, &mut || floor.get("/livez"))?;
        turn(&mut times.new, &mut || get_once(address, "/livez"))?;
        turn(&mut times.floor_new, &mut || {
            get_once(floor_new.address, "/livez")
        })?;
    }
    Ok(times)
}

pub fn add(report: &mut Report, what: &str, limited: bool, times: &Times) {
    for (connection, samples, floor) in [
        ("kept connection", &times.kept, &times.floor_kept),
        ("new connections", &times.new, &times.floor_new),
    ] {
        let figure = format!("`/livez`, {what}: {connection}");
        if limited {
            let verdict = match samples.p99() < LIMIT {
                false if !times.quiet() => Verdict::Unknown,
                holds => Verdict::of(holds),
            };
            report.conclude(&figure, "p99 < 1 ms", samples, verdict);
        } else {
            report.note(&figure, samples);
        }
        report.note("floor: a bare thread, same client, same time", floor);
    }
}
