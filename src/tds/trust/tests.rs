//! Tests of the verifier with real certificates; a whole handshake is in
//! [`super::super::handshakes`].

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

struct Made {
    certificate: rcgen::Certificate,
    params: CertificateParams,
    key: KeyPair,
}

fn params(name: &str, is_ca: bool, years: (i32, i32)) -> CertificateParams {
    let names = if name.is_empty() {
        vec![]
    } else {
        vec![name.to_owned()]
    };
    let mut params = CertificateParams::new(names).unwrap();
    // An issuer is found by its name.
    let mut full_name = rcgen::DistinguishedName::new();
    full_name.push(rcgen::DnType::CommonName, format!("of {name}"));
    params.distinguished_name = full_name;
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// Makes a certificate that is its own issuer; with `is_ca` as `openssl req -x509` makes it.
fn self_signed(name: &str, is_ca: bool, years: (i32, i32)) -> Made {
    let params = params(name, is_ca, years);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Made {
        certificate,
        params,
        key,
    }
}

fn issued_by(ca: &Made, name: &str, years: (i32, i32)) -> Made {
    let params = params(name, false, years);
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&ca.params, &ca.key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Made {
        certificate,
        params,
        key,
    }
}

fn trust(file: &[u8]) -> Result<Trust, ContactError> {
    use std::sync::atomic::AtomicU32;
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("ses-trust-{}-{count}-ca.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, file).unwrap();
    let trust = Trust::file(&path);
    std::fs::remove_file(&path).unwrap();
    trust
}

/// Verifies `shown` at an engine that is asked as `name`, on 2026-06-01.
fn verify(trust: &Trust, shown: &Made, name: &str) -> Result<(), String> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let verified = trust
        .verifier
        .verify_server_cert(shown.certificate.der(), &[], &name, &[], at);
    verified.map(|_| ()).map_err(|error| trust.explain(&error))
}

const NOW: (i32, i32) = (2020, 2030);

#[test]
fn a_self_signed_certificate_is_its_own_ca_whatever_it_calls_itself() {
    for is_ca in [false, true] {
        let own = self_signed("sql", is_ca, NOW);
        for file in [
            own.certificate.pem().into_bytes(),
            own.certificate.der().to_vec(),
        ] {
            let trust = trust(&file).unwrap();
            // It is the only one of its kind: whatever the engine is asked by.
            for name in ["sql", "127.0.0.1"] {
                assert_eq!(verify(&trust, &own, name), Ok(()), "{is_ca} {name}");
            }
            let another = self_signed("sql", is_ca, NOW);
            let why = verify(&trust, &another, "sql").unwrap_err();
            assert!(!why.is_empty());
            assert_eq!(trust.server_expiry(), Some(1_893_456_000));
            assert_eq!(trust.ca_expiry(), Some(1_893_456_000));
        }
    }
}

#[test]
fn a_certificate_that_is_known_is_good_only_while_it_is_valid() {
    for (years, why) in [
        (
            (2020, 2026),
            "the engine's certificate expired on 2026-01-01T00:00:00Z",
        ),
        (
            (2027, 2030),
            "the engine's certificate is not valid before 2027-01-01T00:00:00Z: is a clock wrong?",
        ),
    ] {
        let own = self_signed("sql", true, years);
        let trust = trust(own.certificate.pem().as_bytes()).unwrap();
        assert_eq!(verify(&trust, &own, "sql"), Err(why.to_owned()));
        // The same words for one that was issued.
        let ca = self_signed("ca", true, NOW);
        let issued = issued_by(&ca, "sql", years);
        let trust = self::trust(ca.certificate.pem().as_bytes()).unwrap();
        assert_eq!(verify(&trust, &issued, "sql"), Err(why.to_owned()));
    }
}

#[test]
fn an_issued_certificate_needs_its_ca_and_its_name() {
    let (ca, other) = (self_signed("ca", true, NOW), self_signed("ca2", true, NOW));
    let issued = issued_by(&ca, "sql.internal", NOW);
    let both = [other.certificate.pem(), ca.certificate.pem()].concat();
    let trust = trust(both.as_bytes()).unwrap();
    assert_eq!(verify(&trust, &issued, "sql.internal"), Ok(()));
    let why = verify(&trust, &issued, "127.0.0.1").unwrap_err();
    assert_eq!(
        why,
        "the engine's certificate is for sql.internal, and 127.0.0.1 was asked: give its name as sql-tls-server-name"
    );
    let only_other = self::trust(other.certificate.pem().as_bytes()).unwrap();
    let why = verify(&only_other, &issued, "sql.internal").unwrap_err();
    assert!(why.contains("nobody in") && why.contains("ca.pem"), "{why}");
    assert!(!why.contains('\u{2026}') && why.len() < 200, "{why}");
}

#[test]
fn without_a_file_anybody_is_trusted() {
    let old = self_signed("", true, (2000, 2001));
    let trust = Trust::anybody();
    assert_eq!(verify(&trust, &old, "sql"), Ok(()));
    assert_eq!(trust.server_expiry(), Some(978_307_200));
    assert_eq!(trust.ca_expiry(), None);
}

#[test]
fn a_file_that_vouches_for_nobody_is_no_file_to_trust() {
    for file in [
        &b""[..],
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nnothing\n",
    ] {
        let error = trust(file).unwrap_err();
        assert!(
            matches!(&error, ContactError::Credentials(why) if why.contains("ca.pem")),
            "{error:?}"
        );
    }
    let long = vec![b'x'; 256 * 1024 + 1];
    assert!(matches!(trust(&long), Err(ContactError::Credentials(_))));
}

#[test]
fn a_pipe_in_the_files_place_is_not_waited_for() {
    let name = format!("ses-trust-fifo-{}", std::process::id());
    let fifo = std::env::temp_dir().join(name);
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let refused = Trust::file(&fifo);
    std::fs::remove_file(&fifo).unwrap();
    let error = refused.unwrap_err();
    assert!(
        matches!(&error, ContactError::Credentials(why) if why.ends_with("it is no regular file")),
        "{error:?}"
    );
}
