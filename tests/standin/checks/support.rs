//! What every check needs: a stand-in in a scratch directory, and a tiberius client.

use std::time::Duration;

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::standin::handle::{ScratchDirectory, StandIn, StandInOptions, built_binary};
use crate::standin::sql::Kind;

/// The longest wait, far above what anything here takes; a check that meets it has found a hang.
pub const LIMIT: Duration = Duration::from_secs(30);

pub type Sql = Client<Compat<TcpStream>>;

/// A stand-in in its directory. Field order matters: the processes end before their directory goes.
pub struct Fixture {
    pub engine: StandIn,
    _directory: ScratchDirectory,
}

impl Fixture {
    pub async fn start(adjust: impl FnOnce(StandInOptions) -> StandInOptions) -> Self {
        let directory = ScratchDirectory::new().unwrap();
        let options = StandInOptions::new(built_binary().unwrap(), directory.path());
        Self {
            engine: StandIn::start(adjust(options)).await.unwrap(),
            _directory: directory,
        }
    }

    pub async fn healthy() -> Self {
        Self::start(|options| options).await
    }

    /// Waits for the processes to end; returns their exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(LIMIT, self.engine.wait()).await;
        ended.expect("the processes end").unwrap().code()
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(self.engine.port());
        config.authentication(AuthMethod::sql_server("sa", self.engine.password()));
        config.application_name("checks");
        config.encryption(EncryptionLevel::NotSupported);
        config.trust_cert();
        config
    }

    /// Returns the number of statements of a kind that have begun.
    pub async fn counted(&self, kind: Kind) -> u64 {
        let statistics = self.engine.statistics().await.unwrap();
        statistics.statements_by_kind(kind)
    }

    pub async fn connect(&self) -> Sql {
        connect(self.config()).await.unwrap()
    }
}

pub async fn connect(config: Config) -> tiberius::Result<Sql> {
    let tcp = TcpStream::connect(config.get_addr()).await?;
    tcp.set_nodelay(true)?;
    tokio::time::timeout(LIMIT, Client::connect(config, tcp.compat_write()))
        .await
        .expect("the login ends one way or the other")
}

/// Returns the first column of the first row.
pub async fn number(sql: &mut Sql, query: &str) -> i64 {
    let row = sql
        .simple_query(query)
        .await
        .unwrap()
        .into_row()
        .await
        .unwrap()
        .unwrap();
    row.try_get::<i64, _>(0)
        .ok()
        .flatten()
        .or_else(|| row.try_get::<i32, _>(0).ok().flatten().map(i64::from))
        .unwrap()
}

/// Returns the engine's error number of a query that must fail.
pub async fn error_of(sql: &mut Sql, query: &str) -> Option<u32> {
    let result = match sql.simple_query(query).await {
        Ok(stream) => stream.into_results().await.map(drop),
        Err(error) => Err(error),
    };
    result.unwrap_err().code()
}

/// Waits for what no event reports: another process's state, a count behind the control socket.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, poll)
        .await
        .expect("the condition comes true");
}
