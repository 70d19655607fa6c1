//! The bytes between the client library and the engine: in clear to the library, encrypted to the
//! engine.
//!
//! The library can encrypt by itself, but its errors are texts, it checks a certificate in one way only,
//! and it trusts the operating system's store beside a given CA. So the first exchange and the handshake
//! are done here, by rustls: its errors have types, and who is trusted is decided in [`super::trust`]. The
//! library is then given a connection on which its own PRELOGIN is swallowed and answered with "no
//! encryption".

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::Limited;
use super::error::from_io;
use super::prelogin::{
    self, END_OF_MESSAGE, Encryption, HEADER_BYTES, MessageEnd, PRELOGIN, SHOWN,
};
use super::trust::Trust;
use crate::config::TlsMode;
use crate::decide::observation::{AttemptStage, ContactError};

/// The size in bytes of a packet that wraps a part of the handshake: the one that holds before the
/// login.
const PACKET_BYTES: usize = 4096;

/// A connection with the encryption that the two sides agreed on.
pub(crate) struct Channel {
    transport: Transport,
    /// The end of the library's own PRELOGIN, while that is yet to be swallowed.
    swallow: Option<MessageEnd>,
    /// The rest of the answer to that PRELOGIN.
    answer: &'static [u8],
    /// The end of the login, where only the login is encrypted.
    login: Option<MessageEnd>,
    phase: Phase,
}

enum Transport {
    Plain(Limited),
    Tls(Box<TlsStream<Wrapped>>),
}

/// The progress of a connection to the point where TLS ends, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Encrypted,
    /// The login was written, and may wait to be sent.
    LoginWritten,
    /// The rest of the connection is in the clear.
    Clear,
}

impl Channel {
    /// Makes a channel of a connection on which nothing was sent.
    ///
    /// # Errors
    /// [`ContactError::Tls`] where encryption was not agreed upon or the certificate is refused.
    pub(crate) async fn open(
        mut stream: Limited,
        mode: TlsMode,
        trust: &Trust,
        name: ServerName<'static>,
    ) -> Result<Self, ContactError> {
        let (transport, encryption) = match mode {
            TlsMode::Strict => {
                let mut tls = handshake(Wrapped::bare(stream), trust, name, true).await?;
                prelogin::exchange(&mut tls, mode).await?;
                (Transport::Tls(Box::new(tls)), Encryption::Everything)
            }
            _ => match prelogin::exchange(&mut stream, mode).await? {
                Encryption::Nothing => (Transport::Plain(stream), Encryption::Nothing),
                encryption => {
                    let mut tls = handshake(Wrapped::wrapping(stream), trust, name, false).await?;
                    tls.get_mut().0.wraps = false;
                    (Transport::Tls(Box::new(tls)), encryption)
                }
            },
        };
        Ok(Self {
            transport,
            swallow: Some(MessageEnd::default()),
            answer: &SHOWN,
            login: (encryption == Encryption::Login).then(MessageEnd::default),
            phase: Phase::Encrypted,
        })
    }

    /// Asks for the peer's PRELOGIN and nothing else: that shows whether an engine answers, without
    /// a line in its log.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) async fn knock(
        mut stream: Limited,
        mode: TlsMode,
        trust: &Trust,
        name: ServerName<'static>,
    ) -> Result<(), ContactError> {
        match mode {
            TlsMode::Strict => Self::open(stream, mode, trust, name).await.map(|_| ()),
            _ => prelogin::exchange(&mut stream, mode).await.map(|_| ()),
        }
    }

    /// Makes sure that an encrypted login is sent before anything is read or written in the clear.
    fn poll_login_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let (Phase::LoginWritten, Transport::Tls(tls)) = (self.phase, &mut self.transport) {
            ready!(Pin::new(tls).poll_flush(context))?;
            self.phase = Phase::Clear;
        }
        Poll::Ready(Ok(()))
    }
}

