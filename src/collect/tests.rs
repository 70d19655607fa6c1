//! Whatever an engine answers to a custom collector, what is exposed is valid.

use std::path::Path;

use proptest::prelude::*;
use tiberius::ColumnData;

use super::databases::Databases;
use super::names::Names;
use super::*;
use crate::config::metrics::{Filter, Pattern};
use crate::exposition::tests::parser;
use crate::exposition::{Families, Fragment};

const FILE: &str = "\
collector_name: fuzz
metrics:
  - metric_name: fuzz_by_key
    type: gauge
    help: By key.
    key_labels: [db, kind]
    static_labels: {team: \"a\\\"b\"}
    value_label: column
    values: [one, two]
    query_ref: q
  - metric_name: fuzz_info
    type: gauge
    help: Info.
    key_labels: [kind]
    static_value: 1
    query_ref: q
queries:
  - {query_name: q, query: SELECT 1}
";

fn collector() -> Box<dyn Collector> {
    let mut names = Names::default();
    let checked = files::check(Path::new("/x.yml"), FILE, &mut names);
    checked.unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// Generates a cell of any type that a custom query may return.
fn any_cell() -> impl Strategy<Value = ColumnData<'static>> {
    prop_oneof![
        any::<Option<String>>().prop_map(|text| ColumnData::String(text.map(Into::into))),
        "[\n\"\\\\\0]{0,5}".prop_map(|text| ColumnData::String(Some(text.into()))),
        any::<Option<f64>>().prop_map(ColumnData::F64),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)]
            .prop_map(|value| ColumnData::F64(Some(value))),
        any::<Option<f32>>().prop_map(ColumnData::F32),
        any::<Option<i64>>().prop_map(ColumnData::I64),
        any::<Option<i32>>().prop_map(ColumnData::I32),
        any::<Option<u8>>().prop_map(ColumnData::U8),
        any::<Option<bool>>().prop_map(ColumnData::Bit),
        any::<Option<Vec<u8>>>().prop_map(|bytes| ColumnData::Binary(bytes.map(Into::into))),
        Just(ColumnData::DateTime(None)),
    ]
}

/// Generates a row whose columns are those that are asked for, or others.
fn any_row() -> impl Strategy<Value = Vec<(&'static str, ColumnData<'static>)>> {
    let name = prop_oneof![
        9 => Just(None),
        1 => prop::sample::select(vec!["", "DB", "other", "sql_edge_supervisor_next_query"])
            .prop_map(Some),
    ];
    let cells = prop::collection::vec((name, any_cell()), 4..5);
    cells.prop_map(|cells| {
        let names = ["db", "kind", "one", "two"];
        let named = cells.into_iter().zip(names);
        named
            .map(|((other, cell), name)| (other.unwrap_or(name), cell))
            .collect()
    })
}

/// Exposes good rows of a number of databases; returns the text, and the number of series left out.
fn expose(databases: &mut Databases, names: &[&str]) -> (String, u64) {
    let collector = collector();
    let mut families = Families::new();
    let mut out = Output::new(&mut families, databases, Profiles::FILES);
    let mut reading = collector.begin();
    for name in names {
        let cells = [
            ("db", ColumnData::String(Some((*name).to_owned().into()))),
            ("kind", ColumnData::I32(Some(7))),
            ("one", ColumnData::I64(Some(1))),
            ("two", ColumnData::F64(None)),
        ];
        reading.row(0, &Cells::of(&cells), &mut out);
    }
    reading.finish(&mut out).expect("the rows are good");
    let left_out = families.left_out();
    let text = Fragment::new(families).texts().concat();
    (String::from_utf8(text).expect("text"), left_out)
}

#[test]
fn databases_are_filtered_and_capped_the_same_for_all_collectors() {
    let filter = Filter {
        include: vec![],
        exclude: vec![Pattern::new("temp*")],
    };
    let mut databases = Databases::new(filter, 2);
    databases.begin(1);
    let (text, left_out) = expose(&mut databases, &["b", "tempdb", "a", "c", ""]);
    let families = parser::parse(&text).expect("valid");
    let shown: Vec<_> = families["fuzz_by_key"]
        .samples
        .iter()
        .map(|s| s.label("db"))
        .collect();
    // The empty name is no database. NULL is no sample, and a filtered database is not left out.
    assert_eq!(shown, ["b", "a", ""]);
    // One of c, and the info series that is there four times.
    assert_eq!(left_out, 1 + 4);
    // In another order the same ones are shown.
    databases.begin(1);
    let (text, _) = expose(&mut databases, &["c", "b"]);
    assert!(
        text.contains("db=\"b\"") && !text.contains("db=\"c\""),
        "{text}"
    );
    // Those that are met no more give up their places.
    for _ in 0..20 {
        databases.begin(1);
        assert!(expose(&mut databases, &["c"]).0.contains("fuzz_info"));
    }
    let (text, _) = expose(&mut databases, &["c"]);
    assert!(text.contains("db=\"c\""), "{text}");
}

#[test]
fn a_missing_column_and_a_wrong_type_are_explained() {
    for (cells, wanted) in [
        (
            vec![("kind", ColumnData::I32(Some(1)))],
            "fuzz_by_key: its query returns no column \"db\"",
        ),
        (
            vec![
                ("db", ColumnData::String(None)),
                ("kind", ColumnData::DateTime(None)),
            ],
            "fuzz_by_key: column \"kind\" can't be read as a label; cast it to nvarchar",
        ),
        (
            vec![
                ("db", ColumnData::String(None)),
                ("kind", ColumnData::String(None)),
                ("one", ColumnData::String(Some("many".into()))),
            ],
            "fuzz_by_key: column \"one\" can't be read as a number",
        ),
    ] {
        let mut families = Families::new();
        let mut databases = Databases::new(Filter::default(), 10);
        let mut out = Output::new(&mut families, &mut databases, Profiles::FILES);
        let mut reading = collector().begin();
        reading.row(0, &Cells::of(&cells), &mut out);
        assert_eq!(reading.finish(&mut out), Err(Failure::Malformed));
        assert_eq!(out.into_explanation().as_deref(), Some(wanted));
    }
}

#[test]
fn words_of_failures_are_labels_and_unique() {
    let mut words: Vec<_> = Failure::ALL.iter().map(|failure| failure.word()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Failure::ALL.len());
}

proptest! {
    #[test]
    fn any_answer_gives_a_valid_exposition_or_none(
        rows in prop::collection::vec(any_row(), 0..20),
    ) {
        let mut families = Families::new();
        let mut databases = Databases::new(Filter::default(), 5);
        let mut out = Output::new(&mut families, &mut databases, Profiles::FILES);
        let mut reading = collector().begin();
        for (index, row) in rows.iter().enumerate() {
            reading.row(index % 3, &Cells::of(row), &mut out);
        }
        // What was exposed before a problem is thrown away; it has to be valid all the same.
        let _ = reading.finish(&mut out);
        let text = Fragment::new(families).texts().concat();
        let text = String::from_utf8(text).expect("text");
        prop_assert!(parser::parse(&text).is_ok(), "{:?}", parser::parse(&text));
    }
}
