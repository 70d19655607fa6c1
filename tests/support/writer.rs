//! A client that writes numbered rows, one after the other, and notes which of them were acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// The longest wait. A connection or a row that takes longer is given up: its fate is unknown.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two attempts where nothing answers: no event reports when something does again.
const PAUSE: Duration = Duration::from_millis(20);

const CREATE: &str =
    "IF OBJECT_ID('dbo.journal') IS NULL CREATE TABLE dbo.journal (id bigint, epoch bigint)";

type Sql = Client<Compat<TcpStream>>;

/// The port of the engine now, and its password for `sa`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub port: u16,
    pub password: String,
}

/// The fate of the rows.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Rows that the engine acknowledged.
    pub acknowledged: Vec<i64>,
    /// The number of rows that the engine refused, or did not answer.
    pub failed: u64,
}

impl Written {
    /// Returns the number of rows that were tried.
    pub fn attempted(&self) -> u64 {
        self.acknowledged.len() as u64 + self.failed
    }
}

/// The running writer. When it is dropped, it ends.
pub struct Writer {
    written: Arc<Mutex<Written>>,
    progress: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Writes rows from 1 on to the engine that `target` names, until it is dropped.
    pub fn start(target: watch::Receiver<Target>) -> Self {
        Self::counting(target, 1, 1)
    }

    /// Writes rows with the numbers `first`, `first + step` and so on.
    pub fn counting(target: watch::Receiver<Target>, first: i64, step: i64) -> Self {
        let written = Arc::new(Mutex::new(Written::default()));
        let (progressed, progress) = watch::channel(0);
        let task = tokio::spawn(write(
            target,
            (first, step),
            Arc::clone(&written),
            progressed,
        ));
        Self {
            written,
            progress,
            task,
        }
    }

    /// Writes rows to one place that stays.
    pub fn to(port: u16, password: &str) -> Self {
        let password = password.to_owned();
        Self::start(watch::channel(Target { port, password }).1)
    }

    /// Returns the rows so far.
    pub fn written(&self) -> Written {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes the acknowledged rows since the last call.
    pub fn take_acknowledged(&self) -> Vec<i64> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut written.acknowledged)
    }

    /// Returns the number of acknowledged rows.
    pub fn count(&self) -> u64 {
        *self.progress.borrow()
    }

    /// Waits until so many more rows are acknowledged.
    pub async fn acknowledges(&self, more: u64) {
        let mut progress = self.progress.clone();
        let goal = *progress.borrow() + more;
        let reached = progress.wait_for(|count| *count >= goal);
        tokio::time::timeout(Duration::from_secs(60), reached)
            .await
            .expect("rows are acknowledged")
            .expect("the writer goes on");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn write(
    mut target: watch::Receiver<Target>,
    (first, step): (i64, i64),
    written: Arc<Mutex<Written>>,
    progressed: watch::Sender<u64>,
) {
    let mut id = first;
    loop {
        let now = target.borrow_and_update().clone();
        if let Ok(mut sql) = connect(&now).await {
            loop {
                let insert = format!("INSERT INTO dbo.journal (id) VALUES ({id})");
                let row = id;
                // A number is never used twice: whether a row that was not acknowledged is there is not
                // known.
                id += step;
                let done = tokio::select! {
                    done = query(&mut sql, &insert) => done,
                    // The place where the engine was may be a pod that answers no more.
                    Ok(()) = target.changed() => break,
                };
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                if done.is_err() {
                    written.failed += 1;
                    break;
                }
                written.acknowledged.push(row);
                progressed.send_modify(|count| *count += 1);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes a connection, and the table where it is missing.
pub async fn connect(target: &Target) -> anyhow::Result<Sql> {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(target.port);
    config.authentication(AuthMethod::sql_server("sa", &target.password));
    config.application_name("writer");
    config.encryption(EncryptionLevel::NotSupported);
    let connecting = async {
        let tcp = TcpStream::connect(config.get_addr()).await?;
        tcp.set_nodelay(true)?;
        anyhow::Ok(Client::connect(config, tcp.compat_write()).await?)
    };
    let mut sql = tokio::time::timeout(PATIENCE, connecting).await??;
    query(&mut sql, CREATE).await?;
    Ok(sql)
}

async fn query(sql: &mut Sql, text: &str) -> anyhow::Result<()> {
    let done = async { anyhow::Ok(sql.simple_query(text).await?.into_results().await?) };
    tokio::time::timeout(PATIENCE, done).await??;
    Ok(())
}
