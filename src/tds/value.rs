//! Cells of a row by name, read leniently: another integer type than documented, or a missing
//! column, must not cost the rest of the row.

use std::borrow::Cow;

use tiberius::{ColumnData, Row};

/// The cells of one row with their columns' names.
#[derive(Debug)]
pub(crate) struct Cells<'a>(Vec<(&'a str, &'a ColumnData<'static>)>);

impl<'a> From<&'a Row> for Cells<'a> {
    fn from(row: &'a Row) -> Self {
        Self(
            row.cells()
                .map(|(column, data)| (column.name(), data))
                .collect(),
        )
    }
}

impl<'a> Cells<'a> {
    fn find(&self, name: &str) -> Option<&'a ColumnData<'static>> {
        self.0
            .iter()
            .find(|(column, _)| column.eq_ignore_ascii_case(name))
            .map(|(_, data)| *data)
    }

    /// Returns a whole number; none where the cell is NULL, missing or of another kind.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.find(name)? {
            ColumnData::U8(value) => value.map(i64::from),
            ColumnData::I16(value) => value.map(i64::from),
            ColumnData::I32(value) => value.map(i64::from),
            ColumnData::I64(value) => *value,
            ColumnData::Bit(value) => value.map(i64::from),
            _ => None,
        }
    }

    /// Returns a finite number; none as in [`Self::integer`].
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let value = match self.find(name)? {
            ColumnData::F32(value) => value.map(f64::from),
            ColumnData::F64(value) => *value,
            ColumnData::Numeric(value) => value.map(f64::from),
            #[expect(
                clippy::cast_precision_loss,
                reason = "past 2^53 the last digits of a count do not matter"
            )]
            _ => self.integer(name).map(|value| value as f64),
        };
        value.filter(|value| value.is_finite())
    }

    /// Returns a text; none as in [`Self::integer`].
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        match self.find(name)? {
            ColumnData::String(value) => value.as_deref(),
            _ => None,
        }
    }
}

impl<'a> Cells<'a> {
    /// Whether there is a column of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns the name of the only column, if there is but one.
    pub(crate) fn only_column(&self) -> Option<&'a str> {
        match self.0.as_slice() {
            [(name, _)] => Some(name),
            _ => None,
        }
    }

    /// Returns any simple value as text, NULL as the empty one; none where the column is missing,
    /// or holds a date, bytes or XML, whose texts the engine should make.
    pub(crate) fn label(&self, name: &str) -> Option<Cow<'a, str>> {
        fn shown<T: ToString>(value: Option<&T>) -> Cow<'static, str> {
            value.map_or_else(String::new, ToString::to_string).into()
        }
        Some(match self.find(name)? {
            ColumnData::String(value) => value.as_deref().unwrap_or_default().into(),
            ColumnData::U8(value) => shown(value.as_ref()),
            ColumnData::I16(value) => shown(value.as_ref()),
            ColumnData::I32(value) => shown(value.as_ref()),
            ColumnData::I64(value) => shown(value.as_ref()),
            ColumnData::F32(value) => shown(value.as_ref()),
            ColumnData::F64(value) => shown(value.as_ref()),
            ColumnData::Bit(value) => shown(value.as_ref()),
            ColumnData::Guid(value) => shown(value.as_ref()),
            ColumnData::Numeric(value) => shown(value.as_ref()),
            _ => return None,
        })
    }

    /// Returns a number, or a text that is one; none as in [`Self::integer`].
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        match self.find(name)? {
            ColumnData::String(text) => text
                .as_deref()?
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite()),
            _ => self.number(name),
        }
    }

    /// Whether the cell is there and NULL.
    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.find(name).is_some_and(|data| {
            matches!(
                data,
                ColumnData::U8(None)
                    | ColumnData::I16(None)
                    | ColumnData::I32(None)
                    | ColumnData::I64(None)
                    | ColumnData::F32(None)
                    | ColumnData::F64(None)
                    | ColumnData::Bit(None)
                    | ColumnData::String(None)
                    | ColumnData::Numeric(None)
            )
        })
    }
}

/// Returns the first `limit` characters of `text`.
pub(crate) fn first_chars(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

#[cfg(test)]
impl<'a> Cells<'a> {
    /// Makes a row of the cells that a test gives.
    pub(crate) fn of(cells: &'a [(&'a str, ColumnData<'static>)]) -> Self {
        Self(cells.iter().map(|(name, data)| (*name, data)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_integer_type_is_read_and_null_is_absent() {
        let cells = [
            ("tiny", ColumnData::U8(Some(6))),
            ("small", ColumnData::I16(Some(-1))),
            ("int", ColumnData::I32(Some(7))),
            ("big", ColumnData::I64(Some(1 << 40))),
            ("bit", ColumnData::Bit(Some(true))),
            ("null", ColumnData::I32(None)),
            ("text", ColumnData::String(Some("7".into()))),
        ];
        let cells = Cells::of(&cells);
        let read = ["TINY", "small", "int", "big", "bit", "null", "text", "none"]
            .map(|name| cells.integer(name));
        assert_eq!(
            read,
            [
                Some(6),
                Some(-1),
                Some(7),
                Some(1 << 40),
                Some(1),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn numbers_are_finite() {
        let cells = [
            ("real", ColumnData::F32(Some(12.5))),
            ("nan", ColumnData::F64(Some(f64::NAN))),
            ("int", ColumnData::I32(Some(3))),
        ];
        let cells = Cells::of(&cells);
        assert_eq!(cells.number("real"), Some(12.5));
        assert_eq!(cells.number("nan"), None);
        assert_eq!(cells.number("int"), Some(3.0));
    }
}
