//! The kubelet's probes of the SQL container, answered in it.
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | the last verdict: 200, or 503 with its reasons; 200 if none is younger than [`FRESH`] |
//! | `/readyz` | see [`super::ready`] |
//! | `/healthz` | 200: this process runs |
//!
//! So a supervisor that is dead, crash-looping or being replaced costs neither a database nor its clients.
//! GET and HEAD only.
//!
//! PID 1 has taken the port, so that an agent that is replaced refuses nobody. Where it could not, the
//! agent tries again each `RETRY`: the database runs without.
//!
//! Limits: `MAX_CONNECTIONS`, the bytes and the number of a head's fields, the time for it. A body
//! is never read.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};
use tracing::{error, info, warn};

use super::link::LinkState;
use super::ready::Readiness;
use crate::link::{ProbeVerdict, SILENCE};
use crate::publish::connections::{Connections, Slot};

/// The age up to which the supervisor's last verdicts count.
pub const FRESH: Duration = SILENCE;
/// The pause between two tries to get a port that can't be had.
const RETRY: Duration = Duration::from_secs(5);
/// The number of connections at once; the one that has waited longest makes room. The kubelet has one.
const MAX_CONNECTIONS: usize = 32;
/// The time for a request's head, and between two requests.
const WAITING: Duration = Duration::from_secs(5);
/// The pause between two looks for connections that wait too long.
const TICK: Duration = Duration::from_secs(1);
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head; hyper takes no smaller buffer.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Pause after an accept that failed: without it the loop would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The sources of the answers. A clone has the same ones.
#[derive(Clone, Debug)]
pub struct Answers {
    state: watch::Receiver<LinkState>,
    readiness: Readiness,
}

impl Answers {
    /// Returns answers by the state of the link and the readiness at each moment.
    #[must_use]
    pub fn new(state: watch::Receiver<LinkState>, readiness: Readiness) -> Self {
        Self { state, readiness }
    }
}

/// Serves for ever, on `inherited` or at `address`.
pub async fn serve(
    address: SocketAddr,
    inherited: Option<std::net::TcpListener>,
    answers: Answers,
) {
    let inherited = inherited.and_then(|listener| TcpListener::from_std(listener).ok());
    let listener = match inherited {
        Some(listener) => listener,
        None => bind(address).await,
    };
    // Who asks is kept waiting for a moment rather than sent away.
    answers.readiness.looked().await;
    match listener.local_addr() {
        Ok(address) => info!(%address, "answers the kubelet's probes"),
        Err(error) => warn!(%error, "answers the kubelet's probes at an unknown address"),
    }
    accept(&listener, &answers).await;
}

async fn bind(address: SocketAddr) -> TcpListener {
    let mut logged = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !std::mem::replace(&mut logged, true) => {
                error!(%address, %error, "the kubelet's probes can't be answered, tried again each {RETRY:?}: free the port, or give another one as launch-listen and in the probes");
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

async fn accept(listener: &TcpListener, answers: &Answers) {
    let connections = Connections::default();
    let mut tasks = JoinSet::new();
    let mut ticks = interval(TICK);
    loop {
        tokio::select! {
            _ = ticks.tick() => connections.close_waiting_for(WAITING, std::time::Instant::now()),
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    while tasks.len() >= MAX_CONNECTIONS {
                        connections.close_longest_waiting();
                        tasks.join_next().await;
                    }
                    let slot = connections.open(std::time::Instant::now());
                    tasks.spawn(converse(stream, slot, answers.clone()));
                }
                Err(_) => sleep(ACCEPT_BACKOFF).await,
            },
        }
    }
}

async fn converse(stream: TcpStream, slot: Slot, answers: Answers) {
    let slot = Arc::new(slot);
    let service = service_fn(|request: Request<_>| {
        slot.requested(std::time::Instant::now());
        let response = respond(&request, &answers);
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // It is watched by `Connections`.
        .header_read_timeout(None)
        // A peer that has said all it has to say waits for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // What a peer does wrong is its own affair.
        _ = connection => {}
        () = slot.closed() => {}
    }
}

fn respond<B>(request: &Request<B>, answers: &Answers) -> Response<Full<Bytes>> {
    let asked = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, text) = match request.uri().path() {
        "/livez" if asked => live(&answers.state.borrow()),
        "/readyz" if asked => ready(answers.readiness.verdict()),
        "/healthz" if asked => (StatusCode::OK, "ok\n".to_owned()),
        "/livez" | "/readyz" | "/healthz" => (
            StatusCode::METHOD_NOT_ALLOWED,
            "GET and HEAD only\n".to_owned(),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "these are served: /livez, /readyz, /healthz; the other probes are the supervisor's\n"
                .to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn live(state: &LinkState) -> (StatusCode, String) {
    let Some(received) = &state.received else {
        let text = "ok: no supervisor has sent a verdict yet\n";
        return (StatusCode::OK, text.to_owned());
    };
    let age = Instant::now().duration_since(received.at);
    if age >= FRESH {
        let text = format!(
            "ok: the supervisor's last verdict is {} s old: it does not count any more\n",
            age.as_secs()
        );
        return (StatusCode::OK, text);
    }
    answer(&received.verdicts.live)
}

fn ready(verdict: Option<ProbeVerdict>) -> (StatusCode, String) {
    match verdict {
        Some(verdict) => answer(&verdict),
        None => (
            StatusCode::NOT_FOUND,
            "the supervisor is of an older version, and answers readiness on its own port\n"
                .to_owned(),
        ),
    }
}

fn answer(verdict: &ProbeVerdict) -> (StatusCode, String) {
    let (status, mut text) = match verdict.pass {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    };
    for cause in &verdict.reasons {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}: {}", cause.code, cause.evidence);
    }
    (status, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::link::Received;
    use crate::link::{Cause, Verdicts};

    fn verdict(pass: bool) -> ProbeVerdict {
        ProbeVerdict {
            pass,
            reasons: vec![Cause {
                code: "ProcessZombie".to_owned(),
                evidence: "pid 7".to_owned(),
            }],
        }
    }

    fn state(pass: bool, ago: Duration) -> LinkState {
        let verdicts = Verdicts {
            gate: verdict(true),
            live: verdict(pass),
            ready: None,
            epoch: None,
            command: None,
            termination_message: None,
        };
        LinkState {
            version: Some(2),
            last_version: Some(2),
            received: Some(Received {
                verdicts,
                at: Instant::now().checked_sub(ago).unwrap(),
            }),
        }
    }

    #[test]
    fn the_last_verdict_counts_while_it_is_fresh() {
        assert_eq!(live(&LinkState::default()).0, StatusCode::OK);
        assert_eq!(live(&state(true, Duration::ZERO)).0, StatusCode::OK);
        let (status, text) = live(&state(false, Duration::ZERO));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "ProcessZombie: pid 7\n");
        let (status, text) = live(&state(false, FRESH));
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("does not count"), "{text}");
    }

    #[test]
    fn an_older_supervisors_readiness_is_not_answered_here() {
        assert_eq!(ready(None).0, StatusCode::NOT_FOUND);
        assert_eq!(ready(Some(verdict(true))).0, StatusCode::OK);
        let (status, _) = ready(Some(verdict(false)));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
