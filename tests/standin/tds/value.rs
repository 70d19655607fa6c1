//! Values and result sets, independent of their encoding.

use serde_json::Value as Json;

use super::datetime::DateTime;
use super::types::SqlType;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    DateTime(DateTime),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
}

impl Column {
    pub fn new(name: impl Into<String>, sql_type: SqlType) -> Self {
        Self {
            name: name.into(),
            sql_type,
            nullable: true,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultSet {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
}

#[derive(Debug, thiserror::Error)]
#[error("{value} does not fit {sql_type}")]
pub struct Mismatch {
    pub value: String,
    pub sql_type: SqlType,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(bit: bool) -> Self {
        Self::Int(i64::from(bit))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<DateTime> for Value {
    fn from(time: DateTime) -> Self {
        Self::DateTime(time)
    }
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Reads a scripted value: numbers, text, `true`, `null`; a `datetime` is text `YYYY-MM-DD HH:MM:SS.mmm`.
    pub fn from_json(json: &Json, sql_type: &SqlType) -> Result<Self, Mismatch> {
        let mismatch = || Mismatch {
            value: json.to_string(),
            sql_type: *sql_type,
        };
        if json.is_null() {
            return Ok(Self::Null);
        }
        let value = match sql_type {
            SqlType::DateTime => json
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Self::DateTime),
            SqlType::Real | SqlType::Float => json.as_f64().map(Self::Float),
            SqlType::Bit => json
                .as_bool()
                .map(i64::from)
                .or_else(|| json.as_i64().filter(|bit| (0..=1).contains(bit)))
                .map(Self::Int),
            SqlType::Variant if json.is_i64() => json.as_i64().map(Self::Int),
            _ if sql_type.is_text() => json.as_str().map(Self::text),
            _ => json.as_i64().map(Self::Int),
        };
        value.ok_or_else(mismatch)
    }

    /// Returns a value as `CAST` would give it; what cannot be converted is `NULL`, as `TRY_CAST` does.
    pub fn cast(&self, sql_type: &SqlType) -> Self {
        match (self, sql_type) {
            (Self::Null, _) | (_, SqlType::Variant) => self.clone(),
            (value, target) if target.is_text() => Self::Text(value.to_text()),
            (Self::Text(text), SqlType::DateTime) => {
                text.parse().map_or(Self::Null, Self::DateTime)
            }
            (Self::DateTime(_), SqlType::DateTime) => self.clone(),
            (Self::Text(text), SqlType::Real | SqlType::Float) => {
                text.trim().parse().map_or(Self::Null, Self::Float)
            }
            (Self::Int(number), SqlType::Real | SqlType::Float) => Self::Float(*number as f64),
            (Self::Float(number), SqlType::Real | SqlType::Float) => Self::Float(*number),
            (Self::Text(text), _) => text.trim().parse().map_or(Self::Null, Self::Int),
            (Self::Int(number), SqlType::Bit) => Self::Int(i64::from(*number != 0)),
            (Self::Int(_), _) => self.clone(),
            (Self::Float(number), _) => Self::Int(number.trunc() as i64),
            (Self::DateTime(_), _) => Self::Null,
        }
    }

    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::DateTime(time) => time.to_string(),
        }
    }
}
