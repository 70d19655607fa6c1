//! Tests of the observers against peers on real sockets that are no engine, or a bad one.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::Receiver;

use super::{databases, diagnostics, login, ping, silence};
use crate::config::endpoint::Endpoint;
use crate::config::refusals::Refusals;
use crate::config::secret::PasswordSource;
use crate::config::{BootstrapConfig, Pace, SqlConfig, TlsMode};
use crate::decide::observation::{
    Attempt, AttemptResult, AttemptStage, ContactError, DatabasesReport, DiagnosticsReport,
    Observation, Observed,
};
use crate::observe::Sink;
use crate::observe::clock::Clock;
use crate::observe::testing::refused_port;

/// The deadline of every attempt here.
const DEADLINE: Duration = Duration::from_millis(400);

/// PRELOGIN response: version 15.0, encryption not supported.
const PRELOGIN_WITHOUT_TLS: [u8; 26] = [
    0x04, 0x01, 0x00, 0x1a, 0x00, 0x00, 0x01, 0x00, // header
    0x00, 0x00, 0x0b, 0x00, 0x06, 0x01, 0x00, 0x11, 0x00, 0x01, 0xff, // options
    0x0f, 0x00, 0x07, 0xd0, 0x00, 0x00, // version
    0x02, // encryption
];

fn config(address: SocketAddr, tls: TlsMode) -> SqlConfig {
    let pace = Pace {
        interval: Duration::from_millis(100),
        deadline: DEADLINE,
    };
    SqlConfig {
        host: Some(address.ip().to_string()),
        port: Some(address.port()),
        dac_port: Some(0),
        endpoint: Endpoint::default(),
        refusals: Refusals::default(),
        user: "monitor".to_owned(),
        // Any variable that is set will do: no peer here looks at the password.
        password: PasswordSource::Env("PATH".to_owned()),
        tls,
        tls_ca: None,
        tls_server_name: None,
        bootstrap: BootstrapConfig::default(),
        ping: pace,
        login: pace,
        databases: pace,
        diagnostics: pace,
        max_databases: 10,
    }
}

/// A peer that treats each connection as `serve` does.
async fn peer<F, Done>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A sink whose clock never takes the test machine's own delays for stalls.
fn sink() -> (Sink, Receiver<Observed<Observation>>) {
    Sink::new(Clock::start(Duration::from_secs(3600)))
}

/// Returns the first `count` pings of `address`.
async fn pings(address: SocketAddr, tls: TlsMode, count: usize) -> Vec<Observed<Attempt>> {
    let (sink, mut seen) = sink();
    let observer = tokio::spawn(ping::observe(
        config(address, tls),
        silence::channel().0,
        sink,
    ));
    let mut attempts = Vec::new();
    while attempts.len() < count {
        let Observed { at, value } = seen.recv().await.expect("the observer runs");
        let Observation::Ping(value) = value else {
            panic!("{value:?} from the ping");
        };
        attempts.push(Observed { at, value });
    }
    observer.abort();
    attempts
}

/// Waits until a ping of `address` fails with an error that is `wanted`. One that a busy machine ends at
/// its deadline before it has come as far is passed over.
async fn fails_with(address: SocketAddr, tls: TlsMode, wanted: impl Fn(&ContactError) -> bool) {
    let (sink, mut seen) = sink();
    let observer = tokio::spawn(ping::observe(
        config(address, tls),
        silence::channel().0,
        sink,
    ));
    loop {
        match seen.recv().await.expect("the observer runs").value {
            Observation::Ping(Attempt {
                result: AttemptResult::Failed(error),
                ..
            }) if wanted(&error) => break,
            Observation::Ping(Attempt {
                result: AttemptResult::Failed(ContactError::TimedOut(_)),
                ..
            }) => {}
            other => panic!("{tls:?}: {other:?}"),
        }
    }
    observer.abort();
}

