//! SQL types and their TDS encoding (MS-TDS 2.2.5.4 and 2.2.5.5).

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use super::encode_utf16;
use super::value::{Mismatch, Value};

/// SQL_Latin1_General_CP1_CI_AS, the image's default collation.
pub const COLLATION: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];
const MAX_NVARCHAR_CHARS: u16 = 4000;
const MAX_VARCHAR_BYTES: u16 = 8000;
const VARIANT_MAX_BYTES: u32 = 8009;
const PLP_NULL: u64 = u64::MAX;
const SHORT_NULL: u16 = u16::MAX;
const MAX_LENGTH_MARKER: u16 = u16::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    DateTime,
    /// A text with its length in UTF-16 code units.
    NVarChar(u16),
    NVarCharMax,
    /// A text with its length in bytes of code page 1252.
    VarChar(u16),
    VarCharMax,
    /// A text padded with spaces to this many UTF-16 code units.
    NChar(u16),
    /// A text padded with spaces to this many bytes of code page 1252.
    Char(u16),
    /// `numeric(precision, 0)`: whole numbers only.
    Numeric(u8),
    /// A UUID, held as text.
    UniqueIdentifier,
    /// `sql_variant`, holding an int or an nvarchar: what SERVERPROPERTY returns.
    Variant,
}

/// `sysname`
pub const SYSNAME: SqlType = SqlType::NVarChar(128);

