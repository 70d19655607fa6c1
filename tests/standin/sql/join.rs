//! The rows of a table that may join a row.

use std::collections::HashMap;

use super::super::tds::value::Value;
use super::expression::Expression;
use super::scope::{Row, Scope};

/// The rows of a joined table by the value of a column that the condition has equal to one on the left:
/// a join of thousands of files with their names must not try millions of pairs.
pub struct Index<'a> {
    rows: &'a [Row],
    /// The column on the left, and the rows by their value, where there is such a condition.
    by_value: Option<(usize, HashMap<String, Vec<usize>>)>,
}

impl<'a> Index<'a> {
    pub fn new(scope: &Scope<'_>, on: Option<&Expression>, rows: &'a [Row], width: usize) -> Self {
        let by_value = on
            .and_then(|on| equal_columns(scope, on, width))
            .map(|(left, right)| {
                let mut by_value: HashMap<String, Vec<usize>> = HashMap::new();
                for (index, row) in rows.iter().enumerate() {
                    by_value.entry(key(&row[right])).or_default().push(index);
                }
                (left, by_value)
            });
        Self { rows, by_value }
    }

    pub fn candidates(&self, left: &Row) -> Vec<&'a Row> {
        match &self.by_value {
            None => self.rows.iter().collect(),
            Some((column, by_value)) => by_value
                .get(&key(&left[*column]))
                .map_or_else(Vec::new, |found| {
                    found.iter().map(|i| &self.rows[*i]).collect()
                }),
        }
    }
}

/// Returns the key of a value: equal values have equal keys; what is equal is decided by the condition
/// itself.
fn key(value: &Value) -> String {
    value.to_text().trim_end().to_lowercase()
}

/// Returns the first `left = right` of a conjunction, as positions among the left columns and in the table
/// that is joined.
fn equal_columns(scope: &Scope<'_>, on: &Expression, width: usize) -> Option<(usize, usize)> {
    match on {
        Expression::And(first, second) => {
            equal_columns(scope, first, width).or_else(|| equal_columns(scope, second, width))
        }
        Expression::Compare("=", first, second) => {
            let (first, second) = (scope.position(first)?, scope.position(second)?);
            match (first < width, second < width) {
                (true, false) => Some((first, second - width)),
                (false, true) => Some((second, first - width)),
                _ => None,
            }
        }
        _ => None,
    }
}
