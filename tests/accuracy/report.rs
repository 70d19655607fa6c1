//! The tables.

use std::fmt;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::contestant::Contestant;
use crate::cost::Costs;
use crate::floor::Lateness;
use crate::judge::{Verdict, judge};
use crate::scale::{FACTOR, seconds};
use crate::scenario::{Restart, Scenario};
use crate::summary::Summary;
use crate::timeline::Seen;

/// A check of (c) has to cost so many of ours.
const LEAST_RATIO: f64 = 50.0;
/// By how much of the machine's lateness, as it was measured beside the rigs, a restart of ours may be
/// later than its threshold and a second: all but the worst of a thousand wake-ups.
const ALLOWED_SHARE: f64 = 0.999;

/// What became of one scenario with one contestant.
pub struct Entry {
    pub index: usize,
    pub scenario: Scenario,
    pub contestant: Contestant,
    /// Or why the rig broke.
    pub seen: Result<Seen, String>,
}

/// An entry, judged.
pub struct Judged {
    pub scenario: Scenario,
    pub contestant: Contestant,
    pub verdict: Result<Verdict, String>,
    /// What the supervisor logged, where something went wrong.
    log: Vec<String>,
}

pub struct Report {
    markdown: bool,
    verbose: bool,
    judged_costs: bool,
    seed: u64,
    contestants: Vec<Contestant>,
    rows: Vec<Judged>,
    costs: Costs,
    late: [Duration; 3],
    took: Duration,
}

impl Report {
    pub fn new(
        arguments: &Arguments,
        entries: Vec<Entry>,
        costs: Costs,
        lateness: &Lateness,
        took: Duration,
    ) -> Self {
        let late = [0.5, ALLOWED_SHARE, 1.0].map(|share| lateness.quantile(share));
        let allowance = seconds(late[1]);
        let rows = entries.into_iter().map(|entry| judged(entry, allowance));
        Self {
            markdown: arguments.markdown,
            verbose: arguments.verbose,
            judged_costs: !arguments.quick,
            seed: arguments.seed,
            contestants: arguments.contestants.clone(),
            rows: rows.collect(),
            costs,
            late,
            took,
        }
    }

    /// Ours did something wrong, or a rig broke, or our check costs too much.
    pub fn failed(&self) -> bool {
        self.rows.iter().any(Judged::failed)
            || self.judged_costs && self.costs.ratio() < LEAST_RATIO
    }

    fn of(&self, contestant: Contestant) -> impl Iterator<Item = &Judged> {
        self.rows
            .iter()
            .filter(move |row| row.contestant == contestant)
    }

    fn scenarios(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| scenario | right |")?;
        for contestant in &self.contestants {
            write!(f, " {} |", contestant.title())?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "| --- | --- |{}",
            " --- |".repeat(self.contestants.len())
        )?;
        for rows in self.rows.chunks(self.contestants.len().max(1)) {
            let Some(first) = rows.first() else { continue };
            let scenario = &first.scenario;
            write!(
                f,
                "| {}: {} | {} |",
                scenario.name,
                scenario.what,
                right(scenario)
            )?;
            for row in rows {
                write!(f, " {} |", row.cell())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | scenarios wrong | false restarts | missed restarts | time to a due restart of an engine that lives on: median, max | \
             unready beyond the truth | ready without being fit | cpu of a check |"
        )?;
        writeln!(f, "| --- |{}", " --- |".repeat(7))?;
        for contestant in &self.contestants {
            let summary = Summary::of(self.of(*contestant));
            let cost = match contestant {
                Contestant::NoProbe => "-".to_owned(),
                Contestant::TcpSocket => micros(self.costs.tcp),
                Contestant::SqlClient => micros(self.costs.exec),
                Contestant::Diagnostics => micros(self.costs.diagnostics),
                Contestant::Supervisor => micros(self.costs.http),
            };
            writeln!(f, "| {} | {summary} | {cost} |", contestant.title())?;
        }
        Ok(())
    }

    fn notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Costs { observing, .. } = self.costs;
        writeln!(
            f,
            "All times in real seconds, played {FACTOR} times as fast; seed {}. A check of (c) costs {:.0} times \
             one of (e), at least {LEAST_RATIO:.0} is asked. All that (e) does besides, its questions to the \
             engine and the engine's answers included, costs {} each 10 s, whoever asks. The machine's own lateness \
             meanwhile, times {FACTOR}: median {:.2} s, p99.9 {:.2} s (allowed on top of threshold and second), max \
             {:.2} s. It took {:.0} s.",
            self.seed,
            self.costs.ratio(),
            micros(observing),
            seconds(self.late[0]),
            seconds(self.late[1]),
            seconds(self.late[2]),
            self.took.as_secs_f64(),
        )
    }

