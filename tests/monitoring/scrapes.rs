//! Every alert evaluated by promtool on what the product itself exposed: scrapes that an integration test
//! took of the real program (`tests/support/alerts.rs`), and what it makes of recorded logs and answers
//! (`recorded`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sql_edge_supervisor::decide::reason::Reason;

use super::reasons::{Asks, alert_name, asks};
use super::shared::alerts::{GoesOn, Recorded, folder};
use super::shared::scratch::Scratch;
use super::{promtool, recorded, rules};

/// Minutes for which the first scrape is found, the second, and the first again.
const BEFORE: u32 = 20;
const AFTER: u32 = 90;
const AGAIN: u32 = 30;

/// Alerts that nothing real or recorded reaches, each with the reason why not.
const UNREACHED: &[(&str, &str)] = &[];

/// The alerts with what is recorded of them.
fn all() -> Vec<(String, Recorded)> {
    let mut all = recorded::all();
    let entries = std::fs::read_dir(folder()).expect("the scrapes are recorded");
    let mut paths: Vec<_> = entries.map(|e| e.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        let alert = path.file_stem().expect("a name").to_string_lossy();
        all.push((alert.into_owned(), Recorded::read(&path)));
    }
    all
}

/// One of the alerts in a pod and a namespace of its own.
struct Case {
    alert: String,
    recorded: Recorded,
    target: String,
}

impl Case {
    /// The values of a series, a minute apart. Moments were told from the scrape on.
    fn values(&self, series: &str) -> String {
        let moment = series.contains("_timestamp_seconds");
        let now = if moment { f64::from(BEFORE * 60) } else { 0.0 };
        let of = |samples: &BTreeMap<String, f64>| samples.get(series).map(|value| value + now);
        let (before, after) = (of(&self.recorded.before), of(&self.recorded.after));
        let mut values = match before {
            Some(before) => format!("{before}x{}", BEFORE - 1),
            None => format!("_x{BEFORE}"),
        };
        match (self.recorded.goes_on, after) {
            (GoesOn::Gone, _) | (_, None) => values.push_str(" stale"),
            (GoesOn::Grows(seconds), Some(after)) => {
                let step = (after - before.unwrap_or(after)) / seconds * 60.0;
                let _ = write!(values, " {after}{step:+}x{}", AFTER - 1);
            }
            (GoesOn::Holds, Some(after)) => {
                let _ = write!(values, " {after}x{}", AFTER - 1);
                if let Some(before) = before {
                    let _ = write!(values, " {before}x{AGAIN}");
                }
            }
        }
        values
    }

    fn series(&self, text: &mut String) {
        let (before, after) = (&self.recorded.before, &self.recorded.after);
        let new = after.keys().filter(|series| !before.contains_key(*series));
        for series in before.keys().chain(new) {
            let labelled = match series.strip_suffix('}') {
                Some(labels) => format!("{labels},{}}}", self.target),
                None => format!("{series}{{{}}}", self.target),
            };
            let values = self.values(series);
            let _ = write!(
                text,
                "      - series: '{labelled}'\n        values: '{values}'\n"
            );
        }
        // Prometheus' own series of a target.
        let up = match self.recorded.goes_on {
            GoesOn::Gone => format!("1x{} 0x{AFTER}", BEFORE - 1),
            GoesOn::Holds | GoesOn::Grows(_) => format!("1x{}", BEFORE + AFTER + AGAIN),
        };
        let _ = write!(
            text,
            "      - series: 'up{{{}}}'\n        values: '{up}'\n",
            self.target
        );
    }

