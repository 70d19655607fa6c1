//! The engine's state: one place that sessions, the control socket and the life cycle share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::command::Statistics;
use super::errorlog::ErrorLog;
use super::messages::SqlError;
use super::options::Options;
use super::script::{
    Accept, Answer, Dac, Database, DatabaseState, Effect, Fault, Match, Phase, Script,
};
use super::sql::Kind;
use super::sql::catalog::{Activity, Recovery, Session, World};
use super::store::Journal;
use super::tds::datetime::DateTime;
use super::tds::tls::Identity;

/// The first session number a user gets in the real engine.
const FIRST_SPID: u16 = 51;

/// A phase with its clock.
#[derive(Clone, Debug)]
pub struct Current {
    pub phase: Phase,
    pub since: Instant,
    pub length: Option<Duration>,
}

/// An order to end every client's connection; the number makes each one new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hangup {
    pub number: u64,
    pub reset: bool,
}

/// The way in which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM or SIGINT: a clean shutdown.
    Clean {
        system_shutdown: bool,
    },
    Exit(u8),
    Signal(i32),
    Zombie,
}

/// The client of one session.
#[derive(Clone, Debug)]
pub struct Client {
    pub spid: u16,
    pub user: String,
    pub host: String,
    pub application: String,
    pub database: String,
    /// Whether it came by the administrator connection: no fault befalls it.
    pub administrator: bool,
}

/// A client's place among the sessions.
pub struct Present {
    engine: Arc<Engine>,
    spid: u16,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.engine.sessions().remove(&self.spid);
    }
}

pub struct Engine {
    pub options: Options,
    pub journal: Arc<Journal>,
    pub errorlog: ErrorLog,
    pub identity: Identity,
    pub acceptor: TlsAcceptor,
    pub script: watch::Sender<Script>,
    pub current: watch::Sender<Current>,
    pub hangup: watch::Sender<Hangup>,
    pub ending: watch::Sender<Option<Ending>>,
    /// Whether the listener is open; follows [`Engine::listens`] within a moment.
    pub open: watch::Sender<bool>,
    pub connections: AtomicUsize,
    /// The number of administrator connections: there is one at a time.
    pub administrators: AtomicUsize,
    statistics: Mutex<Statistics>,
    /// The batches since the start, whatever the statistics were reset to.
    batches: AtomicU64,
    logins: AtomicU64,
    sessions: Mutex<BTreeMap<u16, Session>>,
    next_spid: AtomicU16,
    started: (Instant, DateTime),
}

