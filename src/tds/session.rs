//! A logged-in connection to the engine, and the way there.

use std::net::IpAddr;
use std::time::Instant;

use futures_util::TryStreamExt;
use rustls::pki_types::ServerName;
use tiberius::{AuthMethod, Client, EncryptionLevel, QueryItem, QueryStream, Row};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::channel::Channel;
use super::deadline::Deadline;
use super::dial::{Allowance, Dialer, Limited};
use super::error::{bounded, from_tds};
use super::trust::Trust;
use crate::config::endpoint::{Target, TargetHost};
use crate::config::refusals::Refusals;
use crate::config::secret::{Password, PasswordError};
use crate::config::{SqlConfig, TlsMode};
use crate::decide::observation::{AttemptStage, Certificates, ContactError, ServerError};

/// The supervisor's name in `sys.dm_exec_sessions.program_name`.
const APPLICATION_NAME: &str = "sql-edge-supervisor";

/// The supervisor's name there where it collects metrics, so that their cost can be seen apart.
pub(crate) const COLLECT_APPLICATION_NAME: &str = "sql-edge-supervisor/collect";

/// Whether a program of this name is the supervisor itself, whatever it asks for.
pub(crate) fn is_own_application(name: &str) -> bool {
    name.strip_prefix(APPLICATION_NAME)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The database of a login. `master` is there as soon as the engine serves; the login's default
/// database may be recovering, and a login into it would fail with 4064 while the engine is well.
const DATABASE: &str = "master";

/// The greatest number of bytes that a TLS handshake and a login may send: a certificate chain and
/// a few tokens.
const MAX_LOGIN_BYTES: usize = 256 * 1024;

/// The greatest number of bytes of the answer to a query.
pub(super) const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The engine's answer to a wrong password.
const WRONG_PASSWORD: u32 = 18_456;

/// The listener of the engine that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The listener for clients.
    Clients,
    /// The listener of the dedicated administrator connection.
    Admin,
}

/// A maker of [`Session`]s by the configuration.
#[derive(Debug)]
pub(crate) struct Connector {
    config: SqlConfig,
    application_name: &'static str,
    door: Door,
    /// Whether the batches hold secrets: then the whole connection is encrypted, unless it stays on this host.
    secret: bool,
    dialer: Dialer,
    certificates: Certificates,
    line_break: LineBreak,
}

/// Whether the line break at the end of a password's file belongs to the password.
#[derive(Debug, Default)]
struct LineBreak {
    /// Whether the last login that worked had the line break in its password.
    belongs: bool,
    /// The password, without the line break, for which the other form was tried last.
    tried: Option<Password>,
}

impl Connector {
    pub(crate) fn new(config: SqlConfig) -> Self {
        Self::named(config, APPLICATION_NAME)
    }

    /// Makes a connector whose connections have another name.
    pub(crate) fn named(config: SqlConfig, application_name: &'static str) -> Self {
        Self {
            config,
            application_name,
            door: Door::Clients,
            secret: false,
            dialer: Dialer::default(),
            certificates: Certificates::default(),
            line_break: LineBreak::default(),
        }
    }

    /// Makes a connector for batches with secrets, whose connections have another name. They are encrypted
    /// though the configuration has only the login encrypted, or nothing, unless they stay on this host.
    pub(crate) fn for_secrets(config: SqlConfig, application_name: &'static str) -> Self {
        Self {
            secret: true,
            ..Self::named(config, application_name)
        }
    }

    /// Makes a connector for the administrator connection. A login refused there shows nothing
    /// about other logins.
    pub(crate) fn to_admin(config: SqlConfig) -> Self {
        let refusals = Refusals::default();
        Self {
            door: Door::Admin,
            ..Self::new(SqlConfig { refusals, ..config })
        }
    }

    /// Returns until when the certificates of the last connection are valid, whatever became of it.
    pub(crate) const fn certificates(&self) -> Certificates {
        self.certificates
    }

