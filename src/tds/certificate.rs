//! Until when certificates are valid: the one that the engine showed in its handshake, and those of
//! the CA file.
//!
//! The client library hands no certificate out, so the server's is read from the bytes of the
//! handshake as they pass. Up to TLS 1.2, which is what the engine speaks within TDS 7, certificates
//! travel in the clear; in TLS 1.3 they do not, and nothing is known. Nothing is decided by what is
//! read here: whether a certificate is good is the business of the TLS library.
//!
//! All of it takes bytes from a peer or a file that may be hostile: each step checks its bounds, none
//! recurses, and what is not understood ends in `None`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A TDS packet's header: type, status, length, SPID, id, window; MS-TDS 2.2.3.1.
const TDS_HEADER_BYTES: usize = 8;
/// The type of the packets in which TDS 7 wraps the handshake, MS-TDS 2.2.3.1.1.
const TDS_PRELOGIN: u8 = 0x12;
/// A TLS record's header: type, version, length; RFC 5246, 6.2.1.
const TLS_HEADER_BYTES: usize = 5;
/// The record type `handshake`.
const TLS_HANDSHAKE: u8 = 22;
/// The handshake message `certificate`, RFC 5246, 7.4.2.
const CERTIFICATE: u8 = 11;

/// ASN.1's tags, X.690.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The optional version at the head of a certificate, RFC 5280, 4.1.
const VERSION: u8 = 0xa0;

/// When the engine's certificate expires, in seconds since 1970, from the first bytes that the
/// engine sent on a connection.
pub(crate) fn shown(received: &[u8]) -> Option<i64> {
    let records = match received.first()? {
        // TDS 8 begins with TLS.
        &TLS_HANDSHAKE => received.to_vec(),
        _ => unwrapped(received),
    };
    let messages = handshake(&records);
    let mut rest = messages.as_slice();
    loop {
        let (kind, body, after) = message(rest)?;
        if kind == CERTIFICATE {
            // The list's length, then each certificate with its own; the first is the engine's.
            let (list, _) = long(body)?;
            return not_after(long(list)?.0);
        }
        rest = after;
    }
}

/// The earliest end of the certificates of a CA file: DER, or any number in PEM.
pub(crate) fn earliest(file: &[u8]) -> Option<i64> {
    not_after(file).or_else(|| {
        CertificateDer::pem_slice_iter(file)
            .filter_map(|found| not_after(found.ok()?.as_ref()))
            .min()
    })
}

/// What the handshake's TDS packets wrap.
fn unwrapped(mut received: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    while let Some((header, rest)) = received.split_at_checked(TDS_HEADER_BYTES) {
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some(body) = length.checked_sub(TDS_HEADER_BYTES) else {
            break;
        };
        let (body, after) = rest.split_at(body.min(rest.len()));
        if header[0] == TDS_PRELOGIN {
            payload.extend_from_slice(body);
        }
        received = after;
    }
    payload
}

/// The handshake messages of TLS records, up to the first record that is something else.
fn handshake(mut records: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let Some((header, rest)) = records.split_at_checked(TLS_HEADER_BYTES) {
        if header[0] != TLS_HANDSHAKE {
            break;
        }
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (body, after) = rest.split_at(length.min(rest.len()));
        messages.extend_from_slice(body);
        records = after;
    }
    messages
}

/// Type, body and what follows.
fn message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (body, after) = long(rest)?;
    Some((*kind, body, after))
}

/// What stands behind a length of three bytes, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(3)?;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]);
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// `notAfter` of a certificate in DER, RFC 5280, 4.1.
fn not_after(certificate: &[u8]) -> Option<i64> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(outer, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_serial, fields) = element(fields, INTEGER)?;
    let (_algorithm, fields) = element(fields, SEQUENCE)?;
    let (_issuer, fields) = element(fields, SEQUENCE)?;
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, end) = time(validity)?;
    time(end).map(|(seconds, _)| seconds)
}

/// The content of the element at the head of `bytes`, if it is one of this tag, and what follows.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        // More than four bytes of length, or none (the indefinite form), are no certificate.
        long @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A time at the head of `bytes`, in seconds since 1970, and what follows. RFC 5280, 4.1.2.5: in UTC,
/// with seconds, and with two digits of the year up to 2049.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, century, rest) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => {
            let century = if digits(text, 0)? < 50 { 20 } else { 19 };
            (text, century, rest)
        }
        None => {
            let (text, rest) = element(bytes, GENERALIZED_TIME)?;
            (text.get(2..)?, digits(text, 0)?, rest)
        }
    };
    if text.len() != 13 || text[12] != b'Z' {
        return None;
    }
    let year = century * 100 + digits(text, 0)?;
    let (month, day) = (digits(text, 2)?, digits(text, 4)?);
    let (hour, minute, second) = (digits(text, 6)?, digits(text, 8)?, digits(text, 10)?);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    valid.then_some((seconds, rest))
}

