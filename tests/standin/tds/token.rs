//! Tokens of a response (MS-TDS 2.2.7).

use bytes::{BufMut, BytesMut};

use super::encode_utf16;
use super::types::COLLATION;
use super::value::{Mismatch, ResultSet};

pub const DONE_MORE: u16 = 0x01;
pub const DONE_ERROR: u16 = 0x02;
pub const DONE_COUNT: u16 = 0x10;
pub const DONE_ATTENTION: u16 = 0x20;

/// The byte lengths of names and messages are `u8` and `u16`; longer text is cut there.
const MAX_SHORT_CHARS: usize = u8::MAX as usize;
const MAX_MESSAGE_CHARS: usize = 4000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DoneKind {
    Done = 0xfd,
    Procedure = 0xfe,
    InProcedure = 0xff,
}

/// The engine's own commands, as the CurCmd field has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum CurrentCommand {
    #[default]
    Other = 0,
    Select = 0xc1,
    Insert = 0xc3,
    Execute = 0xe0,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub kind: DoneKind,
    pub flags: u16,
    pub command: CurrentCommand,
    pub rows: u64,
}

pub fn put_done(done: Done, out: &mut BytesMut) {
    out.put_u8(done.kind as u8);
    out.put_u16_le(done.flags);
    out.put_u16_le(done.command as u16);
    out.put_u64_le(done.rows);
}

/// The fields that ERROR and INFO share.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    pub number: i32,
    pub state: u8,
    /// Severity; up to 10 it is an INFO token, above it an ERROR.
    pub class: u8,
    pub message: &'a str,
    pub server: &'a str,
    pub procedure: &'a str,
    pub line: u32,
}

pub fn put_notice(notice: Notice<'_>, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_i32_le(notice.number);
    body.put_u8(notice.state);
    body.put_u8(notice.class);
    let message: String = notice.message.chars().take(MAX_MESSAGE_CHARS).collect();
    let units = encode_utf16(&message);
    body.put_u16_le(length16(units.len() / 2));
    body.put_slice(&units);
    put_short_text(notice.server, &mut body);
    put_short_text(notice.procedure, &mut body);
    body.put_u32_le(notice.line);
    out.put_u8(if notice.class > 10 { 0xaa } else { 0xab });
    put_sized(&body, out);
}

/// ENVCHANGE whose values are text.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum TextChange {
    Database = 1,
    Language = 2,
    PacketSize = 4,
}

pub fn put_text_change(kind: TextChange, new: &str, old: &str, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u8(kind as u8);
    put_short_text(new, &mut body);
    put_short_text(old, &mut body);
    put_change(&body, out);
}

pub fn put_collation_change(out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u8(7);
    body.put_u8(COLLATION.len() as u8);
    body.put_slice(&COLLATION);
    body.put_u8(0);
    put_change(&body, out);
}

/// Acknowledges the reset bit of a request's header.
pub fn put_reset_change(out: &mut BytesMut) {
    put_change(&[18, 0, 0], out);
}

/// ENVCHANGE of a transaction; the descriptor is new in a begin, old in an end.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum TransactionChange {
    Begin = 8,
    Commit = 9,
    Rollback = 10,
}

pub fn put_transaction_change(kind: TransactionChange, descriptor: u64, out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u8(kind as u8);
    if matches!(kind, TransactionChange::Begin) {
        body.put_u8(8);
        body.put_u64_le(descriptor);
        body.put_u8(0);
    } else {
        body.put_u8(0);
        body.put_u8(8);
        body.put_u64_le(descriptor);
    }
    put_change(&body, out);
}

pub fn put_login_ack(tds_version: u32, version: [u8; 4], out: &mut BytesMut) {
    let mut body = BytesMut::new();
    body.put_u8(1); // the interface: T-SQL
    body.put_u32(tds_version);
    put_short_text("Microsoft SQL Server", &mut body);
    body.put_slice(&version);
    out.put_u8(0xad);
    put_sized(&body, out);
}

pub fn put_return_status(status: i32, out: &mut BytesMut) {
    out.put_u8(0x79);
    out.put_i32_le(status);
}

pub fn put_columns(result: &ResultSet, out: &mut BytesMut) {
    const NULLABLE: u16 = 0x01;
    out.put_u8(0x81);
    out.put_u16_le(length16(result.columns.len()));
    for column in &result.columns {
        out.put_u32_le(0); // user type
        out.put_u16_le(if column.nullable { NULLABLE } else { 0 });
        column.sql_type.encode_info(column.nullable, out);
        put_short_text(&column.name, out);
    }
}

pub fn put_rows(result: &ResultSet, out: &mut BytesMut) -> Result<(), Mismatch> {
    for row in &result.rows {
        out.put_u8(0xd1);
        for (column, value) in result.columns.iter().zip(row) {
            column.sql_type.encode_value(column.nullable, value, out)?;
        }
    }
    Ok(())
}

fn put_change(body: &[u8], out: &mut BytesMut) {
    out.put_u8(0xe3);
    put_sized(body, out);
}

fn put_sized(body: &[u8], out: &mut BytesMut) {
    out.put_u16_le(length16(body.len()));
    out.put_slice(body);
}

fn put_short_text(text: &str, out: &mut BytesMut) {
    let units: Vec<u16> = text.encode_utf16().take(MAX_SHORT_CHARS).collect();
    out.put_u8(units.len() as u8);
    for unit in units {
        out.put_u16_le(unit);
    }
}

fn length16(length: usize) -> u16 {
    u16::try_from(length).expect("every text in a token is cut to a length that fits u16")
}
