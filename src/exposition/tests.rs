//! Tests that whatever is given, the result is valid and holds what was given.

pub(crate) mod parser;

use std::io::Read;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use parser::parse;

const PLAIN: FamilyDef = FamilyDef::fixed("plain", Kind::Gauge, &[], "A gauge.");
const LABELLED: FamilyDef = FamilyDef::fixed(
    "labelled_total",
    Kind::Counter,
    &["db", "type"],
    "Counts,\nwith a \\ in its help.",
);

fn text(families: Families) -> String {
    let fragment = Fragment::new(families);
    let texts = fragment.texts().concat();
    String::from_utf8(texts).expect("it was rendered into Strings")
}

#[test]
fn a_small_exposition_as_it_is_served() {
    let mut families = Families::new();
    families.sample(&LABELLED, &["orders", "read"], 3.0);
    families.sample(&PLAIN, &[], 0.25);
    families.sample(&LABELLED, &["a\"b\\c\nd", ""], f64::INFINITY);
    assert_eq!(
        text(families),
        "# HELP labelled_total Counts,\\nwith a \\\\ in its help.\n\
         # TYPE labelled_total counter\n\
         labelled_total{db=\"orders\",type=\"read\"} 3\n\
         labelled_total{db=\"a\\\"b\\\\c\\nd\",type=\"\"} +Inf\n\
         # HELP plain A gauge.\n\
         # TYPE plain gauge\n\
         plain 0.25\n"
    );
}

#[test]
fn a_series_stands_once_and_the_first_one_counts() {
    let mut families = Families::new();
    families.sample(&PLAIN, &[], 1.0);
    families.sample(&PLAIN, &[], 2.0);
    assert_eq!((families.left_out(), families.samples()), (1, 1));
    assert!(text(families).ends_with("\nplain 1\n"));
}

#[test]
fn beyond_the_limit_of_bytes_series_are_counted_and_not_kept() {
    let mut families = Families::new();
    let value = "x".repeat(MAX_LABEL_VALUE_BYTES - 10);
    let more = MAX_FRAGMENT_BYTES / MAX_LABEL_VALUE_BYTES + 100;
    for index in 0..more {
        families.sample(&LABELLED, &[&format!("{index:06}{value}"), ""], 1.0);
    }
    let left_out = families.left_out();
    assert!(left_out > 0);
    assert_eq!(families.samples() as u64 + left_out, more as u64);
    let text = text(families);
    assert!(text.len() <= MAX_FRAGMENT_BYTES);
    parse(&text).expect("valid to the last line");
}

#[test]
fn a_megabyte_of_label_is_cut_between_characters() {
    let mut families = Families::new();
    families.sample(
        &LABELLED,
        &[&"é".repeat(500_000), &"\"".repeat(1_000_000)],
        1.0,
    );
    let families = parse(&text(families)).expect("valid");
    let sample = &families["labelled_total"].samples[0];
    assert!(sample.label("db").chars().all(|c| c == 'é'));
    assert!(sample.label("db").len() <= MAX_LABEL_VALUE_BYTES);
    assert!(sample.label("type").len() <= MAX_LABEL_VALUE_BYTES / 2);
}

#[test]
fn what_has_expired_is_served_no_more() {
    let now = Instant::now();
    let report = |name: &str, until: Instant| {
        let mut families = Families::new();
        let family = FamilyDef {
            name: name.to_owned().into(),
            ..PLAIN
        };
        families.sample(&family, &[], 1.0);
        CollectorReport {
            fragment: Some((Fragment::new(families).into(), until)),
            ..CollectorReport::pending(name)
        }
    };
    let exposition = Exposition {
        collectors: vec![
            report("old", now),
            report("fresh", now + Duration::from_secs(1)),
            CollectorReport::pending("none"),
        ],
    };
    let plain = exposition.plain(String::new(), now).concat();
    let families = parse(&String::from_utf8(plain.clone()).expect("text")).expect("valid");
    assert_eq!(families.keys().collect::<Vec<_>>(), ["fresh"]);
    let gzip = exposition.gzip("", now).expect("it compresses").concat();
    assert_eq!(inflate(&gzip), plain);
}

fn inflate(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(gzip);
    decoder.read_to_end(&mut plain).expect("a gzip stream");
    plain
}

#[test]
fn names() {
    for name in ["a", "_a1", "a:b", ":"] {
        assert!(is_metric_name(name), "{name}");
    }
    for name in ["", "1a", "a-b", "a b", "é", "a\n"] {
        assert!(!is_metric_name(name), "{name:?}");
        assert!(!is_label_name(name), "{name:?}");
    }
    assert!(!is_label_name("a:b") && !is_label_name("__name__") && is_label_name("_a"));
}

/// Returns a label's value as it is to be read back: bounded, without control characters.
fn shown(value: &str) -> String {
    let plain = value.chars().map(|c| match c {
        '\n' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    plain.collect()
}

proptest! {
    #[test]
    fn any_samples_make_a_valid_exposition(
        samples in prop::collection::vec(
            (any::<bool>(), any::<String>(), "[\\PC\n\"\\\\\0\r]{0,20}", any::<f64>()),
            0..40,
        ),
    ) {
        let mut families = Families::new();
        for (labelled, db, kind, value) in &samples {
            if *labelled {
                families.sample(&LABELLED, &[db, kind], *value);
            } else {
                families.sample(&PLAIN, &[], *value);
            }
        }
        let (left_out, kept) = (families.left_out(), families.samples());
        prop_assert_eq!(left_out + kept as u64, samples.len() as u64);
        let fragment = Fragment::new(families);
        let read = parse(std::str::from_utf8(&fragment.texts().concat()).expect("text"));
        let read = read.map_err(TestCaseError::fail)?;
        prop_assert_eq!(read.values().map(|f| f.samples.len()).sum::<usize>(), kept);
        for (labelled, db, kind, _) in samples {
            if labelled && db.len() < 100 {
                let samples = &read["labelled_total"].samples;
                let there = samples
                    .iter()
                    .any(|s| s.label("db") == shown(&db) && s.label("type") == shown(&kind));
                prop_assert!(there, "{db:?} {kind:?}");
            }
        }
    }

    #[test]
    fn any_value_is_read_back(value in any::<f64>()) {
        let mut families = Families::new();
        families.sample(&PLAIN, &[], value);
        let read = parse(&text(families)).map_err(TestCaseError::fail)?;
        let read = read["plain"].samples[0].value;
        prop_assert!(read == value || (read.is_nan() && value.is_nan()));
    }

    #[test]
    fn parts_of_any_bytes_join_to_one_stream(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..6),
    ) {
        let parts: Vec<_> = texts
            .iter()
            .map(|text| gzip::Part::new(std::iter::once(&text[..])).expect("it compresses"))
            .collect();
        prop_assert_eq!(inflate(&gzip::join(parts.iter()).concat()), texts.concat());
    }
}
