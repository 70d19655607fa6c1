//! The HTTP server.
//!
//! | path | answers |
//! | --- | --- |
//! | `/startupz` | 200 or 503: has the engine started? |
//! | `/livez` | 200 or 503: is there no reason to restart it? |
//! | `/readyz` | 200 or 503: may clients be sent to it? |
//! | `/gatez` | 200 or 503: may the engine be started on this volume? |
//! | `/healthz` | 200 or 503: does the supervisor itself decide, and do its observers observe? |
//! | `/metrics` | Prometheus text format 0.0.4, gzip where that is asked for |
//! | `/status` | one JSON document, version 1 |
//! | `/` | the same for people, a page without script |
//!
//! The four probes and `/healthz` answer in text, with every check on `?verbose`, and in JSON on
//! `Accept: application/json`. Only GET and HEAD are served: nothing can be changed over this port.
//!
//! What a decision's age does to the answers:
//!
//! | | no decision yet | current | older than `decision_stale_after` |
//! | --- | --- | --- | --- |
//! | `/startupz` | 503 `NotYetObserved` | as decided | as last decided |
//! | `/livez` | 200 | as decided | 200, with `SupervisorStalled` |
//! | `/readyz`, `/gatez` | 503 `NotYetObserved` | as decided | 503 `SupervisorStalled` |
//! | `/healthz` | 200, then 503 | 200 while observers observe | 503 |
//!
//! The server runs on a thread of its own with a runtime of its own, so that a deciding loop that
//! is busy or stuck delays no answer. **Architecture invariant:** nothing on this thread waits for
//! anything but its sockets and its timer; it reads [`super::Published`] and never writes it.
//!
//! Limits hold for the number of connections, the bytes and the number of a head's fields, and the
//! time without a complete request (`connections`). A request's body is never read.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::checks::{self, Check, Mark};
use super::connections::{Connections, Slot};
use super::metrics::Metrics;
use super::view::{Freshness, Limits, ObserverBounds, View};
use super::{Reader, routes};
use crate::config::HttpConfig;
use crate::decide::time::SupervisedClock;
use crate::exposition::Exposition;
use crate::parts::part;

/// The greatest number of header fields of a request; the kubelet, Prometheus and browsers stay
/// below twenty.
const MAX_HEADERS: usize = 64;
/// The least number of bytes for a request's head: hyper takes no smaller buffer.
const MIN_HEADER_BYTES: usize = 8 * 1024;
/// The pause after an accept that failed for want of descriptors or memory: without it the loop
/// would spin, as the connection stays in the queue.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// The time that [`ServerHandle::drain`] waits beyond the drain's own limit for the thread to end.
const JOIN_SLACK: Duration = Duration::from_millis(200);

/// The HTTP server.
#[derive(Debug)]
pub struct Server;

/// A server that has its port and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    config: HttpConfig,
}

/// A server that serves. When it is dropped, it drains in the background.
#[derive(Debug)]
pub struct ServerHandle {
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
    drain_limit: Duration,
}

impl Server {
    /// Takes the port, before anything else is started.
    ///
    /// # Errors
    ///
    /// The port is taken or may not be used; the error names the address.
    pub fn bind(config: &HttpConfig) -> io::Result<Bound> {
        let open = || {
            let listener = TcpListener::bind(config.listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = open().map_err(|error: io::Error| {
            let message = format!("cannot listen on {}: {error}", config.listen);
            io::Error::new(error.kind(), message)
        })?;
        Ok(Bound {
            listener,
            address,
            config: config.clone(),
        })
    }
}

impl Bound {
    /// Returns the address with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the thread that serves, and calls `healthy` again and again while `/healthz` passes.
    ///
    /// # Errors
    ///
    /// The thread or its runtime could not be made.
    pub fn serve(
        self,
        reader: Reader,
        metrics: Arc<Metrics>,
        collected: watch::Receiver<Arc<Exposition>>,
        observers: ObserverBounds,
        healthy: fn(),
    ) -> io::Result<ServerHandle> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener)?
        };
        let drain_limit = self.config.drain_timeout;
        let site = Arc::new(Site::new(
            reader,
            metrics,
            collected,
            observers,
            &self.config,
        ));
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                run(&runtime, listener, site, self.config, healthy, stopped);
                // Nobody waits where the handle was dropped.
                let _ = end.send(());
            })?;
        Ok(ServerHandle {
            stop,
            ended,
            drain_limit,
        })
    }
}

impl ServerHandle {
    /// Stops accepting, lets open requests end, and returns when the thread has ended: at the latest
    /// shortly after `drain_timeout`. Blocks; returns false where the thread did not end in time.
    #[must_use]
    pub fn drain(self) -> bool {
        // The receiver is gone only if the thread has ended already.
        let _ = self.stop.send(());
        let limit = self.drain_limit.saturating_add(JOIN_SLACK);
        !matches!(
            self.ended.recv_timeout(limit),
            Err(mpsc::RecvTimeoutError::Timeout)
        )
    }
}

