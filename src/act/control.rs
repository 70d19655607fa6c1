//! The control socket: HTTP/1.1 over a Unix socket.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /maintenance?for=30m` | holds liveness for that long, 1 s to 24 h; another one replaces it |
//! | `DELETE /maintenance` | ends the hold |
//! | `POST /adopt` | accepts the volume as it is now: its identity is kept aside and a new one written |
//! | `POST /release` | ends the hold of a used-up restart budget, and counts afresh |
//! | `POST /stop?grace=25s` | stops the engine cleanly; answers when it is gone: [`crate::decide::stop`] |
//!
//! Each answers `{"done": ...}`, or `{"error": ...}` with what is wrong and what to do. What is
//! ordered outlives the supervisor where `state-dir` can be written, see [`crate::decide::memory`].
//!
//! Allowed are the supervisor's own user and root. The file's mode is 0600, and the kernel is asked for the
//! peer's user (SO_PEERCRED in unix(7)) in case somebody widened it.
//!
//! Limits: [`MAX_CONNECTIONS`], 10 s for a whole connection plus the time that its order may take, one
//! request on each connection, and the bytes and the number of fields of its head. A body is never read.

pub(super) mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::order::{Obeyed, Order, Refusal};
pub use socket::{BindError, BoundSocket, bind};

/// The number of connections at once; the next ones wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8;
/// The time limits of the control socket.
const LIMITS: Limits = Limits {
    connection: Duration::from_secs(10),
    obey: Duration::from_secs(2),
};
const _: () = assert!(LIMITS.obey.as_secs() < LIMITS.connection.as_secs());
/// Header fields of a request; curl sends three.
const MAX_HEADERS: usize = 32;
/// Bytes of a request's head; hyper takes no smaller buffer.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Pause after an accept that failed for want of descriptors: without it the loop would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The limit for a whole connection, so that nobody keeps one by sending or reading slowly.
    connection: Duration,
    /// The limit for the deciding loop to take an order, which takes microseconds where the loop runs at all.
    obey: Duration,
}

/// A user of the system, by number.
pub type Uid = u32;
const ROOT: Uid = 0;

/// Serves connections on the control socket; never returns. `obey` hands an order on and returns once it is
/// obeyed. When the future is dropped, the open connections end and the socket's file is removed.
pub async fn serve<O, F>(socket: BoundSocket, obey: O)
where
    O: Fn(Order) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Obeyed> + Send + 'static,
{
    serve_by(LIMITS, socket, obey).await;
}

async fn serve_by<O, F>(limits: Limits, socket: BoundSocket, obey: O)
where
    O: Fn(Order) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Obeyed> + Send + 'static,
{
    let own = rustix::process::geteuid().as_raw();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = tasks.join_next() => {}
            accepted = socket.listener.accept(), if tasks.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let caller = Caller::of(&stream, own);
                    tasks.spawn(serve_within(stream, caller, limits, obey.clone()));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection on the control socket");
                    sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
}

/// Serves a connection for as long as it may last. Errors that the peer causes are not reported.
async fn serve_within<O, F>(stream: UnixStream, caller: Caller, limits: Limits, obey: O)
where
    O: Fn(Order) -> F,
    F: Future<Output = Obeyed>,
{
    let began = Instant::now();
    let extra = Arc::new(AtomicU64::new(0));
    let longer = Arc::clone(&extra);
    let obey = move |order: Order| {
        let limit = order.limit(limits.obey);
        longer.store(limit.as_secs(), Ordering::Relaxed);
        timeout(limit, obey(order)).map(Result::ok)
    };
    let served = serve_connection(stream, caller, obey);
    tokio::pin!(served);
    loop {
        let extra = Duration::from_secs(extra.load(Ordering::Relaxed));
        let end = began + limits.connection + extra;
        if end <= Instant::now() {
            return;
        }
        tokio::select! {
            () = &mut served => return,
            () = sleep_until(end) => {}
        }
    }
}

async fn serve_connection<O, F>(stream: UnixStream, caller: Caller, obey: O)
where
    O: Fn(Order) -> F,
    F: Future<Output = Option<Obeyed>>,
{
    let service = service_fn(|request: Request<Incoming>| {
        respond(request, &caller, &obey).map(Ok::<_, Infallible>)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // The whole connection is limited.
        .header_read_timeout(None)
        // A peer that has said all it has to say waits for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

/// The process at the other end of a connection.
#[derive(Debug)]
struct Caller {
    /// The user of the caller; absent where the kernel does not report it, which every known kernel does.
    uid: Option<Uid>,
    pid: Option<i32>,
    own: Uid,
}

impl Caller {
    fn of(stream: &UnixStream, own: Uid) -> Self {
        let credentials: io::Result<_> = stream.peer_cred();
        let credentials = credentials.ok();
        Self {
            uid: credentials.as_ref().map(UCred::uid),
            pid: credentials.and_then(|credentials| credentials.pid()),
            own,
        }
    }

    fn may_order(&self) -> bool {
        self.uid.is_some_and(|uid| uid == self.own || uid == ROOT)
    }
}

/// Answers one request, after its order was obeyed. `obey` returns none where nobody took the order in time.
async fn respond<B, O, F>(request: Request<B>, caller: &Caller, obey: &O) -> Response<Full<Bytes>>
where
    O: Fn(Order) -> F,
    F: Future<Output = Option<Obeyed>>,
{
    if !caller.may_order() {
        warn!(
            uid = caller.uid,
            pid = caller.pid,
            "refused an order: neither root nor this user"
        );
        let own = caller.own;
        let error = format!("only root and uid {own} may order anything here");
        return reply(StatusCode::FORBIDDEN, &json!({ "error": error }));
    }
    let uri = request.uri();
    let order = match Order::from_request(request.method(), uri.path(), uri.query()) {
        Ok(order) => order,
        Err(refusal) => return refuse(&refusal),
    };
    let (order_name, uid, pid) = (order.name(), caller.uid, caller.pid);
    match obey(order).await {
        Some(Ok(done)) => {
            info!(order = order_name, uid, pid, "{done}");
            reply(StatusCode::OK, &json!({ "done": done }))
        }
        Some(Err(why)) => {
            warn!(order = order_name, uid, pid, "{why}");
            reply(StatusCode::CONFLICT, &json!({ "error": why }))
        }
        None => {
            let error = match order {
                // The one that was begun before may have a longer grace.
                Order::Stop(_) => {
                    "the engine is still there at the end of this order's time; a stop that was begun goes on: see `status`"
                }
                _ => "the deciding loop takes no orders: see /healthz; nothing was changed",
            };
            reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": error }))
        }
    }
}

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = match refusal {
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Query(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = reply(status, &json!({ "error": refusal.to_string() }));
    if let Refusal::Method(allowed) = refusal {
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests;
