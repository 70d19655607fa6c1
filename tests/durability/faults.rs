//! What fails in a round, and what must come of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::container::send;
use crate::pod::{Pod, Which};
use crate::run::{LOOK, PATIENCE, Run};
use crate::shared::http::get;
use crate::shared::writer::Writer;

/// From SIGTERM to SIGKILL for a pod without an engine.
const GRACE: Duration = Duration::from_secs(2);

/// A fault at a random moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL for the engine's inner process.
    EngineChild,
    /// SIGKILL for its outer one.
    EngineParent,
    /// SIGKILL for the first process of the SQL container.
    Launcher,
    /// SIGKILL for its agent, which holds the lease.
    Agent,
    /// SIGKILL for the sidecar.
    Sidecar,
    /// For both at once.
    Both,
    /// The pod is deleted with its preStop hook, another one follows.
    Stop,
    /// The pod is deleted without one: SIGTERM alone.
    Terminate,
    /// The engine hangs, and the supervisor has to see it.
    Hang,
    /// The whole pod is lost with its node.
    Lost,
    /// A second pod is started while the first one works, which is then stopped.
    Overlap,
    /// The whole pod is frozen, another one takes over, and then the first one thaws.
    Frozen,
}

impl Fault {
    pub const ALL: [Self; 12] = [
        Self::EngineChild,
        Self::EngineParent,
        Self::Launcher,
        Self::Agent,
        Self::Sidecar,
        Self::Both,
        Self::Stop,
        Self::Terminate,
        Self::Hang,
        Self::Lost,
        Self::Overlap,
        Self::Frozen,
    ];

    /// Lets it happen; returns once whoever writes now can go on.
    pub async fn happen(self, run: &mut Run) -> anyhow::Result<()> {
        engine_is_seen(run).await?;
        match self {
            Self::EngineChild => engine(run, 1, Signal::KILL).await,
            Self::EngineParent => engine(run, 0, Signal::KILL).await,
            Self::Hang => hang(run).await,
            Self::Launcher => killed(run, &[Which::Sql]).await,
            Self::Agent => agent(run).await,
            Self::Sidecar => killed(run, &[Which::Sidecar]).await,
            Self::Both => killed(run, &[Which::Sql, Which::Sidecar]).await,
            Self::Stop => {
                stop(run, true).await?;
                run.next_pod().await
            }
            Self::Terminate => {
                stop(run, false).await?;
                run.next_pod().await
            }
            Self::Lost => lost(run).await,
            Self::Overlap => overlap(run).await,
            Self::Frozen => frozen(run).await,
        }
    }
}

/// The stand-in serves within a tenth of a second, and may be killed before anybody has looked: of such an
/// engine nobody can tell how it ended. A real one takes seconds to serve.
async fn engine_is_seen(run: &mut Run) -> anyhow::Result<()> {
    run.until("the agent's word that the engine runs", |run| {
        let last = |message: &str| {
            let said = run.pod.launch.said(0, message);
            let at = said.last().map(|event| event["timestamp"].to_string());
            at.unwrap_or_default()
        };
        last("the engine runs") >= last("the command runs")
    })
    .await
}

/// The container ends with the engine, and is started again; or, where that is asked for, the engine is
/// started again in it, if it had been ready.
async fn engine(run: &mut Run, number: usize, signal: Signal) -> anyhow::Result<()> {
    let in_place = run.restarts_in_place();
    if in_place {
        served(run).await?;
    }
    let container = run.pod.container();
    let started = run.pod.launch.count();
    let engine = run.pod.engine();
    let pid = *engine.get(number).context("the engine runs")?;
    ensure!(
        send(pid, signal),
        "the engine was gone before it was signalled"
    );
    run.until("the engine's next start", |run| {
        !run.pod.launch.said(started, "the command runs").is_empty()
    })
    .await?;
    if in_place {
        ensure!(
            run.pod.container() == container,
            "the container did not outlive its engine"
        );
        run.in_place += 1;
    }
    Ok(())
}

