//! A logged-in connection to the engine, and the way there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use futures_util::TryStreamExt;
use tiberius::{AuthMethod, Client, EncryptionLevel, QueryItem, QueryStream, Row};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::certificate;
use super::deadline::Deadline;
use super::dial::{Allowance, Dialer, Limited};
use super::error::{bounded, from_tds};
use crate::config::{SqlConfig, TlsMode};
use crate::decide::observation::{Certificates, ContactError, Stage};

/// How the supervisor names itself in `sys.dm_exec_sessions.program_name`.
const APPLICATION_NAME: &str = "sql-edge-supervisor";

/// How it names itself where it collects metrics, so that their cost can be told apart.
pub(crate) const COLLECT_APPLICATION_NAME: &str = "sql-edge-supervisor/collect";

/// `master` is there as soon as the engine serves; the login's default database may be recovering,
/// and a login into it would fail with 4064 while the engine is well.
const DATABASE: &str = "master";

/// Bytes that a TLS handshake and a login may send: a certificate chain and a few tokens.
const MAX_LOGIN_BYTES: usize = 256 * 1024;

/// Bytes of the answer to a query.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Bytes of a CA file.
const MAX_CA_BYTES: u64 = 256 * 1024;

/// Makes [`Session`]s as the configuration says.
#[derive(Debug)]
pub(crate) struct Connector {
    config: SqlConfig,
    application_name: &'static str,
    dialer: Dialer,
    certificates: Certificates,
}

impl Connector {
    pub(crate) fn new(config: SqlConfig) -> Self {
        Self::named(config, APPLICATION_NAME)
    }

    /// One whose connections have another name.
    pub(crate) fn named(config: SqlConfig, application_name: &'static str) -> Self {
        let dialer = Dialer::new(&config.host, config.port);
        let certificates = Certificates::default();
        Self {
            config,
            application_name,
            dialer,
            certificates,
        }
    }

    /// Until when the certificates of the last connection are valid, whatever became of it.
    pub(crate) const fn certificates(&self) -> Certificates {
        self.certificates
    }

    /// A new connection with TLS and login, all of it within `deadline`. The password and the CA
    /// are read before anything is sent, so that a rotated secret is picked up.
    ///
    /// # Errors
    /// How far it came and why not further; [`ContactError::Credentials`] before the first byte.
    ///
    /// # Cancel safety
    /// The connection is closed.
    pub(crate) async fn open(&mut self, deadline: Deadline) -> Result<Session, ContactError> {
        let (settings, ca_expiry) = settings(&self.config, self.application_name)?;
        self.certificates.ca_expiry = ca_expiry;
        let stream = self.dialer.dial(deadline).await?;
        let (allowance, greeting) = (stream.allowance(), stream.greeting());
        allowance.set(MAX_LOGIN_BYTES);
        let connected = deadline
            .bound(Stage::Login, async {
                Client::connect(settings, stream.compat_write())
                    .await
                    .map_err(|error| from_tds(&error, Stage::Login))
            })
            .await;
        // A peer that did not come as far as its certificate says nothing of the one it had.
        let shown = certificate::shown(&greeting.take());
        if shown.is_some() || connected.is_ok() {
            self.certificates.server_expiry = shown;
        }
        let client = connected?;
        Ok(Session { client, allowance })
    }
}

/// What `tiberius` needs to know, with the secrets as they are now, and when the first certificate of
/// the CA file expires.
fn settings(
    config: &SqlConfig,
    application_name: &str,
) -> Result<(tiberius::Config, Option<i64>), ContactError> {
    let unusable =
        |error: &dyn std::fmt::Display| ContactError::Credentials(bounded(&error.to_string()));
    let password = config.password.read().map_err(|error| unusable(&error))?;
    let mut settings = tiberius::Config::new();
    settings.host(&config.host);
    settings.port(config.port);
    settings.database(DATABASE);
    settings.application_name(application_name);
    settings.authentication(AuthMethod::sql_server(&config.user, password.expose()));
    settings.encryption(match config.tls {
        TlsMode::Required => EncryptionLevel::Required,
        TlsMode::Login => EncryptionLevel::Off,
        TlsMode::Strict => EncryptionLevel::Strict,
        TlsMode::Off => EncryptionLevel::NotSupported,
    });
    let mut ca_expiry = None;
    match &config.tls_ca {
        Some(path) => {
            let bundle = read_ca(path).map_err(|error| {
                unusable(&format_args!(
                    "the CA file {} can't be used: {error}",
                    path.display()
                ))
            })?;
            ca_expiry = certificate::earliest(&bundle);
            settings.trust_cert_ca_bundle(bundle);
        }
        None => settings.trust_cert(),
    }
    // Deadline::bound limits the whole attempt. The library's own limits would be a second opinion,
    // take a thread for their timer, and end the diagnostics stream between two reports.
    settings.handshake_timeout(None);
    settings.command_timeout(None);
    // A database's name may be any UTF-16, lone surrogates included; that must not cost the list.
    settings.lossy_utf16_decoding(true);
    Ok((settings, ca_expiry))
}

