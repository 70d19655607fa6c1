//! Scrapes of the real program for the rules' tests: what `/metrics` shows before something befalls it
//! and after, reduced to the series that an alert reads. An integration test that reaches an alert holds
//! its own scrape against the recorded one in `tests/monitoring/scrapes`; `tests/monitoring` evaluates
//! the alert on that.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it TEST` records what is missing or has other series.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The rules files, below the chart's folder of them.
const RULES: [&str; 5] = [
    "recording.yaml",
    "reasons.yaml",
    "supervisor.yaml",
    "engine.yaml",
    "optional/mixin.yaml",
];

/// The beginning of a recorded file.
const HEAD: &str = "# Recorded by ";

/// The way in which the time after the second scrape is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GoesOn {
    /// Everything stays as the second scrape shows it.
    #[default]
    Holds,
    /// Everything changes on as it did within these seconds between the scrapes.
    Grows(f64),
    /// The target can't be scraped any more.
    Gone,
}

/// The samples of one scrape by their series, as written: name and labels.
#[derive(Clone, Debug)]
pub struct Scrape {
    at: Instant,
    /// Seconds since 1970.
    wall: f64,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the scrape that has just been answered by `exposition`.
    pub fn of(exposition: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let lines = exposition.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self {
            at: Instant::now(),
            wall: now.map_or(0.0, |since| since.as_secs_f64()),
            samples: lines.filter_map(sample).collect(),
        }
    }

    /// Returns the value of a series, if it is there.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// Returns the sum of all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = self.samples.iter().filter(|(s, _)| name_of(s) == name);
        of_name.map(|(_, value)| value).sum()
    }

    /// Returns the samples that the alert's expression reads. A moment is given in seconds from the
    /// scrape on, so that it is a moment at any time.
    fn read_by(&self, alert: &str) -> BTreeMap<String, f64> {
        let expression = expression(alert);
        let names = names(&expression);
        let read = |series: &str| {
            let name = name_of(series);
            let other_reason = name == "sql_edge_supervisor_reason_active"
                && !expression.contains(series.trim_start_matches(name).trim_matches(['{', '}']));
            names.contains(name) && !other_reason
        };
        let samples = self.samples.iter().filter(|(series, _)| read(series));
        let value = |series: &str, value: f64| match name_of(series).ends_with("_timestamp_seconds")
        {
            true => (value - self.wall).round(),
            false => value,
        };
        samples
            .map(|(series, was)| (lasting(series).to_owned(), value(series, *was)))
            .collect()
    }
}

/// Returns a series without those labels of the program's own that change with each release or machine.
fn lasting(series: &str) -> &str {
    match name_of(series) {
        name @ "sql_edge_supervisor_build_info" => name,
        _ => series,
    }
}

/// Returns the name of a series.
fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the folder of the recorded scrapes.
pub fn folder() -> PathBuf {
    root().join("tests/monitoring/scrapes")
}

/// Returns the expression of an alert or a recording rule. The rules files have each in one line.
fn expression(rule: &str) -> String {
    let heads = [format!("- alert: {rule}"), format!("- record: {rule}")];
    for file in RULES {
        let path = root().join("charts/azure-sql-edge/files/rules").join(file);
        let text = std::fs::read_to_string(path).expect("the rules are there");
        let mut lines = text.lines().map(str::trim);
        if lines.any(|line| heads.iter().any(|head| line == head)) {
            let line = lines.next().unwrap_or_default();
            let line = line.strip_prefix("expr: ").expect("an expression");
            return line.to_owned();
        }
    }
    panic!("the rules have no {rule}")
}

/// Returns the names of the metrics that an expression reads, those behind recording rules included.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
    let mut names = BTreeSet::new();
    for word in words {
        match word {
            recorded if recorded.contains(':') && recorded.starts_with("instance") => {
                names.extend(self::names(&self::expression(recorded)));
            }
            name if name.starts_with("sql_edge_") || name.starts_with("mssql_") => {
                names.insert(name.to_owned());
            }
            _ => {}
        }
    }
    names
}

/// The recorded scrapes of an alert.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The name of the test that reached the alert.
    pub test: String,
    pub before: BTreeMap<String, f64>,
    pub after: BTreeMap<String, f64>,
    pub goes_on: GoesOn,
}

impl Recorded {
    /// Reduces the two scrapes to what the alert reads. Where the first one shows all of it already, it
    /// was there before anybody could scrape.
    pub fn of(alert: &str, before: &Scrape, after: Option<&Scrape>, grows: bool) -> Self {
        let mut recorded = Self {
            test: std::thread::current().name().unwrap_or_default().to_owned(),
            before: before.read_by(alert),
            after: after.map_or_else(BTreeMap::new, |after| after.read_by(alert)),
            goes_on: match after {
                None => GoesOn::Gone,
                Some(after) if grows => {
                    let seconds = after.at.saturating_duration_since(before.at);
                    GoesOn::Grows(seconds.as_secs_f64())
                }
                Some(_) => GoesOn::Holds,
            },
        };
        if recorded.was_there() {
            recorded.before.clear();
        }
        recorded.leave_out_what_counts_nothing();
        recorded
    }