/// Waits until a ping of `address` fails with this error.
async fn fails(address: SocketAddr, tls: TlsMode, expected: ContactError) {
    fails_with(address, tls, |error| *error == expected).await;
}

#[tokio::test]
async fn nothing_listens() {
    let (_held, address) = refused_port();
    fails(address, TlsMode::Required, ContactError::Refused).await;
}

#[tokio::test]
async fn it_accepts_and_closes() {
    let address = peer(|stream| async move { drop(stream) }).await;
    for tls in [TlsMode::Required, TlsMode::Strict, TlsMode::Off] {
        fails(address, tls, ContactError::Closed).await;
    }
}

#[tokio::test]
async fn it_reads_the_greeting_and_closes() {
    let address = peer(|mut stream| async move {
        let _ = stream.read(&mut [0; 512]).await;
    })
    .await;
    for tls in [TlsMode::Required, TlsMode::Strict, TlsMode::Off] {
        fails(address, tls, ContactError::Closed).await;
    }
}

#[tokio::test]
async fn it_is_silent() {
    let address = peer(|mut stream| async move {
        while stream.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    for tls in [
        TlsMode::Required,
        TlsMode::Strict,
        TlsMode::Login,
        TlsMode::Off,
    ] {
        let expected = ContactError::TimedOut(AttemptStage::Prelogin);
        fails(address, tls, expected).await;
    }
}

#[tokio::test]
async fn it_does_not_accept() {
    let socket = TcpSocket::new_v4().expect("socket");
    socket
        .bind("127.0.0.1:0".parse().expect("address"))
        .expect("bind");
    let listener = socket.listen(1).expect("listen");
    let address = listener.local_addr().expect("address");
    // Fill the backlog, so that the kernel drops every further SYN: a frozen or overloaded host.
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        held.push(stream);
    }
    let expected = ContactError::TimedOut(AttemptStage::Connect);
    fails(address, TlsMode::Off, expected).await;
}

#[tokio::test]
async fn it_speaks_http() {
    let address = peer(|mut stream| async move {
        let _ = stream.read(&mut [0; 512]).await;
        let _ = stream
            .write_all(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .await;
    })
    .await;
    for tls in [TlsMode::Required, TlsMode::Strict, TlsMode::Off] {
        fails_with(address, tls, |error| {
            matches!(error, ContactError::Protocol(_) | ContactError::Tls(_))
        })
        .await;
    }
}

#[tokio::test]
async fn it_sends_without_end() {
    let address = peer(|mut stream| async move {
        // A PRELOGIN packet that never says that it was the last one.
        let mut packet = vec![0_u8; 4096];
        packet[0] = 0x04;
        packet[2] = 0x10;
        while stream.write_all(&packet).await.is_ok() {}
    })
    .await;
    fails_with(
        address,
        TlsMode::Off,
        |error| matches!(error, ContactError::Protocol(text) if text.contains("longer")),
    )
    .await;
}

#[tokio::test]
async fn it_has_no_tls() {
    let address = peer(|mut stream| async move {
        let _ = stream.read(&mut [0; 512]).await;
        let _ = stream.write_all(&PRELOGIN_WITHOUT_TLS).await;
        let _ = stream.read(&mut [0; 512]).await;
    })
    .await;
    fails_with(address, TlsMode::Required, |error| {
        matches!(error, ContactError::Tls(_))
    })
    .await;
}

#[tokio::test]
async fn it_goes_silent_in_the_middle_of_the_login() {
    let address = peer(|mut stream| async move {
        let _ = stream.read(&mut [0; 512]).await;
        let _ = stream.write_all(&PRELOGIN_WITHOUT_TLS).await;
        while stream.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let expected = ContactError::TimedOut(AttemptStage::Login);
    fails(address, TlsMode::Off, expected).await;
}

#[tokio::test]
async fn attempts_never_overlap_and_none_is_left_open() {
    let (open, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let address = peer(move |mut stream| {
        let _ = open.send(1_i32);
        let open = open.clone();
        async move {
            while stream.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
            let _ = open.send(-1);
        }
    })
    .await;
    let attempts = pings(address, TlsMode::Off, 3).await;
    for pair in attempts.windows(2) {
        assert!(pair[1].value.started >= pair[0].at);
    }
    // Each timeout closed its connection: the peer saw the end of the first two at least.
    let mut ends = 0;
    while ends < 2 {
        ends += i32::from(opened.recv().await == Some(-1));
    }
}

#[tokio::test]
async fn a_refused_port_is_tried_again_soon() {
    let (_held, address) = refused_port();
    let mut slow = config(address, TlsMode::Off);
    // The test would not end, were the next attempts not made long before.
    slow.ping.interval = Duration::from_secs(3600);
    let (sink, mut seen) = sink();
    let observer = tokio::spawn(ping::observe(slow, silence::channel().0, sink));
    let begin = Instant::now();
    for _ in 0..4 {
        seen.recv().await.expect("the observer runs");
    }
    observer.abort();
    let taken = begin.elapsed();
    assert!(taken >= super::pace::REFUSED_RETRY * 3, "{taken:?}");
}

#[tokio::test]
async fn without_a_password_nothing_is_sent() {
    let (open, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let address = peer(move |_| {
        let _ = open.send(());
        std::future::ready(())
    })
    .await;
    let mut config = config(address, TlsMode::Off);
    config.password = PasswordSource::File("/nonexistent/password".into());
    let (sink, mut seen) = sink();
    let observer = tokio::spawn(login::observe(config, sink));
    let observed = seen.recv().await.expect("the observer runs").value;
    observer.abort();
    let Observation::Login(Attempt {
        result: AttemptResult::Failed(ContactError::Credentials(why)),
        ..
    }) = observed
    else {
        panic!("{observed:?}");
    };
    assert!(why.contains("/nonexistent/password"), "{why}");
    assert!(opened.try_recv().is_err(), "a connection was made");
}

#[tokio::test]
async fn an_unreadable_ca_is_told_before_anything_is_sent() {
    let address = "127.0.0.1:1".parse().expect("address");
    let mut config = config(address, TlsMode::Required);
    config.tls_ca = Some("/nonexistent/ca.pem".into());
    let (sink, mut seen) = sink();
    let observer = tokio::spawn(ping::observe(config, silence::channel().0, sink));
    let observed = seen.recv().await.expect("the observer runs").value;
    observer.abort();
    assert!(
        matches!(
            &observed,
            Observation::Ping(Attempt {
                result: AttemptResult::Failed(ContactError::Credentials(why)),
                ..
            }) if why.contains("/nonexistent/ca.pem")
        ),
        "{observed:?}"
    );
}

#[tokio::test]
async fn every_observer_reports_a_silent_peer() {
    let address = peer(|mut stream| async move {
        while stream.read(&mut [0; 512]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let config = config(address, TlsMode::Off);
    let (sink, mut seen) = sink();
    let observers = [
        tokio::spawn(login::observe(config.clone(), sink.clone())),
        tokio::spawn(databases::observe(config.clone(), Vec::new(), sink.clone())),
        tokio::spawn(diagnostics::observe(config, sink)),
    ];
    let silent = ContactError::TimedOut(AttemptStage::Prelogin);
    let mut reported = [false; 3];
    while reported.contains(&false) {
        let (index, error) = match seen.recv().await.expect("observers run").value {
            Observation::Login(Attempt {
                result: AttemptResult::Failed(error),
                ..
            }) => (0, error),
            Observation::Databases(DatabasesReport::Failed(error)) => (1, error),
            Observation::Diagnostics(DiagnosticsReport::Failed(Attempt {
                result: AttemptResult::Failed(error),
                ..
            })) => (2, error),
            other => panic!("{other:?}"),
        };
        assert_eq!(error, silent);
        reported[index] = true;
    }
    for observer in observers {
        observer.abort();
    }
}