/// The sources that handlers answer from.
#[derive(Debug)]
struct Site {
    reader: Reader,
    metrics: Arc<Metrics>,
    collected: watch::Receiver<Arc<Exposition>>,
    limits: Limits,
    started: Instant,
    freshness: Mutex<Freshness>,
}

impl Site {
    fn new(
        reader: Reader,
        metrics: Arc<Metrics>,
        collected: watch::Receiver<Arc<Exposition>>,
        observers: ObserverBounds,
        config: &HttpConfig,
    ) -> Self {
        let sequence = reader.borrow().sequence;
        Self {
            reader,
            metrics,
            collected,
            limits: Limits {
                stale_after: config.decision_stale_after,
                observers,
            },
            started: Instant::now(),
            freshness: Mutex::new(Freshness::new(sequence)),
        }
    }

    fn view(&self) -> View {
        let published = Arc::clone(&self.reader.borrow());
        let uptime = self.started.elapsed();
        let age = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .age(uptime, published.sequence);
        View {
            published,
            age,
            uptime,
            limits: self.limits,
            collected: Arc::clone(&self.collected.borrow()),
            moment: Instant::now(),
        }
    }
}

fn run(
    runtime: &Runtime,
    listener: tokio::net::TcpListener,
    site: Arc<Site>,
    config: HttpConfig,
    healthy: fn(),
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let (drain, draining) = watch::channel(false);
        let acceptor = Acceptor {
            site,
            config,
            healthy,
            connections: Connections::default(),
            draining,
        };
        let mut tasks = JoinSet::new();
        tokio::select! {
            // It ends when it is asked to, or when the handle is dropped.
            _ = stopped => {}
            () = part("supervisor.http", acceptor.accept(&listener, &mut tasks)) => {}
        }
        drop(listener);
        drain.send_replace(true);
        let all = async { while tasks.join_next().await.is_some() {} };
        // What has not ended by then is dropped with the runtime.
        let _ = timeout(acceptor.config.drain_timeout, all).await;
    });
}

struct Acceptor {
    site: Arc<Site>,
    config: HttpConfig,
    healthy: fn(),
    connections: Connections,
    draining: watch::Receiver<bool>,
}

impl Acceptor {
    /// Accepts and ticks; never returns.
    async fn accept(&self, listener: &tokio::net::TcpListener, tasks: &mut JoinSet<()>) {
        let mut ticks = interval(SupervisedClock::TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // An answer is one write, so that Nagle's algorithm would change little;
                        // where the option can't be set the answer still arrives.
                        let _ = stream.set_nodelay(true);
                        self.admit(stream, tasks).await;
                    }
                    Err(error) => self.refused(&error).await,
                },
            }
        }
    }

    /// Does what has to happen even if no request comes.
    fn tick(&self) {
        let view = self.site.view();
        self.connections
            .close_waiting_for(self.config.header_timeout, Instant::now());
        self.site.metrics.refresh(view.uptime);
        let failed = |check: &Check| check.mark == Mark::Failed;
        if !checks::supervisor(&view).iter().any(failed) {
            (self.healthy)();
        }
    }

    /// Serves a connection; at the limit another one is closed first.
    async fn admit<S>(&self, stream: S, tasks: &mut JoinSet<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        while tasks.len() >= self.config.max_connections.max(1) {
            self.connections.close_longest_waiting();
            tasks.join_next().await;
        }
        let max_header_bytes = usize::try_from(self.config.max_header_bytes).unwrap_or(usize::MAX);
        tasks.spawn(serve_connection(
            stream,
            Arc::clone(&self.site),
            self.connections.open(Instant::now()),
            max_header_bytes.max(MIN_HEADER_BYTES),
            self.draining.clone(),
        ));
    }

    async fn refused(&self, error: &io::Error) {
        if is_shortage(error) {
            tracing::warn!(%error, "cannot accept a connection");
            self.connections.close_longest_waiting();
            sleep(ACCEPT_BACKOFF).await;
        }
    }
}

/// Whether accept(2) failed for want of something, rather than because the peer went away.
fn is_shortage(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

async fn serve_connection<S>(
    stream: S,
    site: Arc<Site>,
    slot: Slot,
    max_header_bytes: usize,
    mut draining: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        slot.requested(Instant::now());
        let response = routes::respond(&request, &site.view(), &site.metrics);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(max_header_bytes)
        // The time for a head is watched by `Connections`, together with the other kinds of waiting.
        .header_read_timeout(None)
        // A peer that has closed its sending half waits for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // What a peer does wrong is its own affair, and a log line for each would be its lever.
        _ = connection.as_mut() => return,
        () = slot.closed() => return,
        // The sender goes away with the runtime only, and then this task does too.
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = slot.closed() => {}
    }
}

#[cfg(test)]
mod tests;
