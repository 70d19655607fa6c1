//! Packets (MS-TDS 2.2.3): messages put together from packets, and cut into packets.

use bytes::{Buf, BufMut, BytesMut};

use super::ProtocolError;

pub const HEADER_BYTES: usize = 8;
pub const MIN_PACKET_BYTES: usize = 512;
pub const DEFAULT_PACKET_BYTES: usize = 4096;
pub const MAX_PACKET_BYTES: usize = 32_767;
/// A request longer than this ends the connection: a test has no use for more, and memory stays bounded.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

const STATUS_END_OF_MESSAGE: u8 = 0x01;
const STATUS_IGNORE: u8 = 0x02;
const STATUS_RESET_CONNECTION: u8 = 0x08;
const STATUS_RESET_KEEP_TRANSACTION: u8 = 0x10;

const _: () = assert!(MIN_PACKET_BYTES <= DEFAULT_PACKET_BYTES);
const _: () = assert!(DEFAULT_PACKET_BYTES <= MAX_PACKET_BYTES);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketType {
    SqlBatch = 0x01,
    Rpc = 0x03,
    Response = 0x04,
    Attention = 0x06,
    Transaction = 0x0e,
    Login7 = 0x10,
    Prelogin = 0x12,
}

impl TryFrom<u8> for PacketType {
    type Error = ProtocolError;

    fn try_from(code: u8) -> Result<Self, ProtocolError> {
        Ok(match code {
            0x01 => Self::SqlBatch,
            0x03 => Self::Rpc,
            0x04 => Self::Response,
            0x06 => Self::Attention,
            0x0e => Self::Transaction,
            0x10 => Self::Login7,
            0x12 => Self::Prelogin,
            other => return Err(ProtocolError::PacketType(other)),
        })
    }
}

/// The header of a packet. The length includes the header's own eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: PacketType,
    pub status: u8,
    pub length: usize,
}

impl Header {
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, ProtocolError> {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if !(HEADER_BYTES..=MAX_PACKET_BYTES).contains(&length) {
            return Err(ProtocolError::PacketLength(length));
        }
        Ok(Self {
            kind: PacketType::try_from(bytes[0])?,
            status: bytes[1],
            length,
        })
    }
}

/// A whole message: the payloads of its packets, joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: PacketType,
    /// The client asked for `sp_reset_connection` before this request (pooled connections do).
    pub reset_connection: bool,
    pub payload: BytesMut,
}

/// Joins packets into messages. Keeps its progress, so a caller may be cancelled between two reads.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: Option<Message>,
}

impl Assembler {
    /// Takes complete packets from the front of `input`; returns a message once its last packet has come.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ProtocolError> {
        while let Some(bytes) = input.first_chunk::<HEADER_BYTES>() {
            let header = Header::decode(*bytes)?;
            if input.len() < header.length {
                break;
            }
            input.advance(HEADER_BYTES);
            let payload = input.split_to(header.length - HEADER_BYTES);
            if let Some(message) = self.push(header, payload)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn push(
        &mut self,
        header: Header,
        payload: BytesMut,
    ) -> Result<Option<Message>, ProtocolError> {
        let mut message = self.pending.take().unwrap_or_else(|| Message {
            kind: header.kind,
            reset_connection: header.status
                & (STATUS_RESET_CONNECTION | STATUS_RESET_KEEP_TRANSACTION)
                != 0,
            payload: BytesMut::new(),
        });
        if message.kind != header.kind {
            return Err(ProtocolError::Malformed(
                "packets of two kinds in one message",
            ));
        }
        if message.payload.len() + payload.len() > MAX_MESSAGE_BYTES {
            return Err(ProtocolError::MessageTooLong(MAX_MESSAGE_BYTES));
        }
        message.payload.unsplit(payload);
        if header.status & STATUS_END_OF_MESSAGE == 0 {
            self.pending = Some(message);
            return Ok(None);
        }
        // A client that gives up while sending marks its last packet so; the message must have no effect.
        Ok((header.status & STATUS_IGNORE == 0).then_some(message))
    }
}

/// Cuts outgoing bytes into packets and numbers them.
#[derive(Debug)]
pub struct Fragmenter {
    kind: PacketType,
    packet_bytes: usize,
    sequence: u8,
}

impl Fragmenter {
    pub fn new(kind: PacketType, packet_bytes: usize) -> Self {
        Self {
            kind,
            packet_bytes: packet_bytes.clamp(MIN_PACKET_BYTES, MAX_PACKET_BYTES),
            sequence: 0,
        }
    }

    /// Appends `payload` to `output` in packets; the last one ends the message when `last` is set.
    pub fn cut(&mut self, payload: &[u8], last: bool, output: &mut BytesMut) {
        let room = self.packet_bytes - HEADER_BYTES;
        let mut rest = payload;
        loop {
            let (part, tail) = rest.split_at(rest.len().min(room));
            rest = tail;
            let ends = last && rest.is_empty();
            if !part.is_empty() || ends {
                self.packet(part, ends, output);
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    fn packet(&mut self, payload: &[u8], last: bool, output: &mut BytesMut) {
        // Packet numbers start at 1 in each message and wrap; clients ignore them, captures do not.
        self.sequence = self.sequence.wrapping_add(1);
        let length = u16::try_from(payload.len() + HEADER_BYTES)
            .expect("packet_bytes is clamped to MAX_PACKET_BYTES, which fits u16");
        output.put_u8(self.kind as u8);
        output.put_u8(if last { STATUS_END_OF_MESSAGE } else { 0 });
        output.put_u16(length);
        output.put_u16(0); // spid: zero is allowed
        output.put_u8(self.sequence);
        output.put_u8(0); // window: unused
        output.put_slice(payload);
        if last {
            self.sequence = 0;
        }
    }
}
