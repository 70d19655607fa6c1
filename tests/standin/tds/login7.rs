//! LOGIN7 (MS-TDS 2.2.6.4): who logs in, from which application, to which database.

use bytes::Buf;

use super::{ProtocolError, decode_utf16};

const FIXED_BYTES: usize = 36;
/// User and password are sysname-sized in the real engine.
const MAX_FIELD_CHARS: usize = 128;

const FIELD_HOST: usize = 0;
const FIELD_USER: usize = 1;
const FIELD_PASSWORD: usize = 2;
const FIELD_APPLICATION: usize = 3;
const FIELD_DATABASE: usize = 8;

pub const TDS_7_2: u32 = 0x7209_0002;
pub const TDS_7_4: u32 = 0x7400_0004;

/// A LOGIN7 message. It carries a password, so its `Debug` is written by hand.
pub struct Login7 {
    pub tds_version: u32,
    pub packet_bytes: usize,
    pub host: String,
    pub user: String,
    pub password: String,
    pub application: String,
    pub database: String,
}

impl std::fmt::Debug for Login7 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login7")
            .field("tds_version", &self.tds_version)
            .field("packet_bytes", &self.packet_bytes)
            .field("user", &self.user)
            .field("application", &self.application)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Login7 {
    pub fn decode(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fixed = payload;
        let _length = fixed.try_get_u32_le()?;
        let tds_version = fixed.try_get_u32_le()?;
        let packet_bytes = fixed.try_get_u32_le()? as usize;
        let field = |index: usize| field(payload, index);
        Ok(Self {
            tds_version,
            packet_bytes,
            host: decode_utf16(field(FIELD_HOST)?),
            user: decode_utf16(field(FIELD_USER)?),
            password: clear_password(field(FIELD_PASSWORD)?),
            application: decode_utf16(field(FIELD_APPLICATION)?),
            database: decode_utf16(field(FIELD_DATABASE)?),
        })
    }
}

/// Returns the bytes of the variable field `index`; offsets count from the start of the message, lengths are
/// characters.
fn field(payload: &[u8], index: usize) -> Result<&[u8], ProtocolError> {
    let mut entry = payload
        .get(FIXED_BYTES + 4 * index..)
        .ok_or(ProtocolError::Truncated)?;
    let offset = usize::from(entry.try_get_u16_le()?);
    let chars = usize::from(entry.try_get_u16_le()?);
    if chars > MAX_FIELD_CHARS {
        return Err(ProtocolError::Malformed("login field too long"));
    }
    payload
        .get(offset..offset + 2 * chars)
        .ok_or(ProtocolError::Truncated)
}

/// Undoes the protocol's obfuscation: each byte was nibble-swapped, then XORed with 0xA5.
fn clear_password(bytes: &[u8]) -> String {
    let clear: Vec<u8> = bytes
        .iter()
        .map(|byte| (byte ^ 0xa5).rotate_left(4))
        .collect();
    decode_utf16(&clear)
}
