//! The command line.

use std::path::PathBuf;

use crate::contestant::Contestant;
use crate::scenario::Scenario;
use crate::scenarios;

pub const USAGE: &str = "usage: accuracy [--quick] [--contestant NAME] [--seed N] [--jobs N] [--markdown] [--verbose] \
                         [--pictures DIRECTORY] [SCENARIO ...]\ncontestants: none tcp exec diagnostics supervisor";

/// Rigs side by side on two cores: each is idle most of the time, and with more of them the machine's
/// scheduling would begin to show.
const JOBS: u32 = 26;
const SEED: u64 = 1;

pub struct Arguments {
    pub quick: bool,
    pub markdown: bool,
    pub verbose: bool,
    pub seed: u64,
    pub jobs: u32,
    pub pictures: Option<PathBuf>,
    pub contestants: Vec<Contestant>,
    pub scenarios: Vec<Scenario>,
}

impl Arguments {
    pub fn parse(mut given: impl Iterator<Item = String>) -> Option<Self> {
        let (mut quick, mut markdown, mut verbose) = (false, false, false);
        let (mut seed, mut jobs, mut pictures) = (SEED, JOBS, None);
        let mut contestants = Vec::new();
        let mut names = Vec::new();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--quick" => quick = true,
                "--markdown" => markdown = true,
                "--verbose" => verbose = true,
                "--seed" => seed = given.next()?.parse().ok()?,
                "--jobs" => jobs = given.next()?.parse().ok().filter(|jobs| *jobs > 0)?,
                "--pictures" => pictures = Some(PathBuf::from(given.next()?)),
                "--contestant" => {
                    let name = given.next()?;
                    let known = Contestant::ALL.into_iter();
                    contestants.push(known.into_iter().find(|known| known.name() == name)?);
                }
                name => names.push(name.to_owned()),
            }
        }
        if contestants.is_empty() {
            contestants = Contestant::ALL.to_vec();
        }
        let all = scenarios::all();
        let known = |name: &String| all.iter().any(|scenario| scenario.name == name);
        if !names.iter().all(known) {
            return None;
        }
        let wanted = |scenario: &Scenario| match names.is_empty() {
            true => !quick || scenario.quick,
            false => names.iter().any(|name| name == scenario.name),
        };
        let scenarios = all.iter().filter(|scenario| wanted(scenario)).cloned();
        Some(Self {
            quick,
            markdown,
            verbose,
            seed,
            jobs,
            pictures,
            contestants,
            scenarios: scenarios.collect(),
        })
    }
}
