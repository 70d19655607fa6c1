//! TCP connections to the engine: the name's addresses, the connection, and a limit on what is read
//! from it.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::deadline::Deadline;
use super::error::{bounded, from_io};
use crate::config::endpoint::{Target, TargetHost};
use crate::decide::observation::{AttemptStage, ContactError};

/// The greatest number of a name's addresses that are tried, in the resolver's order.
const MAX_ADDRESSES: usize = 4;

/// A resolver that looks a name up on a thread of its own, one lookup at a time: the resolver of
/// the C library can't be cancelled, and a name server that is silent must not collect threads.
#[derive(Debug, Default)]
struct Resolver {
    /// The name that is being looked up, and its lookup.
    pending: Option<(String, JoinHandle<io::Result<Vec<IpAddr>>>)>,
}

impl Resolver {
    /// Returns the addresses of the host of that name.
    ///
    /// # Cancel safety
    /// A lookup goes on when this future is dropped; the next call takes up its result. A lookup of
    /// another name is waited for first.
    async fn lookup(&mut self, host: &str) -> io::Result<Vec<IpAddr>> {
        loop {
            let (name, lookup) = self.pending.get_or_insert_with(|| {
                let name = host.to_owned();
                let lookup = tokio::task::spawn_blocking(move || {
                    // The port is of no consequence: the resolver wants one.
                    let addresses = (name.as_str(), 0).to_socket_addrs()?;
                    Ok(addresses
                        .map(|found| found.ip())
                        .take(MAX_ADDRESSES)
                        .collect())
                });
                (host.to_owned(), lookup)
            });
            let result = lookup.await;
            let asked = name == host;
            self.pending = None;
            if asked {
                return result.map_err(io::Error::other)?;
            }
        }
    }
}

/// A maker of TCP connections.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    resolver: Resolver,
}

impl Dialer {
    /// Makes a connection to `target`, within `deadline`; returns it with the address that it was
    /// made to.
    ///
    /// # Errors
    /// The error of the first address that was tried, unless a later one was refused: that nothing
    /// listens on 127.0.0.1 explains more than that this host has no IPv6.
    ///
    /// # Cancel safety
    /// A connection that is being made is closed.
    pub(crate) async fn dial(
        &mut self,
        target: &Target,
        deadline: Deadline,
    ) -> Result<(Limited, IpAddr), ContactError> {
        deadline
            .bound(AttemptStage::Connect, self.connect(target))
            .await
    }

    async fn connect(&mut self, target: &Target) -> Result<(Limited, IpAddr), ContactError> {
        let addresses = match &target.host {
            TargetHost::Addresses(addresses) => addresses.clone(),
            TargetHost::Name(name) => self
                .resolver
                .lookup(name)
                .await
                .map_err(|error| ContactError::Unreachable(bounded(&error.to_string())))?,
        };
        let mut failure = None;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            match TcpStream::connect((address, target.port)).await {
                Ok(stream) => {
                    // A question is one small packet: waiting for more would only add delay.
                    // Where it can't be set the connection serves all the same.
                    let _ = stream.set_nodelay(true);
                    return Ok((Limited::new(stream), address));
                }
                Err(error) => {
                    let error = from_io(&error, AttemptStage::Connect);
                    if failure.is_none() || error == ContactError::Refused {
                        failure = Some(error);
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            ContactError::Unreachable("the host name has no address".to_owned())
        }))
    }
}

/// The number of bytes that may yet be read from a connection; shared with the code that sets it.
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

    /// Returns the number of bytes that may yet be read.
    pub(crate) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) {
        self.set(self.left().saturating_sub(bytes));
    }
}

/// A connection that fails once its [`Allowance`] is used up: `tiberius` keeps what belongs to one
/// value in memory, however long the peer makes it.
#[derive(Debug)]
pub(crate) struct Limited {
    stream: TcpStream,
    allowance: Allowance,
}

impl Limited {
    /// Limits a connection. Nothing may be read until the allowance is set.
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            allowance: Allowance::default(),
        }
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
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn target(host: TargetHost, port: u16) -> Target {
        Target { host, port }
    }

    #[tokio::test]
    async fn no_more_is_read_than_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let target = target(TargetHost::of("127.0.0.1"), port);
        let dialed = Dialer::default()
            .dial(&target, Deadline::after(LIMIT))
            .await;
        let (mut stream, address) = dialed.expect("dial");
        assert!(address.is_loopback());
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
        let mut dialer = Dialer::default();
        let target = target(TargetHost::of("localhost"), port);
        let deadline = Deadline::after(LIMIT);
        dialer.dial(&target, deadline).await.expect("dial");
    }

    #[tokio::test]
    async fn of_several_addresses_the_one_that_listens_is_found() {
        let (port, [_v4, v6]) = bound_on_both_loopbacks();
        let target = target(TargetHost::loopback(), port);
        let dialed = Dialer::default()
            .dial(&target, Deadline::after(LIMIT))
            .await;
        assert_eq!(dialed.err(), Some(ContactError::Refused));
        let _listener = v6.listen(1).expect("listen");
        let dialed = Dialer::default()
            .dial(&target, Deadline::after(LIMIT))
            .await;
        assert!(dialed.expect("dial").1.is_ipv6());
    }

    /// Returns a port that is this test's alone on 127.0.0.1 and ::1, and the sockets that keep it.
    fn bound_on_both_loopbacks() -> (u16, [TcpSocket; 2]) {
        loop {
            let v4 = TcpSocket::new_v4().expect("a socket");
            v4.bind(([127, 0, 0, 1], 0).into()).expect("bind");
            let port = v4.local_addr().expect("address").port();
            let v6 = TcpSocket::new_v6().expect("a socket");
            // Another process may have the same port of the other address.
            if v6.bind((Ipv6Addr::LOCALHOST, port).into()).is_ok() {
                return (port, [v4, v6]);
            }
        }
    }

    #[tokio::test]
    async fn a_port_where_nothing_listens_is_refused() {
        // Bound and not listening: nobody else can take it meanwhile.
        let held = TcpSocket::new_v4().expect("a socket");
        held.bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let address = held.local_addr().expect("address");
        let target = target(TargetHost::of("127.0.0.1"), address.port());
        let result = Dialer::default()
            .dial(&target, Deadline::after(LIMIT))
            .await;
        assert_eq!(result.err(), Some(ContactError::Refused));
    }
}
