//! A client in the cluster, as an application is one: it writes numbered rows to the Service, one after the other, and
//! remembers which were acknowledged, and when.
//!
//! ```text
//! cluster-client write HOST:PORT     writes until it is ended; every acknowledged row goes into /rows/acknowledged
//! cluster-client notes HOST:PORT     prints what that file says as JSON, without asking the Service
//! cluster-client report HOST:PORT    holds that file against the table, and prints a report as JSON
//! cluster-client check HOST:PORT     one login and `SELECT 1`, as an exec probe does it; exit 1 where that fails
//! cluster-client serve HOST:PORT     answers 200 to any request, for what an httpGet probe costs
//! cluster-client forward HOST:PORT   passes what comes there on to the pod's port 1433, as the proxy of a service mesh
//! ```
//!
//! The password of `sa` is in MSSQL_SA_PASSWORD.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the test"
)]

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

const ACKNOWLEDGED: &str = "/rows/acknowledged";
/// A connection or a row that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two rows, and between two attempts where nothing answers.
const PAUSE: Duration = Duration::from_millis(40);
/// Without an acknowledged row for so long, the database is away for this client.
const GAP: Duration = Duration::from_millis(120);
const CREATE: &str =
    "IF OBJECT_ID('dbo.journal') IS NULL CREATE TABLE dbo.journal (id bigint, epoch bigint)";

type Sql = Client<Compat<TcpStream>>;

#[derive(Serialize)]
struct Report {
    acknowledged: usize,
    found: usize,
    /// Acknowledged rows that are not in the table.
    lost: Vec<i64>,
    /// From when (milliseconds since 1970) and for how long no row was acknowledged, where that was long.
    gaps: Vec<(u64, u64)>,
    /// When the last one was acknowledged.
    last: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [command, address] = words.as_slice() else {
        eprintln!("cluster-client write|notes|report|check|serve|forward HOST:PORT");
        return ExitCode::from(64);
    };
    let done = match command.as_str() {
        "write" => write(address).await,
        "notes" => notes().and_then(|(_, noted)| print(&noted)),
        "report" => report(address).await,
        "check" => check(address).await,
        "serve" => serve(address).await,
        "forward" => forward(address).await,
        other => Err(anyhow::anyhow!("what is {other}?")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn write(address: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(ACKNOWLEDGED)
        .context(ACKNOWLEDGED)?;
    // Numbers are never used twice, also by a writer that is started again.
    let mut id = i64::try_from(now())? * 1000;
    loop {
        if let Ok(mut sql) = connect(address).await {
            if execute(&mut sql, CREATE).await.is_err() {
                continue;
            }
            loop {
                id += 1;
                let insert = format!("INSERT INTO dbo.journal (id) VALUES ({id})");
                if execute(&mut sql, &insert).await.is_err() {
                    break;
                }
                writeln!(file, "{} {id}", now()).context("noting a row")?;
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The rows that were acknowledged, and what is known of them without the table.
fn notes() -> anyhow::Result<(BTreeSet<i64>, Report)> {
    let notes = File::open(ACKNOWLEDGED).context(ACKNOWLEDGED)?;
    let mut acknowledged = BTreeSet::new();
    let mut gaps = Vec::new();
    let mut last = 0;
    for line in BufReader::new(notes).lines() {
        let line = line?;
        // The writer may be in the middle of its last line.
        let Some((at, id)) = line.split_once(' ') else {
            continue;
        };
        let (Ok(at), Ok(id)) = (at.parse::<u64>(), id.parse::<i64>()) else {
            continue;
        };
        let away = at.saturating_sub(last);
        if last > 0 && Duration::from_millis(away) >= GAP {
            gaps.push((last, away));
        }
        last = at;
        acknowledged.insert(id);
    }
    let report = Report {
        acknowledged: acknowledged.len(),
        found: 0,
        lost: Vec::new(),
        gaps,
        last,
    };
    Ok((acknowledged, report))
}

async fn report(address: &str) -> anyhow::Result<()> {
    let (acknowledged, noted) = notes()?;
    let mut sql = connect(address).await?;
    let rows = sql
        .simple_query("SELECT id FROM dbo.journal")
        .await?
        .into_first_result()
        .await?;
    let found: BTreeSet<i64> = rows.iter().filter_map(|row| row.get(0)).collect();
    print(&Report {
        found: found.len(),
        lost: acknowledged.difference(&found).copied().take(20).collect(),
        ..noted
    })
}

fn print(report: &Report) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

async fn check(address: &str) -> anyhow::Result<()> {
    let mut sql = connect(address).await?;
    execute(&mut sql, "SELECT 1").await
}

async fn serve(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut peer, _) = listener.accept().await?;
        let mut request = [0; 1024];
        let answered = async {
            // A probe's request is one segment; a peer that closes without a word gets no answer.
            if peer.read(&mut request).await? == 0 {
                return Ok(());
            }
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
        };
        // Who asked may have gone.
        let _ = tokio::time::timeout(PATIENCE, answered).await;
    }
}

async fn forward(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut peer, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut engine = TcpStream::connect("127.0.0.1:1433").await?;
            tokio::io::copy_bidirectional(&mut peer, &mut engine).await
        });
    }
}

async fn connect(address: &str) -> anyhow::Result<Sql> {
    let (host, port) = address.rsplit_once(':').context("HOST:PORT")?;
    let password = std::env::var("MSSQL_SA_PASSWORD").context("MSSQL_SA_PASSWORD")?;
    let mut config = Config::new();
    config.host(host);
    config.port(port.parse()?);
    config.authentication(AuthMethod::sql_server("sa", password));
    config.application_name("cluster-client");
    config.encryption(EncryptionLevel::NotSupported);
    let connecting = async {
        let tcp = TcpStream::connect(config.get_addr()).await?;
        tcp.set_nodelay(true)?;
        anyhow::Ok(Client::connect(config, tcp.compat_write()).await?)
    };
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(connected) => connected,
        Err(_) => bail!("no connection in {} s", PATIENCE.as_secs()),
    }
}

async fn execute(sql: &mut Sql, text: &str) -> anyhow::Result<()> {
    let done = async { anyhow::Ok(sql.simple_query(text).await?.into_results().await?) };
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(done) => done.map(|_| ()),
        Err(_) => bail!("no answer in {} s", PATIENCE.as_secs()),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
