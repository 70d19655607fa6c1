//! The dashboards' files: read as Grafana reads them, and held against the metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::metrics::Known;
use super::promql::reads;
use super::{fleet, instance, promtool, rules};

const COLUMNS: u64 = 24;

/// The files.
pub const FILES: [&str; 2] = ["fleet.json", "instance.json"];

fn read(file: &str) -> Value {
    let path = rules::folder("dashboards").join(file);
    let text = std::fs::read_to_string(path).expect("the dashboard is there");
    serde_json::from_str(&text).expect("JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// An expression of a panel.
pub struct Shown {
    /// File, panel and letter of the query.
    pub place: String,
    pub expression: String,
    pub legend: String,
}

/// Every expression of every dashboard, as it is written there.
pub fn expressions() -> Vec<Shown> {
    let mut found = Vec::new();
    for file in FILES {
        for panel in list(&read(file), "panels") {
            for target in list(panel, "targets") {
                found.push(Shown {
                    place: format!(
                        "{file}, {}, {}",
                        text(panel, "title"),
                        text(target, "refId")
                    ),
                    expression: text(target, "expr").to_owned(),
                    legend: text(target, "legendFormat").to_owned(),
                });
            }
        }
    }
    assert!(found.len() > 50, "the queries were not found");
    found
}

/// The expression as Grafana sends it, with everything chosen.
pub fn resolved(expression: &str, instance: &str) -> String {
    expression
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h")
        .replace("$instance", instance)
        .replace("$cluster", ".*")
        .replace("$namespace", ".*")
        .replace("$pod", ".*")
}

/// The labels that a legend shows.
fn labels_of(legend: &str) -> Vec<String> {
    let parts = legend.split("{{").skip(1);
    let name = |part: &str| {
        part.split("}}")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    parts.map(name).collect()
}

#[test]
fn every_query_reads_what_there_is() {
    let known = Known::exposed();
    for shown in expressions() {
        let mistakes = known.mistakes(&reads(&shown.expression), &labels_of(&shown.legend));
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", shown.place);
        assert!(!shown.legend.is_empty(), "{}: no legend", shown.place);
    }
}

/// What is not narrowed shows other instances' series as this one's.
#[test]
fn every_series_is_of_what_is_chosen() {
    for shown in expressions() {
        let wanted: &[&str] = match shown.place.starts_with("fleet") {
            true => &["cluster", "namespace"],
            false => &["cluster", "namespace", "pod", "instance"],
        };
        for series in reads(&shown.expression).series {
            let narrowed: BTreeSet<_> = series.matchers.iter().map(|(l, _)| l.as_str()).collect();
            for label in wanted {
                let place = &shown.place;
                assert!(
                    narrowed.contains(label),
                    "{place}: {} is of any {label}",
                    series.name
                );
            }
        }
    }
}

#[test]
fn promtool_parses_every_query() {
    let mut text = String::from("groups:\n  - name: panels\n    rules:\n");
    for (index, shown) in expressions().iter().enumerate() {
        let expression = resolved(&shown.expression, "10.0.0.1:9433");
        assert!(
            !expression.contains('$'),
            "{}: a variable is left",
            shown.place
        );
        let expression = serde_json::to_string(&expression).expect("a string becomes JSON");
        text.push_str(&format!(
            "      - record: panel:{index}\n        expr: {expression}\n"
        ));
    }
    let folder = std::env::temp_dir();
    let file = folder.join(format!("sql-edge-panels-{}.yaml", std::process::id()));
    std::fs::write(&file, text).expect("a temporary file");
    promtool(&["check", "rules"], std::slice::from_ref(&file));
    std::fs::remove_file(file).expect("it is ours");
}

#[test]
fn panels_have_what_grafana_and_people_need() {
    for file in FILES {
        let dashboard = read(file);
        let mut ids = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let place = format!("{file}: {}", text(panel, "title"));
            assert!(!text(panel, "title").is_empty(), "{place}");
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{place}: its id twice"
            );
            if text(panel, "type") == "row" {
                continue;
            }
            assert!(
                text(panel, "description").ends_with('.'),
                "{place}: description"
            );
            let unit = panel["fieldConfig"]["defaults"]["unit"]
                .as_str()
                .unwrap_or_default();
            assert!(UNITS.contains(&unit), "{place}: unit {unit:?}");
            let targets = list(panel, "targets");
            assert!(!targets.is_empty(), "{place}: no query");
            let letters: BTreeSet<_> = targets.iter().map(|t| text(t, "refId")).collect();
            assert_eq!(letters.len(), targets.len(), "{place}: a letter twice");
            for part in targets.iter().chain([panel]) {
                assert_eq!(text(&part["datasource"], "uid"), "${datasource}", "{place}");
            }
        }
    }
}

/// Grafana's names of the units in use.
const UNITS: [&str; 8] = [
    "short",
    "percentunit",
    "s",
    "bytes",
    "Bps",
    "ops",
    "iops",
    "dtdurations",
];

/// A ratio in percent, seconds in `s`, bytes in `bytes`: by the end of the metric's name.
#[test]
fn units_are_those_of_the_metrics() {
    for file in FILES {
        for panel in list(&read(file), "panels") {
            let unit = panel["fieldConfig"]["defaults"]["unit"]
                .as_str()
                .unwrap_or_default();
            for target in list(panel, "targets") {
                let expression = text(target, "expr");
                let place = format!("{file}: {}: {expression}", text(panel, "title"));
                let plain = reads(expression).series;
                let [series] = plain.as_slice() else { continue };
                // Counts of series and shares of time have their own units.
                if ["count(", "avg(", "avg_over_time("]
                    .iter()
                    .any(|f| expression.contains(f))
                {
                    continue;
                }
                for (end, wanted) in [
                    ("_bytes", &["bytes"][..]),
                    ("_ratio", &["percentunit"]),
                    ("_bytes_total", &["Bps"]),
                    // Seconds in a second: of waiting tasks they are a number, of one thing a share.
                    ("_seconds_total", &["s", "short", "percentunit"]),
                    ("_seconds", &["s"]),
                    ("_seconds_bucket", &["s"]),
                ] {
                    if series.name.ends_with(end) {
                        assert!(wanted.contains(&unit), "{place} is in {unit}");
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for file in FILES {
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in list(&read(file), "panels") {
            let place = &panel["gridPos"];
            let of = |key: &str| place[key].as_u64().expect("a place");
            let (x, y, width, height) = (of("x"), of("y"), of("w"), of("h"));
            let title = text(panel, "title");
            assert!(
                width > 0 && height > 0 && x + width <= COLUMNS,
                "{file}: {title}"
            );
            for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, title.to_owned()) {
                    panic!("{file}: {title} covers {other}");
                }
            }
        }
    }
}

#[test]
fn the_dashboards_can_be_provisioned() {
    let mut uids = BTreeSet::new();
    for file in FILES {
        let dashboard = read(file);
        assert_eq!(
            dashboard["id"],
            Value::Null,
            "{file}: the id is the database's to give"
        );
        let uid = text(&dashboard, "uid");
        assert!(
            !uid.is_empty() && uid.len() <= 40,
            "{file}: Grafana takes 40 characters"
        );
        assert!(uids.insert(uid.to_owned()), "{file}: {uid} is the other's");
        assert!(
            dashboard["schemaVersion"].as_u64() >= Some(38),
            "{file}: Grafana 10"
        );
        assert!(
            dashboard.get("__inputs").is_none(),
            "{file}: would have to be imported by hand"
        );
        let variables = list(&dashboard["templating"], "list");
        let names: Vec<_> = variables.iter().map(|v| text(v, "name")).collect();
        let whole = dashboard.to_string();
        for name in &names {
            let used = whole.matches(&format!("${name}")).count()
                + whole.matches(&format!("${{{name}}}")).count();
            assert!(used > 0, "{file}: nothing uses ${name}");
        }
        for variable in variables.iter().filter(|v| text(v, "type") == "query") {
            assert_eq!(
                text(&variable["datasource"], "uid"),
                "${datasource}",
                "{file}"
            );
        }
        assert_eq!(names.first(), Some(&"datasource"), "{file}");
        for link in list(&dashboard, "links") {
            let other = text(link, "url").trim_start_matches("/d/");
            assert!(
                [fleet::UID, instance::UID].contains(&other),
                "{file}: {other}"
            );
        }
    }
}
