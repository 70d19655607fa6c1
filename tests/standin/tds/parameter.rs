//! Parameters of a remote procedure call: TYPE_INFO and value as clients send them.

use bytes::Buf;

use super::value::Value;
use super::{ProtocolError, decode_utf16};

const COLLATION_BYTES: usize = 5;
const MAX_LENGTH_MARKER: u16 = u16::MAX;
const PLP_NULL: u64 = u64::MAX;
const SHORT_NULL: u16 = u16::MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name with its `@`; empty when passed by position.
    pub name: String,
    pub value: Value,
}

impl Parameter {
    pub fn decode(input: &mut &[u8]) -> Result<Self, ProtocolError> {
        let chars = usize::from(input.try_get_u8()?);
        let name = decode_utf16(take(input, 2 * chars)?);
        let _status_flags = input.try_get_u8()?;
        Ok(Self {
            name,
            value: decode_value(input)?,
        })
    }
}

pub fn take<'a>(input: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], ProtocolError> {
    let (taken, rest) = input
        .split_at_checked(bytes)
        .ok_or(ProtocolError::Truncated)?;
    *input = rest;
    Ok(taken)
}

fn decode_value(input: &mut &[u8]) -> Result<Value, ProtocolError> {
    let code = input.try_get_u8()?;
    match code {
        0x1f => Ok(Value::Null),
        0x30 | 0x32 => integer(input, 1),
        0x34 => integer(input, 2),
        0x38 => integer(input, 4),
        0x7f => integer(input, 8),
        0x26 | 0x68 => {
            let _size = input.try_get_u8()?;
            let bytes = input.try_get_u8()?;
            integer(input, bytes)
        }
        0x6d => {
            let _size = input.try_get_u8()?;
            Ok(match input.try_get_u8()? {
                0 => Value::Null,
                4 => Value::Float(f64::from(input.try_get_f32_le()?)),
                _ => Value::Float(input.try_get_f64_le()?),
            })
        }
        0xe7 | 0xef | 0xa7 | 0xaf => text(input, matches!(code, 0xe7 | 0xef)),
        0x63 => {
            let _size = input.try_get_u32_le()?;
            take(input, COLLATION_BYTES)?;
            let bytes = input.try_get_u32_le()?;
            if bytes == u32::MAX {
                return Ok(Value::Null);
            }
            Ok(Value::Text(decode_utf16(take(input, bytes as usize)?)))
        }
        other => Err(ProtocolError::ParameterType(other)),
    }
}

fn integer(input: &mut &[u8], bytes: u8) -> Result<Value, ProtocolError> {
    Ok(Value::Int(match bytes {
        0 => return Ok(Value::Null),
        1 => i64::from(input.try_get_u8()?),
        2 => i64::from(input.try_get_i16_le()?),
        4 => i64::from(input.try_get_i32_le()?),
        8 => input.try_get_i64_le()?,
        _ => return Err(ProtocolError::Malformed("integer of an impossible size")),
    }))
}

fn text(input: &mut &[u8], wide: bool) -> Result<Value, ProtocolError> {
    let size = input.try_get_u16_le()?;
    take(input, COLLATION_BYTES)?;
    let bytes = if size == MAX_LENGTH_MARKER {
        let Some(bytes) = chunks(input)? else {
            return Ok(Value::Null);
        };
        bytes
    } else {
        match input.try_get_u16_le()? {
            SHORT_NULL => return Ok(Value::Null),
            length => take(input, usize::from(length))?.to_vec(),
        }
    };
    Ok(Value::Text(if wide {
        decode_utf16(&bytes)
    } else {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    }))
}

/// Reads partially length-prefixed data, which is bounded by the message it came in.
fn chunks(input: &mut &[u8]) -> Result<Option<Vec<u8>>, ProtocolError> {
    if input.try_get_u64_le()? == PLP_NULL {
        return Ok(None);
    }
    let mut joined = Vec::new();
    loop {
        let length = input.try_get_u32_le()? as usize;
        if length == 0 {
            return Ok(Some(joined));
        }
        joined.extend_from_slice(take(input, length)?);
    }
}
