//! Tests of what all collectors have in common.

use std::collections::HashMap;

use tiberius::ColumnData;

use super::testing::samples;
use super::*;
use crate::exposition::{Families, Fragment, Kind, is_label_name, is_metric_name};

/// Texts that no batch may hold: the 15.0 engine of Azure SQL Edge has none of these, or the login
/// may not use them.
const NOT_THERE: &[&str] = &[
    "FORMAT(",
    "PARSE(",
    "AT TIME ZONE",
    "XP_",
    "--",
    "/*",
    "OPENROWSET",
    "NOLOCK",
    "#",
    "INSERT ",
    "UPDATE ",
    "DELETE ",
    "EXEC(",
    "DBCC",
];

/// The greatest number of lines of a batch, so that it fits on a screen.
const MAX_LINES: usize = 25;
const MAX_COLUMNS: usize = 120;

#[test]
fn a_batch_is_short_and_asks_for_what_is_there() {
    for collector in all() {
        let batch = collector.batch();
        let upper = batch.to_uppercase();
        for word in NOT_THERE {
            assert!(!upper.contains(word), "{}: {word}", collector.name());
        }
        assert!(batch.lines().count() <= MAX_LINES, "{}", collector.name());
        assert!(
            batch.lines().all(|line| line.len() <= MAX_COLUMNS),
            "{}",
            collector.name()
        );
    }
}

#[test]
fn names_are_valid_unique_and_the_own_ones_in_base_units() {
    let mut names = HashMap::new();
    for collector in all() {
        for metric in collector.metrics() {
            let family = &metric.family;
            let name = family.name.as_ref();
            let before = names.insert(name.to_owned(), collector.name().to_owned());
            assert_eq!(before, None, "{name} in {} too", collector.name());
            assert!(is_metric_name(name), "{name}");
            assert!(family.labels.iter().all(is_label_name), "{name}");
            assert!(family.labels.iter().is_sorted(), "{name}");
            assert_eq!(
                name.starts_with("sql_edge_"),
                metric.profiles == OWN,
                "{name}"
            );
            assert_eq!(name.starts_with("mssql_"), metric.profiles != OWN, "{name}");
            if metric.profiles == OWN {
                assert_eq!(
                    name.ends_with("_total"),
                    family.kind == Kind::Counter,
                    "{name}"
                );
                assert!(family.help.ends_with('.'), "{name}");
            }
        }
    }
    assert!(names.len() > 100, "{}", names.len());
}

#[test]
fn nonsense_exposes_nothing_wrong() {
    let cells = [
        ColumnData::F64(Some(f64::NAN)),
        ColumnData::F64(Some(f64::INFINITY)),
        ColumnData::I64(Some(i64::MIN)),
        ColumnData::I64(None),
        ColumnData::String(Some("x\"} 1\n# TYPE".into())),
        ColumnData::String(None),
        ColumnData::Binary(Some(vec![0xff; 64].into())),
        ColumnData::Bit(Some(true)),
    ];
    for collector in all() {
        let batch = collector.batch();
        // All words of the batch, so that the columns are among them.
        let words: Vec<&'static str> = batch
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map(|word| &*word.to_owned().leak())
            .collect();
        for cell in &cells {
            let row: Vec<_> = words.iter().map(|word| (*word, cell.clone())).collect();
            let rows = || vec![row.clone(), row.clone()];
            let Ok(lines) = samples(&*collector, &[rows(), rows(), rows(), rows()]) else {
                continue;
            };
            for line in lines {
                let value = line
                    .rsplit(' ')
                    .next()
                    .and_then(|value| value.parse::<f64>().ok());
                assert!(
                    value.is_some_and(f64::is_finite),
                    "{}: {line}",
                    collector.name()
                );
            }
        }
    }
}

/// The golden exposition has one series of each family with every profile on; promtool's lint
/// checks it.
#[test]
fn the_golden_exposition_is_current() {
    let mut families = Families::new();
    for collector in all() {
        for metric in collector.metrics() {
            let labels = vec!["x"; metric.family.labels.len()];
            families.sample(&metric.family, &labels, 1.0);
        }
    }
    let fragment = Fragment::new(families);
    let texts = fragment
        .texts()
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned());
    let text: String = texts.collect();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/collect/builtin/golden.prom"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file is writable");
    }
    let golden = std::fs::read_to_string(path).expect("UPDATE_GOLDEN=1 writes it");
    assert_eq!(
        text, golden,
        "UPDATE_GOLDEN=1 cargo test --lib collect::builtin"
    );
}
