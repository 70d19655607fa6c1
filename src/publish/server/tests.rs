//! Tests over real sockets. Nothing here sleeps: each step waits for bytes or for the end of a
//! stream.

use super::*;
use crate::publish::{Published, fixture};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// The longest wait on a socket. No test comes near it; a hang becomes a failure.
const GUARD: Duration = Duration::from_secs(30);

fn config() -> HttpConfig {
    HttpConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        max_connections: 16,
        header_timeout: Duration::from_secs(60),
        max_header_bytes: 8 * 1024,
        decision_stale_after: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(10),
    }
}

struct Fixture {
    address: SocketAddr,
    handle: ServerHandle,
    publish: watch::Sender<Arc<Published>>,
}

fn start(config: &HttpConfig) -> Fixture {
    let bound = Server::bind(config).unwrap();
    let address = bound.address();
    let (publish, reader) = watch::channel(fixture::view("ready").published);
    let observers = fixture::LIMITS.observers;
    let handle = bound
        .serve(
            reader,
            Arc::new(Metrics::new()),
            collected(),
            observers,
            || {},
        )
        .unwrap();
    Fixture {
        address,
        handle,
        publish,
    }
}

/// Returns what is published where nothing is collected.
fn collected() -> watch::Receiver<Arc<Exposition>> {
    watch::channel(Arc::default()).1
}

impl Fixture {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        stream
    }

    /// Returns all that comes back for `bytes` until the server closes.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        rest(&mut stream)
    }
}

/// Reads until the end; a reset is an end too.
fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(all).unwrap()
}

/// Waits until the server has taken in what was written: its end of the connection has nothing left to
/// be read, proc_net_tcp(5). A connection on which nothing was read yet is no request under way.
fn until_read(stream: &TcpStream) {
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let (server, client) = (
        port(stream.peer_addr().unwrap()),
        port(stream.local_addr().unwrap()),
    );
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        // Bytes that were sent and not acknowledged, and bytes that wait to be read.
        let queues = |local: &str, remote: &str| {
            table.lines().find_map(|line| {
                let fields: Vec<_> = line.split_whitespace().collect();
                let ours = fields.get(1)?.ends_with(local) && fields.get(2)?.ends_with(remote);
                let (sent, unread) = fields.get(4)?.split_once(':').filter(|_| ours)?;
                let number = |text| u32::from_str_radix(text, 16).unwrap();
                Some((number(sent), number(unread)))
            })
        };
        let arrived = queues(&client, &server).is_some_and(|(sent, _)| sent == 0);
        let read = queues(&server, &client).is_some_and(|(_, unread)| unread == 0);
        if arrived && read {
            return;
        }
        thread::yield_now();
    }
}

/// Reads one response on a connection that stays open.
fn response(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed early");
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_busy_port_is_one_clear_error() {
    let taken = Server::bind(&config()).unwrap();
    let again = HttpConfig {
        listen: taken.address(),
        ..config()
    };
    let error = Server::bind(&again).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let wanted = format!("cannot listen on {}: ", taken.address());
    assert!(error.to_string().starts_with(&wanted), "{error}");
}

#[test]
fn keep_alive_sees_each_new_publication() {
    let server = start(&config());
    let mut stream = server.connect();
    stream.write_all(b"GET /readyz HTTP/1.1\r\n\r\n").unwrap();
    assert!(response(&mut stream).starts_with("HTTP/1.1 200 OK\r\n"));
    server
        .publish
        .send_replace(fixture::view("killed").published);
    stream.write_all(b"GET /readyz HTTP/1.1\r\n\r\n").unwrap();
    let text = response(&mut stream);
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(text.contains("[-] ProcessKilled: "), "{text}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start(&config());
    let text = server.exchange(
        b"GET /livez HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nPOST /livez HTTP/1.1\r\n\r\n\
          GET /status HTTP/1.1\r\nConnection: close\r\n\r\n",
    );
    let codes: Vec<_> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|response| &response[..3])
        .collect();
    assert_eq!(codes, ["200", "404", "405", "200"]);
}

#[test]
fn head_has_no_body() {
    let server = start(&config());
    let text = server.exchange(b"HEAD /status HTTP/1.1\r\nConnection: close\r\n\r\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "");
    assert!(!head.contains("content-length: 0"), "{head}");
}

#[test]
fn a_client_that_closes_its_side_still_gets_its_answer() {
    let server = start(&config());
    let mut stream = server.connect();
    stream.write_all(LIVEZ).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&mut stream).ends_with("ok\n"));
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = start(&config());
    let text = server.exchange(b"GET /livez HTTP/1.0\r\n\r\n");
    assert!(text.starts_with("HTTP/1.0 200 OK"), "{text}");
}

