//! The list of all collectors: when each is due, and how each fares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::Trouble;
use super::files::Loaded;
use super::names::Names;
use super::{Collector, Failure, Profiles, builtin};
use crate::config::MetricsConfig;
use crate::exposition::{CollectorReport, Exposition, Families, Fragment, Outcome};

/// The time for which a collector is left alone that the engine denies or does not support: a grant
/// or an upgrade is rare, and each try is a line in somebody's audit.
const DENIED_RETRY: Duration = Duration::from_secs(300);

/// The number of turns that a collector may miss before what it showed last is withdrawn.
const MISSED_TURNS: u32 = 3;

/// The greatest factor by which late turns lengthen the time until that withdrawal: where other
/// collectors take long, turns come later than they are due.
const MAX_STRETCH: u32 = 10;

/// A collector with the time of its next turn.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) collector: Box<dyn Collector>,
    pub(super) due: Instant,
    report: CollectorReport,
    /// The moment when the last turn began.
    began: Option<Instant>,
    /// The time from one turn to the next.
    interval: Duration,
    /// The time limit of one run.
    deadline: Duration,
}

/// A run that ended well.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) fragment: Fragment,
    pub(super) left_out: u64,
}

/// The beginning and the result of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// The moment when the run began; none where the engine was not asked.
    pub(super) began: Option<Instant>,
    pub(super) result: Result<Success, Trouble>,
}

impl Member {
    fn new(collector: Box<dyn Collector>, config: &MetricsConfig, now: Instant) -> Self {
        let otherwise = collector
            .otherwise()
            .filter(|(metric, _)| metric.profiles.intersects(config.profiles))
            .map(|(metric, value)| {
                let mut families = Families::new();
                families.sample(&metric.family, &[], value);
                Arc::new(Fragment::new(families))
            });
        Self {
            report: CollectorReport {
                otherwise,
                ..CollectorReport::pending(collector.name())
            },
            interval: config.pace.interval.max(collector.min_interval()),
            deadline: config.pace.deadline,
            collector,
            due: now,
            began: None,
        }
    }

    /// Records how a run ended at `now`. Returns whether the outcome differs from that of the run
    /// before.
    pub(super) fn record(&mut self, run: Run, now: Instant) -> bool {
        let before = self.report.outcome;
        let start = run.began.unwrap_or(now);
        let turn = self.began.replace(start).map_or(self.interval, |before| {
            let turn = start.saturating_duration_since(before);
            turn.clamp(self.interval, self.interval * MAX_STRETCH)
        });
        if run.began.is_some() {
            self.report.runs += 1;
            self.report.duration = Some(now.saturating_duration_since(start));
        }
        let mut pause = self.interval;
        match run.result {
            Ok(success) => {
                let until = now + turn * MISSED_TURNS + self.deadline;
                self.report.outcome = Outcome::Succeeded;
                self.report.succeeded = Some(now);
                self.report.left_out = success.left_out;
                self.report.fragment = Some((Arc::new(success.fragment), until));
            }
            Err(Trouble { failure, .. }) => {
                self.report.outcome = Outcome::Failed(failure.word());
                if !failure.is_passing() || self.report.otherwise.is_some() {
                    self.report.fragment = None;
                }
                if failure.is_refusal() {
                    pause = pause.max(DENIED_RETRY);
                }
            }
        }
        self.due = start + pause;
        self.report.outcome != before
    }
}

/// All collectors, built in and from files.
#[derive(Debug)]
pub(super) struct Roster {
    members: Vec<Member>,
    /// The number of members that are built in; they are the first ones.
    builtin: usize,
    /// The reports of collectors that can't be run, and of files that define none.
    refused: Vec<CollectorReport>,
    config: MetricsConfig,
    /// The names of the supervisor and of the collectors that are built in.
    names: Names,
}

