//! The part of MS-TDS 7.2 to 7.4 that a supervisor and its tests meet, server side.
//!
//! Everything here except [`tls`] and [`connection`] is a pure function of bytes: no socket, no clock.

pub mod connection;
pub mod datetime;
pub mod login7;
pub mod packet;
pub mod parameter;
pub mod prelogin;
pub mod request;
pub mod tls;
pub mod token;
pub mod types;
pub mod value;

use bytes::TryGetError;

/// An error that a peer makes on the wire. Each ends the connection.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("unknown packet type {0:#04x}")]
    PacketType(u8),
    #[error("packet length {0} is outside the protocol's limits")]
    PacketLength(usize),
    #[error("message longer than {0} bytes")]
    MessageTooLong(usize),
    #[error("message ends early")]
    Truncated,
    #[error("{0}")]
    Malformed(&'static str),
    #[error("parameter type {0:#04x} is not supported")]
    ParameterType(u8),
}

impl From<TryGetError> for ProtocolError {
    fn from(_: TryGetError) -> Self {
        Self::Truncated
    }
}

impl From<ProtocolError> for std::io::Error {
    fn from(error: ProtocolError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// Decodes UTF-16LE as TDS carries it; lone surrogates become U+FFFD as in the real engine's clients.
pub fn decode_utf16(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Encodes UTF-16LE.
pub fn encode_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
