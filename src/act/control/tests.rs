use super::*;
use http_body_util::{BodyExt, Empty};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OWN: Caller = Caller {
    uid: Some(10_001),
    pid: Some(7),
    own: 10_001,
};

/// Returns the answer to a request, and the orders that it gave.
async fn ask(method: &str, target: &str, caller: &Caller) -> (Response<()>, Value, Vec<Order>) {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let orders = Mutex::new(Vec::new());
    let obey = |order: Order| {
        orders.lock().unwrap().push(order);
        async move { Some(Ok(order.done())) }
    };
    let (parts, body) = respond(request, caller, &obey).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap();
    let orders = orders.into_inner().unwrap();
    (Response::from_parts(parts, ()), body, orders)
}

#[tokio::test]
async fn each_order_is_handed_on_once_and_confirmed() {
    for order in [
        Order::Pause(Duration::from_secs(1800)),
        Order::Resume,
        Order::Release,
        Order::Stop(None),
        Order::Stop(Some(Duration::from_secs(25))),
    ] {
        let (method, target) = order.to_request();
        let (response, body, orders) = ask(method.as_str(), &target, &OWN).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(body, json!({ "done": order.done() }));
        assert_eq!(orders, [order]);
    }
}

#[tokio::test]
async fn what_is_no_order_changes_nothing_and_is_told_why() {
    for (method, target, status) in [
        ("GET", "/", 404),
        ("GET", "/livez", 404),
        ("POST", "/pause", 404),
        ("GET", "/maintenance", 405),
        ("HEAD", "/release", 405),
        ("POST", "/maintenance", 400),
        ("POST", "/maintenance?for=2d", 400),
        ("POST", "/release?now", 400),
        ("GET", "/stop", 405),
        ("POST", "/stop?grace=0s", 400),
        ("POST", "/stop?grace=2h", 400),
        ("POST", "/stop?grace=5s&grace=6s", 400),
    ] {
        let (response, body, orders) = ask(method, target, &OWN).await;
        assert_eq!(response.status(), status, "{method} {target}");
        assert!(body["error"].is_string(), "{body}");
        assert_eq!(orders, [], "{method} {target}");
        assert_eq!(
            response.headers().contains_key(header::ALLOW),
            status == 405
        );
    }
}

#[tokio::test]
async fn only_root_and_the_own_user_order_anything() {
    for (uid, may) in [
        (Some(10_001), true),
        (Some(ROOT), true),
        (Some(10_002), false),
        (None, false),
    ] {
        let caller = Caller { uid, ..OWN };
        let (response, _, orders) = ask("POST", "/release", &caller).await;
        assert_eq!(response.status() == 200, may, "{uid:?}");
        assert_eq!(response.status() == 403, !may, "{uid:?}");
        assert_eq!(orders.is_empty(), !may, "{uid:?}");
    }
}

#[tokio::test]
async fn an_order_that_nobody_takes_is_not_confirmed() {
    for (path, unchanged) in [("/release", true), ("/stop?grace=1s", false)] {
        let request = Request::post(path).body(()).unwrap();
        let response = respond(request, &OWN, &async |_| None).await;
        assert_eq!(response.status(), 503);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        // A stop that was begun goes on, whoever waits for it.
        assert_eq!(text.contains("nothing was changed"), unchanged, "{text}");
    }
}

#[tokio::test]
async fn an_order_that_is_refused_is_told_why() {
    let request = Request::post("/stop").body(()).unwrap();
    let response = respond(request, &OWN, &async |_| Some(Err("no".to_owned()))).await;
    assert_eq!(response.status(), 409);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "{\"error\":\"no\"}\n");
}

/// Returns a socket that serves, and the number of the orders that it received.
async fn serving(
    name: &str,
    connection: Duration,
) -> (JoinSet<()>, std::path::PathBuf, Arc<AtomicU32>) {
    // A directory of its own: its lock is held while a socket is made there.
    let name = format!("ses-control-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name).join("control.sock");
    let socket = bind(&path).await.unwrap();
    assert_eq!(socket.path(), path);
    let limits = Limits {
        connection,
        ..LIMITS
    };
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_by(limits, socket, move |order: Order| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move { Ok(order.done()) }
    }));
    (tasks, path, count)
}

#[tokio::test]
async fn over_a_socket_one_request_is_served_and_its_body_is_not_read() {
    let (mut tasks, path, count) = serving("body", LIMITS.connection).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let head = "POST /release HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 17];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200 OK\r\n");
    // It ends the connection without waiting for the rest.
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(count.load(Ordering::Relaxed), 1);
    tasks.shutdown().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (_tasks, path, count) = serving("long", LIMITS.connection).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let line = format!(
        "POST /release?{} HTTP/1.1\r\n",
        "x".repeat(MAX_HEAD_BYTES * 2)
    );
    let _ = stream.write_all(line.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_says_nothing_makes_room_for_the_next() {
    let (_tasks, path, count) = serving("silent", Duration::from_millis(50)).await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    let request = b"POST /release HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = Vec::new();
    // Where this test is late by the limit, it has itself said nothing for as long.
    while answer.is_empty() {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        if stream.write_all(request).await.is_ok() {
            let _ = stream.read_to_end(&mut answer).await;
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(count.load(Ordering::Relaxed), 1);
    drop(silent);
}
