//! Events on the pod, as an API server that is not ours to decide sees them: its TLS, its token, its
//! typed objects; and nothing of the supervisor waits for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::events::v1::Event;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::shared::supervisor::Supervisor;
use crate::standin::handle::StandIn;
use crate::support::{Scratch, binary, fast, standin, unique_name};

const TOKEN: &str = "a.token-of.this-pod";

/// What the double was asked: the head of the request, and the event.
type Asked = (String, Event);

/// A double of the API server: one request a connection, each answered with `status`.
struct ApiServer {
    port: u16,
    asked: mpsc::UnboundedReceiver<Asked>,
    account: PathBuf,
}

impl ApiServer {
    async fn start(scratch: &Scratch, status: &'static str) -> Self {
        let account = scratch.path().join("serviceaccount");
        std::fs::create_dir(&account).expect("writable");
        let acceptor = tls(&account);
        std::fs::write(account.join("token"), TOKEN).expect("writable");
        std::fs::write(account.join("namespace"), "databases").expect("writable");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let (head, body) = request(&mut stream).await?;
                    let event = serde_json::from_slice(&body).expect("it is the typed API's Event");
                    let body = r#"{"kind":"Status","message":"no role allows it"}"#;
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()?;
                    sender.send((head, event)).ok()
                });
            }
        });
        Self {
            port,
            asked,
            account,
        }
    }

    /// The next event with this reason.
    async fn event(&mut self, reason: &str) -> Asked {
        loop {
            let (head, event) = self.asked.recv().await.expect("the double runs");
            if event.reason.as_deref() == Some(reason) {
                return (head, event);
            }
        }
    }
}

/// A CA of its own, in `account/ca.crt`, and a certificate for 127.0.0.1 by it.
fn tls(account: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::new()).expect("it needs no name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, key).expect("a CA");
    std::fs::write(account.join("ca.crt"), ca.pem()).expect("writable");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let certificate = params.signed_by(&key, &ca).expect("signed");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS 8");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

/// The head of a request, and its body by its content-length.
async fn request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut more = [0; 4096];
        let count = stream
            .read(&mut more)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&more[..count]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().expect("a number"))
    });
    let mut body = bytes.split_off(end + 4);
    let known = body.len();
    body.resize(length?, 0);
    stream.read_exact(&mut body[known..]).await.ok()?;
    Some((head, body))
}

async fn supervise(standin: &StandIn, name: &str, account: &Path, port: u16) -> Supervisor {
    let own = &standin.options().directory;
    let mut settings = fast(own, name, standin.port(), &standin.data_dir());
    let account = account.display().to_string();
    for (key, value) in [
        ("kubernetes-events", "true"),
        ("kubernetes-service-account", account.as_str()),
    ] {
        settings.push((key.to_owned(), value.to_owned()));
    }
    let port = port.to_string();
    let environment = [
        ("MSSQL_SA_PASSWORD", standin.password()),
        ("POD_NAME", "sql-0"),
        ("POD_UID", "4ad1a2b4-0000-4000-8000-000000000000"),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", port.as_str()),
    ];
    Supervisor::start(binary(), &settings, &environment).await
}

#[tokio::test]
async fn what_happens_becomes_events_on_the_pod() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut api = ApiServer::start(&scratch, "201 Created").await;
    let supervisor = supervise(&standin, &name, &api.account, api.port).await;
    let (head, ready) = api.event("Ready").await;
    assert!(
        head.starts_with("POST /apis/events.k8s.io/v1/namespaces/databases/events HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains(&format!("Bearer {TOKEN}")), "{head}");
    assert_eq!(ready.type_.as_deref(), Some("Normal"));
    let pod = ready.regarding.expect("it is about the pod");
    assert_eq!(pod.name.as_deref(), Some("sql-0"));
    assert_eq!(
        pod.uid.as_deref(),
        Some("4ad1a2b4-0000-4000-8000-000000000000")
    );

    // Of one that nobody has seen it is not known how it ended.
    supervisor
        .status_with(|status| status["process"]["state"] == "running")
        .await;
    // The kubelet rotates the token: the next request has the new one.
    std::fs::write(api.account.join("token"), "another").expect("writable");
    standin.signal_child(Signal::KILL).expect("it runs");
    let (head, killed) = api.event("ProcessKilled").await;
    assert!(head.contains("Bearer another"), "{head}");
    assert!(killed.note.expect("a note").contains("signal 9"));
    api.event("NotReady").await;

    supervisor.get("/healthz").await;
    let (status, log) = supervisor.terminate().await;
    assert!(status.success());
    assert!(!log.contains(TOKEN), "the token is in the log");
}

#[tokio::test]
async fn an_api_server_that_refuses_costs_one_line_and_nothing_else() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut api = ApiServer::start(&scratch, "403 Forbidden").await;
    let mut supervisor = supervise(&standin, &name, &api.account, api.port).await;
    supervisor.passes("ready").await;
    api.event("Ready").await;
    let (_, log) = supervisor.terminate().await;
    let told = log
        .lines()
        .filter(|line| line.contains("an event is dropped"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("`create` on `events`"), "{}", told[0]);
    assert!(told[0].contains("403: no role allows it"), "{}", told[0]);
}

#[tokio::test]
async fn an_api_server_that_is_away_delays_no_verdict() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let account = scratch.path().join("no-account");
    let mut supervisor = supervise(&standin, &name, &account, 1).await;
    // In whatever order they come.
    let (mut waits, mut ready) = (false, false);
    while !(waits && ready) {
        let event = supervisor.event(|_| true).await;
        ready |= event["message"] == "passes" && event["probe"] == "ready";
        if event["message"] == "events wait for the API server" {
            let why = event["error"].as_str().expect("why");
            assert!(why.contains("no-account/token"), "{why}");
            waits = true;
        }
    }
    // Of one that nobody has seen it is not known how it ended.
    supervisor
        .status_with(|status| status["process"]["state"] == "running")
        .await;
    standin.signal_child(Signal::KILL).expect("it runs");
    supervisor.finds("ProcessKilled").await;
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    supervisor.terminate().await;
}
