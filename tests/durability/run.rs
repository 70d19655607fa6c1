//! A run: rounds of faults, one after the other, on one volume.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use tokio::sync::watch;

use crate::faults::Fault;
use crate::history;
use crate::journal::{Found, Promises};
use crate::pod::{Pod, World};
use crate::random::Random;
use crate::shared::volumes::{Image, Kind};
use crate::shared::writer::{Target, Writer};

/// Nothing takes this long; what would hang fails instead.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked for what raises no event.
pub const LOOK: Duration = Duration::from_millis(10);
/// The longest time for which an engine is left alone before its next fault.
const QUIET: Duration = Duration::from_millis(500);
/// Rows that show that a round is over.
const ROWS: u64 = 20;

/// What a run was asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    pub seed: u64,
    pub lease: &'static str,
    /// What follows on the end of an engine that had served.
    pub restart: &'static str,
    /// Of the two programs, under their names.
    pub programs: PathBuf,
    pub scratch: PathBuf,
}

/// How it stood before a round.
struct Before {
    pod: String,
    at: SystemTime,
    late: usize,
}

/// A run in the middle of it.
pub struct Run {
    pub pod: Pod,
    pub writer: Writer,
    pub promises: Promises,
    pub random: Random,
    /// How long each next pod waited after the loss of the one before.
    pub takeovers: Vec<Duration>,
    /// How long each thawed engine was there still.
    pub fences: Vec<Duration>,
    /// How often an engine was started again in its container.
    pub in_place: usize,
    /// Rows that clients which stay with a frozen engine have tried.
    pub rows_of_stayers: i64,
    world: World,
    pods: u32,
    target: watch::Sender<Target>,
    /// Up to where the starts in the pod's log were taken in.
    seen: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    pub rounds: BTreeMap<Fault, Vec<Duration>>,
    pub takeovers: Vec<Duration>,
    pub fences: Vec<Duration>,
    /// How often an engine was started again in its container.
    pub in_place: usize,
    pub found: Found,
    pub acknowledged: usize,
}

/// Plays all rounds; an error is a promise that was broken, or a round that did not end.
pub async fn play(plan: &Plan) -> anyhow::Result<Summary> {
    let volume = Image::mounted(Kind::Ext4, &plan.scratch, &plan.scratch.join("volume"));
    let world = World {
        supervisor: plan.programs.join("sql-edge-supervisor"),
        engine: plan.programs.join(crate::container::ENGINE),
        volume: volume.path().to_owned(),
        directory: plan.scratch.clone(),
        lease: plan.lease,
        restart: plan.restart,
    };
    let mut random = Random::new(plan.seed, "rounds");
    let mut run = Run::start(world, plan.seed)?;
    let mut summary = Summary::default();
    run.serves().await.context("the first start")?;
    let mut left = Vec::new();
    for round in 1..=plan.rounds {
        if left.is_empty() {
            left = Fault::ALL.to_vec();
        }
        let fault = left.swap_remove(random.below(left.len()));
        let pause = QUIET.mul_f64(random.share());
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let before = Before {
            pod: run.pod.name.clone(),
            at: SystemTime::now(),
            late: summary.found.late,
        };
        let told = async {
            fault.happen(&mut run).await?;
            run.serves().await?;
            let found = run.check()?;
            run.history_tells(fault, &before).await?;
            ensure!(
                fault == Fault::Frozen || found.late == before.late,
                "an engine wrote that was not frozen, after another pod's had"
            );
            Ok(found)
        };
        let found = told
            .await
            .with_context(|| format!("round {round}, {fault:?} in {}", run.pod.name))?;
        let lasted = began.elapsed();
        println!(
            "round {round:>3}  {:<13} {:>5.1} s  {:<8} {} rows in {} epochs, {} late",
            format!("{fault:?}"),
            lasted.as_secs_f64(),
            run.pod.name,
            found.rows,
            found.epochs,
            found.late
        );
        summary.found = found;
        summary.rounds.entry(fault).or_default().push(lasted);
    }
    summary.acknowledged = run.promises.acknowledged();
    summary.takeovers.clone_from(&run.takeovers);
    summary.fences.clone_from(&run.fences);
    summary.in_place = run.in_place;
    Ok(summary)
}