    /// Makes a new connection with TLS and login, all of it within `deadline`. The password and the
    /// CA are read before anything is sent, so that a rotated secret is picked up.
    ///
    /// While the refusal of this very password stands (see [`Refusals`]) nobody logs in: the engine is asked
    /// for its PRELOGIN alone, which it does not log, and the refusal is the error if it answers that.
    ///
    /// # Errors
    /// The stage that was reached and the reason why not further; [`ContactError::Credentials`]
    /// before the first byte.
    ///
    /// # Cancel safety
    /// The connection is closed.
    pub(crate) async fn open(&mut self, deadline: Deadline) -> Result<Session, ContactError> {
        let unusable =
            |error: PasswordError| ContactError::Credentials(bounded(&error.to_string()));
        let (password, with_break) = self.config.password.read_both().map_err(unusable)?;
        if let Some(refusal) = self.config.refusals.standing(&password, Instant::now()) {
            self.knock(deadline).await?;
            return Err(ContactError::Server(refusal));
        }
        let (first, second) = match (&with_break, self.line_break.belongs) {
            (Some(with_break), true) => (with_break, Some(&password)),
            (Some(with_break), false) => (&password, Some(with_break)),
            (None, _) => (&password, None),
        };
        let mut result = self.log_in(first, deadline).await;
        let once = self.line_break.tried.as_ref() != Some(&password);
        if let (Err(error), Some(second), true) = (&result, second, once)
            && is_refused(error).is_some_and(|error| error.number == WRONG_PASSWORD)
        {
            self.line_break.tried = Some(password.clone());
            result = self.log_in(second, deadline).await;
            if result.is_ok() {
                self.line_break.belongs = !self.line_break.belongs;
                self.line_break.tried = None;
            }
        }
        match &result {
            Ok(_) => self.config.refusals.clear(),
            Err(error) => {
                if let Some(error) = is_refused(error) {
                    let refusals = &self.config.refusals;
                    refusals.refused(&password, error, Instant::now());
                }
            }
        }
        result
    }

    /// Asks whether an engine answers, without a login.
    async fn knock(&mut self, deadline: Deadline) -> Result<(), ContactError> {
        let trust = self.trust()?;
        let (stream, mode, name) = self.dial(deadline).await?;
        stream.allowance().set(MAX_LOGIN_BYTES);
        let knock = Channel::knock(stream, mode, &trust, name);
        deadline.bound(AttemptStage::Prelogin, knock).await
    }

    /// Makes a connection, encrypted as the two sides agree, without a login.
    async fn secure(&mut self, deadline: Deadline) -> Result<(Channel, Allowance), ContactError> {
        let trust = self.trust()?;
        let (stream, mode, name) = self.dial(deadline).await?;
        let allowance = stream.allowance();
        allowance.set(MAX_LOGIN_BYTES);
        let open = Channel::open(stream, mode, &trust, name);
        let opened = deadline.bound(AttemptStage::Login, open).await;
        let opened = opened.map_err(|error| match error {
            // Not a byte came back.
            ContactError::TimedOut(AttemptStage::Login) if allowance.left() == MAX_LOGIN_BYTES => {
                ContactError::TimedOut(AttemptStage::Prelogin)
            }
            error => error,
        });
        // A peer that did not come as far as its certificate shows nothing of the one it had.
        let shown = trust.server_expiry();
        if shown.is_some() || opened.is_ok() {
            self.certificates.server_expiry = shown;
        }
        Ok((opened?, allowance))
    }

    fn trust(&mut self) -> Result<Trust, ContactError> {
        let trust = match &self.config.tls_ca {
            Some(path) => Trust::file(path)?,
            None => Trust::anybody(),
        };
        self.certificates.ca_expiry = trust.ca_expiry();
        Ok(trust)
    }

    /// Makes a connection on which nothing was sent; returns it with its encryption, and the name that
    /// its certificate has to be for.
    async fn dial(
        &mut self,
        deadline: Deadline,
    ) -> Result<(Limited, TlsMode, ServerName<'static>), ContactError> {
        let targets = self.config.targets();
        let target = match self.door {
            Door::Clients => targets.clients,
            Door::Admin => targets.admin.unwrap_or(targets.clients),
        };
        let (stream, address) = self.dialer.dial(&target, deadline).await?;
        let name = self.server_name(&target, address);
        let mode = encryption(self.config.tls, self.secret, address);
        Ok((stream, mode, name))
    }

