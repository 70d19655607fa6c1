//! The kubelet's liveness probe of the SQL container, answered in it.
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | the supervisor's last word: 200, or 503 with the reasons; 200 where there is none that is younger than [`FRESH`] |
//! | `/healthz` | 200: this process runs |
//!
//! So a supervisor that is dead, crash-looping or being replaced costs no database. GET and HEAD only.
//!
//! Where the port can't be had that is said, and tried again each `RETRY`: the database runs without.
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

use super::partner::{Heard, State};
use crate::link::SILENCE;
use crate::publish::connections::{Connections, Slot};

/// Up to this age the supervisor's last word is its verdict.
pub const FRESH: Duration = SILENCE;
/// From a port that can't be had to the next try.
const RETRY: Duration = Duration::from_secs(5);
/// Connections at once; the one that has waited longest makes room. The kubelet has one.
const MAX_CONNECTIONS: usize = 32;
/// For a request's head, and between two requests.
const WAITING: Duration = Duration::from_secs(5);
/// How often is looked for those that wait too long.
const TICK: Duration = Duration::from_secs(1);
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// hyper takes no smaller buffer for a request's head.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Pause after an accept that failed: without it the loop would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves for ever.
pub async fn serve(address: SocketAddr, state: watch::Receiver<State>) {
    let mut said = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if !std::mem::replace(&mut said, true) => {
                error!(%address, %error, "the liveness probe can't be answered, tried again each {RETRY:?}: free the port, or give another one as launch-listen and in the probe");
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    };
    match listener.local_addr() {
        Ok(address) => info!(%address, "answers the liveness probe"),
        Err(error) => warn!(%error, "answers the liveness probe"),
    }
    accept(&listener, &state).await;
}

async fn accept(listener: &TcpListener, state: &watch::Receiver<State>) {
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
                    tasks.spawn(converse(stream, slot, state.clone()));
                }
                Err(_) => sleep(ACCEPT_BACKOFF).await,
            },
        }
    }
}

async fn converse(stream: TcpStream, slot: Slot, state: watch::Receiver<State>) {
    let slot = Arc::new(slot);
    let service = service_fn(|request: Request<_>| {
        slot.requested(std::time::Instant::now());
        let response = respond(&request, &state.borrow());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // It is watched by `Connections`.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // What a peer does wrong is its own affair.
        _ = connection => {}
        () = slot.closed() => {}
    }
}

fn respond<B>(request: &Request<B>, state: &State) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/livez") => live(state),
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, "ok\n".to_owned()),
        (_, "/livez" | "/healthz") => (
            StatusCode::METHOD_NOT_ALLOWED,
            "GET and HEAD only\n".to_owned(),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "these are served: /livez, /healthz; the other probes are the supervisor's\n"
                .to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn live(state: &State) -> (StatusCode, String) {
    let Some(Heard { word, at }) = &state.heard else {
        let text = "ok: the supervisor has not been heard yet\n";
        return (StatusCode::OK, text.to_owned());
    };
    let age = Instant::now().duration_since(*at);
    if age >= FRESH {
        let text = format!(
            "ok: the supervisor was last heard {} s ago: its word does not count any more\n",
            age.as_secs()
        );
        return (StatusCode::OK, text);
    }
    if word.live.pass {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let mut text = String::new();
    for why in &word.live.reasons {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{}: {}", why.code, why.evidence);
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Answer, Why, Word};

    fn heard(pass: bool, ago: Duration) -> State {
        let answer = |pass| Answer {
            pass,
            reasons: vec![Why {
                code: "ProcessZombie".to_owned(),
                evidence: "pid 7".to_owned(),
            }],
        };
        let word = Word {
            gate: answer(true),
            live: answer(pass),
            epoch: None,
            order: None,
            left_word: None,
        };
        let at = Instant::now().checked_sub(ago).unwrap();
        State {
            linked: true,
            heard: Some(Heard { word, at }),
        }
    }

    #[test]
    fn the_last_word_counts_while_it_is_fresh() {
        assert_eq!(live(&State::default()).0, StatusCode::OK);
        assert_eq!(live(&heard(true, Duration::ZERO)).0, StatusCode::OK);
        let (status, text) = live(&heard(false, Duration::ZERO));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "ProcessZombie: pid 7\n");
        let (status, text) = live(&heard(false, FRESH));
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("does not count"), "{text}");
    }

    #[test]
    fn what_is_served() {
        let ask = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(());
            respond(&request.unwrap(), &heard(false, Duration::ZERO)).status()
        };
        assert_eq!(
            ask(Method::GET, "/livez?verbose"),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(ask(Method::HEAD, "/healthz"), StatusCode::OK);
        assert_eq!(ask(Method::POST, "/livez"), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(ask(Method::GET, "/readyz"), StatusCode::NOT_FOUND);
    }
}