impl SqlType {
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::NVarChar(_)
                | Self::NVarCharMax
                | Self::VarChar(_)
                | Self::VarCharMax
                | Self::NChar(_)
                | Self::Char(_)
                | Self::UniqueIdentifier
                | Self::Variant
        )
    }

    /// Returns the bytes of a fixed-length value; `None` for the variable ones.
    fn fixed_bytes(&self) -> Option<u8> {
        Some(match self {
            Self::Bit | Self::TinyInt => 1,
            Self::SmallInt => 2,
            Self::Int | Self::Real => 4,
            Self::BigInt | Self::Float | Self::DateTime => 8,
            _ => return None,
        })
    }

    /// Writes TYPE_INFO. A column that cannot be NULL uses the fixed type's own code, as the real engine
    /// does.
    pub fn encode_info(&self, nullable: bool, out: &mut BytesMut) {
        if let Some(bytes) = self.fixed_bytes() {
            let (fixed, variable) = match self {
                Self::Bit => (0x32, 0x68),
                Self::TinyInt => (0x30, 0x26),
                Self::SmallInt => (0x34, 0x26),
                Self::Int => (0x38, 0x26),
                Self::BigInt => (0x7f, 0x26),
                Self::Real => (0x3b, 0x6d),
                Self::Float => (0x3e, 0x6d),
                _ => (0x3d, 0x6f),
            };
            out.put_u8(if nullable { variable } else { fixed });
            if nullable {
                out.put_u8(bytes);
            }
            return;
        }
        match self {
            Self::NVarChar(chars) => text_info(0xe7, chars * 2, out),
            Self::NVarCharMax => text_info(0xe7, MAX_LENGTH_MARKER, out),
            Self::VarChar(bytes) => text_info(0xa7, *bytes, out),
            Self::VarCharMax => text_info(0xa7, MAX_LENGTH_MARKER, out),
            Self::NChar(chars) => text_info(0xef, chars * 2, out),
            Self::Char(bytes) => text_info(0xaf, *bytes, out),
            Self::Numeric(precision) => {
                out.put_slice(&[0x6c, numeric_bytes(*precision), *precision, 0]);
            }
            Self::UniqueIdentifier => out.put_slice(&[0x24, 16]),
            _ => {
                out.put_u8(0x62);
                out.put_u32_le(VARIANT_MAX_BYTES);
            }
        }
    }

    pub fn encode_value(
        &self,
        nullable: bool,
        value: &Value,
        out: &mut BytesMut,
    ) -> Result<(), Mismatch> {
        let mismatch = || Mismatch {
            value: format!("{value:?}"),
            sql_type: *self,
        };
        if let Some(bytes) = self.fixed_bytes() {
            return match (value, nullable) {
                (Value::Null, true) => {
                    out.put_u8(0);
                    Ok(())
                }
                (Value::Null, false) => Err(mismatch()),
                _ => {
                    if nullable {
                        out.put_u8(bytes);
                    }
                    self.encode_fixed(value, out).ok_or_else(mismatch)
                }
            };
        }
        self.encode_variable(value, out).ok_or_else(mismatch)
    }

    fn encode_fixed(&self, value: &Value, out: &mut BytesMut) -> Option<()> {
        match (self, value) {
            (Self::Bit | Self::TinyInt, Value::Int(n)) => out.put_u8(u8::try_from(*n).ok()?),
            (Self::SmallInt, Value::Int(n)) => out.put_i16_le(i16::try_from(*n).ok()?),
            (Self::Int, Value::Int(n)) => out.put_i32_le(i32::try_from(*n).ok()?),
            (Self::BigInt, Value::Int(n)) => out.put_i64_le(*n),
            (Self::Real, Value::Float(x)) => out.put_f32_le(*x as f32),
            (Self::Float, Value::Float(x)) => out.put_f64_le(*x),
            (Self::DateTime, Value::DateTime(time)) => {
                let (days, ticks) = time.to_wire();
                out.put_i32_le(days);
                out.put_u32_le(ticks);
            }
            _ => return None,
        }
        Some(())
    }

    fn encode_variable(&self, value: &Value, out: &mut BytesMut) -> Option<()> {
        match (self, value) {
            (
                Self::NVarChar(_) | Self::VarChar(_) | Self::NChar(_) | Self::Char(_),
                Value::Null,
            ) => out.put_u16_le(SHORT_NULL),
            (Self::Numeric(_) | Self::UniqueIdentifier, Value::Null) => out.put_u8(0),
            (Self::NChar(chars), Value::Text(text)) => {
                let padded = format!("{text:0$}", usize::from(*chars));
                short_text(&encode_utf16(&padded), chars * 2, out)?;
            }
            (Self::Char(bytes), Value::Text(text)) => {
                let padded = format!("{text:0$}", usize::from(*bytes));
                short_text(&encode_cp1252(&padded), *bytes, out)?;
            }
            (Self::Numeric(precision), Value::Int(number)) => {
                let bytes = numeric_bytes(*precision);
                out.put_u8(bytes);
                out.put_u8(u8::from(*number >= 0));
                let magnitude = u128::from(number.unsigned_abs()).to_le_bytes();
                out.put_slice(&magnitude[..usize::from(bytes) - 1]);
            }
            (Self::UniqueIdentifier, Value::Text(text)) => {
                out.put_u8(16);
                out.put_slice(&identifier(text)?);
            }
            (Self::NVarCharMax | Self::VarCharMax, Value::Null) => out.put_u64_le(PLP_NULL),
            (Self::Variant, Value::Null) => out.put_u32_le(0),
            (Self::NVarChar(chars), Value::Text(text)) => {
                short_text(&encode_utf16(text), chars * 2, out)?;
            }
            (Self::VarChar(bytes), Value::Text(text)) => {
                short_text(&encode_cp1252(text), *bytes, out)?;
            }
            (Self::NVarCharMax, Value::Text(text)) => long_text(&encode_utf16(text), out),
            (Self::VarCharMax, Value::Text(text)) => long_text(&encode_cp1252(text), out),
            (Self::Variant, Value::Int(number)) => {
                out.put_u32_le(2 + 4);
                out.put_u8(0x38); // int, without properties
                out.put_u8(0);
                out.put_i32_le(i32::try_from(*number).ok()?);
            }
            (Self::Variant, Value::Text(text)) => variant_text(&encode_utf16(text), out)?,
            _ => return None,
        }
        Some(())
    }
}

