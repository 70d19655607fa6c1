//! Decides which certificates are good: any, or only those that the CA file vouches for.
//!
//! A certificate is good if it is, byte for byte, one of the file's, as long as it is valid: that
//! is how a self-signed one is given, which a path validation refuses as it was made by
//! `openssl req -x509` (it calls itself a CA, and a CA is no server). Its name is not looked at
//! then, as no other certificate is the same. Otherwise a path to one of the file's certificates is
//! needed, and the name that the engine is asked by, or `sql-tls-server-name`. The operating
//! system's store never counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificate;
use super::error::bounded;
use crate::config::secret::open_regular;
use crate::decide::observation::ContactError;

/// The protocol's name in TLS, by which an engine knows that TDS 8 is meant (MS-TDS 3.2.5.1).
const TDS_8: &[u8] = b"tds/8.0";

/// The greatest size of a CA file, in bytes.
const MAX_CA_BYTES: u64 = 256 * 1024;

/// The greatest number of certificates that are taken from a CA file.
const MAX_CERTIFICATES: usize = 256;

/// The greatest number of a certificate's names that a message repeats.
const MAX_NAMES: usize = 3;

/// The signature schemes that are offered where no signature is verified: all that an engine's
/// certificate may be made with.
const UNVERIFIED_SCHEMES: [SignatureScheme; 11] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
];

/// The expiry where no certificate was shown.
const UNKNOWN: i64 = i64::MIN;

/// The certificates that are trusted, for one connection.
#[derive(Debug)]
pub(crate) struct Trust {
    verifier: Arc<Verifier>,
}

impl Trust {
    /// Trusts any certificate.
    pub(crate) fn anybody() -> Self {
        Self::of(None)
    }

    /// Trusts the certificates that the file at `path` vouches for: it holds one certificate in
    /// DER, or any number in PEM.
    ///
    /// # Errors
    /// [`ContactError::Credentials`]: the file can't be read, or holds no certificate.
    pub(crate) fn file(path: &Path) -> Result<Self, ContactError> {
        let unusable = |error: &dyn std::fmt::Display| {
            let path = path.display();
            ContactError::Credentials(bounded(&format!(
                "the CA file {path} can't be used: {error}"
            )))
        };
        let bytes = read(path).map_err(|error| unusable(&error))?;
        let certificates = certificates(&bytes);
        if certificates.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        let mut roots = RootCertStore::empty();
        // One that is no CA's, or has no version 3, may still be the engine's own.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let path_validation =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Ok(Self::of(Some(Authority {
            file: path.to_owned(),
            expiry: certificate::earliest(&bytes),
            certificates,
            path_validation: path_validation.build().ok(),
        })))
    }

    fn of(authority: Option<Authority>) -> Self {
        let verifier = Verifier {
            authority,
            shown: AtomicI64::new(UNKNOWN),
        };
        Self {
            verifier: Arc::new(verifier),
        }
    }

    /// Returns when the first of the file's certificates expires, in seconds since 1970.
    pub(crate) fn ca_expiry(&self) -> Option<i64> {
        self.verifier.authority.as_ref()?.expiry
    }

    /// Returns when the certificate expires that the engine showed; none where it has shown none.
    pub(crate) fn server_expiry(&self) -> Option<i64> {
        Some(self.verifier.shown.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN)
    }

    /// Returns the TLS configuration of a handshake; `strict` for TDS 8.
    pub(super) fn client(&self, strict: bool) -> Result<ClientConfig, ContactError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| ContactError::Tls(bounded(&error.to_string())))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier) as Arc<_>)
            .with_no_client_auth();
        if strict {
            config.alpn_protocols.push(TDS_8.to_vec());
        }
        Ok(config)
    }

    /// Returns why a handshake failed, for people, with what to do where that is known.
    pub(super) fn explain(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(why) => self.explain_certificate(why),
            Error::AlertReceived(alert) => format!("the engine ended the TLS handshake: {alert:?}"),
            Error::InvalidMessage(_) => "what it answers to a TLS handshake is no TLS".to_owned(),
            Error::PeerIncompatible(why) => bounded(&format!(
                "the engine has no TLS in common with the supervisor: {why:?}"
            )),
            other => bounded(&format!("the TLS handshake failed: {other}")),
        }
    }

    fn explain_certificate(&self, why: &CertificateError) -> String {
        use CertificateError as Why;
        let file = self
            .verifier
            .authority
            .as_ref()
            .map(|authority| &authority.file);
        let file = file.map_or_else(String::new, |path| path.display().to_string());
        let text = match why {
            Why::ExpiredContext { not_after, .. } => {
                format!("the engine's certificate expired on {}", date(*not_after))
            }
            Why::NotValidYetContext { not_before, .. } => format!(
                "the engine's certificate is not valid before {}: is a clock wrong?",
                date(*not_before)
            ),
            Why::NotValidForNameContext {
                expected,
                presented,
            } => {
                let names = presented.iter().take(MAX_NAMES).map(|name| plain(name));
                let names: Vec<String> = names.collect();
                let expected = expected.to_str();
                match names.is_empty() {
                    true => format!(
                        "the engine's certificate names no host, and {expected} was asked: give the certificate itself as sql-tls-ca"
                    ),
                    false => format!(
                        "the engine's certificate is for {}, and {expected} was asked: give its name as sql-tls-server-name",
                        names.join(", ")
                    ),
                }
            }
            Why::UnknownIssuer => format!(
                "nobody in {file} vouches for the engine's certificate: add the certificate of its issuer, or itself if it is self-signed"
            ),
            Why::BadSignature => {
                "the engine's certificate was not signed by the issuer that it names".to_owned()
            }
            other => format!("the engine's certificate is refused: {other:?}"),
        };
        bounded(&text)
    }
}

