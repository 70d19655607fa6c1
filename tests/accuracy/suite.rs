//! All rigs: side by side as far as the machine allows, the longest first.

use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::contestant::Contestant;
use crate::cost;
use crate::floor::Floor;
use crate::picture;
use crate::random::Random;
use crate::report::{Entry, Report};
use crate::rig;
use crate::scale::seconds;
use crate::scenario::Scenario;
use crate::timeline::Seen;

/// Faults begin up to so much later than a scenario says, by the seed; real seconds.
const JITTER: f64 = 10.0;

/// One scenario with one contestant.
struct Job {
    /// In the order of the table.
    index: usize,
    scenario: Scenario,
    contestant: Contestant,
    random: Random,
}

pub async fn play(arguments: &Arguments) -> anyhow::Result<Report> {
    let began = Instant::now();
    eprintln!(
        "seed {}; {} scenarios, {} contestants",
        arguments.seed,
        arguments.scenarios.len(),
        arguments.contestants.len()
    );
    let costs = cost::measure(arguments.quick).await.context("the costs")?;
    let floor = Floor::start();
    let (alone, mut together): (Vec<_>, Vec<_>) = jobs(arguments)
        .into_iter()
        .partition(|job| job.scenario.alone);
    // The sort is stable: what is equally long stays in the order of the table.
    together.sort_by(|a, b| b.scenario.length.total_cmp(&a.scenario.length));
    let mut entries = side_by_side(together, arguments.jobs).await?;
    entries.extend(side_by_side(alone, arguments.jobs).await?);
    entries.sort_by_key(|entry| entry.index);
    if let Some(directory) = &arguments.pictures {
        picture::write(directory, &entries).context("the pictures")?;
    }
    let lateness = floor.end();
    Ok(Report::new(
        arguments,
        entries,
        costs,
        &lateness,
        began.elapsed(),
    ))
}

fn jobs(arguments: &Arguments) -> Vec<Job> {
    let mut jobs = Vec::new();
    for scenario in &arguments.scenarios {
        // The same moment of the fault for all contestants.
        let jitter = Random::new(arguments.seed, scenario.name).share() * JITTER;
        for contestant in &arguments.contestants {
            let name = format!("{} {}", scenario.name, contestant.name());
            jobs.push(Job {
                index: jobs.len(),
                scenario: scenario.clone().delayed(jitter),
                contestant: *contestant,
                random: Random::new(arguments.seed, &name),
            });
        }
    }
    jobs
}

async fn side_by_side(jobs: Vec<Job>, places: u32) -> anyhow::Result<Vec<Entry>> {
    let semaphore = Rc::new(Semaphore::new(places as usize));
    let mut tasks = JoinSet::new();
    for mut job in jobs {
        let semaphore = Rc::clone(&semaphore);
        tasks.spawn_local(async move {
            // It is never closed. Places are given in the order in which they were asked for.
            let _places = semaphore
                .acquire_many(job.scenario.weight.min(places))
                .await;
            let began = Instant::now();
            let seen = rig::play(&job.scenario, job.contestant, &mut job.random).await;
            eprintln!(
                "  {} {}: {:.0} s",
                job.scenario.name,
                job.contestant.name(),
                seconds(began.elapsed())
            );
            (job, seen)
        });
    }
    let mut entries = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (job, seen) = done.context("a rig")?;
        entries.push(entry(job, seen));
    }
    Ok(entries)
}

fn entry(job: Job, seen: anyhow::Result<Seen>) -> Entry {
    Entry {
        index: job.index,
        scenario: job.scenario,
        contestant: job.contestant,
        seen: seen.map_err(|error| format!("{error:#}")),
    }
}