    /// Returns the name that the certificate has to be for: that of the settings, else the host's.
    fn server_name(&self, target: &Target, address: IpAddr) -> ServerName<'static> {
        let named = self.config.tls_server_name.as_deref();
        let named = named.or(match &target.host {
            TargetHost::Name(name) => Some(name.as_str()),
            TargetHost::Addresses(_) => None,
        });
        named
            .and_then(|name| ServerName::try_from(name.to_owned()).ok())
            .unwrap_or_else(|| ServerName::from(address))
    }

    async fn log_in(
        &mut self,
        password: &Password,
        deadline: Deadline,
    ) -> Result<Session, ContactError> {
        let (channel, allowance) = self.secure(deadline).await?;
        let settings = settings(&self.config, self.application_name, password);
        let client = deadline
            .bound(AttemptStage::Login, async {
                Client::connect(settings, channel.compat_write())
                    .await
                    .map_err(|error| from_tds(&error, AttemptStage::Login))
            })
            .await?;
        Ok(Session { client, allowance })
    }
}

/// Returns the encryption of a connection to `peer`, whose batches may hold a secret.
fn encryption(configured: TlsMode, secret: bool, peer: IpAddr) -> TlsMode {
    match configured {
        TlsMode::Login | TlsMode::Off if secret && !peer.is_loopback() => TlsMode::Required,
        mode => mode,
    }
}

/// Returns the error by which the engine refused the login itself, if it is one.
fn is_refused(error: &ContactError) -> Option<ServerError> {
    match error {
        ContactError::Server(answer) if error.refuses_login() => Some(*answer),
        _ => None,
    }
}

/// Returns the settings for `tiberius`. It encrypts nothing: that is done below it, in [`Channel`].
fn settings(config: &SqlConfig, application_name: &str, password: &Password) -> tiberius::Config {
    let mut settings = tiberius::Config::new();
    // It dials nothing; the engine is sent this name.
    settings.host(config.host.as_deref().unwrap_or("localhost"));
    settings.database(DATABASE);
    settings.application_name(application_name);
    settings.authentication(AuthMethod::sql_server(&config.user, password.expose()));
    settings.encryption(EncryptionLevel::NotSupported);
    // Deadline::bound limits the whole attempt. The library's own limits would be a second opinion,
    // take a thread for their timer, and end the diagnostics stream between two reports.
    settings.handshake_timeout(None);
    settings.command_timeout(None);
    // A database's name may be any UTF-16, lone surrogates included; that must not cost the list.
    settings.lossy_utf16_decoding(true);
    settings
}

/// A connection on which the last answer was complete.
pub(crate) struct Session {
    client: Client<Compat<Channel>>,
    allowance: Allowance,
}

impl Session {
    /// Runs `batch` and passes each row, with the index of its result set, to `each`.
    ///
    /// # Errors
    /// The connection is gone then, whatever the error; rows that came before were passed on.
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

    /// Runs `batch` as [`Self::query`] does, with a limit of its own for the answer's bytes. After
    /// an error the [`Allowance`] shows whether that limit was the cause.
    pub(crate) async fn query_at_most(
        mut self,
        max_bytes: usize,
        batch: &str,
        deadline: Deadline,
        each: &mut (dyn FnMut(usize, &Row) + Send),
    ) -> Result<Self, ContactError> {
        self.allowance.set(max_bytes);
        deadline
            .bound(AttemptStage::Query, async {
                let failed = |error| from_tds(&error, AttemptStage::Query);
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
            .bound(AttemptStage::Query, async {
                self.client
                    .simple_query(batch)
                    .await
                    .map_err(|error| from_tds(&error, AttemptStage::Query))
            })
            .await
    }

    /// Returns the allowance, which is to be set anew for each result set of a stream.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Ends the connection in order, so that the engine does not note a broken one.
    ///
    /// # Cancel safety
    /// The connection is closed all the same.
    pub(crate) async fn close(self, deadline: Deadline) {
        let _ = deadline
            .bound(AttemptStage::Query, async {
                self.client
                    .close()
                    .await
                    .map_err(|error| from_tds(&error, AttemptStage::Query))
            })
            .await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_secret_leaves_this_host_encrypted_or_not_at_all() {
        let away = IpAddr::from([192, 0, 2, 7]);
        for here in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            for mode in [TlsMode::Login, TlsMode::Off] {
                assert_eq!(encryption(mode, true, away), TlsMode::Required);
                assert_eq!(encryption(mode, true, here), mode);
                assert_eq!(encryption(mode, false, away), mode);
            }
        }
        for mode in [TlsMode::Required, TlsMode::Strict] {
            assert_eq!(encryption(mode, true, away), mode);
        }
    }
}
