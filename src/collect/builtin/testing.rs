//! Reads a collector's rows in tests, without an engine.

use tiberius::ColumnData;

use crate::collect::databases::Databases;
use crate::collect::{Collector, Failure, Output, Profiles};
use crate::config::metrics::Filter;
use crate::exposition::{Families, Fragment};
use crate::tds::value::Cells;

/// A row: columns and their values.
pub(super) type Row = Vec<(&'static str, ColumnData<'static>)>;

pub(super) fn text(value: &str) -> ColumnData<'static> {
    ColumnData::String(Some(value.to_owned().into()))
}

pub(super) fn int(value: i64) -> ColumnData<'static> {
    ColumnData::I64(Some(value))
}

pub(super) fn all_profiles() -> Profiles {
    let words = Profiles::WORDS.into_iter();
    words.fold(Profiles::NONE, |all, (_, profile)| all.and(profile))
}

/// Returns the samples that these result sets give with every profile on, one a line, in order.
pub(super) fn samples(
    collector: &dyn Collector,
    sets: &[Vec<Row>],
) -> Result<Vec<String>, Failure> {
    let mut families = Families::new();
    let mut databases = Databases::new(Filter::default(), 3);
    databases.begin(1);
    let mut out = Output::new(&mut families, &mut databases, all_profiles());
    let mut reading = collector.begin();
    for (index, rows) in sets.iter().enumerate() {
        for row in rows {
            reading.row(index, &Cells::of(row), &mut out);
        }
    }
    reading.finish(&mut out)?;
    let fragment = Fragment::new(families);
    let known = |name: &String| collector.metrics().iter().any(|m| m.family.name == *name);
    assert!(
        fragment.names().iter().all(known),
        "it said what it exposes"
    );
    let texts = fragment
        .texts()
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.filter(|line| !line.starts_with('#')).collect())
}

/// Returns the samples of the families whose names begin with `prefix`.
pub(super) fn samples_of(
    prefix: &str,
    collector: &dyn Collector,
    sets: &[Vec<Row>],
) -> Vec<String> {
    let mut all = samples(collector, sets).expect("an answer as asked for");
    all.retain(|line| line.starts_with(prefix));
    all
}