impl Run {
    /// The first pod, and a client that writes to it.
    fn start(world: World, seed: u64) -> anyhow::Result<Self> {
        let pod = Pod::start(&world, 1)?;
        let (target, port) = watch::channel(pod.target.clone());
        Ok(Self {
            pod,
            writer: Writer::start(port),
            promises: Promises::default(),
            random: Random::new(seed, "faults"),
            takeovers: Vec::new(),
            fences: Vec::new(),
            in_place: 0,
            rows_of_stayers: 0,
            world,
            pods: 1,
            target,
            seen: 0,
        })
    }

    /// Another pod in the place of this one, which is gone.
    pub async fn next_pod(&mut self) -> anyhow::Result<()> {
        let pod = self.new_pod()?;
        let before = self.take_over(pod).await?;
        self.until("the end of the pod before", |_| before.is_gone())
            .await
    }

    /// Whether an engine that had served is started again in its container.
    pub fn restarts_in_place(&self) -> bool {
        self.world.restart == "in-place"
    }

    /// One more pod for the volume.
    pub fn new_pod(&mut self) -> anyhow::Result<Pod> {
        self.pods += 1;
        Pod::start(&self.world, self.pods)
    }

    /// Waits until `pod` has its engine; clients go there. Returns the pod before.
    pub async fn take_over(&mut self, pod: Pod) -> anyhow::Result<Pod> {
        self.until("the start of the next pod's engine", |_| {
            !pod.launch.said(0, "the command runs").is_empty()
        })
        .await?;
        let before = std::mem::replace(&mut self.pod, pod);
        self.note_starts(&before)?;
        self.seen = 0;
        self.target.send_replace(self.pod.target.clone());
        Ok(before)
    }

    /// Waits until `met`; an error where it takes too long.
    pub async fn until(
        &mut self,
        what: &str,
        mut met: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while !met(self) {
            if began.elapsed() > PATIENCE {
                bail!("{what} did not come");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Which engine was started in which epoch, by the log of `pod`.
    pub fn note_starts(&mut self, pod: &Pod) -> anyhow::Result<()> {
        for start in pod.launch.said(0, "the command runs") {
            let epoch = start["epoch"].as_i64().unwrap_or(0);
            self.promises.start(epoch, &pod.name)?;
        }
        Ok(())
    }

    /// Waits until rows are written.
    async fn serves(&mut self) -> anyhow::Result<()> {
        let goal = self.writer.count() + ROWS;
        self.until("that rows are acknowledged again", |run| {
            run.writer.count() >= goal
        })
        .await
    }

    /// Waits until the history on the volume has what the fault came to.
    async fn history_tells(&mut self, fault: Fault, before: &Before) -> anyhow::Result<()> {
        let volume = self.world.volume.clone();
        let now = self.pod.name.clone();
        let mut refused = None;
        let told = self
            .until(
                "what became of it, in the history,",
                |run| match history::since(&volume, before.at) {
                    Ok(entries) => {
                        refused = run.promises.contradicts(&entries).err();
                        refused.is_some() || history::tells(&entries, fault, &before.pod, &now)
                    }
                    Err(error) => {
                        refused = Some(error);
                        true
                    }
                },
            )
            .await;
        match refused {
            Some(error) => Err(error),
            None => told,
        }
    }

    fn check(&mut self) -> anyhow::Result<Found> {
        for start in self.pod.launch.said(self.seen, "the command runs") {
            let epoch = start["epoch"].as_i64().unwrap_or(0);
            self.promises.start(epoch, &self.pod.name)?;
        }
        // First what was promised, then what is there.
        self.promises.acknowledge(&self.writer.take_acknowledged());
        self.promises.check(&self.world.volume)
    }
}
