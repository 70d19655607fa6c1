//! PRELOGIN (MS-TDS 2.2.6.5): versions, and who wants which encryption.

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use super::ProtocolError;

const OPTION_VERSION: u8 = 0;
const OPTION_ENCRYPTION: u8 = 1;
const OPTION_INSTANCE: u8 = 2;
const OPTION_THREAD: u8 = 3;
const OPTION_MARS: u8 = 4;
const TERMINATOR: u8 = 0xff;
const OPTION_BYTES: usize = 5;
/// More options than the protocol knows would only be a peer's attempt to keep us busy.
const MAX_OPTIONS: usize = 16;

/// The encryption field, for both sides and as the server's own setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Encryption {
    /// TLS for the login message only, unless the client wants more: the engine's default.
    #[default]
    Off = 0,
    /// TLS for every client that can.
    On = 1,
    /// A server without a certificate.
    NotSupported = 2,
    /// TLS or nothing (`network.forceencryption`).
    Required = 3,
}

impl Encryption {
    fn decode(code: u8) -> Self {
        // The high bits are only about client certificates and external authentication.
        match code & 0x03 {
            0 => Self::Off,
            1 => Self::On,
            2 => Self::NotSupported,
            _ => Self::Required,
        }
    }
}

/// The encryption that both sides agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    Plain,
    LoginOnly,
    Full,
}

/// Returns the server's answer and the outcome, by the table of MS-TDS 2.2.6.5 and 3.2.5.1.
pub fn negotiate(server: Encryption, client: Encryption) -> (Encryption, Agreement) {
    use Encryption::{NotSupported, Off, On, Required};
    match (server, client) {
        (NotSupported, _) | (Off | On, NotSupported) => (NotSupported, Agreement::Plain),
        (Off, Off) => (Off, Agreement::LoginOnly),
        (Off, On | Required) => (On, Agreement::Full),
        (On, On | Required) => (On, Agreement::Full),
        // A client that sends "off" is raised; one that sends "not supported" will hang up, or do TLS all the
        // same.
        (On, Off) | (Required, _) => (Required, Agreement::Full),
    }
}

/// Returns the client's encryption field; the other options change nothing here.
pub fn decode_encryption(payload: &[u8]) -> Result<Encryption, ProtocolError> {
    for entry in payload.chunks(OPTION_BYTES).take(MAX_OPTIONS) {
        if entry[0] == TERMINATOR {
            return Ok(Encryption::NotSupported);
        }
        let [option, offset_high, offset_low, _, _] = *entry else {
            return Err(ProtocolError::Truncated);
        };
        if option == OPTION_ENCRYPTION {
            let offset = usize::from(u16::from_be_bytes([offset_high, offset_low]));
            let code = payload.get(offset).ok_or(ProtocolError::Truncated)?;
            return Ok(Encryption::decode(*code));
        }
    }
    Err(ProtocolError::Malformed("prelogin without terminator"))
}

/// Returns the server's PRELOGIN answer.
pub fn encode_answer(version: [u8; 4], encryption: Encryption) -> BytesMut {
    let version = [version[0], version[1], version[2], version[3], 0, 0];
    let options: [(u8, &[u8]); 5] = [
        (OPTION_VERSION, &version),
        (OPTION_ENCRYPTION, &[encryption as u8]),
        (OPTION_INSTANCE, &[0]),
        (OPTION_THREAD, &[]),
        (OPTION_MARS, &[0]),
    ];
    let mut answer = BytesMut::new();
    let mut offset = options.len() * OPTION_BYTES + 1;
    for (option, data) in options {
        answer.put_u8(option);
        answer.put_u16(u16::try_from(offset).expect("five short options fit u16"));
        answer.put_u16(u16::try_from(data.len()).expect("option data is at most six bytes"));
        offset += data.len();
    }
    answer.put_u8(TERMINATOR);
    for (_, data) in options {
        answer.put_slice(data);
    }
    answer
}