#[test]
fn a_body_is_not_waited_for() {
    let server = start(&config());
    for head in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let text = server.exchange(format!("GET /livez HTTP/1.1\r\n{head}\r\n\r\n").as_bytes());
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        assert!(text.contains("connection: close"), "{text}");
    }
}

#[test]
fn garbage_is_refused_and_closed() {
    let server = start(&config());
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let text = server.exchange(garbage);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4"),
            "{garbage:?}: {text}"
        );
    }
    assert!(
        server
            .exchange(b"GET /livez HTTP/1.0\r\n\r\n")
            .ends_with("ok\n")
    );
}

#[test]
fn an_oversize_head_is_refused() {
    let server = start(&config());
    let long = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let text = server.exchange(long.as_bytes());
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 431"),
        "{text}"
    );
    let many = format!(
        "GET /livez HTTP/1.1\r\n{}\r\n",
        "a: b\r\n".repeat(MAX_HEADERS + 1)
    );
    let text = server.exchange(many.as_bytes());
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

#[test]
fn a_head_that_does_not_end_is_closed() {
    let server = start(&HttpConfig {
        header_timeout: Duration::from_millis(1),
        ..config()
    });
    for begun in [&b""[..], b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\n"] {
        assert_eq!(server.exchange(begun), "");
    }
}

#[test]
fn at_the_limit_the_longest_waiting_makes_room() {
    let limit = 4;
    let server = start(&HttpConfig {
        max_connections: limit,
        ..config()
    });
    let mut used = server.connect();
    used.write_all(LIVEZ).unwrap();
    response(&mut used);
    let mut slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            // The server may have closed an earlier one already, never this one.
            stream.write_all(b"G").unwrap();
            stream
        })
        .collect();
    let mut new = server.connect();
    new.write_all(LIVEZ).unwrap();
    assert!(response(&mut new).ends_with("ok\n"));
    assert_eq!(rest(&mut used), "");
    for stream in slow.drain(..200 - (limit - 1)) {
        let mut stream = stream;
        assert_eq!(rest(&mut stream), "");
    }
    // Those within the limit are still served when they complete their request.
    for mut stream in slow {
        stream.write_all(&LIVEZ[1..]).unwrap();
        assert!(response(&mut stream).ends_with("ok\n"));
    }
}

#[test]
fn draining_closes_idle_connections_and_the_port() {
    let server = start(&config());
    let mut idle = server.connect();
    idle.write_all(LIVEZ).unwrap();
    response(&mut idle);
    let Fixture {
        address, handle, ..
    } = server;
    assert!(handle.drain());
    assert_eq!(rest(&mut idle), "");
    // The child of another test may have the socket for the moment between its fork and its exec.
    let refused = loop {
        if let Err(error) = TcpStream::connect(address) {
            break error;
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn draining_does_not_wait_longer_than_allowed() {
    let server = start(&HttpConfig {
        drain_timeout: Duration::from_millis(20),
        ..config()
    });
    let mut begun = server.connect();
    begun.write_all(b"GET /livez HT").unwrap();
    // Another exchange afterwards: the first connection has been accepted by then.
    assert!(
        server
            .exchange(b"GET /livez HTTP/1.0\r\n\r\n")
            .ends_with("ok\n")
    );
    assert!(server.handle.drain());
    assert_eq!(rest(&mut begun), "");
}

#[test]
fn a_request_under_way_is_answered_while_draining() {
    let server = start(&config());
    let mut idle = server.connect();
    idle.write_all(LIVEZ).unwrap();
    response(&mut idle);
    let mut begun = server.connect();
    begun.write_all(&LIVEZ[..10]).unwrap();
    until_read(&begun);
    let drained = thread::spawn(move || server.handle.drain());
    // Idle connections are closed when draining begins. New ones, made to find that out, would push out
    // the one whose request is under way.
    assert_eq!(rest(&mut idle), "");
    begun.write_all(&LIVEZ[10..]).unwrap();
    let text = rest(&mut begun);
    assert!(
        text.contains("connection: close") && text.ends_with("ok\n"),
        "{text}"
    );
    assert!(drained.join().unwrap());
}

#[test]
fn a_dropped_handle_ends_the_server() {
    let server = start(&config());
    let mut idle = server.connect();
    idle.write_all(LIVEZ).unwrap();
    response(&mut idle);
    drop(server.handle);
    assert_eq!(rest(&mut idle), "");
}

#[test]
fn only_a_shortage_pauses_accepting() {
    for (errno, shortage) in [
        (nix::libc::EMFILE, true),
        (nix::libc::ENFILE, true),
        (nix::libc::ENOBUFS, true),
        (nix::libc::ENOMEM, true),
        (nix::libc::ECONNABORTED, false),
        (nix::libc::EINTR, false),
    ] {
        assert_eq!(is_shortage(&io::Error::from_raw_os_error(errno)), shortage);
    }
}