/// Returns the bytes that length, sign and magnitude of a numeric take (MS-TDS 2.2.5.5.1.6).
fn numeric_bytes(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// Reads an identifier, whose first three groups are little-endian on the wire.
fn identifier(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let mut bytes = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn text_info(code: u8, bytes: u16, out: &mut BytesMut) {
    out.put_u8(code);
    out.put_u16_le(bytes);
    out.put_slice(&COLLATION);
}

fn short_text(bytes: &[u8], limit: u16, out: &mut BytesMut) -> Option<()> {
    let length = u16::try_from(bytes.len()).ok().filter(|n| *n <= limit)?;
    out.put_u16_le(length);
    out.put_slice(bytes);
    Some(())
}

/// Writes partially length-prefixed text: total, one chunk, terminator.
fn long_text(bytes: &[u8], out: &mut BytesMut) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.put_u64_le(u64::from(length));
    if length > 0 {
        out.put_u32_le(length);
        out.put_slice(bytes);
    }
    out.put_u32_le(0);
}

fn variant_text(bytes: &[u8], out: &mut BytesMut) -> Option<()> {
    const PROPERTY_BYTES: u8 = 7;
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|n| *n <= u32::from(MAX_VARCHAR_BYTES))?;
    out.put_u32_le(2 + u32::from(PROPERTY_BYTES) + length);
    out.put_u8(0xe7);
    out.put_u8(PROPERTY_BYTES);
    out.put_slice(&COLLATION);
    out.put_u16_le(MAX_VARCHAR_BYTES);
    out.put_slice(bytes);
    Some(())
}

/// Encodes in code page 1252 where it equals Latin-1; the rest becomes `?`, as the engine does for
/// unmappable characters.
fn encode_cp1252(text: &str) -> Vec<u8> {
    text.chars()
        .map(|char| match u32::from(char) {
            code @ (0..=0x7f | 0xa0..=0xff) => code as u8,
            _ => b'?',
        })
        .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("unknown SQL type {0:?}")]
pub struct UnknownType(String);

impl FromStr for SqlType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let compact: String = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_ascii_lowercase();
        let (name, argument) = match compact.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')')),
            None => (compact.as_str(), None),
        };
        let length = |default: u16, limit: u16| match argument {
            None => Some(default),
            Some(number) => number.parse().ok().filter(|n| (1..=limit).contains(n)),
        };
        let parsed = match name {
            "bit" => Some(Self::Bit),
            "tinyint" => Some(Self::TinyInt),
            "smallint" => Some(Self::SmallInt),
            "int" | "integer" => Some(Self::Int),
            "bigint" => Some(Self::BigInt),
            "real" => Some(Self::Real),
            "float" => Some(Self::Float),
            "datetime" => Some(Self::DateTime),
            "sysname" => Some(SYSNAME),
            "sql_variant" => Some(Self::Variant),
            "nvarchar" if argument == Some("max") => Some(Self::NVarCharMax),
            "varchar" if argument == Some("max") => Some(Self::VarCharMax),
            "nvarchar" => length(30, MAX_NVARCHAR_CHARS).map(Self::NVarChar),
            "varchar" => length(30, MAX_VARCHAR_BYTES).map(Self::VarChar),
            "nchar" => length(1, MAX_NVARCHAR_CHARS).map(Self::NChar),
            "char" => length(1, MAX_VARCHAR_BYTES).map(Self::Char),
            "numeric" | "decimal" => argument
                .unwrap_or("18")
                .trim_end_matches(",0")
                .parse()
                .ok()
                .filter(|precision| (1..=38).contains(precision))
                .map(Self::Numeric),
            "uniqueidentifier" => Some(Self::UniqueIdentifier),
            _ => None,
        };
        parsed.ok_or_else(|| UnknownType(text.to_owned()))
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit => f.write_str("bit"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Float => f.write_str("float"),
            Self::DateTime => f.write_str("datetime"),
            Self::NVarChar(chars) => write!(f, "nvarchar({chars})"),
            Self::NVarCharMax => f.write_str("nvarchar(max)"),
            Self::VarChar(bytes) => write!(f, "varchar({bytes})"),
            Self::VarCharMax => f.write_str("varchar(max)"),
            Self::NChar(chars) => write!(f, "nchar({chars})"),
            Self::Char(bytes) => write!(f, "char({bytes})"),
            Self::Numeric(precision) => write!(f, "numeric({precision},0)"),
            Self::UniqueIdentifier => f.write_str("uniqueidentifier"),
            Self::Variant => f.write_str("sql_variant"),
        }
    }
}

impl TryFrom<String> for SqlType {
    type Error = UnknownType;

    fn try_from(text: String) -> Result<Self, UnknownType> {
        text.parse()
    }
}

impl From<SqlType> for String {
    fn from(sql_type: SqlType) -> Self {
        sql_type.to_string()
    }
}
