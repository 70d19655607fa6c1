//! From SIGTERM to the end of the process, whatever hangs around it. What is left out is what no
//! process can end in: a request to a device that the kernel does not give up, not even at SIGKILL
//! (see [`Rig::stall_volume`]).

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Plan;
use crate::load::SlowHeads;
use crate::probes::SLOW_HEADS;
use crate::report::{Report, Samples};
use crate::rig::{FAST, Rig, Setup};

const LIMIT: Duration = Duration::from_secs(2);

/// What is wrong while the supervisor is told to end.
#[derive(Clone, Copy, Default)]
struct Trouble {
    hang: bool,
    stall: bool,
    slow_heads: bool,
}

const TROUBLES: [(&str, Trouble); 5] = {
    let none = Trouble {
        hang: false,
        stall: false,
        slow_heads: false,
    };
    [
        ("healthy", none),
        ("engine hung", Trouble { hang: true, ..none }),
        (
            "volume stalled",
            Trouble {
                stall: true,
                ..none
            },
        ),
        (
            "200 slow connections",
            Trouble {
                slow_heads: true,
                ..none
            },
        ),
        (
            "all of these",
            Trouble {
                hang: true,
                stall: true,
                slow_heads: true,
            },
        ),
    ]
};

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for (name, trouble) in TROUBLES {
        let mut took = Samples::default();
        for _ in 0..plan.scale(5, 1) {
            took.push(stop(plan, trouble).await?);
        }
        let figure = format!("SIGTERM until exit 0: {name}");
        report.judge(&figure, "max ≤ 2 s", &took, took.max() <= LIMIT);
    }
    Ok(())
}

async fn stop(plan: &Plan, trouble: Trouble) -> anyhow::Result<Duration> {
    let setup = Setup {
        settings: FAST,
        fuse: trouble.stall,
        ..Setup::default()
    };
    let mut rig = Rig::start(plan, setup).await?;
    if trouble.stall {
        rig.stall_volume().await?;
    }
    if trouble.hang {
        rig.hang_engine().await?;
    }
    let slow = trouble
        .slow_heads
        .then(|| SlowHeads::start(rig.address, SLOW_HEADS));
    if let Some(slow) = &slow {
        while slow.opened() < SLOW_HEADS as usize {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let Rig {
        supervisor,
        engine,
        fuse,
        ..
    } = rig;
    let told = Instant::now();
    let (status, log) = supervisor.terminate().await;
    let took = told.elapsed();
    ensure!(status.success(), "it ended with {status}:\n{log}");
    // Only now: it had to end while they hung. The load may have met a closed port.
    drop((slow, engine, fuse));
    Ok(took)
}
