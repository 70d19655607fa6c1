//! From the errors of TCP, TLS and TDS to [`ContactError`].

use std::io;

use crate::decide::observation::{ContactError, ServerError, Stage};

/// Bytes kept of an error's text. It is for people, and a peer may have a say in it.
const MAX_TEXT_BYTES: usize = 200;

/// What [`tiberius`] says when the engine declines encryption that the supervisor insists on. It has
/// no variant of its own; a test with a real socket notices if the words change.
const ENCRYPTION_DECLINED: &str = "Server does not allow the requested encryption level";

/// How rustls' errors begin where the two sides could not agree or the certificate was refused. They
/// come through `tiberius` as text in an I/O error of kind `InvalidData`.
const TLS_FAILURES: [&str; 8] = [
    "received fatal alert",
    "received corrupt message",
    "received unexpected",
    "peer is incompatible",
    "peer misbehaved",
    "peer sent no certificates",
    "peer doesn't support any known protocol",
    "invalid peer certificate",
];

/// How the errors of `tiberius` begin where the CA file holds no usable certificate.
const CA_UNUSABLE: [&str; 2] = ["the CA source", "Failed to parse PEM CA bundle"];

/// An error of TCP, or of name resolution.
pub(crate) fn from_io(error: &io::Error, stage: Stage) -> ContactError {
    from_kind(error.kind(), &error.to_string(), stage)
}

/// An error of a login or a query. The text of an ERROR token is left behind: see [`ServerError`].
pub(crate) fn from_tds(error: &tiberius::error::Error, stage: Stage) -> ContactError {
    use tiberius::error::Error;
    match error {
        Error::Server(token) => ContactError::Server(ServerError {
            number: token.code(),
            state: token.state(),
            class: token.class(),
        }),
        Error::Io { kind, message } => from_kind(*kind, message, stage),
        Error::Tls(text) => ContactError::Tls(bounded(without_advice(text))),
        Error::Protocol(text) if text.starts_with(ENCRYPTION_DECLINED) => {
            ContactError::Tls(bounded(text))
        }
        Error::Routing { .. } => {
            ContactError::Protocol("the engine redirects to another address".to_owned())
        }
        other => ContactError::Protocol(bounded(&other.to_string())),
    }
}

fn from_kind(kind: io::ErrorKind, text: &str, stage: Stage) -> ContactError {
    use io::ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused => ContactError::Refused,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected
        | Kind::UnexpectedEof
        | Kind::WriteZero => ContactError::Closed,
        Kind::TimedOut => ContactError::TimedOut(stage),
        Kind::InvalidData if TLS_FAILURES.iter().any(|begin| text.starts_with(begin)) => {
            ContactError::Tls(bounded(text))
        }
        Kind::InvalidData if CA_UNUSABLE.iter().any(|begin| text.starts_with(begin)) => {
            ContactError::Credentials(bounded(text))
        }
        // Once there is a connection, bytes that make no sense are the peer's.
        Kind::InvalidData | Kind::InvalidInput | Kind::Other if stage != Stage::Connect => {
            ContactError::Protocol(bounded(text))
        }
        _ => ContactError::Unreachable(bounded(text)),
    }
}

/// `tiberius` appends paragraphs of advice on its own API to a refused certificate.
fn without_advice(text: &str) -> &str {
    text.split(". To connect anyway")
        .next()
        .unwrap_or(text)
        .trim_start_matches("the server's certificate was rejected during the TLS handshake: ")
}

/// At most [`MAX_TEXT_BYTES`] of `text`, on one line.
pub(crate) fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiberius::error::Error;

    #[test]
    fn kinds_of_io_errors_become_what_a_rule_can_use() {
        use io::ErrorKind as Kind;
        for (kind, expected) in [
            (Kind::ConnectionRefused, ContactError::Refused),
            (Kind::ConnectionReset, ContactError::Closed),
            (Kind::UnexpectedEof, ContactError::Closed),
            (Kind::BrokenPipe, ContactError::Closed),
            (Kind::TimedOut, ContactError::TimedOut(Stage::Query)),
            (Kind::InvalidData, ContactError::Protocol("x".to_owned())),
            (
                Kind::HostUnreachable,
                ContactError::Unreachable("x".to_owned()),
            ),
            (Kind::NetworkDown, ContactError::Unreachable("x".to_owned())),
        ] {
            assert_eq!(from_kind(kind, "x", Stage::Query), expected, "{kind:?}");
        }
    }

    #[test]
    fn texts_are_bounded_one_line_and_cut_between_characters() {
        let long = "é".repeat(MAX_TEXT_BYTES);
        assert_eq!(bounded(&long).len(), MAX_TEXT_BYTES);
        let odd = format!("x{long}");
        assert_eq!(bounded(&odd).len(), MAX_TEXT_BYTES - 1);
        assert_eq!(bounded("a\r\nb\u{1b}[31m"), "a  b [31m");
    }

    #[test]
    fn a_refused_certificate_keeps_its_cause_and_loses_the_advice() {
        let error = Error::Tls(
            "the server's certificate was rejected during the TLS handshake: UnknownIssuer. \
             To connect anyway you can: (1) trust"
                .to_owned(),
        );
        assert_eq!(
            from_tds(&error, Stage::Login),
            ContactError::Tls("UnknownIssuer".to_owned())
        );
    }

    #[test]
    fn a_failed_handshake_is_told_from_nonsense() {
        let failed = |text| from_kind(io::ErrorKind::InvalidData, text, Stage::Login);
        let alert = "received fatal alert: ProtocolVersion";
        assert_eq!(failed(alert), ContactError::Tls(alert.to_owned()));
        let garbage = "received corrupt message of type InvalidContentType";
        assert_eq!(failed(garbage), ContactError::Tls(garbage.to_owned()));
        let nonsense = "expected a pre-login packet during the TLS handshake";
        assert_eq!(
            failed(nonsense),
            ContactError::Protocol(nonsense.to_owned())
        );
    }

    #[test]
    fn a_ca_without_certificates_is_a_matter_of_configuration() {
        let text = "the CA source `in-memory CA bundle (5 bytes)` contained no usable certificates";
        assert_eq!(
            from_kind(io::ErrorKind::InvalidData, text, Stage::Login),
            ContactError::Credentials(text.to_owned())
        );
    }

    #[test]
    fn declined_encryption_is_a_matter_of_tls() {
        let error = Error::Protocol(format!("{ENCRYPTION_DECLINED}.").into());
        assert!(matches!(
            from_tds(&error, Stage::Login),
            ContactError::Tls(_)
        ));
    }

    #[test]
    fn a_redirection_does_not_show_its_target() {
        let error = Error::Routing {
            host: "db.internal".to_owned(),
            port: 1,
        };
        let ContactError::Protocol(text) = from_tds(&error, Stage::Login) else {
            panic!("a redirection is not followed");
        };
        assert!(!text.contains("db.internal"));
    }
}
