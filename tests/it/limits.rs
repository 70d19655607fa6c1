//! What the supervisor bears, and what it never shows.

use std::process::Command as Process;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::standin::command::Command;
use crate::standin::script::Accept;
use crate::support::{
    Scratch, binary, fast, standin, standin_with, supervise, supervisor, unique_name,
};

#[test]
fn a_busy_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = Process::new(binary())
        .args(["run", "--listen", &address])
        .env_clear()
        .env("MSSQL_SA_PASSWORD", "x")
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.matches(&address).count(), 1, "{error}");
    assert!(error.contains("cannot listen on"), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

/// Connections that have sent a part of a request's head and go on byte by byte.
async fn slow_connections(address: &str, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"GET /livez HT").await.expect("it reads");
        all.push(stream);
    }
    all
}

#[tokio::test]
async fn slow_clients_lock_nobody_out() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let more = [("max-connections", "64")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let slow = slow_connections(&supervisor.address, 200).await;
    for _ in 0..50 {
        assert_eq!(supervisor.get("/livez").await.0, 200);
    }
    drop(slow);
}

#[tokio::test]
async fn sigterm_ends_it_whatever_hangs() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let slow = slow_connections(&supervisor.address, 20).await;
    standin.signal_child(Signal::STOP).expect("it runs");
    supervisor.fails("ready").await;
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
    drop(slow);
}

#[tokio::test]
async fn sigterm_ends_it_during_a_login_that_hangs() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let hang = Command::Accept {
        accept: Accept::Hang,
    };
    standin.command(hang).await.expect("it obeys");
    let more = [("ping-timeout", "1900ms"), ("ready-freshness", "10s")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    // Its socket is seen to listen: it has started, and answers nothing.
    supervisor.finds("NoFreshAnswer").await;
    supervisor.raises("NoFreshAnswer").await;
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
}

#[tokio::test]
async fn the_password_is_shown_nowhere() {
    const CANARY: &str = "Can4ry-never-shown";
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin_with(&scratch, &name, |mut options| {
        options.password = CANARY.to_owned();
        options
    })
    .await;
    let more = [("log-level", "trace")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let rotate = Command::SetLogin {
        user: "sa".to_owned(),
        password: "Another_1".to_owned(),
    };
    standin.command(rotate).await.expect("it obeys");
    supervisor.finds("LoginFailed").await;
    for path in [
        "/",
        "/status",
        "/metrics",
        "/readyz?verbose",
        "/healthz?verbose",
    ] {
        let (_, body) = supervisor.get(path).await;
        assert!(!body.contains(CANARY), "{path}");
    }
    let pid = supervisor.pid().as_raw_nonzero();
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("readable");
    assert!(!arguments.contains(CANARY));
    let (_, log) = supervisor.terminate().await;
    assert!(!log.contains(CANARY), "{log}");
}

#[tokio::test]
async fn tls_in_each_mode() {
    for (engine, mode) in [
        ("required", "required"),
        ("on", "required"),
        ("off", "login"),
        ("not-supported", "off"),
        ("strict", "strict"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let standin = standin_with(&scratch, &name, |options| {
            options.argument("--encryption").argument(engine)
        })
        .await;
        let mut supervisor = supervise(&standin, &name, &[("sql-tls", mode)]).await;
        supervisor.passes("ready").await;
    }
}

#[tokio::test]
async fn a_certificate_is_verified_when_a_ca_is_given() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin_with(&scratch, &name, |options| {
        options.argument("--encryption").argument("required")
    })
    .await;
    let ca = scratch.path().join("ca.pem");
    let path = ca.display().to_string();
    let pem = standin.certificate().await.expect("it has one");
    std::fs::write(&ca, pem).expect("writable");
    // One pod: to another one the volume would be held elsewhere, and its engine fenced.
    let pod = ("pod-uid", "a-pod-whose-certificate-changes");
    let more = [("sql-tls-ca", path.as_str()), pod];
    let mut trusted = supervise(&standin, &name, &more).await;
    trusted.passes("ready").await;
    drop(trusted);

    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("made");
    std::fs::write(&ca, other.cert.pem()).expect("writable");
    // One that remembers nothing of what was proven before.
    let state = scratch.path().join("other").display().to_string();
    let more = [more[0], pod, ("state-dir", state.as_str())];
    let mut refused = supervise(&standin, &name, &more).await;
    refused.finds("TlsFailed").await;
    refused.raises("TlsFailed").await;
    assert_eq!(refused.get("/readyz").await.0, 503);
    assert_eq!(refused.get("/livez").await.0, 200);
}

/// A certificate as `openssl req -x509` makes it: its own issuer, which calls itself a CA.
fn by_hand(name: &str) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_certificate_made_by_hand_is_its_own_ca() {
    for (engine, mode) in [
        ("required", "required"),
        ("off", "login"),
        ("strict", "strict"),
    ] {
        let (scratch, name) = (Scratch::new(), unique_name());
        let (certificate, key) = by_hand("sql.internal");
        let (pem, key_file) = (
            scratch.path().join("cert.pem"),
            scratch.path().join("key.pem"),
        );
        std::fs::write(&pem, &certificate).expect("writable");
        std::fs::write(&key_file, key).expect("writable");
        let standin = standin_with(&scratch, &name, |options| {
            let options = options.argument("--encryption").argument(engine);
            let options = options.argument("--tls-cert").argument(&pem);
            options.argument("--tls-key").argument(&key_file)
        })
        .await;
        let ca = pem.display().to_string();
        let more = [("sql-tls", mode), ("sql-tls-ca", ca.as_str())];
        let mut supervisor = supervise(&standin, &name, &more).await;
        supervisor.passes("ready").await;
    }
}

#[tokio::test]
async fn a_peer_that_is_no_engine_is_named() {
    let (scratch, name) = (Scratch::new(), unique_name());
    // The supervisor's own HTTP port stands for "something else listens there".
    let settings = fast(scratch.path(), &name, 1, scratch.path());
    let other = supervisor(&settings, &[("SA_PASSWORD", "x")]).await;
    let port = other.address.rsplit(':').next().expect("a port");
    let port: u16 = port.parse().expect("a number");
    let (own, name) = (Scratch::new(), unique_name());
    let settings = fast(own.path(), &name, port, scratch.path());
    let supervisor = supervisor(&settings, &[("SA_PASSWORD", "x")]).await;
    supervisor.raises("EngineUnreachable").await;
    let (status, body) = supervisor.get("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(supervisor.get("/livez").await.0, 200);
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(exit.code(), Some(0), "{log}");
}

#[tokio::test]
async fn the_probe_command_gives_the_verdict() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let url = format!("http://{}", supervisor.address);
    let probe = |which: &str| {
        let output = Process::new(binary())
            .args(["probe", which, "--url", &url, "--timeout", "30s"])
            .env_clear()
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    assert_eq!(probe("ready").0, Some(0));
    standin.signal_child(Signal::KILL).expect("it runs");
    supervisor.fails("ready").await;
    let (code, text) = probe("ready");
    assert_eq!(code, Some(1));
    assert!(text.contains("ProcessKilled"), "{text}");
    assert_eq!(probe("live").0, Some(0));
    drop(supervisor);
    assert_eq!(
        probe("live").0,
        Some(0),
        "a dead supervisor kills no database"
    );
    assert_eq!(probe("ready").0, Some(1));
}
