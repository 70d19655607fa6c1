//! A TDS connection, server side: whole messages in, packets out, over TCP or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::packet::{Assembler, DEFAULT_PACKET_BYTES, Fragmenter, Message, PacketType};
use super::tls::{TDS_8, Wrapped};

enum Transport {
    Plain(Wrapped),
    Tls(Box<TlsStream<Wrapped>>),
    /// Only while one of the two becomes the other.
    Switching,
}

pub struct Connection {
    transport: Transport,
    input: BytesMut,
    assembler: Assembler,
    output: Fragmenter,
}

impl Connection {
    pub fn new(tcp: TcpStream) -> Self {
        Self {
            transport: Transport::Plain(Wrapped::new(tcp)),
            input: BytesMut::new(),
            assembler: Assembler::default(),
            output: Fragmenter::new(PacketType::Response, DEFAULT_PACKET_BYTES),
        }
    }

    /// Returns the next whole message; `None` when the client has closed.
    ///
    /// Cancel safety: a dropped call loses nothing, what was read stays in the connection.
    pub async fn next_message(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.assembler.next(&mut self.input)? {
                return Ok(Some(message));
            }
            if self.transport.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends bytes of a response; `last` ends the message. Not cancel safe: a half-sent packet spoils the
    /// stream.
    pub async fn send(&mut self, payload: Bytes, last: bool) -> io::Result<()> {
        let mut packets = BytesMut::new();
        self.output.cut(&payload, last, &mut packets);
        self.transport.write_all(&packets).await?;
        self.transport.flush().await
    }

    pub fn set_packet_bytes(&mut self, bytes: usize) {
        self.output = Fragmenter::new(PacketType::Response, bytes);
    }

    /// Does the TLS handshake of TDS 7; afterwards everything passes through TLS.
    pub async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        self.handshake(acceptor, true).await
    }

    /// Does the TLS handshake of TDS 8, in which nothing is wrapped and a client names TDS 8 by ALPN.
    pub async fn start_strict(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        self.handshake(acceptor, false).await?;
        match &self.transport {
            Transport::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(TDS_8) => Ok(()),
            _ => Err(io::Error::other("a client that does not ask for TDS 8")),
        }
    }

    async fn handshake(&mut self, acceptor: &TlsAcceptor, wraps: bool) -> io::Result<()> {
        let Transport::Plain(mut wrapped) =
            std::mem::replace(&mut self.transport, Transport::Switching)
        else {
            return Err(io::Error::other("TLS is on already"));
        };
        wrapped.set_wrapping(wraps);
        let mut tls = acceptor.accept(wrapped).await?;
        tls.get_mut().0.set_wrapping(false);
        self.transport = Transport::Tls(Box::new(tls));
        Ok(())
    }

    /// Goes back to clear text after a login that alone was encrypted.
    pub fn end_tls(&mut self) {
        self.transport = match std::mem::replace(&mut self.transport, Transport::Switching) {
            Transport::Tls(tls) => Transport::Plain(tls.into_inner().0),
            other => other,
        };
    }

    /// Sends bytes past the packet layer: for what no TDS server would send.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// Makes the coming close a RST.
    pub fn reset_on_close(&self) {
        if let Some(tcp) = self.transport.tcp() {
            // A failure means the peer is gone already, which is what a RST is for.
            let _ = tcp.set_zero_linger();
        }
    }

    /// Ends the connection in order: TLS close_notify and FIN.
    pub async fn close(&mut self) {
        // The peer may have gone first; then nobody is left to be notified.
        let _ = self.transport.shutdown().await;
    }
}

impl Transport {
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(wrapped) => Some(wrapped.tcp()),
            Self::Tls(tls) => Some(tls.get_ref().0.tcp()),
            Self::Switching => None,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Switching => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Switching => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Switching => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Switching => Poll::Ready(Ok(())),
        }
    }
}