/// The CA certificates: one DER certificate, or any number in PEM.
fn read_ca(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_CA_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let refuse = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    match bytes.len() as u64 {
        0 => refuse("it is empty"),
        1..=MAX_CA_BYTES => Ok(bytes),
        _ => refuse("it is longer than 256 KiB"),
    }
}

/// A connection on which the last answer was complete.
pub(crate) struct Session {
    client: Client<Compat<Limited>>,
    allowance: Allowance,
}

impl Session {
    /// Runs `batch` and hands each row, with the index of its result set, to `each`.
    ///
    /// # Errors
    /// The connection is gone then, whatever the error; rows that came before were handed over.
    ///
    /// # Cancel safety
    /// The connection is closed. The engine may still carry out the batch.
    pub(crate) async fn query(
        self,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<Self, ContactError> {
        self.query_at_most(MAX_ANSWER_BYTES, batch, deadline, each)
            .await
    }

    /// The same with a limit of its own for the answer's bytes. After an error the
    /// [`Allowance`] says whether that limit was it.
    pub(crate) async fn query_at_most(
        mut self,
        max_bytes: usize,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<Self, ContactError> {
        self.allowance.set(max_bytes);
        deadline
            .bound(Stage::Query, async {
                let failed = |error| from_tds(&error, Stage::Query);
                let mut answer = self.client.simple_query(batch).await.map_err(failed)?;
                while let Some(item) = answer.try_next().await.map_err(failed)? {
                    if let QueryItem::Row(row) = item {
                        each(row.result_index(), &row);
                    }
                }
                Ok(())
            })
            .await?;
        Ok(self)
    }

    /// Begins `batch`, whose result sets come over time. The caller sets the allowance for each,
    /// and waits under deadlines of its own.
    ///
    /// # Cancel safety
    /// Drop the session with the stream.
    pub(crate) async fn stream(
        &mut self,
        batch: &str,
        deadline: Deadline,
        max_bytes: usize,
    ) -> Result<QueryStream<'_>, ContactError> {
        self.allowance.set(max_bytes);
        deadline
            .bound(Stage::Query, async {
                self.client
                    .simple_query(batch)
                    .await
                    .map_err(|error| from_tds(&error, Stage::Query))
            })
            .await
    }

    /// How much may be read, to be set anew for each result set of a stream.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Says goodbye, so that the engine does not note a broken connection.
    ///
    /// # Cancel safety
    /// The connection is closed all the same.
    pub(crate) async fn close(self, deadline: Deadline) {
        let _ = deadline
            .bound(Stage::Query, async {
                self.client
                    .close()
                    .await
                    .map_err(|error| from_tds(&error, Stage::Query))
            })
            .await;
    }
}

/// A connection that is kept between queries, and made anew when it is gone.
pub(crate) struct Standing {
    connector: Connector,
    session: Option<Session>,
}

impl Standing {
    pub(crate) fn new(config: SqlConfig) -> Self {
        Self {
            connector: Connector::new(config),
            session: None,
        }
    }

    /// Runs `batch` on the connection it has, or on a new one.
    ///
    /// A connection found closed is replaced once: the engine or an administrator may have ended it
    /// since the last query, which says nothing about whether it answers now.
    ///
    /// # Errors
    /// As [`Connector::open`] and [`Session::query`].
    ///
    /// # Cancel safety
    /// The connection is closed; the next call makes a new one.
    pub(crate) async fn query(
        &mut self,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<(), ContactError> {
        if let Some(session) = self.session.take() {
            let mut rows = 0_usize;
            let mut count = |index: usize, row: &Row| {
                rows += 1;
                each(index, row);
            };
            match session.query(batch, deadline, &mut count).await {
                Ok(session) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(ContactError::Closed) if rows == 0 => {}
                Err(error) => return Err(error),
            }
        }
        let session = self.connector.open(deadline).await?;
        self.session = Some(session.query(batch, deadline, each).await?);
        Ok(())
    }
}
