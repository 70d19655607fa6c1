//! One check of a probe: what is done, and what counts as passed.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::TryStreamExt;
use tiberius::{AuthMethod, Client, EncryptionLevel, QueryItem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::client_program;
use crate::scale::{scaled, timeout};
use crate::timeline::Timeline;

/// The longest answer that is read of an HTTP server, bytes.
const MAX_HEAD_BYTES: usize = 4096;
/// The agent's `monitor_timeout`: for connecting, and for the query; real seconds.
const AGENT_TIMEOUT: f64 = 20.0;
/// The agent's pause between two attempts to connect, real seconds.
const AGENT_RETRY: f64 = 1.0;

/// What a probe does.
#[derive(Clone, Debug)]
pub enum Check {
    /// A connection comes about.
    Tcp(SocketAddr),
    /// A status from 200 to 399; whatever goes wrong on the way is a failure.
    Http(SocketAddr, &'static str),
    /// A SQL client is run; it has to print the row that it was asked for, and to exit 0.
    Exec { port: u16, password: String },
    /// `sp_server_diagnostics` once, as the agent of SQL Server's failover clusters does it.
    Diagnostics { port: u16, password: String },
}

impl Check {
    /// Whether it passes within `limit`.
    pub async fn passes(&self, limit: Duration, timeline: &Timeline) -> bool {
        match self {
            Self::Tcp(address) => {
                let connected = tokio::time::timeout(limit, TcpStream::connect(address)).await;
                matches!(connected, Ok(Ok(_)))
            }
            Self::Http(address, path) => {
                let status = tokio::time::timeout(limit, status(*address, path)).await;
                matches!(status, Ok(Ok(200..=399)))
            }
            Self::Exec { port, password } => {
                match client_program::select_one(*port, password, limit).await {
                    Ok(passed) => passed,
                    Err(error) => {
                        timeline.note(format!("the SQL client: {error:#}"));
                        false
                    }
                }
            }
            Self::Diagnostics { port, password } => {
                let asked = tokio::time::timeout(limit, healthy(*port, password)).await;
                matches!(asked, Ok(Ok(true)))
            }
        }
    }
}

/// The status of a GET on a connection of its own.
async fn status(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut limited = stream.take(MAX_HEAD_BYTES as u64);
    limited.read_to_end(&mut head).await?;
    let status = head.split(|byte| *byte == b' ').nth(1);
    status
        .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// What the agent's monitor does at its default policy, 3: it connects, again and again for the length
/// of its timeout, whatever the error; then a state 3 of `system` counts, and so does its absence.
/// <https://github.com/microsoft/mssql-server-ha>, go/src/mssqlcommon/lib.go
async fn healthy(port: u16, password: &str) -> anyhow::Result<bool> {
    let give_up = tokio::time::Instant::now() + timeout(AGENT_TIMEOUT);
    let mut client = loop {
        let attempt = tokio::time::timeout_at(give_up, connect(port, password)).await;
        match attempt {
            Ok(Ok(client)) => break client,
            Ok(Err(error)) => {
                let next = tokio::time::Instant::now() + scaled(AGENT_RETRY);
                if next >= give_up {
                    return Err(error);
                }
                tokio::time::sleep_until(next).await;
            }
            Err(late) => return Err(late.into()),
        }
    };
    let ask = async {
        let mut rows = client.simple_query("EXEC sp_server_diagnostics").await?;
        let mut system = None;
        while let Some(item) = rows.try_next().await? {
            if let QueryItem::Row(row) = item
                && row.get::<&str, _>("component_name") == Some("system")
            {
                system = row.get::<i32, _>("state");
            }
        }
        anyhow::Ok(system)
    };
    let system = tokio::time::timeout(timeout(AGENT_TIMEOUT), ask).await??;
    Ok(system.is_some_and(|state| state != 3))
}

async fn connect(
    port: u16,
    password: &str,
) -> anyhow::Result<Client<tokio_util::compat::Compat<TcpStream>>> {
    let mut settings = tiberius::Config::new();
    settings.host("127.0.0.1");
    settings.port(port);
    settings.application_name("fci-helper");
    settings.authentication(AuthMethod::sql_server("sa", password));
    // In the clear, where the agent encrypts: this client is built without TLS, and its checks cost the less.
    settings.encryption(EncryptionLevel::NotSupported);
    settings.trust_cert();
    settings.handshake_timeout(None);
    settings.command_timeout(None);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(Client::connect(settings, stream.compat_write()).await?)
}
