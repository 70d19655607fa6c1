//! The posting of one event to the API server: a TLS connection, one request, its status.
//!
//! The token, the CA, and the namespace are the ServiceAccount's files, read anew for each request:
//! the kubelet rotates the token within the hour. An event is rare enough for a connection of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::journal::Note;

/// The deadline of a request: files, connection, TLS, and answer together.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// The greatest size in bytes of a file of the ServiceAccount; a bundle of many CAs has some tens
/// of KiB.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The greatest size in bytes of a note (events.k8s.io/v1: less than 1 kB).
const MAX_NOTE_BYTES: usize = 1000;
/// The greatest size in bytes of `reportingInstance` (events.k8s.io/v1).
const MAX_INSTANCE_BYTES: usize = 128;
/// The greatest length of a pod's name that leaves room for the suffix of an event's name (253 in
/// all).
const MAX_NAME_BYTES: usize = 230;
/// The greatest size in bytes of an answer that is read: a `Status`, which repeats the event at most.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// The greatest size in bytes of the part of the API server's message that is logged.
const MAX_MESSAGE_BYTES: usize = 512;
/// The field `reportingController`, by which `kubectl get events` can be filtered.
pub const CONTROLLER: &str = "sql-edge-supervisor";

/// The reason why an event did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// A file of the ServiceAccount can't be used.
    #[error("{path}: {why}")]
    File {
        /// The path of the file.
        path: String,
        /// The reason why it can't be used.
        why: String,
    },
    /// The API server could not be asked.
    #[error("the API server at {address} can't be asked: {why}")]
    Unreachable {
        /// The address of the API server.
        address: String,
        /// The error.
        why: String,
    },
    /// The API server was slow, or answered that it has too much to do.
    #[error("the API server answered {status}")]
    Busy {
        /// The HTTP status.
        status: u16,
    },
    /// The API server refused this event.
    #[error("the API server refuses the event: {status}{}{message}", if message.is_empty() { "" } else { ": " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The reason that the API server gives; empty where it gives none.
        message: String,
    },
}

impl PostError {
    /// Returns what to do about the error.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "mount the ServiceAccount's token, ca.crt and namespace at kubernetes-service-account, or turn kubernetes-events off"
            }
            Self::Unreachable { .. } => {
                "see that the pod may reach the API server (NetworkPolicy, egress), or turn kubernetes-events off"
            }
            Self::Busy { .. } => "nothing: it is tried again",
            Self::Refused { status: 403, .. } => {
                "give the pod's ServiceAccount `create` on `events` in the group `events.k8s.io`; the chart does so where kubernetesEvents.enabled is set"
            }
            Self::Refused { status: 401, .. } => {
                "mount a token of this cluster at kubernetes-service-account, or turn kubernetes-events off"
            }
            Self::Refused { .. } => "see the API server's message, or turn kubernetes-events off",
        }
    }
}

/// The API server, as this pod reaches it, and the pod that the events are about.
#[derive(Clone, Debug)]
pub struct ApiServer {
    /// The host name or address of the API server.
    pub host: String,
    /// The TCP port of the API server.
    pub port: u16,
    /// The directory of the ServiceAccount's files.
    pub account: PathBuf,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's uid.
    pub pod_uid: String,
}

/// The content of the ServiceAccount's files.
struct Account {
    token: String,
    namespace: String,
    tls: ClientConfig,
}

impl ApiServer {
    /// Creates the event `note` of something that happened at `at`.
    ///
    /// # Errors
    ///
    /// See [`PostError`]. The deadline is `REQUEST_WITHIN`.
    ///
    /// # Cancel safety
    ///
    /// A dropped request may have created its event; the next one has another name.
    pub async fn post(&self, at: SystemTime, note: &Note) -> Result<(), PostError> {
        let asked = timeout(REQUEST_WITHIN, self.ask(at, note)).await;
        let late = |_| self.unreachable(&"no answer within the deadline");
        let (status, body) = asked.map_err(late)??;
        outcome(status, &body)
    }

