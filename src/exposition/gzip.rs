//! Makes one gzip stream out of parts that were compressed at different times (RFC 1951, RFC 1952).
//!
//! Each part is compressed for itself and ends at a byte boundary without ending the stream, so
//! that parts can be joined in any number: a header, the parts, an empty last block, and a checksum
//! that is combined from theirs. The stream is one member, which every client understands; several
//! are not understood by all.

use bytes::Bytes;
use flate2::{Compress, CompressError, Compression, Crc, FlushCompress};

/// The header of a stream: no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last block with fixed codes.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The number of bytes by which the output grows while it is made.
const CHUNK: usize = 16 * 1024;

/// A compressed part of a stream.
#[derive(Debug, Default)]
pub struct Part {
    bytes: Bytes,
    crc: Crc,
}

impl Part {
    /// Compresses the texts, one after the other.
    ///
    /// # Errors
    /// The compressor refused; it has no reason to.
    pub fn new<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Result<Self, CompressError> {
        let mut compress = Compress::new(Compression::fast(), false);
        let mut crc = Crc::new();
        let mut out = Vec::new();
        for text in texts {
            crc.update(text);
            let mut rest = text;
            while !rest.is_empty() {
                let before = compress.total_in();
                out.reserve(CHUNK);
                compress.compress_vec(rest, &mut out, FlushCompress::None)?;
                let taken = usize::try_from(compress.total_in() - before).unwrap_or(usize::MAX);
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        // It is flushed once room is left over.
        loop {
            out.reserve(CHUNK);
            compress.compress_vec(&[], &mut out, FlushCompress::Sync)?;
            if out.len() < out.capacity() {
                break;
            }
        }
        let bytes = out.into_boxed_slice().into();
        Ok(Self { bytes, crc })
    }
}

/// Joins parts to the whole stream: a piece for each part and two of its own.
#[must_use]
pub fn join<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Bytes> {
    let mut crc = Crc::new();
    let mut pieces = vec![Bytes::from_static(&HEADER)];
    for part in parts {
        crc.combine(&part.crc);
        pieces.push(part.bytes.clone());
    }
    let mut end = LAST_BLOCK.to_vec();
    end.extend(crc.sum().to_le_bytes());
    end.extend(crc.amount().to_le_bytes());
    pieces.push(end.into());
    pieces
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn inflate(pieces: &[Bytes]) -> Vec<u8> {
        let stream = pieces.concat();
        let mut decoder = flate2::read::GzDecoder::new(stream.as_slice());
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).expect("a gzip stream");
        // One member, and nothing behind it.
        let mut rest = Vec::new();
        decoder.into_inner().read_to_end(&mut rest).expect("memory");
        assert!(rest.is_empty());
        text
    }

    fn part(texts: &[&[u8]]) -> Part {
        Part::new(texts.iter().copied()).expect("it compresses")
    }

    #[test]
    fn parts_join_to_one_stream() {
        let long = "mssql_io_stall_seconds_total{db=\"x\"} 1\n".repeat(10_000);
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        let parts = [
            part(&[b"first\n"]),
            part(&[]),
            part(&[long.as_bytes(), b"", b"then\n"]),
            part(&[&noise]),
        ];
        let expected = [b"first\n", long.as_bytes(), b"then\n", &noise].concat();
        assert_eq!(inflate(&join(parts.iter())), expected);
        assert_eq!(inflate(&join([].iter())), b"");
        // In any order and number: nothing refers to what came before.
        let twice = [&parts[2], &parts[0], &parts[2]];
        let expected = [
            long.as_bytes(),
            b"then\n",
            b"first\n",
            long.as_bytes(),
            b"then\n",
        ];
        assert_eq!(inflate(&join(twice.into_iter())), expected.concat());
    }

    #[test]
    fn what_repeats_itself_shrinks() {
        let text = "mssql_io_stall_seconds_total{db=\"x\"} 1\n".repeat(10_000);
        let bytes = part(&[text.as_bytes()]).bytes;
        assert!(bytes.len() < text.len() / 20, "{}", bytes.len());
    }
}
