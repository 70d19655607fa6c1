//! The first exchange of a connection, PRELOGIN of MS-TDS 2.2.6.5: whether and how it is encrypted.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::error::from_io;
use crate::config::TlsMode;
use crate::decide::observation::{AttemptStage, ContactError};

/// A packet's header: type, status, length, SPID, id, window; MS-TDS 2.2.3.1.
pub(super) const HEADER_BYTES: usize = 8;
/// The type of the client's PRELOGIN, and of the packets that wrap a handshake.
pub(super) const PRELOGIN: u8 = 0x12;
/// The type of every answer.
const ANSWER: u8 = 0x04;
/// The status bit of a message's last packet.
pub(super) const END_OF_MESSAGE: u8 = 0x01;

/// The greatest number of bytes of an answer that are taken; one has some fifty.
const MAX_ANSWER_BYTES: usize = 4096;

/// The options of PRELOGIN.
const VERSION: u8 = 0x00;
const ENCRYPTION: u8 = 0x01;
const INSTANCE: u8 = 0x02;
const THREAD: u8 = 0x03;
const MARS: u8 = 0x04;
const TERMINATOR: u8 = 0xff;

/// The PRELOGIN that is sent, with a place for the encryption: a header, then version, encryption,
/// instance (none), thread (0) and MARS (off), each with its offset and length, then their values.
#[rustfmt::skip]
const QUESTION: [u8; 47] = [
    PRELOGIN, END_OF_MESSAGE, 0, 47, 0, 0, 1, 0,
    VERSION, 0, 26, 0, 6,
    ENCRYPTION, 0, 32, 0, 1,
    INSTANCE, 0, 33, 0, 1,
    THREAD, 0, 34, 0, 4,
    MARS, 0, 38, 0, 1,
    TERMINATOR,
    0, 1, 0, 0, 0, 0, // version
    0, // encryption
    0, // instance
    0, 0, 0, 0, // thread
    0, // MARS
];
const ENCRYPTION_AT: usize = HEADER_BYTES + 32;

/// The answer that the client library is shown: a version, and no encryption, because what it writes is
/// encrypted below it.
#[rustfmt::skip]
pub(super) const SHOWN: [u8; 26] = [
    ANSWER, END_OF_MESSAGE, 0, 26, 0, 0, 1, 0,
    VERSION, 0, 11, 0, 6,
    ENCRYPTION, 0, 17, 0, 1,
    TERMINATOR,
    15, 0, 0, 0, 0, 0, // version
    2, // encryption
];

/// The part of a connection that is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Nothing,
    Login,
    Everything,
}

/// Asks the peer, and returns what the two sides agree on.
///
/// # Errors
/// The peer does not speak TDS, or declines what `mode` insists on.
pub(crate) async fn exchange<S>(stream: &mut S, mode: TlsMode) -> Result<Encryption, ContactError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: std::io::Error| from_io(&error, AttemptStage::Login);
    let mut question = QUESTION;
    question[ENCRYPTION_AT] = match mode {
        TlsMode::Required | TlsMode::Strict => 3,
        TlsMode::Login => 0,
        TlsMode::Off => 2,
    };
    stream.write_all(&question).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let answer = answer(stream).await?;
    let offered = encryption(&answer).ok_or_else(|| {
        ContactError::Protocol("its answer to PRELOGIN can't be understood".to_owned())
    })?;
    agree(mode, offered)
}

/// Reads the body of the peer's answer.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, ContactError> {
    let failed = |error: std::io::Error| from_io(&error, AttemptStage::Login);
    let mut body = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await.map_err(failed)?;
        if header[0] != ANSWER {
            let what = format!(
                "it does not speak TDS: its answer begins with 0x{:02x}",
                header[0]
            );
            return Err(ContactError::Protocol(what));
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let more = length.saturating_sub(HEADER_BYTES);
        if body.len() + more > MAX_ANSWER_BYTES {
            let what = "the answer to PRELOGIN is longer than the supervisor reads";
            return Err(ContactError::Protocol(what.to_owned()));
        }
        let start = body.len();
        body.resize(start + more, 0);
        stream
            .read_exact(&mut body[start..])
            .await
            .map_err(failed)?;
        if header[1] & END_OF_MESSAGE != 0 {
            return Ok(body);
        }
        if more == 0 {
            let what = "an empty packet in the answer to PRELOGIN";
            return Err(ContactError::Protocol(what.to_owned()));
        }
    }
}

/// Returns the value of the option ENCRYPTION.
fn encryption(body: &[u8]) -> Option<u8> {
    for option in body.chunks(5) {
        match option {
            [TERMINATOR, ..] => return None,
            [ENCRYPTION, high, low, ..] => {
                let at = usize::from(u16::from_be_bytes([*high, *low]));
                return body.get(at).copied();
            }
            _ => {}
        }
    }
    None
}