impl Roster {
    /// Makes a roster of the built-in collectors that are wanted and not turned off.
    pub(super) fn new(config: &MetricsConfig, mut names: Names, now: Instant) -> Self {
        let mut roster = Self {
            members: Vec::new(),
            builtin: 0,
            refused: Vec::new(),
            config: config.clone(),
            names: Names::default(),
        };
        for collector in builtin::all() {
            names.enter_collector(collector.name());
            let exposed = collector.metrics().iter();
            let exposed = exposed.filter(|metric| metric.profiles.intersects(config.profiles));
            let exposed: Vec<_> = exposed.cloned().collect();
            if exposed.is_empty() || is_off(config, collector.name()) {
                continue;
            }
            let taken = exposed
                .iter()
                .any(|m| names.owner(&m.family.name).is_some());
            if taken {
                roster.refuse(collector.name(), Failure::NameTaken);
                continue;
            }
            names.enter(collector.name(), &exposed);
            roster.members.push(Member::new(collector, config, now));
        }
        roster.builtin = roster.members.len();
        roster.names = names;
        roster
    }

    /// Returns the names that a file may not use.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// Replaces the collectors that came from files by the loaded ones. A collector that stays as
    /// it was keeps what it showed.
    pub(super) fn replace_files(&mut self, loaded: Vec<Loaded>, now: Instant) {
        let mut before = self.members.split_off(self.builtin);
        self.refused
            .retain(|report| report.outcome == Outcome::Failed(Failure::NameTaken.word()));
        for Loaded { file, collector } in loaded {
            match collector {
                Ok(collector) if is_off(&self.config, collector.name()) => {}
                Ok(collector) => {
                    // Its Debug shows all that the file holds.
                    let text = format!("{collector:?}");
                    let known = before
                        .iter()
                        .position(|member| format!("{:?}", member.collector) == text);
                    self.members.push(match known {
                        Some(index) => before.swap_remove(index),
                        None => Member::new(collector, &self.config, now),
                    });
                }
                Err(_) => self.refuse(&file, Failure::Invalid),
            }
        }
    }

    /// Returns the names in `metrics-collectors-off` that no collector has, if `files` are all
    /// there is beside those built in.
    pub(super) fn strangers<'a>(&'a self, files: &[Loaded]) -> Vec<&'a str> {
        let is_file = |name: &str| {
            let mut good = files.iter().filter_map(|file| file.collector.as_ref().ok());
            good.any(|collector| collector.name() == name)
        };
        let off = self.config.off.iter().map(String::as_str);
        off.filter(|off| !self.names.has_collector(off) && !is_file(off))
            .collect()
    }

    fn refuse(&mut self, name: &str, failure: Failure) {
        self.refused.push(CollectorReport {
            outcome: Outcome::Failed(failure.word()),
            ..CollectorReport::pending(name)
        });
    }

    /// Returns the number of collectors that have a turn.
    pub(super) const fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns the index of the collector whose turn is next, and the moment of that turn.
    pub(super) fn next(&self) -> Option<(usize, Instant)> {
        let due = self.members.iter().enumerate();
        due.map(|(index, member)| (index, member.due))
            .min_by_key(|(index, due)| (*due, *index))
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Member> {
        self.members.get_mut(index)
    }

    /// Makes every collector due: what was denied or missing before may be there now.
    pub(super) fn all_due(&mut self, now: Instant) {
        for member in &mut self.members {
            member.due = member.due.min(now);
        }
    }

    /// Withdraws at once what must not outlast the engine's answers, as the engine is not asked any
    /// more.
    pub(super) fn withdraw(&mut self) {
        for member in &mut self.members {
            if member.report.otherwise.is_some() {
                member.report.fragment = None;
            }
        }
    }

    /// Returns what may be served.
    pub(super) fn exposition(&self) -> Exposition {
        let members = self.members.iter().map(|member| &member.report);
        Exposition {
            collectors: members.chain(&self.refused).cloned().collect(),
        }
    }
}

fn is_off(config: &MetricsConfig, name: &str) -> bool {
    config.off.iter().any(|off| off == name)
}