/// Two digits.
fn digits(text: &[u8], at: usize) -> Option<i64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(text.get(at)?)? * 10 + digit(text.get(at + 1)?)?)
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the day
/// that leap years have more is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> rcgen::Certificate {
        let mut params = CertificateParams::new(vec!["sql".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate")
    }

    /// The handshake as an engine sends it, in records of at most `record` bytes within packets of at
    /// most `packet` bytes, with the prelogin's answer before it.
    fn conversation(der: &[u8], record: usize, packet: usize) -> Vec<u8> {
        let three = |length: usize| u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        let list = [three(der.len()), der.to_vec()].concat();
        let body = [three(list.len()), list].concat();
        let hello = [vec![2], three(4), vec![3, 3, 0, 0]].concat();
        let messages = [hello, vec![CERTIFICATE], three(body.len()), body].concat();
        let two = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let records: Vec<u8> = messages
            .chunks(record)
            .flat_map(|part| [&[TLS_HANDSHAKE, 3, 3], &two(part.len())[..], part].concat())
            .collect();
        let mut sent = vec![4, 1, 0, 10, 0, 0, 1, 0, 0xff, 0xff];
        for part in records.chunks(packet) {
            let [high, low] = two(part.len() + TDS_HEADER_BYTES);
            sent.extend([TDS_PRELOGIN, 1, high, low, 0, 0, 1, 0]);
            sent.extend(part);
        }
        sent
    }

    #[test]
    fn the_end_of_a_certificate_is_found_in_both_notations() {
        for ((year, month, day), seconds) in [
            ((2027, 3, 1), 1_803_859_200),
            ((2028, 2, 29), 1_835_395_200),
            ((2049, 12, 31), 2_524_521_600),
            ((2050, 1, 1), 2_524_608_000),
            ((4096, 1, 1), 67_090_118_400),
        ] {
            let made = certificate(year, month, day);
            assert_eq!(not_after(made.der()), Some(seconds), "{year}");
        }
    }

    #[test]
    fn it_is_found_in_the_handshake_however_that_is_cut() {
        let made = certificate(2030, 1, 1);
        for (record, packet) in [(16_384, 4_088), (100, 7), (3, 1)] {
            let sent = conversation(made.der(), record, packet);
            assert_eq!(shown(&sent), Some(1_893_456_000), "{record}/{packet}");
        }
        let plain = unwrapped(&conversation(made.der(), 16_384, 4_088));
        assert_eq!(shown(&plain), Some(1_893_456_000), "TDS 8");
    }

    #[test]
    fn the_earliest_of_a_bundle_counts() {
        let pem = [
            certificate(2040, 1, 1),
            certificate(2030, 1, 1),
            certificate(2035, 1, 1),
        ]
        .map(|made| made.pem())
        .concat();
        assert_eq!(earliest(pem.as_bytes()), Some(1_893_456_000));
        assert_eq!(earliest(certificate(2030, 1, 1).der()), Some(1_893_456_000));
        assert_eq!(earliest(b"-----BEGIN CERTIFICATE-----\nnothing"), None);
    }

    #[test]
    fn without_a_certificate_nothing_is_known() {
        let login = [4, 1, 0, 12, 0, 0, 1, 0, 0xfd, 0, 0, 0];
        let encrypted = [TLS_HANDSHAKE, 3, 3, 0, 4, 2, 0, 0, 0, 23, 3, 3, 0, 2, 1, 1];
        for bytes in [&[][..], &login, &encrypted] {
            assert_eq!(shown(bytes), None);
        }
    }

    #[test]
    fn a_cut_or_damaged_handshake_does_no_harm() {
        let sent = conversation(certificate(2030, 1, 1).der(), 500, 200);
        for end in 0..sent.len() {
            let _ = shown(&sent[..end]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = (shown(&bytes), not_after(&bytes), earliest(&bytes));
        }

        #[test]
        fn no_changed_byte_does_harm(at in 0usize..2000, value: u8) {
            let made = certificate(2030, 1, 1);
            let mut sent = conversation(made.der(), 500, 200);
            let at = at % sent.len();
            sent[at] = value;
            let _ = shown(&sent);
            let mut der = made.der().to_vec();
            let at = at % der.len();
            der[at] = value;
            let _ = not_after(&der);
        }
    }
}
