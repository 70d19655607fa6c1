//! TLS as TDS 7 does it: the handshake travels inside PRELOGIN packets, what follows is plain TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::packet::{DEFAULT_PACKET_BYTES, Fragmenter, HEADER_BYTES, Header, PacketType};

/// The name of TDS 8 in TLS, ALPN.
pub const TDS_8: &[u8] = b"tds/8.0";

/// A certificate with its key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// A self-signed leaf, like the one the engine makes at each start, but with names a client can check.
    pub fn self_signed() -> anyhow::Result<Self> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
        Ok(Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }

    pub fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("reading the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).context("reading the key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // TDS 7 over TLS 1.3 would put session tickets into the gap where clients switch framing; the 15.0
        // engine that is imitated ends at TLS 1.2 as well.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .context("choosing TLS 1.2")?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("loading certificate and key")?;
        config.alpn_protocols.push(TDS_8.to_vec());
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A TCP stream that wraps what passes in PRELOGIN packets until wrapping is turned off.
#[derive(Debug)]
pub struct Wrapped {
    tcp: TcpStream,
    wrapping: bool,
    header: BytesMut,
    payload_left: usize,
    unwritten: BytesMut,
    framed: BytesMut,
}

impl Wrapped {
    pub fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            wrapping: false,
            header: BytesMut::new(),
            payload_left: 0,
            unwritten: BytesMut::new(),
            framed: BytesMut::new(),
        }
    }

    pub fn set_wrapping(&mut self, wrapping: bool) {
        self.wrapping = wrapping;
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads up to the next packet's payload; `false` at the end of the stream.
    fn poll_header(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.payload_left == 0 {
            let mut bytes = [0; HEADER_BYTES];
            let missing = HEADER_BYTES - self.header.len();
            let mut buffer = ReadBuf::new(&mut bytes[..missing]);
            ready!(Pin::new(&mut self.tcp).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.header.extend_from_slice(buffer.filled());
            if let Some(whole) = self.header.first_chunk::<HEADER_BYTES>() {
                let header = Header::decode(*whole)?;
                if header.kind != PacketType::Prelogin {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
                }
                self.payload_left = header.length - HEADER_BYTES;
                self.header.clear();
            }
        }
        Poll::Ready(Ok(true))
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unwritten.is_empty() {
            let flight = self.unwritten.split();
            Fragmenter::new(PacketType::Prelogin, DEFAULT_PACKET_BYTES).cut(
                &flight,
                true,
                &mut self.framed,
            );
        }
        while !self.framed.is_empty() {
            let written = ready!(Pin::new(&mut self.tcp).poll_write(context, &self.framed))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.framed.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wrapped {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.wrapping {
            return Pin::new(&mut this.tcp).poll_read(context, buffer);
        }
        if !ready!(this.poll_header(context))? {
            return Poll::Ready(Ok(()));
        }
        let mut limited = buffer.take(this.payload_left);
        ready!(Pin::new(&mut this.tcp).poll_read(context, &mut limited))?;
        let read = limited.filled().len();
        this.payload_left -= read;
        // `take` lends the same memory, so the bytes are there; only the outer buffer must be advanced.
        let bytes = limited.filled().to_vec();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wrapped {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.wrapping {
            return Pin::new(&mut this.tcp).poll_write(context, bytes);
        }
        // A flight is gathered until it is flushed, so that it becomes one message as clients expect.
        this.unwritten.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.tcp).poll_shutdown(context)
    }
}