    /// Whether the alert fires within so many minutes up to this one.
    fn expects(&self, text: &mut String, minutes: u32, until: u32, fires: bool) {
        let (alert, namespace) = (&self.alert, self.target.as_str());
        let firing = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"");
        let namespace = namespace.split(',').next().unwrap_or_default();
        let samples = match fires {
            true => "[{ labels: '{}', value: 1 }]",
            false => "[]",
        };
        let _ = write!(
            text,
            "      - expr: 'group(count_over_time({firing},{namespace}}}[{minutes}m]))'\n        \
                     eval_time: {until}m\n        exp_samples: {samples}\n"
        );
    }

    /// Silent before, and firing after; with a reason not sooner than it may, and only as long as it holds.
    fn expectations(&self, text: &mut String) {
        self.expects(text, BEFORE - 1, BEFORE - 1, false);
        self.expects(text, AFTER, BEFORE + AFTER - 1, true);
        let reason = Reason::ALL.iter().find(|r| alert_name(**r) == self.alert);
        let Some(reason) = reason else { return };
        let (Asks::Critical(patience) | Asks::Warning(patience) | Asks::Info(patience)) =
            asks(*reason)
        else {
            return;
        };
        if patience.minutes > 0 {
            let early = BEFORE + patience.minutes - 1;
            self.expects(text, early, early, false);
        }
        let due = BEFORE + patience.minutes;
        self.expects(text, due, due, true);
        if !self.recorded.before.is_empty() {
            self.expects(text, 1, BEFORE + AFTER + AGAIN, false);
        }
    }
}

const GROUPS: &str =
    "[sql-edge-recording, sql-edge-reasons, sql-edge-supervisor, sql-edge-engine, mssql-mixin]";

#[test]
fn every_alert_fires_on_what_the_product_exposed_and_on_nothing_before() {
    let mut text = String::from("rule_files:\n");
    for file in rules::FILES {
        let path = rules::folder("rules").join(file);
        let _ = writeln!(text, "  - {}", path.display());
    }
    let _ = write!(
        text,
        "evaluation_interval: 1m\ngroup_eval_order: {GROUPS}\ntests:\n  - interval: 1m\n    input_series:\n"
    );
    let cases = all().into_iter().enumerate();
    let cases: Vec<_> = cases
        .map(|(number, (alert, recorded))| {
            let name = format!("n{number}");
            Case {
                alert,
                recorded,
                target: format!(
                    "namespace=\"{name}\",job=\"sql-edge\",instance=\"{name}:9433\",pod=\"{name}\""
                ),
            }
        })
        .collect();
    cases.iter().for_each(|case| case.series(&mut text));
    text.push_str("    promql_expr_test:\n");
    cases.iter().for_each(|case| case.expectations(&mut text));
    let scratch = Scratch::new();
    let file = scratch.path().join("scrapes.yaml");
    std::fs::write(&file, &text).expect("the scratch folder is writable");
    promtool(&["test", "rules"], std::slice::from_ref(&file));
}

#[test]
fn every_alert_is_reached_by_something_real_or_recorded() {
    let reached: Vec<_> = all().into_iter().map(|(alert, _)| alert).collect();
    for rule in rules::FILES.iter().flat_map(|file| rules::alerts(file)) {
        let why_not = UNREACHED.iter().find(|(alert, _)| *alert == rule.name());
        let is_reached = reached.iter().any(|alert| alert == rule.name());
        assert!(
            is_reached != why_not.is_some(),
            "{}: reached {is_reached}, excused {why_not:?}",
            rule.name()
        );
    }
    for alert in &reached {
        let known = rules::all().iter().any(|rule| rule.name() == alert);
        assert!(known, "{alert} is recorded, and no alert");
    }
}

/// A recorded scrape whose test is gone, or is no longer about the alert, is held by nobody.
#[test]
fn every_recorded_scrape_has_the_test_that_took_it() {
    for (alert, recorded) in all().into_iter().filter(|(_, r)| !r.test.is_empty()) {
        let path = recorded.test.rsplit_once("::");
        let (module, function) = path.unwrap_or_else(|| panic!("{alert}: {}", recorded.test));
        let file = format!("tests/it/{}.rs", module.replace("::", "/"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        let is_there = source.contains(&format!("async fn {function}("));
        assert!(is_there, "{alert}: {file} has no test {function}");
        let reason = alert.replacen("SqlEdge", "", 1);
        let names = [&alert, &reason].map(|name| format!("\"{name}\""));
        let is_named = names.iter().any(|name| source.contains(name));
        assert!(is_named, "{alert}: {file} does not name it");
    }
}
