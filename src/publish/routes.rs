//! The way from a request to its response, without a socket: the same for TCP and for any other
//! transport.
//!
//! **Architecture invariant:** a handler gets all it may know in its arguments, never waits and does
//! no I/O. It can't be slowed by the engine, the disk or the deciding loop.

mod accept;
mod body;
mod probe;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::metrics::Metrics;
use super::view::View;
use super::{page, status};
use crate::decide::decision::Probe;
pub use body::Pieces;

/// The media type of text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The media type of JSON.
pub const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// The media type of Prometheus' text exposition format,
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The resource that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Probe(Probe),
    Health,
    Metrics,
    Status,
    Page,
}

/// Every path that is served, in the order in which a 404 lists them.
const ROUTES: &[(&str, Route)] = &[
    ("/startupz", Route::Probe(Probe::Startup)),
    ("/livez", Route::Probe(Probe::Live)),
    ("/readyz", Route::Probe(Probe::Ready)),
    ("/gatez", Route::Probe(Probe::Gate)),
    ("/healthz", Route::Health),
    ("/metrics", Route::Metrics),
    ("/status", Route::Status),
    ("/", Route::Page),
];

/// The headers of every response: answers age within a second, and the page runs nothing and loads
/// nothing.
const FIXED_HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// The answer of a handler.
struct Reply {
    status: StatusCode,
    content_type: &'static str,
    /// Whether the body is compressed.
    gzip: bool,
    body: Pieces,
}

impl Reply {
    fn new(passes: bool, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status: if passes {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            },
            content_type,
            gzip: false,
            body: body.into().into(),
        }
    }
}

/// Answers `request`. A body it may have is not read: the connection ends after the answer instead.
pub fn respond<B: Body>(request: &Request<B>, view: &View, metrics: &Metrics) -> Response<Pieces> {
    let path = request.uri().path();
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let route = ROUTES.iter().find(|(known, _)| *known == path);
    let reply = match route {
        None => not_found(),
        Some(_) if !readable => Reply {
            status: StatusCode::METHOD_NOT_ALLOWED,
            content_type: TEXT,
            gzip: false,
            body: Bytes::from_static(
                b"only GET and HEAD; what changes something is not on this port\n",
            )
            .into(),
        },
        Some((_, route)) => answer(*route, request, view, metrics),
    };
    let close = !request.body().is_end_stream();
    finish(reply, request.method(), close)
}

fn answer<B>(route: Route, request: &Request<B>, view: &View, metrics: &Metrics) -> Reply {
    let verbose = request.uri().query().is_some_and(asks_for_verbose);
    let json = || accept::prefers_json(request.headers());
    match route {
        Route::Probe(probe) if json() => probe::json(view, probe, verbose),
        Route::Probe(probe) => probe::text(view, probe, verbose),
        Route::Health if json() => probe::health_json(view),
        Route::Health => probe::health_text(view, verbose),
        Route::Metrics => exposition(view, metrics, accept::takes_gzip(request.headers())),
        Route::Status => Reply::new(true, JSON, status::json(view)),
        Route::Page => Reply::new(true, HTML, page::render(&status::value(view))),
    }
}

/// Returns the supervisor's own families, made now, and what the collectors have rendered before.
fn exposition(view: &View, metrics: &Metrics, may_be_gzip: bool) -> Reply {
    let own = metrics.expose(view);
    let collected = &view.collected;
    let compressed = may_be_gzip.then(|| collected.gzip(&own, view.moment));
    let (gzip, pieces) = match compressed.flatten() {
        Some(pieces) => (true, pieces),
        None => (false, collected.plain(own, view.moment)),
    };
    Reply {
        status: StatusCode::OK,
        content_type: EXPOSITION,
        gzip,
        body: pieces.into(),
    }
}

/// Whether `query` has `verbose`, as kube-apiserver takes it: its presence counts, not its value.
fn asks_for_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("verbose"))
}

fn not_found() -> Reply {
    let mut body = String::from("no such path; these are served:\n");
    for (path, _) in ROUTES {
        body += path;
        body.push('\n');
    }
    Reply {
        status: StatusCode::NOT_FOUND,
        content_type: TEXT,
        gzip: false,
        body: Bytes::from(body).into(),
    }
}

fn finish(reply: Reply, method: &Method, close: bool) -> Response<Pieces> {
    let length = reply.body.left();
    let body = if *method == Method::HEAD {
        Pieces::default()
    } else {
        reply.body
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(reply.content_type),
    );
    if reply.content_type == EXPOSITION {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if reply.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