/// The agent has heard from the supervisor that this engine is ready: one of which it knows nothing would be
/// a start that has failed.
async fn served(run: &Run) -> anyhow::Result<()> {
    let began = Instant::now();
    let said = run.pod.launch.said(0, "answers the kubelet's probes");
    let address = said.last().and_then(|event| event["address"].as_str());
    let address = address.context("the agent says where it answers")?;
    while get(address, "/readyz").await.0 != 200 {
        ensure!(began.elapsed() < PATIENCE, "the engine did not get ready");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// One that hangs before the supervisor had an answer is in its start, for which it has more patience.
async fn hang(run: &mut Run) -> anyhow::Result<()> {
    run.until("the supervisor's word that the engine has started", |run| {
        let told = run
            .pod
            .sidecar
            .since(0, |event| event["probe"] == "startup");
        told.last()
            .is_some_and(|event| event["message"] == "passes")
    })
    .await?;
    engine(run, 1, Signal::STOP).await
}

/// A sidecar that ends alone costs no engine.
async fn killed(run: &mut Run, which: &[Which]) -> anyhow::Result<()> {
    let (sidecar, launch) = (run.pod.sidecar.count(), run.pod.launch.count());
    let engine = run.pod.engine();
    for container in which {
        run.pod.signal(*container, Signal::KILL);
    }
    let (of_sidecar, of_engine) = (which.contains(&Which::Sidecar), which.contains(&Which::Sql));
    run.until("the next start", |run| {
        // Until it is linked again it can't tell of an end: that would be missing in the history.
        let sidecar = run.pod.sidecar.said(sidecar, "launch is linked");
        let launch = run.pod.launch.said(launch, "the command runs");
        (!of_sidecar || !sidecar.is_empty()) && (!of_engine || !launch.is_empty())
    })
    .await?;
    if !of_engine {
        ensure!(
            run.pod.engine() == engine,
            "the engine did not outlive its supervisor"
        );
    }
    Ok(())
}

/// An agent that ends costs no engine: the next one goes on with the lease.
async fn agent(run: &mut Run) -> anyhow::Result<()> {
    let (sidecar, launch) = (run.pod.sidecar.count(), run.pod.launch.count());
    let engine = run.pod.engine();
    let first = run.pod.agent().context("the agent runs")?;
    ensure!(
        send(first, Signal::KILL),
        "the agent was gone before it was signalled"
    );
    run.until("the next agent's link to the sidecar", |run| {
        let linked = run.pod.sidecar.said(sidecar, "launch is linked");
        !linked.is_empty() && run.pod.agent().is_some_and(|next| next != first)
    })
    .await?;
    ensure!(
        run.pod.engine() == engine,
        "the engine did not outlive the agent"
    );
    ensure!(
        run.pod.launch.said(launch, "the command runs").is_empty(),
        "an engine was started anew"
    );
    Ok(())
}

/// The kubelet deletes the pod; it is gone afterwards.
async fn stop(run: &mut Run, hook: bool) -> anyhow::Result<()> {
    run.pod.is_deleted();
    if hook {
        let mut order = run.pod.order(&["stop"])?;
        let mut stopped = None;
        run.until("the end of the preStop hook", |_| {
            stopped = order.try_wait().ok().flatten();
            stopped.is_some()
        })
        .await?;
        ensure!(
            stopped.is_some_and(|status| status.success()),
            "the stop was not clean: {stopped:?}"
        );
    }
    run.pod.signal(Which::Sql, Signal::TERM);
    run.until("the end of the SQL container", |run| {
        run.pod.is_over(Which::Sql)
    })
    .await?;
    run.pod.signal(Which::Sidecar, Signal::TERM);
    run.until("the end of the pod", |run| run.pod.is_gone())
        .await
}

/// Nobody gives the lease up: the next pod has to wait until it is stale.
async fn lost(run: &mut Run) -> anyhow::Result<()> {
    run.pod.is_deleted();
    run.pod.signal_all(Signal::KILL);
    let began = Instant::now();
    run.next_pod().await?;
    run.takeovers.push(began.elapsed());
    Ok(())
}

/// The second pod waits for as long as the first one is there.
async fn overlap(run: &mut Run) -> anyhow::Result<()> {
    let second = run.new_pod()?;
    run.until("that the second pod's gate is shut", |_| {
        let shut = |event: &serde_json::Value| event["code"] == "LeaseHeldElsewhere";
        !second.sidecar.since(0, shut).is_empty()
    })
    .await?;
    run.writer.acknowledges(10).await;
    ensure!(second.engine().is_empty(), "two engines on one volume");
    stop(run, true).await?;
    run.take_over(second).await?;
    Ok(())
}

async fn frozen(run: &mut Run) -> anyhow::Result<()> {
    // A client that stays with the old engine, with rows of its own.
    let staying = tokio::sync::watch::channel(run.pod.target.clone());
    let first = -run.rows_of_stayers - 1;
    let stayer = Writer::counting(staying.1.clone(), first, -1);
    stayer.acknowledges(5).await;
    run.pod.signal_all(Signal::STOP);
    let second = run.new_pod()?;
    let old = run.take_over(second).await?;
    run.writer.acknowledges(10).await;
    let pause = run.random.share();
    tokio::time::sleep(Duration::from_secs(2).mul_f64(pause)).await;
    let starts = run.pod.launch.count();
    let thawed = Instant::now();
    old.signal_all(Signal::CONT);
    run.until("the end of the fenced engine", |_| old.engine().is_empty())
        .await?;
    run.fences.push(thawed.elapsed());
    run.writer.acknowledges(10).await;
    ensure!(old.engine().is_empty(), "the fenced engine came back");
    ensure!(
        run.pod.launch.said(starts, "the command runs").is_empty(),
        "the thawed pod cost the new one its engine"
    );
    // One that was cut short is not counted: the next one begins well beyond.
    let tried = stayer.written().attempted() + 1000;
    run.rows_of_stayers += i64::try_from(tried).context("so many rows")?;
    run.promises.acknowledge(&stayer.written().acknowledged);
    run.note_starts(&old)?;
    retire(run, old).await
}

/// The pod that lost the volume is deleted at last.
async fn retire(run: &mut Run, old: Pod) -> anyhow::Result<()> {
    old.is_deleted();
    let deleted = Instant::now();
    run.until("the end of the old pod", |_| {
        // A first process that has no handler yet gets no SIGTERM; the grace ends for it too.
        let signal = match deleted.elapsed() < GRACE {
            true => Signal::TERM,
            false => Signal::KILL,
        };
        for which in [Which::Sql, Which::Sidecar] {
            old.signal(which, signal);
        }
        old.is_gone()
    })
    .await
}