    /// What ours did wrong, and what went wrong with the benchmark.
    fn complaints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            for line in row.complaints() {
                writeln!(f, "{} {}: {line}", row.scenario.name, row.contestant.name())?;
            }
            if self.verbose && row.failed() {
                for line in &row.log {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.markdown {
            self.scenarios(f)?;
            writeln!(f)?;
        }
        self.summary(f)?;
        writeln!(f)?;
        self.notes(f)?;
        // Below the table for the document, too: an exit code of 1 says nothing by itself.
        writeln!(f)?;
        self.complaints(f)
    }
}

/// What would have been right.
fn right(scenario: &Scenario) -> String {
    match scenario.restart {
        Restart::Never => "no restart".to_owned(),
        Restart::Once { from, to, .. } => format!("within {:.0} s", to - from),
        Restart::Some { most, .. } => format!("at most {most}"),
    }
}

fn judged(entry: Entry, allowance: f64) -> Judged {
    let Entry {
        scenario,
        contestant,
        seen,
        ..
    } = entry;
    let log = seen.iter().flat_map(|seen| &seen.log).map(|line| {
        let mut event = line.event.clone();
        if let Some(event) = event.as_object_mut() {
            event.retain(|key, _| !["timestamp", "target", "action"].contains(&key.as_str()));
        }
        format!("{:7.1} s {event}", line.at)
    });
    Judged {
        log: log.collect(),
        verdict: seen.map(|seen| judge(&scenario, contestant, &seen, allowance)),
        scenario,
        contestant,
    }
}

impl Judged {
    fn ours(&self) -> bool {
        self.contestant == Contestant::Supervisor
    }

    fn failed(&self) -> bool {
        match &self.verdict {
            Err(_) => true,
            Ok(verdict) => {
                self.ours()
                    && (!verdict.restarts_right() || verdict.late || verdict.wrong_reason.is_some())
            }
        }
    }

    /// One field of the table: the restarts, then readiness.
    fn cell(&self) -> String {
        let Ok(verdict) = &self.verdict else {
            return "broke".to_owned();
        };
        let mut words = Vec::new();
        let time = verdict.time_to_restart.map(|time| format!("{time:.1} s"));
        match (verdict.false_restarts, verdict.missed) {
            (0, false) if verdict.late => words.push("**LATE**".to_owned()),
            (0, false) => words.push("ok".to_owned()),
            (0, true) => words.push("**MISSED**".to_owned()),
            (count, false) => words.push(format!("**FALSE {count}**")),
            (count, true) => words.push(format!("**MISSED, FALSE {count}**")),
        }
        words.extend(time);
        if verdict.wrong_reason.is_some() {
            words.push("**reason**".to_owned());
        }
        if verdict.ready_at_end > 0 {
            words.push("(ready)".to_owned());
        }
        if verdict.unready_at_end > 0 {
            words.push("(unready)".to_owned());
        }
        words.join(" ")
    }

    fn complaints(&self) -> Vec<String> {
        let verdict = match &self.verdict {
            Ok(verdict) => verdict,
            Err(why) => return vec![format!("the rig broke: {why}")],
        };
        let mut lines = Vec::new();
        if self.ours() {
            if !verdict.restarts_right() || verdict.late {
                lines.push(self.cell());
            }
            lines.extend(verdict.wrong_reason.clone());
            if !verdict.readiness_right() {
                lines.push("readiness at the end of a span".to_owned());
            }
        }
        lines.extend(verdict.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

/// Processor time, as the reader compares it.
fn micros(span: Duration) -> String {
    let micros = span.as_secs_f64() * 1e6;
    if micros < 1000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.1} ms", micros / 1e3)
    }
}
