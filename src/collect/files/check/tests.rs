//! Tests of what the format allows, and that each mistake is reported with its line.

use super::*;
use crate::collect::Collector;
use crate::exposition::{FamilyDef, Kind};

fn read(text: &str) -> Result<FileCollector, Vec<String>> {
    check(Path::new("/c/x.yml"), text, &mut taken())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// Returns the names of a supervisor with one family, and of one built-in collector.
fn taken() -> Names {
    let mut names = Names::of_supervisor(&["sql_edge_info".to_owned()]);
    let family = FamilyDef::fixed("mssql_deadlocks_total", Kind::Counter, &[], "D.");
    let metric = Metric {
        family,
        profiles: Profiles::ALLOY,
    };
    names.enter("counters", [&metric]);
    names
}

const GOOD: &str = "\
collector_name: orders
min_interval: 1m30s
metrics:
  - metric_name: orders_open
    type: gauge
    help: Orders that are not done.
    key_labels: [db, kind]
    static_labels:
      team: sales
    values: [open]
    query: |
      SELECT 'it''s' AS db
  - metric_name: orders_age_seconds
    type: Counter
    help: 'Ages.'
    value_label: which
    values: [oldest, newest]
    query_ref: ages
    no_prepared_statement: true
  - metric_name: orders_info
    type: gauge
    help: One.
    key_labels:
      - version
    static_value: 1
    query_ref: ages
queries:
  - query_name: ages
    query: SELECT 1 AS oldest, 2 AS newest, 'x' AS version
  - query_name: unused
    query: SELECT 1
";

#[test]
fn the_whole_format() {
    let FileCollector(definition) = read(GOOD).expect("it is good");
    assert_eq!(definition.name, "orders");
    assert_eq!(definition.min_interval, Duration::from_secs(90));
    let heads: Vec<_> = definition
        .metrics
        .iter()
        .map(|metric| {
            let labels: Vec<_> = metric.family.labels.iter().collect();
            (&*metric.family.name, metric.family.kind, labels.join(","))
        })
        .collect();
    assert_eq!(
        heads,
        [
            ("orders_open", Kind::Gauge, "db,kind,team".to_owned()),
            ("orders_age_seconds", Kind::Counter, "which".to_owned()),
            ("orders_info", Kind::Gauge, "version".to_owned()),
        ]
    );
    let read: Vec<_> = definition.queries.iter().map(|q| q.series.len()).collect();
    assert_eq!(
        read,
        [2, 1],
        "two metrics share a query; an unused one is not run"
    );
}

#[test]
fn several_queries_are_one_batch_and_each_has_its_scope() {
    let collector = read(GOOD).expect("it is good");
    let batch = collector.batch();
    assert_eq!(batch.matches("EXEC sys.sp_executesql N'").count(), 2);
    assert_eq!(batch.matches("sql_edge_supervisor_next_query").count(), 1);
    assert!(batch.contains("SELECT ''it''''s'' AS db"), "{batch}");
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = "\
collector_name: a b
min_intervall: 1m
min_interval: soon
metrics:
  - metric_name: 1st
    type: histogram
    help: H.
    values: [v]
    query: SELECT 1
  - metric_name: twice
    help: H.
    type: gauge
    key_labels: [a, a, b-c]
    query: SELECT 1
    query_ref: none
  - metric_name: sql_edge_info
    type: gauge
    help: H.
    values: [v, w]
    query_ref: none
  - metric_name: sql_edge_info
    type: gauge
    help: H.
    values: [v]
    query_ref: none
  - just text
  - metric_name: stamped
    type: gauge
    help: H.
    values: [v]
    static_value: 1
    timestamp_value: at
    query: |
      USE orders
      GO
      SELECT 1
queries: {}
";
    let mistakes = read(text).expect_err("it is full of mistakes");
    for wanted in [
        "collector_name = \"a b\" (file /c/x.yml:1): can't be a collector's name",
        "min_intervall (file /c/x.yml:2): is not a key of the format; did you mean min_interval?",
        "min_interval = \"soon\" (file /c/x.yml:3): is not such a duration",
        "metrics[0].metric_name = \"1st\" (file /c/x.yml:5): can't be a metric's name",
        "metrics[0].type = \"histogram\" (file /c/x.yml:6): is not a type; give counter or gauge",
        "metrics[1].key_labels (file /c/x.yml:10): \"a\" is a label twice",
        "metrics[1].key_labels (file /c/x.yml:10): \"b-c\" can't be a label's name",
        "metrics[1].values (file /c/x.yml:10): is missing",
        "metrics[1].query (file /c/x.yml:10): stands beside query_ref",
        "metrics[2].values (file /c/x.yml:16): has several columns and no value_label",
        "metrics[3].metric_name (file /c/x.yml:21): sql_edge_info is exposed by the supervisor already",
        "metrics[3].query_ref (file /c/x.yml:25): names no query of this file: \"none\"",
        "metrics[4] = \"just text\" (file /c/x.yml:26): is a plain value where a map is needed",
        "metrics[5].values (file /c/x.yml:27): stands beside static_value",
        "metrics[5].timestamp_value = \"at\" (file /c/x.yml:32): is not supported",
        "holds a line GO",
        "queries (file /c/x.yml:37): is a map where a list is needed",
    ] {
        let found = mistakes.iter().any(|mistake| mistake.contains(wanted));
        assert!(found, "{wanted}\n\n{}", mistakes.join("\n"));
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, wanted) in [
        ("", "file (file /c/x.yml:1): is empty where a map is needed"),
        ("[]", "is a list where a map is needed"),
        ("collector_name: x", "metrics (file /c/x.yml:1): is missing"),
        (
            "metrics: []",
            "collector_name (file /c/x.yml:1): is missing",
        ),
        (
            "collector_name: x\nmetrics: []",
            "metrics (file /c/x.yml:1): is missing",
        ),
        (
            "collector_name: counters",
            "is the name of another collector",
        ),
        ("a: 'open", "is not YAML"),
        (
            "collector_name: x\nmetrics:\n  - {}",
            "metrics[0].metric_name (file /c/x.yml:3): is missing",
        ),
    ] {
        let mistakes = read(text).expect_err(text);
        let found = mistakes.iter().any(|mistake| mistake.contains(wanted));
        assert!(found, "{text}: {wanted}\n\n{}", mistakes.join("\n"));
    }
}

#[test]
fn the_example_of_the_docs_is_good() {
    let page = include_str!("../../../../docs/metrics.md");
    let (_, rest) = page
        .split_once("<!-- example:begin -->\n```yaml\n")
        .expect("it is marked");
    let (text, _) = rest
        .split_once("```\n<!-- example:end -->")
        .expect("its end is marked");
    let FileCollector(definition) = read(text).expect("it is good");
    assert_eq!((definition.metrics.len(), definition.queries.len()), (2, 1));
}

#[test]
fn a_name_that_is_built_in_is_taken() {
    let text = "\
collector_name: mine
metrics:
  - {metric_name: mssql_deadlocks_total, type: counter, help: D., values: [v], query: SELECT 1 AS v}
";
    let mistakes = read(text).expect_err("it is taken");
    assert!(
        mistakes[0].contains("is exposed by collector counters already"),
        "{mistakes:?}"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_much(text in "[\\PC\n :\\-\\[\\]{}&*|>'\"]{0,200}") {
        let _ = read(&text);
    }
}