/// Returns what follows from both sides' wishes. The peer's is 0 for the login, 1 and 3 for
/// everything, 2 for nothing.
fn agree(mode: TlsMode, offered: u8) -> Result<Encryption, ContactError> {
    match (mode, offered) {
        (_, 4..) => Err(ContactError::Protocol(format!(
            "it offers an encryption of kind {offered}, which there is none of"
        ))),
        (TlsMode::Strict, _) => Ok(Encryption::Everything),
        (TlsMode::Required | TlsMode::Login | TlsMode::Off, 1 | 3) => Ok(Encryption::Everything),
        (TlsMode::Login, 0) => Ok(Encryption::Login),
        (TlsMode::Off, _) => Ok(Encryption::Nothing),
        (TlsMode::Required | TlsMode::Login, _) => Err(ContactError::Tls(
            "the engine declines encryption, which sql-tls insists on".to_owned(),
        )),
    }
}

/// A search for the end of a message in bytes that come in pieces.
#[derive(Debug, Default)]
pub(super) struct MessageEnd {
    header: [u8; HEADER_BYTES],
    filled: usize,
    /// The number of bytes left of the present packet.
    left: usize,
}

impl MessageEnd {
    /// Takes bytes in. Returns how many of them belong to the message, once it has ended.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.filled < HEADER_BYTES {
                let wanted = (HEADER_BYTES - self.filled).min(bytes.len() - at);
                self.header[self.filled..self.filled + wanted]
                    .copy_from_slice(&bytes[at..at + wanted]);
                self.filled += wanted;
                at += wanted;
                if self.filled < HEADER_BYTES {
                    return None;
                }
                let length = u16::from_be_bytes([self.header[2], self.header[3]]);
                self.left = usize::from(length).saturating_sub(HEADER_BYTES);
            }
            let taken = self.left.min(bytes.len() - at);
            self.left -= taken;
            at += taken;
            if self.left > 0 {
                return None;
            }
            self.filled = 0;
            if self.header[1] & END_OF_MESSAGE != 0 {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_well_formed() {
        assert_eq!(encryption(&QUESTION[HEADER_BYTES..]), Some(0));
        assert_eq!(usize::from(QUESTION[3]), QUESTION.len());
        assert_eq!(encryption(&SHOWN[HEADER_BYTES..]), Some(2));
        assert_eq!(usize::from(SHOWN[3]), SHOWN.len());
    }

    #[test]
    fn what_is_insisted_on_is_had_or_nothing_is() {
        use Encryption::{Everything, Login, Nothing};
        for (mode, offered, expected) in [
            (TlsMode::Required, 1, Some(Everything)),
            (TlsMode::Required, 3, Some(Everything)),
            (TlsMode::Required, 0, None),
            (TlsMode::Required, 2, None),
            (TlsMode::Login, 0, Some(Login)),
            (TlsMode::Login, 1, Some(Everything)),
            (TlsMode::Login, 2, None),
            (TlsMode::Off, 2, Some(Nothing)),
            (TlsMode::Off, 3, Some(Everything)),
            (TlsMode::Strict, 0, Some(Everything)),
            (TlsMode::Strict, 9, None),
        ] {
            let agreed = agree(mode, offered).ok();
            assert_eq!(agreed, expected, "{mode:?} {offered}");
        }
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_and_nonsense_is_named() {
        let mut two = Vec::new();
        for (status, body) in [(0, &SHOWN[8..20]), (1, &SHOWN[20..])] {
            two.extend([ANSWER, status, 0, 8 + body.len() as u8, 0, 0, 1, 0]);
            two.extend(body);
        }
        assert_eq!(answer(&mut two.as_slice()).await.unwrap(), &SHOWN[8..]);
        let http = b"HTTP/1.1 400 Bad Request\r\n";
        let error = answer(&mut http.as_slice()).await.unwrap_err();
        assert!(
            matches!(&error, ContactError::Protocol(text) if text.contains("0x48")),
            "{error:?}"
        );
        let endless = [ANSWER, 0, 0x10, 0, 0, 0, 1, 0];
        let endless: Vec<u8> = endless
            .into_iter()
            .chain([0; 4088])
            .cycle()
            .take(9000)
            .collect();
        let error = answer(&mut endless.as_slice()).await.unwrap_err();
        assert!(
            matches!(&error, ContactError::Protocol(text) if text.contains("longer")),
            "{error:?}"
        );
        let error = answer(&mut [ANSWER, 1].as_slice()).await.unwrap_err();
        assert_eq!(error, ContactError::Closed);
    }

    #[test]
    fn the_end_of_a_message_is_found_however_it_is_cut() {
        let mut message = vec![0x10, 0, 0, 10, 0, 0, 1, 0, 7, 7];
        message.extend([0x10, 1, 0, 9, 0, 0, 2, 0, 7]);
        let mut whole = message.clone();
        whole.extend([9, 9]);
        assert_eq!(MessageEnd::default().feed(&whole), Some(message.len()));
        for piece in 1..message.len() {
            let mut end = MessageEnd::default();
            let mut pieces = message.chunks(piece).peekable();
            while let Some(bytes) = pieces.next() {
                let expected = pieces.peek().is_none().then_some(bytes.len());
                assert_eq!(end.feed(bytes), expected, "{piece}");
            }
        }
    }
}