/// Returns the date of a certificate, in UTC.
fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs());
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Returns the name in `DnsName("sql")`, as the library writes it.
fn plain(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(MAX_CA_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let refuse = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    match bytes.len() as u64 {
        0 => refuse("it is empty"),
        1..=MAX_CA_BYTES => Ok(bytes),
        _ => refuse("it is longer than 256 KiB"),
    }
}

fn certificates(bytes: &[u8]) -> Vec<CertificateDer<'static>> {
    let pem = CertificateDer::pem_slice_iter(bytes).take(MAX_CERTIFICATES);
    let found: Vec<_> = pem.filter_map(Result::ok).collect();
    match found.is_empty() && certificate::validity(bytes).is_some() {
        true => vec![CertificateDer::from(bytes.to_vec())],
        false => found,
    }
}

/// The content of the CA file.
#[derive(Debug)]
struct Authority {
    file: PathBuf,
    expiry: Option<i64>,
    certificates: Vec<CertificateDer<'static>>,
    /// The path validation; none where no certificate of the file can be a CA's.
    path_validation: Option<Arc<WebPkiServerVerifier>>,
}

#[derive(Debug)]
struct Verifier {
    authority: Option<Authority>,
    shown: AtomicI64,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let validity = certificate::validity(end_entity);
        if let Some((_, end)) = validity {
            self.shown.store(end, Ordering::Relaxed);
        }
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        if authority
            .certificates
            .iter()
            .any(|known| known == end_entity)
        {
            return valid_now(validity, now);
        }
        match &authority.path_validation {
            Some(path) => {
                path.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.authority.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.authority.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if self.authority.is_none() {
            return UNVERIFIED_SCHEMES.to_vec();
        }
        let known = provider().signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// Accepts a certificate that is known byte for byte, while it is valid.
fn valid_now(validity: Option<(i64, i64)>, now: UnixTime) -> Result<ServerCertVerified, Error> {
    let Some((begin, end)) = validity else {
        return Err(CertificateError::BadEncoding.into());
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    };
    let why = match seconds {
        _ if seconds < begin => CertificateError::NotValidYetContext {
            time: now,
            not_before: at(begin),
        },
        _ if seconds > end => CertificateError::ExpiredContext {
            time: now,
            not_after: at(end),
        },
        _ => return Ok(ServerCertVerified::assertion()),
    };
    Err(why.into())
}

#[cfg(test)]
mod tests;