    /// Sends the event, and returns the status of the answer and its body, which is empty where it is of no
    /// use: where the event was taken, and where the body is long or broken off.
    async fn ask(&self, at: SystemTime, note: &Note) -> Result<(StatusCode, Bytes), PostError> {
        let account = self.account().await?;
        let (host, port) = (self.host.as_str(), self.port);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| self.unreachable(&error))?;
        let stream = TlsConnector::from(Arc::new(account.tls))
            .connect(name, stream)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let body = body(self, &account.namespace, at, note);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "/apis/events.k8s.io/v1/namespaces/{}/events",
                account.namespace
            ))
            .header(HOST, format!("{}:{port}", bracketed(host)))
            .header(
                USER_AGENT,
                concat!("sql-edge-supervisor/", env!("CARGO_PKG_VERSION")),
            )
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.bearer(&account.token)?)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.unreachable(&error))?;
        // The task ends with the sender: its connection is closed then.
        let driver = tokio::spawn(connection);
        let answer = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok((status, Bytes::new()));
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
            let body = body.collect().await.map(Collected::to_bytes);
            Ok((status, body.unwrap_or_default()))
        };
        let answer = answer.await;
        driver.abort();
        answer.map_err(|error: hyper::Error| self.unreachable(&error))
    }

    fn bearer(&self, token: &str) -> Result<HeaderValue, PostError> {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| PostError::File {
            path: self.account.join("token").display().to_string(),
            why: "holds what no HTTP header may hold".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> PostError {
        PostError::Unreachable {
            address: format!("{}:{}", bracketed(&self.host), self.port),
            why: error.to_string(),
        }
    }

    /// Reads the ServiceAccount's files, on a thread that may block: a slow volume must not hold
    /// the runtime.
    async fn account(&self) -> Result<Account, PostError> {
        let directory = self.account.clone();
        let read = tokio::task::spawn_blocking(move || account(&directory));
        read.await.unwrap_or_else(|_| {
            Err(PostError::File {
                path: self.account.display().to_string(),
                why: "reading it was broken off".to_owned(),
            })
        })
    }
}

fn account(directory: &Path) -> Result<Account, PostError> {
    let token = text(&directory.join("token"))?;
    let namespace = text(&directory.join("namespace"))?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if namespace.is_empty() || namespace.len() > 63 || !namespace.chars().all(allowed) {
        return Err(PostError::File {
            path: directory.join("namespace").display().to_string(),
            why: "is no name of a namespace".to_owned(),
        });
    }
    let path = directory.join("ca.crt");
    let pem = read(&path)?;
    let mut roots = RootCertStore::empty();
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .collect();
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err(PostError::File {
            path: path.display().to_string(),
            why: "holds no certificate".to_owned(),
        });
    }
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Account {
        token,
        namespace,
        tls,
    })
}

fn text(path: &Path) -> Result<String, PostError> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes).map_err(|_| PostError::File {
        path: path.display().to_string(),
        why: "is no text".to_owned(),
    })?;
    Ok(text.trim().to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, PostError> {
    use std::io::Read as _;
    let failed = |why: String| PostError::File {
        path: path.display().to_string(),
        why,
    };
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// Returns what an answer of this status and body means for the event.
fn outcome(status: StatusCode, body: &[u8]) -> Result<(), PostError> {
    let is_busy = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    );
    match status {
        _ if status.is_success() => Ok(()),
        _ if is_busy || status.is_server_error() => Err(PostError::Busy {
            status: status.as_u16(),
        }),
        _ => Err(PostError::Refused {
            status: status.as_u16(),
            message: message(body),
        }),
    }
}

/// Returns the message of a `Status` (meta/v1), in one line; empty where the body is none.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let status = serde_json::from_slice::<Status>(body);
    let message = status.map(|status| status.message).unwrap_or_default();
    cut(&message, MAX_MESSAGE_BYTES).replace(char::is_control, " ")
}

/// Puts an IPv6 address into brackets, as in a URL.
fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// Cuts `text` to at most `bytes` bytes, at the end of a character.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns the event as JSON.
fn body(server: &ApiServer, namespace: &str, at: SystemTime, note: &Note) -> String {
    let unique = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let pod = server.pod_name.as_str();
    let mut name = cut(pod, MAX_NAME_BYTES)
        .trim_end_matches(['.', '-'])
        .to_owned();
    // Two events of one decision have the same time.
    let salt = note
        .text
        .bytes()
        .chain(note.reason.bytes())
        .fold(5381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    // Writing into a String can't fail.
    let _ = write!(name, ".{:x}{:04x}", unique, salt & 0xffff);
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": namespace },
        "eventTime": humantime::format_rfc3339_micros(at).to_string(),
        "reportingController": CONTROLLER,
        "reportingInstance": cut(pod, MAX_INSTANCE_BYTES),
        "action": note.action,
        "reason": note.reason,
        "type": note.kind.name(),
        "note": cut(&note.text, MAX_NOTE_BYTES),
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": pod,
            "uid": server.pod_uid,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests;