    /// Whether the second scrape shows nothing that the first one did not.
    fn was_there(&self) -> bool {
        let same = |(series, value): (&String, &f64)| {
            let moment = name_of(series).ends_with("_timestamp_seconds");
            let before = self.before.get(series);
            before.is_some_and(|before| moment || before == value)
        };
        !self.after.is_empty() && self.after.iter().all(same)
    }

    /// Leaves out counters that are zero in both scrapes: most of a counter's series never count.
    fn leave_out_what_counts_nothing(&mut self) {
        let zero = |value: Option<&f64>| value.is_none_or(|value| *value == 0.0);
        let series: BTreeSet<String> = self
            .before
            .keys()
            .chain(self.after.keys())
            .cloned()
            .collect();
        for series in series.iter().filter(|s| name_of(s).ends_with("_total")) {
            if zero(self.before.get(series)) && zero(self.after.get(series)) {
                self.before.remove(series);
                self.after.remove(series);
            }
        }
    }

    /// Reads a recorded file.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the scrape is recorded");
        let mut recorded = Self::default();
        let mut is_after = false;
        for line in text.lines() {
            if let Some(test) = line.strip_prefix(HEAD) {
                recorded.test = test.trim_end_matches('.').to_owned();
            } else if line == "# gone" {
                recorded.goes_on = GoesOn::Gone;
            } else if line == "# after" {
                is_after = true;
            } else if let Some(seconds) = line.strip_prefix("# grows within seconds: ") {
                recorded.goes_on = GoesOn::Grows(seconds.parse().expect("seconds"));
            } else if let Some((series, value)) = line.rsplit_once(' ')
                && !line.starts_with('#')
            {
                let value = value.parse().expect("a value");
                let samples = match is_after {
                    true => &mut recorded.after,
                    false => &mut recorded.before,
                };
                samples.insert(series.to_owned(), value);
            }
        }
        recorded
    }

    /// Returns a series of the recorded ones that is not among `shown`.
    fn missing_in(&self, shown: &BTreeMap<String, f64>) -> Option<String> {
        let wanted = match self.goes_on {
            GoesOn::Gone => &self.before,
            _ => &self.after,
        };
        let missing = wanted.keys().find(|series| !shown.contains_key(*series));
        missing.cloned()
    }

    fn render(&self) -> String {
        let mut text = format!("{HEAD}{}.\n# before\n", self.test);
        let samples = |text: &mut String, samples: &BTreeMap<String, f64>| {
            for (series, value) in samples {
                let _ = writeln!(text, "{series} {value}");
            }
        };
        samples(&mut text, &self.before);
        match self.goes_on {
            GoesOn::Gone => text.push_str("# gone\n"),
            GoesOn::Grows(seconds) => {
                let _ = writeln!(text, "# grows within seconds: {seconds:.3}\n# after");
            }
            GoesOn::Holds => text.push_str("# after\n"),
        }
        samples(&mut text, &self.after);
        text
    }
}

/// Returns a series that is recorded for the alert, and that the product does not show in this scrape:
/// perhaps not yet, where not all collectors have had their first turn. None where nothing is recorded,
/// or is to be recorded now.
pub fn missing(alert: &str, shown: &Scrape) -> Option<String> {
    let path = folder().join(format!("{alert}.prom"));
    if !path.exists() || std::env::var_os("UPDATE_GOLDEN").is_some() {
        return None;
    }
    Recorded::read(&path).missing_in(&shown.read_by(alert))
}

/// Holds what a test has scraped against what is recorded for the alert: the series and labels are the same.
/// `shown` is all that the product shows after it.
pub fn compare(alert: &str, now: &Recorded, shown: &Scrape) {
    let path = folder().join(format!("{alert}.prom"));
    let shown = shown.read_by(alert);
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update && (!path.exists() || Recorded::read(&path).missing_in(&shown).is_some()) {
        std::fs::create_dir_all(folder()).expect("the folder can be made");
        std::fs::write(&path, now.render()).expect("the scrape is writable");
    }
    assert!(
        path.exists(),
        "nothing is recorded for {alert}; see the head of tests/support/alerts.rs"
    );
    if let Some(series) = Recorded::read(&path).missing_in(&shown) {
        panic!("{alert} was recorded with {series}, which is shown no longer");
    }
}
