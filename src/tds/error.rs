//! Turns the errors of TCP and TDS into [`ContactError`]s; those of TLS are explained in
//! [`super::trust`].

use std::io;

use crate::decide::observation::{AttemptStage, ContactError, ServerError};

/// The number of bytes kept of an error's text. It is for people, and a peer may have chosen its
/// words.
const MAX_TEXT_BYTES: usize = 200;

/// Turns an error of TCP, or of name resolution, into a contact's.
pub(crate) fn from_io(error: &io::Error, stage: AttemptStage) -> ContactError {
    from_kind(error.kind(), &error.to_string(), stage)
}

/// Turns an error of a login or a query into a contact's. The text of an ERROR token is left
/// behind: see [`ServerError`].
pub(crate) fn from_tds(error: &tiberius::error::Error, stage: AttemptStage) -> ContactError {
    use tiberius::error::Error;
    match error {
        Error::Server(token) => ContactError::Server(ServerError {
            number: token.code(),
            state: token.state(),
            class: token.class(),
        }),
        Error::Io { kind, message } => from_kind(*kind, message, stage),
        Error::Routing { .. } => {
            ContactError::Protocol("the engine redirects to another address".to_owned())
        }
        other => ContactError::Protocol(bounded(&other.to_string())),
    }
}

fn from_kind(kind: io::ErrorKind, text: &str, stage: AttemptStage) -> ContactError {
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
        // Once there is a connection, bytes that make no sense are the peer's.
        Kind::InvalidData | Kind::InvalidInput | Kind::Other if stage != AttemptStage::Connect => {
            ContactError::Protocol(bounded(text))
        }
        _ => ContactError::Unreachable(bounded(text)),
    }
}

/// Returns at most [`MAX_TEXT_BYTES`] of `text`, on one line.
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
            (Kind::TimedOut, ContactError::TimedOut(AttemptStage::Query)),
            (Kind::InvalidData, ContactError::Protocol("x".to_owned())),
            (
                Kind::HostUnreachable,
                ContactError::Unreachable("x".to_owned()),
            ),
            (Kind::NetworkDown, ContactError::Unreachable("x".to_owned())),
        ] {
            assert_eq!(
                from_kind(kind, "x", AttemptStage::Query),
                expected,
                "{kind:?}"
            );
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
    fn a_redirection_does_not_show_its_target() {
        let error = Error::Routing {
            host: "db.internal".to_owned(),
            port: 1,
        };
        let ContactError::Protocol(text) = from_tds(&error, AttemptStage::Login) else {
            panic!("a redirection is not followed");
        };
        assert!(!text.contains("db.internal"));
    }
}
