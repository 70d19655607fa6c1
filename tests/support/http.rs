//! A client that makes one request over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest wait: no answer takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests `path` by GET; returns status and body.
pub async fn get(address: &str, path: &str) -> (u16, String) {
    let answered = tokio::time::timeout(PATIENCE, try_get(address, path));
    let answered = answered.await.expect("it answers in time");
    answered.expect("it listens and answers")
}

/// The same from a server that may end at any moment.
pub async fn try_get(address: &str, path: &str) -> anyhow::Result<(u16, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", address)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?;
    Ok((status, String::from_utf8(body.to_bytes().to_vec())?))
}

/// A response with its bytes as they came.
pub struct Response {
    pub status: u16,
    /// The header fields by their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

/// Requests `path` by any method, with an Accept-Encoding.
pub async fn get_with(address: &str, method: &str, path: &str, coding: &str) -> Response {
    let answered = tokio::time::timeout(PATIENCE, async {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("it speaks HTTP");
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address)
            .header("accept-encoding", coding)
            .body(Empty::<Bytes>::new())
            .expect("a valid request");
        let (parts, body) = sender
            .send_request(request)
            .await
            .expect("it answers")
            .into_parts();
        let text = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = parts.headers.iter();
        Response {
            status: parts.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body: body.collect().await.expect("a body").to_bytes(),
        }
    });
    answered.await.expect("it answers in time")
}