async fn handshake(
    stream: Wrapped,
    trust: &Trust,
    name: ServerName<'static>,
    strict: bool,
) -> Result<TlsStream<Wrapped>, ContactError> {
    let config = trust.client(strict)?;
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| {
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => ContactError::Tls(trust.explain(error)),
            None => from_io(&error, AttemptStage::Login),
        }
    })
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.swallow.is_none() && !this.answer.is_empty() {
            let count = buffer.remaining().min(this.answer.len());
            let (now, later) = this.answer.split_at(count);
            buffer.put_slice(now);
            this.answer = later;
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_login_sent(context))?;
        match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(tls) if this.phase == Phase::Clear => {
                Pin::new(&mut tls.get_mut().0.stream).poll_read(context, buffer)
            }
            Transport::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(end) = &mut this.swallow {
            let swallowed = end.feed(bytes);
            if swallowed.is_some() {
                this.swallow = None;
            }
            return Poll::Ready(Ok(swallowed.unwrap_or(bytes.len())));
        }
        ready!(this.poll_login_sent(context))?;
        let tls = match &mut this.transport {
            Transport::Plain(stream) => return Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(tls) if this.phase == Phase::Clear => {
                return Pin::new(&mut tls.get_mut().0.stream).poll_write(context, bytes);
            }
            Transport::Tls(tls) => tls,
        };
        let count = ready!(Pin::new(tls).poll_write(context, bytes))?;
        let written = this.login.as_mut();
        if written.is_some_and(|end| end.feed(&bytes[..count]).is_some()) {
            this.login = None;
            this.phase = Phase::LoginWritten;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let clear = self.phase == Phase::Clear;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(tls) if clear => {
                Pin::new(&mut tls.get_mut().0.stream).poll_flush(context)
            }
            Transport::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let clear = self.phase == Phase::Clear;
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(tls) if clear => {
                Pin::new(&mut tls.get_mut().0.stream).poll_shutdown(context)
            }
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// The connection below a handshake, which TDS 7 wraps in packets of PRELOGIN; afterwards it is
/// bare.
struct Wrapped {
    stream: Limited,
    wraps: bool,
    /// The bytes that the handshake wants to send, not yet wrapped.
    unsent: Vec<u8>,
    /// The packets that are on their way, and the number of their bytes that were sent.
    outbound: (Vec<u8>, usize),
    /// The header of the packet that is being read, and the number of its bytes that have come.
    header: ([u8; HEADER_BYTES], usize),
    /// The number of bytes left of that packet.
    left: usize,
}

impl Wrapped {
    fn wrapping(stream: Limited) -> Self {
        Self {
            stream,
            wraps: true,
            unsent: Vec::new(),
            outbound: (Vec::new(), 0),
            header: ([0; HEADER_BYTES], 0),
            left: 0,
        }
    }

    fn bare(stream: Limited) -> Self {
        Self {
            wraps: false,
            ..Self::wrapping(stream)
        }
    }

    /// Sends what is unsent, as one message.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let payload = std::mem::take(&mut self.unsent);
        let mut parts = payload.chunks(PACKET_BYTES - HEADER_BYTES).peekable();
        while let Some(part) = parts.next() {
            let status = if parts.peek().is_none() {
                END_OF_MESSAGE
            } else {
                0
            };
            let length = u16::try_from(part.len() + HEADER_BYTES).unwrap_or(u16::MAX);
            let [high, low] = length.to_be_bytes();
            self.outbound
                .0
                .extend([PRELOGIN, status, high, low, 0, 0, 0, 0]);
            self.outbound.0.extend(part);
        }
        let (bytes, sent) = &mut self.outbound;
        while *sent < bytes.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[*sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += count;
        }
        self.outbound = (Vec::new(), 0);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Reads the header of the next packet, if the one before was read to its end.
    fn poll_header(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left == 0 {
            let (header, filled) = &mut self.header;
            let mut buffer = ReadBuf::new(&mut header[*filled..]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let count = buffer.filled().len();
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            *filled += count;
            if *filled == HEADER_BYTES {
                let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
                if header[0] != PRELOGIN || length <= HEADER_BYTES {
                    let what = "a packet of another kind came amid the TLS handshake";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
                self.left = length - HEADER_BYTES;
                *filled = 0;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.wraps && this.left == 0 {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        if this.wraps {
            ready!(this.poll_send(context))?;
            ready!(this.poll_header(context))?;
        }
        let mut chunk = [0; PACKET_BYTES];
        let wanted = buffer.remaining().min(this.left).min(PACKET_BYTES);
        let mut part = ReadBuf::new(&mut chunk[..wanted]);
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
        buffer.put_slice(part.filled());
        this.left -= part.filled().len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.wraps {
            self.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wraps {
            return self.poll_send(context);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
