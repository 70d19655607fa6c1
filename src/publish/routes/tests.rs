use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::decide::reason::Reason;
use crate::exposition::{CollectorReport, Exposition, Families, FamilyDef, Fragment, Kind};
use crate::publish::fixture;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty, Full};
use serde_json::Value;

fn ask(method: &str, uri: &str, accept: &str, view: &View) -> (Response<()>, String) {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::ACCEPT, accept)
        .body(Empty::<Bytes>::new())
        .unwrap();
    split(respond(&request, view, &Metrics::new()))
}

fn split(response: Response<Pieces>) -> (Response<()>, String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

fn get(uri: &str, view: &View) -> (u16, String) {
    let (response, body) = ask("GET", uri, "*/*", view);
    (response.status().as_u16(), body)
}

/// Status codes of startupz, livez, readyz, gatez, healthz for each state.
const STATUS: &[(&str, [u16; 5])] = &[
    ("undecided", [503, 200, 503, 503, 200]),
    ("ready", [200, 200, 200, 200, 200]),
    ("starting", [503, 200, 503, 200, 503]),
    ("recovering", [503, 200, 503, 200, 200]),
    ("killed", [200, 200, 503, 200, 200]),
    ("hostile", [503, 200, 503, 200, 200]),
    ("stale", [200, 200, 503, 503, 503]),
];

#[test]
fn every_path_method_accept_and_state() {
    let states = fixture::views();
    assert_eq!(STATUS.len(), states.len());
    for ((name, wanted), (_, view)) in STATUS.iter().zip(&states) {
        for (index, (path, route)) in ROUTES.iter().enumerate() {
            let status = wanted.get(index).copied().unwrap_or(200);
            for accept in ["*/*", "text/plain", "application/json", ""] {
                for query in ["", "?verbose", "?verbose=1&x", "?other"] {
                    let uri = format!("{path}{query}");
                    let (got, body) = ask("GET", &uri, accept, view);
                    assert_eq!(got.status(), status, "{name} {uri} {accept}");
                    check_body(*route, accept, &got, &body);
                    let (head, nothing) = ask("HEAD", &uri, accept, view);
                    assert_eq!(head.status(), status, "{name} {uri} {accept}");
                    assert_eq!(nothing, "");
                    assert_eq!(
                        head.headers()[header::CONTENT_TYPE],
                        got.headers()[header::CONTENT_TYPE]
                    );
                }
            }
        }
    }
}

fn check_body(route: Route, accept: &str, response: &Response<()>, body: &str) {
    let headers = response.headers();
    assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(body.ends_with('\n'));
    let media = headers[header::CONTENT_TYPE].to_str().unwrap();
    match route {
        Route::Metrics => assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8"),
        Route::Page => assert_eq!(media, HTML),
        Route::Status => assert_eq!(media, JSON),
        Route::Probe(_) | Route::Health if accept == JSON => assert_eq!(media, JSON),
        Route::Probe(_) | Route::Health => assert_eq!(media, TEXT),
    }
    if media == JSON {
        let json: Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["version"], 1);
        if route != Route::Status {
            assert_eq!(json["verdict"] == "pass", response.status() == 200);
        }
    }
}

#[test]
fn a_pass_is_short() {
    let view = fixture::view("ready");
    for path in ["/startupz", "/livez", "/readyz", "/gatez", "/healthz"] {
        assert_eq!(get(path, &view), (200, "ok\n".to_owned()), "{path}");
    }
}

#[test]
fn a_failure_names_its_reason_and_evidence() {
    let (status, body) = get("/readyz", &fixture::view("killed"));
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "[-] ProcessKilled: engine 13 was ended by signal 9\nreadyz check failed\n"
    );
}

#[test]
fn verbose_lists_every_check_with_its_age() {
    let (_, body) = get("/readyz?verbose", &fixture::view("killed"));
    assert_eq!(
        body,
        "[-]process failed: engine 13 was ended by signal 9 (0.5 s ago)\n\
         [-]ping failed: connection refused (0.5 s ago)\n\
         [-]login failed: error 18456 (login_failed), state 1 (0.5 s ago)\n\
         [ ]diagnostics unknown: not observed yet\n\
         [ ]databases unknown: not observed yet\n\
         [+]volume ok: written in 3.0 ms, 5.6 GiB of 9.3 GiB free (0.5 s ago)\n\
         [+]cgroup ok: memory 858.3 MiB of 2.0 GiB, throttled in 1 % of periods (0.5 s ago)\n\
         [-]ProcessKilled failed: engine 13 was ended by signal 9 (for 10.0 s)\n\
         [ ]DiskLow noted: 8 % of the bytes are free (for 10.0 s)\n\
         readyz check failed\n"
    );
    let (status, body) = get("/livez?verbose", &fixture::view("ready"));
    assert_eq!(status, 200);
    assert!(body.ends_with("livez check passed\n"));
}

#[test]
fn a_stale_decision_is_said_to_be_one() {
    let view = fixture::view("stale");
    assert_eq!(
        get("/livez", &view).1,
        "[ ] SupervisorStalled: the last decision is 31.0 s old, 5.0 s are allowed\nok\n"
    );
    assert_eq!(
        get("/readyz", &view).1,
        "[-] SupervisorStalled: the last decision is 31.0 s old, 5.0 s are allowed\nreadyz check failed\n"
    );
    let (status, body) = get("/healthz", &view);
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "[-]deciding failed: decision 42 (31.0 s ago)\nhealthz check failed\n"
    );
}

