//! A blocking HTTP client on one thread: between the socket and the clock there is no runtime whose
//! wake-ups would be measured along.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// No answer is longer, bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// An answer with the moment at which its last byte had arrived.
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// Of the body, as it came.
    pub bytes: usize,
    pub at: Instant,
}

/// A connection that is kept.
pub struct Client {
    stream: TcpStream,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(path, "keep-alive")
    }

    /// The same, compressed; its body is not to be read.
    pub fn get_compressed(&mut self, path: &str) -> io::Result<Answer> {
        self.send(path, "keep-alive\r\nAccept-Encoding: gzip")
    }

    fn send(&mut self, path: &str, connection: &str) -> io::Result<Answer> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: supervisor\r\nConnection: {connection}\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::with_capacity(4096);
        let mut chunk = [0; 64 * 1024];
        loop {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 || bytes.len() > MAX_ANSWER_BYTES {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&chunk[..count]);
            let at = Instant::now();
            if let Some((status, body)) = complete(&bytes) {
                return Ok(Answer {
                    status,
                    bytes: body.len(),
                    body: String::from_utf8_lossy(body).into_owned(),
                    at,
                });
            }
        }
    }
}

/// One GET on a connection of its own, as the kubelet does it.
pub fn get_once(address: SocketAddr, path: &str) -> io::Result<Answer> {
    Client::connect(address)?.send(path, "close")
}

/// Status and body, once all of it is there.
fn complete(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    let body = &bytes[end + 4..];
    (body.len() >= length).then_some((status, body))
}

/// Sleeps until `moment`; not at all where it has passed.
pub fn sleep_until(moment: Instant) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client with a pace of its own, on a thread of its own, has no event to await"
    )]
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}
