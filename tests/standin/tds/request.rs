//! The requests that a client may make once it is logged in.

use bytes::Buf;

use super::packet::{Message, PacketType};
use super::parameter::{Parameter, take};
use super::{ProtocolError, decode_utf16};

const PROCEDURE_BY_ID: u16 = 0xffff;
const PROCEDURE_EXECUTESQL: u16 = 10;
/// The real engine allows 2,100 parameters.
const MAX_PARAMETERS: usize = 2100;

#[derive(Debug, PartialEq)]
pub enum Request {
    Batch(String),
    Procedure {
        procedure: Procedure,
        parameters: Vec<Parameter>,
    },
    Transaction(Transaction),
    Attention,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Procedure {
    ExecuteSql,
    Named(String),
    /// The number of a cursor or prepare procedure, none of which is imitated.
    Numbered(u16),
}

/// Transaction manager requests. Nothing is transactional here; clients only want their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    Begin,
    Commit { begin_next: bool },
    Rollback { begin_next: bool },
}

impl Request {
    pub fn decode(message: &Message) -> Result<Self, ProtocolError> {
        let payload = &message.payload[..];
        match message.kind {
            PacketType::SqlBatch => Ok(Self::Batch(decode_utf16(after_headers(payload)?))),
            PacketType::Rpc => procedure(after_headers(payload)?),
            PacketType::Transaction => transaction(after_headers(payload)?),
            PacketType::Attention => Ok(Self::Attention),
            PacketType::Login7 | PacketType::Prelogin | PacketType::Response => {
                Err(ProtocolError::Malformed("not a request"))
            }
        }
    }
}

/// Skips ALL_HEADERS: transaction descriptor, query notification, trace activity.
fn after_headers(payload: &[u8]) -> Result<&[u8], ProtocolError> {
    let mut start = payload;
    let length = start.try_get_u32_le()? as usize;
    payload.get(length..).ok_or(ProtocolError::Truncated)
}

fn procedure(mut input: &[u8]) -> Result<Request, ProtocolError> {
    let length = input.try_get_u16_le()?;
    let procedure = if length == PROCEDURE_BY_ID {
        match input.try_get_u16_le()? {
            PROCEDURE_EXECUTESQL => Procedure::ExecuteSql,
            number => Procedure::Numbered(number),
        }
    } else {
        let name = decode_utf16(take(&mut input, 2 * usize::from(length))?);
        if name.eq_ignore_ascii_case("sp_executesql") {
            Procedure::ExecuteSql
        } else {
            Procedure::Named(name)
        }
    };
    let _option_flags = input.try_get_u16_le()?;
    let mut parameters = Vec::new();
    // The numbered procedures carry types that nothing here needs; they are refused by number, unread.
    while !input.is_empty() && !matches!(procedure, Procedure::Numbered(_)) {
        if parameters.len() == MAX_PARAMETERS {
            return Err(ProtocolError::Malformed("too many parameters"));
        }
        parameters.push(Parameter::decode(&mut input)?);
    }
    Ok(Request::Procedure {
        procedure,
        parameters,
    })
}

fn transaction(mut input: &[u8]) -> Result<Request, ProtocolError> {
    let kind = input.try_get_u16_le()?;
    let begin_next = |mut rest: &[u8]| -> Result<bool, ProtocolError> {
        let name_bytes = usize::from(rest.try_get_u8()?);
        take(&mut rest, name_bytes)?;
        Ok(rest.try_get_u8()? & 1 != 0)
    };
    Ok(Request::Transaction(match kind {
        5 => Transaction::Begin,
        7 => Transaction::Commit {
            begin_next: begin_next(input)?,
        },
        8 => Transaction::Rollback {
            begin_next: begin_next(input)?,
        },
        _ => return Err(ProtocolError::Malformed("unknown transaction request")),
    }))
}