/// Whether anything is to be collected.
pub(super) fn is_wanted(config: &MetricsConfig) -> bool {
    config.enabled && (config.profiles != Profiles::NONE || config.collectors_dir.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{Metric, Reading};
    use crate::config::Pace;
    use crate::config::metrics::Filter;
    use crate::exposition::Families;

    #[derive(Debug)]
    struct Silent;

    impl Collector for Silent {
        fn name(&self) -> &str {
            "silent"
        }

        fn metrics(&self) -> &[Metric] {
            &[]
        }

        fn min_interval(&self) -> Duration {
            Duration::from_secs(40)
        }

        fn batch(&self) -> String {
            String::new()
        }

        fn begin(&self) -> Box<dyn Reading> {
            unreachable!("it is not run")
        }
    }

    fn config() -> MetricsConfig {
        MetricsConfig {
            enabled: true,
            profiles: Profiles::OWN,
            pace: Pace {
                interval: Duration::from_secs(30),
                deadline: Duration::from_secs(10),
            },
            filter: Filter::default(),
            max_databases: 10,
            off: vec!["nobody".to_owned()],
            collectors_dir: None,
        }
    }

    fn success(began: Instant) -> Run {
        Run {
            began: Some(began),
            result: Ok(Success {
                fragment: Fragment::new(Families::new()),
                left_out: 3,
            }),
        }
    }

    fn failure(began: Instant, failure: Failure) -> Run {
        Run {
            began: Some(began),
            result: Err(failure.into()),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_turn_comes_an_interval_after_the_last_one_began() {
        let began = Instant::now();
        let mut member = Member::new(Box::new(Silent), &config(), began);
        assert!(member.record(success(began), began + SECOND));
        assert_eq!(
            member.due,
            began + 40 * SECOND,
            "its own interval is longer"
        );
        assert!(!member.record(success(began), began + SECOND));
        assert_eq!(member.report.runs, 2);
        assert!(member.record(failure(began, Failure::Denied), began + SECOND));
        assert_eq!(member.due, began + DENIED_RETRY);
    }

    #[test]
    fn what_was_shown_outlives_a_late_answer_and_not_a_refusal() {
        let now = Instant::now();
        let mut member = Member::new(Box::new(Silent), &config(), now);
        for lost in [
            Failure::TimedOut,
            Failure::Unreachable,
            Failure::EngineError,
        ] {
            member.record(success(now), now);
            member.record(failure(now, lost), now);
            let (_, until) = member.report.fragment.as_ref().expect("it is kept");
            assert_eq!(*until, now + 130 * SECOND, "three turns and a deadline");
        }
        for refusal in [Failure::Denied, Failure::Malformed, Failure::TooLong] {
            member.record(success(now), now);
            member.record(failure(now, refusal), now);
            assert!(member.report.fragment.is_none(), "{refusal:?}");
        }
        assert_eq!(member.report.left_out, 3);
    }

    #[test]
    fn turns_that_come_late_let_what_was_shown_stand_longer() {
        let now = Instant::now();
        let mut member = Member::new(Box::new(Silent), &config(), now);
        for (wait, turn) in [(0, 40), (100, 100), (10, 40), (100_000, 400)] {
            let began = member.began.unwrap_or(now) + wait * SECOND;
            member.record(success(began), began);
            let (_, until) = member.report.fragment.as_ref().expect("it is there");
            assert_eq!(*until, began + (3 * turn + 10) * SECOND, "{wait}");
        }
    }

    #[test]
    fn an_attempt_without_a_connection_is_no_run() {
        let now = Instant::now();
        let mut member = Member::new(Box::new(Silent), &config(), now);
        let run = Run {
            began: None,
            result: Err(Failure::Unreachable.into()),
        };
        member.record(run, now);
        assert_eq!((member.report.runs, member.report.duration), (0, None));
        assert_eq!(member.due, now + 40 * SECOND);
    }

    #[test]
    fn those_built_in_have_names_of_their_own_and_are_run_where_they_are_wanted() {
        let all = Profiles::WORDS
            .iter()
            .fold(Profiles::NONE, |all, (_, p)| all.and(*p));
        let config = MetricsConfig {
            profiles: all,
            ..config()
        };
        let roster = Roster::new(&config, Names::default(), Instant::now());
        assert!(roster.refused.is_empty(), "{:?}", roster.refused);
        assert_eq!(roster.len(), builtin::all().len());
        assert_eq!(roster.strangers(&[]), ["nobody"]);
        let off = builtin::all().iter().map(|c| c.name().to_owned()).collect();
        let config = MetricsConfig { off, ..config };
        let roster = Roster::new(&config, Names::default(), Instant::now());
        assert_eq!(roster.len(), 0);
        assert!(roster.strangers(&[]).is_empty());
    }
}
