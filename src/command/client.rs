//! A client for one request to a supervisor, under one deadline.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::act::order::Order;

/// The limit of an answer, in bytes: `/status` with a thousand databases stays below 1 MiB.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The URL of a supervisor: the host and the port at which it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    host: String,
    port: u16,
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

impl ServerUrl {
    /// Parses a URL without a path.
    ///
    /// # Errors
    /// When the text is not such a URL.
    pub fn from_url(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL".to_owned())?;
        let plain = matches!(uri.scheme_str(), Some("http"));
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        match uri.host() {
            Some(host) if plain && bare => Ok(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: uri.port_u16().unwrap_or(80),
            }),
            _ => Err("give it as http://host:port, without a path".to_owned()),
        }
    }

    /// Returns the host and the port as they stand in a URL and in a Host header.
    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns the endpoint on this host of a supervisor that listens on this address; one that listens
    /// everywhere listens on loopback.
    #[must_use]
    pub fn from_listen(listen: SocketAddr) -> Self {
        let host = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            host: host.to_string(),
            port: listen.port(),
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub body: String,
}

/// The reason for which there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed: nobody listens there, or the answer broke off.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The answer is not HTTP.
    #[error("no answer in HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be made.
    #[error("no request can be made: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer is longer than the limit.
    #[error("the answer is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    /// The deadline passed without an answer.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer's body broke off.
    #[error("the answer broke off")]
    Broken,
}

/// Sends one GET and waits for its answer, at most `timeout` in all.
///
/// # Errors
/// When there is no answer.
pub fn get(
    endpoint: &ServerUrl,
    path: &str,
    accept: &'static str,
    timeout: Duration,
) -> Result<Answer, ClientError> {
    within(timeout, async {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        let request = Request::get(path)
            .header(HOST, endpoint.authority())
            .header(ACCEPT, accept)
            .body(Empty::new())?;
        exchange(stream, request).await
    })
}

/// Gives a command over a control socket and waits for its answer, at most `timeout` in all.
///
/// # Errors
/// When there is no answer.
pub fn order(socket: &Path, order: Order, timeout: Duration) -> Result<Answer, ClientError> {
    within(timeout, async {
        let stream = UnixStream::connect(socket).await?;
        let (method, target) = order.to_request();
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, "localhost")
            .body(Empty::new())?;
        exchange(stream, request).await
    })
}

fn within(
    timeout: Duration,
    exchange: impl Future<Output = Result<Answer, ClientError>>,
) -> Result<Answer, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or(Err(ClientError::TimedOut(timeout)))
    });
    // A name that is being resolved holds a thread which nobody needs to wait for.
    runtime.shutdown_background();
    answer
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Answer, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES);
        let body = body.collect().await.map_err(|error| {
            match error.downcast_ref::<LengthLimitError>() {
                Some(_) => ClientError::TooLong,
                None => ClientError::Broken,
            }
        })?;
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end right behind the answer: what it brought is still taken.
        ended = &mut connection => {
            let answer = answer.await;
            ended?;
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets_in_the_head_as_well() {
        let listener = TcpListener::bind("[::1]:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut head = [0; 4096];
            let count = stream.read(&mut head).expect("a request");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            String::from_utf8_lossy(&head[..count]).into_owned()
        });
        let url = format!("http://[::1]:{port}");
        let endpoint = ServerUrl::from_url(&url).expect("a URL");
        let answer = get(&endpoint, "/livez", "*/*", Duration::from_secs(60));
        assert_eq!(answer.expect("an answer").status, 200);
        let head = server.join().expect("the server ends");
        let expected = format!("host: [::1]:{port}\r\n");
        assert!(head.contains(&expected), "{head}");
    }

    #[test]
    fn endpoints() {
        let url = |text| ServerUrl::from_url(text).map(|endpoint| endpoint.to_string());
        assert_eq!(
            url("http://10.0.0.1:9433/"),
            Ok("http://10.0.0.1:9433".to_owned())
        );
        assert_eq!(url("http://[::1]:1"), Ok("http://[::1]:1".to_owned()));
        assert_eq!(url("http://sql"), Ok("http://sql:80".to_owned()));
        for text in ["", "9433", "https://a", "http://a/livez", "http://", "a:1"] {
            assert!(url(text).is_err(), "{text:?}");
        }
        for (listen, endpoint) in [
            ("0.0.0.0:9433", "http://127.0.0.1:9433"),
            ("[::]:9433", "http://[::1]:9433"),
            ("10.0.0.5:1", "http://10.0.0.5:1"),
        ] {
            let listen = listen.parse().expect("a literal");
            assert_eq!(ServerUrl::from_listen(listen).to_string(), endpoint);
        }
    }
}