#[test]
fn a_silent_observer_fails_healthz_and_nothing_else() {
    let mut view = fixture::view("ready");
    view.limits.observers.ping = Duration::from_millis(499);
    let (status, body) = get("/healthz", &view);
    assert_eq!(status, 503);
    assert!(
        body.starts_with("[-]ping failed: silence allowed: 0.5 s (0.5 s ago)\n"),
        "{body}"
    );
    assert_eq!(get("/readyz", &view).0, 200);
}

#[test]
fn a_stalled_volume_is_no_failure_of_the_supervisor() {
    let mut view = fixture::view("ready");
    let mut published = (*view.published).clone();
    published.snapshot.volumes[0].pending = Some(crate::decide::time::Time::ZERO);
    view.published = published.into();
    assert_eq!(get("/healthz", &view).0, 200);
    let (_, body) = get("/readyz?verbose", &view);
    assert!(body.contains("a check is in flight for 1m40s"), "{body}");
}

#[test]
fn a_hostile_name_forges_no_line_and_no_json() {
    let view = fixture::view("hostile");
    for path in ["/readyz", "/readyz?verbose"] {
        let (_, body) = get(path, &view);
        let forged = body
            .lines()
            .find(|line| line.starts_with('[') && line.contains("{\"a\":1}"));
        assert!(
            forged.is_none_or(|line| line.contains(">alert(1)<")),
            "{body}"
        );
    }
    let (_, body) = ask("GET", "/readyz", JSON, &view);
    let json: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["findings"][0]["evidence"], fixture::HOSTILE);
    assert_eq!(json["reasons"][0], Reason::Recovering.code());
}

#[test]
fn unknown_paths_are_told_the_known_ones() {
    let view = fixture::view("ready");
    for uri in ["/nothing", "/livez/", "//livez", "/LIVEZ", "/livez%00", "*"] {
        let (status, body) = get(uri, &view);
        assert_eq!(status, 404, "{uri}");
        for (path, _) in ROUTES {
            assert!(body.lines().any(|line| line == *path), "{uri} {path}");
        }
    }
}

#[test]
fn what_would_change_something_is_not_allowed() {
    let view = fixture::view("ready");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for (path, _) in ROUTES {
            let (response, _) = ask(method, path, "*/*", &view);
            assert_eq!(response.status(), 405, "{method} {path}");
            assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
        }
        assert_eq!(ask(method, "/nothing", "*/*", &view).0.status(), 404);
    }
}

#[test]
fn a_body_ends_the_connection() {
    let request = Request::builder()
        .uri("/livez")
        .body(Full::new(Bytes::from_static(b"unread")))
        .unwrap();
    let view = fixture::view("ready");
    let (response, body) = split(respond(&request, &view, &Metrics::new()));
    assert_eq!((response.status().as_u16(), body.as_str()), (200, "ok\n"));
    assert_eq!(response.headers()[header::CONNECTION], "close");
    let (response, _) = ask("GET", "/livez", "*/*", &view);
    assert!(!response.headers().contains_key(header::CONNECTION));
}

/// Returns what a scrape with this Accept-Encoding gets: its head, and its bytes.
fn scrape(method: &str, view: &View, codings: &str) -> (Response<()>, Bytes) {
    let request = Request::builder()
        .method(method)
        .uri("/metrics")
        .header(header::ACCEPT_ENCODING, codings)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let (parts, body) = respond(&request, view, &Metrics::new()).into_parts();
    let body = body.collect().now_or_never().unwrap().unwrap();
    (Response::from_parts(parts, ()), body.to_bytes())
}

#[test]
fn a_scrape_has_the_supervisors_families_and_the_collectors_compressed_or_not() {
    let mut view = fixture::view("ready");
    let family = FamilyDef::fixed("mssql_x", Kind::Gauge, &["db"], "X.");
    let report = |name: &str| {
        let mut families = Families::new();
        families.sample(&family, &[name], 1.0);
        CollectorReport {
            fragment: Some((
                Fragment::new(families).into(),
                view.moment + Duration::from_secs(1),
            )),
            ..CollectorReport::pending(name)
        }
    };
    let collectors = vec![report("one")];
    view.collected = Arc::new(Exposition { collectors });
    let (head, plain) = scrape("GET", &view, "identity");
    assert!(!head.headers().contains_key(header::CONTENT_ENCODING));
    let text = String::from_utf8(plain.to_vec()).unwrap();
    assert!(text.starts_with("# HELP "), "{text}");
    assert!(text.ends_with("mssql_x{db=\"one\"} 1\n"), "{text}");
    let (packed, bytes) = scrape("GET", &view, "gzip;q=1.0, identity;q=0.5");
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    let mut inflated = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
    decoder.read_to_string(&mut inflated).unwrap();
    assert_eq!(inflated, text);
    for (codings, sent) in [("identity", &plain), ("gzip", &bytes)] {
        let (head, nothing) = scrape("HEAD", &view, codings);
        let length = sent.len().to_string();
        assert_eq!(head.headers()[header::CONTENT_LENGTH], length[..]);
        assert_eq!(head.headers()[header::VARY], "accept-encoding");
        assert!(nothing.is_empty());
    }
}
