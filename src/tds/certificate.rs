//! The validity of certificates: of the one that the engine showed, and of those of the CA file.
//! Whether a certificate is good is decided in [`super::trust`].
//!
//! All of this takes bytes from a peer or a file that may be hostile: each step checks its bounds,
//! none recurses, and what is not understood ends in `None`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The tag of a sequence in ASN.1, X.690; those of the other types follow.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The optional version at the head of a certificate, RFC 5280, 4.1.
const VERSION: u8 = 0xa0;

/// Returns the earliest end of the certificates of a CA file: one in DER, or any number in PEM.
pub(crate) fn earliest(file: &[u8]) -> Option<i64> {
    not_after(file).or_else(|| {
        CertificateDer::pem_slice_iter(file)
            .filter_map(|found| not_after(found.ok()?.as_ref()))
            .min()
    })
}

/// Returns `notAfter` of a certificate in DER, in seconds since 1970.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    validity(certificate).map(|(_, end)| end)
}

/// Returns `notBefore` and `notAfter` of a certificate in DER, RFC 5280, 4.1, in seconds since
/// 1970.
pub(super) fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(outer, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_serial, fields) = element(fields, INTEGER)?;
    let (_algorithm, fields) = element(fields, SEQUENCE)?;
    let (_issuer, fields) = element(fields, SEQUENCE)?;
    let (validity, _) = element(fields, SEQUENCE)?;
    let (begin, rest) = time(validity)?;
    let (end, _) = time(rest)?;
    Some((begin, end))
}

/// Returns the content of the element at the head of `bytes`, if it is one of this tag, and what
/// follows.
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

/// Reads a time at the head of `bytes`; returns it in seconds since 1970, and what follows. RFC
/// 5280, 4.1.2.5: in UTC, with seconds, and with two digits of the year up to 2049.
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

/// Reads two digits.
fn digits(text: &[u8], at: usize) -> Option<i64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    Some(digit(text.get(at)?)? * 10 + digit(text.get(at + 1)?)?)
}

/// Returns the days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so
/// that the day that leap years have more is the last one.
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

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = (validity(&bytes), earliest(&bytes));
        }

        #[test]
        fn no_changed_byte_does_harm(at in 0usize..2000, value: u8) {
            let made = certificate(2030, 1, 1);
            let mut der = made.der().to_vec();
            let at = at % der.len();
            der[at] = value;
            let _ = validity(&der);
        }
    }
}