impl Engine {
    pub fn new(
        options: Options,
        script: Script,
        journal: Journal,
        errorlog: ErrorLog,
        identity: Identity,
    ) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            acceptor: identity.acceptor()?,
            options,
            journal: Arc::new(journal),
            errorlog,
            identity,
            script: watch::Sender::new(script),
            current: watch::Sender::new(Current {
                phase: Phase::Refusing,
                since: now,
                length: None,
            }),
            hangup: watch::Sender::new(Hangup::default()),
            ending: watch::Sender::new(None),
            open: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            administrators: AtomicUsize::new(0),
            statistics: Mutex::new(Statistics::default()),
            batches: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            sessions: Mutex::default(),
            next_spid: AtomicU16::new(FIRST_SPID),
            started: (now, DateTime::now()),
        })
    }

    pub fn script(&self) -> Script {
        self.script.borrow().clone()
    }

    pub fn phase(&self) -> Phase {
        self.current.borrow().phase.clone()
    }

    pub fn statistics(&self) -> MutexGuard<'_, Statistics> {
        // Counters stay usable after a panic elsewhere.
        self.statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, application: &str, kind: Kind) {
        self.statistics().count(application, kind);
    }

    /// Counts a request that was answered.
    pub fn count_request(&self, application: &str, busy: Duration, bytes: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.statistics().count_request(application, busy, bytes);
    }

    /// Shows a client among the sessions until the guard is dropped.
    pub fn enter(self: &Arc<Self>, client: &Client) -> Present {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let session = Session {
            spid: client.spid,
            login: client.user.clone(),
            host: client.host.clone(),
            application: client.application.clone(),
            database: client.database.clone(),
            since: DateTime::now(),
        };
        self.sessions().insert(client.spid, session);
        Present {
            engine: self.clone(),
            spid: client.spid,
        }
    }

    /// Notes that a client went to another database.
    pub fn moved(&self, client: &Client) {
        if let Some(session) = self.sessions().get_mut(&client.spid) {
            session.database.clone_from(&client.database);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u16, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn next_spid(&self) -> u16 {
        self.next_spid
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spid| {
                Some(if spid >= 32_000 { FIRST_SPID } else { spid + 1 })
            })
            .unwrap_or(FIRST_SPID)
    }

    /// Whether the port is open just now.
    pub fn listens(&self) -> bool {
        if self.script.borrow().accept == Accept::Refuse {
            return false;
        }
        match &self.current.borrow().phase {
            Phase::Refusing | Phase::ChangingCollation => false,
            Phase::Recovering { databases, .. } => !databases.iter().any(|name| name == "master"),
            _ => true,
        }
    }

    /// Whether the administrator's port is open just now: a little earlier than the other in the real engine.
    pub fn dac_listens(&self) -> bool {
        let dac = self.script.borrow().dac;
        let phase = self.phase();
        let master = |databases: &[String]| databases.iter().any(|name| name == "master");
        let started = match &phase {
            Phase::Refusing | Phase::ChangingCollation => false,
            Phase::Recovering { databases, .. } => !master(databases),
            _ => true,
        };
        dac != Dac::Refuse && started
    }

    /// Waits until the listener is as it should be.
    pub async fn until_settled(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in self, so the channel cannot close.
        let _ = open.wait_for(|open| *open == self.listens()).await;
    }

    /// Recovery progress from 0 to 100; `None` when nothing recovers.
    pub fn percent(&self) -> Option<f64> {
        let current = self.current.borrow();
        let Phase::Recovering { percent, .. } = &current.phase else {
            return None;
        };
        let by_time = current.length.map(|length| {
            let passed = current.since.elapsed().as_secs_f64() / length.as_secs_f64().max(1e-3);
            (passed * 100.0).min(100.0)
        });
        Some(percent.or(by_time).unwrap_or(0.0))
    }

    fn recovery_left(&self) -> Duration {
        let current = self.current.borrow();
        current.length.map_or(Duration::ZERO, |length| {
            length.saturating_sub(current.since.elapsed())
        })
    }

    /// Returns the databases as they are in the current phase.
    pub fn databases(&self) -> Vec<Database> {
        let mut databases = self.script.borrow().databases.clone();
        if let Phase::Recovering {
            databases: recovering,
            ..
        } = &self.current.borrow().phase
        {
            for name in recovering {
                match databases
                    .iter_mut()
                    .find(|database| database.name.eq_ignore_ascii_case(name))
                {
                    Some(database) => database.state = DatabaseState::Recovering,
                    None => databases.push(Database {
                        state: DatabaseState::Recovering,
                        ..Database::online(name)
                    }),
                }
            }
        }
        databases
    }

    pub fn database(&self, name: &str) -> Option<Database> {
        self.databases()
            .into_iter()
            .find(|database| database.name.eq_ignore_ascii_case(name))
    }

    pub fn world(&self, client: &Client) -> World {
        // The whole script may hold a thousand databases, which are read below.
        let (product, views, view_server_state, logins) = {
            let script = self.script.borrow();
            let logins = script.logins.keys().cloned();
            (
                script.product.clone(),
                script.views.clone(),
                script.view_server_state,
                std::iter::once("sa".to_owned()).chain(logins).collect(),
            )
        };
        let databases = self.databases();
        let percent = self.percent();
        let left_ms = i64::try_from(self.recovery_left().as_millis()).unwrap_or(i64::MAX);
        let recoveries = (1..)
            .zip(&databases)
            .filter(|(_, database)| database.state == DatabaseState::Recovering)
            .filter_map(|(database_id, _)| {
                Some(Recovery {
                    database_id,
                    percent: percent?,
                    left_ms,
                })
            })
            .collect();
        World {
            version_text: format!(
                "Microsoft {} ({}) - {} (X64) \n\tStand-in \n\t{} on Linux <X64>",
                "Azure SQL Edge", product.level, product.version, product.edition
            ),
            product,
            spid: client.spid,
            user: client.user.clone(),
            logins,
            database: client.database.clone(),
            databases,
            started: self.started.1,
            uptime_ms: i64::try_from(self.started.0.elapsed().as_millis()).unwrap_or(i64::MAX),
            view_server_state,
            single_user: self.script.borrow().single_user,
            recoveries,
            sessions: self.sessions().values().cloned().collect(),
            activity: Activity {
                batches: self.batches.load(Ordering::Relaxed),
                logins: self.logins.load(Ordering::Relaxed),
                journal: self.journal.io(),
            },
            views,
        }
    }

    /// Writes an error the way the log has it: number first, text below.
    pub fn log_error(&self, source: &str, error: &SqlError, state: u8, text: &str) {
        self.errorlog.line(
            source,
            &format!(
                "Error: {}, Severity: {}, State: {state}.",
                error.number,
                error.class()
            ),
        );
        self.errorlog.line(source, text);
    }

    pub fn answer_for(&self, text: &str) -> Option<Answer> {
        let script = self.script.borrow();
        if script.answers.is_empty() {
            return None;
        }
        let text = text.to_lowercase();
        script
            .answers
            .iter()
            .find(|answer| text.contains(&answer.contains.to_lowercase()))
            .cloned()
    }

    /// Returns the fault that befalls this statement, if any; one of a limited number is used up by one.
    pub fn fault_for(&self, kind: Kind, text: &str, application: &str) -> Option<Effect> {
        let mut effect = None;
        self.script.send_if_modified(|script| {
            let fault = script.faults.iter_mut().find(|fault| {
                fault.times != Some(0) && matches(&fault.on, kind, text, application)
            });
            if let Some(fault) = fault {
                fault.times = fault.times.map(|times| times - 1);
                effect = Some(fault.effect.clone());
            }
            // Nobody waits for a counter.
            false
        });
        effect
    }

    /// Waits until no hang holds this statement. A used-up hang holds those it caught until it is removed.
    pub async fn until_healed(&self, kind: Kind, text: &str, application: &str) {
        let holds = |fault: &Fault| {
            fault.effect == Effect::Hang && matches(&fault.on, kind, text, application)
        };
        self.until(|script| !script.faults.iter().any(holds)).await;
    }

    pub async fn until_stopping(&self) {
        let mut current = self.current.subscribe();
        // The sender lives in self, so the channel cannot close.
        let _ = current
            .wait_for(|current| current.phase == Phase::Stopping)
            .await;
    }

    pub async fn until_diagnostics_speak(&self) {
        self.until(|script| !script.diagnostics.silent).await;
    }

    /// Waits until the script fulfils `condition`.
    pub async fn until(&self, condition: impl FnMut(&Script) -> bool) {
        let mut script = self.script.subscribe();
        // The sender lives in self, so the channel cannot close.
        let _ = script.wait_for(condition).await;
    }

    /// Waits as many seconds of the diagnostics' clock.
    pub async fn diagnostics_pause(&self, seconds: i64) {
        let scale = self.script.borrow().diagnostics.time_scale;
        let pause = Duration::try_from_secs_f64(seconds as f64 * scale).unwrap_or(Duration::ZERO);
        tokio::time::sleep(pause).await;
    }
}

fn matches(on: &Match, kind: Kind, text: &str, application: &str) -> bool {
    on.kind.is_none_or(|wanted| wanted == kind)
        && on
            .contains
            .as_ref()
            .is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
        && on
            .application
            .as_ref()
            .is_none_or(|name| name == application)
}
