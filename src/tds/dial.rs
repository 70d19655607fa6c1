//! TCP to the engine: the name's addresses, the connection, and a limit on what is read from it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::deadline::Deadline;
use super::error::{bounded, from_io};
use crate::decide::observation::{ContactError, Stage};

/// Addresses of a name that are tried, in the resolver's order.
const MAX_ADDRESSES: usize = 4;

/// Bytes kept of what a peer says first: a handshake with a chain of certificates is a few thousand.
const MAX_GREETING_BYTES: usize = 32 * 1024;

/// Looks a name up on a thread of its own, one lookup at a time: the resolver of the C library can't
/// be cancelled, and a name server that is silent must not collect threads.
#[derive(Debug, Default)]
struct Resolver {
    pending: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

impl Resolver {
    /// The addresses of `host`, which is used as it is where it is numeric.
    ///
    /// # Cancel safety
    /// A lookup goes on when this future is dropped; the next call takes up its result.
    async fn lookup(&mut self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let pending = self.pending.get_or_insert_with(|| {
            let host = host.to_owned();
            tokio::task::spawn_blocking(move || {
                let addresses = (host.as_str(), port).to_socket_addrs()?;
                Ok(addresses.take(MAX_ADDRESSES).collect())
            })
        });
        let result = pending.await;
        self.pending = None;
        result.map_err(io::Error::other)?
    }
}

/// Makes TCP connections to one host and port.
#[derive(Debug)]
pub(crate) struct Dialer {
    host: String,
    port: u16,
    resolver: Resolver,
}

impl Dialer {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            resolver: Resolver::default(),
        }
    }

    /// A connection, within `deadline`.
    ///
    /// # Errors
    /// The error of the last address that was tried.
    ///
    /// # Cancel safety
    /// A connection that is being made is closed.
    pub(crate) async fn dial(&mut self, deadline: Deadline) -> Result<Limited, ContactError> {
        deadline.bound(Stage::Connect, self.connect()).await
    }

    async fn connect(&mut self) -> Result<Limited, ContactError> {
        let addresses = self
            .resolver
            .lookup(&self.host, self.port)
            .await
            .map_err(|error| ContactError::Unreachable(bounded(&error.to_string())))?;
        let mut last = ContactError::Unreachable("the host name has no address".to_owned());
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // A question is one small packet: waiting for more would only add delay.
                    // Where it can't be set the connection serves all the same.
                    let _ = stream.set_nodelay(true);
                    return Ok(Limited::new(stream));
                }
                Err(error) => last = from_io(&error, Stage::Connect),
            }
        }
        Err(last)
    }
}

/// How many bytes may yet be read from a connection; shared with the one who sets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Allows `bytes` more from now on, whatever was left.
    pub(crate) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Whether nothing more may be read.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left() == 0
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) {
        self.set(self.left().saturating_sub(bytes));
    }
}

/// The first bytes that a peer sent, until they are taken; shared with the one who takes them.
#[derive(Clone, Debug)]
pub(crate) struct Greeting(Arc<Mutex<Option<Vec<u8>>>>);

impl Greeting {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// What came so far. From now on nothing more is kept.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take().unwrap_or_default()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut() {
            let room = MAX_GREETING_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

/// A connection that fails once its [`Allowance`] is used up: `tiberius` keeps what belongs to one
/// value in memory, however long the peer makes it.
#[derive(Debug)]
pub(crate) struct Limited {
    stream: TcpStream,
    allowance: Allowance,
    greeting: Greeting,
}

impl Limited {
    /// Nothing may be read until the allowance is set.
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            allowance: Allowance::default(),
            greeting: Greeting::new(),
        }
    }

    /// What the peer says first; to be taken when that is over.
    pub(crate) fn greeting(&self) -> Greeting {
        self.greeting.clone()
    }

    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance.left() == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is longer than the supervisor reads",
            )));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.allowance.take(buffer.filled().len() - before);
        self.greeting.keep(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn no_more_is_read_than_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let mut dialer = Dialer::new("127.0.0.1", port);
        let mut stream = dialer.dial(Deadline::after(LIMIT)).await.expect("dial");
        let (mut peer, _) = listener.accept().await.expect("accept");
        peer.write_all(&[7; 100]).await.expect("write");
        stream.allowance().set(60);
        let mut bytes = [0; 60];
        stream.read_exact(&mut bytes).await.expect("within");
        let error = stream.read(&mut bytes).await.expect_err("beyond");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_all_its_addresses_are_tried() {
        // On most systems localhost is ::1 first; only 127.0.0.1 listens.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let mut dialer = Dialer::new("localhost", port);
        dialer.dial(Deadline::after(LIMIT)).await.expect("dial");
    }

    #[tokio::test]
    async fn a_port_where_nothing_listens_is_refused() {
        // Bound and not listening: nobody else can take it meanwhile.
        let held = tokio::net::TcpSocket::new_v4().expect("a socket");
        held.bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let address = held.local_addr().expect("address");
        let result = Dialer::new("127.0.0.1", address.port())
            .dial(Deadline::after(LIMIT))
            .await;
        assert_eq!(result.err(), Some(ContactError::Refused));
    }
}
